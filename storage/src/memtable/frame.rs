//! A frame: up to 32 samples of one series as few bytes.
//!
//! Place in the flow: raw samples of a run → **frame** → chunks; a reader of chunks comes back
//! through here.
//!
//! A frame is: one byte with its count less one (lowest five bits) and the form of its instants
//! (bit 5 "as the grid goes on", bit 6 "irregular"); the instants, unless they go on; one byte with
//! the kind of values and, for decimals, the exponent; the values. The instants of a frame may
//! depend on those before it in its run, the values never do.
//!
//! Invariant: a frame in memory always decodes.
//!
//! Not here: where frames stand (`run`, `chunk`).

use super::chunk::Sample;
use crate::encoding::timestamps::{Form, Grid};
use crate::encoding::varint::Reader;
use crate::encoding::{decimal, float, timestamps};

/// Samples of one frame: enough to compress, few enough to hold raw until then.
pub const FRAME_SAMPLES_MAX: usize = 32;

const CONTINUED: u8 = 0x20;
const IRREGULAR: u8 = 0x40;
const CONSTANT: u8 = 0x10;
const FLOATS: u8 = 0x20;
/// All values of a frame have the same bits, and they are a decimal.
const CONSTANT_DECIMAL: u8 = 0x30;

/// Appends a frame. `base_ms` is the first instant of the run, `continues` says that the first
/// instant is one step of the grid after the frame before.
pub fn encode(
    instants_ms: &[i64],
    values: &[f64],
    (base_ms, continues): (i64, bool),
    out: &mut Vec<u8>,
) {
    let count = values.len();
    assert!((1..=FRAME_SAMPLES_MAX).contains(&count), "a frame holds 1 to 32 samples");
    assert_eq!(instants_ms.len(), count, "each value has its instant");
    let header_index = out.len();
    out.push((count - 1) as u8);
    out[header_index] |= match timestamps::encode(instants_ms, (base_ms, continues), out) {
        Form::Continued => CONTINUED,
        Form::Regular => 0,
        Form::Irregular => IRREGULAR,
    };
    let first_bits = values[0].to_bits();
    let constant = values.iter().all(|value| value.to_bits() == first_bits);
    let distinct = if constant { &values[..1] } else { values };
    let mut mantissas = [0i64; FRAME_SAMPLES_MAX];
    let mantissas = &mut mantissas[..distinct.len()];
    match decimal::mantissas(distinct, mantissas) {
        Some(exponent) => {
            out.push(exponent | if constant { CONSTANT_DECIMAL } else { 0 });
            decimal::encode(mantissas, out);
        }
        None => {
            out.push(if constant { CONSTANT } else { FLOATS });
            float::encode(distinct, out);
        }
    }
}

/// Reads one frame of a run that begins at `base_ms`.
fn decode_one(
    reader: &mut Reader<'_>,
    (base_ms, grid): (i64, &mut Grid),
    instants_ms: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Option<()> {
    let header = reader.u8()?;
    let count = usize::from(header & 0x1f) + 1;
    let form = match header & (CONTINUED | IRREGULAR) {
        0 => Form::Regular,
        CONTINUED => Form::Continued,
        IRREGULAR => Form::Irregular,
        _ => return None,
    };
    timestamps::decode(reader, (count, form), (base_ms, grid), instants_ms)?;
    let kind = reader.u8()?;
    let constant = matches!(kind & 0xf0, CONSTANT | CONSTANT_DECIMAL);
    let distinct = if constant { 1 } else { count };
    match kind & 0xf0 {
        0 | CONSTANT_DECIMAL => decimal::decode(reader, distinct, kind & 0x0f, values)?,
        CONSTANT | FLOATS => float::decode(reader, distinct, values)?,
        _ => return None,
    }
    if constant {
        let value = *values.last()?;
        values.resize(values.len() + count - 1, value);
    }
    Some(())
}

/// Appends the samples of all frames of a run that begins at `base_ms`.
pub fn decode(bytes: &[u8], base_ms: i64, instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
    let mut reader = Reader::new(bytes);
    let mut grid = Grid { last_ms: base_ms, step_ms: 0 };
    while !reader.is_empty() {
        decode_one(&mut reader, (base_ms, &mut grid), instants_ms, values)
            .expect("a frame in memory decodes");
    }
}

/// Appends frames with all of the samples (at least one, instants ascending).
pub fn encode_all(samples: &[Sample], out: &mut Vec<u8>) {
    let base_ms = samples[0].at_ms;
    let mut grid = Grid { last_ms: base_ms, step_ms: 0 };
    for frame in samples.chunks(FRAME_SAMPLES_MAX) {
        let (mut instants_ms, mut values) = ([0i64; FRAME_SAMPLES_MAX], [0f64; FRAME_SAMPLES_MAX]);
        for (index, sample) in frame.iter().enumerate() {
            instants_ms[index] = sample.at_ms;
            values[index] = sample.value;
        }
        let instants_ms = &instants_ms[..frame.len()];
        let continues = goes_on(instants_ms, grid);
        encode(instants_ms, &values[..frame.len()], (base_ms, continues), out);
        let before_ms = match frame.len() {
            1 if continues => grid.last_ms,
            1 => instants_ms[0],
            count => instants_ms[count - 2],
        };
        let last_ms = instants_ms[frame.len() - 1];
        grid = Grid { last_ms, step_ms: last_ms.wrapping_sub(before_ms) };
    }
}

/// Whether all instants stand where the grid goes on.
fn goes_on(instants_ms: &[i64], grid: Grid) -> bool {
    let mut next_ms = grid.last_ms;
    grid.step_ms != 0
        && instants_ms.iter().all(|at_ms| {
            next_ms = next_ms.wrapping_add(grid.step_ms);
            *at_ms == next_ms
        })
}
