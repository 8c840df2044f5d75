//! Reads an RE2 expression as the field writes it and says the same in the dialect of our library.
//!
//! Place in the flow: `matcher::anchored` → **`re2`** → the regex library.
//!
//! The dialects differ in few places, but in ones that real rules use: `{name}` is plain text in
//! RE2, `[` inside a class is a plain character, `\w` is ASCII only, `\Q…\E` quotes.
//!
//! Not here: refusing broken expressions; the library does that with the translated text.

/// The same expression in the library's dialect.
pub(crate) fn translate(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len() + 8);
    let mut rest = expression;
    while let Some(found) = rest.chars().next() {
        rest = match found {
            '\\' => escape(rest, false, &mut out),
            '[' => class(rest, &mut out),
            '{' if !is_repetition(rest) => {
                out.push_str("\\{");
                &rest[1..]
            }
            _ => {
                out.push(found);
                &rest[found.len_utf8()..]
            }
        };
    }
    out
}

/// Whether the text begins with `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    !from.is_empty() && digits(from) && digits(to)
}

/// Writes the escape at the start of `text` and gives what follows it.
fn escape<'a>(text: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(kind) = text[1..].chars().next() else {
        out.push('\\');
        return "";
    };
    let rest = &text[1 + kind.len_utf8()..];
    let ascii = match (kind, in_class) {
        ('Q', false) => return quoted(rest, out),
        ('d', true) => "0-9",
        ('d', false) => "[0-9]",
        ('D', _) => "[^0-9]",
        ('w', true) => "0-9A-Za-z_",
        ('w', false) => "[0-9A-Za-z_]",
        ('W', _) => "[^0-9A-Za-z_]",
        ('s', true) => "\\t\\n\\f\\r\\x20",
        ('s', false) => "[\\t\\n\\f\\r\\x20]",
        ('S', _) => "[^\\t\\n\\f\\r\\x20]",
        ('b', false) => "(?-u:\\b)",
        ('<', _) => "<",
        ('>', _) => ">",
        _ => {
            out.push('\\');
            out.push(kind);
            return rest;
        }
    };
    out.push_str(ascii);
    rest
}

/// `\Q…\E`, or to the end when there is no `\E`.
fn quoted<'a>(text: &'a str, out: &mut String) -> &'a str {
    let (inside, rest) = text.split_once("\\E").unwrap_or((text, ""));
    out.push_str(&regex::escape(inside));
    rest
}

/// A class from its `[` to its `]`. Only `[:name:]` is special in it besides escapes.
fn class<'a>(text: &'a str, out: &mut String) -> &'a str {
    let mut rest = &text[1..];
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // A closing bracket in the first place is a plain character.
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = after;
    }
    let mut previous = ' ';
    while let Some(found) = rest.chars().next() {
        let named = rest.strip_prefix("[:").and_then(|inside| inside.find(":]"));
        match (found, named) {
            ('\\', _) => {
                rest = escape(rest, true, out);
                previous = ' ';
                continue;
            }
            (']', _) => {
                out.push(']');
                return &rest[1..];
            }
            ('[', Some(length)) => {
                let end = 2 + length + 2;
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            }
            ('[' | '&' | '~', _) => {
                out.push('\\');
                out.push(found);
            }
            ('-', _) if previous == '-' => out.push_str("\\-"),
            _ => out.push(found),
        }
        previous = found;
        rest = &rest[found.len_utf8()..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use crate::matcher::anchored;

    #[track_caller]
    fn check(expression: &str, text: &str, expected: bool) {
        let regex = anchored(expression).expect("compiles");
        assert_eq!(regex.is_match(text), expected, "{expression} on {text:?}: {regex}");
    }

    #[test]
    fn means_what_re2_means() {
        check("/v2/{name}/x", "/v2/{name}/x", true);
        check("a{2}", "aa", true);
        check("a{,2}", "a{,2}", true);
        check("[[]x", "[x", true);
        check("[a&&b]", "&", true);
        check("[]a]", "]", true);
        check("[^]a]", "b", true);
        check("[[:alpha:]_]+", "ab_", true);
        check("[\\w-]+", "a-b", true);
        check("[+--]", ",", true);
        check("\\w", "é", false);
        check("\\Qa.b\\E.", "a.bc", true);
        check("\\Qa.b\\E", "axb", false);
        check("\\<a\\>", "<a>", true);
        check("(?i:PRO).*", "production", true);
        check("\\d+\\.\\d", "10.5", true);
    }

    #[test]
    fn broken_ones_stay_broken() {
        for expression in ["(", "[a", "a)(b", "*a", "a\\"] {
            assert!(anchored(expression).is_err(), "{expression}");
        }
    }
}
