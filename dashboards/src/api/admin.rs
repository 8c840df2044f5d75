//! `/api/v1/admin/tsdb/…`: what acts on the data as a whole.
//!
//! Place in the flow: HTTP → **here** → the whole's [`Admin`], which takes its time on other threads.
//!
//! Off unless the operator allowed it: then every call is answered with 403.
//!
//! Not here: what a snapshot is made of (belfry, storage).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use storage::{DeletionId, Store, Undone};

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::parts::{Admin, Parts};

fn admin(parts: &Parts) -> Result<&Arc<dyn Admin>, ApiError> {
    let disabled = || ApiError::new(StatusCode::FORBIDDEN, "unavailable", "admin APIs disabled");
    parts.admin.as_ref().ok_or_else(disabled)
}

/// Makes a picture of everything durable below `snapshots/` in the data folder.
pub async fn snapshot(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    let admin = admin(&parts)?;
    let skip_head = params.boolean("skip_head")?.unwrap_or(false);
    let name = admin.snapshot(skip_head).await;
    let name = name.map_err(|error| ApiError::internal(format!("create snapshot: {error}")))?;
    Ok(Success::new(json!({"name": name})))
}

/// Runs work that holds a thread on the store, if the operator allowed it.
async fn on_store<T: Send + 'static>(
    parts: &Parts,
    work: impl FnOnce(&Store) -> Result<T, storage::Error> + Send + 'static,
) -> Result<T, ApiError> {
    admin(parts)?;
    let store = parts.store.clone().ok_or_else(|| ApiError::not_here("store"))?;
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    let done = done.map_err(|problem| ApiError::internal(format!("it ended early: {problem}")))?;
    Ok(done?)
}

/// Hides the samples of the selected series in the range. Later ones show.
pub async fn delete_series(
    State(parts): State<Parts>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    admin(&parts)?;
    let (selectors, range) = (params.selectors()?, params.range()?);
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let delete = move |store: &Store| {
        selectors.iter().try_for_each(|matchers| store.delete(matchers, range).map(drop))
    };
    on_store(&parts, delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Carries out all deletions: rewrites the blocks they touch.
pub async fn clean_tombstones(State(parts): State<Parts>) -> Result<StatusCode, ApiError> {
    on_store(&parts, Store::clean).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes everything in memory to blocks and merges all that can be merged.
pub async fn compact(State(parts): State<Parts>) -> Result<StatusCode, ApiError> {
    on_store(&parts, Store::compact).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The deletions that are not carried out everywhere yet.
pub async fn tombstones(State(parts): State<Parts>) -> Result<Success<Value>, ApiError> {
    let all = on_store(&parts, |store| Ok(store.tombstones())).await?;
    let shown = all.iter().map(|own| {
        let matchers: Vec<String> = own.matchers.iter().map(ToString::to_string).collect();
        json!({
            "id": own.id.0,
            "selector": format!("{{{}}}", matchers.join(",")),
            "start": own.range.start_ms().0 as f64 / 1000.0,
            "end": own.range.end_ms().0 as f64 / 1000.0,
            "created": own.created.0 as f64 / 1000.0,
            "partlyDone": own.is_partly_done,
        })
    });
    Ok(Success::new(shown.collect()))
}

/// Takes a deletion back, as far as no merge has carried it out.
pub async fn undelete(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    admin(&parts)?;
    let text = params.required("id")?;
    let number = text.parse().map_err(|_| {
        ApiError::bad_parameter(
            "id",
            format!("cannot parse \"{text}\" to the number of a deletion"),
        )
    })?;
    let undone = on_store(&parts, move |store| store.undelete(DeletionId(number))).await?;
    match undone {
        Undone::Whole => Ok(Success::new(json!({"undone": "whole"}))),
        Undone::Partly => Ok(Success::new(json!({"undone": "partly"}))),
        Undone::Nothing => {
            let message = format!("there is no deletion {number} that could be taken back");
            Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", message))
        }
    }
}
