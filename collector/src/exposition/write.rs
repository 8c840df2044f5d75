//! In-process families written as a page.
//!
//! Place in the flow: `model::Exporter` → **`page`** → the same reader and limits as a scraped page.
//!
//! Writing and reading again costs little and keeps one path: what holds for a scraped page (limits,
//! staleness, relabelling) holds for an exporter inside the process by construction.
//!
//! Not here: gathering (exporters), serving pages over HTTP (the sidecar).

use std::fmt::Write;

use model::Family;
use model::MetricKind;
use model::labels::{is_label_name, is_metric_name};
use model::sample::format_value;

/// The content type of [`page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes families in the Prometheus text format.
pub fn page(families: &[Family]) -> String {
    let mut page = String::new();
    for family in families {
        header(&mut page, family);
        for sample in &family.samples {
            let name = format!("{}{}", family.name, sample.suffix);
            let labels = sample.labels.iter().filter(|(_, value)| !value.is_empty());
            series(&mut page, &name, labels);
            page.push(' ');
            page.push_str(&format_value(sample.value));
            page.push('\n');
        }
    }
    page
}

fn header(page: &mut String, family: &Family) {
    let name = quoted_if_needed(&family.name, is_metric_name);
    if !family.help.is_empty() {
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        page.push_str("# HELP ");
        page.push_str(&name);
        page.push(' ');
        page.push_str(&help);
        page.push('\n');
    }
    // The format has no word for the younger kinds.
    let kind = match family.kind {
        MetricKind::Info | MetricKind::StateSet => MetricKind::Gauge.as_str(),
        MetricKind::Unknown => "untyped",
        kind => kind.as_str(),
    };
    // Writing into a string can't fail.
    let _ = writeln!(page, "# TYPE {name} {kind}");
}

fn series<'a>(page: &mut String, name: &str, labels: impl Iterator<Item = &'a (String, String)>) {
    let classic = is_metric_name(name);
    let mut separator = "{";
    if classic {
        page.push_str(name);
    } else {
        page.push('{');
        page.push_str(&quoted(name));
        separator = ",";
    }
    for (label, value) in labels {
        page.push_str(separator);
        page.push_str(&quoted_if_needed(label, is_label_name));
        page.push('=');
        page.push_str(&quoted(value));
        separator = ",";
    }
    if separator == "," {
        page.push('}');
    }
}

fn quoted_if_needed(name: &str, classic: impl Fn(&str) -> bool) -> String {
    if classic(name) { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
