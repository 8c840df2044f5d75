//! Caps on length and depth.

use super::all;
use crate::{parse, print};

#[test]
fn limits_hold() {
    let nested = |count: usize| format!("{}a{}", "(".repeat(count), ")".repeat(count));
    assert!(parse(&nested(100), &all()).is_ok());
    assert!(parse(&nested(100_000), &all()).is_err());
    assert!(parse(&"-".repeat(100_000), &all()).is_err());
    assert!(parse(&format!("{}a", "abs(".repeat(50_000)), &all()).is_err());
    assert!(parse(&format!("a[{}1{}]", "(".repeat(9_000), ")".repeat(9_000)), &all()).is_err());
    assert!(parse(&format!("a[1{}]", "+1".repeat(9_000)), &all()).is_err());
    let chain = |count: usize| format!("a{}", " + a".repeat(count));
    assert!(parse(&chain(500), &all()).is_ok_and(|expr| print(&expr).len() > 1500));
    assert!(parse(&chain(100_000), &all()).is_err());
    assert!(parse(&format!("a{}", " ^ a".repeat(100_000)), &all()).is_err());
    assert!(parse(&format!("a{}", "[1h:1m]".repeat(10)), &all()).is_err());
    assert!(parse(&" ".repeat(crate::QUERY_BYTES_MAX + 1), &all()).is_err());
    let wide = format!("label_join(a, \"x\", \"y\"{})", ", \"abcdefgh\"".repeat(80_000));
    assert!(parse(&wide, &all()).is_ok());
}

/// What runs a query may have a small stack, and a build for tests needs much of it.
#[test]
fn a_small_stack_is_enough() {
    let repeated = |part: &str, count: usize| part.repeat(count);
    let texts = [
        format!("{}1", repeated("-", 1_000_000)),
        format!("{}a", repeated("(", 100_000)),
        format!("a{}", repeated(" + a", 200_000)),
        format!("a{}", repeated(" + a", 511)),
        format!("a{}", repeated(" ^ a", 200_000)),
        format!("{}a{}", repeated("sum(", 120), repeated(")", 120)),
        format!("{}a{}", repeated("max_over_time(", 120), repeated("[1m:])", 120)),
        format!("{}a{}", repeated("max_over_time(", 30_000), repeated("[1m:])", 30_000)),
        format!("a[{}1m]", repeated("-", 1_000_000)),
        format!("a offset {}1m", repeated("-", 1_000_000)),
        format!("a[1m{}]", repeated("*1", 400_000)),
        format!("a{}", repeated(" offset 1m", 90_000)),
        format!("a{}", repeated("[1m:]", 200_000)),
        repeated("{", 1_000_000),
        repeated("'", 1_000_000),
        repeated("a{b='c',", 100_000),
        repeated("1 or ", 200_000),
    ];
    let work = move || {
        for text in texts {
            // Reading, printing and dropping a tree all walk it.
            if let Ok(expr) = parse(&text, &all()) {
                let printed = print(&expr);
                assert!(parse(&printed, &all()).is_ok(), "{}", &printed[..60]);
                drop((crate::pretty(&expr), expr.clone(), expr));
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work);
    thread.expect("a thread").join().expect("no overflow");
}
