//! What a caller may do.
//!
//! Place in the flow: configuration → **`Roles`** of an identity ↔ the role that a route needs.

use std::fmt;

/// One thing that callers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Ask: queries, lists, the page.
    Read,
    /// Send samples and alerts.
    Write,
    /// Make and end silences.
    Silence,
    /// Everything, deletion and reload included.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Read, Role::Write, Role::Silence, Role::Admin];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Silence => "silence",
            Role::Admin => "admin",
        }
    }

    /// The role of a name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Every role.
    pub const ALL: Roles = Roles(0b1111);

    /// The set of these.
    pub fn of(roles: &[Role]) -> Roles {
        Roles(roles.iter().fold(0, |bits, role| bits | 1 << *role as u8))
    }

    /// Whether the set lets its owner do this; an administrator may do everything.
    pub fn has(self, role: Role) -> bool {
        let bits = 1 << role as u8 | 1 << Role::Admin as u8;
        self.0 & bits != 0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Role::ALL.into_iter().filter(|role| self.0 & 1 << *role as u8 != 0);
        f.debug_set().entries(own.map(Role::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_has_every_role() {
        assert!(Role::ALL.into_iter().all(|role| Roles::of(&[Role::Admin]).has(role)));
        let reader = Roles::of(&[Role::Read]);
        assert!(reader.has(Role::Read) && !reader.has(Role::Write) && !reader.has(Role::Admin));
        assert!(Roles::default().is_empty() && !Roles::default().has(Role::Read));
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.name()) == Some(role)));
        assert_eq!(Role::parse("root"), None);
    }
}
