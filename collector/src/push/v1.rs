//! Remote write 1.0: `prometheus.WriteRequest`.
//!
//! Place in the flow: unpacked body → **`decode_v1`** → `Decoded` → receiver.
//!
//! A series whose label fields have the bytes of last time is known by a hash of them: nobody looks
//! at its labels. Senders put the labels first and together; a message that does not is read the long
//! way, in which labels may stand anywhere.
//!
//! Not here: the protobuf itself (`protobuf`), what is known (`cache`).

use model::append::Metadata;

use super::decoded::{Building, Content, Decoded, Found, Lookup, Target, kind_of, text_of};
use super::error::PushError;
use super::histogram::RawHistogram;
use super::labels::Pairs;
use super::protobuf::{Reader, Value, sample_of, usual_sample};

/// The first byte of a label in a series.
const LABEL_TAG: u8 = 0x0a;

/// Decodes a message in which no series is known.
pub fn decode_v1(message: &[u8]) -> Result<Decoded, PushError> {
    decode(message, Lookup::default())
}

/// Decodes a message.
pub(super) fn decode(message: &[u8], lookup: Lookup<'_>) -> Result<Decoded, PushError> {
    let building = walk(message, lookup)?;
    if building.scattered {
        return Ok(walk(message, Lookup::default())?.decoded);
    }
    Ok(building.decoded)
}

fn walk<'a>(message: &'a [u8], lookup: Lookup<'a>) -> Result<Building<'a>, PushError> {
    let building = Building::new(lookup, message.len());
    let mut walk = Walk { building, labels: Pairs::default(), own: Pairs::default() };
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        match (field, value) {
            (1, Value::Bytes(series)) => walk.series(series)?,
            (3, Value::Bytes(metadata)) => walk.metadata(metadata)?,
            _ => {}
        }
        if walk.building.is_done() {
            break;
        }
    }
    Ok(walk.building)
}

struct Walk<'a> {
    building: Building<'a>,
    labels: Pairs<'a>,
    /// Labels of an exemplar.
    own: Pairs<'a>,
}

impl<'a> Walk<'a> {
    #[inline]
    fn series(&mut self, message: &'a [u8]) -> Result<(), PushError> {
        if let Some((index, size, key, id)) = self.building.expected()
            && matches!(message.get(size), Some(0x12 | 0x1a | 0x22))
            && let Some(memory) = self.building.known()
            && memory.hasher.key(&message[..size]) == key
        {
            self.building.expected_came(index);
            return self.content(&message[size..], Target::Known(id), true);
        }
        let key = match self.building.lookup.memory {
            None => None,
            Some(memory) => {
                let size = labels_size(message)?;
                match self.building.find(memory.hasher.key(&message[..size]), size) {
                    Found::Known(id) => {
                        return self.content(&message[size..], Target::Known(id), true);
                    }
                    Found::New(key) => key,
                }
            }
        };
        let (content, together) = self.count(message)?;
        if content.samples + content.histograms + content.exemplars == 0 {
            return Ok(());
        }
        match self.labels.series() {
            Ok(pairs) => {
                let key = key.filter(|_| together);
                let Some(target) = self.building.describe(pairs, key) else { return Ok(()) };
                self.content(message, target, false)
            }
            Err(problem) => {
                self.building.refuse(content, &problem);
                Ok(())
            }
        }
    }

    /// Collects the labels and counts the rest; says too whether the labels lie together in front.
    fn count(&mut self, message: &'a [u8]) -> Result<(Content, bool), PushError> {
        let mut content = Content::default();
        let mut together = true;
        let mut reader = Reader::new(message);
        self.labels.clear();
        let mut before_rest = true;
        loop {
            // A tag of another spelling is no part of the key.
            let is_usual = reader.rest().first() == Some(&LABEL_TAG);
            let Some((field, value)) = reader.next_field()? else { break };
            match (field, value) {
                (1, Value::Bytes(label)) => {
                    together &= before_rest && is_usual;
                    push_label(label, &mut self.labels)?;
                    continue;
                }
                (2, Value::Bytes(_)) => content.samples += 1,
                (3, Value::Bytes(_)) => content.exemplars += 1,
                (4, Value::Bytes(_)) => content.histograms += 1,
                _ => {}
            }
            before_rest = false;
        }
        Ok((content, together))
    }

    /// Takes what a series carries. Behind the labels of a known series no further label may stand.
    #[inline]
    fn content(
        &mut self,
        message: &'a [u8],
        mut target: Target,
        is_known: bool,
    ) -> Result<(), PushError> {
        let mut reader = Reader::new(message);
        loop {
            if let Some((sample, size)) = usual_sample(reader.rest()) {
                reader.skip(size);
                self.building.sample(&mut target, sample)?;
                continue;
            }
            let Some((field, value)) = reader.next_field()? else { return Ok(()) };
            match (field, value) {
                (1, _) if is_known => {
                    self.building.scattered = true;
                    return Ok(());
                }
                (2, Value::Bytes(sample)) => {
                    let mut sample = sample_of(sample)?;
                    // 1.0 has no start timestamps.
                    sample.start_ms = 0;
                    self.building.sample(&mut target, sample)?;
                }
                (3, Value::Bytes(exemplar)) => self.exemplar(exemplar, &mut target)?,
                (4, Value::Bytes(histogram)) => {
                    self.building.histogram(&mut target, RawHistogram::read(histogram)?)?;
                }
                _ => {}
            }
        }
    }

    fn exemplar(&mut self, message: &'a [u8], target: &mut Target) -> Result<(), PushError> {
        let (mut value, mut at_ms) = (0.0, 0);
        self.own.clear();
        let mut reader = Reader::new(message);
        while let Some((field, own)) = reader.next_field()? {
            match (field, own) {
                (1, Value::Bytes(label)) => push_label(label, &mut self.own)?,
                (2, Value::Fixed64(bits)) => value = f64::from_bits(bits),
                (3, Value::Varint(bits)) => at_ms = bits as i64,
                _ => {}
            }
        }
        self.building.exemplar(target, value, at_ms, self.own.exemplar())
    }

    fn metadata(&mut self, message: &[u8]) -> Result<(), PushError> {
        let (mut kind, mut family, mut help, mut unit) = (0, &b""[..], &b""[..], &b""[..]);
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.next_field()? {
            match (field, value) {
                (1, Value::Varint(number)) => kind = number,
                (2, Value::Bytes(text)) => family = text,
                (4, Value::Bytes(text)) => help = text,
                (5, Value::Bytes(text)) => unit = text,
                _ => {}
            }
        }
        let metadata = Metadata { kind: kind_of(kind), unit: text_of(unit), help: text_of(help) };
        self.building.family(&text_of(family), metadata)
    }
}

/// How many bytes the label fields take in front of a series.
#[inline]
fn labels_size(message: &[u8]) -> Result<usize, PushError> {
    let mut reader = Reader::new(message);
    while reader.rest().first() == Some(&LABEL_TAG) {
        if reader.small_field(LABEL_TAG).is_none() {
            reader.next_field()?;
        }
    }
    Ok(message.len() - reader.rest().len())
}

fn push_label<'a>(message: &'a [u8], pairs: &mut Pairs<'a>) -> Result<(), PushError> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    let mut reader = Reader::new(message);
    while let Some((field, bytes)) = reader.next_field()? {
        match (field, bytes) {
            (1, Value::Bytes(bytes)) => name = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    pairs.push(name, value);
    Ok(())
}

#[cfg(test)]
mod tests;
