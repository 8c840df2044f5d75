//! Rule files that must be read, and files that must be refused with all their mistakes.

use std::path::PathBuf;

use model::Labels;

use super::*;

fn data(folder: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(folder);
    let mut files: Vec<(String, String)> = std::fs::read_dir(&path)
        .expect("read test folder")
        .map(|entry| entry.expect("read entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .map(|path| {
            let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("read test file"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn upstream_files_are_judged_as_upstream_judges_them() {
    for (name, text) in data("prometheus-rules") {
        let scheme = if name.starts_with("legacy") { NameScheme::Legacy } else { NameScheme::Utf8 };
        let result = parse_with(&text, &name, scheme, &ParseOptions::default());
        if name.contains(".bad.") {
            let problems = result.expect_err(&name);
            assert!(problems.iter().all(|problem| problem.line > 0), "{name}: {problems:?}");
        } else {
            let groups = result.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            assert!(!groups.is_empty() && groups.iter().all(|group| !group.rules.is_empty()));
        }
    }
}

#[test]
fn the_compliance_suite_s_rules_are_read() {
    for (name, text) in data("alert-generator") {
        let groups = parse(&text, &name).unwrap_or_else(|problems| panic!("{problems:?}"));
        let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
        assert_eq!((groups.len(), rules), (4, 7));
    }
}

#[track_caller] // A failure points at the row below, not at this line.
fn refused(text: &str, expected: &[&str]) {
    let problems = parse(text, "r.yml").expect_err(text);
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line:?} should begin with {expected:?}");
    }
}

#[test]
fn all_mistakes_are_named_with_their_lines() {
    refused(
        "groups:
- name: a
  intervall: 1m
  rules:
  - alert: A
    expr: rate(x)
    for: 5
    labels: {__name__: x}
    annotations:
      summary: 'value {{ $valu }}'
      text: '{{ nope 1 }}'
  - record: 'r{}'
    expr: x
    keep_firing_for: 1m
    annotations: {a: b}
  - record: ''
    expr: '\"text\"'
- name: a
",
        &[
            "r.yml:3: groups[0].intervall: unknown field; did you mean \"interval\"?",
            "r.yml:6: groups[0].rules[0].expr: could not parse expression: 1:6: parse error: ",
            "r.yml:7: groups[0].rules[0].for: needs a duration such as 30s or 1h30m, but is \"5\"",
            "r.yml:8: groups[0].rules[0].labels.__name__: invalid label name \"__name__\"",
            "r.yml:10: groups[0].rules[0].annotations.summary: annotation \"summary\": template: \
             __alert_A:1: undefined variable \"$valu\"",
            "r.yml:11: groups[0].rules[0].annotations.text: annotation \"text\": template: \
             __alert_A:1: function \"nope\" not defined",
            "r.yml:12: groups[0].rules[1].record: braces present in the recording rule name",
            "r.yml:14: groups[0].rules[1].keep_firing_for: invalid field 'keep_firing_for' in",
            "r.yml:15: groups[0].rules[1].annotations: invalid field 'annotations' in recording",
            "r.yml:16: groups[0].rules[2]: one of 'record' or 'alert' must be set",
            "r.yml:17: groups[0].rules[2].expr: needs an instant vector or a scalar, but is string",
            "r.yml:18: groups[1].name: groupname \"a\" is repeated in the same file",
        ],
    );
    refused("groups: [{rules: []}]", &["r.yml:1: groups[0].name: is required"]);
    refused("groups: {a: b}", &["r.yml:1: groups: needs a list"]);
    refused("a: [", &["r.yml:"]);
    refused("groups:\n- name: a\n  limit: -1", &["r.yml:3: groups[0].limit: needs a whole number"]);
}

#[test]
fn what_is_written_is_what_is_read() {
    let text = "groups:
- name: g
  interval: 30s
  limit: 5
  query_offset: 1m
  labels: {team: a, tier: b}
  rules:
  - record: job:up:sum
    expr: |
      sum by (job) (up)
    labels: {team: c}
  - alert: Down
    expr: up==0
    for: 5m
    keep_firing_for: 1h
    annotations: {summary: '{{ $labels.instance }} is down'}
";
    let groups = parse(text, "f.yml").expect("is fine");
    let [group] = groups.as_slice() else { panic!("one group") };
    assert_eq!((group.name.as_str(), group.file.as_str()), ("g", "f.yml"));
    assert_eq!(
        (group.interval_ms, group.limit, group.query_offset_ms),
        (Some(30_000), 5, Some(60_000))
    );
    let labels = |rule: &RuleConfig| Labels::from_pairs(rule.labels.clone()).to_string();
    assert_eq!(group.rules[0].expression, "sum by (job) (up)");
    assert_eq!(labels(&group.rules[0]), "{team=\"c\", tier=\"b\"}");
    assert_eq!(group.rules[0].line, 8);
    assert_eq!(group.rules[1].expression, "up == 0");
    assert_eq!(labels(&group.rules[1]), "{team=\"a\", tier=\"b\"}");
    let RuleKind::Alert { for_ms, keep_firing_for_ms, annotations, .. } = &group.rules[1].kind
    else {
        panic!("an alert")
    };
    assert_eq!((*for_ms, *keep_firing_for_ms, annotations.len()), (300_000, 3_600_000, 1));
    assert_eq!(parse("", "f.yml"), Ok(Vec::new()));
}

#[test]
fn a_large_file_is_read_quickly() {
    let mut text = String::from("groups:\n");
    for group in 0..200 {
        text.push_str(&format!("- name: g{group}\n  rules:\n"));
        for rule in 0..50 {
            text.push_str(&format!(
                "  - alert: A{rule}\n    expr: sum by (job) (rate(x{{a=\"{rule}\"}}[5m])) > {rule}\n    \
                 annotations: {{summary: '{{{{ $labels.job }}}} is {{{{ $value | humanize }}}}'}}\n"
            ));
        }
    }
    let begun = std::time::Instant::now();
    let groups = parse(&text, "f.yml").expect("is fine");
    assert_eq!(groups.iter().map(|group| group.rules.len()).sum::<usize>(), 10_000);
    assert!(begun.elapsed().as_secs() < 20, "took {:?}", begun.elapsed());
}

#[test]
fn every_pack_parses() {
    for (name, text) in crate::packs::all() {
        if let Err(problems) = parse(text, name) {
            let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
            panic!("{}", lines.join("\n"));
        }
    }
}
