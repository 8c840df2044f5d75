//! What other servers take from this one: federation, remote read, and the stream of notifications.

use model::histogram::Buckets;
use model::{Append, Batch, Histogram, Labels, TimestampMs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The API over a small store.
mod served;

use served::Api;

/// Three series a moment ago, one of them ended.
async fn fresh(api: &Api) -> i64 {
    let now = jiff::Timestamp::now().as_millisecond() / 1000 * 1000;
    let mut batch = Batch::new();
    for (name, labels, value) in [
        ("b_metric", &[("job", "x"), ("instance", "i")][..], 2.5),
        ("a_metric", &[("site", "own")], 1.0),
        ("a_metric", &[("site", "gone")], model::sample::stale_nan()),
    ] {
        let pairs = [("__name__", name)].into_iter().chain(labels.iter().copied());
        let series = batch.series(&Labels::from_pairs(pairs));
        batch.sample(series, TimestampMs(now - 60_000), 7.0);
        batch.sample(series, TimestampMs(now - 1000), value);
    }
    api.store.clone().expect("open").append(batch).await.expect("durable");
    now - 1000
}

#[tokio::test]
async fn federation() {
    let api = Api::open().await;
    let at = fresh(&api).await;
    let both = "/federate?match[]=a_metric&match[]=%7Bjob%3D%22x%22%7D&match[]=b_metric";
    let page = api.get(both).await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    // Sorted by metric; external labels where there is none of the name; an empty instance.
    let expected = format!(
        "# TYPE a_metric untyped\na_metric{{instance=\"\",site=\"own\"}} 1 {at}\n\
         # TYPE b_metric untyped\nb_metric{{instance=\"i\",job=\"x\",site=\"x\"}} 2.5 {at}\n"
    );
    assert_eq!(page.body, expected);
    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let page = api.send("GET", both, accept, b"").await;
    assert!(page.head.contains("application/openmetrics-text"), "{}", page.head);
    assert!(page.body.starts_with("# TYPE a_metric unknown\n") && page.body.ends_with("# EOF\n"));
    // Nothing selected, nothing given; what is older than the look-back is not given either.
    for target in ["/federate", "/federate?match[]=m", "/federate?match[]=none"] {
        let page = api.get(target).await;
        assert_eq!((page.status, page.body.as_str()), (200, ""), "{target}");
    }
    assert_eq!(api.get("/federate?match[]=(").await.status, 400);
    api.stop().await;
}

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

/// A request for one metric, up to now; `kinds` are the accepted forms of the answer.
fn request(metric: &str, kinds: &[u8]) -> Vec<u8> {
    let mut matcher = vec![0x08, 0];
    put_bytes(&mut matcher, 2, b"__name__");
    put_bytes(&mut matcher, 3, metric.as_bytes());
    let mut query = vec![0x08, 0, 0x10];
    put_varint(&mut query, 4_000_000_000_000);
    put_bytes(&mut query, 3, &matcher);
    let mut external = vec![0x08, 0];
    put_bytes(&mut external, 2, b"site");
    put_bytes(&mut external, 3, b"x");
    // What leaves with every series may be asked for.
    put_bytes(&mut query, 3, &external);
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &query);
    put_bytes(&mut message, 2, kinds);
    snap::raw::Encoder::new().compress_vec(&message).expect("packed")
}

/// The length-delimited fields of a message, by number.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                let value = varint(&mut bytes);
                all.push((key >> 3, value.to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            _ => varint(&mut bytes) as usize,
        };
        all.push((key >> 3, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    all
}

const READ: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn remote_read_as_samples() {
    let api = Api::open().await;
    let reply = api.send("POST", "/api/v1/read", READ, &request("m", &[0])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("content-type: application/x-protobuf"), "{}", reply.head);
    assert!(reply.head.contains("content-encoding: snappy"), "{}", reply.head);
    let message = snap::raw::Decoder::new().decompress_vec(&reply.bytes).expect("snappy");
    let results = fields(&message);
    assert_eq!(results.len(), 1);
    let series = fields(&results[0].1);
    assert_eq!(series.len(), 2, "m{{a=1}} and m{{a=2}}");
    let parts = fields(&series[0].1);
    let labels: Vec<String> = parts
        .iter()
        .filter(|(field, _)| *field == 1)
        .map(|(_, pair)| {
            let pair = fields(pair);
            format!(
                "{}={}",
                String::from_utf8_lossy(&pair[0].1),
                String::from_utf8_lossy(&pair[1].1)
            )
        })
        .collect();
    assert_eq!(labels, ["__name__=m", "a=1", "site=x"]);
    let samples: Vec<&Vec<u8>> =
        parts.iter().filter(|(field, _)| *field == 2).map(|(_, own)| own).collect();
    assert_eq!(samples.len(), 10);
    let last = fields(samples[9]);
    assert_eq!(f64::from_le_bytes(last[0].1[..].try_into().expect("8 bytes")), 9.0);
    assert_eq!(i64::from_le_bytes(last[1].1[..].try_into().expect("8 bytes")), 1_009_000);
    let none = api.send("POST", "/api/v1/read", READ, &request("none", &[0])).await;
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&none.bytes).expect("snappy"), [0x0a, 0]);
    for body in [&b"no snappy"[..], &[0x03, 0x08, 1, 2, 3]] {
        let reply = api.send("POST", "/api/v1/read", READ, body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
    assert_eq!(api.get("/api/v1/read").await.status, 405);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_read_as_chunks() {
    let api = Api::open().await;
    let reply = api.send("POST", "/api/v1/read", READ, &request("m", &[1, 0])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("x-streamed-protobuf; proto=prometheus.chunkedreadresponse"));
    assert!(reply.head.contains("transfer-encoding: chunked"), "{}", reply.head);
    let body = unchunked(&reply.bytes);
    let (mut rest, mut frames) = (&body[..], Vec::new());
    while !rest.is_empty() {
        let length = usize::from(rest[0]);
        assert!(length < 0x80, "short frames in this test");
        let checksum = u32::from_be_bytes(rest[1..5].try_into().expect("4 bytes"));
        let message = &rest[5..5 + length];
        assert_eq!(crc32c::crc32c(message), checksum);
        frames.push(message.to_vec());
        rest = &rest[5 + length..];
    }
    assert_eq!(frames.len(), 2, "one for each series");
    let series = fields(&fields(&frames[0])[0].1);
    let chunk = fields(&series.last().expect("a chunk").1);
    let number =
        |place: usize| i64::from_le_bytes(fields_bytes(&chunk, place).try_into().expect("8 bytes"));
    assert_eq!((number(0), number(1), number(2)), (1_000_000, 1_009_000, 1));
    assert_eq!(chunk[3].1[..2], [0, 10], "ten samples");

    // Native histograms are samples, or nothing for who takes only chunks.
    let histogram = Histogram {
        count: 3.0,
        sum: 1.5,
        positive: Buckets::dense(0, vec![3.0]),
        ..Histogram::default()
    };
    let mut batch = Batch::new();
    let series = batch.series(&Labels::from_pairs([("__name__", "native")]));
    batch.histogram(series, TimestampMs(1_009_000), std::sync::Arc::new(histogram));
    api.store.clone().expect("open").append(batch).await.expect("durable");
    let reply = api.send("POST", "/api/v1/read", READ, &request("native", &[1, 0])).await;
    assert!(reply.head.contains("content-type: application/x-protobuf"), "{}", reply.head);
    let message = snap::raw::Decoder::new().decompress_vec(&reply.bytes).expect("snappy");
    let series = fields(&fields(&fields(&message)[0].1)[0].1);
    assert!(series.iter().any(|(field, _)| *field == 4), "a histogram: {series:?}");
    let reply = api.send("POST", "/api/v1/read", READ, &request("native", &[1])).await;
    assert_eq!(reply.status, 406);
    assert!(reply.body.contains("native histograms"), "{}", reply.body);
    api.stop().await;
}

fn fields_bytes(fields: &[(u64, Vec<u8>)], place: usize) -> Vec<u8> {
    fields[place].1.clone()
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|own| own == b"\r\n").expect("a size");
        let size = std::str::from_utf8(&rest[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_live() {
    let api = Api::open().await;
    assert_eq!(api.get("/api/v1/notifications").await.json()["data"], serde_json::json!([]));
    let subscribe = async || {
        let mut stream = TcpStream::connect(api.address).await.expect("connect");
        let head = "GET /api/v1/notifications/live HTTP/1.1\r\nHost: b\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("send");
        let mut text = vec![0; 4096];
        let length = stream.read(&mut text).await.expect("a head");
        (stream, String::from_utf8_lossy(&text[..length]).to_lowercase())
    };
    let mut streams = Vec::new();
    for _ in 0..16 {
        let (stream, head) = subscribe().await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        streams.push(stream);
    }
    let (_, head) = subscribe().await;
    assert!(head.starts_with("http/1.1 204"), "the seventeenth: {head}");
    api.whole.status.lock().expect("lock").reload_ok = false;
    let mut seen = String::new();
    let told = async |stream: &mut TcpStream, seen: &mut String, word: &str| {
        while !seen.contains(word) {
            let mut text = vec![0; 4096];
            let read = stream.read(&mut text);
            let length = tokio::time::timeout(std::time::Duration::from_secs(10), read).await;
            let length = length.expect("in time").expect("more");
            assert!(length > 0, "the stream ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&text[..length]));
        }
    };
    told(&mut streams[0], &mut seen, "\"active\":true").await;
    assert!(seen.contains("Configuration reload has failed."), "{seen}");
    let listed = api.get("/api/v1/notifications").await.json();
    assert_eq!(listed["data"][0]["text"], "Configuration reload has failed.");
    api.whole.status.lock().expect("lock").reload_ok = true;
    told(&mut streams[0], &mut seen, "\"active\":false").await;
    drop(streams);
    // Places come back.
    for attempt in 0.. {
        let (_, head) = subscribe().await;
        if head.starts_with("http/1.1 200") {
            break;
        }
        assert!(attempt < 200, "no place came back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    api.stop().await;
}

#[tokio::test]
async fn searches() {
    let api = Api::open().await;
    let lines = async |target: &str| {
        let reply = api.get(&format!("/api/v1/search/{target}")).await;
        assert_eq!(reply.status, 200, "{target}: {}", reply.body);
        assert!(reply.head.contains("content-type: application/x-ndjson"), "{}", reply.head);
        served::unchunked(&reply.body)
    };
    let end = |has_more: bool| format!("{{\"has_more\":{has_more},\"status\":\"success\"}}\n");
    for (target, results, has_more) in [
        (
            "label_values?label=a&start=0",
            "{\"results\":[{\"name\":\"1\"},{\"name\":\"2\"}]}\n",
            false,
        ),
        (
            "label_values?label=a&start=0&sort_by=alpha&sort_dir=dsc&batch_size=1",
            "{\"results\":[{\"name\":\"2\"}]}\n{\"results\":[{\"name\":\"1\"}]}\n",
            false,
        ),
        ("label_values?label=a&start=0&limit=1", "{\"results\":[{\"name\":\"1\"}]}\n", true),
        (
            "label_names?start=0&search[]=a&case_sensitive=false",
            "{\"results\":[{\"name\":\"a\"},{\"name\":\"__name__\"}]}\n",
            false,
        ),
        ("metric_names?start=0&search[]=zzz", "{\"results\":[]}\n", false),
        ("metric_names", "{\"results\":[]}\n", false),
        (
            "metric_names?start=0&match[]=%7Ba%3D%221%22%7D&search[]=m&include_score=true",
            "{\"results\":[{\"name\":\"m\",\"score\":1.0}]}\n",
            false,
        ),
    ] {
        let target = target.replace("search[]=a&", "search[]=a&sort_by=score&");
        assert_eq!(lines(&target).await, format!("{results}{}", end(has_more)), "{target}");
    }
    for target in [
        "label_values",
        "metric_names?limit=10001",
        "metric_names?limit=-1",
        "metric_names?fuzz_threshold=101",
        "metric_names?fuzz_alg=x",
        "metric_names?sort_by=x",
        "metric_names?sort_by=score",
        "metric_names?sort_dir=asc",
        "metric_names?start=2&end=1",
        "metric_names?include_score=maybe",
        "metric_names?match[]=(",
    ] {
        let reply = api.get(&format!("/api/v1/search/{target}")).await;
        assert_eq!(
            (reply.status, reply.json()["errorType"].as_str()),
            (400, Some("bad_data")),
            "{target}"
        );
    }
    api.stop().await;
}
