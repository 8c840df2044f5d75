//! What the text of a regular expression says about the values it can match, so that not every
//! value must be tried.
//!
//! Place in the flow: the index asks before it runs a matcher over values.
//!
//! Invariant: careful rather than clever. What is not plainly literal gives no advice.
//!
//! Not here: running expressions (`model::matcher`).

/// Whether a character stands for itself wherever it is.
fn is_plain(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | ':' | '/' | ' ' | ',' | '=')
}

/// The words of `a|b|c` when every one is plain text; then nothing else can match.
pub fn words(expression: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = expression.split('|').collect();
    let plain = |word: &&str| !word.is_empty() && word.chars().all(is_plain);
    words.iter().all(plain).then_some(words)
}

/// Text that every match begins with; empty when there is none to tell.
pub fn prefix(expression: &str) -> &str {
    if expression.contains('|') {
        return "";
    }
    let end = expression.find(|character| !is_plain(character)).unwrap_or(expression.len());
    let optional = expression[end..].starts_with(['?', '*', '{']);
    let last = expression[..end].chars().next_back().map_or(0, char::len_utf8);
    &expression[..if optional { end - last } else { end }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice() {
        for (expression, expected_prefix, expected_words) in [
            ("abc", "abc", Some(vec!["abc"])),
            ("abc.*", "abc", None),
            ("abc*", "ab", None),
            ("abc?", "ab", None),
            ("abc{0,1}", "ab", None),
            ("abc+", "abc", None),
            ("a|b", "", Some(vec!["a", "b"])),
            ("a|b.*", "", None),
            ("a|", "", None),
            (".*x", "", None),
            ("(?i)abc", "", None),
            ("ä*", "", None),
            ("a\\.b", "a", None),
        ] {
            assert_eq!(prefix(expression), expected_prefix, "{expression:?}");
            assert_eq!(words(expression), expected_words, "{expression:?}");
        }
    }
}
