//! `/api/v1/openapi.yaml` and `/api/v1/openapi.json`.
//!
//! Place in the flow: [`super::document`] → **`serve`** → the page at `/docs`, generators of clients.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApiVersion;

use super::{document, table};
use crate::api::envelope::ApiError;
use crate::api::params::Params;
use crate::parts::Gate;

fn wanted(params: &Params) -> Result<OpenApiVersion, ApiError> {
    match params.get("openapi_version") {
        None | Some("3.1") => Ok(OpenApiVersion::Version31),
        Some("3.2") => Ok(OpenApiVersion::Version32),
        Some(other) => {
            let message = format!("there is 3.1 and 3.2, and not \"{other}\"");
            Err(ApiError::bad_parameter("openapi_version", message))
        }
    }
}

/// The document as YAML.
pub async fn yaml(State(gate): State<Gate>, params: Params) -> Result<Response, ApiError> {
    let own = document(&table(), &gate.web().route_prefix, wanted(&params)?);
    let text = own.to_yaml();
    let text = text.map_err(|error| ApiError::internal(format!("write the document: {error}")))?;
    Ok(([(header::CONTENT_TYPE, "application/yaml; charset=utf-8")], text).into_response())
}

/// The document as JSON.
pub async fn json(State(gate): State<Gate>, params: Params) -> Result<Response, ApiError> {
    let own = document(&table(), &gate.web().route_prefix, wanted(&params)?);
    let text = own.to_json();
    let text = text.map_err(|error| ApiError::internal(format!("write the document: {error}")))?;
    Ok((crate::api::envelope::JSON, text).into_response())
}
