//! Stub libraries, built from C once a test run. Every test has copies of its own: the loader gives each its own state.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::Library;
use mains_contract::{Probe, ProbeError, ProbeReport};
use mains_probes::{Places, all_in};
use tempfile::TempDir;

/// One maker's stub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker {
    /// The probe's name.
    pub(crate) source: &'static str,
    /// What `MAINS_LIB_` is followed by.
    pub(crate) library: &'static str,
    /// The file in `tests/stubs`, without `.c`.
    pub(crate) stub: &'static str,
    /// The maker's PCI id, where the probe looks for it first.
    pub(crate) pci: Option<&'static str>,
}

const fn maker(source: &'static str, library: &'static str, stub: &'static str) -> Maker {
    Maker {
        source,
        library,
        stub,
        pci: None,
    }
}

/// Every library that there is a stub of.
pub(crate) const MAKERS: &[Maker] = &[
    maker("nvml", "NVML", "nvml"),
    maker("cuda", "CUDA", "cuda"),
    Maker {
        pci: Some("0x1002"),
        ..maker("rocm_smi", "ROCM_SMI", "rocm_smi")
    },
    Maker {
        pci: Some("0x1d94"),
        ..maker("hygon", "ROCM_SMI", "rocm_smi")
    },
    maker("level_zero", "LEVEL_ZERO", "level_zero"),
    maker("dcmi", "DCMI", "dcmi"),
    maker("dcmi_v2", "DCMI", "dcmi_v2"),
    maker("cndev", "CNDEV", "cndev"),
    maker("mtml", "MTML", "mtml"),
    maker("mxsml", "MXSML", "mxsml"),
    maker("ixml", "IXML", "ixml"),
    maker("efml", "EFML", "efml"),
    maker("brml", "BRML", "brml"),
    maker("xpuml", "XPUML", "xpuml"),
    maker("hgml", "HGML", "hgml"),
];

/// The maker of a source.
pub(crate) fn of(source: &str) -> Maker {
    *MAKERS.iter().find(|maker| maker.source == source).unwrap()
}

/// A stub with its own state and a tree in place of `/sys`.
pub(crate) struct Stub {
    folder: TempDir,
    maker: Maker,
}

impl Stub {
    pub(crate) fn new(maker: Maker) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(built(maker.stub), folder.path().join("stub.so")).unwrap();
        if let Some(vendor) = maker.pci {
            let device = folder.path().join("bus/pci/devices/0001:10:00.0");
            fs::create_dir_all(&device).unwrap();
            for (name, text) in [("vendor", vendor), ("device", "0x1"), ("class", "0x120000")] {
                fs::write(device.join(name), text).unwrap();
            }
        }
        Self { folder, maker }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("stub.so")
    }

    /// Lets the library lack `symbol`, by another name in its table of strings.
    pub(crate) fn without(self, symbol: &str) -> Self {
        let mut bytes = fs::read(self.path()).unwrap();
        let name = [b"\0", symbol.as_bytes(), b"\0"].concat();
        let starts: Vec<usize> = (0..bytes.len() - name.len())
            .filter(|at| bytes[*at..].starts_with(&name))
            .collect();
        assert!(!starts.is_empty(), "{symbol} is not in {}", self.maker.stub);
        for start in starts {
            bytes[start + 1] = b'#';
        }
        fs::write(self.path(), bytes).unwrap();
        self
    }

    /// Lets `symbol` answer with `code`.
    pub(crate) fn failing(self, symbol: &str, code: i32) -> Self {
        let symbol = CString::new(symbol).unwrap();
        // SAFETY: `void stub_fail(const char *, int)` of `stub.h`, which copies the text.
        self.control(|library| unsafe {
            let fail = library.get::<unsafe extern "C" fn(*const std::ffi::c_char, i32)>(b"stub_fail\0");
            fail.unwrap()(symbol.as_ptr(), code);
        });
        self
    }

    /// Lets it have so many devices.
    pub(crate) fn with_devices(self, count: u32) -> Self {
        // SAFETY: `void stub_devices(unsigned)` of `stub.h`.
        self.control(|library| unsafe {
            library
                .get::<unsafe extern "C" fn(u32)>(b"stub_devices\0")
                .unwrap()(count);
        });
        self
    }

    /// Lets it answer nonsense.
    pub(crate) fn talking_garbage(self) -> Self {
        // SAFETY: `void stub_talk_garbage(void)` of `stub.h`.
        self.control(|library| unsafe {
            library
                .get::<unsafe extern "C" fn()>(b"stub_talk_garbage\0")
                .unwrap()();
        });
        self
    }

    /// Uses the library that the probe will see.
    pub(crate) fn control<T>(&self, act: impl FnOnce(&Library) -> T) -> T {
        // SAFETY: our own stub, which has no initialisers.
        let library = unsafe { Library::new(self.path()) }.unwrap();
        let outcome = act(&library);
        // The state must stay: the probe opens the same library again.
        let _open = Box::leak(Box::new(library));
        outcome
    }

    pub(crate) fn places(&self) -> Places {
        Places::default()
            .with_library(self.maker.library, self.path())
            .with_sysfs(self.folder.path())
    }

    pub(crate) fn probe(&self) -> Result<ProbeReport, ProbeError> {
        probe(self.maker.source, &self.places())
    }
}

/// Asks one source.
pub(crate) fn probe(source: &str, places: &Places) -> Result<ProbeReport, ProbeError> {
    let probes: Vec<Box<dyn Probe + Send>> = all_in(places);
    let probe = probes.iter().find(|probe| probe.source() == source);
    probe.unwrap().probe()
}

/// The functions that a stub can be told to fail at: its steps.
pub(crate) fn steps(stub: &str) -> Vec<String> {
    let source = fs::read_to_string(stubs().join(format!("{stub}.c"))).unwrap();
    let mut steps = found(&source, "{ STEP(", "");
    steps.extend(found(&source, "    STEP(", ""));
    let prefix = source
        .lines()
        .find_map(|line| line.strip_prefix("#define PREFIX "));
    if let Some(prefix) = prefix {
        let family = fs::read_to_string(stubs().join("family.h")).unwrap();
        let (common, full) = family.split_once("#ifdef FULL_FAMILY").unwrap();
        let used = if source.contains("#define FULL_FAMILY") {
            [common, full].concat()
        } else {
            common.to_owned()
        };
        steps.extend(found(&used, " FSTEP(", prefix));
    }
    steps.sort();
    steps.dedup();
    steps
}

fn found(source: &str, before: &str, prefix: &str) -> Vec<String> {
    source
        .split(before)
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        // The macro's own argument.
        .filter(|name| *name != "name")
        .map(|name| format!("{prefix}{name}"))
        .collect()
}

fn stubs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stubs")
}

/// The library, built when it is first asked for.
fn built(stub: &str) -> PathBuf {
    static FOLDER: OnceLock<(TempDir, Mutex<()>)> = OnceLock::new();
    let (folder, one_at_a_time) = FOLDER.get_or_init(|| (tempfile::tempdir().unwrap(), Mutex::new(())));
    let _turn = one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
    let library = folder.path().join(format!("{stub}.so"));
    if !library.exists() {
        let built = Command::new("cc")
            .args([
                "-std=gnu11",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-shared",
                "-fPIC",
                "-o",
            ])
            .arg(&library)
            .arg(stubs().join(format!("{stub}.c")))
            .status();
        assert!(built.unwrap().success(), "{stub}.c does not compile");
    }
    library
}
