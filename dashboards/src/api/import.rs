//! `/api/v1/import/prometheus`: a page of samples as text. Success means fsynced.
//!
//! Place in the flow: HTTP body, piece by piece → **`text`** → `collector::push::import::Import`.
//!
//! The body is never held as a whole, so no limit of a request's size applies; the import has its own
//! for the page unpacked, and each piece must come within a while.
//!
//! Not here: reading the page (collector).

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use collector::push::import::{Import, ImportError, ImportOptions};
use futures::StreamExt;
use model::TimestampMs;

use super::write::{header_text, receiver, respond, text as plain};
use crate::access::Identity;
use crate::parts::Parts;

/// Longest wait for the next piece of a page.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Most extra labels.
const EXTRA_LABELS_MAX: usize = 32;

/// Takes a page. `extra_label=name=value` (repeated) is added to every series, `timestamp=` (in
/// milliseconds) is the time of samples without one.
pub async fn text(
    State(parts): State<Parts>,
    identity: Identity,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(receiver) = receiver(parts, &identity) else {
        return plain(StatusCode::NOT_FOUND, "the service \"collect\" does not run here");
    };
    let options = match options(query.as_deref().unwrap_or(""), &headers) {
        Ok(options) => options,
        Err((code, problem)) => return plain(code, &problem),
    };
    let mut import = receiver.import(options);
    let outcome = pump(&mut import, body).await;
    respond(&import.answer(outcome))
}

async fn pump(import: &mut Import<'_>, body: Body) -> Result<(), ImportError> {
    let mut pieces = body.into_data_stream();
    loop {
        let next = tokio::time::timeout(PIECE_WAIT, pieces.next()).await;
        let broken = |reason: String| ImportError::Page { reason, status: 400 };
        let piece = match next {
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => return Err(broken(format!("read the page: {error}"))),
            Ok(None) => return import.finish().await,
            Err(_) => {
                let reason = format!("nothing came for {} s", PIECE_WAIT.as_secs());
                return Err(ImportError::Page { reason, status: 408 });
            }
        };
        import.write(&piece).await?;
    }
}

fn options(query: &str, headers: &HeaderMap) -> Result<ImportOptions, (StatusCode, String)> {
    let mut options = ImportOptions::default();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "extra_label" => options.extra_labels.push(extra_label(&value)?),
            "timestamp" => {
                let ms = value.parse().map_err(|_| {
                    let problem = format!("timestamp={value} is no number of milliseconds");
                    (StatusCode::BAD_REQUEST, problem)
                })?;
                options.at = Some(TimestampMs(ms));
            }
            _ => {}
        }
    }
    if options.extra_labels.len() > EXTRA_LABELS_MAX {
        let problem = format!("at most {EXTRA_LABELS_MAX} extra labels are taken");
        return Err((StatusCode::BAD_REQUEST, problem));
    }
    let media = header_text(headers, &header::CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    options.is_open_metrics = media.eq_ignore_ascii_case("application/openmetrics-text");
    let encoding = header_text(headers, &header::CONTENT_ENCODING).trim();
    options.is_gzip = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => false,
        "gzip" | "x-gzip" => true,
        other => {
            let problem = format!("the Content-Encoding {other:?} is not read; send gzip or none");
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
        }
    };
    Ok(options)
}

fn extra_label(text: &str) -> Result<(String, String), (StatusCode, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => {
            let problem = format!("extra_label={text} is not of the form name=value");
            Err((StatusCode::BAD_REQUEST, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let read = |query: &str| options(query, &HeaderMap::new());
        let all = read("extra_label=job=a%3Db&extra_label=dc=x&timestamp=5&other=1").expect("good");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(all.extra_labels, [pair("job", "a=b"), pair("dc", "x")]);
        assert_eq!(
            (all.at, all.is_gzip, all.is_open_metrics),
            (Some(TimestampMs(5)), false, false)
        );
        for bad in ["extra_label=job", "extra_label==x", "timestamp=now", "timestamp=1.5"] {
            assert_eq!(read(bad).expect_err("refused").0, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
