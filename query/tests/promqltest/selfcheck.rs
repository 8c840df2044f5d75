//! Proof that the runner notices what is wrong: scripts that must fail, each for one reason.
//!
//! Place in the flow: `main` runs it before the ratchet, on the plain table.

use crate::backing::Backing;
use crate::run::{Outcome, Plan};

/// Two series that every script below asks about.
const LOAD: &str = "load 1m\n  m{a=\"1\"} 1+1x10\n  m{a=\"2\"} 2+2x10\n\n";

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
        "eval instant at 1m rate(m[2m])\n  expect no_info\n  {a=\"1\"} 0.016666\n  {a=\"2\"} 0.0333333",
        "unexpected info annotations",
    ),
    (
        "eval instant at 1m quantile(2, m)\n  expect warn msg: PromQL warning: quantile value \
         should be between 0 and 1, got 2 (1:1)\n  {} +Inf",
        "expected warn annotation",
    ),
    ("eval instant at 1m m\n  expect fail", "expected a failure"),
    ("eval instant at 1m m + on() m\n\n", "query failed"),
    ("eval range from 0 to 1m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 2", ""),
    ("eval range from 0 to 1m step 1m m{a=\"1\"}\n  m{a=\"1\"} 1 _", "expected for"),
    ("eval instant at 1m 1 + 1\n  3", "expected 3"),
    ("eval instant at 1m \"a\"\n  expect string \"b\"", "expected string"),
    // Only the variant fixed to one time tells these apart.
    ("eval instant at 1m absent_over_time(nothing[step()+1])\n  {} 1", "as "),
    // A comment ends the block, so the line after it stands alone.
    ("eval instant at 1m 1\n  # why\n  1", "unknown command"),
    ("eval instant at 1m 1\n  1\n  expect no_warn", "must be the last line"),
    ("eval instant at 1m m\n  expect warn\n  expect no_warn", "both wanted and forbidden"),
];

/// Runs all of them.
pub fn run() -> Result<(), String> {
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
