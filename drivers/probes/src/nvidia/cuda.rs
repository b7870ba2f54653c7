//! The CUDA driver API: what a program that computes would see (CUDA Driver API, sections "Initialization" and "Device
//! Management"). `cuInit` makes no context and takes no memory.

use mains_contract::DeviceKind;

use crate::library::call::{Call, Shape, invoke};
use crate::library::facts::{Facts, Word};
use crate::library::layout::ONE;
use crate::library::nvml::{call, scalar, words};
use crate::library::open::{Library, Refused, check};
use crate::library::vendor::{About, Handles, MAX_DEVICES, Started, Vendor};

/// `CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT`.
const MULTIPROCESSORS: i32 = 16;
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR`.
const CAPABILITY: (i32, i32) = (75, 76);
/// `CU_DEVICE_ATTRIBUTE_INTEGRATED`.
const INTEGRATED: i32 = 18;

/// NVIDIA's driver for programs.
pub(crate) struct Cuda;

impl Vendor for Cuda {
    /// `CUdevice` is an `int`.
    type Handle = i32;

    const ABOUT: About = About {
        // CUDA_ERROR_NO_DEVICE; CUDA_ERROR_STUB_LIBRARY, of a development package without a driver.
        no_device: &[100, 34],
        not_supported: &[801],
        codes: &[
            (3, "the driver is going down"),
            (46, "another program holds the device alone"),
            (
                803,
                "library and kernel module have different versions: restart after the driver's update",
            ),
            (999, "the driver does not answer: look for Xid in dmesg"),
        ],
        ..About::new(
            "cuda",
            "NVIDIA",
            DeviceKind::Gpu,
            "CUDA",
            &["libcuda.so.1", "libcuda.so"],
        )
    };

    const CALLS: &'static [Call<Shape>] = &[
        call!(["cuDeviceGetName"], Shape::TextFirst, words!(Name, 96)),
        call!(["cuDeviceGetPCIBusId"], Shape::TextFirst, words!(Pci, 32)),
        call!(
            ["cuDeviceTotalMem_v2"],
            Shape::OutFirst,
            scalar!(U64, MemoryTotal, ONE)
        ),
        call!(
            ["cuDeviceGetAttribute"],
            Shape::OutFirstChoice(MULTIPROCESSORS),
            scalar!(I32, Cores, ONE)
        ),
        call!(
            ["cuDeviceGetAttribute"],
            Shape::OutFirstChoice(CAPABILITY.0),
            scalar!(I32, ComputeMajor, ONE)
        ),
        call!(
            ["cuDeviceGetAttribute"],
            Shape::OutFirstChoice(CAPABILITY.1),
            scalar!(I32, ComputeMinor, ONE)
        ),
        call!(
            ["cuDeviceGetAttribute"],
            Shape::OutFirstChoice(INTEGRATED),
            scalar!(I32, Integrated, ONE)
        ),
    ];

    fn start(library: &Library) -> Result<Started<i32>, Refused> {
        let function = library.need("cuInit")?;
        // SAFETY: `cuInit(unsigned flags)`, whose flags must be 0.
        check("cuInit", unsafe { invoke!(function, 0 => u32) })?;
        let function = library.need("cuDeviceGetCount")?;
        let mut count = 0_i32;
        // SAFETY: `cuDeviceGetCount(int *)`.
        let code = unsafe { invoke!(function, &raw mut count => *mut i32) };
        check("cuDeviceGetCount", code)?;
        let function = library.need("cuDeviceGet")?;
        let most = MAX_DEVICES.cast_signed();
        let handles = (0..count.min(most)).map(|ordinal| {
            let mut device = 0;
            // SAFETY: `cuDeviceGet(CUdevice *, int)`.
            let code = unsafe { invoke!(function, &raw mut device => *mut i32, ordinal => i32) };
            check("cuDeviceGet", code).map(|()| device)
        });
        Ok(handles.collect::<Handles<i32>>().into())
    }

    fn version(library: &Library, _started: &Started<i32>) -> Option<String> {
        let function = library.symbol("cuDriverGetVersion")?;
        let mut version = 0_i32;
        // SAFETY: `cuDriverGetVersion(int *)`.
        let code = unsafe { invoke!(function, &raw mut version => *mut i32) };
        (code == 0).then(|| format!("{}.{}", version / 1000, version % 1000 / 10))
    }

    fn more(library: &Library, device: i32, facts: &mut Facts) {
        if let Some(uuid) = uuid(library, device) {
            facts.set_word(Word::Uuid, uuid.as_bytes());
        }
    }
}

/// The identity as NVML writes it. Older drivers give a MIG instance its card's.
fn uuid(library: &Library, device: i32) -> Option<String> {
    let (_, function) = library
        .need_one(&["cuDeviceGetUuid_v2", "cuDeviceGetUuid"])
        .ok()?;
    let mut bytes = [0_u8; 16];
    // SAFETY: both names are `(CUuuid *, CUdevice)`, and a `CUuuid` is 16 bytes.
    let code = unsafe { invoke!(function, bytes.as_mut_ptr() => *mut u8, device => i32) };
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes.map(|byte| format!("{byte:02x}"));
    let [i, j, tail @ ..] = rest;
    (code == 0 && bytes != [0; 16])
        .then(|| format!("GPU-{a}{b}{c}{d}-{e}{f}-{g}{h}-{i}{j}-{}", tail.concat()))
}
