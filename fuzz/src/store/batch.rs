//! One random batch: numbers and histograms, in order, late, doubled, contradicting; exemplars,
//! start timestamps, words on families.
//!
//! Place in the flow: a step of the story → **batch** → the store → the ledger.
//!
//! Not here: the other steps (`story`).

use std::collections::BTreeSet;
use std::sync::Arc;

use model::append::{Column, RefusedReason};
use model::sample::STALE_NAN_BITS;
use model::{Append, Appended, Batch, TimestampMs};
use storage::Store;

use super::held::{Held, description, exemplar, fingerprint, histogram, labels, start_of};
use super::story::{End, SERIES, Story};

/// Families that words are told of.
const FAMILIES: u64 = 3;

/// One sample or histogram that goes out, the series of the batch of the same position.
#[derive(Debug, Clone, Copy)]
struct Sent {
    number: u64,
    at_ms: i64,
    held: Held,
    /// It is newer than all of its series: nothing speaks against it.
    is_newest: bool,
    has_exemplar: bool,
}

impl Story {
    pub(super) fn append(&mut self, store: &Store) -> Result<(), End> {
        self.now_ms += *self.random.pick(&[15_000, 15_000, 15_000, 1, 60_000, 900_000]);
        let count = 1 + self.random.below(8);
        let mut sent: Vec<Sent> = (0..count).map(|_| self.sample()).collect();
        // A batch's numbers are taken before its histograms.
        let places: Vec<(u64, i64)> = sent.iter().map(|one| (one.number, one.at_ms)).collect();
        for one in &mut sent {
            let here = places.iter().filter(|place| **place == (one.number, one.at_ms));
            one.is_newest &= matches!(one.held, Held::Number(_)) || here.count() == 1;
        }
        let mut batch = Batch::new();
        for one in &sent {
            let known = self.ids.get(&one.number).filter(|_| self.random.one_in(3));
            let series = match known {
                Some(id) => batch.known_series(*id),
                None => batch.series(&labels(one.number)),
            };
            let at = TimestampMs(one.at_ms);
            match one.held {
                Held::Number(bits) => batch.sample(series, at, f64::from_bits(bits)),
                Held::Histogram(own) => {
                    batch.histogram(series, at, Arc::new(histogram(self.shapes[&own])));
                }
            }
            if self.has_beside
                && let Some(start_ms) = start_of(one.number, one.at_ms)
            {
                batch.start(series, at, TimestampMs(start_ms));
            }
            if one.has_exemplar {
                batch.exemplar(exemplar(one.number, series, one.at_ms));
            }
        }
        let word = self.random.one_in(10).then(|| {
            let family = format!("family_{}", self.random.below(FAMILIES));
            (family, description(self.random.below(1 << 32)))
        });
        if let Some((family, word)) = &word {
            batch.metadata(family, word.clone());
        }
        let answer = self.runtime.block_on(store.append(batch));
        if let Some((family, word)) = word {
            self.ledger.extras().family(&family, word, answer.is_ok());
        }
        match answer {
            Ok(answer) => self.acknowledge(&sent, &answer).map_err(End::Wrong),
            Err(error) => {
                for one in &sent {
                    self.ledger.fail(one.number, one.at_ms, one.held);
                    if one.has_exemplar {
                        self.ledger.extras().exemplar(one.number, one.at_ms, None);
                    }
                }
                Err(End::Refused(error.to_string()))
            }
        }
    }

    fn acknowledge(&mut self, sent: &[Sent], answer: &Appended) -> Result<(), String> {
        let refused: BTreeSet<(Column, usize)> =
            answer.refused.iter().map(|own| (own.column, own.series.0 as usize)).collect();
        let count = |column| refused.iter().filter(|own| own.0 == column).count() as u64;
        let numbers = sent.iter().filter(|one| matches!(one.held, Held::Number(_))).count() as u64;
        let histograms = sent.len() as u64 - numbers;
        let exemplars = sent.iter().filter(|one| one.has_exemplar).count() as u64;
        if answer.accepted + count(Column::Samples) != numbers
            || answer.histograms_accepted + count(Column::Histograms) != histograms
            || answer.exemplars_accepted + count(Column::Exemplars) != exemplars
        {
            return Err(format!("not all of {numbers} and {histograms} answered: {answer:?}"));
        }
        for (index, one) in sent.iter().enumerate() {
            let column = match one.held {
                Held::Number(_) => Column::Samples,
                Held::Histogram(_) => Column::Histograms,
            };
            if !refused.contains(&(column, index)) {
                self.ledger.acknowledge(one.number, one.at_ms, one.held)?;
            } else if one.is_newest && !self.has_faults {
                return Err(format!("{one:?} is the newest, and refused: {:?}", answer.refused));
            }
            if one.has_exemplar {
                let is_accepted = !refused.contains(&(Column::Exemplars, index));
                self.ledger.extras().exemplar(one.number, one.at_ms, Some(is_accepted));
            }
            if let Some(id) = answer.ids[index] {
                self.ids.insert(one.number, id);
            }
        }
        let is_unknown = |reason| reason == RefusedReason::UnknownSeries;
        match answer.refused.iter().find(|own| is_unknown(own.reason)) {
            Some(own) => Err(format!("an acknowledged number is not known: {own:?}")),
            None => Ok(()),
        }
    }

    /// Series, instant, value: in order, late, doubled, contradicting.
    fn sample(&mut self) -> Sent {
        let number = self.random.below(SERIES);
        let back = self.random.below(6) as usize;
        let now_ms = self.now_ms;
        let (at_ms, held) = match self.random.below(16) {
            0 => {
                let known = self.ledger.acknowledged(number, back);
                known.unwrap_or((now_ms, Held::Number(0)))
            }
            1 => {
                let at_ms = self.ledger.acknowledged(number, back).map(|known| known.0);
                (at_ms.unwrap_or(now_ms), self.held(number))
            }
            2 => (now_ms - self.random.below(4_000_000) as i64, self.held(number)),
            _ => (now_ms, self.held(number)),
        };
        let is_newest = self.ledger.newest_ms(number).is_none_or(|newest_ms| newest_ms < at_ms);
        self.ledger.send(number, at_ms, held);
        let has_exemplar = self.random.one_in(6) && self.has_beside;
        Sent { number, at_ms, held, is_newest, has_exemplar }
    }

    /// Some series have mostly histograms, most have none.
    fn held(&mut self, number: u64) -> Held {
        let is_histogram = match number % 4 {
            0 => !self.random.one_in(4),
            1 => self.random.one_in(8),
            _ => false,
        };
        if !is_histogram || !self.has_beside {
            return Held::Number(self.value());
        }
        let shape = self.random.number();
        let own = fingerprint(&histogram(shape));
        self.shapes.insert(own, shape);
        Held::Histogram(own)
    }

    /// The bits of a value: whole, decimal, any float, NaN of any payload, stale, -0.
    pub fn value(&mut self) -> u64 {
        let random = &mut self.random;
        match random.below(12) {
            0..=2 => (random.below(1000) as f64).to_bits(),
            3..=5 => (random.below(10_000_000) as f64 / 1000.0).to_bits(),
            6 => (random.number() as f64 / 1e17).to_bits(),
            7 => STALE_NAN_BITS,
            8 => (-0.0f64).to_bits(),
            9 => 0x7ff0_0000_0000_0000 | random.below(1 << 52) | (random.below(2) << 63),
            10 => random.below(1 << 52), // Denormal.
            _ => random.number(),
        }
    }
}
