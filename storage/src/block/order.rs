//! The order in which series stand in a block.
//!
//! Place in the flow: flush and compaction sort by it (`series::order` does the same over slots), the
//! writer checks it.
//!
//! By metric, then by `job` and `instance`, then by all labels: what one target says about one metric
//! lies together, so a question about one host reads few pages, and series that were scraped at the
//! same instants are neighbours.
//!
//! Not here: the order of answers (that of labels), which readers make themselves.

use std::cmp::Ordering;

use model::Labels;

fn key(labels: &Labels) -> [&str; 3] {
    let [mut name, mut job, mut instance] = [""; 3];
    for (label, value) in labels.iter() {
        match label {
            "__name__" => name = value,
            "job" => job = value,
            "instance" => instance = value,
            _ => {}
        }
    }
    [name, job, instance]
}

/// Compares two series of a block.
pub fn compare(one: &Labels, other: &Labels) -> Ordering {
    key(one).cmp(&key(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lie_together_inside_a_metric() {
        let labels = |name, instance, cpu| {
            Labels::from_pairs([("__name__", name), ("instance", instance), ("cpu", cpu)])
        };
        let sorted = [
            labels("a", "h1", "0"),
            labels("a", "h1", "1"),
            labels("a", "h2", "0"),
            labels("b", "h1", "0"),
        ];
        assert!(sorted.windows(2).all(|pair| compare(&pair[0], &pair[1]) == Ordering::Less));
    }
}
