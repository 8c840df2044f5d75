//! What is asked of all values of a series before windows are looked at: several in one step, so
//! without an early end.
//!
//! Place in the flow: kernels, the leaf and folds → **`finite`** → whether the quick way is right.
//!
//! Not here: the slow way.

/// Values that are looked at in one step.
const TOGETHER: usize = 8;

/// Whether no value is infinite or not a number.
pub fn are_finite(values: &[f64]) -> bool {
    // What is finite gives zero.
    let mut zeros = [0.0; TOGETHER];
    let (all, rest) = values.as_chunks::<TOGETHER>();
    for own in all {
        for (zero, value) in zeros.iter_mut().zip(own) {
            *zero += value * 0.0;
        }
    }
    zeros.iter().sum::<f64>() == 0.0 && rest.iter().all(|value| value.is_finite())
}

/// Whether all values are finite, and how many are less than the one before: both in one pass.
pub fn finite_and_falls(values: &[f64]) -> (bool, usize) {
    let Some((_, later)) = values.split_first() else { return (true, 0) };
    let (mut zeros, mut falls) = ([0.0; TOGETHER], [0u64; TOGETHER]);
    let ((all, rest), (all_later, rest_later)) =
        (values[..later.len()].as_chunks::<TOGETHER>(), later.as_chunks::<TOGETHER>());
    for (own, next) in all.iter().zip(all_later) {
        for at in 0..TOGETHER {
            zeros[at] += own[at] * 0.0;
            falls[at] += u64::from(next[at] < own[at]);
        }
    }
    let ends = rest.iter().zip(rest_later).filter(|(own, next)| next < own).count();
    let tail = &values[all.len() * TOGETHER..];
    let is_finite = zeros.iter().sum::<f64>() == 0.0 && are_finite(tail);
    (is_finite, ends + falls.iter().sum::<u64>() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_counts() {
        for length in 0..40 {
            let even: Vec<f64> = (0..length).map(f64::from).collect();
            assert_eq!((are_finite(&even), finite_and_falls(&even)), (true, (true, 0)));
            for place in 0..even.len() {
                for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
                    let mut values = even.clone();
                    values[place] = odd;
                    let is_finite = values.iter().all(|value| value.is_finite());
                    let falls = values.windows(2).filter(|pair| pair[1] < pair[0]).count();
                    assert_eq!(are_finite(&values), is_finite, "{values:?}");
                    assert_eq!(finite_and_falls(&values), (is_finite, falls), "{values:?}");
                }
            }
        }
    }
}
