//! Rules one by one: labels before, rule, labels after.
use super::*;
use model::fields::Problems;
use model::{Labels, yaml};

fn rules(text: &str) -> Vec<Rule> {
    let node = yaml::parse(text).expect("yaml");
    let problems = Problems::new("rules.yml");
    let items = match &node.kind {
        yaml::Kind::Sequence(items) => items.clone(),
        _ => vec![node],
    };
    let rules = items
        .iter()
        .filter_map(|item| crate::config::relabel::read(item, "", false, &problems))
        .collect();
    assert!(problems.is_empty(), "{text}: {:?}", problems.into_list());
    rules
}

/// Labels as `a=1,b=2`; `None` means dropped.
#[track_caller]
fn check(before: &str, text: &str, after: Option<&str>) {
    let pairs =
        |text: &str| Labels::from_pairs(text.split(',').filter_map(|pair| pair.split_once('=')));
    let mut builder = pairs(before).to_builder();
    let kept = apply(&rules(text), &mut builder);
    assert_eq!(kept.then(|| builder.build()), after.map(pairs), "{before} under {text}");
}

#[test]
fn actions() {
    let abc = "a=foo,b=bar,c=baz";
    check(
        abc,
        "{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}",
        Some("a=foo,b=bar,c=baz,d=choo-choo"),
    );
    check(
        abc,
        "{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}",
        Some("a=boobam,b=bar,c=baz"),
    );
    check(abc, "{source_labels: [a], regex: o, target_label: d, replacement: x}", Some(abc));
    check(
        abc,
        "{source_labels: [a], regex: '.*', target_label: a, replacement: ''}",
        Some("b=bar,c=baz"),
    );
    check(
        abc,
        "{source_labels: [a], regex: '(f).*', target_label: '${1}_x', replacement: y}",
        Some("a=foo,b=bar,c=baz,f_x=y"),
    );
    // An expanded name that is none changes nothing.
    check(
        abc,
        "{source_labels: [a], regex: 'x?(.*)', target_label: '${2}', replacement: y}",
        Some(abc),
    );
    check(abc, "{replacement: static, target_label: d}", Some("a=foo,b=bar,c=baz,d=static"));
    check(abc, "{source_labels: [a], regex: '.*o.*', action: drop}", None);
    check(abc, "{source_labels: [a], regex: 'o', action: drop}", Some(abc));
    check(abc, "{source_labels: [a], regex: 'f.*', action: Keep}", Some(abc));
    check(abc, "{source_labels: [a], regex: 'f', action: keep}", None);
    check("a=x,b=x", "{source_labels: [a], target_label: b, action: keepequal}", Some("a=x,b=x"));
    check("a=x,b=y", "{source_labels: [a], target_label: b, action: keepequal}", None);
    check("a=x,b=x", "{source_labels: [a], target_label: b, action: dropequal}", None);
    check("a=x,b=y", "{source_labels: [a], target_label: b, action: dropequal}", Some("a=x,b=y"));
    check(
        abc,
        "{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}",
        Some("a=foo,b=bar,c=baz,d=976"),
    );
    check(
        "a=foo\nbar",
        "{source_labels: [a], target_label: b, action: hashmod, modulus: 1000}",
        Some("a=foo\nbar,b=734"),
    );
    check(
        "a=foo,b1=bar,b2=baz",
        "{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}",
        Some("a=foo,b1=bar,b2=baz,bar_b1=bar,bar_b2=baz"),
    );
    check(abc, "{regex: '[ab]', action: labeldrop}", Some("c=baz"));
    check(abc, "{regex: 'a', action: labelkeep}", Some("a=foo"));
    check("a=FoO", "{source_labels: [a], target_label: b, action: lowercase}", Some("a=FoO,b=foo"));
    check("a=FoO", "{source_labels: [a], target_label: b, action: uppercase}", Some("a=FoO,b=FOO"));
}

#[test]
fn rules_follow_each_other() {
    check(
        "a=1",
        "[{source_labels: [a], target_label: b}, {source_labels: [b], regex: '1', action: drop}]",
        None,
    );
    check(
        "a=1",
        "[{source_labels: [a], regex: '2', action: keep}, {target_label: b, replacement: x}]",
        None,
    );
}
