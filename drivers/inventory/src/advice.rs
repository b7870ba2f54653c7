//! What to do about a device that no driver of ours computes on. Pure.

use mains_contract::{Device, Runtime};

use crate::makers;

/// The kernel's driver of devices that are handed to virtual machines.
const HANDED_AWAY: &str = "vfio-pci";

/// An instruction to whoever administers the box. What the Vulkan probe says of a device that it sees goes before.
pub(crate) fn advise(device: &Device) -> String {
    let maker = device.vendor.as_deref().and_then(makers::by_name);
    let saw = |source: &str| device.sources.iter().any(|known| known == source);
    match (&device.unusable_because, maker) {
        (Some(said), _) if saw("vulkan") || maker.is_none() => said.clone(),
        (_, None) => "no driver of this version of mains computes on it; models run on the cpu".to_owned(),
        (_, Some(maker)) => match (&device.runtime, maker.vulkan) {
            (Some(runtime), _) if runtime.name == HANDED_AWAY => format!(
                "it is handed to virtual machines ({HANDED_AWAY}): give it back to {} to use it here",
                maker.module
            ),
            (None, _) if !saw_more_than_the_bus(device) => format!(
                "no kernel driver is loaded for it: install {}'s driver and run modprobe {}",
                maker.name, maker.module
            ),
            (runtime, Some(package)) => format!(
                "{} is present, its Vulkan driver is not installed: install {package}",
                driver(maker.name, runtime.as_ref())
            ),
            (_, None) => format!(
                "no driver of this version of mains computes on devices of {}; models run on the cpu",
                maker.name
            ),
        },
    }
}

fn saw_more_than_the_bus(device: &Device) -> bool {
    device.sources.iter().any(|source| source != "pci")
}

fn driver(maker: &str, runtime: Option<&Runtime>) -> String {
    match runtime {
        Some(Runtime {
            name,
            version: Some(version),
        }) => format!("{maker} driver {name} {version}"),
        Some(Runtime { name, .. }) => format!("{maker} driver {name}"),
        None => format!("{maker}'s driver"),
    }
}
