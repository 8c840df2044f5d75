//! Secrets out of the text that the status page shows.
//!
//! Place in the flow: YAML tree → **`redacted`** → `/api/v1/status/config`. The tree is written
//! again rather than searched as text, so that no quoting can hide a secret.

use model::yaml::{Kind, Node};

/// Parts of key names whose scalar values are secrets; the `_file` forms only name a place.
const SECRET_KEYS: [&str; 8] = [
    "password",
    "secret",
    "credentials",
    "token",
    "bearer",
    "api_key",
    "service_key",
    "private_key",
];
const MASK: &str = "<secret>";

/// The tree as YAML without secrets.
pub fn redacted(root: &Node) -> String {
    let mut out = String::new();
    if !root.is_null() {
        write_node(&mut out, root, 0, false);
    }
    out
}

fn is_secret_key(key: &str) -> bool {
    !key.ends_with("_file") && SECRET_KEYS.iter().any(|secret| key.contains(secret))
}

fn write_node(out: &mut String, node: &Node, indent: usize, secret: bool) {
    match &node.kind {
        Kind::Scalar { text, plain } => {
            out.push(' ');
            out.push_str(&scalar(text, *plain, secret));
            out.push('\n');
        }
        Kind::Sequence(items) if items.is_empty() => out.push_str(" []\n"),
        Kind::Sequence(items) => {
            out.push('\n');
            for item in items {
                out.push_str(&" ".repeat(indent));
                out.push('-');
                write_node(out, item, indent + 2, secret);
            }
        }
        Kind::Mapping(pairs) if pairs.is_empty() => out.push_str(" {}\n"),
        Kind::Mapping(pairs) => {
            if !out.is_empty() {
                out.push('\n');
            }
            for (key, value) in pairs {
                let name = key.text().unwrap_or("");
                out.push_str(&" ".repeat(indent));
                out.push_str(name);
                out.push(':');
                let secret_here = secret || is_secret_key(name);
                write_node(out, value, indent + 2, secret_here);
            }
        }
    }
}

fn scalar(text: &str, plain: bool, secret: bool) -> String {
    if secret && !text.is_empty() {
        return MASK.to_owned();
    }
    let shown = without_user_info(text);
    if plain && !shown.contains('\n') { shown } else { format!("{shown:?}") }
}

/// `scheme://user:password@host` keeps its host only.
fn without_user_info(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{MASK}@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_left() {
        let text = "a: 1\nlist:\n- url: http://u:canary1@h:1/x\n  password: canary2\n\
                    basic_auth:\n  password_file: /p\n  bearer_token: 'canary3'\n\
                    client_secret: [canary4]\nempty: {}\n";
        let shown = redacted(&model::yaml::parse(text).expect("yaml"));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("http://<secret>@h:1/x") && shown.contains("password_file: /p"));
        assert!(model::yaml::parse(&shown).is_ok(), "{shown}");
    }
}
