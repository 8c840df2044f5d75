//! The values of the generated metrics: a mix of constants, counters, gauges, histograms and
//! full-precision floats. Stands alone: the benches of single rooms take it in by its path, so that
//! all measure the same mix.

/// A number that looks random and depends on nothing but its input.
pub fn mix(mut seed: u64) -> u64 {
    seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

/// A number from 0 to 1, 1 excluded, that looks random.
fn unit(seed: u64) -> f64 {
    (mix(seed) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The value of a series at a step.
pub fn value(index: usize, step: usize) -> f64 {
    let own = index % 427;
    let seed = mix(index as u64);
    let time = step as f64;
    match own {
        0..40 => (seed % 1000) as f64,
        40..200 => {
            let rate = 1.0 + (seed % 1400) as f64;
            ((time * rate + unit(seed ^ step as u64) * rate) / 100.0 * 100.0).floor() / 100.0
        }
        200..300 => {
            let wave = (time / 40.0 + (seed % 100) as f64).sin();
            ((500.0 + 400.0 * wave + 20.0 * unit(seed ^ step as u64)) * 10.0).round() / 10.0
        }
        300..408 => {
            let bucket = ((own - 300) % 12 + 1) as f64;
            (time * bucket * (1.0 + (seed % 7) as f64)).floor()
        }
        _ => 1000.0 * unit(seed ^ (step as u64) << 20),
    }
}
