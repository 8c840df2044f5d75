//! Real expressions against the verdict of a Prometheus: what is accepted, what is refused and
//! why, and how it is laid out.
//!
//! The corpus lies in `tests/data/promql`; `PROMQL_CORPUS` names another file.

use promql::{ParseOptions, parse, pretty, print};

/// One line of the corpus.
struct Case {
    expr: String,
    canonical: Option<String>,
    error: Option<String>,
}

fn cases() -> Vec<Case> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/promql/queries.jsonl");
    let path = std::env::var("PROMQL_CORPUS").unwrap_or_else(|_| default.to_owned());
    let text = std::fs::read_to_string(&path).expect("read the corpus");
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            let field = |name: &str| value[name].as_str().map(str::to_owned);
            Case {
                expr: field("expr").expect("expr"),
                canonical: field("canonical"),
                error: field("error"),
            }
        })
        .collect()
}

#[test]
fn verdicts_and_layout() {
    let options = ParseOptions::default();
    let mut failures = Vec::new();
    for case in cases() {
        match (parse(&case.expr, &options), &case.canonical, &case.error) {
            (Ok(expr), Some(canonical), _) => {
                let laid_out = pretty(&expr);
                if &laid_out != canonical {
                    failures.push(format!("layout of {}\n{laid_out}\n--\n{canonical}", case.expr));
                }
                let again = parse(&print(&expr), &options).map(|expr| pretty(&expr));
                if again.as_ref() != Ok(canonical) {
                    failures.push(format!("second round of {}: {again:?}", case.expr));
                }
            }
            (Err(problems), None, Some(error)) => {
                let rendered = problems[0].render(&case.expr);
                if &rendered != error {
                    failures.push(format!("{}\n got {rendered}\nwant {error}", case.expr));
                }
            }
            (Ok(_), ..) => failures.push(format!("accepted: {}", case.expr)),
            (Err(problems), ..) => {
                failures.push(format!("{}: {}", problems[0].render(&case.expr), case.expr));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
}
