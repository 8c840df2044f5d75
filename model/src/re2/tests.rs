//! Matches, refusals and replacements.

use super::Expression;

#[track_caller]
fn check(expression: &str, text: &str, expected: bool) {
    let compiled = Expression::anchored(expression).expect("compiles");
    assert_eq!(compiled.is_match(text), expected, "{expression} on {text:?}: {compiled:?}");
}

#[test]
fn means_what_re2_means() {
    check("/v2/{name}/x", "/v2/{name}/x", true);
    check("a{2}", "aa", true);
    check("a{,2}", "a{,2}", true);
    check("a{02}", "a{02}", true);
    check("a{2", "a{2", true);
    check("[[]x", "[x", true);
    check("[a&&b]", "&", true);
    check("[]a]", "]", true);
    check("[^]a]", "b", true);
    check("[[:alpha:]_]+", "ab_", true);
    check("[[:^alpha:]]", "é", true);
    check("[[:word:]]", "é", false);
    check("[\\w-]+", "a-b", true);
    check("[+--]", ",", true);
    check("[^\\D5]", "4", true);
    check("[^\\D5]", "5", false);
    check("\\w", "é", false);
    check("(?i)\\w", "ſ", true);
    check("\\W", "é", true);
    check("\\s", "\u{b}", false);
    check("\\Qa.b\\E.", "a.bc", true);
    check("\\Qa.b\\E", "axb", false);
    check("\\Qa\\E*", "aaa", true);
    check("a*\\Q\\E?b", "aab", true);
    check("\\<a\\>", "<a>", true);
    check("a\\/\\_\\-\\ b", "a/_- b", true);
    check("(?i:PRO).*", "production", true);
    check("a(?i)b|c", "C", true);
    check("(a(?i)b)c", "aBC", false);
    check("a(?i)*", "aaa", true);
    check("(?)a", "a", true);
    check("(?iii)a", "A", true);
    check("(?-s)a.c", "a\nc", false);
    check("a.c", "a\nc", true);
    check("(?m)a$.^b", "a\nb", true);
    check("(?P<n>a)(?P<n>b)(?<m>c)(?P<1>d)", "abcd", true);
    check("\\d+\\.\\d", "10.5", true);
    check("\\.\\x41\\x{1F600}\\101\\07", ".A😀A\u{7}", true);
    check("\\x{D800}|[\\x{D800}]", "\u{fffd}", false);
    check("[\\x{D000}-\\x{E000}]", "\u{d123}", true);
    check("\\pN\\p{Lu}\\p{Greek}\\P{Greek}\\p{^Lu}", "1Aαaa", true);
    check("[\\p{Lu}\\pN]+", "A1", true);
    check("[^\\pL]", "a", false);
    check("\\p{Letter}\\p{uppercase_letter}\\p{Any}", "aBc", true);
    check("\\p{Cs}", "a", false);
    check("é{2}", "éé", true);
    check("a\\b.\\bb", "a b", true);
    check("a\\Béb", "aéb", false);
    check("a||b", "", true);
    check("^*a$+", "a", true);
    check("x{1000}", &"x".repeat(1000), true);
    check("((x{10}){10}){10}", &"x".repeat(1000), true);
    check("(?U)a+?", "aaa", true);
}

#[track_caller]
fn refused(expression: &str, what: &str, part: &str) {
    let error = Expression::anchored(expression).expect_err(expression);
    assert_eq!(error.to_string(), format!("error parsing regexp: {what}: `{part}`"));
}

#[test]
fn refuses_brackets_without_a_partner() {
    for (expression, part) in [
        ("[", "["),
        ("[a", "[a"),
        ("x[]a", "[]a"),
        ("[^", "[^"),
        ("[]", "[]"),
        ("b[[:alpha:]", "[[:alpha:]"),
    ] {
        refused(expression, "missing closing ]", part);
    }
    for expression in ["(", "a(b|", "(?:a", "(?i:a", "(?P<n>a", "((a)", "(?"] {
        let part = expression;
        match expression {
            "(?" => refused(expression, "invalid or unsupported Perl syntax", part),
            _ => refused(expression, "missing closing )", part),
        }
    }
    for expression in [")", "a)(b", "a|b))"] {
        refused(expression, "unexpected )", expression);
    }
}

#[test]
fn refuses_repetitions() {
    for (expression, part) in [
        ("*", "*"),
        ("a|*", "*"),
        ("(|+?)", "+?"),
        ("(?i)?", "?"),
        ("{2}", "{2}"),
        ("\\Q\\E*", "*"),
    ] {
        refused(expression, "missing argument to repetition operator", part);
    }
    for (expression, part) in
        [("a**", "**"), ("a*+b", "*+"), ("a{2}{3}", "{2}{3}"), ("a???", "???"), ("a?+", "?+")]
    {
        refused(expression, "invalid nested repetition operator", part);
    }
    for (expression, part) in [
        ("x{1001}", "{1001}"),
        ("x{2,1}y", "{2,1}"),
        ("x{1,9876543210}", "{1,9876543210}"),
        ("(x{30}){40}", "{40}"),
        ("((x{10}){10}){11}?", "{11}?"),
        ("((a{100}){100}){100}", "{100}"),
    ] {
        refused(expression, "invalid repeat count", part);
    }
}

#[test]
fn refuses_escapes_and_classes() {
    for (expression, part) in [
        ("\\C", "\\C"),
        ("a\\Zb", "\\Z"),
        ("\\y", "\\y"),
        ("\\1", "\\1"),
        ("\\8", "\\8"),
        ("\\é+", "\\é"),
        ("\\u0041", "\\u"),
        ("\\x", "\\x"),
        ("\\x4", "\\x4"),
        ("\\xZZ", "\\xZZ"),
        ("\\x{}", "\\x{}"),
        ("\\x{110000}", "\\x{110000"),
        ("[\\b]", "\\b"),
        ("[a-\\d]", "\\d"),
    ] {
        refused(expression, "invalid escape sequence", part);
    }
    for (expression, part) in [
        ("[b-a]", "b-a"),
        ("[a--b]", "a--"),
        ("[[:foo:]]", "[:foo:]"),
        ("\\p", "\\p"),
        ("\\p{Greek", "\\p{Greek"),
        ("\\p{Foo}", "\\p{Foo}"),
        ("[\\pa]", "\\pa"),
        ("\\p{sc=Greek}", "\\p{sc=Greek}"),
        ("\\p{Alphabetic}", "\\p{Alphabetic}"),
        ("\\p{L&}", "\\p{L&}"),
    ] {
        refused(expression, "invalid character class range", part);
    }
}

#[test]
fn refuses_groups() {
    for (expression, part) in [
        ("(?=a)", "(?="),
        ("(?!a)", "(?!"),
        ("(?P=n)", "(?P"),
        ("(?x)a b", "(?x"),
        ("(?u)a", "(?u"),
        ("(?-)", "(?-)"),
        ("(?i-)", "(?i-)"),
        ("(?--i)", "(?--"),
        ("(?i", "(?i"),
        ("(?#c)", "(?#"),
        ("(?>a)", "(?>"),
    ] {
        refused(expression, "invalid or unsupported Perl syntax", part);
    }
    for (expression, part) in
        [("(?<=a)", "(?<=a)"), ("(?P<n", "(?P<n"), ("(?P<n a>b)", "(?P<n a>"), ("(?P<>a)", "(?P<>")]
    {
        refused(expression, "invalid named capture", part);
    }
}

#[test]
fn refuses_what_has_no_end() {
    refused("a\\", "trailing backslash at end of expression", "");
    let deep = format!("{}a{}", "(".repeat(1001), ")".repeat(1001));
    refused(&deep, "expression nests too deeply", &deep);
    let long = "\\pL{1000}".repeat(2);
    refused(&long, "expression too large", &long);
    let error = super::Error::no_text(b"a\xffb");
    assert_eq!(error.to_string(), "error parsing regexp: invalid UTF-8: `\u{fffd}b`");
}

#[test]
fn may_nest() {
    for depth in [1, 30, 60] {
        let deep = format!("{}b{}", "(a|".repeat(depth), ")".repeat(depth));
        check(&deep, "b", true);
    }
}

#[test]
fn frames() {
    assert!(Expression::anchored("a)(b").is_err());
    assert!(Expression::framed("a)(b").expect("compiles").is_match("ab"));
    let error = Expression::framed("[").expect_err("[").to_string();
    assert_eq!(error, "error parsing regexp: missing closing ]: `[)$`");
}

#[track_caller]
fn expands(expression: &str, text: &str, template: &str, expected: &str) {
    let expression = Expression::framed(expression).expect("compiles");
    let mut got = String::new();
    expression.captures(text).expect("matches").expand(template, &mut got);
    assert_eq!(got, expected, "{template} of {text}");
}

#[test]
fn replacements() {
    expands("(a)(b)", "ab", "$2-$1-$0-$3", "b-a-ab-");
    expands("(a)(b)", "ab", "$1y", "");
    expands("(a)(b)", "ab", "${1}y", "ay");
    expands("(a)(b)", "ab", "$01$10", "");
    expands("(a)(b)", "ab", "$$1", "$1");
    expands("(a)(b)", "ab", "$", "$");
    expands("(a)(b)", "ab", "$-${${1${a-b}", "$-${${1${a-b}");
    expands("(a)(b)", "ab", "$é.", ".");
    expands("(?P<n>a)|(?P<n>b)", "b", "<$n>", "<b>");
    expands("(?P<n>a)(?<m>b)", "ab", "$m$n${n}x$nx", "baax");
}
