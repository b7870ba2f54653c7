//! What can be read on both sockets.

use hyper::StatusCode;
use serde_json::json;

use crate::fake::start;

#[tokio::test]
async fn models() {
    let served = start();
    let one = json!({"id": "pilot", "object": "model", "created": 7, "owned_by": "mains"});
    assert_eq!(
        served.get("/v1/models").await,
        (StatusCode::OK, json!({"object": "list", "data": [one]}))
    );
    assert_eq!(served.get("/v1/models/pilot").await, (StatusCode::OK, one));
}

#[tokio::test]
async fn devices_leave_out_what_is_unknown() {
    let served = start();
    let (status, body) = served.get("/v1/devices?refresh=true").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body,
        json!({"devices": [{"id": "cpu", "name": "some cpu", "kind": "cpu", "sources": ["cpu"], "usable_by": ["cpu"],
                            "features": [], "health": {"state": "ok", "reasons": []}}],
               "problems": [], "probed_at": "1970-01-01T00:00:00Z"})
    );
}

#[tokio::test]
async fn devices_have_the_history_that_is_asked_for() {
    let served = start();
    let (_, body) = served.get("/v1/devices?history=2").await;
    let reading = |at: &str| json!({"at": at, "state": "ok", "temperature_c": 40.0, "utilization": 0.5, "free_bytes": 7});
    assert_eq!(
        body["devices"][0]["history"],
        json!([reading("1970-01-01T00:00:01Z"), reading("1970-01-01T00:00:02Z")])
    );
    for wrong in ["0", "361", "many"] {
        let (status, _) = served.get(&format!("/v1/devices?history={wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn metrics_tell_of_devices_what_is_known() {
    let served = start();
    let (_, text) = served.text("mains.sock", "GET", "/metrics", "").await;
    for line in [
        "mains_device_temperature_celsius{device=\"gpu:1\"} 40.5",
        "mains_device_energy_joules_total{device=\"gpu:1\"} 2.5",
        "mains_device_memory_bytes{device=\"gpu:1\"} 1073741824",
        "mains_device_memory_errors_total{device=\"gpu:1\",kind=\"uncorrected\"} 3",
        "mains_device_health{device=\"gpu:1\",state=\"degraded\"} 1",
        "mains_device_health{device=\"gpu:1\",state=\"ok\"} 0",
        "mains_device_health{device=\"cpu\",state=\"ok\"} 1",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line} is not in\n{text}"
        );
    }
    assert!(
        !text.contains("mains_device_temperature_celsius{device=\"cpu\"}"),
        "{text}"
    );
    assert!(!text.contains("mains_device_memory_free_bytes{"), "{text}");
}

#[tokio::test]
async fn a_plan_that_does_not_fit_says_what_would() {
    let served = start();
    let (status, body) = served.get("/v1/models/pilot/plan?context=4096&memory=1024").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(body["error"]["code"], "no_plan");
    let nearest = json!([{"context": 1024, "parallel": null, "policy": null, "device": "cpu,card", "memory": null,
        "weights": null, "words": "context 1024"}]);
    assert_eq!(body["error"]["nearest"], nearest);
}

#[tokio::test]
async fn usage_is_of_ones_own_team_but_for_administrators() {
    let served = start();
    let (_, body) = served.get("/v1/usage?by=model&since=2026-11-01").await;
    assert_eq!(body["team"], "crew");
    assert_eq!(body["since"], "2026-11-01T00:00:00Z");
    let (_, body) = served.json("admin.sock", "GET", "/v1/usage", "").await;
    assert_eq!(body["team"], json!(null));
    assert_eq!(body["rows"][0]["key"], "crew");
    let (_, rows) = served.get("/v1/requests").await;
    assert_eq!(rows, json!([]));
    let teams = served.fake.usage_teams.lock().unwrap().clone();
    assert_eq!(teams, [Some("crew".to_owned()), None, Some("crew".to_owned())]);
}

#[tokio::test]
async fn readiness_follows_the_ledger_and_the_end() {
    let served = start();
    assert_eq!(
        served.get("/readyz").await,
        (StatusCode::OK, json!({"status": "ready"}))
    );
    *served.fake.unready.lock().unwrap() = true;
    let (status, body) = served.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body["reasons"][0].as_str().unwrap().contains("disk is full"));
    assert_eq!(served.get("/v1/status").await.1["state"], "unready");
    assert_eq!(served.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let served = start();
    drop(served.get("/healthz").await);
    let (status, text) = served.text("mains.sock", "GET", "/metrics", "").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "mains_requests_total{model=\"pilot\",outcome=\"ok\"} 3",
        "mains_http_responses_total{route=\"/healthz\",status=\"200\"} 1",
        "mains_ledger_ready 1",
        "# TYPE mains_queue_wait_seconds histogram",
        "mains_queue_wait_seconds_bucket{le=\"0.001\",model=\"pilot\"} 0",
        "mains_queue_wait_seconds_bucket{le=\"0.005\",model=\"pilot\"} 1",
        "mains_queue_wait_seconds_bucket{le=\"600.0\",model=\"pilot\"} 1",
        "mains_queue_wait_seconds_bucket{le=\"+Inf\",model=\"pilot\"} 2",
        "mains_queue_wait_seconds_count{model=\"pilot\"} 2",
        "mains_queue_wait_seconds_sum{model=\"pilot\"} 3600.003",
        "mains_first_token_seconds_count{model=\"pilot\"} 0",
        "mains_request_duration_seconds_count{model=\"pilot\"} 0",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|given| given == line),
            "{line} is not in:\n{text}"
        );
    }
}

#[tokio::test]
async fn a_plan_for_another_box_takes_its_inventory() {
    let served = start();
    let (_, devices) = served.get("/v1/devices").await;
    let plan = async |body: String| {
        let (status, text) = served
            .text("mains.sock", "POST", "/v1/models/pilot/plan?context=7", body)
            .await;
        (status, serde_json::from_str::<serde_json::Value>(&text).unwrap())
    };
    let (status, body) = plan(devices.to_string()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("no room on cpu"), "{message}");
    let (status, body) = plan("{\"devices\": 7}".to_owned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["code"], "invalid_inventory");
    let unknown = devices
        .to_string()
        .replace("\"kind\":\"cpu\"", "\"kind\":\"toaster\"");
    assert!(
        plan(unknown).await.1["error"]["message"]
            .as_str()
            .unwrap()
            .contains("toaster")
    );
}
