//! Finds devices and reads their health.
//!
//! A probe asks one source. Its `load.rs` opens the source, its `sys.rs` turns the source's own words into values, its
//! `probe.rs` makes devices of them. A missing library is an empty report; a part that fails costs its own facts. What
//! makers' libraries have in common is in [`library`]: a maker's folder fills in a table. `mains-inventory` joins what all
//! sources say into one list, in which a card that several saw is one device.
//!
//! Invariant: no probe links a vendor's library, knows another probe, or changes a device.

mod address;
mod amd;
mod ascend;
mod biren;
mod cambricon;
pub mod cpu;
mod enflame;
mod hygon;
mod iluvatar;
mod intel;
mod kunlunxin;
mod library;
mod metax;
mod mthreads;
mod nvidia;
mod pci;
mod places;
mod sysfs;
mod thead;
pub mod vulkan;

use library::LibraryProbe;
use library::rocm_smi::RocmSmi;
use library::vendor::Vendor;
use mains_contract::Probe;

pub use places::Places;

/// Every probe, the CPU's first, where the environment says to look.
#[must_use]
pub fn all() -> Vec<Box<dyn Probe + Send>> {
    all_in(&Places::from_environment())
}

/// Every probe, the CPU's first, where `places` says to look.
#[must_use]
pub fn all_in(places: &Places) -> Vec<Box<dyn Probe + Send>> {
    vec![
        Box::new(cpu::CpuProbe::default()),
        Box::new(vulkan::VulkanProbe::default()),
        Box::new(pci::Pci::new(places)),
        Box::new(amd::Amdgpu::new(places)),
        Box::new(intel::IntelGraphics::new(places)),
        library::<nvidia::Nvml>(places),
        library::<nvidia::Cuda>(places),
        library::<RocmSmi<amd::Rocm>>(places),
        library::<RocmSmi<hygon::Dcu>>(places),
        library::<intel::LevelZero>(places),
        library::<ascend::Dcmi>(places),
        library::<ascend::DcmiV2>(places),
        library::<cambricon::Cndev>(places),
        library::<mthreads::Mtml>(places),
        library::<metax::Mxsml>(places),
        library::<iluvatar::Ixml>(places),
        library::<enflame::Efml>(places),
        library::<biren::Brml>(places),
        library::<kunlunxin::Xpuml>(places),
        library::<thead::Hgml>(places),
    ]
}

/// The probe of `source`, where the environment says to look.
#[must_use]
pub fn of(source: &str) -> Option<Box<dyn Probe + Send>> {
    all().into_iter().find(|probe| probe.source() == source)
}

fn library<V: Vendor + 'static>(places: &Places) -> Box<dyn Probe + Send> {
    Box::new(LibraryProbe::<V>::new(places))
}
