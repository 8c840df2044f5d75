//! `belfry query`, `check` and `promql` beside Debian's promtool: the same bytes from the same server.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tests::appliance::{Appliance, binary};
use tests::process::{eventually, require};
use tests::{http, servers};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    child.stdin.take().expect("input").write_all(input.as_bytes()).expect("write input");
    child.wait_with_output().expect("run")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A text with everything that is written in a way of its own: infinities, small and large numbers,
/// letters that are escaped.
fn page(at_s: u64) -> String {
    format!(
        "# TYPE req_total counter\n\
         req_total{{code=\"200\",path=\"/a<b>&\\\"q\\\\é\\n\"}} 1 {at_s}.5\n\
         req_total{{code=\"200\",path=\"/a<b>&\\\"q\\\\é\\n\"}} 3 {}.25\n\
         req_total{{code=\"500\"}} 1e-7 {at_s}\n\
         req_total{{code=\"500\"}} 2.5e22 {}\n\
         # TYPE g gauge\n\
         g{{a=\"x\"}} NaN {at_s}\ng{{a=\"x\"}} +Inf {}\n\
         g{{a=\"y\",a1=\"z\"}} -Inf {}\ng{{a=\"y\",a1=\"z\"}} 123456.789012 {}\n\
         plain 4 {}\n# EOF\n",
        at_s + 15,
        at_s + 60,
        at_s + 30,
        at_s + 30,
        at_s + 3600,
        at_s + 30
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_as_promtool() {
    let promtool = require("promtool", "prometheus");
    let folder = tempfile::tempdir().expect("folder");
    // Yesterday, a round time: no block is older than Prometheus keeps.
    let at_s = now_s() / 7200 * 7200 - 86_400;
    let text = folder.path().join("page.txt");
    std::fs::write(&text, page(at_s)).expect("write");
    let data = folder.path().join("prometheus");
    let made = run(
        &promtool,
        &["tsdb", "create-blocks-from", "openmetrics", path(&text), path(&data)],
        "",
    );
    assert!(made.status.success(), "{}", err(&made));
    let server = servers::prometheus(folder.path(), "global: {scrape_interval: 1h}\n").await;
    let url = format!("http://127.0.0.1:{}", server.port);
    eventually("Prometheus is ready", 30, async || http::get(&format!("{url}/-/ready")).await)
        .await;

    let time = |offset: u64| (at_s + offset).to_string();
    let (t0, t30, t60, t2h) = (time(0), time(30), time(60), time(7200));
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for expr in ["{__name__!=\"\"}", "1e22", "req_total[5m]", "nothing", "g * 0"] {
        commands.push(vec!["query", "instant", "--time", &t30, &url, expr]);
    }
    for expr in ["req_total", "{__name__=~\"g|plain\"}", "nothing", "time()", "rate(req_total[1m])"]
    {
        commands.push(vec![
            "query", "range", "--start", &t0, "--end", &t60, "--step", "15s", &url, expr,
        ]);
        commands.push(vec!["query", "range", "--start", &t0, "--end", &t2h, &url, expr]);
    }
    commands.push(vec![
        "query",
        "series",
        "--match",
        "req_total",
        "--match",
        "g",
        "--start",
        &t0,
        "--end",
        &t2h,
        &url,
    ]);
    commands
        .push(vec!["query", "series", "--match", "nothing", "--start", &t0, "--end", &t2h, &url]);
    commands.push(vec!["query", "labels", "--start", &t0, "--end", &t2h, &url, "__name__"]);
    commands
        .push(vec!["query", "labels", "--start", &t0, "--end", &t2h, "--match", "g", &url, "a"]);
    for command in &commands {
        for format in ["promql", "json"] {
            let mut arguments = command.clone();
            drop(arguments.splice(2..2, ["-o", format]));
            let (theirs, ours) = (run(&promtool, &arguments, ""), run(&binary(), &arguments, ""));
            let both = format!("{arguments:?}\n{}\n{}", err(&theirs), err(&ours));
            assert_eq!(out(&theirs), out(&ours), "{both}");
            assert_eq!(theirs.status.code(), ours.status.code(), "{both}");
        }
    }
    refused_alike(&promtool, &url, (&t0, &t60));
    other_forms(&url, &t30);
}

/// What both refuse with nothing on the standard output.
fn refused_alike(promtool: &Path, url: &str, (start, end): (&str, &str)) {
    for wrong in [
        vec!["query", "instant", url, "sum("],
        vec!["query", "instant", "http://127.0.0.1:1", "up"],
        vec!["query", "range", "--start", "xx", url, "up"],
        vec!["query", "range", "--start", end, "--end", start, url, "up"],
        vec!["query", "series", "--match", "x{", url],
    ] {
        let (theirs, ours) = (run(promtool, &wrong, ""), run(&binary(), &wrong, ""));
        assert_eq!((out(&theirs), out(&ours)), (String::new(), String::new()), "{wrong:?}");
        assert_eq!((theirs.status.code(), ours.status.code()), (Some(1), Some(1)), "{wrong:?}");
    }
    let parse_error = run(&binary(), &["query", "instant", url, "sum("], "");
    assert!(err(&parse_error).starts_with("query error: bad_data: "), "{}", err(&parse_error));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of plain letters")
}

/// What promtool 2.42 does not have.
fn other_forms(url: &str, time: &str) {
    let table =
        run(&binary(), &["query", "instant", "-o", "table", "--time", time, url, "plain"], "");
    let lines: Vec<String> = out(&table).lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("SERIES  VALUE  TIME"), "{lines:?}");
    assert!(lines[1].starts_with("plain   4      2"), "{lines:?}");
    for verb in ["healthy", "ready"] {
        let lives = run(&binary(), &["check", verb, "--url", url], "");
        assert!(
            lives.status.success() && out(&lives).starts_with("  SUCCESS: Prometheus"),
            "{lives:?}"
        );
        let dead = run(&binary(), &["check", verb, "--url", "http://127.0.0.1:1"], "");
        assert_eq!(dead.status.code(), Some(1), "{dead:?}");
    }
}

const LINTED: &str = "# TYPE http_requests_count counter\nhttp_requests_count 1\n\
    # HELP foo_ms Foo.\n# TYPE foo_ms gauge\nfoo_ms 1\n\
    # HELP bar_total Bar.\n# TYPE bar_total gauge\nbar_total 1\ncamelCase 3\n\
    # HELP x_bucket x\n# TYPE x_bucket counter\nx_bucket{le=\"1\",quantile=\"1\"} 3\n\
    # HELP foo:bar x\n# TYPE foo:bar gauge\nfoo:bar 1\n\
    # HELP disk_kilobytes x\n# TYPE disk_kilobytes gauge\ndisk_kilobytes 3\n\
    # HELP h H\n# TYPE h histogram\nh_bucket{le=\"+Inf\",fooBar=\"x\"} 1\nh_sum 1\nh_count 1\n";

#[test]
fn metrics_are_linted_as_promtool_does() {
    let promtool = require("promtool", "prometheus");
    let fine =
        "# HELP ok_metric x\n# TYPE ok_metric gauge\nok_metric{a=\"1\"} 1\nok_metric{a=\"2\"} 1\n";
    for (page, code) in [(LINTED, 3), (fine, 0), ("", 0), ("x{ 1\n", 1)] {
        let theirs = run(&promtool, &["check", "metrics"], page);
        let ours = run(&binary(), &["check", "metrics"], page);
        assert_eq!((theirs.status.code(), ours.status.code()), (Some(code), Some(code)), "{page}");
        if code == 3 {
            assert_eq!(err(&theirs), err(&ours), "{page}");
        }
    }
    let arguments = ["check", "metrics", "--extended"];
    let (theirs, ours) = (run(&promtool, &arguments, fine), run(&binary(), &arguments, fine));
    assert_eq!(out(&theirs), out(&ours));
}

#[test]
fn files_are_checked_as_promtool_does() {
    let promtool = require("promtool", "prometheus");
    let folder = tempfile::tempdir().expect("folder");
    let rules = "groups:\n- name: a\n  rules:\n  - {record: 'r:one', expr: sum(x)}\n  - {record: 'r:one', expr: sum(y)}\n";
    let config = "rule_files: [twice.yml]\nscrape_configs:\n- job_name: a\n  static_configs: [{targets: ['localhost:1']}]\n";
    for (name, text) in [
        ("twice.yml", rules),
        ("good.yml", "groups:\n- name: a\n  rules:\n  - {record: r, expr: sum(x)}\n"),
        ("bad.yml", "groups:\n- name: a\n  rules:\n  - {record: r, expr: 'sum('}\n"),
        ("prometheus.yml", config),
        ("unknown.yml", "scrape_configs: []\na: b\n"),
        ("newer.yml", "groups:\n- {name: a, zone: x, rules: [{record: r, expr: sum(x), y: z}]}\n"),
    ] {
        std::fs::write(folder.path().join(name), text).expect("write");
    }
    let file = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    for (arguments, name) in [
        (vec!["check", "rules"], "good.yml"),
        (vec!["check", "rules"], "bad.yml"),
        (vec!["check", "rules"], "twice.yml"),
        (vec!["check", "rules", "--lint-fatal"], "twice.yml"),
        (vec!["check", "rules", "--lint=none", "--lint-fatal"], "twice.yml"),
        (vec!["check", "config"], "prometheus.yml"),
        (vec!["check", "config", "--syntax-only"], "prometheus.yml"),
        (vec!["check", "config", "--lint-fatal"], "prometheus.yml"),
        (vec!["check", "config"], "unknown.yml"),
    ] {
        let name = file(name);
        let all: Vec<&str> = arguments.iter().copied().chain([name.as_str()]).collect();
        let (theirs, ours) = (run(&promtool, &all, ""), run(&binary(), &all, ""));
        let both = format!("{all:?}\n{theirs:?}\n{ours:?}");
        assert_eq!(theirs.status.code(), ours.status.code(), "{both}");
    }
    let shown = run(&binary(), &["check", "rules", "--lint-fatal", &file("twice.yml")], "");
    assert!(err(&shown).contains("1 duplicate rule(s) found.\nMetric: r:one"), "{shown:?}");
    let newer = ["check", "rules", "--ignore-unknown-fields", &file("newer.yml")];
    assert_eq!(run(&binary(), &newer[..2], "").status.code(), Some(0), "an empty file");
    for (arguments, code) in [(vec![newer[0], newer[1], newer[3]], 1), (newer.to_vec(), 0)] {
        assert_eq!(run(&binary(), &arguments, "").status.code(), Some(code), "{arguments:?}");
    }
    let wrong = run(&binary(), &["check", "rules", &file("bad.yml")], "");
    assert!(err(&wrong).contains("bad.yml:4: groups[0].rules[0].expr: "), "{wrong:?}");
    let arguments = ["check", "service-discovery", &file("prometheus.yml"), "a"];
    let (theirs, ours) = (run(&promtool, &arguments, ""), run(&binary(), &arguments, ""));
    let json =
        |output: &Output| serde_json::from_str::<serde_json::Value>(&out(output)).expect("JSON");
    assert_eq!(json(&theirs), json(&ours));
}

#[test]
fn expressions_and_pages() {
    let output = run(&binary(), &["promql", "format", "sum(rate(x[5m]))by(a)"], "");
    assert_eq!(out(&output), "sum by (a) (rate(x[5m]))\n");
    let piped = run(&binary(), &["promql", "check", "-"], "up + on(");
    assert_eq!(piped.status.code(), Some(1));
    assert!(err(&piped).contains("parse error"), "{piped:?}");
    let arguments = ["promql", "label-matchers", "set", "-t", "=~", "up", "job", "a.*"];
    assert_eq!(out(&run(&binary(), &arguments, "")), "up{job=~\"a.*\"}\n");
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef belfry"), ("fish", "complete -c belfry")]
    {
        let script = out(&run(&binary(), &["completion", shell], ""));
        assert!(script.contains(word) && script.contains("query"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("folder");
    let man = run(&binary(), &["man", path(folder.path())], "");
    assert!(man.status.success(), "{man:?}");
    let page =
        std::fs::read_to_string(folder.path().join("belfry-query-instant.1")).expect("a page");
    assert!(page.contains(".TH"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Appliance::start(folder.path(), &["--services", "all"]).await;
    let archive = folder.path().join("debug.tar.gz");
    let made = run(&binary(), &["debug", "all", &server.url, "--output", path(&archive)], "");
    assert!(made.status.success(), "{made:?}");
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar").args(arguments).arg("-f").arg(&archive).output();
        let output = output.expect("run tar");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        out(&output)
    };
    let names = tar(&["-z", "-t"]);
    for name in ["metrics.txt", "config.json", "targets.json", "tsdb.json", "rules.json"] {
        assert!(names.lines().any(|line| line == name), "{name}: {names}");
    }
    let to = ["-z", "-x", "-C", path(folder.path())];
    tar(&to);
    let metrics = std::fs::read_to_string(folder.path().join("metrics.txt")).expect("metrics");
    assert!(metrics.contains("belfry_build_info"), "{metrics}");
    let flags = std::fs::read_to_string(folder.path().join("flags.json")).expect("flags");
    let flags: serde_json::Value = serde_json::from_str(&flags).expect("JSON");
    assert_eq!(flags["data"]["services"], "all");
    let nobody = run(&binary(), &["debug", "metrics", "http://127.0.0.1:1"], "");
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}
