//! What stands inside an action: declarations, commands, operands.
//!
//! Place in the flow: `parser` (an action, a branch) → **`Parser::pipe`** → the node's pipeline.
//!
//! Not here: nodes and branches (`parser`).

use std::sync::Arc;

use super::{DEPTH_MAX, ParseResult, Parser, is_keyword};
use crate::builtin;
use crate::lexer::Kind;
use crate::tree::{Command, Operand, Pipe};

impl Parser {
    /// A pipeline up to, and without, the delimiter or parenthesis that closes it.
    pub(super) fn pipe(&mut self, context: &str, is_range: bool) -> ParseResult<Pipe> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        let line = self.line();
        let (variables, assigns) = self.declaration(context, is_range)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            self.skip_space();
            let command = self.command(context)?;
            let first = &command.operands[0];
            let executable = !matches!(first, Operand::Dot | Operand::Nil | Operand::Literal(_));
            if !commands.is_empty() && !executable {
                let stage = commands.len() + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
            commands.push(command);
            match self.peek() {
                Some(Kind::Pipe) => self.next += 1,
                Some(Kind::RightDelimiter | Kind::RightParenthesis) => break,
                _ => return self.unexpected(context),
            }
        }
        if !assigns {
            // Declared after its own pipeline: `$x := $x` reads the outer one.
            self.scope.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipe { line, variables, assigns, commands })
    }

    /// `$a :=`, `$a =`, and for ranges `$a, $b :=`. Nothing is taken when none stands here.
    fn declaration(&mut self, context: &str, is_range: bool) -> ParseResult<(Vec<Arc<str>>, bool)> {
        let start = self.next;
        let mut variables = Vec::new();
        loop {
            self.skip_space();
            let Some(Kind::Variable(name)) = self.peek().cloned() else { break };
            self.next += 1;
            self.skip_space();
            match self.peek() {
                Some(Kind::Declare) => {
                    self.next += 1;
                    variables.push(name);
                    return Ok((variables, false));
                }
                Some(Kind::Assign) => {
                    variables.push(name);
                    self.next += 1;
                    for name in &variables {
                        self.check_variable(name)?;
                    }
                    return Ok((variables, true));
                }
                Some(Kind::Comma) if is_range && variables.is_empty() => {
                    self.next += 1;
                    variables.push(name);
                }
                Some(Kind::Comma) => {
                    return self.fail(format!("too many declarations in {context}"));
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    fn check_variable(&self, name: &Arc<str>) -> ParseResult<()> {
        if self.scope.variables.contains(name) {
            return Ok(());
        }
        self.fail(format!("undefined variable {name:?}"))
    }

    fn command(&mut self, context: &str) -> ParseResult<Command> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            match self.operand()? {
                Some(operand) => operands.push(operand),
                None => break,
            }
            match self.peek() {
                Some(Kind::Space) => {}
                Some(Kind::RightDelimiter | Kind::RightParenthesis | Kind::Pipe) => break,
                _ => return self.unexpected("operand"),
            }
        }
        if operands.is_empty() {
            return match self.peek() {
                Some(Kind::RightDelimiter | Kind::RightParenthesis | Kind::Pipe) => {
                    self.fail(format!("missing value for {context}"))
                }
                _ => self.unexpected(context),
            };
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> ParseResult<Option<Operand>> {
        let Some(kind) = self.peek().cloned() else { return self.unexpected("action") };
        let line = self.line();
        self.next += 1;
        let operand = match kind {
            Kind::Dot => Operand::Dot,
            Kind::Literal(value) => Operand::Literal(value),
            Kind::Name(name) if name.as_ref() == "nil" => Operand::Nil,
            Kind::Name(name) => {
                let known = builtin::is_known(self.dialect, &name);
                if !known || is_keyword(&name) {
                    return Err((line, format!("function {name:?} not defined")));
                }
                self.scope.calls.push(name.clone());
                Operand::Function(name)
            }
            Kind::Field(name) => Operand::Field(vec![name]),
            Kind::Variable(name) => {
                self.check_variable(&name)?;
                Operand::Variable(name, Vec::new())
            }
            Kind::LeftParenthesis => {
                let pipe = self.pipe("parenthesized pipeline", false)?;
                if !matches!(self.peek(), Some(Kind::RightParenthesis)) {
                    return self.fail("unclosed left paren");
                }
                self.next += 1;
                Operand::Pipe(Box::new(pipe), Vec::new())
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        self.chain(operand, line).map(Some)
    }

    /// Takes the `.a.b` that follows an operand without a space.
    fn chain(&mut self, operand: Operand, line: usize) -> ParseResult<Operand> {
        let mut fields = Vec::new();
        while let Some(Kind::Field(name)) = self.peek() {
            fields.push(name.clone());
            self.next += 1;
        }
        if fields.is_empty() {
            return Ok(operand);
        }
        match operand {
            Operand::Field(mut names) => {
                names.append(&mut fields);
                Ok(Operand::Field(names))
            }
            Operand::Variable(name, _) => Ok(Operand::Variable(name, fields)),
            Operand::Pipe(pipe, _) => Ok(Operand::Pipe(pipe, fields)),
            Operand::Function(_) => {
                let commands = vec![Command { operands: vec![operand] }];
                let pipe = Pipe { line, variables: Vec::new(), assigns: false, commands };
                Ok(Operand::Pipe(Box::new(pipe), fields))
            }
            Operand::Dot | Operand::Nil | Operand::Literal(_) => {
                self.fail(format!("unexpected . after term {:?}", fields[0]))
            }
        }
    }
}
