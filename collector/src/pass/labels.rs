//! The labels of a new series: the page's and the target's joined, relabelled, checked.
//!
//! Place in the flow: `pass` finds a series that it does not know → **`finished`** → the batch.
//!
//! Not here: rules of relabelling (`relabel`), limits of the whole page (`pass`).

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

use super::Reading;
use crate::config::job::Names;
use crate::exposition::series::Pair;
use crate::relabel;

/// What a label is called when the target's own label has its name.
const EXPORTED_PREFIX: &str = "exported_";

/// The labels that a scraped series ends up with; `None` when relabelling drops it.
pub(super) fn finished(
    reading: &Reading<'_>,
    pairs: &[Pair<'_>],
) -> Result<Option<Labels>, String> {
    for (index, (name, _)) in pairs.iter().enumerate() {
        if pairs[..index].iter().any(|(other, _)| other == name) {
            return Err(format!("the label {name:?} is given twice"));
        }
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in pairs {
        builder.set(name, value);
    }
    add_target_labels(reading, pairs, &mut builder);
    if !relabel::apply(&reading.job.metric_relabel, &mut builder) || builder.pairs().is_empty() {
        return Ok(None);
    }
    let labels = builder.build();
    check_names(reading.job.scraping.names, &labels)?;
    check_limits(reading, &labels)?;
    Ok(Some(labels))
}

fn add_target_labels(reading: &Reading<'_>, pairs: &[Pair<'_>], builder: &mut LabelsBuilder) {
    let mut clashing = Vec::new();
    for (name, value) in reading.labels.iter() {
        if reading.job.honor_labels {
            // A label that is written empty is honoured too: it stays away.
            if !pairs.iter().any(|(own, _)| own == name) {
                builder.set(name, value);
            }
            continue;
        }
        let scraped = builder.get(name).to_owned();
        builder.set(name, value);
        if !scraped.is_empty() {
            clashing.push((name, scraped));
        }
    }
    clashing.sort_by_key(|(name, _)| name.len());
    for (name, value) in clashing {
        let mut renamed = format!("{EXPORTED_PREFIX}{name}");
        while !builder.get(&renamed).is_empty() {
            renamed.insert_str(0, EXPORTED_PREFIX);
        }
        builder.set(&renamed, &value);
    }
}

fn check_names(names: Names, labels: &Labels) -> Result<(), String> {
    let metric = labels.metric_name();
    if metric.is_empty() {
        return Err("the metric has no name after relabelling".to_owned());
    }
    if names == Names::Legacy {
        if !model::labels::is_metric_name(metric) {
            return Err(format!("{metric:?} is no metric name of the legacy scheme"));
        }
        let foreign = labels.iter().find(|(name, _)| !names.is_valid_label(name));
        if let Some((name, _)) = foreign {
            return Err(format!("{name:?} is no label name of the legacy scheme"));
        }
    }
    Ok(())
}

fn check_limits(reading: &Reading<'_>, labels: &Labels) -> Result<(), String> {
    let limits = &reading.job.scraping.limits;
    let exceeded = |size: usize, max: usize| max > 0 && size > max;
    let metric = labels.metric_name();
    if exceeded(labels.len(), limits.labels_max) {
        let max = limits.labels_max;
        return Err(format!(
            "label_limit exceeded: {metric:?} has {} labels of {max}",
            labels.len()
        ));
    }
    for (name, value) in labels.iter() {
        let max = limits.label_name_bytes_max;
        if exceeded(name.len(), max) && name != METRIC_NAME {
            return Err(format!("label_name_length_limit of {max} exceeded on {metric:?}"));
        }
        let max = limits.label_value_bytes_max;
        if exceeded(value.len(), max) {
            return Err(format!(
                "label_value_length_limit of {max} exceeded by {name:?} on {metric:?}"
            ));
        }
    }
    Ok(())
}
