//! `/api/v1/series`, `/api/v1/labels`, `/api/v1/label/<name>/values`: answered from the index alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use model::labels::Labels;
use storage::Store;

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::parts::Parts;

/// The store, if it is here.
pub(super) fn store(parts: &Parts) -> Result<Arc<Store>, ApiError> {
    parts.store.clone().ok_or_else(|| ApiError::not_here("store"))
}

/// One more than asked for, so that a truncated answer can say so.
fn probe(limit: usize) -> usize {
    limit.saturating_add(1)
}

fn cut<T: serde::Serialize>(mut list: Vec<T>, limit: usize) -> Success<Vec<T>> {
    let truncated = list.len() > limit;
    list.truncate(limit);
    let warning = truncated.then(|| "results truncated due to limit".to_owned());
    Success::new(list).with_warnings(warning.into_iter().collect())
}

/// Runs index work where it may take its time.
pub(super) async fn on_index<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, storage::Error> + Send + 'static,
) -> Result<T, ApiError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| ApiError::internal(format!("index task: {error}")))?.map_err(Into::into)
}

/// The label sets of all series that match.
pub async fn series(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Vec<BTreeMap<String, String>>>, ApiError> {
    let store = store(&parts)?;
    let (selectors, range, limit) = (params.selectors()?, params.range()?, params.limit()?);
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let found = on_index(move || {
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        for matchers in &selectors {
            let entries = store.series(matchers, range, probe(limit))?;
            found.extend(entries.into_iter().map(|entry| entry.labels));
        }
        Ok(found)
    })
    .await?;
    let maps = found.iter().take(probe(limit)).map(|labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    });
    Ok(cut(maps.collect(), limit))
}

/// All label names.
pub async fn labels(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Vec<String>>, ApiError> {
    let store = store(&parts)?;
    let selectors = params.selectors_or_all()?;
    let (range, limit) = (params.range()?, params.limit()?);
    let names = on_index(move || {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for matchers in &selectors {
            names.extend(store.label_names(matchers, range, probe(limit))?);
        }
        Ok(names)
    })
    .await?;
    Ok(cut(names.into_iter().collect(), limit))
}

/// All values of one label.
pub async fn label_values(
    State(parts): State<Parts>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Success<Vec<String>>, ApiError> {
    let store = store(&parts)?;
    let Path(name) = path.map_err(|error| ApiError::bad_parameter("name", error.body_text()))?;
    let name = unescape(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    let selectors = params.selectors_or_all()?;
    let (range, limit) = (params.range()?, params.limit()?);
    let values = on_index(move || {
        let mut values: BTreeSet<String> = BTreeSet::new();
        for matchers in &selectors {
            values.extend(store.label_values(&name, matchers, range, probe(limit))?);
        }
        Ok(values)
    })
    .await?;
    Ok(cut(values.into_iter().collect(), limit))
}

/// `U__http_2e_status` is `http.status`: the escaping of names that a URL can't carry.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(start) = rest.find('_') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let Some(end) = rest.find('_') else { return name.to_owned() };
        let code = &rest[..end];
        if code.is_empty() {
            out.push('_');
        } else {
            match u32::from_str_radix(code, 16).ok().and_then(char::from_u32) {
                Some(character) => out.push(character),
                None => return name.to_owned(),
            }
        }
        rest = &rest[end + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn unescapes_names() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__bad_zz_x", "U__bad_zz_x"),
        ] {
            assert_eq!(unescape(escaped), name);
        }
    }
}
