//! Label sets: order, equality, round trips.
use super::*;
use proptest::prelude::*;

#[test]
fn builds_sorted_without_empty_values() {
    let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "3")]);
    assert_eq!(labels.get("b"), Some("3"));
    assert_eq!(labels.get("c"), None);
    assert_eq!(labels.without("a").to_string(), r#"{b="3"}"#);
}

#[test]
fn writes_as_prometheus_does() {
    let up = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
    assert_eq!(up.to_string(), r#"up{job="a\"b"}"#);
    assert_eq!(Labels::from_pairs([("__name__", "up")]).to_string(), "up");
    assert_eq!(Labels::empty().to_string(), "{}");
    assert_eq!(Labels::from_pairs([("a.b", "1")]).to_string(), r#"{"a.b"="1"}"#);
}

#[test]
fn different_splits_of_the_same_text_differ() {
    let one = Labels::from_pairs([("ab", "c")]);
    let two = Labels::from_pairs([("a", "bc")]);
    assert_ne!(one, two);
    assert_ne!(one.hash64(), two.hash64());
}

#[test]
fn refuses_parts_that_are_no_set() {
    assert!(Labels::from_parts("ab", &[1, 2]).is_some());
    assert!(Labels::from_parts("ab", &[2, 1]).is_none());
    assert!(Labels::from_parts("ab", &[1]).is_none());
    assert!(Labels::from_parts("abc", &[1, 2]).is_none());
    assert!(Labels::from_parts("baab", &[1, 2, 3, 4]).is_none());
    assert!(Labels::from_parts("a", &[1, 1]).is_none());
    assert!(Labels::from_parts("é1", &[1, 3]).is_none());
}

proptest! {
    #[test]
    fn parts_round_trip(pairs in prop::collection::btree_map("[a-z]{1,4}", "\\PC{1,6}", 0..6)) {
        let labels = Labels::from_pairs(&pairs);
        let again = Labels::from_parts(labels.text(), labels.ends()).expect("valid parts");
        prop_assert_eq!(&again, &labels);
        prop_assert_eq!(again.hash64(), labels.hash64());
        let expected: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        prop_assert_eq!(labels.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn short_and_long_sets_hash_by_the_same_rule() {
    for bytes in [1, 100, 480, 500, 503, 504, 505, 600, 5000] {
        let labels = Labels::from_pairs([("a", "v".repeat(bytes))]);
        let mut hasher = Xxh3Default::new();
        hasher.update(labels.text().as_bytes());
        labels.ends().iter().for_each(|end| hasher.update(&end.to_le_bytes()));
        assert_eq!(labels.hash64(), hasher.digest(), "{bytes}");
    }
}

#[test]
fn sets_of_any_size() {
    for count in 0..40usize {
        let pairs: Vec<(String, String)> =
            (0..count).map(|index| (format!("n{index:02}"), format!("v{index}"))).collect();
        let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name, value)));
        assert_eq!(labels.len(), count);
        assert!(labels.iter().eq(pairs.iter().map(|(name, value)| (&**name, &**value))));
        assert_eq!(Labels::from_parts(labels.text(), labels.ends()), Some(labels.clone()));
        assert_eq!(Labels::from_sorted(labels.iter()), labels);
        assert_eq!(labels == Labels::empty(), count == 0);
    }
}
