//! A set of templates that can call one another.
//!
//! Place in the flow: text → lexer → parser → **`Templates`** → executor → text or HTML.
//!
//! Not here: reading template files (their rooms), grammar (`parser`), meaning (`execute`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::execute;
use crate::functions::{Dialect, Functions};
use crate::parser;
use crate::tree::Tree;
use crate::value::Value;

/// What one execution may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest output, and largest text that any function may make.
    pub output_bytes_max: usize,
    /// Most nodes visited.
    pub steps_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        // An e-mail about thousands of alerts fits; a runaway loop ends within about a second.
        Limits { output_bytes_max: 4 << 20, steps_max: 1_000_000 }
    }
}

/// Why a template was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct TemplateError {
    /// The template's name.
    pub name: String,
    /// Line of its text, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Named templates.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    dialect: Dialect,
    limits: Limits,
    trees: BTreeMap<Arc<str>, Arc<Tree>>,
}

impl Templates {
    /// An empty set; function names are looked up when they are called.
    pub fn new() -> Templates {
        Templates::default()
    }

    /// An empty set that refuses at parsing what the dialect has no function for.
    pub fn for_dialect(dialect: Dialect) -> Templates {
        Templates { dialect, ..Templates::default() }
    }

    /// The same set with other limits.
    pub fn with_limits(mut self, limits: Limits) -> Templates {
        self.limits = limits;
        self
    }

    /// Adds a template and all that its text defines. A later definition replaces an earlier one,
    /// except that an empty body never replaces one with content. On an error nothing is added.
    pub fn parse(&mut self, name: &str, text: &str) -> Result<(), TemplateError> {
        let parsed = parser::parse(name, text, self.dialect)?;
        for (defined, tree) in parsed {
            let keep = tree.is_blank() && self.trees.contains_key(&defined);
            if !keep {
                self.trees.insert(defined, Arc::new(tree));
            }
        }
        Ok(())
    }

    /// Whether there is a template of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.trees.contains_key(name)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(AsRef::as_ref)
    }

    /// Whether any template of the set calls a function of that name.
    pub fn calls(&self, function: &str) -> bool {
        self.trees.values().any(|tree| tree.calls.iter().any(|name| name.as_ref() == function))
    }

    /// Executes a template to text.
    pub fn execute(
        &self,
        name: &str,
        data: &Value,
        functions: &dyn Functions,
    ) -> Result<String, TemplateError> {
        execute::run(self, name, data, functions, execute::Mode::Text)
    }

    /// Executes a template to HTML: what actions put out is escaped for the place they stand in.
    pub fn execute_html(
        &self,
        name: &str,
        data: &Value,
        functions: &dyn Functions,
    ) -> Result<String, TemplateError> {
        execute::run(self, name, data, functions, execute::Mode::Html)
    }

    /// Executes a text of its own that may call the templates of this set.
    pub fn execute_once(
        &self,
        text: &str,
        data: &Value,
        functions: &dyn Functions,
    ) -> Result<String, TemplateError> {
        self.with_text(text)?.execute("", data, functions)
    }

    /// Like [`Templates::execute_once`], to HTML.
    pub fn execute_html_once(
        &self,
        text: &str,
        data: &Value,
        functions: &dyn Functions,
    ) -> Result<String, TemplateError> {
        self.with_text(text)?.execute_html("", data, functions)
    }

    fn with_text(&self, text: &str) -> Result<Templates, TemplateError> {
        let mut set = self.clone();
        set.parse("", text)?;
        if !set.contains("") {
            set.trees.insert(Arc::from(""), Arc::default());
        }
        Ok(set)
    }

    pub(crate) fn tree(&self, name: &str) -> Option<&Arc<Tree>> {
        self.trees.get(name)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }
}

#[cfg(test)]
mod tests;
