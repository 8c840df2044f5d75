//! Instants as differences of differences: a regular series costs a few bytes a run.
//!
//! Place in the flow: memtable chunks.
//!
//! Not here: putting instants on the schedule (the collector does).

use super::varint::{Reader, put_i64};

/// Appends instants and says whether they are regular (then only the first two were written).
pub fn encode(instants_ms: &[i64], out: &mut Vec<u8>) -> bool {
    let Some(&first) = instants_ms.first() else { return true };
    put_i64(out, first);
    if instants_ms.len() == 1 {
        return true;
    }
    let step = instants_ms[1].wrapping_sub(first);
    put_i64(out, step);
    if instants_ms.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step) {
        return true;
    }
    let mut previous = step;
    for pair in instants_ms[1..].windows(2) {
        let delta = pair[1].wrapping_sub(pair[0]);
        put_i64(out, delta.wrapping_sub(previous));
        previous = delta;
    }
    false
}

/// Reads `count` instants and appends them.
pub fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    regular: bool,
    out: &mut Vec<i64>,
) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let mut at = reader.i64()?;
    out.push(at);
    if count == 1 {
        return Some(());
    }
    let mut delta = reader.i64()?;
    at = at.wrapping_add(delta);
    out.push(at);
    for _ in 2..count {
        if !regular {
            delta = delta.wrapping_add(reader.i64()?);
        }
        at = at.wrapping_add(delta);
        out.push(at);
    }
    Some(())
}
