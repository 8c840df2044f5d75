//! Native histograms as test data writes them: `{{schema:1 sum:5 count:4 buckets:[1 2 1]}}`.
//!
//! Place in the flow: part of `series`.
//!
//! Not here: storing them, or any function over them.

use crate::lexer::number_length;
use crate::literal;

/// Most buckets of one side that a literal or a run may reach.
const BUCKETS_MAX: usize = 100_000;

/// The schema number of histograms with bounds of their own.
const CUSTOM_SCHEMA: i32 = -53;

/// What is known about resets before a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    Unknown,
    /// It was reset.
    Reset,
    /// It was not reset.
    NotReset,
    /// It is a gauge.
    Gauge,
}

/// The histogram as written; populations are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramLiteral {
    /// −53 for bounds of its own, −4 to 8 for powers of two.
    pub schema: i32,
    /// Sum of the observations.
    pub sum: f64,
    /// Number of observations.
    pub count: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Index of the first positive bucket.
    pub offset: i32,
    /// Observations in the positive buckets, from `offset` on.
    pub buckets: Vec<f64>,
    /// Index of the first negative bucket.
    pub negative_offset: i32,
    /// Observations in the negative buckets, from `negative_offset` on.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds for schema −53, without +Inf.
    pub custom_values: Vec<f64>,
    /// The hint, when one was written.
    pub hint: Option<Hint>,
}

impl Default for HistogramLiteral {
    /// `{{}}`
    fn default() -> HistogramLiteral {
        HistogramLiteral {
            schema: 0,
            sum: 0.0,
            count: 0.0,
            zero_count: 0.0,
            zero_threshold: 0.0,
            offset: 0,
            buckets: Vec::new(),
            negative_offset: 0,
            negative_buckets: Vec::new(),
            custom_values: Vec::new(),
            hint: None,
        }
    }
}

impl HistogramLiteral {
    /// Reads what stands between the braces.
    pub(super) fn parse(inside: &str) -> Result<HistogramLiteral, String> {
        let mut histogram = HistogramLiteral::default();
        let mut seen: Vec<String> = Vec::new();
        let mut rest = inside.trim();
        while !rest.is_empty() {
            let (key, after) = rest
                .split_once(':')
                .ok_or_else(|| format!("expected key:value in histogram, got {rest:?}"))?;
            let key = key.trim().to_ascii_lowercase();
            if seen.contains(&key) {
                return Err(format!("duplicate key {key:?} in histogram"));
            }
            let after = after.trim_start();
            let end = match after.strip_prefix('[') {
                Some(list) => 2 + list.find(']').ok_or("unclosed list in histogram")?,
                None => after.find(char::is_whitespace).unwrap_or(after.len()),
            };
            histogram.set(&key, &after[..end])?;
            seen.push(key);
            rest = after[end..].trim_start();
        }
        Ok(histogram)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "schema" => self.schema = integer(value)?,
            "sum" => self.sum = signed(value)?,
            "count" => self.count = signed(value)?,
            "z_bucket" => self.zero_count = signed(value)?,
            "z_bucket_w" => self.zero_threshold = signed(value)?,
            "offset" => self.offset = integer(value)?,
            "n_offset" => self.negative_offset = integer(value)?,
            "buckets" => self.buckets = list(value)?,
            "n_buckets" => self.negative_buckets = list(value)?,
            "custom_values" => self.custom_values = list(value)?,
            "counter_reset_hint" => {
                self.hint = Some(match value {
                    "unknown" => Hint::Unknown,
                    "reset" => Hint::Reset,
                    "not_reset" => Hint::NotReset,
                    "gauge" => Hint::Gauge,
                    _ => return Err(format!("unknown counter reset hint {value:?}")),
                });
            }
            _ => return Err(format!("unknown key {key:?} in histogram")),
        }
        Ok(())
    }

    /// This histogram plus (or minus, with a sign of −1) another of the same or a finer schema.
    pub(super) fn plus(&self, other: &HistogramLiteral, sign: f64) -> Result<Self, String> {
        let is_custom = self.schema == CUSTOM_SCHEMA;
        if is_custom != (other.schema == CUSTOM_SCHEMA) || self.custom_values != other.custom_values
        {
            return Err("histograms of a run must have the same custom values".to_owned());
        }
        if self.schema > other.schema {
            let (own, added) = (self.schema, other.schema);
            return Err(format!("schema {own} is finer than the increment's schema {added}"));
        }
        if self.zero_threshold != other.zero_threshold {
            return Err("histograms of a run must have the same z_bucket_w".to_owned());
        }
        let coarser_by = u32::try_from(other.schema - self.schema).unwrap_or(0);
        let mut sum = self.clone();
        sum.sum += sign * other.sum;
        sum.count += sign * other.count;
        sum.zero_count += sign * other.zero_count;
        let added = (other.offset, other.buckets.as_slice());
        (sum.offset, sum.buckets) = merge((self.offset, &self.buckets), added, (coarser_by, sign))?;
        let added = (other.negative_offset, other.negative_buckets.as_slice());
        (sum.negative_offset, sum.negative_buckets) =
            merge((self.negative_offset, &self.negative_buckets), added, (coarser_by, sign))?;
        Ok(sum)
    }
}

/// Adds buckets to buckets whose schema is coarser by some steps.
fn merge(
    (offset, buckets): (i32, &[f64]),
    (added_offset, added): (i32, &[f64]),
    (coarser_by, sign): (u32, f64),
) -> Result<(i32, Vec<f64>), String> {
    if added.is_empty() {
        return Ok((offset, buckets.to_vec()));
    }
    let index_of = |position: usize, offset: i32| i64::from(offset) + position as i64;
    let coarse = |index: i64| ((index - 1) >> coarser_by) + 1;
    let coarse = |index: i64| if coarser_by == 0 { index } else { coarse(index) };
    let mut first = coarse(index_of(0, added_offset));
    let mut last = coarse(index_of(added.len() - 1, added_offset));
    if !buckets.is_empty() {
        first = first.min(index_of(0, offset));
        last = last.max(index_of(buckets.len() - 1, offset));
    }
    let length = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let new_offset = i32::try_from(first).map_err(|_| "bucket index out of range".to_owned())?;
    if length > BUCKETS_MAX {
        return Err(format!("more than {BUCKETS_MAX} buckets in a histogram"));
    }
    let mut sum = vec![0.0; length];
    let mut add = |index: i64, value: f64| sum[(index - first) as usize] += value;
    for (position, value) in buckets.iter().enumerate() {
        add(index_of(position, offset), *value);
    }
    for (position, value) in added.iter().enumerate() {
        add(coarse(index_of(position, added_offset)), sign * value);
    }
    Ok((new_offset, sum))
}

fn integer(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("expected an integer in histogram, got {text:?}"))
}

fn signed(text: &str) -> Result<f64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_word = digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("nan");
    if !is_word && (digits.is_empty() || number_length(digits.as_bytes(), false) != digits.len()) {
        return Err(format!("expected a number in histogram, got {text:?}"));
    }
    let value = literal::number(digits)?;
    Ok(if text.starts_with('-') { -value } else { value })
}

fn list(text: &str) -> Result<Vec<f64>, String> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inside = inside.ok_or_else(|| format!("expected a list in histogram, got {text:?}"))?;
    inside.split_ascii_whitespace().take(BUCKETS_MAX).map(signed).collect()
}
