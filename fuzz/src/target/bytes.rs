//! Bytes from the network and from pages as targets.
//!
//! Place in the flow: what a sender or a target may send → its decoder.
//!
//! Not here: files (`files`).

use collector::exposition::text::Lines;
use collector::exposition::{Format, series};
use collector::push::{Decoded, PushError, decode_v1, decode_v2, unpack_snappy};

use super::Golden;
use crate::random::Random;

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    put_varint(out, value);
}

fn sample(index: u64) -> Vec<u8> {
    let mut sample = Vec::new();
    put_double(&mut sample, 1, index as f64 * 0.1);
    put_number(&mut sample, 2, 1_700_000_000_000 + index);
    sample
}

/// A native histogram with two spans and three buckets.
fn histogram() -> Vec<u8> {
    let mut histogram = Vec::new();
    put_number(&mut histogram, 1, 6);
    put_double(&mut histogram, 3, 12.5);
    put_number(&mut histogram, 4, 6);
    put_double(&mut histogram, 5, 1e-128);
    for (offset, length) in [(2, 2), (4, 1)] {
        let mut span = Vec::new();
        put_number(&mut span, 1, offset);
        put_number(&mut span, 2, length);
        put_bytes(&mut histogram, 11, &span);
    }
    put_bytes(&mut histogram, 12, &[2, 2, 3]);
    put_number(&mut histogram, 15, 1_700_000_000_000);
    histogram
}

/// Messages of remote write 1.0, not compressed.
pub fn remote_write_1_seeds(_: &Golden, random: &mut Random) -> Vec<Vec<u8>> {
    let message = |random: &mut Random| {
        let mut request = Vec::new();
        for _ in 0..1 + random.below(6) {
            let mut series = Vec::new();
            for (name, value) in [("__name__", "up"), ("instance", "a:9100"), ("job", "node")] {
                let mut pair = Vec::new();
                put_bytes(&mut pair, 1, name.as_bytes());
                put_bytes(&mut pair, 2, value.as_bytes());
                put_bytes(&mut series, 1, &pair);
            }
            (0..random.below(5)).for_each(|index| put_bytes(&mut series, 2, &sample(index)));
            if random.one_in(3) {
                put_bytes(&mut series, 4, &histogram());
            }
            put_bytes(&mut request, 1, &series);
        }
        request
    };
    (0..8).map(|_| message(random)).collect()
}

/// Messages of remote write 2.0, not compressed.
pub fn remote_write_2_seeds(_: &Golden, random: &mut Random) -> Vec<Vec<u8>> {
    let message = |random: &mut Random| {
        let mut request = Vec::new();
        for symbol in ["", "__name__", "up", "job", "node", "instance", "a:9100", "Help.", "s"] {
            put_bytes(&mut request, 4, symbol.as_bytes());
        }
        for _ in 0..1 + random.below(6) {
            let mut series = Vec::new();
            put_bytes(&mut series, 1, &[1, 2, 5, 6, 3, 4]);
            (0..random.below(5)).for_each(|index| put_bytes(&mut series, 2, &sample(index)));
            if random.one_in(3) {
                put_bytes(&mut series, 3, &histogram());
            }
            put_bytes(&mut series, 5, &[1 << 3, 2, 3 << 3, 7, 4 << 3, 8]);
            put_bytes(&mut request, 5, &series);
        }
        request
    };
    (0..8).map(|_| message(random)).collect()
}

/// A sample takes at least eight bytes of its message.
fn check_size(decoded: Result<Decoded, PushError>, bytes: &[u8]) -> Result<(), String> {
    let samples = decoded.map_or(0, |decoded| decoded.batch.samples().len());
    match samples > bytes.len() / 8 {
        true => Err(format!("{samples} samples out of {} bytes", bytes.len())),
        false => Ok(()),
    }
}

/// A message of remote write 1.0.
pub fn remote_write_1(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    check_size(decode_v1(bytes), bytes)
}

/// A message of remote write 2.0.
pub fn remote_write_2(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    check_size(decode_v2(bytes), bytes)
}

/// Bodies of remote write.
pub fn snappy_seeds(golden: &Golden, random: &mut Random) -> Vec<Vec<u8>> {
    let messages = remote_write_1_seeds(golden, random);
    let long = vec![7; 100_000];
    let compressed = |message: &Vec<u8>| {
        snap::raw::Encoder::new().compress_vec(message).expect("snappy takes any bytes")
    };
    messages.iter().chain([&long]).map(compressed).collect()
}

/// A body of remote write: where another decoder reads it, ours reads the same.
pub fn snappy(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let ours = unpack_snappy(bytes);
    let is_small = snap::raw::decompress_len(bytes).is_ok_and(|length| length < 1 << 20);
    let other = is_small.then(|| snap::raw::Decoder::new().decompress_vec(bytes).ok()).flatten();
    match (ours, other) {
        (Ok(ours), Some(other)) if ours != other => Err("two decoders read two messages".into()),
        _ => Ok(()),
    }
}

/// Pages of targets; the first byte chooses the format.
pub fn exposition_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    let text = "# HELP up Whether \\\\ it \\n lives.\n# TYPE up gauge\nup 1\n\
        up{job=\"a\",instance=\"b:1\"} 0.5 1700000000000\n# TYPE h histogram\n\
        h_bucket{le=\"0.1\"} 3\nh_bucket{le=\"+Inf\"} 7\nh_sum 1.5e-3\nh_count 7\n\
        s{quantile=\"0.99\",x=\"\\\"\\\\\\n\"} NaN\n{\"utf8.name\",a=\"\u{fc}\"} -Inf\n";
    let open = "# TYPE c counter\n# UNIT c seconds\nc_total{a=\"b\"} 1.0 1700000000.5 # {trace_id=\"x\"} 0.5 1700000000\n\
        c_created 1600000000\n# TYPE g gauge\ng 1\n# EOF\n";
    vec![
        [b"t", text.as_bytes()].concat(),
        [b"o", open.as_bytes()].concat(),
        [b"o", text.as_bytes()].concat(),
    ]
}

/// A page of a target.
pub fn exposition(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let Some((first, page)) = bytes.split_first() else { return Ok(()) };
    let format = if first & 1 == 0 { Format::Text } else { Format::OpenMetrics };
    let mut lines = Lines::new(page, format);
    let (mut pairs, mut count) = (Vec::new(), 0);
    while let Ok(Some(line)) = lines.next_line() {
        let _ = series::labels(line.series, format, lines.kind(), &mut pairs);
        count += 1;
        if count > page.len() {
            return Err(format!("{count} lines out of {} bytes", page.len()));
        }
    }
    Ok(())
}
