//! The `global` section: defaults of all jobs, and labels of the whole server.
//!
//! Place in the flow: YAML → **`read`** → [`Global`] → `job::read`, which falls back to it.
//!
//! Not here: what rules do with their two keys (rules).

use model::Labels;
use model::fields::Fields;

use super::job::{self, Names, Scraping};

/// How often targets are scraped unless told otherwise.
const INTERVAL_MS: u64 = 60_000;
/// The deadline of one scrape unless told otherwise.
const TIMEOUT_MS: u64 = 10_000;

/// The `global` section.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// How often targets are scraped.
    pub scrape_interval_ms: u64,
    /// The deadline of one scrape.
    pub scrape_timeout_ms: u64,
    /// How often rules are evaluated (read here, used by rules).
    pub evaluation_interval_ms: u64,
    /// How far in the past rules are evaluated (read here, used by rules).
    pub rule_query_offset_ms: u64,
    /// Labels of everything that leaves this server.
    pub external_labels: Labels,
    /// Further defaults of all jobs.
    pub scraping: Scraping,
}

impl Default for Global {
    fn default() -> Global {
        Global {
            scrape_interval_ms: INTERVAL_MS,
            scrape_timeout_ms: TIMEOUT_MS,
            evaluation_interval_ms: INTERVAL_MS,
            rule_query_offset_ms: 0,
            external_labels: Labels::empty(),
            scraping: Scraping::default(),
        }
    }
}

/// Reads the section.
pub(super) fn read(mut fields: Fields<'_>) -> Global {
    let interval_ms = fields.duration_ms("scrape_interval").filter(|ms| *ms > 0);
    let interval_ms = interval_ms.unwrap_or(INTERVAL_MS);
    let timeout_ms = job::timeout_ms(&mut fields, interval_ms, TIMEOUT_MS);
    let evaluation_ms = fields.duration_ms("evaluation_interval").filter(|ms| *ms > 0);
    let scraping = job::read_scraping(&mut fields, &Scraping::default());
    let pairs = fields.text_map("external_labels");
    for (name, _) in &pairs {
        if !Names::is_valid_label(scraping.names, name) {
            fields.problem("external_labels", format!("{name:?} is no label name"));
        }
    }
    // Written by upstream for other tools to read; nothing here depends on them.
    fields.accept(&["query_log_file", "scrape_failure_log_file"]);
    let global = Global {
        scrape_interval_ms: interval_ms,
        scrape_timeout_ms: timeout_ms,
        evaluation_interval_ms: evaluation_ms.unwrap_or(INTERVAL_MS),
        rule_query_offset_ms: fields.duration_ms("rule_query_offset").unwrap_or(0),
        external_labels: Labels::from_pairs(pairs),
        scraping,
    };
    fields.finish();
    global
}
