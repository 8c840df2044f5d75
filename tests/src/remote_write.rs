//! A remote-write 1.0 client: the protobuf message written by hand, snappy, one POST.

/// One series of a request.
#[derive(Debug, Clone)]
pub struct TimeSeries {
    /// Names and values, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Milliseconds and value.
    pub samples: Vec<(i64, f64)>,
}

impl TimeSeries {
    /// A series of a metric with labels; sorts them.
    pub fn new(name: &str, labels: &[(&str, &str)], samples: Vec<(i64, f64)>) -> TimeSeries {
        let mut all = vec![("__name__".to_owned(), name.to_owned())];
        all.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.sort();
        TimeSeries { labels: all, samples }
    }
}

/// The request's body: `WriteRequest` in protobuf, compressed with snappy's block format.
pub fn encode(series: &[TimeSeries]) -> Vec<u8> {
    let mut request = Vec::new();
    let (mut one, mut part) = (Vec::new(), Vec::new());
    for series in series {
        one.clear();
        for (name, value) in &series.labels {
            part.clear();
            put_bytes(&mut part, 1, name.as_bytes());
            put_bytes(&mut part, 2, value.as_bytes());
            put_bytes(&mut one, 1, &part);
        }
        for (at_ms, value) in &series.samples {
            part.clear();
            part.push(0x09);
            part.extend_from_slice(&value.to_le_bytes());
            part.push(0x10);
            put_varint(&mut part, at_ms.cast_unsigned());
            put_bytes(&mut one, 2, &part);
        }
        put_bytes(&mut request, 1, &one);
    }
    snap::raw::Encoder::new().compress_vec(&request).expect("compress a request")
}

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

/// Posts an encoded body; the status code, or `None` when there is no answer.
pub async fn post(client: &reqwest::Client, url: &str, body: Vec<u8>) -> Option<(u16, String)> {
    let response = client
        .post(url)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(body)
        .send()
        .await
        .ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.unwrap_or_default()))
}
