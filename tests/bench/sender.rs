//! Remote-write senders: as fast as answers come, or at a pace.

use std::time::{Duration, Instant};

use tests::{http, remote_write};

/// Requests that are made beside the clock at a time.
const ROUND_REQUESTS: usize = 200;

/// Sends everything, each connection waiting for an answer before it sends more. Answers the seconds
/// in which requests were on their way; making them is not counted.
pub async fn saturate(url: &str, mut sources: Vec<Box<dyn Iterator<Item = Vec<u8>>>>) -> f64 {
    let url = format!("{url}/api/v1/write");
    let clients: Vec<_> = sources.iter().map(|_| http::client()).collect();
    let mut busy_s = 0.0;
    loop {
        let rounds: Vec<Vec<Vec<u8>>> = sources
            .iter_mut()
            .map(|source| source.by_ref().take(ROUND_REQUESTS).collect())
            .collect();
        if rounds.iter().all(Vec::is_empty) {
            return busy_s;
        }
        let started = Instant::now();
        let sending = rounds.into_iter().zip(&clients).map(|(bodies, client)| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                for body in bodies {
                    send(&client, &url, body).await;
                }
            })
        });
        for task in sending.collect::<Vec<_>>() {
            task.await.expect("a sender");
        }
        busy_s += started.elapsed().as_secs_f64();
    }
}

/// Sends requests at a pace over one connection; the milliseconds until each answer.
pub async fn pace(url: &str, bodies: Vec<Vec<u8>>, every: Duration) -> Vec<f64> {
    let (client, url) = (http::client(), format!("{url}/api/v1/write"));
    let mut timer = tokio::time::interval(every);
    let mut times_ms = Vec::new();
    for body in bodies {
        timer.tick().await;
        let started = Instant::now();
        send(&client, &url, body).await;
        times_ms.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    times_ms
}

async fn send(client: &reqwest::Client, url: &str, body: Vec<u8>) {
    let (status, text) = remote_write::post(client, url, body).await.expect("an answer");
    assert!((200..300).contains(&status), "{status}: {text}");
}
