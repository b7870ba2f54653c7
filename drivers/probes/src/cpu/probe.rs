//! Makes the device `cpu` of the kernel's files.

use std::path::PathBuf;

use mains_contract::{
    Device, DeviceKind, Health, HealthState, Memory, Probe, ProbeError, ProbeReport, Problem, Runtime, Watch,
};

use super::cgroup::Limit;
use super::load::Files;
use super::sys::{self, CpuInfo, MemInfo};
use super::watch::CpuWatch;

const SOURCE: &str = "cpu";

/// Asks the kernel for processors and memory. The device's features also say `cores=N` and `threads=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuProbe {
    root: PathBuf,
}

impl CpuProbe {
    /// Reads `/proc` and `/sys` below `root`.
    #[must_use]
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Default for CpuProbe {
    fn default() -> Self {
        Self::under("/")
    }
}

impl Probe for CpuProbe {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn probe(&self) -> Result<ProbeReport, ProbeError> {
        let files = Files::new(&self.root);
        let mut problems = Problems::default();
        let cpu = problems.read(&files, "/proc/cpuinfo", "lists no processor", sys::cpuinfo);
        let memory = problems.read(&files, "/proc/meminfo", "has no MemTotal in kB", sys::meminfo);
        let kernel = problems.read(&files, "/proc/sys/kernel/osrelease", "is empty", |text| {
            Some(text.trim().to_owned()).filter(|version| !version.is_empty())
        });
        let cpu = cpu.unwrap_or_default();
        let mut device = Device {
            vendor: cpu.vendor.clone(),
            memory: memory.map(|memory| within(memory, &files.limits())),
            runtime: Some(Runtime {
                name: "linux".to_owned(),
                version: kernel,
            }),
            sources: vec![SOURCE.to_owned()],
            usable_by: vec!["cpu".to_owned()],
            temperature_c: files.temperature(),
            health: problems.health(),
            ..Device::new(SOURCE, cpu.model.as_deref().unwrap_or("CPU"), DeviceKind::Cpu)
        };
        device.features = features(cpu, sys::cores(&files.topology()));
        Ok(ProbeReport {
            devices: vec![device],
            problems: problems.0,
        })
    }

    fn watch(self: Box<Self>) -> Box<dyn Watch> {
        let root = self.root.clone();
        Box::new(CpuWatch::new(*self, root))
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn read<T>(
        &mut self,
        files: &Files<'_>,
        path: &str,
        broken: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = match files.text(path) {
            Ok(text) => parse(&text).ok_or_else(|| format!("{path} {broken}")),
            Err(error) => Err(error.to_string()),
        };
        value
            .map_err(|error| {
                self.0.push(Problem {
                    source: SOURCE.to_owned(),
                    error,
                });
            })
            .ok()
    }

    fn health(&self) -> Health {
        if self.0.is_empty() {
            return Health::ok();
        }
        Health {
            state: HealthState::Degraded,
            reasons: self.0.iter().map(|problem| problem.error.clone()).collect(),
        }
    }
}

fn features(cpu: CpuInfo, cores: Option<usize>) -> Vec<String> {
    let mut features = cpu.features;
    features.extend(cores.map(|cores| format!("cores={cores}")));
    if cpu.threads > 0 {
        features.push(format!("threads={}", cpu.threads));
    }
    features
}

/// A process can use what the machine has and every group above it allows.
fn within(memory: MemInfo, limits: &[Limit]) -> Memory {
    let total = limits
        .iter()
        .map(|limit| limit.limit)
        .fold(memory.total, Ord::min);
    let free = memory.available.map(|available| {
        limits
            .iter()
            .filter_map(|limit| limit.free)
            .fold(available, Ord::min)
    });
    Memory {
        total,
        free,
        shared: true,
        host: None,
    }
}
