//! `$1`, `$name` and `${name}` in a replacement, as Go expands them.
//!
//! Place in the flow: `Expression::captures` → **`expand`** → the new value of a label.
//!
//! A `$` that begins no reference is plain text, `$$` is one `$`, and a reference to a group that is
//! not there is empty. Several groups may have one name: the first that matched counts.

use regex::Captures;

/// What the groups of an expression hold.
#[derive(Debug)]
pub struct Found<'e, 't> {
    pub(super) captures: Captures<'t>,
    pub(super) names: &'e [Option<String>],
}

impl Found<'_, '_> {
    /// Writes a template with its references filled in behind `out`.
    pub fn expand(&self, template: &str, out: &mut String) {
        let mut rest = template;
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(behind) = behind.strip_prefix('$') {
                out.push('$');
                rest = behind;
            } else if let Some((name, behind)) = reference(behind) {
                out.push_str(self.group(name));
                rest = behind;
            } else {
                out.push('$');
                rest = behind;
            }
        }
        out.push_str(rest);
    }

    fn group(&self, name: &str) -> &str {
        let at = |index: usize| self.captures.get(index).map(|found| found.as_str());
        if let Some(index) = number(name) {
            return at(index).unwrap_or("");
        }
        let named = self.names.iter().enumerate().filter(|own| own.1.as_deref() == Some(name));
        named.into_iter().find_map(|(index, _)| at(index + 1)).unwrap_or("")
    }
}

/// The name behind a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{');
    let own = inside.unwrap_or(text);
    let is_part = |found: char| found.is_alphanumeric() || found == '_';
    let end_byte = own.find(|found: char| !is_part(found)).unwrap_or(own.len());
    let (name, rest) = own.split_at(end_byte);
    let rest = if inside.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// A name that is a number; with a zero before it, it is a name after all.
fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = name.len() > 1 && name.starts_with('0');
    if is_number && !is_padded { name.parse().ok() } else { None }
}
