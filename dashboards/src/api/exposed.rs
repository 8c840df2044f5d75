//! Series as lines of the text formats: names and values escaped or quoted as the reader can take
//! them.
//!
//! Place in the flow: `federate` → **here** → the body.

use std::collections::BTreeMap;

use model::labels::{is_label_name, is_metric_name};
use model::sample::format_value;
use model::time::TimestampMs;

/// What the reader understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// OpenMetrics rather than the classic text format.
    pub is_open_metrics: bool,
    /// Names may have any characters, in quotes.
    pub has_any_names: bool,
}

impl Form {
    /// What an `Accept` header asks for.
    pub fn accepted(accept: &str) -> Form {
        let mut best: Option<(f64, Form)> = None;
        for entry in accept.split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("").to_ascii_lowercase();
            let parameters: Vec<(&str, &str)> =
                parts.filter_map(|part| part.split_once('=')).collect();
            let get = |name: &str| {
                let found = parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim_matches('"'))
            };
            let is_open_metrics = match (kind.as_str(), get("version")) {
                ("application/openmetrics-text", None | Some("0.0.1" | "1.0.0")) => true,
                ("text/plain" | "text/*" | "*/*", None | Some("0.0.4" | "1.0.0")) => false,
                _ => continue,
            };
            let weight: f64 = get("q").and_then(|text| text.parse().ok()).unwrap_or(1.0);
            let has_any_names = get("escaping") == Some("allow-utf-8");
            if weight > 0.0 && best.as_ref().is_none_or(|(own, _)| weight > *own) {
                best = Some((weight, Form { is_open_metrics, has_any_names }));
            }
        }
        best.map_or(Form { is_open_metrics: false, has_any_names: false }, |(_, form)| form)
    }

    /// The content type of what is written.
    pub fn content_type(self) -> &'static str {
        match (self.is_open_metrics, self.has_any_names) {
            (true, true) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            (true, false) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            (false, true) => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            (false, false) => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        }
    }

    /// The line that begins a family of unknown kind.
    pub fn write_type(self, out: &mut String, metric: &str) {
        out.push_str("# TYPE ");
        self.write_name(out, metric, is_metric_name);
        out.push_str(if self.is_open_metrics { " unknown\n" } else { " untyped\n" });
    }

    /// A sample with its instant.
    pub fn write_sample(
        self,
        out: &mut String,
        (metric, labels): (&str, &BTreeMap<&str, &str>),
        (at, value): (TimestampMs, f64),
    ) {
        let is_inside = self.has_any_names && !is_metric_name(metric);
        let mut separator = "{";
        if is_inside {
            out.push('{');
            push_quoted(out, metric);
            separator = ",";
        } else {
            self.write_name(out, metric, is_metric_name);
        }
        for (name, value) in labels {
            out.push_str(separator);
            self.write_name(out, name, is_label_name);
            out.push('=');
            push_quoted(out, value);
            separator = ",";
        }
        if separator == "," {
            out.push('}');
        }
        out.push(' ');
        out.push_str(&format_value(value));
        out.push(' ');
        if self.is_open_metrics {
            out.push_str(&format_value(at.0 as f64 / 1000.0));
        } else {
            out.push_str(&at.0.to_string());
        }
        out.push('\n');
    }

    fn write_name(self, out: &mut String, name: &str, is_classic: impl Fn(&str) -> bool) {
        if is_classic(name) {
            out.push_str(name);
        } else if self.has_any_names {
            push_quoted(out, name);
        } else {
            let first = |character: char| character.is_ascii_alphabetic() || character == '_';
            for (place, character) in name.chars().enumerate() {
                let is_fine = first(character) || (place > 0 && character.is_ascii_digit());
                out.push(if is_fine { character } else { '_' });
            }
        }
    }

    /// What ends the page.
    pub fn end(self) -> &'static str {
        if self.is_open_metrics { "# EOF\n" } else { "" }
    }
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        let form = |is_open_metrics, has_any_names| Form { is_open_metrics, has_any_names };
        for (accept, expected) in [
            ("", form(false, false)),
            ("*/*", form(false, false)),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", form(true, false)),
            (
                "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;q=0.5",
                form(false, false),
            ),
            (
                "application/vnd.google.protobuf;q=0.7,text/plain;version=0.0.4;q=0.3",
                form(false, false),
            ),
            ("text/plain;version=1.0.0;escaping=allow-utf-8", form(false, true)),
            ("application/openmetrics-text;version=9", form(false, false)),
        ] {
            assert_eq!(Form::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn lines() {
        let labels = BTreeMap::from([("a.b", "x\"\\\n"), ("c", "d")]);
        let mut out = String::new();
        for (is_open_metrics, has_any_names) in [(false, false), (false, true), (true, true)] {
            let form = Form { is_open_metrics, has_any_names };
            form.write_type(&mut out, "my.metric");
            form.write_sample(&mut out, ("my.metric", &labels), (TimestampMs(1500), f64::INFINITY));
        }
        let expected = r#"# TYPE my_metric untyped
my_metric{a_b="x\"\\\n",c="d"} +Inf 1500
# TYPE "my.metric" untyped
{"my.metric","a.b"="x\"\\\n",c="d"} +Inf 1500
# TYPE "my.metric" unknown
{"my.metric","a.b"="x\"\\\n",c="d"} +Inf 1.5
"#;
        assert_eq!(out, expected);
    }
}
