//! The door through which a template calls what Go's built-ins don't have.
//!
//! Place in the flow: the executor meets a name → built-ins → **`Functions::call`** → a catalogue.
//!
//! Not here: the functions themselves (`prometheus`, `alertmanager`), built-ins (`builtin`).

use crate::value::Value;

/// Functions beyond the built-ins.
pub trait Functions: Send + Sync {
    /// Calls a function; in a pipeline the piped value is the last argument. `None` when there is
    /// no such function, `Some(Err(message))` when it fails, which ends the execution.
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>>;
}

/// No functions but the built-ins.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFunctions;

impl Functions for NoFunctions {
    fn call(&self, _: &str, _: &[Value]) -> Option<Result<Value, String>> {
        None
    }
}

/// Which names a template may call; others are refused when it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Any name; an unknown one fails when it is called.
    #[default]
    Any,
    /// Prometheus' rule and console functions.
    Prometheus,
    /// Alertmanager's notification functions.
    Alertmanager,
}
