//! Who makes accelerators, and what an administrator installs for them. One table.

use mains_contract::DeviceKind;

/// One maker.
#[derive(Debug, Clone, Copy)]
pub struct Maker {
    /// PCI vendor id (`pci.ids`; Cambricon's, MetaX's and Iluvatar's as their device plugins have them).
    pub pci: u16,
    /// The name that devices carry.
    pub name: &'static str,
    /// What it makes.
    pub kind: DeviceKind,
    /// The kernel's module, as an instruction names it.
    pub module: &'static str,
    /// The package of the Vulkan driver, where there is one.
    pub vulkan: Option<&'static str>,
}

/// Makers whose PCI devices of the classes display and accelerator are devices to us.
pub const MAKERS: &[Maker] = &[
    gpu(
        0x10de,
        "NVIDIA",
        "nvidia",
        Some("libnvidia-gl (Ubuntu), nvidia-vulkan-icd (Debian)"),
    ),
    gpu(0x1002, "AMD", "amdgpu", Some("mesa-vulkan-drivers")),
    gpu(0x8086, "Intel", "xe or i915", Some("mesa-vulkan-drivers")),
    gpu(
        0x1ed5,
        "Moore Threads",
        "mtgpu",
        Some("the musa driver package with its Vulkan ICD"),
    ),
    gpu(0x9999, "MetaX", "metax", None),
    gpu(0x1e3e, "Iluvatar", "iluvatar", None),
    gpu(0x1d94, "Hygon", "hydcu", None),
    npu(0x19e5, "Huawei", "drv_davinci"),
    npu(0xcabc, "Cambricon", "cambricon"),
    npu(0x1e36, "Enflame", "enflame"),
    gpu(0x1ee0, "Biren", "biren", None),
    npu(0x1d22, "Kunlunxin", "kunlun"),
    npu(0x1ded, "T-Head", "alixpu"),
];

const fn gpu(pci: u16, name: &'static str, module: &'static str, vulkan: Option<&'static str>) -> Maker {
    Maker {
        pci,
        name,
        kind: DeviceKind::Gpu,
        module,
        vulkan,
    }
}

const fn npu(pci: u16, name: &'static str, module: &'static str) -> Maker {
    Maker {
        pci,
        name,
        kind: DeviceKind::Npu,
        module,
        vulkan: None,
    }
}

/// The maker with this PCI vendor id.
pub fn by_pci(vendor: u16) -> Option<&'static Maker> {
    MAKERS.iter().find(|maker| maker.pci == vendor)
}

/// The maker of this name.
pub fn by_name(name: &str) -> Option<&'static Maker> {
    MAKERS.iter().find(|maker| maker.name == name)
}
