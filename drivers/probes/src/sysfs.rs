//! PCI devices as the kernel shows them below a root, and the small files beside them (`Documentation/ABI`).

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use mains_contract::{DeviceKind, ProbeReport, Problem, Runtime};
use mains_inventory::unverified;

use crate::address::Address;
use crate::library::facts::{Fact, Facts};

/// Bytes of a file that are read: an attribute of sysfs is at most a page.
const ATTRIBUTE_BYTES: u64 = 4096;

/// Devices of a bus that are looked at: large servers list some hundreds.
const MAX_ENTRIES: usize = 4096;

/// One function of the PCI bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PciEntry {
    /// Where it is.
    pub(crate) address: Address,
    /// Its maker's id.
    pub(crate) vendor: u16,
    /// Its model's id.
    pub(crate) device: u16,
    /// Class, subclass and interface.
    pub(crate) class: u32,
    /// The kernel's driver that is bound to it.
    pub(crate) driver: Option<String>,
    /// Its folder.
    pub(crate) folder: PathBuf,
}

impl PciEntry {
    /// Whether its class is a display controller (0x03), a co-processor (0x0b40) or a processing accelerator (0x12):
    /// makers of accelerators also sell bridges, network cards and processors.
    pub(crate) const fn computes(&self) -> bool {
        matches!(self.class >> 16, 0x03 | 0x12) || self.class >> 8 == 0x0b40
    }
}

/// Every readable function below `root`, in order of addresses.
pub(crate) fn pci(root: &Path) -> Vec<PciEntry> {
    let mut entries: Vec<PciEntry> = folders(&root.join("bus/pci/devices"))
        .into_iter()
        .filter_map(entry)
        .collect();
    entries.sort_by_key(|entry| entry.address);
    entries
}

/// Whether a device of this maker is there that computes.
pub(crate) fn has_vendor(root: &Path, vendor: u16) -> bool {
    pci(root)
        .iter()
        .any(|entry| entry.vendor == vendor && entry.computes())
}

fn entry(folder: PathBuf) -> Option<PciEntry> {
    let address = Address::parse(folder.file_name()?.to_str()?)?;
    let id = |name: &str| u32::from_str_radix(text(&folder.join(name))?.strip_prefix("0x")?, 16).ok();
    let driver = fs::read_link(folder.join("driver")).ok();
    Some(PciEntry {
        address,
        vendor: u16::try_from(id("vendor")?).ok()?,
        device: u16::try_from(id("device")?).ok()?,
        class: id("class")?,
        driver: driver.and_then(|path| Some(path.file_name()?.to_str()?.to_owned())),
        folder,
    })
}

/// Entries of a folder in order of names; nothing when there is none.
pub(crate) fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .take(MAX_ENTRIES)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// The trimmed text of an attribute; `None` when it is not there, not readable or empty.
pub(crate) fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(ATTRIBUTE_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A file that holds a number, of which `scale` makes the fact's unit.
pub(crate) type FileFact = (&'static str, Fact, f64);

/// Reads numbers beside `folder`. A file that is not there costs nothing; one that holds something else is told.
pub(crate) fn read(folder: &Path, files: &[FileFact], facts: &mut Facts) -> Vec<String> {
    let mut garbage = Vec::new();
    for (name, fact, scale) in files {
        let Some(text) = text(&folder.join(name)) else {
            continue;
        };
        let number = text.parse::<i64>().map_err(|_| "is no number".to_owned());
        let noted = number.and_then(|number| facts.set(*fact, number as f64 * scale));
        garbage.extend(noted.err().map(|error| format!("{name}: {error}")));
    }
    garbage
}

/// The first sensor of a device, in `hwmon/hwmon<N>`.
pub(crate) fn sensors(folder: &Path) -> Option<PathBuf> {
    folders(&folder.join("hwmon")).into_iter().next()
}

/// Speed and lanes of the PCI Express link.
pub(crate) fn link(folder: &Path, facts: &mut Facts) {
    let fields = [
        ("current_link_speed", Fact::LinkGeneration),
        ("max_link_speed", Fact::LinkMaxGeneration),
        ("current_link_width", Fact::LinkWidth),
        ("max_link_width", Fact::LinkMaxWidth),
    ];
    for (name, fact) in fields {
        let value = text(&folder.join(name)).and_then(|text| match fact {
            Fact::LinkGeneration | Fact::LinkMaxGeneration => generation(&text),
            _ => text.parse().ok(),
        });
        // "Unknown" speeds and a width of 255 mean that no link is up: nothing is known then.
        let _unknown = value.map(|value| facts.set(fact, value));
    }
}

/// `16.0 GT/s PCIe` is the fourth generation.
fn generation(text: &str) -> Option<f64> {
    let speed = text.split_whitespace().next()?;
    let speeds = ["2.5", "5", "8", "16", "32", "64"];
    let index = speeds
        .iter()
        .position(|known| speed.strip_suffix(".0").unwrap_or(speed) == *known)?;
    Some((index + 1) as f64)
}

/// The decimal number that `text` is.
///
/// # Errors
/// That it is none.
pub(crate) fn integer(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "is no number".to_owned())
}

/// A maker whose devices the kernel's files tell of.
pub(crate) struct SysfsVendor {
    /// The probe's name.
    pub(crate) source: &'static str,
    /// Who makes the devices.
    pub(crate) maker: &'static str,
    /// PCI vendor id.
    pub(crate) pci: u16,
    /// What a device is.
    pub(crate) kind: fn(&PciEntry) -> DeviceKind,
    /// Kernel drivers whose files these are.
    pub(crate) drivers: &'static [&'static str],
    /// Facts that were never compared with a real device.
    pub(crate) unverified: &'static [&'static str],
}

impl SysfsVendor {
    /// Every device of the maker that has one of its drivers, with the facts that `read` finds.
    pub(crate) fn report(&self, root: &Path, read: fn(&PciEntry) -> (Facts, Vec<String>)) -> ProbeReport {
        let mut report = ProbeReport::default();
        let problem = |error| Problem {
            source: self.source.to_owned(),
            error,
        };
        let ours = |entry: &PciEntry| {
            let driven = entry
                .driver
                .as_deref()
                .is_some_and(|driver| self.drivers.contains(&driver));
            entry.vendor == self.pci && entry.computes() && driven
        };
        for (index, entry) in pci(root).into_iter().filter(ours).enumerate() {
            let (facts, garbage) = read(&entry);
            let mut device = facts.device(self.source, self.maker, (self.kind)(&entry), index);
            device.runtime = entry.driver.as_ref().map(|driver| Runtime {
                name: driver.clone(),
                version: module_version(root, driver),
            });
            report.devices.push(device);
            report.problems.extend(
                garbage
                    .into_iter()
                    .map(|error| problem(format!("{}: {error}", entry.address))),
            );
        }
        if !report.devices.is_empty() && !self.unverified.is_empty() {
            report.problems.push(problem(unverified(self.unverified)));
        }
        report
    }
}

/// The version that a kernel module gives; drivers of the kernel itself give none.
pub(crate) fn module_version(root: &Path, driver: &str) -> Option<String> {
    text(&root.join("module").join(driver).join("version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_generations() {
        let found: Vec<_> = ["2.5 GT/s PCIe", "16.0 GT/s PCIe", "64.0 GT/s", "Unknown", ""]
            .into_iter()
            .map(generation)
            .collect();
        assert_eq!(found, [Some(1.0), Some(4.0), Some(6.0), None, None]);
    }
}
