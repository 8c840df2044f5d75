//! CPU per sample of taking remote-write messages, without HTTP and store.
//!
//! `cargo bench -p collector --bench push`. The shape is that of the benchmark of the whole: 5,000
//! series of four to five labels, one sample each; "wide" has eight labels.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;

const SERIES: usize = 5_000;
const ROUNDS: usize = 60;

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
    let mut labels = vec![
        pair("instance", &format!("host-{:03}:9100", index / 427)),
        pair("job", "bench"),
    ];
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
        let value = (step * index) as f64 * 1.25;
        let mut sample = vec![0x09];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(0x10);
        put_varint(&mut sample, (1_700_000_000_000 + step * 15_000) as u64);
        put_bytes(&mut series, 2, &sample);
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

fn main() {
    for wide in [false, true] {
        let name = |what: &str| format!("{what}, {}", if wide { "wide" } else { "plain" });
        let plain: Vec<Vec<u8>> = (0..8).map(|step| message(step, wide)).collect();
        let packed: Vec<Vec<u8>> = plain
            .iter()
            .map(|message| snap::raw::Encoder::new().compress_vec(message).unwrap())
            .collect();
        println!(
            "{} bytes a sample, {} packed",
            plain[0].len() / SERIES,
            packed[0].len() / SERIES
        );
        let mut room = vec![0; plain[0].len() + 1000];
        report(&name("snap alone"), SERIES, |round| {
            let body = &packed[round % 8];
            black_box(snap::raw::Decoder::new().decompress(body, &mut room).unwrap());
        });
        report(&name("decode"), SERIES, |round| {
            let body = &packed[round % 8];
            black_box(collector::push::remote_write::decode("", "", body).unwrap());
        });
    }
}
