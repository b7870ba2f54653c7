//! Who gets an answer, and what is too much or too odd.

use hyper::StatusCode;
use mains_api::{Access, MAX_CONNECTIONS_PER_UID};
use mains_wire::http::MAX_BODY_BYTES;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::fake::{chat_body, finished, own_access, start};

#[tokio::test]
async fn nobody_but_a_mapped_uid_gets_an_answer() {
    let served = start();
    let mut kept = served.connect("mains.sock").await;
    served.set_access(Access::default());
    let uid = nix::unistd::getuid();
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/models",
        "/v1/status",
        "/nowhere",
    ] {
        let (status, body) = served.get(path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("users = [{uid}]")), "{message}");
    }
    let (status, _) = served.chat(json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(served.fake.asked.lock().unwrap().is_empty());
    // The rules hold for connections that were there before, too.
    let request = hyper::Request::get("/healthz").header("host", "x");
    let request = request.body(http_body_util::Full::default()).unwrap();
    let response = kept.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_administration_socket_asks_again() {
    let served = start();
    let mut access = own_access();
    access.admin_uids.clear();
    served.set_access(access);
    let (status, _) = served.json("admin.sock", "GET", "/healthz", "").await;
    let expected = if nix::unistd::getuid().is_root() { 200 } else { 403 };
    assert_eq!(status, expected);
}

#[tokio::test]
async fn odd_requests_get_errors_of_openais_shape() {
    let served = start();
    for (method, path, body, status, code) in [
        ("GET", "/nowhere", String::new(), 404, "unknown_route"),
        (
            "GET",
            "/v1/chat/completions",
            String::new(),
            405,
            "method_not_allowed",
        ),
        ("POST", "/v1/models", String::new(), 405, "method_not_allowed"),
        ("POST", "/admin/reload", String::new(), 404, "unknown_route"),
        (
            "POST",
            "/v1/chat/completions",
            "{".to_owned(),
            400,
            "invalid_json",
        ),
        ("POST", "/v1/chat/completions", String::new(), 400, "invalid_json"),
        (
            "POST",
            "/v1/completions",
            chat_body(json!({})),
            400,
            "unsupported_parameter",
        ),
        ("GET", "/v1/usage?by=colour", String::new(), 400, "invalid_query"),
        ("GET", "/v1/usage?bye=team", String::new(), 400, "invalid_query"),
        ("GET", "/v1/requests?limit=0", String::new(), 400, "invalid_query"),
        (
            "GET",
            "/v1/requests?since=tomorrow",
            String::new(),
            400,
            "invalid_query",
        ),
        (
            "GET",
            "/v1/models/pilot/plan?context=x",
            String::new(),
            400,
            "invalid_query",
        ),
        (
            "GET",
            "/v1/models/pilot/plan?parallel=0",
            String::new(),
            400,
            "invalid_query",
        ),
        ("GET", "/v1/models/none", String::new(), 404, "model_not_found"),
    ] {
        let (answer, body) = served.json("mains.sock", method, path, body).await;
        assert_eq!(answer, status, "{method} {path}: {body}");
        assert_eq!(body["error"]["code"], code, "{method} {path}");
        assert_eq!(body["error"]["type"], "invalid_request_error", "{method} {path}");
    }
    let (status, _) = served
        .json("admin.sock", "POST", "/v1/chat/completions", chat_body(json!({})))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn invalid_utf8_is_named() {
    let served = start();
    let body = b"{\"model\": \"\xff\"}".to_vec();
    let (status, body) = served
        .json("mains.sock", "POST", "/v1/chat/completions", body)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("invalid UTF-8 after byte 11"), "{message}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_told_the_limit() {
    let served = start();
    let body = vec![b' '; MAX_BODY_BYTES + 1];
    let (status, body) = served
        .json("mains.sock", "POST", "/v1/chat/completions", body)
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(&MAX_BODY_BYTES.to_string()), "{message}");
    served
        .fake
        .answers
        .lock()
        .unwrap()
        .push_back(Ok(vec![finished(0), mains_types::Event::Done]));
    let fits = chat_body(json!({})) + &" ".repeat(MAX_BODY_BYTES - 100);
    let (status, _) = served
        .text("mains.sock", "POST", "/v1/chat/completions", fits)
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let served = start();
    let mut stream = UnixStream::connect(served.socket("mains.sock")).await.unwrap();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "y".repeat(256 << 10)
    );
    // The server may answer and close before all is written.
    drop(stream.write_all(head.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn one_user_cannot_take_every_connection() {
    let served = start();
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS_PER_UID {
        held.push(UnixStream::connect(served.socket("mains.sock")).await.unwrap());
    }
    let mut refused = UnixStream::connect(served.socket("mains.sock")).await.unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("too_many_connections"), "{answer}");
    drop(held);
    let mut answered = String::new();
    while !answered.starts_with("HTTP/1.1 200 ") {
        let mut stream = UnixStream::connect(served.socket("mains.sock")).await.unwrap();
        let head = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        drop(stream.write_all(head.as_bytes()).await);
        answered.clear();
        drop(stream.read_to_string(&mut answered).await);
    }
}
