//! Matchers become sets of series.
//!
//! Place in the flow: [`Index::select`] → **choose** → the numbers of the series that pass.
//!
//! A matcher that also passes the empty value selects series without the label too, as the field
//! means it: such matchers take away the series whose value does not pass. The others are
//! intersected, the smallest first.
//!
//! Not here: what an expression says about values (`regex`), what it found before (`remembered`).

use std::borrow::Cow;

use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::postings::union;
use super::regex::Test;
use super::{Index, Postings};

type Set<'a> = Cow<'a, RoaringBitmap>;

impl Index {
    /// The series that pass every matcher.
    pub fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let (subtracting, mut adding): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches_empty());
        // What can be looked up comes first: when nothing is left, no expression is run.
        adding.sort_by_key(|matcher| matcher.op() != MatchOp::Equal);
        let mut sets: Vec<Set<'_>> = Vec::with_capacity(adding.len());
        for matcher in adding {
            let is_looked_up = matcher.op() == MatchOp::Equal;
            if !is_looked_up && sets.iter().any(|set| self.all_lack(matcher.name(), set)) {
                return RoaringBitmap::new();
            }
            let Some(passing) = self.passing(matcher) else { return RoaringBitmap::new() };
            sets.push(passing);
        }
        sets.sort_by_cached_key(|set| set.len());
        let mut sets = sets.into_iter();
        let mut selected = match (sets.next(), sets.next()) {
            (None, _) => self.all.clone(),
            (Some(one), None) => one.into_owned(),
            (Some(one), Some(other)) => one.as_ref() & other.as_ref(),
        };
        for other in sets {
            selected &= other.as_ref();
        }
        for matcher in subtracting {
            if selected.is_empty() {
                break;
            }
            if let Some(failing) = self.failing(matcher) {
                selected -= failing.as_ref();
            }
        }
        selected
    }

    /// How many series can pass at most, as far as single label values tell; nothing is intersected.
    pub fn at_most(&self, matchers: &[Matcher]) -> u64 {
        let bound = |matcher: &Matcher| {
            let label = self.pairs.label_of(matcher.name());
            label.and_then(|label| self.carrying(label, matcher.value())).map_or(0, Postings::len)
        };
        let equal =
            |matcher: &&Matcher| matcher.op() == MatchOp::Equal && !matcher.value().is_empty();
        matchers.iter().filter(equal).map(bound).min().unwrap_or_else(|| self.all.len())
    }

    /// Whether none of these series has the label.
    fn all_lack(&self, name: &str, series: &RoaringBitmap) -> bool {
        let label = self.pairs.label_of(name);
        label.is_none_or(|label| self.union(label).is_disjoint(series))
    }

    fn carrying(&self, label: u32, value: &str) -> Option<&Postings> {
        Some(&self.postings[self.pairs.pair_of(label, value)? as usize])
    }

    /// The series with a value that passes; for matchers that do not pass the empty value.
    fn passing(&self, matcher: &Matcher) -> Option<Set<'_>> {
        let label = self.pairs.label_of(matcher.name())?;
        let passing = match matcher.op() {
            MatchOp::Equal => as_set(self.carrying(label, matcher.value())?),
            // Not empty: every series that has the label.
            MatchOp::NotEqual => Cow::Borrowed(self.union(label)),
            MatchOp::Regex => match Test::new(matcher) {
                Test::NotEmpty => Cow::Borrowed(self.union(label)),
                Test::Words(words) => {
                    let found = words.iter().filter_map(|word| self.carrying(label, word));
                    Cow::Owned(union(found))
                }
                test => Cow::Owned(self.matching(label, matcher, &test)),
            },
            // It does not pass the empty value, so the expression does: what has the label and
            // does not match passes.
            MatchOp::NotRegex => match Test::new(matcher) {
                Test::Anything => return None,
                Test::Empty => Cow::Borrowed(self.union(label)),
                test => Cow::Owned(self.union(label) - self.matching(label, matcher, &test)),
            },
        };
        (!passing.is_empty()).then_some(passing)
    }

    /// The series with a value that does not pass; for matchers that pass the empty value.
    fn failing(&self, matcher: &Matcher) -> Option<Set<'_>> {
        let label = self.pairs.label_of(matcher.name())?;
        Some(match matcher.op() {
            // `a=""`: series that have the label fail.
            MatchOp::Equal => Cow::Borrowed(self.union(label)),
            MatchOp::NotEqual => as_set(self.carrying(label, matcher.value())?),
            MatchOp::Regex => match Test::new(matcher) {
                Test::Anything => return None,
                Test::Empty => Cow::Borrowed(self.union(label)),
                test => Cow::Owned(self.union(label) - self.matching(label, matcher, &test)),
            },
            MatchOp::NotRegex => match Test::new(matcher) {
                Test::NotEmpty => Cow::Borrowed(self.union(label)),
                Test::Words(words) => {
                    let found = words.iter().filter_map(|word| self.carrying(label, word));
                    Cow::Owned(union(found))
                }
                test => Cow::Owned(self.matching(label, matcher, &test)),
            },
        })
    }

    /// The series with a value that the expression of the matcher matches.
    fn matching(&self, label: u32, matcher: &Matcher, test: &Test<'_>) -> RoaringBitmap {
        let own = &self.pairs.labels()[label as usize].pairs;
        let passes = |pair: u32| test.passes(self.pairs.value(pair));
        let matched = self.remembered.pairs((label, matcher.value()), own, passes);
        union(matched.iter().map(|pair| &self.postings[*pair as usize]))
    }
}

fn as_set(postings: &Postings) -> Set<'_> {
    match postings {
        Postings::One(number) => Cow::Owned([*number].into_iter().collect()),
        Postings::Few(list) => Cow::Owned(list.iter().copied().collect()),
        Postings::Many(set) => Cow::Borrowed(set),
    }
}
