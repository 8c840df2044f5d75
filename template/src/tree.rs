//! The tree of a parsed template.
//!
//! Place in the flow: parser → **`Tree`** → executor.
//!
//! Not here: grammar (`parser`), meaning (`execute`).

use std::sync::Arc;

use crate::value::Value;

/// One template's body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) body: Vec<Node>,
    /// Functions that it calls.
    pub(crate) calls: Vec<Arc<str>>,
}

impl Tree {
    /// Whether it puts out nothing but white space.
    pub(crate) fn is_blank(&self) -> bool {
        self.body.iter().all(|node| match node {
            Node::Text(text) => text.trim().is_empty(),
            _ => false,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: Arc<str>, argument: Option<Pipe>, line: usize },
    Break,
    Continue,
}

#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) then: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `$a, $b := command | command`.
#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    pub(crate) line: usize,
    pub(crate) variables: Vec<Arc<str>>,
    /// The variables exist already: `=` instead of `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// Operands side by side: the first is called with the others.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Dot,
    Nil,
    Literal(Value),
    Function(Arc<str>),
    /// `.a.b`
    Field(Vec<Arc<str>>),
    /// `$x.a.b`
    Variable(Arc<str>, Vec<Arc<str>>),
    /// `(…)`, and `(…).a.b`
    Pipe(Box<Pipe>, Vec<Arc<str>>),
}
