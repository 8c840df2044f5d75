//! `/api/v1` as Prometheus speaks it, and `/api/v2` as Alertmanager does.
//!
//! Place in the flow: text in, types through, shape out. A handler decides nothing.

/// The envelope around every answer, and errors with their status codes.
pub mod envelope;
/// Parameters from the URL and the form body, merged; times, durations, limits.
pub mod params;
/// JSON of query answers, written once into the body.
pub mod json;
/// Long answers on their way: written and packed ahead, side by side.
pub mod leaving;
/// `/query`, `/query_range`.
pub mod query;
/// `/explain`: what each part of a query cost.
pub mod explain;
/// `/format_query`, `/parse_query`.
pub mod language;
/// `/queries`: what runs now.
pub mod running;
/// `/series`, `/labels`, `/label/<name>/values`.
pub mod series;
/// How alike a name is to what somebody types.
mod likeness;
/// `/search/…`.
pub mod search;
/// `/metadata`, `/query_exemplars`.
pub mod beside;
/// `/sql`.
pub mod sql;
/// `/rules`, `/alerts`.
pub mod rules;
/// `/targets`, `/targets/metadata`.
pub mod targets;
/// `/scrape_pools…`, `/targets/relabel_steps`.
pub mod pools;
/// `/status/…` and the small answers that clients probe for.
pub mod status;
/// `/notifications`, and as a stream of events.
pub mod notifications;
/// Series as lines of the text formats.
mod exposed;
/// `/federate`.
pub mod federate;
/// `/read`: whole series for another server.
pub mod remote_read;
/// `/admin/tsdb/…`: what acts on the data as a whole.
pub mod admin;
/// `/write`: remote write.
pub mod write;
/// Text import.
pub mod import;
/// `/api/v2`.
pub mod alertmanager;
/// `/api/v2/silences`.
pub mod silences;
