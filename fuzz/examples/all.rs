use fuzz::store::kills::*;
fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let t = std::time::Instant::now();
    let (mut bad, mut good) = (0, 0);
    for seed in a[0]..a[1] {
        match std::panic::catch_unwind(|| one_disk(seed, 10, None)) {
            Ok(Ok(_)) => good += 1,
            Ok(Err(e)) => {
                bad += 1;
                if bad < 12 {
                    println!("{}", &e[..e.len().min(900)]);
                }
            }
            Err(_) => {
                bad += 1;
                println!("seed {seed} panicked");
            }
        }
    }
    println!("good {good} bad {bad} {:?}", t.elapsed());
}
