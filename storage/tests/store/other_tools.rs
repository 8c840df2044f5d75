//! Other tools read a block and find the store's values, bit for bit: DuckDB by the very SQL that
//! docs/format/block.md shows, and pyarrow.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use journal::disk::Disk;
use model::clock::SystemClock;
use model::sample::STALE_NAN_BITS;
use storage::Store;

use crate::support::{Content, append, content, labels, quiet};

/// Where `cargo xtask test` installs them.
fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("HOME")).join(".cache");
    let python = cache.unwrap_or_else(home).join("belfry/python/bin/python3");
    assert!(
        python.exists(),
        "{} is missing: `cargo xtask test` installs it with duckdb and pyarrow, which needs the network once",
        python.display()
    );
    python
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The first SQL of the page.
fn sql() -> String {
    let page = std::fs::read_to_string(root().join("docs/format/block.md")).unwrap();
    let (_, rest) = page.split_once("```sql\n").expect("the page shows SQL");
    rest.split_once("```").expect("the SQL ends").0.trim().to_owned()
}

/// What a tool finds in a block.
fn found(tool: &str, block: &Path) -> Content {
    let script = root().join("storage/tests/store/other_tools.py");
    let mut command = Command::new(python());
    command.arg(script).arg(tool).arg(block).arg(sql());
    let output = command.output().unwrap();
    let (text, errors) = (output.stdout, output.stderr);
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&errors));
    let mut content = Content::new();
    for line in String::from_utf8(text).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [number, at_ms, bits] = words[..] else { panic!("{tool}: {line:?}") };
        let series = content.entry(labels(number.parse().unwrap())).or_default();
        let bits = u64::from_str_radix(bits, 16).unwrap();
        let before = series.insert(at_ms.parse().unwrap(), bits);
        assert_eq!(before, None, "{tool}: two rows at {at_ms} of series {number}");
    }
    content
}

#[test]
fn duckdb_and_pyarrow_find_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock);
    let store = Store::open(Disk::real(), dir.path(), quiet(), clock).unwrap();
    let noise = |at: u64| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) >> 8;
    let value = move |number: u64, index: u64| match number {
        0 => 42.0,
        1 => index as f64 * 1000.0,
        2 => (index * 37 % 10_007) as f64 / 1000.0,
        3 => 0.1 + (index as f64).sin() * 1e17,
        4 => f64::from_bits(STALE_NAN_BITS + index % 3),
        5 => f64::from_bits(0xfff8_0000_0000_0000 | index),
        6 => [-0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 8.0][index as usize % 4],
        // Whole numbers in each form that a page may have.
        8 => (0..index).map(|at| if noise(at) % 9 == 0 { 200 } else { noise(at) % 2 }).sum::<u64>()
            as f64,
        9 => (noise(index) % 200) as f64,
        7 => [0.1, 1e300, 9_007_199_254_740_993.0, -123_456.789_012][index as usize % 4],
        _ => f64::from_bits(index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number << 40),
    };
    for part in 0..10u64 {
        let rows = (0..12u64).flat_map(|number| {
            // Some instants do not lie evenly.
            let late_ms = move |index: u64| i64::from(number % 3 == 2 && index % 50 == 9);
            let at_ms = move |index: u64| index as i64 * 15_000 + 7 + late_ms(index);
            let one = move |index: u64| (number, at_ms(index), value(number, index));
            (part * 200..part * 200 + 200).map(one)
        });
        let rows: Vec<_> = rows.collect();
        assert_eq!(append(&store, &rows).unwrap().refused, vec![]);
        if part % 5 == 4 {
            store.flush().unwrap();
        }
    }
    store.compact().unwrap();
    let expected = content(&store);
    assert_eq!(expected.values().map(|series| series.len()).sum::<usize>(), 24_000);
    let blocks = std::fs::read_dir(dir.path().join("blocks")).unwrap();
    let blocks: Vec<PathBuf> = blocks.map(|entry| entry.unwrap().path()).collect();
    let [block] = &blocks[..] else { panic!("one block: {blocks:?}") };
    for tool in ["duckdb", "pyarrow"] {
        let found = found(tool, block);
        for (labels, series) in &expected {
            for (at_ms, bits) in series {
                let own = found.get(labels).and_then(|series| series.get(at_ms));
                assert_eq!(own, Some(bits), "{tool}: {labels} at {at_ms}");
            }
        }
        assert!(found == expected, "{tool} finds rows that the store does not");
    }
}
