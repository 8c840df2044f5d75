//! A running belfry: the binary that this test run built, with its folder, its address, its API.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::http;
use crate::process::{Process, eventually, free_port};

/// The binary beside the test's own executable.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    let folder = own.ancestors().find(|path| path.join("belfry").is_file());
    let folder = folder.expect("the belfry binary: build it with `cargo build -p belfry`");
    folder.join("belfry")
}

/// One belfry.
#[derive(Debug)]
pub struct Appliance {
    /// The process.
    pub process: Process,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    folder: PathBuf,
    port: u16,
    arguments: Vec<String>,
}

impl Appliance {
    /// Starts belfry with its data in `folder/data`, and waits until it is ready.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Appliance {
        let port = free_port();
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let process = spawn(folder, port, &arguments);
        let url = format!("http://127.0.0.1:{port}");
        let mut appliance = Appliance { process, url, folder: folder.to_owned(), port, arguments };
        appliance.until_ready().await;
        appliance
    }

    /// Starts it again in the same folder after it was stopped or killed.
    pub async fn restart(&mut self) {
        self.start_again();
        self.until_ready().await;
    }

    /// The same without waiting for it.
    pub fn start_again(&mut self) {
        self.process.kill();
        self.process = spawn(&self.folder, self.port, &self.arguments);
    }

    async fn until_ready(&mut self) {
        let url = format!("{}/-/ready", self.url);
        for _ in 0..600 {
            if http::get(&url).await.is_some() {
                return;
            }
            assert!(self.process.is_running(), "belfry ended:\n{}", self.process.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("belfry is not ready after 30 s:\n{}", self.process.log());
    }

    /// `data.result` of an instant query.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        let (status, answer) = self.api("query", &[("query", query)]).await;
        assert_eq!(status, 200, "{query}: {answer}");
        answer["data"]["result"].as_array().expect("a result list").clone()
    }

    /// The value of a query that gives one series; `None` when it gives none.
    pub async fn value(&self, query: &str) -> Option<f64> {
        let result = self.query(query).await;
        assert!(result.len() <= 1, "{query}: more than one series: {result:?}");
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a query that gives one series gives this value.
    pub async fn until_value(&self, query: &str, expected: f64, seconds: u64) {
        let what = format!("{query} is {expected}");
        eventually(&what, seconds, async || {
            (self.value(query).await == Some(expected)).then_some(())
        })
        .await;
    }

    /// Status and body of a call under `/api/v1`.
    pub async fn api(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        http::post_form(&format!("{}/api/v1/{path}", self.url), form).await
    }

    /// Status and body of a GET under `/api/v1`.
    pub async fn api_get(&self, path: &str) -> (u16, Value) {
        let url = format!("{}/api/v1/{path}", self.url);
        let response = http::client().get(&url).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.expect("text")).expect("JSON"))
    }

    /// A body under a path; panics when there is none.
    pub async fn get(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        http::get(&url).await.unwrap_or_else(|| panic!("no answer from {url}"))
    }
}

fn spawn(folder: &Path, port: u16, arguments: &[String]) -> Process {
    let mut command = Command::new(binary());
    command.arg("run").args(arguments);
    command.args(["--listen", &format!("127.0.0.1:{port}")]);
    command.arg("--data").arg(folder.join("data")).current_dir(folder);
    Process::start("belfry", &mut command, folder)
}
