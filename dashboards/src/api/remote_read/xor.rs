//! Samples in chunks as the field's servers hold them: Gorilla's encoding.
//!
//! Place in the flow: a series' samples → **`chunk`** → `frame`.
//!
//! Two bytes with the number of samples; then a stream of bits: the first instant and value as they
//! are, then the change of the change of the instant in one of five widths, and each value as its
//! difference from the one before in the bits that differ.

/// Most samples of one chunk, as upstream cuts them.
pub const CHUNK_SAMPLES_MAX: usize = 120;

/// Bits, the first one highest.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    free: u32,
}

impl Bits {
    fn push(&mut self, value: u64, mut width: u32) {
        while width > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let count = self.free.min(width);
            let part = (value >> (width - count)) as u8 & ((1u16 << count) - 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << (self.free - count);
            }
            self.free -= count;
            width -= count;
        }
    }

    /// Seven bits a byte, as protobuf does.
    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.push(value, 8);
    }
}

/// The bits of the differing part that the value before used.
#[derive(Clone, Copy)]
struct Window {
    leading: u32,
    trailing: u32,
}

/// One chunk of at most [`CHUNK_SAMPLES_MAX`] samples.
pub fn chunk(instants_ms: &[i64], values: &[f64]) -> Vec<u8> {
    assert!(instants_ms.len() <= CHUNK_SAMPLES_MAX, "whoever asks cuts the series");
    assert_eq!(instants_ms.len(), values.len(), "one value for each instant");
    let mut bits = Bits::default();
    let (mut delta, mut window) = (0i64, None);
    for (place, (at_ms, value)) in instants_ms.iter().zip(values).enumerate() {
        if place == 0 {
            bits.push_varint((at_ms << 1 ^ at_ms >> 63).cast_unsigned());
            bits.push(value.to_bits(), 64);
            continue;
        }
        let step = at_ms.wrapping_sub(instants_ms[place - 1]);
        if place == 1 {
            bits.push_varint(step.cast_unsigned());
        } else {
            push_change(&mut bits, step.wrapping_sub(delta));
        }
        delta = step;
        let differs = value.to_bits() ^ values[place - 1].to_bits();
        window = push_difference(&mut bits, differs, window);
    }
    let mut out = (instants_ms.len() as u16).to_be_bytes().to_vec();
    out.append(&mut bits.bytes);
    out
}

/// How much the distance of instants changed.
fn push_change(bits: &mut Bits, change: i64) {
    if change == 0 {
        return bits.push(0, 1);
    }
    for (prefix, prefix_width, width) in [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)] {
        let most = 1i64 << (width - 1);
        if (1 - most..=most).contains(&change) {
            bits.push(prefix, prefix_width);
            return bits.push(change.cast_unsigned(), width);
        }
    }
    bits.push(0b1111, 4);
    bits.push(change.cast_unsigned(), 64);
}

fn push_difference(bits: &mut Bits, differs: u64, window: Option<Window>) -> Option<Window> {
    if differs == 0 {
        bits.push(0, 1);
        return window;
    }
    bits.push(1, 1);
    // Five bits hold the number.
    let leading = differs.leading_zeros().min(31);
    let trailing = differs.trailing_zeros();
    if let Some(own) = window.filter(|own| leading >= own.leading && trailing >= own.trailing) {
        bits.push(0, 1);
        bits.push(differs >> own.trailing, 64 - own.leading - own.trailing);
        return window;
    }
    let width = 64 - leading - trailing;
    bits.push(1, 1);
    bits.push(u64::from(leading), 5);
    // Six bits hold the number; 64 is written as 0.
    bits.push(u64::from(width) & 0x3f, 6);
    bits.push(differs >> trailing, width);
    Some(Window { leading, trailing })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Read<'a>(&'a [u8], usize);

    impl Read<'_> {
        fn bits(&mut self, width: u32) -> u64 {
            (0..width).fold(0, |value, _| {
                let bit = self.0[self.1 / 8] >> (7 - self.1 % 8) & 1;
                self.1 += 1;
                value << 1 | u64::from(bit)
            })
        }

        fn varint(&mut self) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = self.bits(8);
                value |= (byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return value;
                }
            }
        }

        fn change(&mut self) -> i64 {
            let width = match (0..4).take_while(|_| self.bits(1) == 1).count() {
                0 => return 0,
                1 => 14,
                2 => 17,
                3 => 20,
                _ => return self.bits(64).cast_signed(),
            };
            let value = self.bits(width).cast_signed();
            if value > 1 << (width - 1) { value - (1 << width) } else { value }
        }
    }

    /// A reader written from the format's description.
    fn decoded(chunk: &[u8]) -> Vec<(i64, u64)> {
        let count = usize::from(u16::from_be_bytes([chunk[0], chunk[1]]));
        let mut bits = Read(&chunk[2..], 0);
        let first = bits.varint();
        let mut at = (first >> 1).cast_signed() ^ -((first & 1).cast_signed());
        let mut value = bits.bits(64);
        let mut all = vec![(at, value)];
        let (mut delta, mut leading, mut width) = (0i64, 0, 0);
        for place in 1..count {
            delta = if place == 1 {
                bits.varint().cast_signed()
            } else {
                delta.wrapping_add(bits.change())
            };
            at = at.wrapping_add(delta);
            if bits.bits(1) == 1 {
                if bits.bits(1) == 1 {
                    leading = bits.bits(5) as u32;
                    width = match bits.bits(6) as u32 {
                        0 => 64,
                        width => width,
                    };
                }
                value ^= bits.bits(width) << (64 - leading - width);
            }
            all.push((at, value));
        }
        all
    }

    #[test]
    fn what_is_written_is_read() {
        let mut noise = 7u64;
        let mut next = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise >> 33
        };
        let odd = [0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, 1e300, model::sample::stale_nan()];
        let steps = [15_000, 15_000, 15_001, 8_192, 8_193, 65_537, 524_289, 1 << 40, 1];
        for length in [1, 2, 3, 7, 120] {
            for kind in 0..4u64 {
                let mut at = -3_000;
                let (mut instants, mut values) = (Vec::new(), Vec::new());
                for place in 0..length {
                    at += steps[next() as usize % if kind == 0 { 2 } else { steps.len() }];
                    instants.push(at);
                    values.push(match kind {
                        0 => place as f64,
                        1 => odd[next() as usize % odd.len()],
                        2 => f64::from_bits(next() << 31 ^ next()),
                        _ => 17.25,
                    });
                }
                let expected: Vec<(i64, u64)> =
                    instants.iter().zip(&values).map(|(at, own)| (*at, own.to_bits())).collect();
                assert_eq!(decoded(&chunk(&instants, &values)), expected, "{length} of {kind}");
            }
        }
    }
}
