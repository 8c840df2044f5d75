//! What the text of a regular expression says about the values it can match, so that most need no
//! regular expression at all.
//!
//! Place in the flow: the index asks before it runs a matcher over values.
//!
//! Invariant: careful rather than clever. What is not plainly literal is left to the expression.
//!
//! Not here: running expressions (`model::matcher`).

use model::{MatchOp, Matcher};

/// How values are tried. It says whether the *expression* matches, also for `!~`.
#[derive(Debug)]
pub enum Test<'a> {
    /// `.*`
    Anything,
    /// The empty expression.
    Empty,
    /// `.+`
    NotEmpty,
    /// `a|b|c`: one of these.
    Words(Vec<String>),
    /// `.*abc.+` and the like: plain text with something before and after it.
    Around {
        /// Characters before it at least, none or one; `None`: it stands at the beginning.
        before: Option<usize>,
        /// The plain text.
        text: String,
        /// Characters after it at least, none or one; `None`: it stands at the end.
        after: Option<usize>,
    },
    /// Everything else.
    Expression {
        /// What every match begins with.
        prefix: &'a str,
        /// The whole expression.
        matcher: &'a Matcher,
    },
}

impl<'a> Test<'a> {
    /// The quickest test for the expression of a matcher.
    pub fn new(matcher: &'a Matcher) -> Test<'a> {
        let expression = matcher.value();
        match expression {
            ".*" => return Test::Anything,
            "" => return Test::Empty,
            ".+" => return Test::NotEmpty,
            _ => {}
        }
        if let Some(words) = words(expression) {
            return Test::Words(words);
        }
        around(expression)
            .unwrap_or_else(|| Test::Expression { prefix: prefix(expression), matcher })
    }

    /// Whether the expression matches a value.
    pub fn passes(&self, value: &str) -> bool {
        match self {
            Test::Anything => true,
            Test::Empty => value.is_empty(),
            Test::NotEmpty => !value.is_empty(),
            Test::Words(words) => words.iter().any(|word| word == value),
            Test::Around { before: None, text, after: Some(least) } => {
                value.strip_prefix(text.as_str()).is_some_and(|rest| rest.len() >= *least)
            }
            Test::Around { before: Some(least), text, after: None } => {
                value.strip_suffix(text.as_str()).is_some_and(|rest| rest.len() >= *least)
            }
            Test::Around { before, text, after } => {
                let mut inside = value.chars();
                let has_first = before.unwrap_or(0) == 0 || inside.next().is_some();
                let has_last = after.unwrap_or(0) == 0 || inside.next_back().is_some();
                has_first && has_last && inside.as_str().contains(text.as_str())
            }
            Test::Expression { prefix, matcher } => {
                let matches = || matcher.matches(value) == (matcher.op() == MatchOp::Regex);
                value.starts_with(prefix) && matches()
            }
        }
    }
}

/// Whether a character stands for itself wherever it is.
fn is_plain(character: char) -> bool {
    character.is_alphanumeric()
        || matches!(character, '_' | '-' | ':' | '/' | ' ' | ',' | '=' | '@' | '%' | '#' | '~')
}

/// The text that an expression stands for when it is plain, escaped punctuation included.
fn literal(expression: &str) -> Option<String> {
    let mut text = String::with_capacity(expression.len());
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(char::is_ascii_punctuation)?),
            plain if is_plain(plain) => text.push(plain),
            _ => return None,
        }
    }
    // `\<` and `\>` read as text in the field's dialect, as they do here.
    Some(text)
}

/// The words of `a|b|c` when every one is plain text; then nothing else can match.
fn words(expression: &str) -> Option<Vec<String>> {
    let words = expression.split('|').map(|word| match word.ends_with('\\') {
        true => None,
        false => literal(word).filter(|text| !text.is_empty()),
    });
    words.collect()
}

/// `.*abc`, `abc.+`, `.*abc.*`.
fn around(expression: &str) -> Option<Test<'static>> {
    let (before, rest) = match (expression.strip_prefix(".*"), expression.strip_prefix(".+")) {
        (Some(rest), _) => (Some(0), rest),
        (_, Some(rest)) => (Some(1), rest),
        _ => (None, expression),
    };
    let (after, middle) = match (rest.strip_suffix(".*"), rest.strip_suffix(".+")) {
        (Some(middle), _) => (Some(0), middle),
        (_, Some(middle)) => (Some(1), middle),
        _ => (None, rest),
    };
    // `abc\.*`: the dot belongs to the text.
    if middle.ends_with('\\') && after.is_some() {
        return None;
    }
    let text = literal(middle).filter(|text| !text.is_empty())?;
    Some(Test::Around { before, text, after })
}

/// Text that every match begins with; empty when there is none to tell.
fn prefix(expression: &str) -> &str {
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
            ("a\\.b", "a", Some(vec!["a.b"])),
            ("a\\|b", "", None),
            ("a\\d", "a", None),
            ("a\\.b|c", "", Some(vec!["a.b", "c"])),
        ] {
            assert_eq!(prefix(expression), expected_prefix, "{expression:?}");
            let expected =
                expected_words.map(|words| words.into_iter().map(String::from).collect());
            assert_eq!(words(expression), expected, "{expression:?}");
        }
    }

    /// Every test says what the expression says.
    #[test]
    fn tests_are_right() {
        let values = [
            "", "a", "ab", "abc", "xab", "abx", "xabx", "xxabxx", "äab", "abä", "ä", "b", "a.b",
            "axb", "ab\n", "\nab", "abab", "aba", "bab",
        ];
        for expression in [
            ".*",
            ".+",
            "",
            "ab",
            "ab.*",
            "ab.+",
            ".*ab",
            ".+ab",
            ".*ab.*",
            ".+ab.*",
            ".*ab.+",
            ".+ab.+",
            "a\\.b",
            "a.b",
            "a|ab",
            "ab\\.*",
            ".*a.*b",
            "a*",
            ".*a\\.b.*",
            "(ab|a)",
            "ä.*",
            ".*ä",
            ".+.+",
            ".+.*",
            ".*.*",
        ] {
            for op in [MatchOp::Regex, MatchOp::NotRegex] {
                let matcher = Matcher::new("l", op, expression).unwrap();
                let test = Test::new(&matcher);
                for value in values {
                    let expected = matcher.matches(value) == (op == MatchOp::Regex);
                    assert_eq!(test.passes(value), expected, "{expression:?} {value:?} {test:?}");
                }
            }
        }
    }
}
