//! YAML with positions: the tree that every configuration reader walks.
//!
//! Place in the flow: file text → **`parse`** → [`crate::fields::Fields`] → a room's own `Config`.
//!
//! Anchors, aliases and merge keys (`<<`) are expanded here, under a cap on nodes, so that a file of
//! a few lines can't fill the memory.
//!
//! Not here: reading files, meaning of keys.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

/// Most nodes of one document after the expansion of aliases.
pub const NODES_MAX: usize = 500_000;
/// Deepest nesting of one document.
pub const DEPTH_MAX: usize = 64;

/// One node and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// The three shapes of YAML.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A text; `plain` when it was written without quotes, so that `null`, `true` or `5` have
    /// their special meaning.
    Scalar {
        /// The text.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in file order.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The node that an absent document stands for.
    pub fn null() -> Node {
        Node { kind: Kind::Scalar { text: String::new(), plain: true }, line: 1, column: 1 }
    }

    /// Whether it is `null`, `~` or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The scalar's text; `None` for null, lists and mappings.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Mapping(pairs) => {
                pairs.iter().find(|(own, _)| own.text() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// What the node is, for error texts.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a scalar",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

/// A text that is no YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads the first document of a text. An empty text is a null node.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        let position = (span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let kind = Kind::Scalar { text: value.into_owned(), plain };
                builder.add(Node { kind, line: position.0, column: position.1 }, anchor)?;
            }
            Event::SequenceStart(anchor, _) => {
                builder.open(Open::Sequence(Vec::new()), anchor, position)?;
            }
            Event::MappingStart(anchor, _) => {
                builder.open(Open::Mapping(Vec::new(), None), anchor, position)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
            Event::Alias(anchor) => builder.alias(anchor, position)?,
            Event::DocumentEnd => break,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
    }
    Ok(builder.root.unwrap_or_else(Node::null))
}

fn scan_error(error: &ScanError) -> YamlError {
    YamlError {
        line: error.marker().line(),
        column: error.marker().col() + 1,
        message: error.info().to_owned(),
    }
}

enum Open {
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

struct Frame {
    open: Open,
    anchor: usize,
    position: (usize, usize),
}

#[derive(Default)]
struct Builder {
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn open(
        &mut self,
        open: Open,
        anchor: usize,
        position: (usize, usize),
    ) -> Result<(), YamlError> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(error_at(position, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.stack.push(Frame { open, anchor, position });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let kind = match frame.open {
            Open::Sequence(items) => Kind::Sequence(items),
            Open::Mapping(pairs, _) => Kind::Mapping(merged(pairs)?),
        };
        let node = Node { kind, line: frame.position.0, column: frame.position.1 };
        self.add(node, frame.anchor)
    }

    fn alias(&mut self, anchor: usize, position: (usize, usize)) -> Result<(), YamlError> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(error_at(position, "alias of an anchor that is not closed".to_owned()));
        };
        self.nodes += size;
        self.add(node, 0)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(error_at((node.line, node.column), format!("more than {NODES_MAX} nodes")));
        }
        if anchor > 0 {
            let size = count(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.open {
            Open::Sequence(items) => items.push(node),
            Open::Mapping(pairs, key) => match key.take() {
                None => *key = Some(node),
                Some(key_node) => {
                    let double = pairs
                        .iter()
                        .any(|(own, _)| own.text().is_some() && own.text() == key_node.text());
                    if double && key_node.text() != Some("<<") {
                        let name = key_node.text().unwrap_or("").to_owned();
                        let position = (key_node.line, key_node.column);
                        return Err(error_at(position, format!("key {name:?} is set twice")));
                    }
                    pairs.push((key_node, node));
                }
            },
        }
        Ok(())
    }
}

fn error_at(position: (usize, usize), message: String) -> YamlError {
    YamlError { line: position.0, column: position.1, message }
}

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Mapping(pairs) => 1 + pairs.iter().map(|(k, v)| count(k) + count(v)).sum::<usize>(),
    }
}

/// Replaces `<<` by the pairs of the mapping (or list of mappings) under it; own keys win.
fn merged(pairs: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, YamlError> {
    let is_merge = |key: &Node| key.text() == Some("<<");
    if !pairs.iter().any(|(key, _)| is_merge(key)) {
        return Ok(pairs);
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(k, _)| is_merge(k));
    for (key, value) in merges {
        let sources = match value.kind {
            Kind::Sequence(items) => items,
            _ => vec![value],
        };
        for source in sources {
            let Kind::Mapping(source_pairs) = source.kind else {
                let message = "a merge key needs a mapping".to_owned();
                return Err(error_at((key.line, key.column), message));
            };
            for (source_key, source_value) in source_pairs {
                if !own.iter().any(|(own_key, _)| own_key.text() == source_key.text()) {
                    own.push((source_key, source_value));
                }
            }
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests;
