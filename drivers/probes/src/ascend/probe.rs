//! DCMI: identity, memory, power, health.

use mains_contract::{DeviceKind, HealthState};

use super::load;
use super::sys::{AI_CORES, HBM};
use super::sys::{Card, Chip, ChipInfo, EccInfo, HbmInfo, MemoryInfo, PcieInfo, Question, TENTH, questions};
use crate::library::call::{Call, Handle};
use crate::library::facts::{Facts, Word};
use crate::library::open::{Library, Refused};
use crate::library::vendor::{About, Started, Vendor};

const NAMES: &[&str] = &[
    "libdcmi.so",
    "/usr/local/Ascend/driver/lib64/driver/libdcmi.so",
    "/usr/local/dcmi/libdcmi.so",
];

/// What is the same in both generations.
const ABOUT: About = About {
    // DCMI_ERR_CODE_NOT_EXIST.
    no_device: &[-8008],
    not_supported: &[-8255],
    codes: &[
        (
            -8002,
            "run the probes as root or in the group of the Ascend driver (HwHiAiUser)",
        ),
        (-8006, "the processor does not answer: look for it in dmesg"),
        (-8012, "the processor is starting: wait"),
        (
            -8013,
            "this question is not answered within a container: ask on the host",
        ),
        (-8017, "its firmware is being updated: wait"),
        (-8020, "the processor is busy: try again"),
    ],
    runtime: "ascend",
    ..About::new("dcmi", "Huawei", DeviceKind::Npu, "DCMI", NAMES)
};

/// `dcmi_*`.
pub(crate) struct Dcmi;

impl Vendor for Dcmi {
    type Handle = Card;

    const ABOUT: About = ABOUT;

    const CALLS: &'static [Call<Question>] = questions!("dcmi", "dcmi_get_device_pcie_info_v2");

    fn start(library: &Library) -> Result<Started<Card>, Refused> {
        load::start_cards(library)
    }

    fn version(library: &Library, _started: &Started<Card>) -> Option<String> {
        load::version(library, "dcmi_get_driver_version")
    }

    fn more(library: &Library, chip: Card, facts: &mut Facts) {
        identify(
            library,
            chip,
            ["dcmi_get_device_die_v2", "dcmi_get_device_health"],
            facts,
        );
    }
}

/// `dcmiv2_*`.
pub(crate) struct DcmiV2;

impl Vendor for DcmiV2 {
    type Handle = Chip;

    const ABOUT: About = About {
        source: "dcmi_v2",
        unverified: &["DCMI's second generation beyond its list of devices, its chips' names and their HBM"],
        ..ABOUT
    };

    const CALLS: &'static [Call<Question>] = questions!("dcmiv2", "dcmiv2_get_device_pcie_info");

    fn start(library: &Library) -> Result<Started<Chip>, Refused> {
        load::start_chips(library)
    }

    fn version(library: &Library, _started: &Started<Chip>) -> Option<String> {
        load::version(library, "dcmiv2_get_driver_version")
    }

    fn more(library: &Library, chip: Chip, facts: &mut Facts) {
        identify(
            library,
            chip,
            ["dcmiv2_get_device_die_v2", "dcmiv2_get_device_health"],
            facts,
        );
    }
}

fn identify<H: Handle<Shape = Question>>(
    library: &Library,
    chip: H,
    [die, health]: [&str; 2],
    facts: &mut Facts,
) {
    if let Some(uuid) = load::die(library, die, chip) {
        facts.set_word(Word::Uuid, uuid.as_bytes());
    }
    match load::health(library, health, chip) {
        None | Some(0) => {}
        Some(code) => facts.ail(
            HealthState::Degraded,
            format!("the driver reports health code {code}: npu-smi info -t health tells what it is"),
        ),
    }
}
