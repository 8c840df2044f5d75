//! The section `web` of belfry.yml as far as it is about access.
//!
//! Place in the flow: belfry.yml → **`read`** → [`Settings`] → `rulebook`, which reads the files that
//! they name.

use std::path::{Path, PathBuf};

use model::fields::{Fields, Problem};

use crate::access::config;
use crate::access::credentials::{PasswordHash, TokenDigest};
use crate::access::limits::{self, Limits};
use crate::access::role::{Role, Roles};
use crate::access::scope::Scope;

/// Paths that may be open to those who don't log in.
pub const OPENABLE: [&str; 3] = ["/-/healthy", "/-/ready", "/metrics"];

/// What an operator wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The file that it was written in, for messages.
    pub file: String,
    /// The web configuration file.
    pub config_file: Option<PathBuf>,
    /// Whether that file asks for encryption.
    pub is_encrypted: bool,
    /// Whether that file names users.
    pub has_file_users: bool,
    /// Users, or what users of the web configuration file may do.
    pub users: Vec<User>,
    /// Tokens.
    pub tokens: Vec<Token>,
    /// Paths that nobody has to log in for.
    pub open_paths: Vec<String>,
    /// Limits of connections and requests.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            file: String::new(),
            config_file: None,
            is_encrypted: false,
            has_file_users: false,
            users: Vec::new(),
            tokens: Vec::new(),
            open_paths: vec!["/-/healthy".to_owned(), "/-/ready".to_owned()],
            limits: Limits::default(),
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password's hash; `None`: it stands in the web configuration file.
    pub password: Option<PasswordHash>,
    /// What it may do.
    pub roles: Roles,
    /// Which series it may see and write.
    pub scope: Scope,
    /// Line and path of the entry.
    pub at: (usize, String),
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its name, for lists and logs.
    pub name: String,
    /// Where it stands.
    pub place: TokenPlace,
    /// What it may do.
    pub roles: Roles,
    /// Which series it may see and write.
    pub scope: Scope,
    /// Line and path of the entry.
    pub at: (usize, String),
}

/// Where a token stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenPlace {
    /// In a file of its own.
    File(PathBuf),
    /// Only its digest is known.
    Digest(TokenDigest),
}

impl Settings {
    /// Takes another web configuration file, as the command line names it.
    pub fn set_config_file(&mut self, file: &Path) -> Result<(), Vec<Problem>> {
        self.config_file = Some(file.to_owned());
        let own = config::load(file)?;
        (self.is_encrypted, self.has_file_users) = (own.tls.is_some(), !own.users.is_empty());
        Ok(())
    }

    /// Whether everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty() && !self.has_file_users
    }

    /// Whether other settings need another start: what belongs to the listener.
    pub fn needs_restart(&self, other: &Settings) -> bool {
        let fixed = |own: &Settings| {
            let limits = own.limits.clone();
            (limits.connections_max, limits.header_timeout, limits.header_bytes_max)
        };
        fixed(self) != fixed(other)
    }

    /// The problem of an entry.
    pub(super) fn problem(&self, at: &(usize, String), message: String) -> Problem {
        Problem { file: self.file.clone(), line: at.0, field: at.1.clone(), message }
    }
}

/// Reads the keys about access of the section `web`; the caller finishes it. The mistakes of the web
/// configuration file, which has a name of its own, are in the second part.
pub fn read(web: &mut Fields<'_>, folder: &Path) -> (Settings, Vec<Problem>) {
    let mut settings = Settings { file: web.problems().file().to_owned(), ..Settings::default() };
    settings.config_file = web.text("config_file").map(|file| folder.join(file));
    for (path, node) in web.list("users") {
        let mut fields = Fields::new(node, &path, web.problems());
        let name = fields.required_text("name");
        let password = fields.text("password_bcrypt").and_then(|text| {
            PasswordHash::parse(&text).map_err(|why| fields.problem("password_bcrypt", why)).ok()
        });
        if name.contains(':') {
            fields.problem("name", "a name with a colon can't log in by basic authentication");
        }
        if settings.users.iter().any(|user| user.name == name) {
            fields.problem("name", format!("there is a user {name:?} already"));
        }
        let (roles, scope) = read_rights(&mut fields);
        fields.finish();
        settings.users.push(User { name, password, roles, scope, at: (node.line, path) });
    }
    for (path, node) in web.list("tokens") {
        let mut fields = Fields::new(node, &path, web.problems());
        let name = fields.required_text("name");
        if settings.tokens.iter().any(|token| token.name == name) {
            fields.problem("name", format!("there is a token {name:?} already"));
        }
        let place = read_token(&mut fields, folder);
        let (roles, scope) = read_rights(&mut fields);
        fields.finish();
        let at = (node.line, path);
        settings.tokens.extend(place.map(|place| Token { name, place, roles, scope, at }));
    }
    if let Some(paths) = web.texts("open_paths") {
        for path in paths.iter().filter(|path| !OPENABLE.contains(&path.as_str())) {
            let all = OPENABLE.join(", ");
            web.problem("open_paths", format!("{path} can't be open; these can: {all}"));
        }
        settings.open_paths = paths;
    }
    settings.limits = web.fields("limits").map(limits::read).unwrap_or_default();
    let problems = match settings.config_file.clone() {
        Some(file) => settings.set_config_file(&file).err().unwrap_or_default(),
        None => Vec::new(),
    };
    (settings, problems)
}

fn read_token(fields: &mut Fields<'_>, folder: &Path) -> Option<TokenPlace> {
    let file = fields.text("token_file").map(|file| TokenPlace::File(folder.join(file)));
    let digest = fields.text("token_sha256");
    match (file, digest) {
        (Some(_), Some(_)) => {
            fields.problem("token_sha256", "token_file is there too: one is enough");
            None
        }
        (Some(file), None) => Some(file),
        (None, Some(digits)) => {
            let digest = TokenDigest::parse(&digits);
            if digest.is_none() {
                let message = "needs the 64 hexadecimal digits of the token's SHA-256";
                fields.problem("token_sha256", message);
            }
            digest.map(TokenPlace::Digest)
        }
        (None, None) => {
            fields.problem("token_file", "is required: the file of the token, or token_sha256");
            None
        }
    }
}

fn read_rights(fields: &mut Fields<'_>) -> (Roles, Scope) {
    let names = fields.texts("roles").unwrap_or_default();
    let mut roles = Vec::new();
    for name in &names {
        match Role::parse(name) {
            Some(role) => roles.push(role),
            None => {
                let all = Role::ALL.map(Role::name).join(", ");
                fields.problem("roles", format!("there is no role {name:?}; there are {all}"));
            }
        }
    }
    if names.is_empty() {
        fields.problem("roles", "is required: a list of read, write, silence, admin");
    }
    let scope = match fields.text("scope").map(|text| Scope::parse(&text)) {
        None => Scope::everything(),
        Some(Ok(scope)) => scope,
        Some(Err(why)) => {
            fields.problem("scope", format!("needs a selector such as {{team=\"a\"}}: {why}"));
            Scope::everything()
        }
    };
    let roles = Roles::of(&roles);
    if !scope.is_everything() && roles.has(Role::Admin) {
        fields.problem("scope", "an administrator acts on everything; leave scope or admin out");
    }
    (roles, scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fields::Problems;

    fn read_text(text: &str) -> Result<Settings, Vec<String>> {
        let node = model::yaml::parse(text).expect("yaml");
        let problems = Problems::new("belfry.yml");
        let mut fields = Fields::new(&node, "web", &problems);
        let (settings, more) = read(&mut fields, Path::new("/etc"));
        fields.finish();
        let mut list = problems.into_list();
        list.extend(more);
        if list.is_empty() {
            Ok(settings)
        } else {
            Err(list.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn users_tokens_and_limits() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let settings = read_text(&format!(
            "tokens:\n- {{name: t, token_file: a.token, roles: [read], scope: '{{team=\"a\"}}'}}\n\
             - {{name: u, token_sha256: {digest}, roles: [admin]}}\n\
             users: [{{name: g, roles: [read, silence]}}]\nopen_paths: []\n\
             limits: {{requests_per_second: 5, connections_max: 9, header_timeout: 5s}}\n"
        ))
        .expect("good");
        assert_eq!(settings.tokens[0].place, TokenPlace::File(PathBuf::from("/etc/a.token")));
        assert_eq!(settings.tokens[0].scope.matchers().len(), 1);
        assert!(settings.tokens[1].roles.has(Role::Write));
        assert!(settings.users[0].password.is_none() && settings.open_paths.is_empty());
        assert_eq!(settings.limits.rate, Rate { per_second: 5.0, burst: 10.0 });
        assert_eq!(settings.limits.connections_max, 9);
        let fixed = read_text("").expect("good");
        assert_eq!(fixed.open_paths.len(), 2);
        assert!(settings.needs_restart(&fixed) && !fixed.needs_restart(&fixed));
    }

    use crate::access::buckets::Rate;

    #[test]
    fn each_mistake_is_named_and_no_secret_is() {
        for (text, expected) in [
            ("users: [{name: a}]", "belfry.yml:1: web.users[0].roles: is required"),
            ("users: [{name: a, roles: [root]}]", "no role \"root\""),
            ("users: [{name: a, roles: [read], password_bcrypt: canary}]", "is no bcrypt hash"),
            ("users: [{name: 'a:b', roles: [read]}]", "colon"),
            ("tokens: [{name: a, roles: [read]}]", "web.tokens[0].token_file: is required"),
            ("tokens: [{name: a, roles: [read], token: canary}]", "web.tokens[0].token: unknown"),
            ("tokens: [{name: a, roles: [read], token_sha256: canary}]", "64 hexadecimal"),
            ("tokens: [{name: a, roles: [read], token_file: x, scope: '{'}]", "needs a selector"),
            ("users: [{name: a, roles: [admin], scope: '{a=\"b\"}'}]", "administrator"),
            ("open_paths: [/api/v1/query]", "can't be open"),
            ("limits: {connections_max: 0}", "at least 1"),
            ("limits: {header_size_max: 1KB}", "at least 8192"),
            ("config_file: /nonexistent/web.yml", "/nonexistent/web.yml:1: can't be read"),
        ] {
            let problems = read_text(text).expect_err(text).join("\n");
            assert!(problems.contains(expected), "{text}: {problems}");
            assert!(!problems.contains("canary"), "{problems}");
        }
    }
}
