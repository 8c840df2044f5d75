//! Remote write 1.0: good messages, refused ones, hostile ones.
use super::super::decoded::SAMPLES_MAX;
use super::super::wire::*;
use super::*;
use model::append::{Column, RefusedReason, SeriesKey};
use model::{Labels, MetricKind, SeriesIx};
use proptest::prelude::*;

fn labels_of(decoded: &Decoded) -> Vec<String> {
    let name = |index: u32| match decoded.batch.key(SeriesIx(index)) {
        SeriesKey::Labels { text, ends } => {
            Labels::from_parts(text, ends).expect("valid").to_string()
        }
        SeriesKey::Known(id) => format!("{id:?}"),
    };
    (0..decoded.batch.series_count() as u32).map(name).collect()
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
    let decoded = decode_v1(&body).expect("decodes");
    assert_eq!(labels_of(&decoded), [r#"up{z="1"}"#, "b"]);
    let samples: Vec<_> =
        decoded.batch.samples().iter().map(|s| (s.series.0, s.at.0, s.value.to_bits())).collect();
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
    let histogram = field(4, &number(15, 5));
    let body = message(&[
        vec![label("a", "1"), sample(1.0, 1), histogram],
        vec![label("__name__", "x"), label("", "1"), sample(1.0, 1), sample(1.0, 2)],
        vec![label("__name__", "x"), label("__name__", "y"), sample(1.0, 1)],
        vec![field(1, &field(1, b"\xff")), label("__name__", "y"), sample(1.0, 1)],
        vec![label("__name__", "good"), sample(1.0, 1)],
    ]);
    let decoded = decode_v1(&body).expect("decodes");
    assert_eq!(decoded.batch.samples().len(), 1);
    let count = |column| decoded.refusals.counts.get(&(column, RefusedReason::InvalidLabels));
    assert_eq!((count(Column::Samples), count(Column::Histograms)), (Some(&5), Some(&1)));
    let named: Vec<&str> = decoded.refusals.named.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        named,
        [
            "invalid metric name or labels, got {a=\"1\"}",
            "a label with the value \"1\" has no name",
            "invalid labels for series, labels {__name__=\"x\", __name__=\"y\"}, \
             duplicated label __name__",
            "a label is no UTF-8",
        ]
    );
}

#[test]
fn exemplars_and_metadata() {
    let exemplar = |labels: &[Vec<u8>], value, at| {
        field(3, &[labels.concat(), double(2, value), number(3, at)].concat())
    };
    let metadata = |kind, family: &str, help: &str, unit: &str| {
        let texts = [(2, family), (4, help), (5, unit)];
        let texts = texts.iter().flat_map(|(number, text)| field(*number, text.as_bytes()));
        field(3, &[number(1, kind), texts.collect()].concat())
    };
    let long = "x".repeat(121);
    let body = [
        message(&[vec![
            label("__name__", "c_total"),
            sample(1.0, 9),
            exemplar(&[label("trace_id", "é")], 0.5, 7),
            exemplar(&[], 1.5, 8),
            exemplar(&[label("trace_id", &long)], 2.5, 9),
        ]]),
        metadata(1, "c_total", "Counts.", "things"),
        metadata(99, "odd", "", ""),
        metadata(1, "", "nameless", ""),
        field(77, b"unknown"),
    ]
    .concat();
    let decoded = decode_v1(&body).expect("decodes");
    let exemplars: Vec<_> = decoded
        .batch
        .exemplars()
        .iter()
        .map(|e| (e.series.0, e.at.0, e.value, e.labels.to_string()))
        .collect();
    let expected = [(0, 7, 0.5, "{trace_id=\"é\"}".to_owned()), (0, 8, 1.5, "{}".to_owned())];
    assert_eq!(exemplars, expected);
    let refused = (Column::Exemplars, RefusedReason::InvalidExemplar);
    assert_eq!(decoded.refusals.counts.get(&refused), Some(&1));
    let families: Vec<_> = decoded
        .batch
        .families()
        .iter()
        .map(|(family, m)| (family.as_str(), m.kind, m.help.as_str(), m.unit.as_str()))
        .collect();
    assert_eq!(
        families,
        [
            ("c_total", MetricKind::Counter, "Counts.", "things"),
            ("odd", MetricKind::Unknown, "", "")
        ]
    );
}

#[test]
fn two_byte_samples_do_not_fill_the_memory() {
    let mut series = label("__name__", "x");
    for _ in 0..SAMPLES_MAX + 1 {
        series.extend_from_slice(&[0x12, 0]);
    }
    let error = decode_v1(&message(&[vec![series]])).expect_err("refused");
    assert!(error.to_string().contains("more than 2000000 samples"), "{error}");
}

#[test]
fn two_byte_histograms_do_not_fill_the_memory() {
    let mut series = label("__name__", "x");
    for _ in 0..2_000_000 {
        series.extend_from_slice(&[0x22, 0]);
    }
    let error = decode_v1(&message(&[vec![series]])).expect_err("refused");
    assert!(error.to_string().contains("than fit into memory"), "{error}");
}

fn rich_message() -> Vec<u8> {
    let histogram =
        [number(1, 3), double(3, 7.0), span(11, 0, 2), deltas(12, &[1, 1]), number(15, 4)];
    let exemplar = [label("trace_id", "a"), double(2, 1.0), number(3, 4)];
    message(&[
        vec![
            label("__name__", "x"),
            label("y", "z"),
            sample(1.0, 1_700_000_000_000),
            field(3, &exemplar.concat()),
            field(4, &histogram.concat()),
        ],
        vec![label("__name__", "b"), sample(0.0, 1)],
    ])
}

#[test]
fn truncated_anywhere_it_does_not_panic() {
    let whole = rich_message();
    assert!(decode_v1(&whole).is_ok());
    for size in 0..whole.len() {
        let _ = decode_v1(&whole[..size]);
    }
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_v1(&bytes);
        let _ = decode_v1(&message(&[vec![bytes.clone()]]));
        let labelled = vec![label("__name__", "x"), bytes.clone()];
        let _ = decode_v1(&message(&[labelled]));
        let _ = decode_v1(&message(&[vec![label("__name__", "x"), field(4, &bytes)]]));
    }

    #[test]
    fn flipped_bits_never_panic(at in 0_usize..200, bit in 0_u8..8) {
        let mut body = rich_message();
        let at = at % body.len();
        body[at] ^= 1 << bit;
        let _ = decode_v1(&body);
    }
}
