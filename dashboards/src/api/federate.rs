//! `/federate`: the newest samples of the selected series as a page that another server scrapes.
//!
//! Place in the flow: another Prometheus → **here** → the store → the text formats (`exposed`).
//!
//! Native histograms are left out: the text formats have no words for them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use model::labels::METRIC_NAME;
use model::sample::is_stale_nan;
use model::time::{TimeRange, TimestampMs};
use model::{Labels, Matcher};
use storage::{Store, Want};

use crate::api::envelope::ApiError;
use crate::api::exposed::Form;
use crate::api::params::Params;
use crate::api::series::{on_index, store};
use crate::parts::Parts;

/// How far back a sample may lie, if no engine says so.
const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// The page.
pub async fn federate(
    State(parts): State<Parts>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let store = store(&parts)?;
    let selectors = params.selectors()?;
    let now = parts.clock.now();
    let lookback_ms = parts.engine.as_ref().map_or(LOOKBACK_MS, |own| own.settings().lookback_ms);
    let range = TimeRange::closed(now.plus_ms(1 - lookback_ms), now);
    let external = parts.control.status().external_labels;
    let accept = headers.get(header::ACCEPT).and_then(|own| own.to_str().ok()).unwrap_or("");
    let form = Form::accepted(accept);
    let work = move || match range {
        Some(range) => page(&store, &selectors, (range, form), &external),
        None => Ok(String::new()),
    };
    let page = on_index(work).await?;
    Ok(([(header::CONTENT_TYPE, form.content_type())], page).into_response())
}

fn page(
    store: &Store,
    selectors: &[Vec<Matcher>],
    (range, form): (TimeRange, Form),
    external: &Labels,
) -> Result<String, storage::Error> {
    let mut series = BTreeMap::new();
    for matchers in selectors {
        for entry in store.series(matchers, range, 0)? {
            series.insert(entry.id, entry.labels);
        }
    }
    let (ids, labels): (Vec<_>, Vec<Labels>) = series.into_iter().unzip();
    let mut found = Vec::new();
    for mut reader in store.read(&ids, range, Want::Newest, 1)? {
        while let Some(slice) = reader.next_series() {
            let newest = slice.instants_ms.last().zip(slice.values.last());
            if let Some((at_ms, value)) = newest.filter(|(_, value)| !is_stale_nan(**value)) {
                found.push((slice.position, TimestampMs(*at_ms), *value));
            }
        }
    }
    found.sort_by(|one, two| {
        let (one, two) = (&labels[one.0], &labels[two.0]);
        (one.metric_name(), one).cmp(&(two.metric_name(), two))
    });
    let mut out = String::new();
    let mut family = None;
    for (position, at, value) in found {
        let own = &labels[position];
        let metric = own.metric_name();
        if metric.is_empty() {
            continue;
        }
        if family != Some(metric) {
            form.write_type(&mut out, metric);
            family = Some(metric);
        }
        form.write_sample(&mut out, (metric, &told(own, external)), (at, value));
    }
    out.push_str(form.end());
    Ok(out)
}

/// With the labels that leave with everything; and with an empty `instance` where there is none, so
/// that a reader that honours labels does not put its own there.
fn told<'a>(labels: &'a Labels, external: &'a Labels) -> BTreeMap<&'a str, &'a str> {
    let mut all = BTreeMap::from([("instance", "")]);
    all.extend(external.iter());
    all.extend(labels.iter());
    all.remove(METRIC_NAME);
    all
}
