//! Remote write: good messages, refused ones, hostile ones.
use super::*;
use model::append::SeriesKey;
use model::{Labels, SeriesIx};
use proptest::prelude::*;

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn label(name: &str, value: &str) -> Vec<u8> {
    field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

fn sample(value: f64, at: i64) -> Vec<u8> {
    let value = [&[0x09][..], &value.to_bits().to_le_bytes()].concat();
    field(2, &[value, vec![0x10], varint(at as u64)].concat())
}

fn message(series: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let parts: Vec<u8> = series.iter().flat_map(|parts| field(1, &parts.concat())).collect();
    snap::raw::Encoder::new().compress_vec(&parts).expect("packs")
}

fn decode_plain(body: &[u8]) -> Result<Decoded, PushError> {
    decode_counted("application/x-protobuf", "snappy", body)
}

#[test]
fn a_message_becomes_a_batch() {
    let stale = model::sample::stale_nan();
    let body = message(&[
        // Samples before labels, labels in no order, an empty value: all allowed.
        vec![sample(1.5, -7), label("z", "1"), label("__name__", "up"), label("gone", "")],
        vec![label("__name__", "b"), sample(stale, 1_700_000_000_000), sample(2.0, 5)],
        vec![label("__name__", "empty")],
    ]);
    let batch = decode("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", &body)
        .expect("decodes");
    assert_eq!(batch.series_count(), 2);
    let SeriesKey::Labels { text, ends } = batch.key(SeriesIx(0)) else { panic!("labels") };
    let labels = Labels::from_parts(text, ends).expect("valid");
    assert_eq!(labels.to_string(), r#"up{z="1"}"#);
    let samples: Vec<_> =
        batch.samples().iter().map(|s| (s.series.0, s.at.0, s.value.to_bits())).collect();
    assert_eq!(
        samples,
        [
            (0, -7, 1.5_f64.to_bits()),
            (1, 1_700_000_000_000, model::sample::STALE_NAN_BITS),
            (1, 5, 2.0_f64.to_bits())
        ]
    );
}

#[test]
fn broken_labels_are_left_out_and_counted() {
    let body = message(&[
        vec![label("a", "1"), sample(1.0, 1)],
        vec![label("__name__", "x"), label("", "1"), sample(1.0, 1), sample(1.0, 2)],
        vec![label("__name__", "x"), label("__name__", "y"), sample(1.0, 1)],
        vec![label("__name__", "good"), field(3, b""), field(4, b""), sample(1.0, 1)],
    ]);
    let decoded = decode_plain(&body).expect("decodes");
    assert_eq!(decoded.batch.samples().len(), 1);
    assert_eq!(decoded.samples_invalid_labels, 4);
    assert_eq!((decoded.exemplars_skipped, decoded.histograms_skipped), (1, 1));
}

#[track_caller]
fn refused(content_type: &str, encoding: &str, body: &[u8], status: u16) {
    let error = decode(content_type, encoding, body).expect_err("refused");
    assert_eq!(error.http_status(), status, "{error}");
}

#[test]
fn refusals() {
    let good = message(&[vec![label("__name__", "x"), sample(1.0, 1)]]);
    let proto = "application/x-protobuf";
    assert!(decode("", "", &good).is_ok(), "the first senders named neither");
    refused("text/plain", "snappy", &good, 415);
    refused(proto, "gzip", &good, 415);
    refused("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", &good, 415);
    refused(proto, "snappy", b"", 400);
    refused(proto, "snappy", b"garbage", 400);
    refused(proto, "snappy", &good[..good.len() - 1], 400);
    // A header that promises 4 GiB, and one that promises 30 MiB out of nothing.
    refused(proto, "snappy", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], 400);
    refused(proto, "snappy", &[varint(30 << 20), vec![0; 8]].concat(), 400);
    let broken = snap::raw::Encoder::new().compress_vec(&[0x0a, 0x7f, 1]).expect("packs");
    refused(proto, "snappy", &broken, 400);
}

#[test]
fn two_byte_samples_do_not_fill_the_memory() {
    let mut series = label("__name__", "x");
    for _ in 0..SAMPLES_MAX + 1 {
        series.extend_from_slice(&[0x12, 0]);
    }
    let body = message(&[vec![series]]);
    assert!(matches!(decode_plain(&body), Err(PushError::Malformed { .. })));
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let packed = snap::raw::Encoder::new().compress_vec(&bytes).expect("packs");
        let _ = decode_plain(&packed);
        let _ = decode_plain(&bytes);
        let _ = decode_plain(&message(&[vec![bytes]]));
    }

    #[test]
    fn flipped_bits_never_panic(at in 0_usize..60, bit in 0_u8..8) {
        let series = vec![label("__name__", "x"), label("y", "z"), sample(1.0, 1)];
        let mut body = message(&[series.clone(), series]);
        let at = at % body.len();
        body[at] ^= 1 << bit;
        let _ = decode_plain(&body);
    }
}
