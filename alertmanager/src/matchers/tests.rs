//! The field's matcher texts.

use super::*;

fn vectors(file: &str) -> Vec<serde_json::Value> {
    let path = format!(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/alertmanager/vectors/{}.json"),
        file
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("json")
}

fn op_name(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "MatchEqual",
        MatchOp::NotEqual => "MatchNotEqual",
        MatchOp::Regex => "MatchRegexp",
        MatchOp::NotRegex => "MatchNotRegexp",
    }
}

#[test]
fn utf8_texts_of_the_field() {
    for vector in vectors("matcher_parse") {
        let Some(input) = vector["input"].as_str() else { continue };
        let error = vector["error"].as_str();
        if error.is_some_and(|own| own == "no matchers" || own.starts_with("expected 1 matcher")) {
            continue; // Those are of the reader of exactly one matcher, which nothing here needs.
        }
        match (parse_utf8(input), error) {
            (Ok(found), None) => {
                let expected = vector["expected"].as_array().expect("a list");
                assert_eq!(found.len(), expected.len(), "{input}");
                for ((name, op, value), own) in found.iter().zip(expected) {
                    assert_eq!(name, own["name"].as_str().expect("name"), "{input}");
                    assert_eq!(op_name(*op), own["op"].as_str().expect("op"), "{input}");
                    assert_eq!(value, own["value"].as_str().expect("value"), "{input}");
                }
            }
            (Err(found), Some(expected)) => assert_eq!(found, expected, "{input}"),
            (found, expected) => panic!("{input}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn texts_on_which_the_two_grammars_meet() {
    let mut compared = 0;
    for vector in vectors("matcher_compliance_utf8_vs_classic") {
        let literal = vector["input_go_literal"].as_str().expect("a literal");
        let Some(input) = literal.strip_prefix('`').and_then(|own| own.strip_suffix('`')) else {
            continue;
        };
        let expects_error = vector["error"].is_string();
        let found = parse(input);
        assert_eq!(found.is_err(), expects_error, "{input}: {found:?}");
        let Ok(found) = found else { continue };
        let expected = vector["expected"].as_array().expect("a list");
        assert_eq!(found.matchers.len(), expected.len(), "{input}");
        for (matcher, own) in found.matchers.iter().zip(expected) {
            assert_eq!(matcher.name(), own["name"].as_str().expect("name"), "{input}");
            assert_eq!(op_name(matcher.op()), own["op"].as_str().expect("op"), "{input}");
        }
        compared += 1;
    }
    assert!(compared > 20, "{compared} compared");
}

#[test]
fn the_old_form_works_and_is_told() {
    let parsed = parse("{foo=}").expect("classic");
    assert_eq!(parsed.matchers, [Matcher::equal("foo", "")]);
    assert!(parsed.warning.expect("a warning").contains("foo=\"\""));
    assert_eq!(parse("foo=\"bar\"").expect("both").warning, None);
    assert!(parse("foo").is_err());
}
