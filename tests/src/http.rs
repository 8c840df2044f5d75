//! HTTP with a deadline, for asking what we started.

use std::time::Duration;

use serde_json::Value;

/// A client that trusts its surroundings and never waits for ever.
pub fn client() -> reqwest::Client {
    client_with_deadline(Duration::from_secs(30))
}

/// A client for what takes minutes.
pub fn patient_client() -> reqwest::Client {
    client_with_deadline(Duration::from_secs(600))
}

/// A patient client that leaves answers as they come, packed or not.
pub fn packed_client() -> reqwest::Client {
    builder(Duration::from_secs(600)).no_gzip().build().expect("build HTTP client")
}

fn client_with_deadline(deadline: Duration) -> reqwest::Client {
    builder(deadline).build().expect("build HTTP client")
}

fn builder(deadline: Duration) -> reqwest::ClientBuilder {
    // Another test of this process may have chosen the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(deadline).no_proxy()
}

/// The body under a URL; `None` when there is no answer or no 2xx.
pub async fn get(url: &str) -> Option<String> {
    let response = client().get(url).send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    response.text().await.ok()
}

/// Status and JSON body of a form post.
pub async fn post_form(url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    post_form_by(&client(), url, form).await
}

/// The same for an answer that may take minutes.
pub async fn post_form_patiently(url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    post_form_by(&patient_client(), url, form).await
}

async fn post_form_by(client: &reqwest::Client, url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let response = client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap_or_else(|error| panic!("post {url}: {error:?}"));
    let status = response.status().as_u16();
    let text = response.text().await.expect("read answer");
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{url} answered {status} without JSON: {error}: {text}"));
    (status, json)
}
