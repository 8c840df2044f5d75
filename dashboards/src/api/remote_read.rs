//! `/api/v1/read`: whole series for another server that asks this one.
//!
//! Place in the flow: another Prometheus → `message` (what is asked) → **here** → the store →
//! `message` (samples) or `frame` and `xor` (chunks, one frame after the other).
//!
//! Chunks are preferred, since they leave series by series. Native histograms have no chunk here:
//! where the selected series hold some, samples are given, and who takes only chunks is told so.
//!
//! Not here: what a query makes of the series.

/// Protobuf of the request and of the sampled answer.
mod message;
/// Frames of the streamed answer.
mod frame;
/// Samples in chunks.
mod xor;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use model::append::SeriesId;
use model::{Labels, MatchOp, Matcher};
use storage::{Store, Want};
use tokio::sync::mpsc;

use crate::access::{Identity, Scope};
use crate::api::write::text;
use crate::parts::Parts;
use message::{Question, Request, Samples};

/// Longest request, unpacked.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Most samples of an answer that is no stream.
const SAMPLES_MAX: usize = 50_000_000;
/// Series that are read at once; their order is made after reading.
const WINDOW_SERIES: usize = 256;
/// Frames that wait for the network.
const FRAMES_WAITING_MAX: usize = 4;

/// Why there is no answer: code and reason.
type Refusal = (StatusCode, String);

/// Answers a read request.
pub async fn read(State(parts): State<Parts>, identity: Identity, body: Bytes) -> Response {
    match answer(&parts, identity.scope(), &body).await {
        Ok(response) => response,
        Err((code, reason)) => text(code, &reason),
    }
}

async fn answer(parts: &Parts, scope: &Scope, body: &[u8]) -> Result<Response, Refusal> {
    let Some(store) = parts.store.clone() else {
        let reason = "the service \"store\" does not run here; see --services";
        return Err((StatusCode::NOT_FOUND, reason.to_owned()));
    };
    let request = unpacked(body)?;
    let external = parts.control.status().external_labels;
    let limit = parts.engine.as_ref().map_or(SAMPLES_MAX, |own| own.settings().samples_max);
    let scope = scope.clone();
    let work = move || Chosen::new(&store, request, (external, &scope), limit);
    let chosen = tokio::task::spawn_blocking(work);
    let chosen = chosen.await.map_err(|error| internal(&error))??;
    if chosen.is_streamed { Ok(chosen.stream()) } else { chosen.sampled().await }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("read the store: {error}"))
}

fn unpacked(body: &[u8]) -> Result<Request, Refusal> {
    let wrong = |reason: &str| (StatusCode::BAD_REQUEST, reason.to_owned());
    let length =
        snap::raw::decompress_len(body).map_err(|_| wrong("the body is no snappy block"))?;
    if length > REQUEST_BYTES_MAX {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "the request is too long".to_owned()));
    }
    let message = snap::raw::Decoder::new().decompress_vec(body);
    let message = message.map_err(|_| wrong("the body is no snappy block"))?;
    message::read(&message).map_err(|reason| wrong(&reason))
}

/// A question with the series that answer it, in order.
struct Found {
    question: Question,
    ids: Vec<SeriesId>,
    labels: Vec<Labels>,
}

/// What is asked, found, and how it will be answered.
struct Chosen {
    store: std::sync::Arc<Store>,
    found: Vec<Found>,
    is_streamed: bool,
    samples_max: usize,
}

impl Chosen {
    fn new(
        store: &std::sync::Arc<Store>,
        request: Request,
        (external, scope): (Labels, &Scope),
        samples_max: usize,
    ) -> Result<Chosen, Refusal> {
        let mut found = Vec::new();
        let mut has_histograms = false;
        for mut question in request.questions {
            question.matchers.retain(|matcher| !is_external(matcher, &external));
            // Last, so that nothing takes it away again.
            question.matchers = scope.narrow(std::mem::take(&mut question.matchers));
            let Some(range) = question.range else {
                found.push(Found { question, ids: Vec::new(), labels: Vec::new() });
                continue;
            };
            let series = store.series(&question.matchers, range, 0);
            let series = series.map_err(|error| internal(&error))?;
            let ids: Vec<SeriesId> = series.iter().map(|entry| entry.id).collect();
            let labels = series.iter().map(|entry| with(&entry.labels, &external)).collect();
            let mut beside = store.beside(&ids, range).map_err(|error| internal(&error))?;
            has_histograms |= beside.any(|one| one.is_ok_and(|one| !one.histograms.is_empty()));
            found.push(Found { question, ids, labels });
        }
        let is_streamed = request.takes_chunks && !has_histograms;
        if !is_streamed && !request.takes_samples {
            let reason = "the selected series hold native histograms, which are only given as \
                          samples; accept SAMPLES too";
            return Err((StatusCode::NOT_ACCEPTABLE, reason.to_owned()));
        }
        Ok(Chosen { store: std::sync::Arc::clone(store), found, is_streamed, samples_max })
    }

    /// The streamed answer. The thread that reads ends when the reader has gone; when it can't read
    /// on, the connection breaks, so that nobody takes a part for the whole.
    fn stream(self) -> Response {
        let (sender, frames) = mpsc::channel::<std::io::Result<Vec<u8>>>(FRAMES_WAITING_MAX);
        let reading = tokio::task::spawn_blocking(move || {
            for (index, found) in self.found.iter().enumerate() {
                let sent = self.each(found, |labels, own| {
                    let (instants_ms, values) = (&own.instants_ms, &own.values);
                    let frames = frame::frames(index as u64, labels, instants_ms, values);
                    frames.into_iter().all(|frame| sender.blocking_send(Ok(frame)).is_ok())
                });
                match sent {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err((_, reason)) => {
                        // Nobody is told when nobody reads.
                        let _ = sender.blocking_send(Err(std::io::Error::other(reason)));
                        return;
                    }
                }
            }
        });
        let state = (frames, Some(reading));
        let pieces = futures::stream::unfold(state, |(mut frames, reading)| async {
            if let Some(frame) = frames.recv().await {
                return Some((frame, (frames, reading)));
            }
            if let Some(reading) = reading {
                // It has sent all it had, so this is at once.
                let _ = reading.await;
            }
            None
        });
        let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
        (headers, Body::from_stream(pieces.fuse())).into_response()
    }

    /// The answer in one piece.
    async fn sampled(self) -> Result<Response, Refusal> {
        let packed = tokio::task::spawn_blocking(move || self.message());
        let packed = packed.await.map_err(|error| internal(&error))??;
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf")),
            (header::CONTENT_ENCODING, HeaderValue::from_static("snappy")),
        ];
        Ok((headers, packed).into_response())
    }

    fn message(&self) -> Result<Vec<u8>, Refusal> {
        let (mut count, mut answer) = (0, Vec::new());
        for found in &self.found {
            let mut result = Vec::new();
            let is_whole = self.each(found, |labels, samples| {
                count += samples.instants_ms.len() + samples.histograms.len();
                message::put_series(&mut result, labels, samples);
                count <= self.samples_max
            })?;
            if !is_whole {
                let reason = format!("exceeded sample limit ({})", self.samples_max);
                return Err((StatusCode::BAD_REQUEST, reason));
            }
            message::put_bytes(&mut answer, 1, &result);
        }
        let packed = snap::raw::Encoder::new().compress_vec(&answer);
        packed.map_err(|error| internal(&error))
    }

    /// Calls `take` with each series in order, until it says that it is enough. Answers whether it
    /// never did.
    fn each(
        &self,
        found: &Found,
        mut take: impl FnMut(&Labels, &Samples) -> bool,
    ) -> Result<bool, Refusal> {
        let Some(range) = found.question.range else { return Ok(true) };
        for (window, labels) in
            found.ids.chunks(WINDOW_SERIES).zip(found.labels.chunks(WINDOW_SERIES))
        {
            let mut read: Vec<Samples> = Vec::new();
            read.resize_with(window.len(), Samples::default);
            let readers = self.store.read(window, range, Want::All, 1);
            for mut reader in readers.map_err(|error| internal(&error))? {
                while let Some(slice) = reader.next_series() {
                    read[slice.position].instants_ms = slice.instants_ms.to_vec();
                    read[slice.position].values = slice.values.to_vec();
                }
            }
            if !self.is_streamed {
                let beside = self.store.beside(window, range).map_err(|error| internal(&error))?;
                for one in beside {
                    let one = one.map_err(|error| internal(&error))?;
                    read[one.position].histograms = one.histograms;
                }
            }
            let filled = labels.iter().zip(&read).filter(|(_, own)| !own.is_empty());
            for (labels, samples) in filled {
                if !take(labels, samples) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Whether a condition asks for what every series carries when it leaves.
fn is_external(matcher: &Matcher, external: &Labels) -> bool {
    matcher.op() == MatchOp::Equal && external.get(matcher.name()) == Some(matcher.value())
}

fn with(labels: &Labels, external: &Labels) -> Labels {
    let mut builder = external.to_builder();
    for (name, value) in labels.iter() {
        builder.set(name, value);
    }
    builder.build()
}
