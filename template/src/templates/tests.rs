//! Mistakes, limits and the corners that the oracles don't show.

use proptest::prelude::*;

use super::*;
use crate::functions::NoFunctions;
use crate::{AlertmanagerFunctions, MissingKey};
use model::time::TimestampMs;

#[track_caller] // A failure points at the row below, not at this line.
fn refused(text: &str, line: usize, message: &str) {
    let error = Templates::for_dialect(Dialect::Prometheus).parse("rule", text).expect_err(text);
    assert_eq!(error.line, line, "{text:?}: {error}");
    assert!(error.message.contains(message), "{text:?}: {error}");
}

#[test]
fn mistakes_are_found_when_a_text_is_parsed() {
    refused("a\n{{ foo }}", 2, "function \"foo\" not defined");
    refused("{{ $x }}", 1, "undefined variable \"$x\"");
    refused("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", 1, "undefined variable");
    refused("a\n\n{{ if true }}b", 3, "has no end");
    refused("{{ end }}", 1, "unexpected {{end}}");
    refused("{{ else }}", 1, "unexpected {{else}}");
    refused("{{ if true }}{{ else }}{{ else }}{{ end }}", 1, "expected end");
    refused("{{ }}", 1, "missing value");
    refused("{{ 1 | 2 }}", 1, "non executable command in pipeline stage 2");
    refused("{{ .a", 1, "unclosed action");
    refused("{{ \"a }}", 1, "unterminated quoted string");
    refused("{{ /* a", 1, "unrecognized character");
    refused("{{/* a", 1, "unclosed comment");
    refused("{{ (1 }}", 1, "unclosed left paren");
    refused("{{ 1 ) }}", 1, "unexpected");
    refused("{{ break }}", 1, "outside {{range}}");
    refused("{{ 1a }}", 1, "bad number syntax");
    refused("{{ 99999999999999999999 }}", 1, "bad number syntax");
    refused("{{ template foo }}", 1, "unexpected <foo> in template clause");
    refused(
        "{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}",
        1,
        "only allowed at the top level",
    );
    refused("{{ .a.b!c }}", 1, "bad character '!'");
    refused("{{ $a, $b := 1 }}", 1, "too many declarations in command");
    refused("{{ \"x\".y }}", 1, "unexpected . after term");
    refused(&"{{ if 1 }}".repeat(1000), 1, "nested deeper");
    refused(&format!("{{{{ {}1{} }}}}", "(".repeat(1000), ")".repeat(1000)), 1, "nested deeper");
}

fn data() -> Value {
    let entries = [("n", Value::Int(3)), ("f", Value::Float(2.5)), ("none", Value::Null)];
    let entries = entries.map(|(key, value)| (Arc::from(key), value)).into_iter().collect();
    Value::map(entries, MissingKey::Null)
}

fn run(text: &str) -> Result<String, TemplateError> {
    let functions = AlertmanagerFunctions { now: TimestampMs(90_000), route_labels: Value::Null };
    Templates::for_dialect(Dialect::Alertmanager).execute_once(text, &data(), &functions)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(run(text).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, line: usize, message: &str) {
    let error = run(text).expect_err(text);
    assert_eq!(error.line, line, "{text:?}: {error}");
    assert!(error.message.contains(message), "{text:?}: {error}");
}

#[test]
fn values_and_functions() {
    check("{{ .missing }} {{ .n }} {{ .none }}", "<no value> 3 <no value>");
    check("{{ printf \"%v\" .missing }}", "<nil>");
    check("{{ range 3 }}{{ . }}{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}", "01201");
    check("{{ range .none }}x{{ else }}empty{{ end }}", "empty");
    check("{{ with 0 }}a{{ else with 5 }}b{{ . }}{{ else }}c{{ end }}", "b5");
    check(
        "{{ $d := dict \"a\" 1 \"b\" (list 1 \"x\") }}{{ $d }} {{ toJson $d }}",
        "map[a:1 b:[1 x]] {\"a\":1,\"b\":[1,\"x\"]}",
    );
    check("{{ append (list 1) 2 3 }} {{ len (append (list) 1) }}", "[1 2 3] 1");
    check("{{ base64encode \"a?>b\" }} {{ base64decode \"YT8-Yg==\" }}", "YT8-Yg== a?>b");
    check("{{ urlUnescape \"a%20b+c\" }} {{ trimSpace \" x \" }}", "a b c x");
    check("{{ now.Unix }} {{ since (toDate \"2006-01-02\" \"1970-01-01\") }}", "90 1m30s");
    check("{{ (tz \"Europe/Paris\" now) | date \"15:04 MST -0700\" }}", "01:01 CET +0100");
    check("{{ humanizeDuration 61 }} {{ humanizeDuration \"0.5\" }}", "1m 1s 500ms");
    check(
        "{{ toDate \"2006-01-02T15:04:05Z07:00\" \"2020-02-03T04:05:06Z\" | date \"2006\" }}",
        "2020",
    );
    check("{{ index (dict \"a\" (list 5 6)) \"a\" 1 }}", "6");
    check("{{ printf \"%T %T %T %T\" 1 2.0 \"s\" nil }}", "int float64 string <nil>");
    check("{{ define \"a\" }}A{{ end }}{{ define \"a\" }} {{ end }}{{ template \"a\" }}", "A");
    check("{{ and .none (index .none 1) }}{{ or 1 (index .none 1) }}", "<no value>1");
}

#[test]
fn executions_that_fail_say_where() {
    fails("a\n{{ .n.x }}", 2, "can't evaluate field x in type int");
    fails("{{ index (list 1) 5 }}", 1, "index out of range: 5");
    fails("{{ eq .n .f }}", 1, "incompatible types for comparison");
    fails("\n\n{{ template \"nope\" }}", 3, "template \"nope\" not defined");
    fails("{{ reReplaceAll \"(\" \"\" \"a\" }}", 1, "error parsing regexp");
    fails("{{ call 1 }}", 1, "non-function");
    fails("{{ range .f }}{{ end }}", 1, "range can't iterate over float64");
    fails("{{ .n 5 }}", 1, "has arguments");
}

#[test]
fn runaway_templates_end() {
    fails(
        "{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}",
        1,
        "maximum template depth",
    );
    fails("{{ range 1000000000 }}{{ end }}", 1, "steps");
    fails("{{ range 5000 }}{{ range 5000 }}{{ end }}{{ end }}", 1, "steps");
    fails(
        "{{ $x := \"ab\" }}{{ range 100 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
        1,
        "output is larger",
    );
    fails(
        "{{ $x := \"a\" }}{{ range 30 }}{{ $x = reReplaceAll \"a\" \"aaaaaaaa\" $x }}{{ end }}",
        1,
        "output is larger",
    );
    fails("{{ $x := list }}{{ range 1000 }}{{ $x = list $x $x }}{{ end }}", 1, "nested deeper");
    fails(
        "{{ $x := list 1 }}{{ range 30 }}{{ $x = list $x $x }}{{ end }}{{ $x }}",
        1,
        "output is larger",
    );
    fails(
        "{{ $x := list 1 }}{{ range 30 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}",
        1,
        "output is larger",
    );
    fails(
        "{{ printf \"%1000000d%1000000d%1000000d%1000000d%1000000d\" 1 1 1 1 1 }}",
        1,
        "output is larger",
    );
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused(text in "(\\{\\{|\\}\\}|[-+.$|():=,\"'`\\\\ a-zé0-9%\n]|if |else|end|range |define |with |printf |/\\*){0,40}") {
        if let Ok(rendered) = run(&text) {
            prop_assert!(rendered.len() <= Limits::default().output_bytes_max);
        }
        let _ = Templates::new().execute_html_once(&text, &data(), &NoFunctions);
    }

    #[test]
    fn any_format_prints(format in "[%a-zA-Z0-9.*+# \\[\\]-]{0,20}") {
        let text = format!("{{{{ printf {format:?} 1 2.5 \"x\" .none (list 1 \"y\") }}}}");
        let limits = Limits { output_bytes_max: 10_000, steps_max: 1000 };
        let _ = Templates::new().with_limits(limits).execute_once(&text, &data(), &NoFunctions);
    }

    #[test]
    fn floats_print_what_reads_back(value in any::<f64>()) {
        let text = crate::number::float(value, crate::number::Shape::General, None);
        if value.is_finite() {
            prop_assert_eq!(text.parse::<f64>().ok(), Some(value));
        }
    }
}
