//! Aggregations: the elements of a vector, group by group.

use promql::ast::{Aggregate, AggregateOp};

use super::range::{extreme, quantile_of};
use super::{Distribution, Element, Labels, Moment, Outcome, Point, mean_of, scale_of, sum_of};

/// The elements of one group.
struct Group {
    labels: Labels,
    drop_name: bool,
    members: Vec<Element>,
}

impl Moment<'_> {
    pub fn aggregate(&self, aggregate: &Aggregate) -> Outcome<Vec<Element>> {
        use AggregateOp as Op;
        let op = aggregate.op;
        let mut number = f64::NAN;
        let mut text = String::new();
        if let Some(parameter) = &aggregate.parameter {
            match op {
                Op::CountValues => text = self.text(parameter)?,
                _ => number = self.scalar(parameter)?,
            }
        }
        let chooses = matches!(op, Op::Topk | Op::Bottomk | Op::Limitk | Op::LimitRatio);
        if chooses && number.is_nan() {
            return Err("Parameter value is NaN".to_owned());
        }
        let all = self.vector(&aggregate.expr)?;
        let mut found: Vec<Element> = Vec::new();
        if op == Op::Quantile {
            self.note_quantile(number);
        }
        for group in groups(aggregate, all, &text) {
            if !chooses || number >= 1.0 {
                self.note_group(op, &group.members);
            }
            match op {
                Op::CountValues => {
                    let grouping = &aggregate.grouping;
                    let is_taken = grouping.without && grouping.labels.contains(&text);
                    count_values(group, &text, is_taken, &mut found);
                }
                Op::Topk | Op::Bottomk => found.extend(self.best(op, number, group.members)),
                Op::Limitk => {
                    found.extend(group.members.into_iter().take(number.max(0.0) as usize))
                }
                Op::LimitRatio => {
                    let stays = |own: &Element| match number.clamp(-1.0, 1.0) {
                        ratio if ratio >= 0.0 => share_of(&own.labels) < ratio,
                        ratio => share_of(&own.labels) >= 1.0 + ratio,
                    };
                    found.extend(group.members.into_iter().filter(stays));
                }
                _ => {
                    let Group { labels, drop_name, members } = group;
                    if let Some(point) = self.one(op, number, &members) {
                        found.push(Element { labels, drop_name, point });
                    }
                }
            }
        }
        Ok(found)
    }

    /// One value of a group.
    fn one(&self, op: AggregateOp, parameter: f64, members: &[Element]) -> Option<Point> {
        use AggregateOp as Op;
        let numbers: Vec<f64> = members.iter().filter_map(|own| own.point.number()).collect();
        let scale = scale_of(&numbers);
        let histograms: Vec<&Distribution> =
            members.iter().filter_map(|own| own.point.histogram()).collect();
        match op {
            Op::Count => return Some(Point::Number(members.len() as f64)),
            Op::Group => return Some(Point::Number(1.0)),
            Op::Sum | Op::Avg if numbers.is_empty() => {
                let sum = Distribution::sum(&histograms)?;
                let count = histograms.len() as f64;
                return Some(Point::from(if op == Op::Avg { sum.over(count) } else { sum }));
            }
            // A group of both kinds has no sum.
            Op::Sum | Op::Avg if !histograms.is_empty() => return None,
            _ if numbers.is_empty() => return None,
            _ => {}
        }
        let rounded = |value: f64| self.world.rounded(value, scale);
        Some(Point::Number(match op {
            Op::Sum => {
                let sum = sum_of(numbers.iter().copied());
                if sum == sum.trunc() && scale < 1e15 { sum } else { rounded(sum) }
            }
            Op::Avg => rounded(mean_of(&numbers)),
            Op::Min => extreme(&numbers, |a, b| a < b),
            Op::Max => extreme(&numbers, |a, b| a > b),
            Op::Stdvar => {
                self.world.rounded(super::range::variance_of(&numbers), scale * scale * 1e-3)
            }
            Op::Stddev => rounded(super::range::variance_of(&numbers).sqrt()),
            _ => rounded(quantile_of(parameter, &numbers)),
        }))
    }

    /// The largest or smallest elements.
    fn best(&self, op: AggregateOp, count: f64, mut members: Vec<Element>) -> Vec<Element> {
        members.retain(|own| own.point.number().is_some());
        let value = |own: &Element| own.point.number().unwrap_or(f64::NAN);
        members.sort_by(|a, b| {
            let (a, b) = (value(a), value(b));
            let by_value = match op {
                AggregateOp::Topk => b.partial_cmp(&a),
                _ => a.partial_cmp(&b),
            };
            by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        });
        let count = (count.max(0.0) as usize).min(members.len());
        if count > 0 && count < members.len() {
            // Which of two equal ones stays is left open.
            let (a, b) = (value(&members[count - 1]), value(&members[count]));
            if a == b || a.is_nan() && b.is_nan() {
                self.world.is_ambiguous.set(true);
            }
        }
        members.truncate(count);
        members
    }
}

/// Where a label set falls between 0 and 1, by a hash of its names and values with their lengths: one
/// byte, from 255 on that byte and three more.
fn share_of(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        let length = text.len().to_le_bytes();
        match text.len() {
            0..255 => bytes.push(length[0]),
            _ => bytes.extend([255, length[0], length[1], length[2]]),
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64
}

fn groups(aggregate: &Aggregate, all: Vec<Element>, counted: &str) -> Vec<Group> {
    let grouping = &aggregate.grouping;
    let is_counted = aggregate.op == AggregateOp::CountValues;
    let mut found: Vec<Group> = Vec::new();
    for own in all {
        let mut labels = own.labels.clone();
        if grouping.without {
            super::drop_name(&mut labels);
            labels.retain(|name, _| !grouping.labels.contains(name));
        } else {
            labels.retain(|name, _| grouping.labels.contains(name));
        }
        if is_counted {
            labels.remove(counted);
        }
        match found.iter_mut().find(|group| group.labels == labels) {
            Some(group) => {
                group.drop_name |= own.drop_name;
                group.members.push(own);
            }
            None => {
                found.push(Group { labels, drop_name: own.drop_name, members: vec![own] });
            }
        }
    }
    found
}

/// One element for each value, written to a label; all of them one when `without` takes it away.
fn count_values(group: Group, label: &str, is_taken: bool, found: &mut Vec<Element>) {
    let mut counts: std::collections::BTreeMap<String, f64> = Default::default();
    for own in &group.members {
        let text = match &own.point {
            Point::Number(value) if value.is_nan() => "NaN".to_owned(),
            Point::Number(value) if value.is_infinite() => {
                if *value > 0.0 {
                    "+Inf".to_owned()
                } else {
                    "-Inf".to_owned()
                }
            }
            Point::Number(value) => format!("{value}"),
            Point::Histogram(own) => format!("{own:?}"),
        };
        let text = if is_taken { String::new() } else { text };
        *counts.entry(text).or_insert(0.0) += 1.0;
    }
    for (text, count) in counts {
        let mut labels = group.labels.clone();
        if !is_taken {
            labels.insert(label.to_owned(), text);
        }
        let point = Point::Number(count);
        found.push(Element { labels, drop_name: group.drop_name, point });
    }
}
