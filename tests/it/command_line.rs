//! Starting without a configuration, reload, stop.

use std::process::{Command, Output};

use tests::appliance::{Appliance, binary};
use tests::process::eventually;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_configuration_it_watches_its_own_host() {
    let folder = tempfile::tempdir().expect("folder");
    let mut belfry = Appliance::start(folder.path(), &["--services", "all"]).await;
    let first_lines = belfry.process.log();
    for expected in ["watching", &format!("{}/", belfry.url), "data"] {
        assert!(first_lines.contains(expected), "{expected} in:\n{first_lines}");
    }
    belfry.until_value("count(node_load1)", 1.0, 60).await;
    belfry.until_value(r#"up{job="belfry"}"#, 1.0, 60).await;
    assert!(belfry.get("/metrics").await.contains("belfry_build_info"));
    assert!(belfry.get("/-/healthy").await.contains("healthy"));
    let (status, answer) =
        belfry.api("sql", &[("query", "select count(*) as n from samples")]).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["data"]["rows"][0][0].as_i64() > Some(0), "{answer}");

    let second = Command::new(binary())
        .args(["run", "--services", "all", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .output()
        .expect("run a second");
    assert!(stderr(&second).contains("in use by another Belfry"), "{}", stderr(&second));

    belfry.process.signal("TERM");
    assert!(belfry.process.wait(), "ends with code 0:\n{}", belfry.process.log());
    assert!(belfry.process.log().contains("stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_keeps_the_good_one() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("belfry.yml");
    let with_rule = |name: &str| {
        let rules = format!(
            "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {{record: '{name}', expr: 'vector(1)'}}\n"
        );
        std::fs::write(folder.path().join("rules.yml"), rules).expect("write rules");
    };
    with_rule("first");
    std::fs::write(&file, "rules: [rules.yml]\n").expect("write");
    let belfry =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;
    belfry.until_value("first", 1.0, 30).await;

    std::fs::write(&file, "rules: [rules.yml]\nlisten: [1]\n").expect("write");
    let client = tests::http::client();
    let answer = client.post(format!("{}/-/reload", belfry.url)).send().await.expect("reload");
    assert_eq!(answer.status(), 500);
    let text = answer.text().await.expect("text");
    assert!(text.contains("belfry.yml:2: listen"), "{text}");
    belfry.until_value("first", 1.0, 30).await;

    std::fs::write(&file, "rules: [rules.yml]\n").expect("write");
    with_rule("second");
    belfry.process.signal("HUP");
    belfry.until_value("second", 1.0, 30).await;
    let gone = "the series of the removed rule ends";
    eventually(gone, 30, async || belfry.query("first").await.is_empty().then_some(())).await;
}
