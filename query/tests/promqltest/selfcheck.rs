//! Proof that the runner notices what is wrong: scripts that must fail, each for one reason.
//!
//! Place in the flow: `main` runs it before the ratchet, on the plain table.

use crate::backing::Backing;
use crate::run::{Outcome, Plan};

/// The series that every script below asks about.
const LOAD: &str = "load 1m\n  m{a=\"1\"} 1+1x10\n  m{a=\"2\"} 2+2x10\n  \
                    h {{count:4 sum:5 buckets:[1 2 1]}}x10\n\n";

/// What is asked and expected, and a part of the reason why it must fail; empty when it must pass.
const SCRIPTS: &[(&str, &str)] = &[
    ("eval instant at 1m m\n  m{a=\"1\"} 2\n  m{a=\"2\"} 4", ""),
    ("eval instant at 1m m\n  m{a=\"1\"} 2\n  m{a=\"2\"} 5", "expected 5"),
    ("eval instant at 1m m\n  m{a=\"1\"} 2\n  m{a=\"2\"} 4\n  m{a=\"3\"} 4", "missing series"),
    ("eval instant at 1m m\n  m{a=\"1\"} 2", "unexpected series"),
    ("eval instant at 1m m\n\n", "unexpected series"),
    (
        "eval instant at 1m sort(m)\n  expect ordered\n  m{a=\"2\"} 4\n  m{a=\"1\"} 2",
        "must be number",
    ),
    ("eval instant at 1m sum(m)\n  expect warn\n  {} 6", "expected warn annotations, got none"),
    (
        "eval instant at 1m rate(m[2m]) * 0\n  expect no_info\n  {a=\"1\"} 0\n  {a=\"2\"} 0",
        "unexpected info annotations",
    ),
    (
        "eval instant at 1m quantile(2, m)\n  expect warn msg: PromQL warning: quantile value \
         should be between 0 and 1, got 2 (1:1)\n  {} +Inf",
        "expected warn annotation",
    ),
    ("eval instant at 1m h\n  h {{count:4 sum:5 buckets:[1 2 1]}}", ""),
    ("eval instant at 1m h\n  h {{count:4 sum:5 buckets:[1 1 2]}}", "got {{count:4 sum:5 buckets"),
    ("eval instant at 1m h\n  h 4", "expected 4"),
    ("eval instant at 1m m{a=\"1\"}\n  m{a=\"1\"} {{count:2}}", "expected {{count:2}}"),
    (
        "eval instant at 1m h\n  h {{count:4 sum:5 counter_reset_hint:gauge buckets:[1 2 1]}}",
        "counter_reset_hint:not_reset",
    ),
    ("eval instant at 1m m\n  expect fail", "expected a failure"),
    ("eval instant at 1m m + on() m\n\n", "query failed"),
    ("eval range from 0 to 1m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2", ""),
    ("eval range from 0 to 1m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 _", "expected for"),
    ("eval instant at 1m 1 + 1\n  3", "expected 3"),
    ("eval instant at 1m \"a\"\n  expect string \"b\"", "expected string"),
    // Only the range form tells these apart; the blank hides the call from the rule that skips it.
    ("eval instant at 1m vector(step( ))\n  {} 0", "as a range query: expected 0"),
    // A comment ends the block, so the line after it stands alone.
    ("eval instant at 1m 1\n  # why\n  1", "unknown command"),
    ("eval instant at 1m 1\n  1\n  expect no_warn", "must be the last line"),
    ("eval instant at 1m m\n  expect warn\n  expect no_warn", "both wanted and forbidden"),
];

/// Queries with the text that fixes them to 90 s; empty when they depend on the evaluation time.
const PINNED: &[(&str, &str)] = &[
    ("m", "m @ 90.000"),
    ("m offset 1m + rate(m[1m] @ start())", "m offset 1m @ 90.000 + rate(m[1m] @ 90.000)"),
    ("m @ 5 + m @ end()", "m @ 5 + m @ 90.000"),
    ("max_over_time((m + m)[1m:] offset 5s)", "max_over_time((m + m)[1m:] offset 5s @ 90.000)"),
    ("info(m, {a=\"1\"})", "info(m @ 90.000, {a=\"1\"})"),
    ("m + time()", ""),
];

fn pinned_texts() -> Result<(), String> {
    for (text, expected) in PINNED {
        let expr = promql::parse(text, &promql::ParseOptions::all())
            .map_err(|problems| problems[0].render(text))?;
        let found = crate::pinned::pinned(text, &expr, model::TimestampMs(90_000));
        if found.as_deref().unwrap_or("") != *expected {
            return Err(format!("self-check: {text} must become {expected:?}, became {found:?}"));
        }
    }
    Ok(())
}

/// Runs all of them.
pub fn run() -> Result<(), String> {
    pinned_texts()?;
    let runtime = crate::runtime()?;
    let plan = Plan { all_features: true, backing: Backing::Table, once: false };
    for (script, wanted) in SCRIPTS {
        let mut reasons = Vec::new();
        let text = format!("{LOAD}{script}\n");
        let outcome = crate::run_file(&text, plan, &runtime, &mut |_, _, outcome| {
            if let Outcome::Failed(reason) = outcome {
                reasons.push(reason);
            }
        });
        reasons.extend(outcome.err());
        let is_right = match wanted.is_empty() {
            true => reasons.is_empty(),
            false => reasons.iter().any(|reason| reason.contains(wanted)),
        };
        if !is_right {
            return Err(format!(
                "self-check: {script:?} must fail with {wanted:?}, got {reasons:?}"
            ));
        }
    }
    Ok(())
}
