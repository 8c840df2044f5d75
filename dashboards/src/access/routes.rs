//! Which role each route needs, and what becomes of callers with a label scope there.
//!
//! Place in the flow: the table of routes → **`Needs`** → `door` asks for each request.
//!
//! Invariant: what nobody has described is for administrators only.

use std::collections::HashMap;

use axum::http::Method;

use crate::access::role::Role;

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be known, whatever it may do. Some of these paths can be opened to everybody.
    Known,
    /// A role.
    Role(Role),
}

/// What becomes of callers with a label scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Under {
    /// They are refused.
    #[default]
    Refused,
    /// They see and write what is inside.
    Narrowed,
    /// The answer tells nothing of series.
    Plain,
}

impl Under {
    /// As the document writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Under::Refused => "refused",
            Under::Narrowed => "narrowed",
            Under::Plain => "plain",
        }
    }
}

/// One route as far as access is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What a caller needs.
    pub need: Need,
    /// What becomes of callers with a label scope.
    pub under: Under,
}

impl Rule {
    /// For requests that no route answers: whoever is known is told so.
    pub const NO_ROUTE: Rule = Rule { need: Need::Known, under: Under::Plain };
    /// For routes that nobody has described.
    pub const UNDESCRIBED: Rule = Rule { need: Need::Role(Role::Admin), under: Under::Refused };

    /// Whether the route changes something, so that pages of other sites must not reach it.
    pub fn changes(&self) -> bool {
        !matches!(self.need, Need::Known | Need::Role(Role::Read))
    }
}

/// All routes.
#[derive(Debug, Default)]
pub struct Needs {
    rules: HashMap<String, Vec<(Method, Rule)>>,
}

impl Needs {
    /// Adds a route, its path as the router matches it.
    pub fn add(&mut self, path: &str, method: Method, rule: Rule) {
        self.rules.entry(path.to_owned()).or_default().push((method, rule));
    }

    /// The rule of a request; `matched` is the path of the route that answers it, if any.
    pub fn rule(&self, matched: Option<&str>, method: &Method) -> Rule {
        let Some(matched) = matched else { return Rule::NO_ROUTE };
        let Some(rules) = self.rules.get(matched) else { return Rule::UNDESCRIBED };
        // The router answers HEAD where it answers GET.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let found = rules.iter().find(|(own, _)| own == method);
        // The routes come from the same table: no handler takes another method.
        found.map_or(Rule::NO_ROUTE, |(_, rule)| *rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_described_is_for_administrators() {
        let mut needs = Needs::default();
        let read = Rule { need: Need::Role(Role::Read), under: Under::Narrowed };
        let write = Rule { need: Need::Role(Role::Write), under: Under::Refused };
        needs.add("/a/{b}", Method::GET, read);
        needs.add("/a/{b}", Method::POST, write);
        assert_eq!(needs.rule(Some("/a/{b}"), &Method::GET), read);
        assert_eq!(needs.rule(Some("/a/{b}"), &Method::HEAD), read);
        assert_eq!(needs.rule(Some("/a/{b}"), &Method::POST), write);
        assert_eq!(needs.rule(Some("/a/{b}"), &Method::PUT), Rule::NO_ROUTE);
        assert_eq!(needs.rule(Some("/other"), &Method::GET), Rule::UNDESCRIBED);
        assert_eq!(needs.rule(None, &Method::GET), Rule::NO_ROUTE);
        assert!(write.changes() && !read.changes() && !Rule::NO_ROUTE.changes());
    }
}
