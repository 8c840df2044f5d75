//! How alike a name is to what somebody types: 0 to 1.
//!
//! Place in the flow: `search` asks for each name of the index.
//!
//! Two ways: *subsequence* wants all typed characters in their order and likes unbroken runs;
//! *Jaro-Winkler* takes what contains the text, and what has about the same characters at about the
//! same places.

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// All characters in their order.
    Subsequence,
    /// Contained, or about the same characters.
    JaroWinkler,
}

/// Texts, one of which a name should be like.
#[derive(Debug)]
pub struct Wanted {
    texts: Vec<Vec<char>>,
    algorithm: Algorithm,
    threshold: f64,
    is_exact: bool,
}

/// Longest text and name that are compared character by character; longer ones count up to here.
const CHARS_MAX: usize = 256;

impl Wanted {
    /// Names like any of these; without texts every name is. `is_exact`: the letter case counts.
    pub fn new(texts: &[String], algorithm: Algorithm, threshold: f64, is_exact: bool) -> Wanted {
        let texts = texts.iter().map(|text| characters(text, is_exact)).collect();
        Wanted { texts, algorithm, threshold, is_exact }
    }

    /// How alike; `None` when it is not enough.
    pub fn likeness(&self, name: &str) -> Option<f64> {
        if self.texts.is_empty() {
            return Some(1.0);
        }
        let name = characters(name, self.is_exact);
        let own = self.texts.iter().filter_map(|text| self.one(text, &name));
        own.max_by(f64::total_cmp)
    }

    fn one(&self, text: &[char], name: &[char]) -> Option<f64> {
        if name.starts_with(text) {
            return Some(1.0);
        }
        match self.algorithm {
            Algorithm::Subsequence => {
                let score = subsequence(text, name)?;
                (score > 0.0 && score >= self.threshold).then_some(score)
            }
            Algorithm::JaroWinkler => {
                if name.windows(text.len()).any(|part| part == text) {
                    return Some(0.9);
                }
                // Without a threshold only what contains the text counts.
                let score = jaro_winkler(text, name);
                (self.threshold > 0.0 && score >= self.threshold).then_some(score)
            }
        }
    }
}

fn characters(text: &str, is_exact: bool) -> Vec<char> {
    if is_exact {
        text.chars().take(CHARS_MAX).collect()
    } else {
        text.to_lowercase().chars().take(CHARS_MAX).collect()
    }
}

/// The best of all ways to find the text's characters in order: the square of the length of each
/// unbroken run, less what stands before and between, over what an equal name would get.
fn subsequence(text: &[char], name: &[char]) -> Option<f64> {
    let (wide, long) = (text.len(), name.len());
    if wide == 0 || wide > long {
        return None;
    }
    let mut best: Option<f64> = None;
    for start in (0..long).filter(|at| name[*at] == text[0]) {
        let (mut points, mut run, mut done, mut gaps) = (0.0, 0.0, 0, start as f64);
        let mut at = start;
        while at < long && done < wide {
            if name[at] == text[done] {
                run += 1.0;
                done += 1;
            } else {
                points += run * run;
                run = 0.0;
                gaps += 1.0;
            }
            at += 1;
        }
        if done == wide {
            points += run * run - gaps / long as f64;
            best = Some(best.map_or(points, |own| own.max(points)));
        }
    }
    best.map(|points| (points / (wide * wide) as f64).clamp(f64::EPSILON, 1.0))
}

fn jaro_winkler(one: &[char], two: &[char]) -> f64 {
    let jaro = jaro(one, two);
    let common = one.iter().zip(two).take(4).take_while(|(own, other)| own == other).count();
    jaro + common as f64 * 0.1 * (1.0 - jaro)
}

fn jaro(one: &[char], two: &[char]) -> f64 {
    if one.is_empty() || two.is_empty() {
        return if one.len() == two.len() { 1.0 } else { 0.0 };
    }
    let reach = (one.len().max(two.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; two.len()];
    let mut matched = Vec::new();
    for (at, own) in one.iter().enumerate() {
        let window = at.saturating_sub(reach)..(at + reach + 1).min(two.len());
        if let Some(place) = window.into_iter().find(|place| !taken[*place] && two[*place] == *own)
        {
            taken[place] = true;
            matched.push(*own);
        }
    }
    if matched.is_empty() {
        return 0.0;
    }
    let other = two.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(own, _)| own);
    let swapped = matched.iter().zip(other).filter(|(own, other)| own != other).count();
    let count = matched.len() as f64;
    let order = (count - swapped as f64 / 2.0) / count;
    (count / one.len() as f64 + count / two.len() as f64 + order) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(algorithm: Algorithm, text: &str, name: &str, least: f64, most: f64) {
        let wanted = Wanted::new(&[text.to_owned()], algorithm, 0.01, false);
        let score = wanted.likeness(name).unwrap_or(0.0);
        assert!((least..=most).contains(&score), "{text} in {name}: {score}");
    }

    #[test]
    fn likeness() {
        use Algorithm::{JaroWinkler, Subsequence};
        check(Subsequence, "node", "node_load1", 1.0, 1.0);
        check(Subsequence, "NODE", "node_load1", 1.0, 1.0);
        check(Subsequence, "load", "node_load1", 0.9, 0.999);
        check(Subsequence, "nl1", "node_load1", 0.01, 0.5);
        check(Subsequence, "xyz", "node_load1", 0.0, 0.0);
        check(JaroWinkler, "load", "node_load1", 0.9, 0.9);
        check(JaroWinkler, "martha", "marhta", 0.96, 0.962);
        check(JaroWinkler, "dixon", "dicksonx", 0.81, 0.82);
        check(JaroWinkler, "abc", "xyz", 0.0, 0.0);
    }

    #[test]
    fn thresholds_and_case() {
        let of = |algorithm, threshold, is_exact| {
            Wanted::new(&["Load".to_owned(), "up".to_owned()], algorithm, threshold, is_exact)
        };
        assert_eq!(of(Algorithm::Subsequence, 0.0, true).likeness("node_load1"), None);
        assert!(of(Algorithm::Subsequence, 0.0, false).likeness("node_load1").is_some());
        assert_eq!(of(Algorithm::Subsequence, 1.0, false).likeness("node_load1"), None);
        assert_eq!(of(Algorithm::JaroWinkler, 0.0, true).likeness("upp"), Some(1.0));
        assert_eq!(Wanted::new(&[], Algorithm::Subsequence, 1.0, true).likeness("x"), Some(1.0));
        // An empty text is in every name.
        let empty = Wanted::new(&[String::new()], Algorithm::JaroWinkler, 0.5, true);
        assert_eq!(empty.likeness("x"), Some(1.0));
    }
}
