//! Why a message is sent, or not.
//!
//! Place in the flow: flush → **`reason`** compares the present sets with those last told.
//!
//! Not here: which alerts are in the sets (flush).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing was told before, or only ends.
    First,
    /// Something fires that was not told.
    NewAlerts,
    /// Some of what was told is over.
    SomeResolved,
    /// All that was told is over.
    AllResolved,
    /// Nothing changed for the repeat interval.
    Repeat,
}

impl Reason {
    /// The text in payloads and templates.
    pub fn text(self) -> &'static str {
        match self {
            Reason::First => "first notification",
            Reason::NewAlerts => "new alerts added",
            Reason::SomeResolved => "some alerts resolved",
            Reason::AllResolved => "all alerts resolved",
            Reason::Repeat => "repeat interval elapsed",
        }
    }
}

/// What an integration was last told of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// When that was decided.
    pub at_ms: i64,
    /// What fired.
    pub firing: BTreeSet<u64>,
    /// What was over.
    pub resolved: BTreeSet<u64>,
}

/// What is true at a flush, and the switches that matter.
pub(super) struct Present<'a> {
    pub firing: &'a BTreeSet<u64>,
    pub resolved: &'a BTreeSet<u64>,
    pub now_ms: i64,
    pub repeat_interval_ms: i64,
    pub send_resolved: bool,
}

/// The reason to tell the present state after `told`, if there is one.
pub(super) fn reason(told: Option<&Told>, present: &Present<'_>) -> Option<Reason> {
    let Some(told) = told else {
        return (!present.firing.is_empty()).then_some(Reason::First);
    };
    if !present.firing.is_subset(&told.firing) {
        return Some(if told.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
    }
    if present.firing.is_empty() {
        return (!told.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if present.send_resolved && !present.resolved.is_subset(&told.resolved) {
        return Some(Reason::SomeResolved);
    }
    let elapsed_ms = present.now_ms.saturating_sub(told.at_ms);
    (elapsed_ms >= present.repeat_interval_ms).then_some(Reason::Repeat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: Option<(&[u64], &[u64])>, now: (&[u64], &[u64]), expected: Option<Reason>) {
        let set = |list: &[u64]| list.iter().copied().collect::<BTreeSet<u64>>();
        let told = told.map(|(firing, resolved)| Told {
            at_ms: 0,
            firing: set(firing),
            resolved: set(resolved),
        });
        let (firing, resolved) = (set(now.0), set(now.1));
        let present = Present {
            firing: &firing,
            resolved: &resolved,
            now_ms: 10,
            repeat_interval_ms: 100,
            send_resolved: true,
        };
        assert_eq!(reason(told.as_ref(), &present), expected);
    }

    #[test]
    fn table() {
        check(None, (&[1], &[]), Some(Reason::First));
        check(None, (&[], &[1]), None);
        check(Some((&[1], &[])), (&[1], &[]), None);
        check(Some((&[1], &[])), (&[1, 2], &[]), Some(Reason::NewAlerts));
        check(Some((&[], &[1])), (&[1], &[]), Some(Reason::First));
        check(Some((&[1], &[])), (&[], &[1]), Some(Reason::AllResolved));
        check(Some((&[], &[1])), (&[], &[1]), None);
        check(Some((&[1, 2], &[])), (&[1], &[2]), Some(Reason::SomeResolved));
        check(Some((&[1], &[2])), (&[1], &[2]), None);
    }

    #[test]
    fn repeats_when_the_interval_has_passed() {
        let firing = BTreeSet::from([1]);
        let told = Told { at_ms: 0, firing: firing.clone(), resolved: BTreeSet::new() };
        for (now_ms, expected) in [(99, None), (100, Some(Reason::Repeat))] {
            let resolved = BTreeSet::new();
            let present = Present {
                firing: &firing,
                resolved: &resolved,
                now_ms,
                repeat_interval_ms: 100,
                send_resolved: true,
            };
            assert_eq!(reason(Some(&told), &present), expected);
        }
    }
}
