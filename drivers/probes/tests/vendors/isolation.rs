//! What kills or stops a process is seen in a process of its own: the test runs itself.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mains_probes::{Places, all_in};

use crate::stub::{Stub, of};

/// Set for the child: the library to ask, and what to do first.
const LIBRARY: &str = "MAINS_TEST_LIBRARY";
const ABORT: i32 = -1_000_001;
const LOOP: i32 = -1_000_002;

/// What the child runs; without the variable it is an empty test.
#[test]
fn child() {
    let Some(library) = std::env::var_os(LIBRARY) else {
        return;
    };
    let symbol = std::env::var("MAINS_TEST_SYMBOL").unwrap();
    let code: i32 = std::env::var("MAINS_TEST_CODE").unwrap().parse().unwrap();
    let symbol = std::ffi::CString::new(symbol).unwrap();
    // SAFETY: our own stub, and `void stub_fail(const char *, int)`.
    let open = unsafe {
        let open = libloading::Library::new(&library).unwrap();
        let fail = open.get::<unsafe extern "C" fn(*const std::ffi::c_char, i32)>(b"stub_fail\0");
        fail.unwrap()(symbol.as_ptr(), code);
        open
    };
    let places = Places::from_environment();
    for probe in all_in(&places) {
        if probe.source() == "nvml" {
            println!("asking");
            let report = probe.probe();
            println!("answered {report:?}");
        }
    }
    drop(open);
}

fn run(stub: &Stub, symbol: &str, code: i32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "isolation::child", "--nocapture"])
        .env(LIBRARY, stub.path())
        .env("MAINS_LIB_NVML", stub.path())
        .env("MAINS_TEST_SYMBOL", symbol)
        .env("MAINS_TEST_CODE", code.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn the_environment_gives_another_library() {
    let stub = Stub::new(of("nvml"));
    let ended = run(&stub, "none", 0).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("answered Ok") && said.contains("Card 0"),
        "{said}"
    );
}

#[test]
fn a_library_that_aborts_ends_its_process_alone() {
    let stub = Stub::new(of("nvml"));
    let ended = run(&stub, "nvmlDeviceGetName", ABORT).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        !ended.status.success() && said.contains("asking") && !said.contains("answered"),
        "{said}"
    );
}

/// A library that never returns does not keep the process from being ended.
#[test]
fn a_library_that_hangs_can_be_ended() {
    use std::io::{BufRead, BufReader};
    let stub = Stub::new(of("nvml"));
    let mut child = run(&stub, "nvmlInit_v2", LOOP);
    let said = BufReader::new(child.stdout.take().unwrap());
    // The line comes just before the library is asked: from then on it hangs.
    assert!(
        said.lines()
            .map_while(Result::ok)
            .any(|line| line.contains("asking"))
    );
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// A thousand probes leave no descriptor and no page behind. Measured in a process without other tests.
#[test]
fn a_thousand_probes_leave_nothing_behind() {
    const ALONE: &str = "MAINS_TEST_ALONE";
    const ROUNDS: usize = 1000;
    if std::env::var_os(ALONE).is_none() {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "isolation::a_thousand_probes_leave_nothing_behind"])
            .env(ALONE, "1")
            .output();
        let ended = ended.unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stdout)
        );
        return;
    }
    let sources = ["nvml", "mtml", "dcmi", "cndev", "level_zero", "mxsml", "cuda"];
    let stubs: Vec<Stub> = sources.map(|source| Stub::new(of(source))).into();
    let ask = || stubs.iter().for_each(|stub| drop(stub.probe().unwrap()));
    // The first rounds open the libraries and fill the allocator's arenas.
    (0..100).for_each(|_| ask());
    let (files, pages) = (descriptors(), resident());
    (0..ROUNDS).for_each(|_| ask());
    assert_eq!(descriptors(), files);
    // 128 pages: a leak of 75 bytes a probe would be more.
    let grown = resident().saturating_sub(pages);
    assert!(grown < 128, "{grown} pages more");
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Pages in memory (`proc(5)`, `statm`).
fn resident() -> u64 {
    let text = fs::read_to_string(Path::new("/proc/self/statm")).unwrap();
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}
