//! The lines of OpenMetrics, read as strict as upstream does: single blanks, `# EOF` at the end.
//!
//! Place in the flow: as `text`, of which it is the half for the other format. `_created` lines of a
//! counter, histogram or summary are skipped.
//!
//! Not here: what both formats share (`text`).

use memchr::memchr;
use model::{MetricKind, TimestampMs};

use super::{Line, Lines, RawExemplar, shown};
use crate::exposition::known::Known;
use crate::exposition::series::is_name_start;
use crate::exposition::{ExpositionError, series};

impl<'a> Lines<'a> {
    pub(super) fn next_open_metrics(
        &mut self,
        known: &mut impl Known,
    ) -> Result<Option<Line<'a>>, ExpositionError> {
        loop {
            match self.peek() {
                None if self.is_part => return Ok(None),
                None => return Err(self.error("the page does not end with # EOF")),
                Some(b'#') if self.known_comment(known) => {}
                Some(b'#') => {
                    if self.open_metrics_comment(known)? {
                        self.ended = true;
                        return Ok(None);
                    }
                }
                Some(byte) if byte == b'{' || is_name_start(byte) => {
                    let line = self.open_metrics_sample(known)?;
                    if !self.is_created(line.series) {
                        return Ok(Some(line));
                    }
                }
                Some(byte) => {
                    return Err(self.error(format!("a line can't begin with {}", shown(byte))));
                }
            }
        }
    }

    /// Whether the series says when another one of its family was created.
    fn is_created(&self, series: &[u8]) -> bool {
        let typed =
            matches!(self.kind, MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary);
        let rest = series.strip_prefix(self.family).and_then(|rest| rest.strip_prefix(b"_created"));
        typed && matches!(rest.map(<[u8]>::first), Some(None | Some(b'{')))
    }

    /// Whether it was `# EOF`.
    fn open_metrics_comment(&mut self, known: &mut impl Known) -> Result<bool, ExpositionError> {
        let start = self.position;
        let ended = memchr(b'\n', &self.body[start..]).is_some();
        let line = self.skip_line();
        if line == b"# EOF" {
            if self.position < self.body.len() {
                return Err(self.error("there is more after # EOF"));
            }
            return Ok(true);
        }
        self.line -= 1;
        for keyword in [&b"HELP"[..], b"TYPE", b"UNIT"] {
            let rest = line.strip_prefix(b"# ").and_then(|rest| rest.strip_prefix(keyword));
            if let Some((b' ', rest)) = rest.and_then(<[u8]>::split_first) {
                if !ended {
                    return Err(self.error("the line is not complete"));
                }
                self.metadata(keyword, rest)?;
                known.learn_comment(line, (keyword == b"TYPE").then_some(self.kind));
                self.line += 1;
                return Ok(false);
            }
        }
        Err(self.error("only # HELP, # TYPE, # UNIT and # EOF are comments in OpenMetrics"))
    }

    fn open_metrics_sample(&mut self, known: &mut impl Known) -> Result<Line<'a>, ExpositionError> {
        let series = self.series(known)?;
        let value = self.spaced_number("the value after the metric")?;
        let mut at = None;
        if self.peek() == Some(b' ') && !self.body[self.position..].starts_with(b" # {") {
            let seconds = self.spaced_number("the timestamp")?;
            if !seconds.is_finite() {
                return Err(self.error("the timestamp is not finite"));
            }
            at = Some(TimestampMs((seconds * 1000.0) as i64));
        }
        let mut exemplar = None;
        if self.body[self.position..].starts_with(b" # {") {
            exemplar = Some(self.exemplar()?);
        }
        match self.peek() {
            Some(b'\n') => {
                self.position += 1;
                self.line += 1;
                Ok(Line { series, value, at, exemplar })
            }
            None => Err(self.error("the page does not end with # EOF")),
            Some(byte) => Err(self.error(format!("unexpected {} after the sample", shown(byte)))),
        }
    }

    fn spaced_number(&mut self, what: &str) -> Result<f64, ExpositionError> {
        if self.peek() != Some(b' ') {
            return Err(self.error(format!("a blank is missing before {what}")));
        }
        self.position += 1;
        if let Some(number) = self.plain_number() {
            return Ok(number);
        }
        let token = self.token(|byte| matches!(byte, b' ' | b'\n'));
        self.number(token, what)
    }

    fn exemplar(&mut self) -> Result<RawExemplar<'a>, ExpositionError> {
        self.position += 3;
        let start = self.position;
        let labels = self.raw_series()?;
        assert_eq!(start + labels.len(), self.position, "a series is read to its end");
        series::check_exemplar(labels).map_err(|reason| self.error(reason))?;
        let value = self.spaced_number("the value of the exemplar")?;
        let mut at = None;
        if self.peek() == Some(b' ') {
            let seconds = self.spaced_number("the exemplar's timestamp")?;
            if !seconds.is_finite() {
                return Err(self.error("the exemplar's timestamp is not finite"));
            }
            at = Some(TimestampMs((seconds * 1000.0) as i64));
        }
        Ok(RawExemplar { labels, value, at })
    }
}
