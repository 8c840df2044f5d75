//! A group of addresses with common labels, as it is written everywhere.
//!
//! Place in the flow: `static_configs` and target files → **`read`** → [`Group`].
//!
//! Not here: finding the files (`file`).

use model::fields::Fields;

use crate::target::Group;

/// Reads `targets` and `labels`.
pub fn read(mut fields: Fields<'_>, classic_names: bool) -> Group {
    let addresses = fields.texts("targets").unwrap_or_default();
    for address in &addresses {
        if address.contains('/') {
            let message =
                format!("{address:?} is no host and port; leave the scheme and the path away");
            fields.problem("targets", message);
        }
    }
    let labels = fields.text_map("labels");
    for (name, _) in &labels {
        let valid =
            if classic_names { model::labels::is_label_name(name) } else { !name.is_empty() };
        if !valid {
            fields.problem("labels", format!("{name:?} is no label name"));
        }
    }
    fields.finish();
    Group { source: String::new(), addresses, labels }
}
