//! Which series a caller may see and write: matchers that each of them must pass.
//!
//! Place in the flow: configuration → **`Scope`** of an identity → added to every selector of its
//! requests; what is listed or written is checked against it.
//!
//! Invariant: narrowing only ever adds conditions.

use std::sync::Arc;

use model::{Labels, Matcher};

/// Matchers that every series must pass; none: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Arc<[Matcher]>);

impl Scope {
    /// The scope without a limit.
    pub fn everything() -> Scope {
        Scope::default()
    }

    /// Reads a selector such as `{team="a"}`.
    pub fn parse(text: &str) -> Result<Scope, String> {
        let matchers = promql::parse_selector(text).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(|problem| problem.render(text)).collect();
            lines.join("; ")
        })?;
        Ok(Scope(matchers.into()))
    }

    /// Whether it holds nothing back.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Its matchers.
    pub fn matchers(&self) -> Arc<[Matcher]> {
        Arc::clone(&self.0)
    }

    /// A selector narrowed to what may be seen.
    pub fn narrow(&self, mut selector: Vec<Matcher>) -> Vec<Matcher> {
        selector.extend_from_slice(&self.0);
        selector
    }

    /// Whether these labels are inside.
    pub fn takes(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrows_and_takes() {
        let scope = Scope::parse("{team=\"a\",env!=\"test\"}").expect("a selector");
        assert_eq!(scope.narrow(vec![Matcher::equal("__name__", "up")]).len(), 3);
        let inside = Labels::from_pairs([("__name__", "up"), ("team", "a")]);
        let outside = Labels::from_pairs([("__name__", "up"), ("team", "b")]);
        let tested = Labels::from_pairs([("env", "test"), ("team", "a")]);
        assert!(scope.takes(&inside) && !scope.takes(&outside) && !scope.takes(&tested));
        assert!(!scope.takes(&Labels::from_pairs([("__name__", "up")])));
        assert!(Scope::everything().takes(&outside) && Scope::everything().is_everything());
    }

    #[test]
    fn a_scope_is_a_selector_that_asks_for_something() {
        for text in ["", "{}", "{team=~\".*\"}", "sum(up)", "up[5m]", "{team="] {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
    }
}
