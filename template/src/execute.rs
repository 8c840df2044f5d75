//! Walks a tree and puts out text.
//!
//! Place in the flow: [`crate::tree::Tree`] + data → **`execute`** → `print` → text, or through
//! `html` → escaped text.
//!
//! Invariants: every visited node costs a step, every nested list, pipeline and template a level,
//! every byte counts against the output; whichever runs out first ends the execution with an error.
//!
//! Not here: what built-ins do (`builtin`), members of instants (`clock_members`).

use std::sync::Arc;

use crate::builtin;
use crate::clock_members;
use crate::functions::Functions;
use crate::html::Scanner;
use crate::print::{self, Sink};
use crate::templates::{TemplateError, Templates};
use crate::tree::{Branch, Command, Node, Operand, Pipe, Tree};
use crate::value::{NESTING_MAX, Value};

/// Deepest nesting of blocks, parentheses and template calls during an execution.
pub const DEPTH_MAX: usize = 120;

/// What escaping the output gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Text,
    Html,
}

/// Executes one template of a set.
pub(crate) fn run(
    set: &Templates,
    name: &str,
    data: &Value,
    functions: &dyn Functions,
    mode: Mode,
) -> Result<String, TemplateError> {
    let error = |line, message| TemplateError { name: name.to_owned(), line, message };
    let Some(tree) = set.tree(name) else {
        return Err(error(1, format!("no template {name:?} is defined")));
    };
    let mut executor = Executor {
        set,
        functions,
        scanner: (mode == Mode::Html).then(Scanner::default),
        sink: Sink::new(set.limits().output_bytes_max),
        variables: Vec::new(),
        steps_left: set.limits().steps_max,
        depth: 0,
        line: 1,
    };
    let done = executor.body(tree, data).and_then(|()| {
        let sink = std::mem::replace(&mut executor.sink, Sink::new(0));
        sink.finish()
    });
    done.map_err(|message| error(executor.line, message))
}

enum Flow {
    Next,
    Break,
    Continue,
}

struct Executor<'a> {
    set: &'a Templates,
    functions: &'a dyn Functions,
    /// Present in HTML mode: where in the HTML the output stands.
    scanner: Option<Scanner>,
    sink: Sink,
    variables: Vec<(Arc<str>, Value)>,
    steps_left: u64,
    depth: usize,
    line: usize,
}

impl Executor<'_> {
    fn charge(&mut self, steps: u64) -> Result<(), String> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(format!("takes more than {} steps", self.set.limits().steps_max)),
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("exceeded the maximum template depth ({DEPTH_MAX})"));
        }
        Ok(())
    }

    /// A template's body, with variables of its own.
    fn body(&mut self, tree: &Tree, data: &Value) -> Result<(), String> {
        let outer = std::mem::replace(&mut self.variables, vec![(Arc::from("$"), data.clone())]);
        self.nodes(&tree.body, data)?;
        self.variables = outer;
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        self.deeper()?;
        let mut flow = Flow::Next;
        for node in nodes {
            flow = self.node(node, dot)?;
            if !matches!(flow, Flow::Next) {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, String> {
        self.charge(1)?;
        match node {
            Node::Text(text) => self.put_literal(text)?,
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.put(&value)?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { name, argument, line } => {
                let data = match argument {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Null,
                };
                self.line = *line;
                self.template(name, &data)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn template(&mut self, name: &str, data: &Value) -> Result<(), String> {
        let Some(tree) = self.set.tree(name).cloned() else {
            return Err(format!("template {name:?} not defined"));
        };
        self.body(&tree, data)
    }

    fn put_literal(&mut self, text: &str) -> Result<(), String> {
        match &mut self.scanner {
            Some(scanner) => scanner.literal(text, &mut self.sink),
            None => self.sink.push(text),
        }
        self.check_output()
    }

    fn put(&mut self, value: &Value) -> Result<(), String> {
        let limit = self.set.limits().output_bytes_max;
        match &mut self.scanner {
            Some(scanner) => {
                let text = match value {
                    Value::Null => String::new(),
                    _ => print::value_text(value, limit)?,
                };
                scanner.value(value, &text, &mut self.sink)?;
            }
            None if matches!(value, Value::Null) => self.sink.push("<no value>"),
            None => print::value(&mut self.sink, value),
        }
        self.check_output()
    }

    fn check_output(&mut self) -> Result<(), String> {
        if self.sink.is_full() {
            let limit = self.set.limits().output_bytes_max;
            return Err(format!("output is larger than {limit} bytes"));
        }
        Ok(())
    }

    fn branch(&mut self, branch: &Branch, dot: &Value, rebinds: bool) -> Result<Flow, String> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.is_true() {
            self.nodes(&branch.then, if rebinds { &value } else { dot })?
        } else {
            self.nodes(&branch.otherwise, dot)?
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, String> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match value.plain() {
            Value::List(list) => {
                self.charge(list.items().len() as u64)?;
                let number = |index: usize| Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
                let indexed = list.items().iter().cloned().enumerate();
                indexed.map(|(index, item)| (number(index), item)).collect()
            }
            Value::Map(map) => {
                self.charge(map.entries().len() as u64)?;
                let pairs = map.entries().iter();
                pairs.map(|(key, item)| (Value::Text(key.clone()), item.clone())).collect()
            }
            Value::Int(count) => {
                let count = u64::try_from(count).unwrap_or(0);
                self.charge(count)?;
                let count = i64::try_from(count).unwrap_or(0);
                (0..count).map(|number| (Value::Int(number), Value::Int(number))).collect()
            }
            Value::Null => Vec::new(),
            other => return Err(format!("range can't iterate over {}", other.type_name())),
        };
        let mut flow = Flow::Next;
        if items.is_empty() {
            flow = self.nodes(&branch.otherwise, dot)?;
        }
        let inner = self.variables.len();
        for (key, item) in items {
            self.bind_range(&branch.pipe, &key, &item)?;
            let ended = self.nodes(&branch.then, &item)?;
            self.variables.truncate(inner);
            if matches!(ended, Flow::Break) {
                break;
            }
        }
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn bind_range(&mut self, pipe: &Pipe, key: &Value, item: &Value) -> Result<(), String> {
        match pipe.variables.as_slice() {
            [] => Ok(()),
            [one] => self.assign(one, item),
            [first, second, ..] => {
                self.assign(first, key)?;
                self.assign(second, item)
            }
        }
    }

    fn assign(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match self.variables.iter_mut().rev().find(|(own, _)| own.as_ref() == name) {
            Some((_, slot)) => {
                *slot = value.clone();
                Ok(())
            }
            None => Err(format!("undefined variable: {name}")),
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        self.deeper()?;
        self.charge(1)?;
        self.line = pipe.line;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or_default();
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, &value)?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        self.charge(1)?;
        let (first, rest) = command.operands.split_first().ok_or("empty command")?;
        match first {
            Operand::Function(name) => self.call(name, rest, dot, piped),
            Operand::Field(names) => self.chain(dot.clone(), names, (rest, dot), piped),
            Operand::Variable(name, names) if !names.is_empty() => {
                let receiver = self.variable(name)?;
                self.chain(receiver, names, (rest, dot), piped)
            }
            Operand::Pipe(pipe, names) if !names.is_empty() => {
                let receiver = self.pipe(pipe, dot)?;
                self.chain(receiver, names, (rest, dot), piped)
            }
            _ if !rest.is_empty() || piped.is_some() => {
                Err("can't give argument to non-function".to_owned())
            }
            Operand::Nil => Err("nil is not a command".to_owned()),
            _ => self.operand(first, dot),
        }
    }

    fn variable(&self, name: &str) -> Result<Value, String> {
        let found = self.variables.iter().rev().find(|(own, _)| own.as_ref() == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| format!("undefined variable: {name}"))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Nil => Ok(Value::Null),
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Function(name) => self.call(name, &[], dot, None),
            Operand::Field(names) => self.chain(dot.clone(), names, (&[], dot), None),
            Operand::Variable(name, names) => {
                let receiver = self.variable(name)?;
                self.chain(receiver, names, (&[], dot), None)
            }
            Operand::Pipe(pipe, names) => {
                let receiver = self.pipe(pipe, dot)?;
                self.chain(receiver, names, (&[], dot), None)
            }
        }
    }

    /// Follows `.a.b`; arguments go to the last member.
    fn chain(
        &mut self,
        receiver: Value,
        names: &[Arc<str>],
        (operands, dot): (&[Operand], &Value),
        piped: Option<Value>,
    ) -> Result<Value, String> {
        let Some((last, path)) = names.split_last() else { return Ok(receiver) };
        let mut value = receiver;
        for name in path {
            self.charge(1)?;
            value = member(&value, name, &[])?;
        }
        let arguments = self.arguments(operands, dot, piped)?;
        member(&value, last, &arguments)
    }

    fn arguments(
        &mut self,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Vec<Value>, String> {
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        Ok(arguments)
    }

    fn call(
        &mut self,
        name: &str,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        if matches!(name, "and" | "or") {
            return self.and_or(name == "or", operands, dot, piped);
        }
        let arguments = self.arguments(operands, dot, piped)?;
        self.charge(cost(&arguments))?;
        let explain = |message: String| format!("error calling {name}: {message}");
        if name == "tmpl" {
            return self.nested_template(&arguments).map_err(explain);
        }
        let limit = self.set.limits().output_bytes_max;
        let result = match builtin::call(name, &arguments, limit, self.scanner.is_some()) {
            Some(result) => Some(result),
            None => self.functions.call(name, &arguments),
        };
        match result {
            Some(Ok(value)) if value.depth() > NESTING_MAX => {
                Err(explain(format!("nested deeper than {NESTING_MAX} levels")))
            }
            Some(Ok(value)) if value.as_text().is_some_and(|text| text.len() > limit) => {
                Err(explain(format!("output is larger than {limit} bytes")))
            }
            Some(result) => result.map_err(explain),
            None => Err(format!("function {name:?} not defined")),
        }
    }

    /// `and` and `or` stop at the first argument that decides.
    fn and_or(
        &mut self,
        stops_at: bool,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        let mut value = None;
        for operand in operands {
            let next = self.operand(operand, dot)?;
            if next.is_true() == stops_at {
                return Ok(next);
            }
            value = Some(next);
        }
        let name = if stops_at { "or" } else { "and" };
        piped
            .or(value)
            .ok_or_else(|| format!("wrong number of args for {name}: want at least 1 got 0"))
    }

    /// Prometheus' `tmpl name data`: the output of a template whose name is computed.
    fn nested_template(&mut self, arguments: &[Value]) -> Result<Value, String> {
        let [name, data] = arguments else {
            return Err(format!("wrong number of args: want 2 got {}", arguments.len()));
        };
        let name = name.as_text().ok_or("the template's name must be a string")?.clone();
        let limit = self.set.limits().output_bytes_max;
        let left = limit.saturating_sub(self.sink.bytes_count());
        let outer = std::mem::replace(&mut self.sink, Sink::new(left));
        let outer_scanner = self.scanner.clone();
        if self.scanner.is_some() {
            self.scanner = Some(Scanner::default());
        }
        self.template(&name, data)?;
        self.scanner = outer_scanner;
        let text = std::mem::replace(&mut self.sink, outer).finish()?;
        Ok(Value::SafeHtml(text.into()))
    }
}

/// What a call costs beyond one step: long arguments are not free to copy.
fn cost(arguments: &[Value]) -> u64 {
    let one = |value: &Value| match value {
        Value::List(list) => list.items().len() as u64 / 8,
        Value::Map(map) => map.entries().len() as u64 / 4,
        _ => value.as_text().map_or(0, |text| text.len() as u64 / 512),
    };
    1 + arguments.iter().map(one).sum::<u64>()
}

fn member(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, String> {
    let missing = || format!("can't evaluate field {name} in type {}", receiver.type_name());
    match receiver {
        Value::Object(object) => match object.member(name, arguments) {
            Some(result) => result.map_err(|message| format!("error calling {name}: {message}")),
            None => match object.underlying() {
                Some(plain @ Value::Map(_)) => member(&plain, name, arguments),
                _ => Err(missing()),
            },
        },
        Value::Map(_) if !arguments.is_empty() => {
            Err(format!("{name} is not a method but has arguments"))
        }
        Value::Map(map) => Ok(map.get(name)),
        Value::Null => Err(format!("nil pointer evaluating interface {{}}.{name}")),
        Value::Time(at) => match clock_members::of_time(at, name, arguments) {
            Some(result) => result.map_err(|message| format!("error calling {name}: {message}")),
            None => Err(missing()),
        },
        Value::DurationNs(span) => match clock_members::of_duration(*span, name, arguments) {
            Some(result) => result.map_err(|message| format!("error calling {name}: {message}")),
            None => Err(missing()),
        },
        _ => Err(missing()),
    }
}
