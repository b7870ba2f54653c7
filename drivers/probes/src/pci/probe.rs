//! Makes devices of entries of the PCI bus.

use std::path::PathBuf;

use mains_contract::{Anew, Device, DeviceKind, Probe, ProbeError, ProbeReport, Runtime, Watch};
use mains_inventory::makers;

use crate::library::facts::{Facts, Word};
use crate::places::Places;
use crate::sysfs::{self, PciEntry};

const SOURCE: &str = "pci";

/// Every accelerator on the bus.
pub(crate) struct Pci(PathBuf);

impl Pci {
    /// Looks where `places` says.
    pub(crate) fn new(places: &Places) -> Self {
        Self(places.sysfs().to_owned())
    }
}

impl Probe for Pci {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn probe(&self) -> Result<ProbeReport, ProbeError> {
        let entries = sysfs::pci(&self.0);
        let devices = entries.iter().enumerate();
        Ok(ProbeReport {
            devices: devices
                .filter_map(|(index, entry)| self.device(index, entry))
                .collect(),
            problems: Vec::new(),
        })
    }

    fn watch(self: Box<Self>) -> Box<dyn Watch> {
        Box::new(Anew(*self))
    }
}

impl Pci {
    fn device(&self, index: usize, entry: &PciEntry) -> Option<Device> {
        let maker = makers::by_pci(entry.vendor);
        let displays = entry.class >> 16 == 0x03;
        let accelerates = match maker {
            // Display controllers of these makers sit in servers' management controllers.
            Some(maker) if maker.kind == DeviceKind::Npu => entry.computes() && !displays,
            Some(_) => entry.computes(),
            None => entry.computes() && !displays,
        };
        if !accelerates {
            return None;
        }
        let kind = match maker {
            Some(maker) if maker.name == "Intel" && entry.address.bus == 0 && displays => {
                DeviceKind::IntegratedGpu
            }
            Some(maker) => maker.kind,
            None => DeviceKind::Npu,
        };
        let name = maker.map_or("Accelerator", |maker| maker.name);
        let mut facts = Facts::default();
        facts.set_word(Word::Pci, entry.address.to_string().as_bytes());
        facts.set_word(
            Word::Name,
            format!("{name} {:04x}:{:04x}", entry.vendor, entry.device).as_bytes(),
        );
        sysfs::link(&entry.folder, &mut facts);
        let mut device = facts.device(SOURCE, name, kind, index);
        device.vendor = maker.map(|maker| maker.name.to_owned());
        device.runtime = entry.driver.as_ref().map(|driver| Runtime {
            name: driver.clone(),
            version: sysfs::module_version(&self.0, driver),
        });
        Some(device)
    }
}
