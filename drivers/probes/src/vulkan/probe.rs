//! Makes devices of what Vulkan says.

use std::fmt::Write as _;
use std::path::PathBuf;

use ash::vk;
use mains_contract::{
    Anew, Bytes, Device, DeviceKind, Memory, Probe, ProbeError, ProbeReport, Problem, Runtime, Watch,
};

use super::load::Loaded;
use super::sys::{self, Heap, RawDevice};

const SOURCE: &str = "vulkan";

/// What an administrator can do about a device that no driver computes on.
const NO_DRIVER: &str =
    "no driver of this version of mains computes on Vulkan devices yet; models run on the cpu";

/// Asks the Vulkan loader. Features are names of capabilities and `subgroup=N`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VulkanProbe {
    library: Option<PathBuf>,
}

impl VulkanProbe {
    /// Opens this loader in place of the system's.
    #[must_use]
    pub fn with_library(library: impl Into<PathBuf>) -> Self {
        Self {
            library: Some(library.into()),
        }
    }
}

impl Probe for VulkanProbe {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn probe(&self) -> Result<ProbeReport, ProbeError> {
        let Some(loaded) = Loaded::open(self.library.as_deref())? else {
            return Ok(ProbeReport::default());
        };
        let mut report = ProbeReport::default();
        for (index, handle) in loaded.devices()?.into_iter().enumerate() {
            match sys::read(&loaded.instance, handle) {
                Ok(raw) => report.devices.push(device(&raw)),
                Err(error) => report.problems.push(Problem {
                    source: SOURCE.to_owned(),
                    error: format!("Vulkan device {index} does not answer: {error}"),
                }),
            }
        }
        number_twins(&mut report.devices);
        Ok(report)
    }

    fn watch(self: Box<Self>) -> Box<dyn Watch> {
        Box::new(Anew(*self))
    }
}

fn device(raw: &RawDevice) -> Device {
    let kind = match raw.kind {
        vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::IntegratedGpu,
        vk::PhysicalDeviceType::CPU => DeviceKind::Software,
        // A virtual GPU is a card's share, and OTHER is what accelerators without graphics say.
        _ => DeviceKind::Gpu,
    };
    let pci = raw
        .pci
        .map(|[domain, bus, slot, function]| format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"));
    let address = pci.clone().or_else(|| text(&raw.uuid));
    let address = address.unwrap_or_else(|| hexadecimal(&raw.uuid));
    Device {
        vendor: vendor(raw.vendor),
        pci,
        memory: memory(&raw.heaps, kind != DeviceKind::Gpu),
        runtime: Some(Runtime {
            name: SOURCE.to_owned(),
            version: Some(version(raw)),
        }),
        sources: vec![SOURCE.to_owned()],
        unusable_because: Some(NO_DRIVER.to_owned()),
        features: features(raw),
        ..Device::new(format!("{}:{address}", kind.name()), raw.name.clone(), kind)
    }
}

/// Two drivers of one card join in the inventory by its PCI address. Without one, equal UUIDs would make two devices
/// one: the later ones are numbered.
fn number_twins(devices: &mut [Device]) {
    let mut seen: Vec<String> = Vec::with_capacity(devices.len());
    for device in devices {
        let twins = seen.iter().filter(|id| **id == device.id).count();
        seen.push(device.id.clone());
        if device.pci.is_none() && twins > 0 {
            device.id = format!("{}#{}", device.id, twins + 1);
        }
    }
}

/// PCI ids as `pci.ids` has them, then `VkVendorId`.
fn vendor(id: u32) -> Option<String> {
    let name = match id {
        0x1002 => "AMD",
        0x10de => "NVIDIA",
        0x8086 => "Intel",
        0x13b5 => "Arm",
        0x5143 => "Qualcomm",
        0x1ed5 => "Moore Threads",
        0x10005 => "Mesa",
        _ => return None,
    };
    Some(name.to_owned())
}

fn memory(heaps: &[Heap], shared: bool) -> Option<Memory> {
    let local = || heaps.iter().filter(|heap| heap.local);
    let free: Option<Bytes> = local().map(|heap| heap.free.map(Bytes)).sum();
    local().next().map(|_| Memory {
        total: local().map(|heap| Bytes(heap.size)).sum(),
        free,
        shared,
        host: None,
    })
}

fn version(raw: &RawDevice) -> String {
    let (major, minor) = (vk::api_version_major(raw.api), vk::api_version_minor(raw.api));
    let mut version = format!("{major}.{minor}.{}", vk::api_version_patch(raw.api));
    if let Some((name, info)) = &raw.driver {
        version.push_str(" (");
        version.push_str(name);
        if !info.is_empty() {
            version.push(' ');
            version.push_str(info);
        }
        version.push(')');
    }
    version
}

fn features(raw: &RawDevice) -> Vec<String> {
    let (float16, int8) = raw.float16_int8.unwrap_or_default();
    let named = [
        (float16, "f16"),
        (int8, "int8"),
        (raw.cooperative_matrix, "cooperative_matrix"),
    ];
    let mut features: Vec<String> = named
        .into_iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| name.to_owned())
        .collect();
    if raw.subgroup > 0 {
        features.push(format!("subgroup={}", raw.subgroup));
    }
    features
}

/// Letters, digits and dots with zeros behind them: what Mesa gives renderers in software for a UUID, which no card has, is
/// its version.
fn text(uuid: &[u8]) -> Option<String> {
    let end = uuid.iter().position(|byte| *byte == 0).unwrap_or(uuid.len());
    let (text, rest) = uuid.split_at(end);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
    let is_text =
        !text.is_empty() && !rest.is_empty() && text.iter().all(plain) && rest.iter().all(|byte| *byte == 0);
    is_text.then(|| String::from_utf8_lossy(text).into_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> RawDevice {
        RawDevice {
            name: "Card".to_owned(),
            vendor: 0x10de,
            kind: vk::PhysicalDeviceType::DISCRETE_GPU,
            api: vk::make_api_version(0, 1, 3, 277),
            driver: Some(("NVIDIA".to_owned(), "550.54".to_owned())),
            pci: Some([0, 0xc1, 0, 1]),
            heaps: vec![
                Heap {
                    size: 8 << 30,
                    local: true,
                    free: Some(7 << 30),
                },
                Heap {
                    size: 64 << 30,
                    local: false,
                    free: Some(1),
                },
            ],
            subgroup: 32,
            float16_int8: Some((true, false)),
            ..RawDevice::default()
        }
    }

    #[test]
    fn a_card_is_known_by_its_pci_address() {
        let device = device(&card());
        assert_eq!(device.id, "gpu:0000:c1:00.1");
        assert_eq!(device.kind, DeviceKind::Gpu);
        assert_eq!(
            device.memory,
            Some(Memory {
                total: Bytes(8 << 30),
                free: Some(Bytes(7 << 30)),
                shared: false,
                host: None,
            })
        );
        assert_eq!(
            device.runtime.unwrap().version.as_deref(),
            Some("1.3.277 (NVIDIA 550.54)")
        );
        assert_eq!(device.features, ["f16", "subgroup=32"]);
        assert!(device.usable_by.is_empty() && device.unusable_because.is_some());
    }

    #[test]
    fn what_is_not_told_is_absent() {
        let raw = RawDevice {
            kind: vk::PhysicalDeviceType::CPU,
            api: vk::API_VERSION_1_0,
            ..RawDevice::default()
        };
        let mesa = RawDevice {
            uuid: *b"mesa22.3.6\0\0\0\0\0\0",
            ..raw.clone()
        };
        assert_eq!(device(&mesa).id, "software:mesa22.3.6");
        let device = device(&raw);
        assert_eq!(device.id, format!("software:{}", "0".repeat(32)));
        assert_eq!((device.vendor, device.memory, device.pci), (None, None, None));
        assert!(device.features.is_empty());
    }

    #[test]
    fn free_memory_is_unknown_when_a_heap_does_not_tell() {
        let mut raw = card();
        raw.heaps.push(Heap {
            size: 1 << 28,
            local: true,
            free: None,
        });
        assert_eq!(device(&raw).memory.unwrap().free, None);
    }

    #[test]
    fn twins_without_an_address_stay_two() {
        let raw = RawDevice { pci: None, ..card() };
        let mut devices = vec![device(&raw), device(&raw), device(&card()), device(&card())];
        number_twins(&mut devices);
        let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
        let plain = format!("gpu:{}", "0".repeat(32));
        assert_eq!(
            ids,
            [
                plain.as_str(),
                &format!("{plain}#2"),
                "gpu:0000:c1:00.1",
                "gpu:0000:c1:00.1"
            ]
        );
    }
}
