//! The field's sample files, and every refusal one by one.

use std::path::PathBuf;

use model::TimestampMs;

use super::*;

fn data(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/alertmanager")).join(path)
}

fn read_data(path: &str) -> String {
    let path = data(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn sample_files_of_the_field() {
    let expectations: serde_json::Value =
        serde_json::from_str(&read_data("config_expectations.json")).expect("json");
    let mut compared = 0;
    for (file, expectation) in expectations.as_object().expect("an object") {
        let text = read_data(&format!("config-testdata/{file}"));
        let rejected = expectation["v0.34.0_tests"]
            .as_array()
            .is_some_and(|tests| tests.iter().any(|test| test["rejected"] == true));
        let result = parse(&text, file);
        if rejected {
            assert!(result.is_err(), "{file} must be refused");
            compared += 1;
            continue;
        }
        // Files with services that Belfry does not speak are refused for that alone.
        match result {
            Ok(_) => compared += 1,
            Err(problems) => assert!(
                problems.iter().all(|own| own.message.contains("not supported")),
                "{file}: {problems:#?}"
            ),
        }
    }
    assert!(compared > 28, "{compared} files compared");
}

#[test]
fn examples_of_the_field() {
    let config = parse(&read_data("route_labels.yml"), "r.yml").expect("valid");
    assert_eq!(config.route.routes[0].labels.len(), 2, "labels are inherited and merged");
    let simple = read_data("simple.yml")
        .replace("pagerduty_configs", "#")
        .replace("      - service_key", "      #");
    let config = parse(&simple, "/etc/am/simple.yml").expect("valid");
    assert_eq!(config.templates, [PathBuf::from("/etc/alertmanager/template/*.tmpl")]);
    assert_eq!(config.warnings.len(), 1, "tracing has no effect: {:?}", config.warnings);
    assert!(!config.original().contains("'password'"));
    assert!(config.original().contains("smtp_auth_password: <secret>"), "{}", config.original());
    parse(config.original(), "shown.yml").expect("what is shown is a configuration");
}

const RECEIVER: &str = "receivers: [{name: r}]\n";

/// Each line: a configuration and the words its problem holds.
#[track_caller]
fn check(text: &str, words: &str) {
    match parse(text, "am.yml") {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => assert!(
            problems.iter().any(|own| own.to_string().contains(words)),
            "{text}\nhas {problems:#?}"
        ),
    }
}

#[test]
fn refusals_of_routes() {
    check("receivers: [{name: r}]", "route: is required");
    check("route: {receiver: r}", "receivers: is required");
    check(&format!("route: {{}}\n{RECEIVER}"), "route.receiver: is required");
    let root = |keys: &str| format!("route: {{receiver: r, {keys}}}\n{RECEIVER}");
    check(&root("matchers: [a=b]"), "root route takes every alert");
    check(&root("continue: true"), "no sibling");
    check(&root("mute_time_intervals: [x]"), "no time intervals");
    check(&root("group_by: [a, a]"), "duplicated label");
    check(&root("group_by: [a, '...']"), "must stand alone");
    check(&root("group_interval: 0s"), "cannot be zero");
    check(&root("repeat_interval: 0s"), "cannot be zero");
    check(&root("group_wate: 1s"), "did you mean \"group_wait\"?");
    check(&root("routes: [{receiver: nobody}]"), "undefined receiver \"nobody\"");
    check(&root("routes: [{active_time_intervals: [x]}]"), "undefined time interval \"x\"");
    check(&root("routes: [{match_re: {a: '('}}]"), "match_re");
    check(&root("routes: [{matchers: ['a=~\"(\"']}]"), "regular expression");
    check(&root("routes: [{matchers: ['1=']}]"), "1=");
    check(&root("labels: {'1x': y}"), "no label name");
    check(&root("labels: {x: '{{ .Foo '}"), "template line");
    check("route: {receiver: r}\nreceivers: [{name: r}, {name: r}]", "defined twice");
    check("route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [null]}]", "is nothing");
    check(
        "route: {receiver: r}\nreceivers: [{name: r, slack_configs: [{}]}]",
        "use webhook_configs with a `payload`",
    );
    let named = "time_intervals: [{time_intervals: [{}]}]";
    check(&format!("{}{named}", root("group_by: [a]")), "name: is required");
}

#[test]
fn refusals_of_webhooks() {
    let hook = |keys: &str| {
        format!("route: {{receiver: r}}\nreceivers: [{{name: r, webhook_configs: [{{{keys}}}]}}]")
    };
    check(&hook("max_alerts: 1"), "exactly one of url and url_file");
    check(&hook("url: 'http://h/', url_file: /x"), "at most one of url & url_file");
    check(&hook("url: 'ftp://h/'"), "needs an address");
    check(&hook("url: 'http://h/{{ .X'"), "template line");
    let http = |keys: &str| hook(&format!("url: 'http://h/', http_config: {{{keys}}}"));
    check(&http("basic_auth: {username: a}, authorization: {credentials: b}"), "at most one of");
    check(&http("basic_auth: {password: a, password_file: b}"), "password & password_file");
    check(&http("proxy_url: 'http://p'"), "proxies are not supported");
    check(&http("oauth2: {client_id: a}"), "use authorization");
    check(&http("tls_config: {cert_file: a}"), "need each other");
}

#[test]
fn refusals_of_mail() {
    let mail = |keys: &str| {
        format!("route: {{receiver: r}}\nreceivers: [{{name: r, email_configs: [{{{keys}}}]}}]")
    };
    let rest = "from: a@b, smarthost: 'h:25'";
    check(&mail(rest), "to: is required");
    check(&mail("to: a@b, smarthost: 'h:25'"), "from: is required");
    check(&mail("to: a@b, from: a@b"), "smarthost: is required");
    check(&mail("to: a@b, from: a@b, smarthost: h"), "needs host:port");
    check(&mail(&format!("to: 'no address', {rest}")), "no list of mail addresses");
    check(&mail(&format!("to: a@b, headers: {{X: 1, x: 2}}, {rest}")), "set twice");
    check(&mail(&format!("to: a@b, text: '', html: '', {rest}")), "needs one of them");
    check(&mail(&format!("to: a@b, html: '{{{{ nope }}}}', {rest}")), "template line");
}

#[test]
fn inheritance() {
    let config = parse(
        "route: {receiver: r, group_by: [a], group_wait: 1s, routes: [{matchers: [x=y], \
         group_by: [], routes: [{receiver: s, matchers: ['b=\"c\"', 'a=~d']}]}]}\nreceivers: \
         [{name: r}, {name: s}]",
        "am.yml",
    )
    .expect("valid");
    let child = &config.route.routes[0];
    assert_eq!(child.group_by, GroupBy::Labels(Vec::new()), "an empty list overrides");
    let leaf = &child.routes[0];
    assert_eq!((leaf.receiver.as_str(), leaf.group_wait_ms), ("s", 1000));
    assert_eq!(leaf.key, "{}/{x=\"y\"}/{a=~\"d\",b=\"c\"}");
}

#[test]
fn time_intervals_of_the_field() {
    let vectors: serde_json::Value =
        serde_json::from_str(&read_data("vectors/time_interval_contains.json")).expect("json");
    for vector in vectors.as_array().expect("a list") {
        let spec = &vector["spec"];
        let spans = |key: &str, from: &str, to: &str| -> Vec<interval::Span> {
            let number = |own: &serde_json::Value| {
                i32::try_from(own.as_i64().expect("a number")).expect("small")
            };
            spec[key].as_array().map_or(Vec::new(), |list| {
                list.iter().map(|own| (number(&own[from]), number(&own[to]))).collect()
            })
        };
        let zone = spec["location"]
            .as_str()
            .map_or(jiff::tz::TimeZone::UTC, |name| jiff::tz::TimeZone::get(name).expect("a zone"));
        let interval = TimeInterval {
            times: spans("Times", "start_minute", "end_minute"),
            weekdays: spans("Weekdays", "begin", "end"),
            days_of_month: spans("DaysOfMonth", "begin", "end"),
            months: spans("Months", "begin", "end"),
            years: spans("Years", "begin", "end"),
            zone,
        };
        for (key, expected) in [("inside", true), ("outside", false)] {
            for text in vector[key].as_array().expect("a list") {
                let text = text.as_str().expect("a text");
                let at = jiff::Zoned::strptime("%d %b %y %H:%M %z", text).expect("a time");
                let at_ms = TimestampMs(at.timestamp().as_millisecond());
                assert_eq!(interval.contains(at_ms), expected, "{spec} {text}");
            }
        }
    }
}
