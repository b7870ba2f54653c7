//! The Vulkan probe on what this machine has.

use std::path::Path;
use std::process::Command;

use mains_contract::{Probe, ProbeReport};
use mains_probes::vulkan::VulkanProbe;

const NO_DRIVER: &str = "/nonexistent.json";

#[test]
fn no_loader_is_an_empty_report() {
    let report = VulkanProbe::with_library("/nonexistent/libvulkan.so.1").probe();
    assert_eq!(report, Ok(ProbeReport::default()));
}

/// The loader reads its environment when it is opened, so that this test runs itself in a process of its own.
#[test]
fn no_driver_behind_the_loader_is_an_empty_report() {
    if std::env::var_os("VK_ICD_FILENAMES").is_some_and(|files| files == NO_DRIVER) {
        assert_eq!(VulkanProbe::default().probe(), Ok(ProbeReport::default()));
        return;
    }
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_driver_behind_the_loader_is_an_empty_report"])
        .env("VK_ICD_FILENAMES", NO_DRIVER)
        .env("VK_DRIVER_FILES", NO_DRIVER)
        .status();
    assert!(ended.unwrap().success());
}

#[test]
fn a_library_that_is_no_loader_is_an_error() {
    let Some(libc) = [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/aarch64-linux-gnu/libm.so.6",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists()) else {
        println!("skipped: no libm.so.6 where Debian has it");
        return;
    };
    let error = VulkanProbe::with_library(libc).probe().unwrap_err();
    assert!(error.0.contains("damaged"), "{error}");
}

#[test]
fn devices_of_this_machine_are_complete() {
    let report = VulkanProbe::default().probe().unwrap();
    if report.devices.is_empty() {
        println!("skipped: no Vulkan device on this machine");
    }
    let mut ids: Vec<&str> = report.devices.iter().map(|device| device.id.as_str()).collect();
    for device in &report.devices {
        println!("{device:#?}");
        assert!(!device.name.is_empty());
        assert!(device.memory.is_some());
        assert!(device.usable_by.is_empty() && device.unusable_because.is_some());
        assert!(
            device
                .features
                .iter()
                .any(|feature| feature.starts_with("subgroup="))
        );
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), report.devices.len());
}
