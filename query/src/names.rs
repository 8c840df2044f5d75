//! Labels with a meaning of their own in queries: the name and what goes with it.
//!
//! Place in the flow: operators and functions that make a new metric out of an old one → **`names`**.
//!
//! Not here: label sets (`model::labels`).

use model::Labels;
use model::labels::METRIC_NAME;

/// The label for the metric's type; it goes where the name goes.
pub const METRIC_TYPE: &str = "__type__";
/// The label for the metric's unit; it goes where the name goes.
pub const METRIC_UNIT: &str = "__unit__";

/// Whether a label says which metric it is.
pub fn is_reserved(label: &str) -> bool {
    label == METRIC_NAME || label == METRIC_TYPE || label == METRIC_UNIT
}

/// The labels without the metric's name, type and unit.
pub fn without_name(labels: &Labels) -> Labels {
    if labels.iter().any(|(label, _)| is_reserved(label)) {
        labels.filtered(|label| !is_reserved(label))
    } else {
        labels.clone()
    }
}

/// `{__name__="up", job="a"}`, as upstream writes label sets in errors.
pub fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{}={value:?}", quoted_name(name))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn quoted_name(name: &str) -> String {
    if model::labels::is_label_name(name) { name.to_owned() } else { format!("{name:?}") }
}

/// Bytes in quotes as Go writes them: what is not printable UTF-8 becomes `\xNN`.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let escaped = format!("{:?}", chunk.valid());
        text.push_str(&escaped[1..escaped.len() - 1]);
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text.push('"');
    text
}

/// A label name from a query's string; an error when it is empty or not UTF-8.
pub fn label_name(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}
