//! `/api/v1/admin/tsdb/…`: what acts on the data as a whole.
//!
//! Place in the flow: HTTP → **here** → the whole's [`Admin`], which takes its time on other threads.
//!
//! Off unless the operator allowed it, since nobody has to log in: then every call is answered with
//! 403.
//!
//! Not here: what a snapshot is made of (belfry, storage).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

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
    let skip_head = boolean(&params, "skip_head")?;
    let name = admin.snapshot(skip_head).await;
    let name = name.map_err(|error| ApiError::internal(format!("create snapshot: {error}")))?;
    Ok(Success::new(json!({"name": name})))
}

/// What upstream takes for a boolean; absent is `false`.
fn boolean(params: &Params, name: &str) -> Result<bool, ApiError> {
    match params.get(name) {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some(text) => {
            Err(ApiError::bad_parameter(name, format!("cannot parse \"{text}\" to a boolean")))
        }
    }
}
