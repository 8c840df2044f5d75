//! The Go text/template dialect that rule files and Alertmanager files use.
//!
//! Place in the flow: rules and alertmanager parse the texts of their files once, and execute them
//! for each alert and each message.
//!
//! Invariants: no text and no data can make parsing or execution panic, hang or fill the memory:
//! output, steps and depth are capped.
//!
//! Not here: queries and links that need the world (they come through [`Functions`]), the data
//! (rules, alertmanager).

/// What a template computes with.
pub mod value;
/// The door through which a template calls what Go's built-ins don't have.
pub mod functions;
/// Text to tokens.
mod lexer;
/// The parsed form.
mod tree;
/// Tokens to trees.
mod parser;
/// A set of templates that can call one another.
pub mod templates;
/// Trees to text.
mod execute;
/// Arguments of functions as the types they are needed in.
mod arguments;
/// Go's built-in functions.
mod builtin;
/// Methods of instants and spans.
mod clock_members;
/// Prometheus' functions.
pub mod prometheus;
/// Alertmanager's functions.
pub mod alertmanager;
/// Label sets with Alertmanager's methods.
pub mod key_values;
/// Numbers for people.
mod humanize;
/// Text functions of both dialects.
mod words;
/// Base64 with the URL-safe alphabet.
mod base64;
/// Values as JSON.
mod json;
/// Escaping by context.
mod html;
/// Values as text.
mod print;
/// Instants as text.
mod clock_text;
/// Floats as text.
mod number;

pub use alertmanager::AlertmanagerFunctions;
pub use functions::{Dialect, Functions, NoFunctions};
pub use key_values::key_values;
pub use prometheus::{PrometheusFunctions, World};
pub use templates::{Limits, TemplateError, Templates};
pub use value::{List, Map, MissingKey, Object, Value};
