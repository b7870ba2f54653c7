//! What is on the administration socket alone.

use http_body_util::BodyExt;
use hyper::StatusCode;
use mains_wire::http::LogLine;
use serde_json::{Value, json};

use crate::fake::start;

fn line(message: &str) -> LogLine {
    LogLine {
        time: "2026-11-24T07:00:00Z".to_owned(),
        level: "INFO".to_owned(),
        target: "mainsd".to_owned(),
        message: message.to_owned(),
        fields: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn a_backup_is_sent_and_leaves_nothing() {
    let served = start();
    let (status, text) = served.text("admin.sock", "POST", "/admin/backup", "").await;
    assert_eq!((status, &*text), (StatusCode::OK, "a backup"));
    let left: Vec<_> = std::fs::read_dir(served.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("backup"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_failed_reload_says_why() {
    let served = start();
    let (status, body) = served.json("admin.sock", "POST", "/admin/reload", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["message"], "mains.toml:3: foo");
    let (status, body) = served
        .json("admin.sock", "POST", "/admin/models/x/load", "")
        .await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("model_not_found"))
    );
}

#[tokio::test]
async fn logs_are_followed_until_the_end() {
    let served = start();
    served.logs.push(line("one"));
    served.logs.push(line("two"));
    let (_, text) = served.text("admin.sock", "GET", "/admin/logs?lines=1", "").await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["message"], "two");
    let response = served
        .send("admin.sock", "GET", "/admin/logs?follow=true", "")
        .await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 2);
    served.logs.push(line("three"));
    let next = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serde_json::from_slice::<LogLine>(&next).unwrap(), line("three"));
    served.app.stop();
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn support_has_everything_but_secrets() {
    let served = start();
    let (status, body) = served.json("admin.sock", "GET", "/admin/support", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["status"]["version"], "1.2.3");
    assert_eq!(body["configuration"], "[daemon]\n");
    assert_eq!(body["without_plan"][0]["model"], "pilot");
    assert_eq!(body["devices"]["devices"][0]["id"], "cpu");
}

#[tokio::test]
async fn a_measurement_is_told_line_by_line_to_administrators() {
    let served = start();
    let path = "/admin/devices/measure?device=gpu-1";
    let (status, text) = served.text("admin.sock", "POST", path, "").await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({"progress": {"device": "gpu-1", "done": 1, "of": 5}}),
            json!({"failed": {"device": "gpu-1", "error": "model pilot works on it"}}),
        ]
    );
    let (status, _) = served.json("mains.sock", "POST", path, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn files_of_a_plan_are_made_line_by_line_for_administrators() {
    let served = start();
    let (status, text) = served
        .text(
            "admin.sock",
            "POST",
            "/admin/models/pilot/prepare?policy=speed",
            "",
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, progress) = lines.split_last().unwrap();
    // Of a thousand steps a few are told, the first and the last among them.
    assert!((2..=201).contains(&progress.len()), "{}", progress.len());
    let step = |written: u32| json!({"progress": {"step": "types", "written": written, "bytes": 1000}});
    assert_eq!(
        (&progress[0], &progress[progress.len() - 1]),
        (&step(0), &step(1000))
    );
    let (variant, weights) = ("01".repeat(32), "02".repeat(32));
    let there = json!({"weights": weights, "variant": "ready", "packed": true});
    assert_eq!(
        *last,
        json!({"ready": {"variant": variant, "prepared": there, "note": null}})
    );
    // What goes wrong on the way is the last line; what can be refused at once has a status.
    let path = "/admin/models/other/prepare?policy=speed";
    let (_, text) = served.text("admin.sock", "POST", path, "").await;
    assert_eq!(text, "{\"failed\":{\"error\":\"the daemon is shutting down\"}}\n");
    let (status, refused) = served
        .json("admin.sock", "POST", "/admin/models/pilot/prepare", "")
        .await;
    assert_eq!(
        (status.as_u16(), &refused["error"]["code"]),
        (422, &json!("no_plan"))
    );
    let (status, _) = served.json("mains.sock", "POST", path, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // A plan says what is there.
    let (_, plan) = served.get("/v1/models/pilot/plan?policy=speed").await;
    assert_eq!(plan["prepared"], there);
}
