//! The YAML tree: positions, anchors, caps.
use super::*;

#[test]
fn keeps_positions() {
    let node = parse("a:\n  b: [1, \"2\"]\n  c: ~\n").expect("parses");
    let list = node.get("a").and_then(|a| a.get("b")).expect("a.b");
    assert_eq!((list.line, list.kind_name()), (2, "a list"));
    assert!(node.get("a").and_then(|a| a.get("c")).expect("a.c").is_null());
    assert!(parse("").expect("empty").is_null());
}

#[test]
fn expands_anchors_and_merges() {
    let node = parse("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n").expect("parses");
    let y = node.get("y").expect("y");
    assert_eq!(y.get("a").and_then(Node::text), Some("1"));
    assert_eq!(y.get("b").and_then(Node::text), Some("3"));
}

#[test]
fn refuses_with_a_position() {
    let error = parse("a: 1\nb: [1\n").expect_err("unclosed");
    assert!(error.line >= 2, "{error}");
    assert_eq!(parse("a: 1\na: 2\n").expect_err("twice").line, 2);
}

#[test]
fn a_bomb_stays_small() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let previous = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
    }
    assert!(parse(&text).expect_err("bomb").message.contains("nodes"));
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert!(parse(&deep).expect_err("deep").message.contains("deeper"));
}
