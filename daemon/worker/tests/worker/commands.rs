//! The commands for people: what they print and refuse.

use std::process::{Command, Stdio};

use crate::support::{PROGRAM, pilot};

#[test]
fn a_role_that_is_started_by_hand_says_so() {
    let output = Command::new("sh")
        .args(["-c", r#"exec "$0" probe 3</dev/null"#, PROGRAM])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("mainsd starts workers"), "{error}");
}

#[test]
fn logits_agree_between_drivers() {
    use std::collections::HashMap;

    use safetensors::tensor::TensorView;
    use safetensors::{Dtype, SafeTensors};

    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids.safetensors");
    let bytes: Vec<u8> = (1..=6_i64).flat_map(i64::to_le_bytes).collect();
    let tensor = TensorView::new(Dtype::I64, vec![2, 3], &bytes).unwrap();
    safetensors::serialize_to_file(HashMap::from([("ids", tensor)]), None, &ids).unwrap();
    let logits = |driver: &str| {
        let out = folder.path().join(driver);
        let output = Command::new(PROGRAM)
            .args(["logits", "--driver", driver, "--model"])
            .arg(pilot())
            .arg("--ids")
            .arg(&ids)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        (output, std::fs::read(out).unwrap_or_default())
    };
    let numbers = |file: &[u8]| {
        let tensors = SafeTensors::deserialize(file).unwrap();
        let tensor = tensors.tensor("logits").unwrap();
        assert_eq!(tensor.shape()[..2], [2, 3]);
        let chunks = tensor.data().chunks_exact(4);
        chunks
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect::<Vec<f32>>()
    };
    let (cpu, reference) = (numbers(&logits("cpu").1), numbers(&logits("reference").1));
    let largest = reference
        .iter()
        .fold(0.0_f32, |most, number| most.max(number.abs()));
    for (ours, theirs) in cpu.iter().zip(&reference) {
        assert!((ours - theirs).abs() < 1e-3 * largest, "{ours} {theirs}");
    }
    let (output, _) = logits("tpu");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no driver is called \"tpu\""), "{error}");
}

#[test]
fn families_are_told_without_a_model() {
    use mains_wire::http::FamiliesBody;

    let output = Command::new(PROGRAM).arg("families").output().unwrap();
    assert!(output.status.success());
    let table: FamiliesBody = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(table.families.len(), mains_engine::models::families().len());
    assert!(
        table
            .families
            .iter()
            .all(|family| family.lacks.len() == table.drivers.len())
    );
}

#[test]
fn the_worker_is_light() {
    // Servers, TLS, SQLite and libsystemd belong to the daemon: a worker parses untrusted files.
    const FORBIDDEN: [&str; 5] = ["axum", "hyper", "rustls", "rusqlite", "libsystemd-sys"];
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-p",
            "mains-worker",
            "-e",
            "normal",
            "--prefix",
            "none",
            "-f",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    let crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        crates.contains(&"mains-wire"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for name in FORBIDDEN {
        assert!(!crates.contains(&name), "the worker depends on {name}");
    }
}
