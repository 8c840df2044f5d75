//! Configurations of several files in a folder: what is read, what is refused and how.

use std::path::Path;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().expect("folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("create");
            std::fs::write(path, text).expect("write");
        }
        Folder(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Config, Vec<String>> {
        let site = |name: &str| (name == "SITE").then(|| "north".to_owned());
        load(&self.file("belfry.yml"), &site).map_err(|list| self.lines(&list))
    }

    /// Problems with the folder's name cut off.
    fn lines(&self, problems: &[Problem]) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }

    fn check(&self, name: &str) -> Result<String, Vec<String>> {
        check_file(&self.file(name), &|_| None, Depth::Whole)
            .map(|checked| checked.summary())
            .map_err(|list| self.lines(&list))
    }
}

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {record: r, expr: vector(1)}\n";

#[test]
fn paths_stand_beside_the_file_that_names_them() {
    let folder = Folder::new(&[
        (
            "belfry.yml",
            "data: d\nprometheus: sub/prometheus.yml\nrules: ['*.rules']\nalertmanager: am/am.yml\n\
             exporters: {redis: [{address: 'r:1', password_file: redis.pw}]}\n",
        ),
        ("one.rules", RULES),
        (
            "sub/prometheus.yml",
            "rule_files: [r/*.yml, 'r/a.yml']\nscrape_config_files: ['more/*.yml']\n\
             scrape_configs: [{job_name: a, basic_auth: {password_file: pw}}]\n",
        ),
        ("sub/r/a.yml", RULES),
        ("sub/more/b.yml", "scrape_configs: [{job_name: b, bearer_token_file: token}]\n"),
        ("am/am.yml", "templates: ['t/*.tmpl']\nroute: {receiver: x}\nreceivers: [{name: x}]\n"),
        ("am/t/x.tmpl", "{{ define \"x\" }}x{{ end }}"),
    ]);
    let config = folder.load().expect("no mistakes");
    assert_eq!(config.data, folder.file("d"));
    let shown = format!("{:?} {:?}", config.collector.jobs, config.exporters);
    for path in ["redis.pw", "sub/pw", "sub/more/token"] {
        let path = folder.file(path).display().to_string();
        assert!(shown.contains(&path), "{path} in {shown}");
    }
    assert_eq!(config.alertmanager.templates, [folder.file("am/t/*.tmpl")]);
    let files: Vec<&str> = config.groups.iter().map(|group| group.file.as_str()).collect();
    let twice = files.iter().filter(|file| file.ends_with("a.yml")).count();
    assert_eq!(twice, 1, "a file that two patterns name is read once: {files:?}");
    assert!(files.iter().any(|file| file.ends_with("one.rules")));
}

#[test]
fn every_mistake_of_every_file_once() {
    let folder = Folder::new(&[
        (
            "belfry.yml",
            "listen: nowhere\nexternal_url: ftp://x\nprometheus: p.yml\nrules: [gone.yml]\n\
             alertmanager: a.yml\nexporters: {redis: [{}]}\nnonsense: 1\n",
        ),
        (
            "p.yml",
            "scrape_config_files: ['s.yml']\nscrape_configs: [{job_name: a}, {job_name: '${NONE}'}]\n",
        ),
        ("s.yml", "scrape_configs: [{job_name: a}]\nglobal: {}\n"),
        ("a.yml", "route: [\n"),
    ]);
    let lines = folder.load().expect_err("mistakes");
    for expected in [
        "belfry.yml:1: listen: needs host:port",
        "belfry.yml:2: external_url: needs an address",
        "p.yml:2: scrape_configs[1].job_name: the environment variable NONE is not set",
        "s.yml:1: scrape_configs[0].job_name: another job",
        "s.yml:2: global: unknown field",
        "belfry.yml:4: rules: no file gone.yml",
        "belfry.yml:6: exporters.redis[0].address: is required",
        "belfry.yml:7: nonsense: unknown field",
    ] {
        let found = lines.iter().filter(|line| line.starts_with(expected)).count();
        assert_eq!(found, 1, "{expected} in {lines:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line.starts_with("a.yml:")).count(), 1, "{lines:#?}");
}

#[test]
fn where_the_web_server_stands() {
    for (text, expected) in [
        ("", ("", "http://127.0.0.1:9090")),
        ("external_url: https://b.example/belfry/\n", ("/belfry", "https://b.example/belfry")),
        ("external_url: https://b.example\n", ("", "https://b.example")),
        (
            "external_url: https://b.example/belfry\nweb: {route_prefix: /}\n",
            ("", "https://b.example/belfry"),
        ),
        ("web: {route_prefix: a/b/}\n", ("/a/b", "http://127.0.0.1:9090/a/b")),
    ] {
        let config = Folder::new(&[("belfry.yml", text)]).load().expect("no mistakes");
        let place = crate::wiring::web_place(&config, None);
        let own = (place.route_prefix.as_str(), place.external_url.as_str());
        assert_eq!(own, expected, "{text}");
    }
    let wrong = Folder::new(&[("belfry.yml", "web: {route_prefix: 'a b'}\n")]).load();
    let lines = wrong.expect_err("a mistake");
    assert!(lines[0].starts_with("belfry.yml:1: web.route_prefix: needs a path"), "{lines:?}");
}

#[test]
fn variables_are_replaced_and_not_shown() {
    let folder = Folder::new(&[
        ("belfry.yml", "prometheus: p.yml\nexternal_url: 'http://${SITE}.example'\n"),
        (
            "p.yml",
            "global: {external_labels: {site: $SITE}}\nscrape_configs:\n- job_name: a\n  \
             metrics_path: '${file:canary}'\n  relabel_configs: [{regex: '(.*)', \
             target_label: x, replacement: '${1}'}]\n",
        ),
        ("canary", "/hush\n"),
    ]);
    let config = folder.load().expect("no mistakes");
    assert_eq!(config.external_url, "http://north.example");
    assert_eq!(config.collector.external_labels().get("site"), Some("north"));
    assert_eq!(config.collector.jobs[0].metrics_path, "/hush");
    assert!(!config.text.contains("hush") && config.text.contains("${file:canary}"));
}

#[test]
fn odd_files() {
    let folder = Folder::new(&[
        ("empty.yml", ""),
        ("list.yml", "- a\n"),
        ("folder/x", ""),
        ("am.yml", "route: {receiver: x}\nreceivers: [{name: x}]\ntracing: {}\n"),
        ("badam.yml", "templates: [gone.tmpl]\nroute: {receiver: x}\nreceivers: [{name: x}]\n"),
        ("p.yml", "global: {}\nremote_write: [{url: 'http://x/'}]\n"),
        ("r.yml", RULES),
    ]);
    std::fs::write(folder.file("latin.yml"), b"listen: caf\xe9\n").expect("write");
    for (name, expected) in [
        ("empty.yml", Ok("belfry.yml with")),
        ("list.yml", Err("list.yml:1: needs a mapping, but is a list")),
        ("folder", Err("folder:1: can't be read")),
        ("gone.yml", Err("gone.yml:1: can't be read")),
        ("latin.yml", Err("latin.yml:1: is no UTF-8 text: see byte 11")),
        ("am.yml", Ok("alertmanager.yml, no mistakes\n  warning:")),
        ("badam.yml", Err("badam.yml:1: templates: ")),
        ("p.yml", Ok("prometheus.yml with 0 rule groups, no mistakes\n  warning:")),
        ("r.yml", Ok("rule file with 1 rule groups")),
    ] {
        match (folder.check(name), expected) {
            (Ok(text), Ok(start)) => assert!(text.starts_with(start), "{name}: {text}"),
            (Err(lines), Err(start)) => {
                assert_eq!(lines.len(), 1, "{name}: {lines:?}");
                assert!(lines[0].starts_with(start), "{name}: {lines:?}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn addresses_to_listen_on() {
    for (text, expected) in [
        ("127.0.0.1:9090", Some("127.0.0.1:9090")),
        (":9090", Some("0.0.0.0:9090")),
        ("[::1]:9090", Some("[::1]:9090")),
        ("localhost:0", Some("localhost:0")),
        ("127.0.0.1", None),
        ("::1:9090", None),
        ("http://h:9090", None),
        ("h:99999", None),
    ] {
        assert_eq!(listen_address(text).ok().as_deref(), expected, "{text}");
    }
}

/// A file name without a folder means the working directory.
#[test]
fn a_bare_file_name_has_a_folder() {
    assert_eq!(files::folder_of(Path::new("belfry.yml")), Path::new("."));
    assert_eq!(files::folder_of(Path::new("/etc/belfry.yml")), Path::new("/etc"));
}

#[test]
fn retention_is_read_from_both_files() {
    let retention = |belfry: &str, prometheus: &str| {
        let belfry = format!("prometheus: p.yml\n{belfry}");
        let folder = Folder::new(&[("belfry.yml", &belfry), ("p.yml", prometheus)]);
        folder.load().map(|config| (config.store.retention_ms, config.store.retention_bytes_max))
    };
    const HOUR_MS: i64 = 3_600_000;
    let prometheus = "storage: {tsdb: {retention: {time: 30d, size: 10GB}}}\n";
    assert_eq!(retention("", "{}\n"), Ok((15 * 24 * HOUR_MS, 0)));
    assert_eq!(retention("", prometheus), Ok((30 * 24 * HOUR_MS, 10 << 30)));
    let own = "store: {retention: {time: 2h, size: 1GB}, deletion_undo: 1h}\n";
    assert_eq!(retention(own, prometheus), Ok((2 * HOUR_MS, 1 << 30)));
    assert_eq!(retention("store: {retention: {time: 0s}}\n", "{}\n"), Ok((0, 0)));
    let wrong = retention("store: {retention: {time: long, days: 3}}\n", "{}\n").unwrap_err();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    let wrong = retention("", "storage: {tsdb: {retention: {days: 3}}}\n").unwrap_err();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
fn the_out_of_order_window_is_read_from_both_files() {
    let window_ms = |belfry: &str, prometheus: &str| {
        let belfry = format!("prometheus: p.yml\n{belfry}");
        let folder = Folder::new(&[("belfry.yml", &belfry), ("p.yml", prometheus)]);
        folder.load().map(|config| config.store.out_of_order_window_ms)
    };
    let prometheus = "storage: {tsdb: {out_of_order_time_window: 30m}}\n";
    assert_eq!(window_ms("", "{}\n"), Ok(3_600_000));
    assert_eq!(window_ms("", prometheus), Ok(1_800_000));
    assert_eq!(window_ms("store: {out_of_order_window: 0s}\n", prometheus), Ok(0));
}

#[test]
fn the_number_of_exemplars_is_read_from_both_files() {
    let exemplars = |belfry: &str, prometheus: &str| {
        let belfry = format!("prometheus: p.yml\n{belfry}");
        let folder = Folder::new(&[("belfry.yml", &belfry), ("p.yml", prometheus)]);
        folder.load().map(|config| (config.store.exemplars_max, config.warnings.len()))
    };
    let prometheus = "storage: {exemplars: {max_exemplars: 5}}\n";
    assert_eq!(exemplars("", "{}\n"), Ok((100_000, 0)));
    assert_eq!(exemplars("", prometheus), Ok((5, 0)));
    assert_eq!(exemplars("", "storage: {exemplars: {max_exemplars: -1}}\n"), Ok((0, 0)));
    assert_eq!(exemplars("store: {exemplars_max: 7}\n", prometheus), Ok((7, 0)));
    let wrong = exemplars("", "storage: {exemplars: {max_exemplars: many, more: 1}}\n");
    assert_eq!(wrong.unwrap_err().len(), 2);
}

#[test]
fn limits_of_series() {
    let limits =
        "store: {limits: {series_max: 9, series_per_job_max: 5, series_per_target_max: 3}}\n";
    let store = Folder::new(&[("belfry.yml", limits)]).load().expect("loads").store;
    assert_eq!(
        (store.series_max, store.series_per_job_max, store.series_per_target_max),
        (9, 5, 3)
    );
    let wrong = Folder::new(&[("belfry.yml", "store: {limits: {series: 9}}\n")]).load();
    let problems = wrong.map(|_| ()).expect_err("an unknown key");
    assert!(problems[0].contains("store.limits"), "{problems:?}");
    let store = Folder::new(&[("belfry.yml", "listen: ':9'\n")]).load().expect("loads").store;
    assert_eq!((store.series_per_job_max, store.series_per_target_max), (0, 0));
}

#[test]
fn sql_and_the_query_log() {
    let folder = Folder::new(&[(
        "belfry.yml",
        "sql: {postgres: {listen: '127.0.0.1:5433', connections_max: 7}}\n\
         query: {log_file: q.log, slow_threshold: 2s}\n",
    )]);
    let config = folder.load().expect("good");
    assert_eq!(config.sql.postgres_listen.as_deref(), Some("127.0.0.1:5433"));
    assert_eq!(config.sql.postgres_connections_max, 7);
    assert_eq!(config.query_log.file, Some(folder.file("q.log")));
    assert_eq!(config.query_log.slow_ms, 2000);
    for (text, expected) in [
        ("sql: {postgres: {listen: '5433'}}\n", "host:port"),
        ("sql: {postgres: {connections_max: 0}}\n", "between 1 and 10000"),
        ("sql: {mysql: {}}\n", "mysql"),
    ] {
        let problems = Folder::new(&[("belfry.yml", text)]).load().expect_err(text).join("\n");
        assert!(problems.contains(expected), "{text}: {problems}");
    }
}

#[test]
fn the_wire_is_on_the_network_only_behind_users() {
    const TOKEN: &str = "web: {tokens: [{name: t, token_file: t, roles: [read]}]}\n";
    const USERS: &str =
        "basic_auth_users: {ada: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n";
    let check = |belfry: &str, web: Option<&str>, is_open: bool| {
        let file = web.map(|text| ("web.yml", text));
        let files: Vec<_> = [("belfry.yml", belfry)].into_iter().chain(file).collect();
        let folder = Folder::new(&files);
        let config = folder.load().expect("can be read");
        let problem = config.open_door().map(ToString::to_string).unwrap_or_default();
        let expected = "sql.postgres.listen: without users everybody on the network";
        assert_eq!(problem.contains(expected), is_open, "{belfry} {web:?}: {problem}");
        let warned = folder.check("belfry.yml").expect("no mistake").contains(expected);
        assert_eq!(warned, is_open, "{belfry} {web:?}");
    };
    let listen = |address: &str| format!("sql: {{postgres: {{listen: '{address}'}}}}\n");
    let file = "web: {config_file: web.yml}\n";
    check(&listen(":5433"), None, true);
    check(&listen("10.0.0.1:5433"), None, true);
    check(&listen("localhost:5433"), None, false);
    check(&listen("[::1]:5433"), None, false);
    check(&(listen(":5433") + TOKEN), None, false);
    check(&(listen(":5433") + file), Some(USERS), false);
    // A file that asks for no login closes nothing.
    check(&(listen(":5433") + file), Some("http_server_config: {http2: true}\n"), true);
}
