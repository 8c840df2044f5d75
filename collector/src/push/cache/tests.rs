//! The cache against a map that never forgets, and its bound.

use std::collections::HashMap;

use super::*;

fn key(hasher: &Hasher, number: u64) -> Key {
    hasher.key(format!("series {number}").as_bytes())
}

#[test]
fn it_finds_what_it_learned_and_only_that() {
    let hasher = Hasher::new(7);
    let mut cache = SeriesCache::new(1 << 20);
    for number in 0..5_000 {
        cache.learn(key(&hasher, number), 9, SeriesId(number * 3));
    }
    for number in 0..5_000 {
        let (_, entry) = cache.find(NOWHERE, key(&hasher, number)).expect("known");
        assert_eq!(entry.id(), Some(SeriesId(number * 3)));
    }
    assert!(cache.find(NOWHERE, key(&hasher, 5_000)).is_none());
    cache.learn(key(&hasher, 17), 9, SeriesId(99));
    cache.forget(key(&hasher, 18));
    cache.forget(key(&hasher, 9_999));
    let id = |number| cache.find(NOWHERE, key(&hasher, number)).and_then(|(_, entry)| entry.id());
    assert_eq!((id(17), id(18), id(19)), (Some(SeriesId(99)), None, Some(SeriesId(57))));
    assert_eq!(cache.len(), 5_000);
}

#[test]
fn the_order_of_arrival_is_followed_and_changes_are_learned() {
    let hasher = Hasher::new(1);
    let mut cache = SeriesCache::new(1 << 20);
    for number in 0..100 {
        cache.learn(key(&hasher, number), 0, SeriesId(number));
    }
    let (mut last, mut predicted) = (NOWHERE, 0);
    for number in 0..100 {
        predicted +=
            usize::from(cache.after(last).is_some_and(|(_, e)| e.key == key(&hasher, number)));
        last = cache.find_after(last, key(&hasher, number)).expect("known").0;
    }
    assert_eq!(predicted, 99, "all but the first");
    // Another order costs the table once, and is followed from then on.
    for expected in [0, 99] {
        let (mut last, mut predicted) = (NOWHERE, 0);
        for number in (0..100).rev() {
            let wanted = key(&hasher, number);
            predicted += usize::from(cache.after(last).is_some_and(|(_, e)| e.key == wanted));
            last = cache.find_after(last, wanted).expect("known").0;
        }
        assert_eq!(predicted, expected);
    }
}

#[test]
fn the_oldest_goes_first_and_the_bytes_stay_bounded() {
    let hasher = Hasher::new(3);
    let bytes_max = 64 * 1024;
    let mut cache = SeriesCache::new(bytes_max);
    let entries_max = cache.entries_max as u64;
    let mut present: HashMap<u64, u64> = HashMap::new();
    for number in 0..entries_max * 5 / 2 {
        cache.learn(key(&hasher, number), 0, SeriesId(number));
        present.insert(number, number);
        if number >= entries_max {
            present.remove(&(number - entries_max));
        }
        assert!(cache.bytes() <= bytes_max, "{} bytes", cache.bytes());
        if number % 97 == 0 {
            for probe in 0..=number {
                let id = cache.find(NOWHERE, key(&hasher, probe)).and_then(|(_, e)| e.id());
                assert_eq!(id.map(|id| id.0), present.get(&probe).copied(), "{probe} of {number}");
            }
        }
    }
    assert_eq!(cache.len() as u64, entries_max);
}

#[test]
fn another_secret_is_another_key() {
    assert_ne!(key(&Hasher::new(1), 1), key(&Hasher::new(2), 1));
    let (plain, context) = (key(&Hasher::new(1), 1), key(&Hasher::new(1), 2));
    assert_ne!(plain.within(context), plain);
    assert_eq!(plain.within(context).within(context), plain);
}
