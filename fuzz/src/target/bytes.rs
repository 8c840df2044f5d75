//! Bytes from the network and from pages as targets.
//!
//! Place in the flow: what a sender or a target may send → its decoder.
//!
//! Not here: files (`files`).

use collector::exposition::text::Lines;
use collector::exposition::{Format, series};
use collector::push::remote_write;

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

fn compressed(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("snappy takes any bytes")
}

/// Messages of remote write 1.0, not yet compressed.
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
            for index in 0..random.below(5) {
                let mut sample = vec![0x09];
                sample.extend_from_slice(&(index as f64 * 0.1).to_le_bytes());
                sample.push(0x10);
                put_varint(&mut sample, 1_700_000_000_000 + index);
                put_bytes(&mut series, 2, &sample);
            }
            put_bytes(&mut request, 1, &series);
        }
        request
    };
    (0..8).map(|_| message(random)).collect()
}

/// A message of remote write 1.0.
pub fn remote_write_1(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let decoded = remote_write::decode("application/x-protobuf", "snappy", &compressed(bytes));
    match decoded {
        // A sample takes at least eight bytes of the message.
        Ok(batch) if batch.samples().len() > bytes.len() / 8 => {
            Err(format!("{} samples out of {} bytes", batch.samples().len(), bytes.len()))
        }
        _ => Ok(()),
    }
}

/// Bodies of remote write, compressed.
pub fn snappy_seeds(golden: &Golden, random: &mut Random) -> Vec<Vec<u8>> {
    let messages = remote_write_1_seeds(golden, random);
    let long = vec![7; 100_000];
    messages.iter().chain([&long]).map(|message| compressed(message)).collect()
}

/// A body of remote write as it comes.
pub fn snappy(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let _ = remote_write::decode("application/x-protobuf", "snappy", bytes);
    Ok(())
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

/// Queries.
pub fn promql_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    [
        "sum by (job) (rate(http_requests_total{code=~\"5..\", path!=\"/\"}[5m] offset -1w @ end()))",
        "histogram_quantile(0.99, sum(rate(h_bucket[1h:30s])) by (le)) > bool 0.5",
        "a and on(x) group_left(y) b unless ignoring(z) -c ^ 2 ^ -1e-3 % 0x1F",
        "label_replace({\"a.b\",__name__!=\"\"}, 'x', `$1`, \"y\", \"(.*)\") == 1 # comment\n + Inf",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A query, printed and read again.
pub fn promql(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let options = promql::ParseOptions::default();
    let Ok(tree) = promql::parse(&text, &options) else { return Ok(()) };
    let printed = promql::print(&tree);
    match promql::parse(&printed, &options) {
        Ok(again) if promql::print(&again) == printed => Ok(()),
        Ok(again) => Err(format!("{printed:?} is read as {:?}", promql::print(&again))),
        Err(problems) => Err(format!("{printed:?} is not read again: {problems:?}")),
    }
}
