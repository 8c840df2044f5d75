//! The room as a whole: real HTTP targets on free ports, a store in memory.
mod fake_store;
mod fake_target;
mod scraping;
mod trouble;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use model::clock::SystemClock;
use model::fields::Problems;

use crate::{Collector, Config, HttpClient, Parts};
pub(crate) use fake_store::FakeStore;
pub(crate) use fake_target::{Answer, FakeTarget};

/// Reads a configuration that must be good.
pub(crate) fn config(text: &str) -> Config {
    let node = model::yaml::parse(text).expect("yaml");
    let problems = Problems::new("prometheus.yml");
    let config = crate::config::read(&node, &problems);
    assert!(problems.is_empty(), "{:?}", problems.into_list());
    config
}

/// One job, one target, scraped ten times a second.
pub(crate) fn job(target: &FakeTarget, more: &str) -> Config {
    config(&format!(
        "scrape_configs:
- job_name: j
  scrape_interval: 100ms
  static_configs: [{{targets: ['{}']}}]
{more}",
        target.address
    ))
}

pub(crate) fn collector(store: &Arc<FakeStore>) -> Collector {
    Collector::new(Parts {
        append: store.clone(),
        clock: Arc::new(SystemClock),
        http: Arc::new(HttpClient::new()),
        seed: 7,
    })
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn eventually<'a>(
    what: &'a str,
    mut holds: impl FnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    let place = std::panic::Location::caller();
    async move {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(tokio::time::Instant::now() < end, "{place}: waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
