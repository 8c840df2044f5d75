//! The text formats of a scraped page.
//!
//! Place in the flow: `scrape` (bytes, Content-Type) → **`exposition`** → `pass` (cache, relabelling).
//!
//! A page is read line by line. The reader hands out the raw text of a line's series, its value and
//! its time; the labels inside that text are only taken apart when the series is new. So a known
//! series costs a look-up, not a label set.
//!
//! Invariants: nothing recurses, nothing is copied out of the page but what has escapes.
//!
//! Not here: fetching the page (`scrape`), what becomes of the labels (`pass`).

/// What a reader may remember of the page before.
pub mod known;
/// Numbers.
mod number;
/// The labels inside the raw text of a series.
pub mod series;
/// The lines of a page: raw series text, value, time.
pub mod text;
/// In-process families written as a page.
pub mod write;

/// A format that a page can be asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OpenMetrics text 1.0.0.
    OpenMetrics1,
    /// OpenMetrics text 0.0.1.
    OpenMetrics0,
    /// Prometheus text 1.0.0.
    Text1,
    /// Prometheus text 0.0.4.
    Text0,
}

/// The protocols that are asked for, best first, unless the configuration says otherwise.
pub const PROTOCOLS: [Protocol; 4] =
    [Protocol::OpenMetrics1, Protocol::OpenMetrics0, Protocol::Text1, Protocol::Text0];

impl Protocol {
    /// The protocol that a configuration names.
    pub fn from_name(name: &str) -> Option<Protocol> {
        Some(match name {
            "OpenMetricsText1.0.0" => Protocol::OpenMetrics1,
            "OpenMetricsText0.0.1" => Protocol::OpenMetrics0,
            "PrometheusText1.0.0" => Protocol::Text1,
            "PrometheusText0.0.4" => Protocol::Text0,
            _ => return None,
        })
    }

    /// How a page of this protocol is read.
    pub fn format(self) -> Format {
        match self {
            Protocol::OpenMetrics1 | Protocol::OpenMetrics0 => Format::OpenMetrics,
            Protocol::Text1 | Protocol::Text0 => Format::Text,
        }
    }

    fn media_type(self, escaping: &str) -> String {
        match self {
            Protocol::OpenMetrics1 => {
                format!("application/openmetrics-text;version=1.0.0;escaping={escaping}")
            }
            Protocol::OpenMetrics0 => "application/openmetrics-text;version=0.0.1".to_owned(),
            Protocol::Text1 => format!("text/plain;version=1.0.0;escaping={escaping}"),
            Protocol::Text0 => "text/plain;version=0.0.4".to_owned(),
        }
    }
}

/// The Accept header: falling weights from 0.6, then anything.
pub fn accept_header(protocols: &[Protocol], escaping: &str) -> String {
    let mut weight = 6_usize;
    let mut header = String::new();
    for protocol in protocols {
        header.push_str(&format!("{};q=0.{weight},", protocol.media_type(escaping)));
        weight = weight.saturating_sub(1).max(1);
    }
    header.push_str(&format!("*/*;q=0.{weight}"));
    header
}

/// How a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text, as lax as upstream reads it.
    Text,
    /// OpenMetrics text.
    OpenMetrics,
}

/// The format that a Content-Type names, or the fallback. The error is for the operator.
pub fn format_of(content_type: Option<&str>, fallback: Option<Protocol>) -> Result<Format, String> {
    let media = content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
    if media.eq_ignore_ascii_case("text/plain") {
        return Ok(Format::Text);
    }
    if media.eq_ignore_ascii_case("application/openmetrics-text") {
        return Ok(Format::OpenMetrics);
    }
    match (fallback, content_type) {
        (Some(protocol), _) => Ok(protocol.format()),
        (None, None) => Err("the answer has no Content-Type; set fallback_scrape_protocol".into()),
        (None, Some(_)) => Err(format!(
            "the answer has the Content-Type {:?}, which is no metrics format; \
             set fallback_scrape_protocol",
            media.chars().take(80).collect::<String>()
        )),
    }
}

/// A page that can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the page: {reason}")]
pub struct ExpositionError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

#[cfg(test)]
mod tests;
