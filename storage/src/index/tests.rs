//! Matchers against label sets, one row each, and the index file.

use model::append::SeriesId;
use model::{Labels, MatchOp, Matcher};

use super::file::{BlockSeries, Unusable};
use super::{BlockIndex, Index};

fn sets() -> Vec<Labels> {
    [
        vec![("__name__", "up"), ("job", "a"), ("i", "1")],
        vec![("__name__", "up"), ("job", "a"), ("i", "2")],
        vec![("__name__", "up"), ("job", "b"), ("i", "1")],
        vec![("__name__", "up")],
        vec![("__name__", "down"), ("job", "abc"), ("zone", "ä")],
        vec![("__name__", "down"), ("zone", "äö")],
    ]
    .into_iter()
    .map(Labels::from_pairs)
    .collect()
}

fn index() -> Index {
    let mut index = Index::default();
    for (number, labels) in sets().iter().enumerate() {
        index.insert(number as u32, labels);
    }
    index
}

fn matcher(text: (&str, &str, &str)) -> Matcher {
    let op = match text.1 {
        "=" => MatchOp::Equal,
        "!=" => MatchOp::NotEqual,
        "=~" => MatchOp::Regex,
        _ => MatchOp::NotRegex,
    };
    Matcher::new(text.0, op, text.2).unwrap()
}

#[track_caller]
fn check(matchers: &[(&str, &str, &str)], expected: &[u32]) {
    let matchers: Vec<Matcher> = matchers.iter().map(|text| matcher(*text)).collect();
    let found: Vec<u32> = index().select(&matchers).iter().collect();
    assert_eq!(found, expected, "{matchers:?}");
    let passes = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
    let naive: Vec<u32> =
        sets().iter().zip(0..).filter(|(labels, _)| passes(labels)).map(|pair| pair.1).collect();
    assert_eq!(found, naive, "the table and the label sets disagree: {matchers:?}");
}

#[test]
fn matchers_select() {
    check(&[], &[0, 1, 2, 3, 4, 5]);
    check(&[("__name__", "=", "up")], &[0, 1, 2, 3]);
    check(&[("__name__", "=", "gone")], &[]);
    check(&[("job", "=", "")], &[3, 5]);
    check(&[("job", "!=", "")], &[0, 1, 2, 4]);
    check(&[("job", "!=", "a")], &[2, 3, 4, 5]);
    check(&[("job", "=~", "a")], &[0, 1]);
    check(&[("job", "=~", "a.*")], &[0, 1, 4]);
    check(&[("job", "=~", "a|b")], &[0, 1, 2]);
    check(&[("job", "=~", "b|")], &[2, 3, 5]);
    check(&[("job", "=~", "a*b?c?")], &[0, 1, 2, 3, 4, 5]);
    check(&[("job", "=~", ".*")], &[0, 1, 2, 3, 4, 5]);
    check(&[("job", "=~", ".+")], &[0, 1, 2, 4]);
    check(&[("job", "!~", ".+")], &[3, 5]);
    check(&[("job", "!~", ".*")], &[]);
    check(&[("job", "!~", "a|")], &[2, 4]);
    check(&[("job", "!~", "a.*")], &[2, 3, 5]);
    check(&[("none", "=", "")], &[0, 1, 2, 3, 4, 5]);
    check(&[("none", "!=", "x")], &[0, 1, 2, 3, 4, 5]);
    check(&[("none", "!=", "")], &[]);
    check(&[("none", "=~", "x?")], &[0, 1, 2, 3, 4, 5]);
    check(&[("zone", "=~", "ä.")], &[5]);
    check(&[("__name__", "=", "up"), ("job", "!=", "a"), ("i", "=~", "1|2")], &[2]);
    check(&[("__name__", "=", "up"), ("job", "=", "a"), ("job", "=", "b")], &[]);
}

#[test]
fn bounds_without_a_set() {
    let index = index();
    for (matchers, expected) in [
        (&[][..], 6),
        (&[("__name__", "=", "up")], 4),
        (&[("__name__", "=", "up"), ("job", "=", "a")], 2),
        (&[("__name__", "=", "gone")], 0),
        (&[("gone", "=", "up")], 0),
        (&[("job", "=", "")], 6),
        (&[("job", "!=", "a")], 6),
    ] {
        let matchers: Vec<Matcher> = matchers.iter().copied().map(matcher).collect();
        assert_eq!(index.at_most(&matchers), expected, "{matchers:?}");
        assert!(index.select(&matchers).len() <= expected);
    }
}

#[test]
fn names_and_values() {
    let index = index();
    let among = index.select(&[matcher(("__name__", "=", "up"))]);
    let (mut names, mut values) = (Vec::new(), Vec::new());
    index.add_names(&among, &mut names);
    index.add_values("job", &among, &mut values);
    names.sort();
    values.sort();
    assert_eq!(names, ["__name__", "i", "job"]);
    assert_eq!(values, ["a", "b"]);
}

fn block_index() -> BlockIndex {
    let series = (0..6u64).map(|sid| BlockSeries {
        id: SeriesId(100 - sid * 7),
        first_row: sid * 10,
        rows: 10,
        row_group: (sid / 4) as u32,
        min_ms: -50 + sid as i64,
        max_ms: 1_700_000_000_000,
        is_regular: sid % 2 == 0,
    });
    BlockIndex::new(series.collect(), index())
}

#[test]
fn the_file_comes_back() {
    let before = block_index();
    let bytes = before.encode();
    let back = BlockIndex::decode(&bytes).unwrap();
    assert_eq!(back.encode(), bytes);
    assert_eq!(back.series(), before.series());
    for matchers in [vec![], vec![matcher(("job", "!=", ""))], vec![matcher(("i", "=", "1"))]] {
        assert_eq!(back.index().select(&matchers), before.index().select(&matchers));
    }
    assert_eq!(back.sid_of(SeriesId(93)), Some(1));
    assert_eq!(back.sid_of(SeriesId(94)), None);
}

#[test]
fn damage_is_noticed() {
    let bytes = block_index().encode();
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        if !(12..16).contains(&index) {
            assert!(BlockIndex::decode(&damaged).is_err(), "byte {index}");
        }
        assert!(BlockIndex::decode(&bytes[..index]).is_err(), "cut at {index}");
    }
    let mut newer = bytes;
    newer[8] = 3;
    assert_eq!(BlockIndex::decode(&newer).unwrap_err(), Unusable::Newer);
}

/// A body of docs/format/index.md, written by hand, with its header.
fn by_hand(version: u8, body: &[u8]) -> Vec<u8> {
    let mut file = b"BLFRYIDX".to_vec();
    file.extend_from_slice(&[version, 0, 0, 0, 0, 0, 0, 0]);
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(body).to_le_bytes());
    file.extend_from_slice(body);
    file
}

#[test]
fn the_bytes_of_versions_1_and_2() {
    let series = |is_regular| BlockSeries {
        id: SeriesId(5),
        first_row: 0,
        rows: 3,
        row_group: 0,
        min_ms: -1,
        max_ms: 9,
        is_regular,
    };
    let first = by_hand(1, &[1, 10, 3, 1, 10, 0, 1, 1, b'a', 1, 0, 1, b'b', 0, 0]);
    let back = BlockIndex::decode(&first).unwrap();
    assert_eq!(back.series(), [series(false)]);
    let plain = [1, 10, 7, 1, 10, 0, 1, 1, b'a', 1, 0, 1, b'b', 0, 0];
    let second = by_hand(2, &zstd::bulk::compress(&plain, 3).unwrap());
    let back = BlockIndex::decode(&second).unwrap();
    assert_eq!(back.series(), [series(true)]);
    assert_eq!(back.encode(), second);
}

#[test]
fn rows_of_a_regular_series() {
    let series = |min_ms: i64, max_ms: i64, rows| BlockSeries {
        id: SeriesId(5),
        first_row: 0,
        rows,
        row_group: 0,
        min_ms,
        max_ms,
        is_regular: true,
    };
    for (own, step_ms, table) in [
        (series(-10, 20, 4), 10, &[(-11, 0), (-10, 0), (-9, 1), (0, 1), (19, 3), (20, 3), (21, 4)]),
        (
            series(7, 7, 1),
            0,
            &[(i64::MIN, 0), (6, 0), (7, 0), (8, 1), (9, 1), (99, 1), (i64::MAX, 1)],
        ),
    ] {
        assert_eq!(own.step_ms(), step_ms);
        for (at_ms, rows) in table {
            assert_eq!(own.rows_before(*at_ms), *rows, "before {at_ms}");
        }
    }
}

/// Any matchers over any label sets choose what a walk over the sets chooses, before and after the
/// file, in any order of the questions.
mod naive {
    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = Labels> {
        let pair = ("[abc]", "[xyä.]{0,3}");
        proptest::collection::vec(pair, 0..4).prop_map(Labels::from_pairs)
    }

    fn question() -> impl Strategy<Value = Matcher> {
        let expressions = [
            "", "x", "xy", ".*", ".+", "x.*", ".*x", ".+x", "x.+", ".*x.*", ".+ä.*", "x|y|ä", "x|",
            "x\\.y", "x.y", "[xy]+", "(x|y).*", "x?", "ä*", "xyä",
        ];
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let parts = (
            "[abcd]",
            proptest::sample::select(ops.to_vec()),
            proptest::sample::select(expressions.to_vec()),
        );
        parts.prop_map(|(name, op, value)| Matcher::new(&name, op, value).unwrap())
    }

    proptest! {
        #[test]
        fn any_matchers_on_any_sets(
            sets in proptest::collection::vec(set(), 0..200),
            questions in proptest::collection::vec(proptest::collection::vec(question(), 0..4), 1..8),
            early in 0usize..200,
        ) {
            let mut index = Index::default();
            for (number, labels) in (0u32..).zip(&sets) {
                index.insert(number, labels);
                if number as usize == early {
                    // What was found then must not hide what came later.
                    questions.iter().for_each(|matchers| drop(index.select(matchers)));
                }
            }
            let places = (0..sets.len() as u64).map(|sid| BlockSeries {
                id: SeriesId(sid), first_row: sid, rows: 1, row_group: 0, min_ms: 0, max_ms: 0,
                is_regular: true,
            });
            let block = BlockIndex::new(places.collect(), index);
            let back = BlockIndex::decode(&block.encode()).unwrap();
            for matchers in &questions {
                let passes = |labels: &Labels| matchers.iter().all(|one| one.matches_labels(labels));
                let naive: Vec<u32> =
                    (0u32..).zip(&sets).filter(|(_, set)| passes(set)).map(|pair| pair.0).collect();
                for index in [block.index(), back.index()] {
                    let found: Vec<u32> = index.select(matchers).iter().collect();
                    prop_assert_eq!(&found, &naive, "{:?}", matchers);
                }
            }
        }
    }
}
