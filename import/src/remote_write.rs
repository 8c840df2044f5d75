//! Batches as remote write 1.0 requests: protobuf, packed with snappy's block format.
//!
//! Place in the flow: batch → **`encode`** → `POST /api/v1/write` of any server that takes it.
//!
//! Not here: sending (belfry/cli), taking (collector).

use model::append::{Batch, BatchExemplar, SeriesKey};
use model::histogram::{Buckets, Histogram, ResetHint};
use model::{Labels, MetricKind, SeriesIx};

/// What such a request says of itself.
pub const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

/// The body of one request; `None` when the batch holds nothing that can be sent.
pub fn encode(batch: &Batch) -> Option<Vec<u8>> {
    let mut by_series: Vec<Vec<u8>> = vec![Vec::new(); batch.series_count()];
    for sample in batch.samples() {
        let mut message = Message::default();
        message.double(1, sample.value);
        message.integer(2, sample.at.0.cast_unsigned());
        message.put_into(2, &mut by_series[sample.series.0 as usize]);
    }
    for exemplar in batch.exemplars() {
        let message = exemplar_message(exemplar);
        message.put_into(3, &mut by_series[exemplar.series.0 as usize]);
    }
    for own in batch.histograms() {
        let mut message = histogram_message(&own.histogram);
        message.integer(15, own.at.0.cast_unsigned());
        message.put_into(4, &mut by_series[own.series.0 as usize]);
    }
    let mut request = Message::default();
    for (index, points) in by_series.iter().enumerate().filter(|(_, points)| !points.is_empty()) {
        let SeriesKey::Labels { text, ends } = batch.key(SeriesIx(index as u32)) else { continue };
        let Some(labels) = Labels::from_parts(text, ends) else { continue };
        let mut series = labels_message(&labels);
        series.0.extend_from_slice(points);
        series.put_into(1, &mut request.0);
    }
    for (family, metadata) in batch.families() {
        let mut message = Message::default();
        message.integer(1, kind_number(metadata.kind));
        message.bytes(2, family.as_bytes());
        message.bytes(4, metadata.help.as_bytes());
        message.bytes(5, metadata.unit.as_bytes());
        message.put_into(3, &mut request.0);
    }
    if request.0.is_empty() {
        return None;
    }
    let packed = snap::raw::Encoder::new().compress_vec(&request.0);
    Some(packed.expect("a batch is far smaller than what the format can hold"))
}

fn labels_message(labels: &Labels) -> Message {
    let mut message = Message::default();
    for (name, value) in labels.iter() {
        let mut pair = Message::default();
        pair.bytes(1, name.as_bytes());
        pair.bytes(2, value.as_bytes());
        pair.put_into(1, &mut message.0);
    }
    message
}

fn exemplar_message(exemplar: &BatchExemplar) -> Message {
    let mut message = labels_message(&exemplar.labels);
    message.double(2, exemplar.value);
    message.integer(3, exemplar.at.0.cast_unsigned());
    message
}

/// As a histogram of floats: those hold whole numbers as well.
fn histogram_message(histogram: &Histogram) -> Message {
    let mut message = Message::default();
    message.double(2, histogram.count);
    message.double(3, histogram.sum);
    message.integer(4, zigzag(i64::from(histogram.schema)));
    message.double(5, histogram.zero_threshold);
    message.double(7, histogram.zero_count);
    for (spans, counts, buckets) in [(8, 10, &histogram.negative), (11, 13, &histogram.positive)] {
        sides(&mut message, (spans, counts), buckets);
    }
    let hint = match histogram.hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    message.integer(14, hint);
    message.doubles(16, &histogram.custom_values);
    message
}

fn sides(message: &mut Message, (spans, counts): (u32, u32), buckets: &Buckets) {
    for span in buckets.spans() {
        let mut own = Message::default();
        own.integer(1, zigzag(i64::from(span.offset)));
        own.integer(2, u64::from(span.length));
        own.put_into(spans, &mut message.0);
    }
    message.doubles(counts, buckets.counts());
}

fn kind_number(kind: MetricKind) -> u64 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The fields of a protobuf message.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u32, value: f64) {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn doubles(&mut self, field: u32, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &bytes);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn put_into(&self, field: u32, out: &mut Vec<u8>) {
        let mut outer = Message(std::mem::take(out));
        outer.bytes(field, &self.0);
        *out = outer.0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::TimestampMs;
    use model::append::Metadata;

    use super::*;

    #[test]
    fn the_collector_reads_it() {
        let mut batch = Batch::new();
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "b")]);
        let series = batch.series(&labels);
        batch.sample(series, TimestampMs(-5), 1.5);
        batch.sample(series, TimestampMs(6), f64::NAN);
        let histogram = Histogram {
            schema: -1,
            count: 3.0,
            sum: 7.0,
            positive: Buckets::dense(-2, vec![1.0, 2.0]),
            hint: ResetHint::Gauge,
            ..Histogram::default()
        };
        batch.histogram(series, TimestampMs(7), Arc::new(histogram.clone()));
        let exemplar = Labels::from_pairs([("id", "x")]);
        let at = TimestampMs(8);
        batch.exemplar(BatchExemplar { series, at, value: 0.5, labels: exemplar.clone() });
        let help = "Help.".to_owned();
        let metadata = Metadata { kind: MetricKind::Summary, unit: String::new(), help };
        batch.metadata("m", metadata.clone());
        let packed = encode(&batch).expect("something to send");
        let message = collector::push::unpack_snappy(&packed).expect("packed");
        let decoded = collector::push::decode_v1(&message).expect("a request");
        let read = decoded.batch;
        assert_eq!(read.samples()[0].value, 1.5);
        assert_eq!(read.samples()[0].at, TimestampMs(-5));
        assert!(read.samples()[1].value.is_nan());
        assert_eq!(*read.histograms()[0].histogram, histogram);
        assert_eq!(read.exemplars()[0].labels, exemplar);
        assert_eq!(read.families(), [("m".to_owned(), metadata)]);
        let SeriesKey::Labels { text, ends } = read.key(SeriesIx(0)) else { panic!("has labels") };
        assert_eq!(Labels::from_parts(text, ends), Some(labels));
        assert_eq!(encode(&Batch::new()), None);
    }
}
