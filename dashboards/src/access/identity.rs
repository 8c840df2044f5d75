//! Who asks: a name for lists and logs, roles, a scope.
//!
//! Place in the flow: `door` puts it into each request's extensions → handlers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::access::role::Roles;
use crate::access::scope::Scope;

/// How a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Not at all.
    Nothing,
    /// By name and password, which browsers send by themselves.
    Password,
    /// By a token, which they don't.
    Token,
}

/// Who asks. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(Arc<Person>);

#[derive(Debug, PartialEq, Eq)]
struct Person {
    name: String,
    roles: Roles,
    scope: Scope,
}

impl Identity {
    /// A named caller.
    pub fn new(name: &str, roles: Roles, scope: Scope) -> Identity {
        Identity(Arc::new(Person { name: name.to_owned(), roles, scope }))
    }

    /// Whoever reaches the address, where nobody has to log in.
    pub fn anybody() -> Identity {
        Identity::new("", Roles::ALL, Scope::everything())
    }

    /// Who may do nothing.
    pub fn nobody() -> Identity {
        Identity::new("", Roles::default(), Scope::everything())
    }

    /// Its name; empty when nobody has to log in.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it may do.
    pub fn roles(&self) -> Roles {
        self.0.roles
    }

    /// Which series it may see and write.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Identity, Infallible> {
        // Every route stands behind the door, which has put it there.
        Ok(parts.extensions.get::<Identity>().cloned().unwrap_or_else(Identity::nobody))
    }
}
