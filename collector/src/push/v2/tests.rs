//! Remote write 2.0: every field, refused series, hostile messages.
use super::super::wire::*;
use super::*;
use model::append::{Column, RefusedReason, SeriesKey};
use model::{SeriesIx, TimestampMs};
use proptest::prelude::*;

const SYMBOLS: [&str; 10] =
    ["", "__name__", "c_total", "job", "a", "Counts.", "things", "trace_id", "t1", "h_bucket"];

fn labels_of(decoded: &Decoded) -> Vec<String> {
    let name = |index: u32| match decoded.batch.key(SeriesIx(index)) {
        SeriesKey::Labels { text, ends } => {
            Labels::from_parts(text, ends).expect("valid").to_string()
        }
        SeriesKey::Known(id) => format!("{id:?}"),
    };
    (0..decoded.batch.series_count() as u32).map(name).collect()
}

fn metadata(kind: i64, help: i64, unit: i64) -> Vec<u8> {
    field(5, &[number(1, kind), number(3, help), number(4, unit)].concat())
}

fn rich_series() -> Vec<Vec<u8>> {
    let started = [double(1, 4.0), number(2, 2000), number(3, 500)].concat();
    let histogram = [number(1, 2), double(3, 7.0), span(11, 0, 1), deltas(12, &[2])].concat();
    let histogram = [histogram, number(15, 3000), number(17, 600)].concat();
    let exemplar = [refs(&[7, 8]), double(2, 0.5), number(3, 1999)].concat();
    vec![
        refs(&[3, 4, 1, 2]),
        sample(1.0, 1_700_000_000_000),
        field(2, &started),
        field(3, &histogram),
        field(4, &exemplar),
        metadata(1, 5, 6),
        field(99, b"unknown"),
    ]
}

#[test]
fn every_field_is_read() {
    let plain = vec![refs(&[1, 4]), sample(0.0, 5), metadata(0, 0, 0)];
    let again = vec![refs(&[1, 2]), sample(0.0, 5), metadata(1, 5, 6)];
    let decoded =
        decode_v2(&message_v2(&SYMBOLS, &[rich_series(), plain, again])).expect("decodes");
    assert_eq!(labels_of(&decoded), [r#"c_total{job="a"}"#, "a", "c_total"]);
    assert_eq!(decoded.refusals.total(), 0);
    let batch = &decoded.batch;
    let samples: Vec<_> = batch.samples().iter().map(|s| (s.series.0, s.at.0, s.value)).collect();
    let expected = [(0, 1_700_000_000_000, 1.0), (0, 2000, 4.0), (1, 5, 0.0), (2, 5, 0.0)];
    assert_eq!(samples, expected);
    let [histogram] = batch.histograms() else { panic!("one histogram") };
    assert_eq!((histogram.series.0, histogram.at.0, histogram.histogram.count), (0, 3000, 2.0));
    let [exemplar] = batch.exemplars() else { panic!("one exemplar") };
    assert_eq!((exemplar.at.0, exemplar.value), (1999, 0.5));
    assert_eq!(exemplar.labels.to_string(), r#"{trace_id="t1"}"#);
    let starts: Vec<_> = batch.starts().iter().map(|s| (s.series.0, s.at.0, s.start.0)).collect();
    assert_eq!(starts, [(0, 2000, 500), (0, 3000, 600)]);
    let [(family, told)] = batch.families() else { panic!("told once: {:?}", batch.families()) };
    assert_eq!((family.as_str(), told.kind), ("c_total", MetricKind::Counter));
    assert_eq!((told.help.as_str(), told.unit.as_str()), ("Counts.", "things"));
}

#[test]
fn created_timestamps_of_older_drafts_are_starts() {
    let series = vec![refs(&[1, 2]), sample(1.0, 50), sample(2.0, 60), number(6, 40)];
    let decoded = decode_v2(&message_v2(&SYMBOLS, &[series])).expect("decodes");
    let starts: Vec<_> = decoded.batch.starts().iter().map(|s| (s.at, s.start.0)).collect();
    assert_eq!(starts, [(TimestampMs(50), 40), (TimestampMs(60), 40)]);
}

#[test]
fn fields_in_any_order_and_references_in_any_form() {
    // Series before symbols, references last and one by one.
    let series = [sample(1.0, 50), number(1, 1), number(1, 2)].concat();
    let symbols: Vec<u8> = SYMBOLS.iter().flat_map(|s| field(4, s.as_bytes())).collect();
    let decoded = decode_v2(&[field(5, &series), symbols].concat()).expect("decodes");
    assert_eq!(labels_of(&decoded), ["c_total"]);
    assert_eq!(decoded.batch.samples().len(), 1);
}

#[test]
fn families_of_classic_histograms() {
    for (name, kind, family) in [
        ("h_bucket", MetricKind::Histogram, "h"),
        ("h_sum", MetricKind::Summary, "h"),
        ("h_bucket", MetricKind::Summary, "h_bucket"),
        ("h_total", MetricKind::Counter, "h_total"),
    ] {
        assert_eq!(family_of(name, kind), family, "{name} {kind:?}");
    }
}

#[test]
fn wrong_series_are_refused_and_the_others_taken() {
    let one = |parts: Vec<Vec<u8>>| {
        let good = vec![refs(&[1, 4]), sample(1.0, 1)];
        let decoded = decode_v2(&message_v2(&SYMBOLS, &[parts, good])).expect("decodes");
        assert_eq!(labels_of(&decoded), ["a"], "the good one is taken");
        let [(_, text)] = &decoded.refusals.named[..] else { panic!("{:?}", decoded.refusals) };
        let counts: Vec<_> = decoded.refusals.counts.into_iter().collect();
        (text.clone(), counts)
    };
    let samples = |count| vec![((Column::Samples, RefusedReason::InvalidLabels), count)];
    for (numbers, text) in [
        (&[1, 2, 3][..], "parsing labels for series [1, 2, 3]: invalid labelRefs length 3"),
        (
            &[1, 999],
            "parsing labels for series [1, 999]: labelRefs 1 (name) = 999 (value) outside of \
             symbols table (size 10)",
        ),
        (&[3, 4], "invalid metric name or labels, got {job=\"a\"}"),
        (&[1, 0], "invalid metric name or labels, got {}"),
        (
            &[1, 2, 3, 4, 3, 2],
            "invalid labels for series, labels {__name__=\"c_total\", job=\"a\", job=\"c_total\"}, \
             duplicated label job",
        ),
        (&[1, 2, 0, 4], "a label with the value \"a\" has no name"),
        (&[], "invalid metric name or labels, got {}"),
    ] {
        let (got, counts) = one(vec![refs(numbers), sample(1.0, 1), sample(2.0, 2)]);
        assert_eq!((got.as_str(), counts), (text, samples(2)), "{numbers:?}");
    }
    let exemplar = field(4, &[double(2, 0.5), number(3, 1)].concat());
    let (text, counts) = one(vec![refs(&[1, 2]), exemplar]);
    let expected = "TimeSeries must contain at least one sample or histogram for series c_total";
    assert_eq!(text, expected);
    assert_eq!(counts, [((Column::Exemplars, RefusedReason::InvalidLabels), 1)]);
    let (text, counts) = one(vec![refs(&[1, 2]), metadata(1, 5, 6)]);
    assert_eq!((text.as_str(), counts), (expected, samples(1)));
}

#[test]
fn exemplars_outside_of_the_table_are_refused_alone() {
    let exemplar = field(4, &[refs(&[7, 99]), double(2, 0.5)].concat());
    let series = vec![refs(&[1, 2]), sample(1.0, 1), exemplar];
    let decoded = decode_v2(&message_v2(&SYMBOLS, &[series])).expect("decodes");
    assert_eq!((decoded.batch.samples().len(), decoded.batch.exemplars().len()), (1, 0));
    let refused = (Column::Exemplars, RefusedReason::InvalidExemplar);
    assert_eq!(decoded.refusals.counts.get(&refused), Some(&1));
}

#[test]
fn the_table_begins_with_the_empty_text() {
    let series = vec![refs(&[0, 1]), sample(1.0, 1)];
    let error = decode_v2(&message_v2(&["__name__", "x"], &[series])).expect_err("refused");
    assert!(error.to_string().contains("empty string"), "{error}");
    assert!(decode_v2(b"").is_ok(), "nothing at all is nothing wrong");
    // A message of 1.0 by mistake is an empty one here.
    let mistaken = message(&[vec![label("__name__", "x"), sample(1.0, 1)]]);
    assert!(decode_v2(&mistaken).expect("decodes").batch.is_empty());
}

#[test]
fn symbols_that_are_referred_to_over_and_over_are_bounded() {
    let long = "x".repeat(16 * 1024);
    let symbols = ["", "__name__", &long];
    let names = (0..100).flat_map(|_| [1, 2]).collect::<Vec<u64>>();
    let series: Vec<Vec<Vec<u8>>> =
        (0..1_000).map(|_| vec![refs(&names), sample(1.0, 1)]).collect();
    let error = decode_v2(&message_v2(&symbols, &series)).expect_err("refused");
    assert!(error.to_string().contains("longer than allowed"), "{error}");
    let longer = "x".repeat(16 * 1024 + 1);
    let series = vec![refs(&[1, 2]), sample(1.0, 1)];
    let decoded = decode_v2(&message_v2(&["", "__name__", &longer], &[series])).expect("decodes");
    assert_eq!(decoded.refusals.total(), 1);
}

#[test]
fn truncated_anywhere_it_does_not_panic() {
    let whole = message_v2(&SYMBOLS, &[rich_series(), vec![refs(&[1, 4]), sample(1.0, 1)]]);
    assert!(decode_v2(&whole).is_ok());
    for size in 0..whole.len() {
        let _ = decode_v2(&whole[..size]);
    }
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_v2(&bytes);
        let _ = decode_v2(&message_v2(&SYMBOLS, &[vec![bytes.clone()]]));
        let _ = decode_v2(&message_v2(&SYMBOLS, &[vec![refs(&[1, 2]), bytes]]));
    }

    #[test]
    fn flipped_bits_never_panic(at in 0_usize..400, bit in 0_u8..8) {
        let mut body = message_v2(&SYMBOLS, &[rich_series(), rich_series()]);
        let at = at % body.len();
        body[at] ^= 1 << bit;
        let _ = decode_v2(&body);
    }
}
