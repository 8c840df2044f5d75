//! Text functions that both dialects share: title, match, reReplaceAll.
//!
//! Place in the flow: `prometheus` and `alertmanager` → **`words`**.
//!
//! Not here: numbers for people (`humanize`).

use regex::{Regex, RegexBuilder};

/// Largest compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern, found anywhere in a text.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|_| format!("error parsing regexp: {text:?} is no valid pattern"))
}

/// Replaces all matches; `$1` and `${name}` stand for groups.
pub(crate) fn replace_all(
    pattern_text: &str,
    replacement: &str,
    text: &str,
    bytes_max: usize,
) -> Result<String, String> {
    let pattern = pattern(pattern_text)?;
    let mut out = String::new();
    let mut end = 0;
    for captures in pattern.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[end..whole.start()]);
        captures.expand(replacement, &mut out);
        end = whole.end();
        if out.len() > bytes_max {
            return Err(format!("output is larger than {bytes_max} bytes"));
        }
    }
    out.push_str(&text[end..]);
    Ok(out)
}

/// The first letter of each word in upper case, the others as they are: Go's `strings.Title`.
pub(crate) fn title(text: &str) -> String {
    title_with(text, |character| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => true,
        _ if character.is_ascii() => false,
        _ => character.is_alphanumeric() || !character.is_whitespace(),
    })
}

/// The first letter of each word in upper case, the others in lower case: `cases.Title`.
pub(crate) fn title_lowering(text: &str) -> String {
    title_with(&text.to_lowercase(), |c| c.is_alphanumeric() || matches!(c, '_' | '\''))
}

fn title_with(text: &str, is_inside_word: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside_word = false;
    for character in text.chars() {
        if inside_word {
            out.push(character);
        } else {
            out.extend(character.to_uppercase());
        }
        inside_word = is_inside_word(character);
    }
    out
}
