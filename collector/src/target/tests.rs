//! Targets from jobs and groups.
use super::*;
use model::fields::Problems;

fn job(text: &str) -> Job {
    let node = model::yaml::parse(text).expect("yaml");
    let problems = Problems::new("prometheus.yml");
    let config = crate::config::read(&node, &problems);
    assert!(problems.is_empty(), "{:?}", problems.into_list());
    config.jobs.into_iter().next().expect("a job")
}

fn planned(text: &str) -> Plan {
    let job = job(&format!("scrape_configs:\n- job_name: j\n{text}"));
    plan(&job, &job.groups)
}

#[test]
fn labels_and_address() {
    let plan = planned(
        "  params: {module: [a b, c]}\n  static_configs: [{targets: ['h:1', 'h:1'], labels: {x: y, __meta_z: q}}]",
    );
    assert_eq!(plan.targets.len(), 1, "the same target twice is one");
    let target = &plan.targets[0];
    assert_eq!(target.url, "http://h:1/metrics?module=a+b&module=c");
    assert_eq!(target.labels, Labels::from_pairs([("instance", "h:1"), ("job", "j"), ("x", "y")]));
    assert_eq!(target.discovered_labels.get("__meta_z"), Some("q"));
    assert_eq!(target.discovered_labels.get("__scrape_interval__"), Some("1m"));
    assert_eq!((target.interval_ms, target.timeout_ms), (60_000, 10_000));
}

#[test]
fn relabelling_moves_the_target() {
    // The way of the probes: the address becomes a parameter.
    let plan = planned(
        "  metrics_path: /probe
  static_configs: [{targets: ['https://x.example']}]
  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {source_labels: [__param_target], target_label: instance}
  - {target_label: __address__, replacement: 'probe:9115'}
  - {target_label: __scrape_interval__, replacement: 5s}
  - {target_label: __scrape_timeout__, replacement: 2s}
"
        .replace("https://x.example", "x.example")
        .as_str(),
    );
    let target = &plan.targets[0];
    assert_eq!(target.url, "http://probe:9115/probe?target=x.example");
    assert_eq!(target.instance(), "x.example");
    assert_eq!((target.interval_ms, target.timeout_ms), (5000, 2000));
}

#[test]
fn dropped_and_impossible_targets() {
    let plan = planned(
        "  static_configs: [{targets: [a, b, c, d]}]
  relabel_configs:
  - {source_labels: [__address__], regex: a, action: drop}
  - {source_labels: [__address__], regex: b, target_label: __address__, replacement: ''}
  - {source_labels: [__address__], regex: c, target_label: __scrape_timeout__, replacement: 2h}
",
    );
    assert_eq!((plan.targets.len(), plan.dropped, plan.problems.len()), (1, 1, 2), "{plan:?}");
}
