//! Selectors with their modifiers.

use super::{check, check_refused};

#[test]
fn selectors() {
    check("up", "up");
    check("up{}", "up");
    check(r#"up{b="1",a!~'2',}"#, r#"up{a!~"2",b="1"}"#);
    check(r#"{"my.metric", "l.x"="v"}"#, r#"{"my.metric","l.x"="v"}"#);
    check(r#"{"up"}"#, "up");
    check(r#"{__name__="up"}"#, r#"{__name__="up"}"#);
    check("a:b:c", "a:b:c");
    check("sum", "sum");
    check("sum + by + offset + start", "sum + by + offset + start");
    check("up offset 5m", "up offset 5m");
    check("up offset -1h30m @ 10", "up @ 10.000 offset -1h30m");
    check("up @ -1.5", "up @ -1.500");
    check("up @ start()", "up @ start()");
    check("up[5m] @ END()", "up[5m] @ end()");
    check("up[300]", "up[5m]");
    check("up[5m*2+1]", "up[5m * 2 + 1]");
    check("up[max_of(step(), range()/2)]", "up[max_of(step(), range() / 2)]");
    check("up[-5m+35m]", "up[-5m + 35m]");
    check("up[1h:]", "up[1h:]");
    check("up[1h:step()+1]", "up[1h:step() + 1]");
    check("rate(up[5m])[1h:1m] offset 1d", "rate(up[5m])[1h:1m] offset 1d");
    check("up offset (2 * 2)", "up offset (2 * 2)");
    check("up offset -min_of(step(), 1s)^0", "up offset -min_of(step(), 1s) ^ 0");
    check("rate(up[5m] anchored offset 1m)", "rate(up[5m] anchored offset 1m)");
    check("up smoothed", "up smoothed");
    check("{x=\"inf\"} # comment\n", "{x=\"inf\"}");
}

#[test]
fn refused_selectors() {
    check_refused("", "1:1: parse error: no expression found in input");
    check_refused("# only\n\n", "3:1: parse error: no expression found in input");
    check_refused(
        "{}",
        "1:1: parse error: vector selector must contain at least one non-empty matcher",
    );
    check_refused(
        r#"{x=~".*"}"#,
        "1:1: parse error: vector selector must contain at least one non-empty matcher",
    );
    check_refused(
        r#"a{__name__="b"}"#,
        r#"1:1: parse error: metric name must not be set twice: "a" or "b""#,
    );
    check_refused("a{", "1:3: parse error: unexpected end of input inside braces");
    check_refused("a}", "1:2: parse error: unexpected character: '}'");
    check_refused(
        "a{b=c}",
        "1:5: parse error: unexpected identifier \"c\" in label matching, expected string",
    );
    check_refused(
        "a{b}",
        "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator",
    );
    check_refused(
        "a{,}",
        "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\"",
    );
    check_refused("up[0]", "1:4: parse error: duration must be greater than 0");
    check_refused("up[5m-5m]", "1:4: parse error: duration must be greater than 0");
    check_refused("up[1/0]", "1:4: parse error: division by zero");
    check_refused("foo[1e300]", "1:5: parse error: duration out of range");
    check_refused("foo offset 1e300", "1:12: parse error: duration out of range");
    check_refused("foo offset NaN", "1:12: parse error: duration out of range");
    check_refused(
        "foo @ 1e20",
        "1:1: parse error: timestamp out of bounds for @ modifier: 100000000000000000000.000000",
    );
    check_refused("up[5m", "1:6: parse error: unclosed left bracket");
    check_refused(
        "up[]",
        "1:4: parse error: unexpected \"]\" in subquery or range selector, \
         expected number, duration, step(), or range()",
    );
    check_refused("up offset 1s[5m]", "1:1: parse error: no offset modifiers allowed before range");
    check_refused("up @ 1[5m]", "1:1: parse error: no @ modifiers allowed before range");
    check_refused(
        "up offset 1s offset 2s",
        "1:1: parse error: offset may not be set multiple times",
    );
    check_refused("up @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times");
    check_refused("(a + b)[5m]", "1:8: parse error: ranges only allowed for vector selectors");
    check_refused(
        "1 offset 1d",
        "1:1: parse error: offset modifier must be preceded by an instant vector selector or \
         range vector selector or a subquery",
    );
    check_refused("on", "1:1: parse error: unexpected <on>");
    check_refused("a ü", "1:3: parse error: unexpected character: 'ü'");
    check_refused(
        "up[5m] anchored smoothed",
        "1:1: parse error: anchored and smoothed modifiers cannot be used together",
    );
}
