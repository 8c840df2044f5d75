//! CPU per sample of taking remote-write messages, without HTTP and store.
//!
//! `cargo bench -p collector --bench push`. The shape is that of the benchmark of the whole: 5,000
//! series of four to five labels, one sample each; "wide" has eight labels.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use collector::push::{Receiver, ReceiverParts, unpack_snappy};
use model::append::{AppendError, Appended, SeriesId, SeriesKey};
use model::clock::SystemClock;
use model::{Append, Batch, BoxFuture, Labels, SeriesIx};

/// Takes everything and numbers series.
#[derive(Default)]
struct Numbers {
    ids: Mutex<HashMap<Labels, SeriesId>>,
}

impl Append for Numbers {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let mut ids = self.ids.lock().unwrap();
            let mut appended =
                Appended { accepted: batch.samples().len() as u64, ..Appended::default() };
            appended.ids = (0..batch.series_count() as u32)
                .map(|index| match batch.key(SeriesIx(index)) {
                    SeriesKey::Known(id) => Some(id),
                    SeriesKey::Labels { text, ends } => {
                        let next = SeriesId(ids.len() as u64);
                        let labels = Labels::from_parts(text, ends).unwrap();
                        Some(*ids.entry(labels).or_insert(next))
                    }
                })
                .collect();
            Ok(appended)
        })
    }
}

fn receiver() -> Receiver {
    Receiver::new(ReceiverParts {
        append: Arc::new(Numbers::default()),
        clock: Arc::new(SystemClock),
        seed: 0x5eed,
        cache_bytes_max: 64 << 20,
    })
}

const SERIES: usize = 5_000;
const ROUNDS: usize = 600;

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn labels(index: usize, wide: bool) -> Vec<(String, String)> {
    let own = index % 427;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut labels =
        vec![pair("instance", &format!("host-{:03}:9100", index / 427)), pair("job", "bench")];
    match own {
        0..200 => labels.extend([
            pair("__name__", "bench_cpu_seconds_total"),
            pair("cpu", &(own / 8).to_string()),
            pair("mode", ["user", "system", "idle", "iowait"][own % 4]),
            pair("number", &own.to_string()),
        ]),
        200..300 => {
            labels.extend([pair("__name__", "bench_gauge"), pair("id", &own.to_string())]);
        }
        _ => labels.extend([
            pair("__name__", "bench_request_seconds_bucket"),
            pair("le", ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25"][own % 6]),
            pair("route", &format!("/r{}", own / 6)),
        ]),
    }
    if wide {
        labels.extend([
            pair("cluster", "production-eu-west-1"),
            pair("namespace", "shop"),
            pair("pod", &format!("shop-frontend-7c9d8f-{:05}", index / 20)),
        ]);
    }
    labels.sort();
    labels
}

fn sample(step: usize, index: usize) -> Vec<u8> {
    let value = (step * index) as f64 * 1.25;
    let mut sample = Vec::new();
    if value != 0.0 {
        sample.push(0x09);
        sample.extend_from_slice(&value.to_le_bytes());
    }
    sample.push(0x10);
    put_varint(&mut sample, (1_700_000_000_000 + step * 15_000) as u64);
    sample
}

fn message_v2(step: usize, wide: bool) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut numbers = HashMap::from([(String::new(), 0)]);
    let mut number = |text: String| {
        *numbers.entry(text.clone()).or_insert_with(|| {
            symbols.push(text);
            symbols.len() as u64 - 1
        })
    };
    let mut all = Vec::new();
    for index in 0..SERIES {
        let (mut series, mut refs, mut metadata) = (Vec::new(), Vec::new(), vec![0x08, 1, 0x18]);
        for (name, value) in labels(index, wide) {
            put_varint(&mut refs, number(name));
            put_varint(&mut refs, number(value));
        }
        put_bytes(&mut series, 1, &refs);
        put_bytes(&mut series, 2, &sample(step, index));
        put_varint(&mut metadata, number("Some help.".to_owned()));
        put_bytes(&mut series, 5, &metadata);
        put_bytes(&mut all, 5, &series);
    }
    let mut request = Vec::new();
    for symbol in &symbols {
        put_bytes(&mut request, 4, symbol.as_bytes());
    }
    request.extend_from_slice(&all);
    request
}

fn message(step: usize, wide: bool) -> Vec<u8> {
    let mut request = Vec::new();
    for index in 0..SERIES {
        let mut series = Vec::new();
        for (name, value) in labels(index, wide) {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut series, 1, &label);
        }
        put_bytes(&mut series, 2, &sample(step, index));
        put_bytes(&mut request, 1, &series);
    }
    request
}

/// CPU nanoseconds of this thread.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn report(name: &str, samples: usize, mut run: impl FnMut(usize)) {
    run(0);
    run(1);
    let mut best = f64::MAX;
    let begin = cpu_ns();
    for round in 0..ROUNDS {
        let start = std::time::Instant::now();
        run(round);
        best = best.min(start.elapsed().as_nanos() as f64 / samples as f64);
    }
    let cpu = (cpu_ns() - begin) as f64 / (samples * ROUNDS) as f64;
    println!("{name:40} {cpu:8.1} ns/sample CPU, best round {best:8.1} ns");
}

fn pack(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for wide in [false, true] {
        let name = |what: &str| format!("{what}, {}", if wide { "wide" } else { "plain" });
        let plain: Vec<Vec<u8>> = (1..9).map(|step| message(step, wide)).collect();
        let packed: Vec<Vec<u8>> = plain.iter().map(|message| pack(message)).collect();
        println!("{} bytes a sample, {} packed", plain[0].len() / SERIES, packed[0].len() / SERIES);
        let mut room = vec![0; plain[0].len() + 1000];
        report(&name("snap alone"), SERIES, |round| {
            let body = &packed[round % 8];
            black_box(snap::raw::Decoder::new().decompress(body, &mut room).unwrap());
        });
        report(&name("1.0 by labels"), SERIES, |round| {
            let message = unpack_snappy(&packed[round % 8]).unwrap();
            black_box(collector::push::decode_v1(&message).unwrap());
        });
        let v2: Vec<Vec<u8>> = (1..9).map(|step| pack(&message_v2(step, wide))).collect();
        for (version, kind, bodies) in [
            ("1.0", "", &packed),
            ("2.0", "application/x-protobuf;proto=io.prometheus.write.v2.Request", &v2),
        ] {
            let receiver = receiver();
            report(&name(&format!("{version}, known series, all in")), SERIES, |round| {
                let answer = receiver.remote_write(kind, "snappy", &bodies[round % 8]);
                assert_eq!(runtime.block_on(answer).status, 204);
            });
        }
    }
}
