//! Reading prometheus.yml: upstream's good and bad files, defaults, messages.
use super::*;
use model::yaml;

fn read_text(text: &str) -> Result<Config, Vec<String>> {
    let problems = Problems::new("dir/prometheus.yml");
    let node = yaml::parse(text).map_err(|error| vec![error.to_string()])?;
    let config = read(&node, &problems);
    problems.result(config).map_err(|list| list.iter().map(ToString::to_string).collect())
}

fn data(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/prometheus-config");
    std::fs::read_to_string(format!("{root}/{name}")).expect(name)
}

#[test]
fn upstream_files() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/prometheus-config");
    let mut seen = 0;
    for entry in std::fs::read_dir(root).expect("folder") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        if name == "conf.good.yml" || !name.ends_with(".yml") {
            continue;
        }
        let result = read_text(&data(&name));
        assert_eq!(result.is_err(), name.contains(".bad."), "{name}: {result:?}");
        seen += 1;
    }
    assert!(seen > 55, "{seen}");
}

#[test]
fn upstream_file_with_everything() {
    // Only discovery that we have not is refused, each kind by its name.
    let problems = read_text(&data("conf.good.yml")).expect_err("foreign discovery");
    for problem in &problems {
        assert!(problem.contains("discovery of the kind"), "{problem}");
    }
    assert_eq!(problems.len(), 29, "{problems:#?}");
}

#[test]
fn defaults_and_inheritance() {
    let config = read_text(
        "global: {scrape_interval: 5s, sample_limit: 7, external_labels: {a: b}}
rule_files: [x]
scrape_configs:
- job_name: one
- {job_name: two, scrape_interval: 1m, scrape_timeout: 20s, body_size_limit: 1MB, sample_limit: 9}
",
    )
    .expect("good");
    let (one, two) = (&config.jobs[0], &config.jobs[1]);
    assert_eq!((one.interval_ms, one.timeout_ms), (5000, 5000));
    assert_eq!((two.interval_ms, two.timeout_ms), (60_000, 20_000));
    assert_eq!(one.scraping.limits.samples_max, 7);
    assert_eq!(one.scraping.limits.body_bytes_max, model::limits::SCRAPE_BODY_BYTES_MAX);
    assert_eq!(two.scraping.limits.samples_max, 9);
    assert_eq!(two.scraping.limits.body_bytes_max, 1 << 20);
    assert_eq!(config.external_labels().get("a"), Some("b"));
    assert_eq!(read_text("").expect("empty"), Config::default());
}

#[test]
fn all_mistakes_with_line_and_field() {
    let problems = read_text(
        "global:
  scrape_intervall: 5s
scrape_configs:
- job_name: a
  scheme: ftp
  static_configs:
  - targets: ['http://x/y']
  dns_sd_configs:
  - names: [x]
",
    )
    .expect_err("bad");
    assert_eq!(
        problems,
        [
            "dir/prometheus.yml:2: global.scrape_intervall: unknown field; \
             did you mean \"scrape_interval\"?",
            "dir/prometheus.yml:5: scrape_configs[0].scheme: needs http or https, but is \"ftp\"",
            "dir/prometheus.yml:7: scrape_configs[0].static_configs[0].targets: \"http://x/y\" is no \
             host and port; leave the scheme and the path away",
            "dir/prometheus.yml:9: scrape_configs[0].dns_sd_configs: discovery of the kind \"dns\" is \
             not supported yet; use static_configs or file_sd_configs",
        ]
    );
}

#[test]
fn secrets_stay_secret_and_paths_are_relative_to_the_file() {
    let config = read_text(
        "scrape_configs:
- job_name: a
  basic_auth: {username: u, password: hunter2}
  tls_config: {ca_file: ca.pem, min_version: TLS13}
  file_sd_configs: [{files: ['targets/*.json']}]
  http_headers: {X-Key: {secrets: [hunter3]}}
",
    )
    .expect("good");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert_eq!(config.jobs[0].files[0].patterns, [PathBuf::from("dir/targets/*.json")]);
    assert!(config.jobs[0].client.tls.only_tls13);
    assert!(shown.contains("dir/ca.pem"));
}

#[test]
fn what_is_not_supported_is_said() {
    for text in [
        "proxy_url: 'http://p'",
        "oauth2: {client_id: x}",
        "convert_classic_histograms_to_nhcb: true",
        "scrape_protocols: [PrometheusProto]",
        "http_headers: {Authorization: {values: [x]}}",
        "tls_config: {max_version: TLS10}",
        "tls_config: {cert_file: x}",
        "file_sd_configs: [{files: ['*/x.yml']}]",
        "file_sd_configs: [{}]",
    ] {
        let text = format!("scrape_configs:\n- job_name: a\n  {text}\n");
        assert!(read_text(&text).is_err(), "{text}");
    }
}
