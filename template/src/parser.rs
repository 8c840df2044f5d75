//! From tokens to trees.
//!
//! Place in the flow: lexer → **`parser`** → [`crate::tree::Tree`]s, one for the text and one for
//! each `define` and `block` in it.
//!
//! Names of functions and variables are checked here, so that a mistake in a rule file is found
//! when the file is loaded and not when the alarm fires.
//!
//! Not here: what stands inside an action (`parser::pipe`), meaning (`execute`).

/// What stands inside an action.
mod pipe;

use std::sync::Arc;

use crate::functions::Dialect;
use crate::lexer::{self, Kind, Token};
use crate::templates::TemplateError;
use crate::tree::{Branch, Node, Tree};
use crate::value::Value;

/// Longest text of one template.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting of blocks and parentheses.
pub const DEPTH_MAX: usize = 60;

/// Parses a text: the templates that it defines, then itself under `name`.
pub(crate) fn parse(
    name: &str,
    text: &str,
    dialect: Dialect,
) -> Result<Vec<(Arc<str>, Tree)>, TemplateError> {
    let error =
        |(line, message): (usize, String)| TemplateError { name: name.to_owned(), line, message };
    if text.len() > TEXT_BYTES_MAX {
        return Err(error((1, format!("longer than {TEXT_BYTES_MAX} bytes"))));
    }
    let tokens = lexer::tokens(text).map_err(error)?;
    let mut parser =
        Parser { tokens, next: 0, dialect, defined: Vec::new(), scope: Scope::default(), depth: 0 };
    parser.top_level(name).map_err(error)?;
    Ok(parser.defined)
}

type ParseResult<T> = Result<T, (usize, String)>;

struct Scope {
    variables: Vec<Arc<str>>,
    calls: Vec<Arc<str>>,
    ranges: usize,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope { variables: vec![Arc::from("$")], calls: Vec::new(), ranges: 0 }
    }
}

/// What ended a list of nodes.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    EndOfText,
    EndAction,
    ElseAction,
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    dialect: Dialect,
    defined: Vec<(Arc<str>, Tree)>,
    scope: Scope,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn line(&self) -> usize {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    fn take(&mut self) -> Option<Kind> {
        let kind = self.tokens.get(self.next)?.kind.clone();
        self.next += 1;
        Some(kind)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(Kind::Space)) {
            self.next += 1;
        }
    }

    fn fail<T>(&self, message: impl Into<String>) -> ParseResult<T> {
        Err((self.line(), message.into()))
    }

    fn unexpected<T>(&self, context: &str) -> ParseResult<T> {
        match self.peek() {
            Some(kind) => self.fail(format!("unexpected {} in {context}", kind.describe())),
            None => self.fail("unexpected EOF"),
        }
    }

    /// The keyword after an opening delimiter, if one follows.
    fn keyword(&self) -> Option<&str> {
        let mut index = self.next + 1;
        while matches!(self.tokens.get(index)?.kind, Kind::Space) {
            index += 1;
        }
        match &self.tokens[index].kind {
            Kind::Name(name) => Some(name),
            _ => None,
        }
    }

    fn enter_action(&mut self) {
        self.next += 1;
        self.skip_space();
    }

    fn right_delimiter(&mut self, context: &str) -> ParseResult<()> {
        self.skip_space();
        match self.peek() {
            Some(Kind::RightDelimiter) => {
                self.next += 1;
                Ok(())
            }
            _ => self.unexpected(context),
        }
    }

    fn top_level(&mut self, name: &str) -> ParseResult<()> {
        let mut body = Vec::new();
        while self.next < self.tokens.len() {
            if matches!(self.peek(), Some(Kind::LeftDelimiter)) && self.keyword() == Some("define")
            {
                self.define()?;
                continue;
            }
            let end = self.nodes(&mut body, true)?;
            match end {
                Stop::EndOfText => {}
                Stop::EndAction => return self.fail("unexpected {{end}}"),
                Stop::ElseAction => return self.fail("unexpected {{else}}"),
            }
        }
        let calls = std::mem::take(&mut self.scope).calls;
        self.add(name.into(), Tree { body, calls });
        Ok(())
    }

    fn add(&mut self, name: Arc<str>, tree: Tree) {
        self.defined.push((name, tree));
    }

    fn quoted_name(&mut self, context: &str) -> ParseResult<Arc<str>> {
        self.skip_space();
        match self.take() {
            Some(Kind::Literal(Value::Text(name))) => Ok(name),
            _ => {
                self.next = self.next.saturating_sub(1);
                self.unexpected(context)
            }
        }
    }

    fn define(&mut self) -> ParseResult<()> {
        let line = self.line();
        self.enter_action();
        self.next += 1;
        let name = self.quoted_name("define clause")?;
        self.right_delimiter("define clause")?;
        self.definition(name, line, "define")
    }

    /// The body of a `define` or `block`, up to its `end`, in a scope of its own.
    fn definition(&mut self, name: Arc<str>, line: usize, context: &str) -> ParseResult<()> {
        let outer = std::mem::take(&mut self.scope);
        let mut body = Vec::new();
        let end = self.nodes(&mut body, false)?;
        if end != Stop::EndAction {
            return Err((line, format!("{context} {name:?} has no {{{{end}}}}")));
        }
        let calls = std::mem::replace(&mut self.scope, outer).calls;
        self.add(name, Tree { body, calls });
        Ok(())
    }

    /// Reads nodes up to `end`, `else` or the end of the text; at the top level also up to a
    /// `define`.
    fn nodes(&mut self, body: &mut Vec<Node>, top: bool) -> ParseResult<Stop> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        let end = loop {
            match self.peek() {
                None => break Stop::EndOfText,
                Some(Kind::Text(text)) => {
                    body.push(Node::Text(text.clone()));
                    self.next += 1;
                }
                Some(_) => match self.keyword() {
                    Some("end") => {
                        self.enter_action();
                        self.next += 1;
                        self.right_delimiter("end")?;
                        break Stop::EndAction;
                    }
                    // What follows `else` is read by the branch that it belongs to.
                    Some("else") => {
                        self.enter_action();
                        self.next += 1;
                        break Stop::ElseAction;
                    }
                    Some("define") if top => break Stop::EndOfText,
                    _ => {
                        let node = self.action()?;
                        body.push(node);
                    }
                },
            }
        };
        self.depth -= 1;
        Ok(end)
    }

    fn action(&mut self) -> ParseResult<Node> {
        let line = self.line();
        let keyword = self.keyword().map(str::to_owned);
        self.enter_action();
        match keyword.as_deref() {
            Some(word @ ("if" | "with" | "range")) => {
                self.next += 1;
                self.branch(word)
            }
            Some("define") => self.fail("unexpected {{define}}: only allowed at the top level"),
            Some(word @ ("template" | "block")) => {
                self.next += 1;
                self.template(word, line)
            }
            Some(word @ ("break" | "continue")) => {
                self.next += 1;
                if self.scope.ranges == 0 {
                    return Err((line, format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                self.right_delimiter(word)?;
                Ok(if word == "break" { Node::Break } else { Node::Continue })
            }
            _ => {
                let pipe = self.pipe("command", false)?;
                self.right_delimiter("command")?;
                Ok(Node::Action(pipe))
            }
        }
    }

    fn template(&mut self, word: &str, line: usize) -> ParseResult<Node> {
        let context = format!("{word} clause");
        let name = self.quoted_name(&context)?;
        self.skip_space();
        let argument = match self.peek() {
            Some(Kind::RightDelimiter) if word == "template" => None,
            _ => Some(self.pipe(&context, false)?),
        };
        self.right_delimiter(&context)?;
        if word == "block" {
            self.definition(name.clone(), line, "block")?;
        }
        Ok(Node::Template { name, argument, line })
    }

    /// `if`, `with` or `range` after its keyword, with all its `else` parts.
    fn branch(&mut self, word: &str) -> ParseResult<Node> {
        let line = self.line();
        let variables_before = self.scope.variables.len();
        let pipe = self.pipe(word, word == "range")?;
        self.right_delimiter(word)?;
        let is_range = word == "range";
        self.scope.ranges += usize::from(is_range);
        let mut then = Vec::new();
        let mut end = self.nodes(&mut then, false)?;
        self.scope.ranges -= usize::from(is_range);
        let mut otherwise = Vec::new();
        if end == Stop::ElseAction {
            self.skip_space();
            let chained =
                !is_range && matches!(self.peek(), Some(Kind::Name(name)) if name.as_ref() == word);
            if chained {
                self.next += 1;
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return self.fail(format!("more than {DEPTH_MAX} else branches"));
                }
                otherwise.push(self.branch(word)?);
                self.depth -= 1;
                end = Stop::EndAction;
            } else {
                self.right_delimiter("else")?;
                end = self.nodes(&mut otherwise, false)?;
            }
        }
        self.scope.variables.truncate(variables_before);
        match end {
            Stop::EndAction => {}
            Stop::ElseAction => return self.fail("expected end; found {{else}}"),
            Stop::EndOfText => {
                return Err((line, format!("unexpected EOF: {{{{{word}}}}} has no end")));
            }
        }
        let branch = Branch { pipe, then, otherwise };
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }
}

fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "if" | "with"
            | "range"
            | "else"
            | "end"
            | "template"
            | "block"
            | "define"
            | "break"
            | "continue"
    )
}
