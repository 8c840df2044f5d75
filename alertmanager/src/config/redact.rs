//! Writes a configuration back as YAML with every secret replaced.
//!
//! Place in the flow: [`super::parse`] → **here** → `Config::original` → the status page.
//!
//! A value is a secret when its key says so, or when it is an address with a password in it; the
//! address of a webhook is one as well, since many carry a token in their path.
//!
//! Not here: which keys there are (other readers of this folder).

use model::yaml::{Kind, Node};

use super::other::SECRET_WORDS;

/// The whole tree as YAML text.
pub(super) fn redacted(root: &Node) -> String {
    let mut out = String::new();
    write(root, 0, "", &mut out);
    out
}

fn is_secret_key(key: &str) -> bool {
    !key.ends_with("_file")
        && SECRET_WORDS.iter().any(|word| key == *word || key.ends_with(&format!("_{word}")))
}

fn write(node: &Node, depth: usize, key: &str, out: &mut String) {
    let indent = "  ".repeat(depth);
    match &node.kind {
        Kind::Scalar { .. } => out.push_str(&format!("{indent}{}\n", scalar(node, key))),
        Kind::Sequence(items) => {
            for item in items {
                let mut inner = String::new();
                write(item, depth + 1, key, &mut inner);
                let rest = inner.get(2 * (depth + 1)..).unwrap_or("{}\n");
                out.push_str(&format!("{indent}- {rest}"));
            }
        }
        Kind::Mapping(pairs) => {
            for (name, value) in pairs {
                let name_text = name.text().unwrap_or("");
                out.push_str(&format!("{indent}{}:", quoted(name)));
                match &value.kind {
                    Kind::Scalar { .. } => {
                        out.push_str(&format!(" {}\n", scalar(value, name_text)))
                    }
                    Kind::Sequence(items) if items.is_empty() => out.push_str(" []\n"),
                    Kind::Mapping(pairs) if pairs.is_empty() => out.push_str(" {}\n"),
                    _ => {
                        out.push('\n');
                        write(value, depth + 1, name_text, out);
                    }
                }
            }
        }
    }
}

fn scalar(node: &Node, key: &str) -> String {
    let text = node.text().unwrap_or("");
    if !text.is_empty() && (is_secret_key(key) || (key == "url" && has_secret_part(text))) {
        return "<secret>".to_owned();
    }
    quoted(node)
}

/// An address whose user part, path or query could carry a token.
fn has_secret_part(address: &str) -> bool {
    url::Url::parse(address).map_or(true, |url| {
        url.password().is_some() || url.query().is_some() || url.path().len() > 1
    })
}

fn quoted(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, plain: true } => text.clone(),
        Kind::Scalar { text, plain: false } => {
            serde_json::to_string(text).expect("a text is always JSON")
        }
        _ => "{}".to_owned(),
    }
}
