//! For tests: writes what the readers read, as Prometheus writes it.

use model::Histogram;
use model::histogram::CUSTOM_SCHEMA;

/// Writes single bits.
#[derive(Debug, Default)]
pub struct BitsOut {
    pub bytes: Vec<u8>,
    used: usize,
}

impl BitsOut {
    pub fn bits(&mut self, value: u64, count: u32) {
        for place in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> place & 1) as u8;
            *self.bytes.last_mut().expect("pushed") |= bit << (7 - self.used % 8);
            self.used += 1;
        }
    }

    pub fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    pub fn varint(&mut self, value: i64) {
        self.uvarint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn fits(value: i64, count: u32) -> bool {
        count == 64 || (-((1 << (count - 1)) - 1)..=1 << (count - 1)).contains(&value)
    }

    /// So many ones, a zero unless they are the most, then the number.
    fn prefixed(&mut self, ones: u32, most: u32, value: u64, count: u32) {
        self.bits(u64::MAX, ones);
        if ones < most {
            self.bits(0, 1);
        }
        self.bits(value, count);
    }

    pub fn change(&mut self, value: i64) {
        let sizes = [14, 17, 20, 64];
        if value == 0 {
            return self.bits(0, 1);
        }
        let place = sizes.iter().position(|count| BitsOut::fits(value, *count)).expect("64 fit");
        self.prefixed(place as u32 + 1, 4, value.cast_unsigned(), sizes[place]);
    }

    pub fn varbit_int(&mut self, value: i64) {
        let sizes = [3, 6, 9, 12, 18, 25, 56, 64];
        if value == 0 {
            return self.bits(0, 1);
        }
        let place = sizes.iter().position(|count| BitsOut::fits(value, *count)).expect("64 fit");
        self.prefixed(place as u32 + 1, 8, value.cast_unsigned(), sizes[place]);
    }

    pub fn varbit_uint(&mut self, value: u64) {
        let sizes = [3, 6, 9, 12, 18, 25, 56, 64];
        if value == 0 {
            return self.bits(0, 1);
        }
        let fits = |count: &u32| *count == 64 || value < 1 << count;
        let place = sizes.iter().position(fits).expect("64 fit");
        self.prefixed(place as u32 + 1, 8, value, sizes[place]);
    }
}

/// Writes floats as what changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct XorOut {
    bits: u64,
    place: Option<(u32, u32)>,
}

impl XorOut {
    pub fn first(out: &mut BitsOut, value: f64) -> XorOut {
        out.bits(value.to_bits(), 64);
        XorOut { bits: value.to_bits(), place: None }
    }

    pub fn next(&mut self, out: &mut BitsOut, value: f64) {
        let change = std::mem::replace(&mut self.bits, value.to_bits()) ^ value.to_bits();
        if change == 0 {
            return out.bits(0, 1);
        }
        out.bits(1, 1);
        let (leading, trailing) = (change.leading_zeros().min(31), change.trailing_zeros());
        if let Some((before, after)) = self.place
            && leading >= before
            && trailing >= after
        {
            out.bits(0, 1);
            return out.bits(change >> after, 64 - before - after);
        }
        self.place = Some((leading, trailing));
        let count = 64 - leading - trailing;
        out.bits(1, 1);
        out.bits(u64::from(leading), 5);
        out.bits(u64::from(count) & 63, 6);
        out.bits(change >> trailing, count);
    }
}

/// A chunk of plain values.
pub fn values(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut out = BitsOut::default();
    out.bits(samples.len() as u64, 16);
    let (mut last, mut delta, mut value) = (0_i64, 0_i64, XorOut::default());
    for (index, (at, own)) in samples.iter().enumerate() {
        match index {
            0 => out.varint(*at),
            1 => {
                delta = at.wrapping_sub(last);
                out.uvarint(delta.cast_unsigned());
            }
            _ => {
                let next = at.wrapping_sub(last);
                out.change(next.wrapping_sub(delta));
                delta = next;
            }
        }
        if index == 0 {
            value = XorOut::first(&mut out, *own);
        } else {
            value.next(&mut out, *own);
        }
        last = *at;
    }
    out.bytes
}

/// A chunk of histograms with one layout.
pub fn histograms(samples: &[(i64, Histogram)], header: u8, is_float: bool) -> Vec<u8> {
    let mut out = BitsOut::default();
    out.bits(samples.len() as u64, 16);
    out.bits(u64::from(header), 8);
    let Some((_, first)) = samples.first() else { return out.bytes };
    layout(&mut out, first);
    if is_float {
        floats(&mut out, samples)
    } else {
        integers(&mut out, samples)
    }
    out.bytes
}

fn layout(out: &mut BitsOut, histogram: &Histogram) {
    match histogram.zero_threshold {
        0.0 => out.bits(0, 8),
        threshold => {
            let exponent = threshold.log2().round();
            if exponent.exp2() == threshold && (-243.0..=10.0).contains(&exponent) {
                out.bits((exponent as i64 + 244).cast_unsigned(), 8);
            } else {
                out.bits(255, 8);
                out.bits(threshold.to_bits(), 64);
            }
        }
    }
    out.varbit_int(i64::from(histogram.schema));
    for side in [&histogram.positive, &histogram.negative] {
        out.varbit_uint(side.spans().len() as u64);
        for span in side.spans() {
            out.varbit_uint(u64::from(span.length));
            out.varbit_int(i64::from(span.offset));
        }
    }
    if histogram.schema == CUSTOM_SCHEMA {
        out.varbit_uint(histogram.custom_values.len() as u64);
        for bound in &histogram.custom_values {
            let thousands = (bound * 1000.0).round();
            if (0.0..33_554_430.0).contains(&thousands) && thousands / 1000.0 == *bound {
                out.bits(1, 1);
                out.varbit_uint(thousands as u64 + 1);
            } else {
                out.bits(0, 1);
                out.bits(bound.to_bits(), 64);
            }
        }
    }
}

/// The numbers of a histogram that are written as differences of differences.
fn whole_numbers(at: i64, own: &Histogram) -> (Vec<i64>, Vec<i64>) {
    let deltas = |counts: &[f64]| -> Vec<i64> {
        let before = std::iter::once(0.0).chain(counts.iter().copied());
        counts.iter().zip(before).map(|(count, before)| (count - before) as i64).collect()
    };
    let mut buckets = deltas(own.positive.counts());
    buckets.extend(deltas(own.negative.counts()));
    (vec![at, own.count as i64, own.zero_count as i64], buckets)
}

fn integers(out: &mut BitsOut, samples: &[(i64, Histogram)]) {
    let mut last: (Vec<i64>, Vec<i64>) = Default::default();
    let mut sum = XorOut::default();
    let mut deltas: (Vec<i64>, Vec<i64>) = Default::default();
    for (index, (at, own)) in samples.iter().enumerate() {
        let numbers = whole_numbers(*at, own);
        if index == 0 {
            out.varbit_int(numbers.0[0]);
            out.varbit_uint(numbers.0[1].cast_unsigned());
            out.varbit_uint(numbers.0[2].cast_unsigned());
            sum = XorOut::first(out, own.sum);
            numbers.1.iter().for_each(|bucket| out.varbit_int(*bucket));
            deltas = (vec![0; 3], vec![0; numbers.1.len()]);
        } else {
            let next = |new: &[i64], last: &[i64], deltas: &mut [i64], out: &mut BitsOut| {
                for ((new, last), delta) in new.iter().zip(last).zip(deltas) {
                    let own = new - last;
                    out.varbit_int(own - *delta);
                    *delta = own;
                }
            };
            next(&numbers.0, &last.0, &mut deltas.0, out);
            sum.next(out, own.sum);
            next(&numbers.1, &last.1, &mut deltas.1, out);
        }
        last = numbers;
    }
}

fn floats(out: &mut BitsOut, samples: &[(i64, Histogram)]) {
    let mut xors: Vec<XorOut> = Vec::new();
    let (mut last, mut delta) = (0_i64, 0_i64);
    for (index, (at, own)) in samples.iter().enumerate() {
        let mut numbers = vec![own.count, own.zero_count, own.sum];
        numbers.extend(own.positive.counts().iter().chain(own.negative.counts()));
        if index == 0 {
            out.varbit_int(*at);
            xors = numbers.iter().map(|number| XorOut::first(out, *number)).collect();
        } else {
            let next = at - last;
            out.varbit_int(next - delta);
            delta = next;
            for (xor, number) in xors.iter_mut().zip(&numbers) {
                xor.next(out, *number);
            }
        }
        last = *at;
    }
}
