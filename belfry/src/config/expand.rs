//! `${NAME}` and `${file:path}` in the texts of a configuration.
//!
//! Place in the flow: YAML tree → **`expanded`** → the rooms' readers. It happens after parsing, so
//! that no value can change the file's structure; the status page shows the tree from before.
//!
//! Elsewhere than in `external_labels` a lone `$` stays what it is (passwords hold some), and
//! `$${NAME}` is the text `${NAME}`. `external_labels` follow upstream: `$NAME` and `${NAME}` are
//! variables, `$$` is a dollar sign, and what is not set is empty.
//!
//! Not here: rule files, where `$` belongs to the templates.

use std::path::Path;

use model::fields::Problems;
use model::yaml::{Kind, Node};

use super::files;

/// Where variables come from; the binary hands in the process's environment.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Keys whose `${1}` and `${name}` belong to relabel rules, and the language's own texts.
const LITERAL_KEYS: [&str; 4] = ["regex", "replacement", "target_label", "expr"];

/// The tree with every variable replaced. What can't be replaced is a problem.
pub fn expanded(
    root: &Node,
    folder: &Path,
    environment: Environment<'_>,
    problems: &Problems,
) -> Node {
    Expander { folder, environment, problems }.node(root, "", Mode::Strict)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Unset variables are mistakes.
    Strict,
    /// As upstream expands `external_labels`.
    Labels,
    /// Nothing is replaced.
    Literal,
}

struct Expander<'a> {
    folder: &'a Path,
    environment: Environment<'a>,
    problems: &'a Problems,
}

impl Expander<'_> {
    fn node(&self, node: &Node, path: &str, mode: Mode) -> Node {
        let kind = match &node.kind {
            Kind::Scalar { text, plain } => {
                let text_now = self.text(node, path, text, mode);
                let is_changed = text_now != *text;
                // An empty value is an empty text then, and not "nothing".
                Kind::Scalar { text: text_now, plain: *plain && !is_changed }
            }
            Kind::Sequence(items) => {
                let item = |(index, item)| self.node(item, &format!("{path}[{index}]"), mode);
                Kind::Sequence(items.iter().enumerate().map(item).collect())
            }
            Kind::Mapping(pairs) => Kind::Mapping(
                pairs.iter().map(|(key, value)| self.pair(key, value, path, mode)).collect(),
            ),
        };
        Node { kind, line: node.line, column: node.column }
    }

    fn pair(&self, key: &Node, value: &Node, path: &str, mode: Mode) -> (Node, Node) {
        let name = key.text().unwrap_or("");
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let mode = match below.as_str() {
            "global.external_labels" => Mode::Labels,
            _ if LITERAL_KEYS.contains(&name) => Mode::Literal,
            _ => mode,
        };
        (key.clone(), self.node(value, &below, mode))
    }

    fn text(&self, node: &Node, path: &str, text: &str, mode: Mode) -> String {
        if mode == Mode::Literal {
            return text.to_owned();
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let (replacement, taken_bytes) = match mode {
                Mode::Labels => self.label_variable(rest),
                _ => self.variable(rest).unwrap_or_else(|message| {
                    self.problems.add(node, path, message);
                    (String::new(), rest.len())
                }),
            };
            out.push_str(&replacement);
            rest = &rest[taken_bytes..];
        }
        out + rest
    }

    /// What stands for the beginning of a text that starts with `$`, and how many bytes that was.
    fn variable(&self, text: &str) -> Result<(String, usize), String> {
        let escaped = text.starts_with("$${");
        let start = if escaped { 1 } else { 0 };
        let inner = text[start..].strip_prefix("${").and_then(|rest| rest.split_once('}'));
        let Some((inner, _)) = inner else { return Ok(("$".to_owned(), 1)) };
        let taken_bytes = start + inner.len() + 3;
        let file = inner.strip_prefix("file:");
        if file.is_none() && !is_name(inner) {
            return Ok(("$".to_owned(), 1));
        }
        if escaped {
            return Ok((format!("${{{inner}}}"), taken_bytes));
        }
        let value = match file {
            Some(path) => {
                let read = files::read_text(&self.folder.join(path));
                let text = read.map_err(|message| format!("${{{inner}}}: the file {message}"))?;
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
            None => (self.environment)(inner).ok_or_else(|| {
                format!("the environment variable {inner} is not set; set it, or write $${{{inner}}} for the text itself")
            })?,
        };
        Ok((value, taken_bytes))
    }

    fn label_variable(&self, text: &str) -> (String, usize) {
        let after = &text[1..];
        if after.starts_with('$') {
            return ("$".to_owned(), 2);
        }
        let value = |name: &str| (self.environment)(name).unwrap_or_default();
        if let Some((name, _)) = after.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            return (value(name), name.len() + 3);
        }
        let length = after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        match length.count() {
            0 => ("$".to_owned(), 1),
            bytes => (value(&after[..bytes]), bytes + 1),
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "SITE" => Some("north".to_owned()),
            "EMPTY" => Some(String::new()),
            "YAML" => Some("[a: 1]".to_owned()),
            _ => None,
        }
    }

    fn expand(text: &str, folder: &Path) -> (Node, Vec<String>) {
        let root = model::yaml::parse(text).expect("yaml");
        let problems = Problems::new("b.yml");
        let tree = expanded(&root, folder, &environment, &problems);
        (tree, problems.into_list().iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let quoted = format!("{text:?}");
        let (tree, problems) = expand(&format!("k: {quoted}"), Path::new("."));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(tree.get("k").and_then(Node::text), Some(expected), "{text}");
    }

    #[test]
    fn variables() {
        check("x-${SITE}-${SITE}", "x-north-north");
        check("${EMPTY}", "");
        check("${YAML}", "[a: 1]");
        check("pa$$word$", "pa$$word$");
        check("$SITE ${1} ${a-b} ${", "$SITE ${1} ${a-b} ${");
        check("$${SITE}", "${SITE}");
    }

    #[test]
    fn labels_as_upstream() {
        let (tree, problems) = expand(
            "global: {external_labels: {a: '$SITE/${SITE}', b: 'x$$y', c: '${NONE}z'}}",
            Path::new("."),
        );
        let labels = tree.get("global").and_then(|node| node.get("external_labels"));
        let label = |name| labels.and_then(|node| node.get(name)).and_then(Node::text);
        assert_eq!(label("a"), Some("north/north"));
        assert_eq!((label("b"), label("c")), (Some("x$y"), Some("z")));
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn files_mistakes_and_what_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("s"), "hush\n").expect("write");
        let text = "a: '${file:s}'\nb: ['${NONE}']\nc: '${file:gone}'\nreplacement: '${SITE}'\n";
        let (tree, problems) = expand(text, folder.path());
        assert_eq!(tree.get("a").and_then(Node::text), Some("hush"));
        assert_eq!(tree.get("replacement").and_then(Node::text), Some("${SITE}"));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("b.yml:2: b[0]: the environment variable NONE"));
        assert!(problems[1].starts_with("b.yml:3: c: ${file:gone}: the file can't be read"));
    }
}
