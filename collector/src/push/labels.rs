//! Label sets of pushed messages: checked and sorted.
//!
//! Place in the flow: `v1`, `v2` (raw pairs of a series that is not known yet) → **`Pairs`** → batch.
//!
//! Order does not matter to us; an empty value means that the label is absent, as the field has it.
//! Both are laxer than the specifications, as upstream is.
//!
//! Not here: how long a label may be (the store refuses it).

use model::Labels;
use model::append::RefusedReason;
use model::labels::METRIC_NAME;
use model::limits::{EXEMPLAR_LABELS_CHARS_MAX, LABELS_PER_SERIES_MAX};

/// The labels of one series, used again for the next.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a> {
    raw: Vec<(&'a [u8], &'a [u8])>,
    sorted: Vec<(&'a str, &'a str)>,
}

impl<'a> Pairs<'a> {
    pub(super) fn clear(&mut self) {
        self.raw.clear();
    }

    pub(super) fn push(&mut self, name: &'a [u8], value: &'a [u8]) {
        self.raw.push((name, value));
    }

    /// The labels of a series in order. The error is for the sender.
    pub(super) fn series(&mut self) -> Result<&[(&'a str, &'a str)], String> {
        self.sort()?;
        if self.sorted.iter().any(|(name, _)| *name == METRIC_NAME) {
            return Ok(&self.sorted);
        }
        Err(format!("invalid metric name or labels, got {}", self.shown()))
    }

    /// The labels of an exemplar.
    pub(super) fn exemplar(&mut self) -> Result<Labels, String> {
        let chars = |text: &[u8]| String::from_utf8_lossy(text).chars().count();
        let mut total = 0;
        for (name, value) in &self.raw {
            // No character has more than four bytes, so a long text need not be counted out.
            let is_long = name.len().max(value.len()) > 4 * EXEMPLAR_LABELS_CHARS_MAX;
            total +=
                if is_long { EXEMPLAR_LABELS_CHARS_MAX + 1 } else { chars(name) + chars(value) };
            if total > EXEMPLAR_LABELS_CHARS_MAX {
                break;
            }
        }
        if total > EXEMPLAR_LABELS_CHARS_MAX {
            return Err(RefusedReason::InvalidExemplar.message().to_owned());
        }
        self.sort()?;
        Ok(Labels::from_pairs(self.sorted.iter().copied()))
    }

    fn sort(&mut self) -> Result<(), String> {
        self.sorted.clear();
        if self.raw.len() > LABELS_PER_SERIES_MAX {
            return Err(format!("a series has more than {LABELS_PER_SERIES_MAX} labels"));
        }
        for (name, value) in &self.raw {
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value))
            else {
                return Err("a label is no UTF-8".to_owned());
            };
            if name.is_empty() {
                return Err(format!("a label with the value {:?} has no name", shortened(value)));
            }
            if !value.is_empty() {
                self.sorted.push((name, value));
            }
        }
        self.sorted.sort_unstable();
        let twice = self.sorted.windows(2).find(|pair| pair[0].0 == pair[1].0);
        if let Some(pair) = twice {
            return Err(format!(
                "invalid labels for series, labels {}, duplicated label {}",
                self.shown(),
                shortened(pair[0].0)
            ));
        }
        Ok(())
    }

    fn shown(&self) -> String {
        let pairs = self.sorted.iter().take(SHOWN_MAX);
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{}={:?}", shortened(name), shortened(value)))
            .collect();
        format!("{{{}}}", pairs.join(", "))
    }
}

/// Most labels that an error shows.
const SHOWN_MAX: usize = 10;
/// Most characters of each.
const SHOWN_CHARS_MAX: usize = 80;

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<&str, &str>) {
        let mut set = Pairs::default();
        for (name, value) in pairs {
            set.push(name.as_bytes(), value.as_bytes());
        }
        let got = set.series().map(|pairs| Labels::from_pairs(pairs.iter().copied()).to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn label_sets() {
        check(&[("z", "1"), ("__name__", "up"), ("gone", "")], Ok("up{z=\"1\"}"));
        check(&[("a", "1")], Err("invalid metric name or labels, got {a=\"1\"}"));
        check(&[("__name__", "")], Err("invalid metric name or labels, got {}"));
        check(
            &[("__name__", "x"), ("a", "2"), ("a", "1")],
            Err("invalid labels for series, labels {__name__=\"x\", a=\"1\", a=\"2\"}, \
                 duplicated label a"),
        );
        check(&[("__name__", "x"), ("", "v")], Err("a label with the value \"v\" has no name"));
        let many: Vec<(String, String)> =
            (0..200).map(|index| (format!("l{index}"), "v".to_owned())).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        check(&many, Err("a series has more than 128 labels"));
    }

    #[test]
    fn labels_are_utf8() {
        let mut set = Pairs::default();
        set.push(b"__name__", b"\xff");
        assert_eq!(set.series(), Err("a label is no UTF-8".to_owned()));
    }
}
