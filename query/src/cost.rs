//! What panels of dashboards have cost since the start.
//!
//! Place in the flow: the engine tells of each query that ends → **`Costs`** → metrics.
//!
//! Invariant: the number of panels told apart is bounded; whoever comes later is counted as others.
//!
//! Not here: the metrics' names (belfry).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::running::{Finished, Observer};
use crate::settings::Priority;

/// Panels told apart.
pub const PANELS_MAX: usize = 500;
/// Longest uid or id that is kept; Grafana's are at most 40 long.
const NAME_CHARS_MAX: usize = 64;

/// Where a query says that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Panel {
    /// The uid of a Grafana dashboard; `other` for panels beyond [`PANELS_MAX`].
    pub dashboard: String,
    /// The number of a panel on it.
    pub panel: String,
}

impl Panel {
    /// The panel in what a caller says of itself; `None` when it names no dashboard.
    pub fn of(origin: &str) -> Option<Panel> {
        let value = |name: &str| {
            let found = origin.split(' ').find_map(|word| word.strip_prefix(name));
            found.map(|value| value.chars().take(NAME_CHARS_MAX).collect::<String>())
        };
        let dashboard = value("x-dashboard-uid=")?;
        Some(Panel { dashboard, panel: value("x-panel-id=").unwrap_or_default() })
    }

    fn other() -> Panel {
        Panel { dashboard: "other".to_owned(), panel: "other".to_owned() }
    }
}

/// What the queries of one panel cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// How many there were.
    pub queries: u64,
    /// How many of them failed.
    pub failures: u64,
    /// Samples that went into their answers.
    pub samples: u64,
    /// Seconds of evaluation, waiting not included.
    pub seconds: f64,
}

/// The costs of all panels.
#[derive(Debug, Default)]
pub struct Costs {
    panels: Mutex<BTreeMap<Panel, Cost>>,
}

impl Costs {
    /// All panels, by uid and id.
    pub fn all(&self) -> Vec<(Panel, Cost)> {
        let panels = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        panels.iter().map(|(panel, cost)| (panel.clone(), *cost)).collect()
    }
}

impl Observer for Costs {
    fn finished(&self, finished: &Finished) {
        if finished.query.priority == Priority::Rule {
            return;
        }
        let Some(panel) = Panel::of(&finished.query.origin) else { return };
        let mut panels = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = panels.contains_key(&panel) || panels.len() < PANELS_MAX;
        let cost = panels.entry(if is_known { panel } else { Panel::other() }).or_default();
        cost.queries += 1;
        cost.failures += u64::from(finished.failure.is_some());
        cost.samples += finished.stats.samples_total;
        let waited_us = finished.stats.queue_us;
        cost.seconds += finished.query.elapsed_us.saturating_sub(waited_us) as f64 / 1e6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_read_from_what_callers_say() {
        let check = |origin: &str, expected: Option<(&str, &str)>| {
            let got = Panel::of(origin);
            let got = got.as_ref().map(|own| (own.dashboard.as_str(), own.panel.as_str()));
            assert_eq!(got, expected, "{origin}");
        };
        check("x-dashboard-title=CPU x-dashboard-uid=abc x-panel-id=4", Some(("abc", "4")));
        check("x-dashboard-uid=abc", Some(("abc", "")));
        check("x-panel-id=4", None);
        check("", None);
    }
}
