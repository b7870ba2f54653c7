//! Models that come in pieces, and go.

use http_body_util::BodyExt;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::fake::start;

fn request(name: &str) -> String {
    let files = json!([{"name": "a.gguf", "bytes": 3, "head": "ab".repeat(32)}]);
    json!({"name": name, "kind": "gguf", "origin": "/usb/a.gguf", "files": files}).to_string()
}

#[tokio::test]
async fn a_file_arrives_as_it_was_sent() {
    let served = start();
    let (status, body) = served
        .json("admin.sock", "POST", "/admin/imports", request("m"))
        .await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({"id": "abc", "received": [0]}))
    );
    // More than one step of writing.
    let file: Vec<u8> = (0..5 << 19).map(|at: u32| (at % 251) as u8).collect();
    let (first, second) = file.split_at(file.len() / 2);
    for (part, offset) in [(first, 0), (second, first.len())] {
        let path = format!("/admin/imports/abc/files/0?offset={offset}");
        let (status, body) = served.json("admin.sock", "PUT", &path, part.to_vec()).await;
        let received = offset + part.len();
        assert_eq!((status, body), (StatusCode::OK, json!({"received": received})));
    }
    assert_eq!(*served.fake.arrived.bytes.lock().unwrap(), file);

    let digests = json!({"digests": ["ab".repeat(32)]}).to_string();
    let (_, text) = served
        .text("admin.sock", "POST", "/admin/imports/abc/finish", digests)
        .await;
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        json!({"progress": {"phase": "checking", "done": 1, "of": 2}})
    );
    assert_eq!(lines[1]["imported"]["family"], "qwen3");
}

#[tokio::test]
async fn what_came_before_a_connection_broke_is_kept() {
    let served = start();
    let mut stream = UnixStream::connect(served.socket("admin.sock")).await.unwrap();
    let head =
        "PUT /admin/imports/abc/files/0?offset=0 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n";
    stream
        .write_all(format!("{head}half of it").as_bytes())
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    // Whether there is an answer does not matter.
    let _closed = stream.read_to_end(&mut rest).await;
    served.fake.arrived.settled.notified().await;
    assert_eq!(*served.fake.arrived.safe.lock().unwrap(), "half of it".len());
}

async fn assert_refused(method: &str, path: &str, body: String, refusal: (u16, &str, &str)) {
    let (status, code, word) = refusal;
    let (found, answer) = start().json("admin.sock", method, path, body).await;
    let error = &answer["error"];
    assert_eq!(
        (found.as_u16(), &error["code"]),
        (status, &json!(code)),
        "{method} {path}: {answer}"
    );
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(word), "{answer}");
}

#[tokio::test]
async fn an_import_that_can_not_be_says_why() {
    let zip = request("m").replace("gguf\",\"o", "zip\",\"o");
    for (body, refusal) in [
        (request("large"), (507, "disk_full", "1.0 MiB are missing")),
        ("{}".to_owned(), (400, "invalid_json", "missing field")),
        (zip, (400, "invalid_value", "tar")),
    ] {
        assert_refused("POST", "/admin/imports", body, refusal).await;
    }
    let digests = json!({"digests": ["xy"]}).to_string();
    let refusal = (400, "invalid_value", "SHA-256");
    assert_refused("POST", "/admin/imports/abc/finish", digests, refusal).await;
}

#[tokio::test]
async fn bytes_that_belong_nowhere_are_refused() {
    for (path, refusal) in [
        (
            "/admin/imports/abc/files/0?offset=9",
            (409, "wrong_offset", "byte 0"),
        ),
        (
            "/admin/imports/abc/files/x?offset=0",
            (400, "invalid_value", "numbered"),
        ),
        ("/admin/imports/abc/files/0", (400, "invalid_query", "offset")),
    ] {
        assert_refused("PUT", path, "x".to_owned(), refusal).await;
    }
}

#[tokio::test]
async fn a_loaded_model_stays_unless_it_is_unloaded() {
    let refusal = (409, "name_taken", "m is loaded");
    assert_refused("DELETE", "/admin/models/m", String::new(), refusal).await;
    let (status, body) = start()
        .json("admin.sock", "DELETE", "/admin/models/m?unload=true", "")
        .await;
    assert_eq!((status, &body["model"]), (StatusCode::OK, &json!("m")));
}

#[tokio::test]
async fn an_export_is_whole_or_breaks_off() {
    let served = start();
    let whole = served
        .text("admin.sock", "GET", "/admin/models/m/export", "")
        .await;
    assert_eq!(whole, (StatusCode::OK, "GGUF".to_owned()));
    let request = hyper::Request::get("/admin/models/broken/export").header("host", "localhost");
    let request = request
        .body(http_body_util::Full::default())
        .expect("it is a request");
    // It may break before the head has left.
    if let Ok(response) = served.connect("admin.sock").await.send_request(request).await {
        assert!(response.into_body().collect().await.is_err());
    }
}

#[tokio::test]
async fn imports_are_for_administrators() {
    let served = start();
    for (method, path) in [
        ("POST", "/admin/imports"),
        ("PUT", "/admin/imports/abc/files/0?offset=0"),
        ("DELETE", "/admin/models/pilot"),
    ] {
        let (status, _) = served.json("mains.sock", method, path, request("m")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}
