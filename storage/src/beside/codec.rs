//! A native histogram as few bytes, exactly.
//!
//! Place in the flow: histograms in memory and in records of the journal are written here one after
//! the other, each as the difference to the one before it.
//!
//! The bytes: a header; the layout, unless it is that of the histogram before; count, zero count and
//! all buckets; the sum. Counts that are whole numbers are differences, with runs of "no difference"
//! as one number; other counts are the bytes that differ. docs/format/store-journal.md says each.
//!
//! Invariant: what is read has the bits of what was written, hint and empty buckets included.
//!
//! Not here: instants (`histograms`, `records`).

use model::Histogram;
use model::histogram::{Buckets, ResetHint, Span};

use crate::encoding::decimal::MANTISSA_MAX;
use crate::encoding::float::{put_single, single};
use crate::encoding::varint::{Reader, put_i64, put_u64};

/// Buckets and custom bounds of one histogram at most; those of the field have a few hundred.
pub const HISTOGRAM_BUCKETS_MAX: usize = 1 << 16;

const SAME_LAYOUT: u8 = 1;
const HINT_SHIFT: u8 = 1;
const WHOLE: u8 = 8;

/// Appends one histogram. `previous` is the one before it in the same bytes.
pub fn put(previous: Option<&Histogram>, own: &Histogram, out: &mut Vec<u8>) {
    let previous = previous.filter(|previous| same_layout(previous, own));
    let is_whole = numbers(own).all(|count| whole(count).is_some());
    let mut header = hint_number(own.hint) << HINT_SHIFT;
    header |= if previous.is_some() { SAME_LAYOUT } else { 0 };
    header |= if is_whole { WHOLE } else { 0 };
    out.push(header);
    if previous.is_none() {
        put_layout(own, out);
    }
    if is_whole {
        put_wholes(previous, own, out);
    } else {
        let mut before = 0;
        let mut old = previous.map(numbers);
        for count in numbers(own) {
            let base = old.as_mut().and_then(Iterator::next).map_or(before, f64::to_bits);
            put_different(base, count.to_bits(), out);
            before = count.to_bits();
        }
    }
    put_different(previous.map_or(0, |one| one.sum.to_bits()), own.sum.to_bits(), out);
}

/// Reads one histogram of [`put`].
pub fn read(previous: Option<&Histogram>, reader: &mut Reader<'_>) -> Option<Histogram> {
    let header = reader.u8()?;
    if header & !(SAME_LAYOUT | WHOLE | 3 << HINT_SHIFT) != 0 {
        return None;
    }
    let previous = match header & SAME_LAYOUT {
        0 => None,
        _ => Some(previous?),
    };
    let read_layout;
    let layout = match previous {
        Some(previous) => previous,
        None => {
            read_layout = layout(reader)?;
            &read_layout
        }
    };
    let (positive, negative) = (bucket_count(&layout.positive), bucket_count(&layout.negative));
    let size = 2 + positive + negative;
    let mut counts = Vec::with_capacity(size);
    if header & WHOLE != 0 {
        wholes(previous, size, reader, &mut counts)?;
    } else {
        let mut before = 0;
        let mut old = previous.map(numbers);
        for _ in 0..size {
            let base = old.as_mut().and_then(Iterator::next).map_or(before, f64::to_bits);
            before = different(base, reader)?;
            counts.push(f64::from_bits(before));
        }
    }
    let sum = different(previous.map_or(0, |one| one.sum.to_bits()), reader)?;
    let negative_counts = counts.split_off(2 + positive);
    let positive_counts = counts.split_off(2);
    Some(Histogram {
        schema: layout.schema,
        zero_threshold: layout.zero_threshold,
        count: counts[0],
        zero_count: counts[1],
        sum: f64::from_bits(sum),
        positive: Buckets::from_spans(layout.positive.spans().to_vec(), positive_counts)?,
        negative: Buckets::from_spans(layout.negative.spans().to_vec(), negative_counts)?,
        custom_values: layout.custom_values.clone(),
        hint: hint_of(header >> HINT_SHIFT & 3),
    })
}

/// Whether two histograms hold the same, to the bit, whatever their hints.
pub fn same_content(one: &Histogram, other: &Histogram) -> bool {
    same_layout(one, other)
        && one.sum.to_bits() == other.sum.to_bits()
        && numbers(one).map(f64::to_bits).eq(numbers(other).map(f64::to_bits))
}

/// Why a histogram can't be stored, if it can't.
pub fn problem(own: &Histogram) -> Option<&'static str> {
    let sides = [&own.positive, &own.negative];
    let size: usize = sides.iter().map(|side| side.counts().len() + side.spans().len()).sum();
    if size + own.custom_values.len() > HISTOGRAM_BUCKETS_MAX {
        return Some("too many buckets");
    }
    if i8::try_from(own.schema).is_err() {
        return Some("no such schema");
    }
    // The marker that a series has ended may have any shape.
    if model::sample::is_stale_nan(own.sum) {
        return None;
    }
    own.problem()
}

/// The number of a hint in bytes and columns.
pub fn hint_number(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

/// The hint of a number.
pub fn hint_of(number: u8) -> ResetHint {
    match number {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

/// The whole number that a count is, if that is exact.
pub fn whole(count: f64) -> Option<i64> {
    let number = count as i64;
    let is_exact = (number as f64).to_bits() == count.to_bits() && number.abs() <= MANTISSA_MAX;
    is_exact.then_some(number)
}

fn numbers(own: &Histogram) -> impl Iterator<Item = f64> + '_ {
    let buckets = own.positive.counts().iter().chain(own.negative.counts());
    [own.count, own.zero_count].into_iter().chain(buckets.copied())
}

fn bucket_count(side: &Buckets) -> usize {
    side.counts().len()
}

fn same_layout(one: &Histogram, other: &Histogram) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    one.schema == other.schema
        && one.zero_threshold.to_bits() == other.zero_threshold.to_bits()
        && one.positive.spans() == other.positive.spans()
        && one.negative.spans() == other.negative.spans()
        && one.custom_values.len() == other.custom_values.len()
        && (one.custom_values.is_empty() || bits(&one.custom_values) == bits(&other.custom_values))
}

fn put_layout(own: &Histogram, out: &mut Vec<u8>) {
    put_i64(out, i64::from(own.schema));
    put_single(out, own.zero_threshold);
    put_u64(out, own.custom_values.len() as u64);
    for bound in &own.custom_values {
        put_single(out, *bound);
    }
    for side in [&own.positive, &own.negative] {
        put_u64(out, side.spans().len() as u64);
        for span in side.spans() {
            put_i64(out, i64::from(span.offset));
            put_u64(out, u64::from(span.length));
        }
    }
}

/// A histogram with that layout and empty buckets.
fn layout(reader: &mut Reader<'_>) -> Option<Histogram> {
    let schema = i32::try_from(reader.i64()?).ok()?;
    let zero_threshold = single(reader)?;
    let bounds = reader.count()?;
    let custom_values: Option<Vec<f64>> = (0..bounds).map(|_| single(reader)).collect();
    let mut side = || {
        let (mut spans, mut size) = (Vec::new(), 0usize);
        for _ in 0..reader.count()? {
            let offset = i32::try_from(reader.i64()?).ok()?;
            let length = reader.u32()?;
            size = size.checked_add(length as usize)?;
            spans.push(Span { offset, length });
        }
        // Checked before memory is asked for: runs of zeros make few bytes of many buckets.
        (size <= HISTOGRAM_BUCKETS_MAX).then(|| Buckets::from_spans(spans, vec![0.0; size]))?
    };
    let (positive, negative) = (side()?, side()?);
    Some(Histogram {
        schema,
        zero_threshold,
        positive,
        negative,
        custom_values: custom_values?,
        ..Histogram::default()
    })
}

/// What whole counts are differences to: the same place of the histogram before, or the place before.
struct Bases<'a> {
    old: Option<Box<dyn Iterator<Item = f64> + 'a>>,
    before: i64,
}

impl<'a> Bases<'a> {
    fn new(previous: Option<&'a Histogram>) -> Bases<'a> {
        let is_whole = |one: &&Histogram| numbers(one).all(|count| whole(count).is_some());
        let old = previous.filter(is_whole);
        Bases { old: old.map(|one| Box::new(numbers(one)) as Box<_>), before: 0 }
    }

    fn next(&mut self) -> i64 {
        let old = self.old.as_mut().and_then(Iterator::next);
        old.map_or(self.before, |count| count as i64)
    }
}

fn put_wholes(previous: Option<&Histogram>, own: &Histogram, out: &mut Vec<u8>) {
    let mut bases = Bases::new(previous);
    let mut zeros = 0u64;
    let end_zeros = |zeros: &mut u64, out: &mut Vec<u8>| {
        if *zeros > 0 {
            out.push(0);
            put_u64(out, *zeros - 1);
            *zeros = 0;
        }
    };
    for count in numbers(own) {
        let count = count as i64;
        let difference = count - bases.next();
        bases.before = count;
        if difference == 0 {
            zeros += 1;
            continue;
        }
        end_zeros(&mut zeros, out);
        put_i64(out, difference);
    }
    end_zeros(&mut zeros, out);
}

fn wholes(
    previous: Option<&Histogram>,
    size: usize,
    reader: &mut Reader<'_>,
    counts: &mut Vec<f64>,
) -> Option<()> {
    let mut bases = Bases::new(previous);
    while counts.len() < size {
        let difference = reader.i64()?;
        let repeated = if difference == 0 { reader.u64()? } else { 0 };
        if repeated >= (size - counts.len()) as u64 {
            return None;
        }
        for _ in 0..=repeated {
            let count = bases.next().checked_add(difference)?;
            bases.before = count;
            counts.push(count as f64);
        }
    }
    Some(())
}

/// One byte that says how many bytes of the difference are zero at either end, then those between.
fn put_different(base: u64, bits: u64, out: &mut Vec<u8>) {
    let different = (bits ^ base).to_be_bytes();
    let leading = different.iter().take_while(|&&byte| byte == 0).count();
    let trailing = different[leading..].iter().rev().take_while(|&&byte| byte == 0).count();
    out.push((leading << 4 | trailing) as u8);
    out.extend_from_slice(&different[leading..8 - trailing]);
}

fn different(base: u64, reader: &mut Reader<'_>) -> Option<u64> {
    let control = reader.u8()?;
    let (leading, trailing) = (usize::from(control >> 4), usize::from(control & 0x0f));
    let size = 8usize.checked_sub(leading + trailing)?;
    let mut different = [0u8; 8];
    different[leading..leading + size].copy_from_slice(reader.take(size)?);
    Some(base ^ u64::from_be_bytes(different))
}
