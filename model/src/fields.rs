//! A field reader over the YAML tree which collects every problem instead of stopping at the first.
//!
//! Place in the flow: [`crate::yaml::parse`] → **`Fields`** → a room's own `Config`.
//!
//! An operator who made three mistakes reads three lines, each with file, line and field, and mends
//! them in one go. A reader asks for each key it knows; `finish` then names every key that nobody
//! asked for, with the nearest known one.
//!
//! Not here: meaning of keys; values that depend on the world (files, addresses).

use std::cell::RefCell;
use std::fmt;

use crate::duration::parse_duration_ms;
use crate::yaml::{Kind, Node};

/// One mistake of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The path to the field, such as `scrape_configs[2].scrape_interval`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// The mistakes found so far in one file.
#[derive(Debug, Default)]
pub struct Problems {
    file: String,
    ignores_unknown: bool,
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    /// No problems yet, in the file of that name.
    pub fn new(file: &str) -> Problems {
        Problems { file: file.to_owned(), ..Problems::default() }
    }

    /// The same where fields that nobody knows are no mistakes: the file may be for a newer release,
    /// or for another program of the same family.
    pub fn ignoring_unknown_fields(file: &str) -> Problems {
        Problems { ignores_unknown: true, ..Problems::new(file) }
    }

    /// Notes a mistake at a node.
    pub fn add(&self, node: &Node, field: &str, message: impl Into<String>) {
        self.list.borrow_mut().push(Problem {
            file: self.file.clone(),
            line: node.line,
            field: field.to_owned(),
            message: message.into(),
        });
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// The list, by line.
    pub fn into_list(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|problem| problem.line);
        list
    }

    /// `Ok(value)` when no problem was found, else the list.
    pub fn result<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.is_empty() { Ok(value) } else { Err(self.into_list()) }
    }
}

/// Reads the keys of one mapping.
pub struct Fields<'a> {
    node: &'a Node,
    path: String,
    problems: &'a Problems,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts on a node that should be a mapping; null counts as the empty one.
    pub fn new(node: &'a Node, path: &str, problems: &'a Problems) -> Fields<'a> {
        if !matches!(node.kind, Kind::Mapping(_)) && !node.is_null() {
            problems.add(node, path, format!("needs a mapping, but is {}", node.kind_name()));
        }
        Fields { node, path: path.to_owned(), problems, known: Vec::new() }
    }

    /// The node itself.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Where problems go.
    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The full path of a key.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake at a key, or at the mapping when the key is absent.
    pub fn problem(&self, key: &str, message: impl Into<String>) {
        let node = self.node.get(key).unwrap_or(self.node);
        self.problems.add(node, &self.path_of(key), message);
    }

    /// The raw value under a key; null counts as absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// Whether the key is written at all, even with nothing after it.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.node.get(key).is_some()
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.get(key)?;
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.problem(key, format!("needs a text, but is {}", node.kind_name()));
                None
            }
        }
    }

    /// A text that must be there and not empty; a problem and an empty text otherwise.
    pub fn required_text(&mut self, key: &'static str) -> String {
        let before = self.problems.list.borrow().len();
        let text = self.text(key).unwrap_or_default();
        if text.is_empty() && self.problems.list.borrow().len() == before {
            self.problem(key, "is required");
        }
        text
    }

    fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(&text);
        if value.is_none() {
            self.problem(key, format!("needs {wanted}, but is {text:?}"));
        }
        value
    }

    /// A Prometheus duration.
    pub fn duration_ms(&mut self, key: &'static str) -> Option<u64> {
        self.parsed(key, "a duration such as 30s or 1h30m", parse_duration_ms)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.parsed(key, "true or false", |text| match text {
            "true" | "True" | "TRUE" | "yes" | "on" => Some(true),
            "false" | "False" | "FALSE" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    /// A whole number that is not negative.
    pub fn unsigned(&mut self, key: &'static str) -> Option<u64> {
        self.parsed(key, "a whole number", |text| text.parse().ok())
    }

    /// A number of bytes: `1048576`, `64MB`, `1GiB` (powers of 1024 either way, as upstream).
    pub fn bytes(&mut self, key: &'static str) -> Option<u64> {
        self.parsed(key, "a size such as 64MB", parse_bytes)
    }

    /// The items of a list, each with its path. A single value is no list.
    pub fn list(&mut self, key: &'static str) -> Vec<(String, &'a Node)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let Kind::Sequence(items) = &node.kind else {
            self.problem(key, format!("needs a list, but is {}", node.kind_name()));
            return Vec::new();
        };
        let path = self.path_of(key);
        items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.get(key)?;
        let mut texts = Vec::new();
        for (path, item) in self.list(key) {
            match item.text() {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let message = format!("needs a text, but is {}", item.kind_name());
                    self.problems.add(item, &path, message);
                }
            }
        }
        Some(texts)
    }

    /// A mapping of texts to texts, in file order. Empty values are kept.
    pub fn text_map(&mut self, key: &'static str) -> Vec<(String, String)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let Kind::Mapping(pairs) = &node.kind else {
            self.problem(key, format!("needs a mapping, but is {}", node.kind_name()));
            return Vec::new();
        };
        let mut map = Vec::new();
        for (name, value) in pairs {
            let Some(name_text) = name.text() else { continue };
            match (&value.kind, value.is_null()) {
                (Kind::Scalar { text, .. }, false) => {
                    map.push((name_text.to_owned(), text.clone()));
                }
                (_, true) => map.push((name_text.to_owned(), String::new())),
                _ => {
                    let path = format!("{}.{name_text}", self.path_of(key));
                    let message = format!("needs a text, but is {}", value.kind_name());
                    self.problems.add(value, &path, message);
                }
            }
        }
        map
    }

    /// A reader for the mapping under a key.
    pub fn fields(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let node = self.get(key)?;
        Some(Fields::new(node, &self.path_of(key), self.problems))
    }

    /// Accepts keys that Belfry knows of and does not act on.
    pub fn accept(&mut self, keys: &[&'static str]) {
        self.known.extend_from_slice(keys);
    }

    /// Names every key that nobody asked for.
    pub fn finish(self) {
        let Kind::Mapping(pairs) = &self.node.kind else { return };
        if self.problems.ignores_unknown {
            return;
        }
        for (key, _) in pairs {
            let name = key.text().unwrap_or("");
            if self.known.contains(&name) {
                continue;
            }
            let nearest = self.known.iter().min_by_key(|known| edit_distance(known, name));
            let hint = match nearest {
                Some(known) if edit_distance(known, name) <= 3 => {
                    format!("unknown field; did you mean {known:?}?")
                }
                _ => "unknown field; remove it".to_owned(),
            };
            self.problems.add(key, &self.path_of(name), hint);
        }
    }
}

/// Reads a size with an optional unit; units are powers of 1024 with or without the `i`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let power = match text[digits..].trim() {
        "" | "B" => 0,
        "K" | "KB" | "KiB" => 1,
        "M" | "MB" | "MiB" => 2,
        "G" | "GB" | "GiB" => 3,
        "T" | "TB" | "TiB" => 4,
        "P" | "PB" | "PiB" => 5,
        _ => return None,
    };
    number.checked_mul(1024_u64.pow(power))
}

fn edit_distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (line, left) in one.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, right) in two.iter().enumerate() {
            let substitute = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = substitute.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn three_mistakes_are_three_lines() {
        let node = yaml::parse("interval: 5\ntimout: 1s\nurl: [a]\n").expect("yaml");
        let problems = Problems::new("a.yml");
        let mut fields = Fields::new(&node, "", &problems);
        fields.duration_ms("interval");
        fields.duration_ms("timeout");
        fields.required_text("url");
        fields.finish();
        let lines: Vec<String> = problems.into_list().iter().map(Problem::to_string).collect();
        assert_eq!(
            lines,
            [
                "a.yml:1: interval: needs a duration such as 30s or 1h30m, but is \"5\"",
                "a.yml:2: timout: unknown field; did you mean \"timeout\"?",
                "a.yml:3: url: needs a text, but is a list",
            ]
        );
    }

    #[test]
    fn what_nobody_knows_can_be_passed_over() {
        let node = yaml::parse("interval: 5\ntimout: 1s\n").expect("yaml");
        let problems = Problems::ignoring_unknown_fields("a.yml");
        let mut fields = Fields::new(&node, "", &problems);
        fields.duration_ms("interval");
        fields.finish();
        let lines: Vec<String> = problems.into_list().iter().map(Problem::to_string).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("a.yml:1: interval"), "{lines:?}");
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("64MB"), Some(64 << 20));
        assert_eq!(parse_bytes("12"), Some(12));
        assert_eq!(parse_bytes("MB"), None);
        assert_eq!(parse_bytes("99999999999PB"), None);
    }
}
