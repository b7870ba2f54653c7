//! What a worker cannot do, tried from inside.

use std::process::Command;

use mains_wire::frames::Role;

use crate::support::{PROGRAM, Worker, pilot};

/// The report of `walls-test` for `role`, and whether everything was refused.
fn trial(role: Role) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.sqlite");
    std::fs::write(&ledger, "usage").unwrap();
    let output = Command::new(PROGRAM)
        .args(["walls-test", role.name(), "--wall", "fork"])
        .args(["--memory-max", "100000000", "--allow-read"])
        .arg(pilot())
        .arg("--unreadable")
        .arg(&ledger)
        .arg("--unwritable")
        .arg(folder.path())
        .arg("--unwritable")
        .arg(pilot().parent().unwrap())
        .args(["--signal", &std::process::id().to_string()])
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    (report, output.status.success())
}

#[test]
fn each_role_is_denied_what_it_does_not_need() {
    for role in Role::ALL {
        let (report, refused) = trial(role);
        let landlocked = report.contains("wall landlock: stands") || report.contains("landlock: in part");
        for denied in [
            "internet socket",
            "netlink socket",
            "start a program",
            "dump a core",
            "signal process",
        ] {
            assert!(report.contains(&format!("denied {denied}")), "{role:?}: {report}");
        }
        assert!(report.contains("wall seccomp: stands"), "{report}");
        assert!(report.contains("wall limits: stands"), "{report}");
        if landlocked {
            assert!(refused, "{role:?}: {report}");
        } else {
            // Without Landlock the computing roles still cannot write: seccomp refuses.
            assert!(
                report.contains("wall landlock: this kernel has no Landlock"),
                "{report}"
            );
            assert!(
                role == Role::Probe || report.contains("denied write into"),
                "{report}"
            );
        }
    }
}

#[tokio::test]
async fn missing_walls_are_told_in_the_hello() {
    let worker = Worker::start(Role::Run).await;
    let names: Vec<&str> = worker.hello.walls.iter().map(|wall| wall.name.as_str()).collect();
    assert_eq!(names, ["no-new-privileges", "limits", "landlock", "seccomp"]);
    let seccomp = &worker.hello.walls[3];
    assert_eq!(seccomp.missing, None);
}
