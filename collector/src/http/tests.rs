//! The dialler: where it goes, what it keeps, what it gives up.
use super::*;
use crate::tests::{Answer, FakeTarget};

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: "POST",
        url: url.to_owned(),
        headers: vec![("x-a".to_owned(), "b".to_owned())],
        body: b"hello".to_vec(),
        deadline: Duration::from_secs(5),
        answer_bytes_max: 1000,
        tls: model::http_door::HttpTls::default(),
        follow_redirects: true,
    }
}

#[tokio::test]
async fn only_goes_where_it_may() {
    let target = FakeTarget::page("hi").await;
    let url = format!("http://{}/hook", target.address);
    let client = HttpClient::new();
    let refused = client.request(request(&url)).await.expect_err("not allowed");
    assert!(matches!(refused, HttpError::Invalid { .. }), "{refused}");
    client.allow(&url).expect("an address");
    let answer = client.request(request(&url)).await.expect("allowed");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hi"[..]));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(target.seen()[0]["x-a"], "b");
    client.replace_allowed("", []);
    assert!(client.request(request(&url)).await.is_err());
    for bad in ["ftp://x", "nothing", "http://"] {
        assert!(matches!(client.allow(bad), Err(HttpError::Invalid { .. })), "{bad}");
    }
}

#[tokio::test]
async fn redirects_stay_among_the_allowed() {
    let goal = FakeTarget::page("goal").await;
    let way = FakeTarget::new(Answer::Redirect(format!("http://{}/", goal.address))).await;
    let client = HttpClient::new();
    let url = format!("http://{}/", way.address);
    client.allow(&url).expect("an address");
    assert!(matches!(client.request(request(&url)).await, Err(HttpError::Invalid { .. })));
    client.allow(&format!("http://{}/", goal.address)).expect("an address");
    let mut with_secret = request(&url);
    with_secret.headers.push(("authorization".to_owned(), "secret".to_owned()));
    let answer = client.request(with_secret).await.expect("both allowed");
    assert_eq!(answer.body, b"goal");
    assert!(!goal.seen()[0].contains_key("authorization"), "a secret stays with its host");
    way.set(Answer::Redirect("/again".to_owned()));
    assert!(matches!(client.request(request(&url)).await, Err(HttpError::Broken { .. })));
}

#[tokio::test]
async fn limits_and_deadline() {
    let target = FakeTarget::new(Answer::Endless).await;
    let url = format!("http://{}/", target.address);
    let client = HttpClient::new();
    client.allow(&url).expect("an address");
    for answer in [Answer::Endless, Answer::GzipBomb] {
        target.set(answer);
        let error = client.request(request(&url)).await.expect_err("too large");
        assert_eq!(error, HttpError::TooLarge { limit_bytes: 1000 });
    }
    target.set(Answer::Hang);
    let mut short = request(&url);
    short.deadline = Duration::from_millis(50);
    let error = client.request(short).await.expect_err("hangs");
    assert_eq!(error, HttpError::DeadlineExceeded { deadline_ms: 50 });
    drop(target);
    client.allow("http://127.0.0.1:1/").expect("an address");
    let error = client.request(request("http://127.0.0.1:1/")).await.expect_err("nobody there");
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
}

#[test]
fn tls_settings() {
    assert!(Tls::default().client_config().is_ok());
    let good = [
        Tls { insecure_skip_verify: true, ..Tls::default() },
        Tls { server_name: Some("example.org".to_owned()), ..Tls::default() },
        Tls { only_tls13: true, only_http1: true, ..Tls::default() },
    ];
    for tls in good {
        assert!(tls.client_config().is_ok(), "{tls:?}");
    }
    let bad = [
        Tls { ca_pem: Some("no pem".to_owned()), ..Tls::default() },
        Tls { identity_pem: Some("no pem".to_owned()), ..Tls::default() },
        Tls { server_name: Some("no name!".to_owned()), ..Tls::default() },
        Tls { only_tls13: true, only_tls12: true, ..Tls::default() },
    ];
    for tls in bad {
        assert!(tls.client_config().is_err(), "{tls:?}");
    }
}
