//! Checks the template texts of a configuration, so that a typing error is found at load time.
//!
//! Place in the flow: `receiver`, `email` and `route` → **here** → crate template.
//!
//! Not here: rendering (message).

/// Whether a text is a template at all.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Parses one template text; the error is what the operator reads.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if !is_template(text) {
        return Ok(());
    }
    template::Templates::for_dialect(template::Dialect::Alertmanager)
        .parse("text", text)
        .map_err(|error| format!("template line {}: {}", error.line, error.message))
}
