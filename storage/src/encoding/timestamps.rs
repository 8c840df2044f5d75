//! Instants as differences of differences: a regular series costs a few bytes a run, one that goes
//! on as it did before costs none.
//!
//! Place in the flow: memtable chunks.
//!
//! Not here: putting instants on the schedule (the collector does).

use super::varint::{Reader, put_i64};

/// Where the instants before ended, and how far apart the last two of them were (0: nothing goes on
/// from here).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The last instant.
    pub last_ms: i64,
    /// The step to the next one if nothing changes.
    pub step_ms: i64,
}

/// How instants are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Not at all: each is one step of the grid after the one before.
    Continued,
    /// The first one and the step.
    Regular,
    /// All of them.
    Irregular,
}

/// Appends instants and says how. `continues` when the first is one step after the grid's last;
/// `base_ms` is what the first is told from otherwise.
pub fn encode(instants_ms: &[i64], (base_ms, continues): (i64, bool), out: &mut Vec<u8>) -> Form {
    let [first, rest @ ..] = instants_ms else { return Form::Continued };
    if continues {
        return Form::Continued;
    }
    put_i64(out, first.wrapping_sub(base_ms));
    let [second, ..] = rest else { return Form::Regular };
    let step = second.wrapping_sub(*first);
    put_i64(out, step);
    if instants_ms.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step) {
        return Form::Regular;
    }
    let mut previous = step;
    for pair in rest.windows(2) {
        let delta = pair[1].wrapping_sub(pair[0]);
        put_i64(out, delta.wrapping_sub(previous));
        previous = delta;
    }
    Form::Irregular
}

/// Reads `count` instants, appends them and moves the grid to their end.
pub fn decode(
    reader: &mut Reader<'_>,
    (count, form): (usize, Form),
    (base_ms, grid): (i64, &mut Grid),
    out: &mut Vec<i64>,
) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let (mut at, mut delta) = (grid.last_ms.wrapping_add(grid.step_ms), grid.step_ms);
    if form != Form::Continued {
        at = base_ms.wrapping_add(reader.i64()?);
        delta = if count > 1 { reader.i64()? } else { 0 };
    }
    out.push(at);
    match form {
        Form::Irregular => {
            for index in 1..count {
                if index > 1 {
                    delta = delta.wrapping_add(reader.i64()?);
                }
                at = at.wrapping_add(delta);
                out.push(at);
            }
        }
        Form::Continued | Form::Regular => out.extend((1..count).map(|_| {
            at = at.wrapping_add(delta);
            at
        })),
    }
    *grid = Grid { last_ms: at, step_ms: delta };
    Some(())
}
