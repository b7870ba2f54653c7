//! What Vulkan says of one physical device, as values. Structures of an extension are chained only where the device
//! lists it (Vulkan 1.3, sections "Physical Device Enumeration" and "Extending Physical Device From Device Extensions").

use std::ffi::{CStr, c_char};

use ash::{Instance, vk};

/// One physical device in Vulkan's own words.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct RawDevice {
    /// `deviceName`.
    pub(super) name: String,
    /// `vendorID`: a PCI id, or one of Khronos' from 0x10000 on.
    pub(super) vendor: u32,
    /// `deviceType`.
    pub(super) kind: vk::PhysicalDeviceType,
    /// `apiVersion`.
    pub(super) api: u32,
    /// `driverName` and `driverInfo`, when the device tells.
    pub(super) driver: Option<(String, String)>,
    /// `deviceUUID`.
    pub(super) uuid: [u8; 16],
    /// Domain, bus, device and function.
    pub(super) pci: Option<[u32; 4]>,
    /// Every heap.
    pub(super) heaps: Vec<Heap>,
    /// `subgroupSize`.
    pub(super) subgroup: u32,
    /// `shaderFloat16` and `shaderInt8`.
    pub(super) float16_int8: Option<(bool, bool)>,
    /// Whether cooperative matrices are listed.
    pub(super) cooperative_matrix: bool,
}

/// One memory heap, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heap {
    /// `size`.
    pub(super) size: u64,
    /// Whether it is `DEVICE_LOCAL`.
    pub(super) local: bool,
    /// `heapBudget` less `heapUsage`, when the extension is listed.
    pub(super) free: Option<u64>,
}

/// Asks for everything about `device`, which must come from `instance`.
pub(super) fn read(instance: &Instance, device: vk::PhysicalDevice) -> Result<RawDevice, vk::Result> {
    // SAFETY: `device` comes from `instance`, which is alive.
    let extensions = unsafe { instance.enumerate_device_extension_properties(device)? };
    // SAFETY: as above.
    let basic = unsafe { instance.get_physical_device_properties(device) };
    let api = basic.api_version;
    let has = |name: &CStr| {
        extensions
            .iter()
            .any(|entry| entry.extension_name_as_c_str() == Ok(name))
    };
    let mut raw = RawDevice {
        name: text(&basic.device_name),
        vendor: basic.vendor_id,
        kind: basic.device_type,
        api,
        cooperative_matrix: has(ash::khr::cooperative_matrix::NAME),
        ..RawDevice::default()
    };
    if api >= vk::API_VERSION_1_1 {
        let has_driver = api >= vk::API_VERSION_1_2 || has(ash::khr::driver_properties::NAME);
        read_properties(
            instance,
            device,
            has_driver,
            has(ash::ext::pci_bus_info::NAME),
            &mut raw,
        );
        if api >= vk::API_VERSION_1_2 || has(ash::khr::shader_float16_int8::NAME) {
            raw.float16_int8 = Some(read_features(instance, device));
        }
    }
    // The extension needs vkGetPhysicalDeviceMemoryProperties2, which 1.1 has.
    let budget = api >= vk::API_VERSION_1_1 && has(ash::ext::memory_budget::NAME);
    raw.heaps = read_heaps(instance, device, budget);
    Ok(raw)
}

fn read_properties(
    instance: &Instance,
    device: vk::PhysicalDevice,
    has_driver: bool,
    has_pci: bool,
    raw: &mut RawDevice,
) {
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut pci = vk::PhysicalDevicePCIBusInfoPropertiesEXT::default();
    let mut id = vk::PhysicalDeviceIDProperties::default();
    let mut subgroup = vk::PhysicalDeviceSubgroupProperties::default();
    let mut all = vk::PhysicalDeviceProperties2::default()
        .push_next(&mut id)
        .push_next(&mut subgroup);
    if has_driver {
        all = all.push_next(&mut driver);
    }
    if has_pci {
        all = all.push_next(&mut pci);
    }
    // SAFETY: the device is at least 1.1, which has this call and the first two structures; the others are chained
    // only when the device lists their extension.
    unsafe { instance.get_physical_device_properties2(device, &mut all) };
    raw.uuid = id.device_uuid;
    raw.subgroup = subgroup.subgroup_size;
    raw.driver = has_driver.then(|| (text(&driver.driver_name), text(&driver.driver_info)));
    raw.pci = has_pci.then_some([pci.pci_domain, pci.pci_bus, pci.pci_device, pci.pci_function]);
}

fn read_features(instance: &Instance, device: vk::PhysicalDevice) -> (bool, bool) {
    let mut types = vk::PhysicalDeviceShaderFloat16Int8Features::default();
    let mut all = vk::PhysicalDeviceFeatures2::default().push_next(&mut types);
    // SAFETY: the device is at least 1.1 and has the structure's extension or 1.2, where it is core.
    unsafe { instance.get_physical_device_features2(device, &mut all) };
    (types.shader_float16 == vk::TRUE, types.shader_int8 == vk::TRUE)
}

fn read_heaps(instance: &Instance, device: vk::PhysicalDevice, has_budget: bool) -> Vec<Heap> {
    let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
    let memory = if has_budget {
        let mut all = vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
        // SAFETY: the device is at least 1.1 and lists the extension of the chained structure.
        unsafe { instance.get_physical_device_memory_properties2(device, &mut all) };
        all.memory_properties
    } else {
        // SAFETY: `device` comes from `instance`, which is alive.
        unsafe { instance.get_physical_device_memory_properties(device) }
    };
    let left = budget.heap_budget.iter().zip(&budget.heap_usage);
    memory
        .memory_heaps_as_slice()
        .iter()
        .zip(left)
        .map(|(heap, (budget, usage))| Heap {
            size: heap.size,
            local: heap.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL),
            free: has_budget.then(|| budget.saturating_sub(*usage)),
        })
        .collect()
}

/// A C string in a fixed array. One that fills it without an end is cut there.
fn text(raw: &[c_char]) -> String {
    let bytes: Vec<u8> = raw
        .iter()
        .map(|byte| byte.cast_unsigned())
        .take_while(|byte| *byte != 0)
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
