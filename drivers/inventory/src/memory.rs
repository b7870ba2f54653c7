//! Which source's memory counts, and that no byte counts twice. Pure.

use mains_contract::{Bytes, Device, DeviceKind, Memory};

/// The memory of a device of this kind from what its sources say, the most trusted first.
///
/// A card's memory is what the first source says, less what that source took for the host's. An integrated device's is
/// the one that tells the host's part apart, else the largest: a source that reads the carve-out alone misses most of it.
pub(crate) fn choose(kind: DeviceKind, said: &[Memory]) -> Option<Memory> {
    let shared = !matches!(kind, DeviceKind::Gpu | DeviceKind::Npu);
    let chosen = if kind == DeviceKind::IntegratedGpu {
        let apart = said.iter().find(|memory| memory.host.is_some());
        // Of equal ones the first counts.
        let largest = || said.iter().rev().max_by_key(|memory| memory.total);
        apart.or_else(largest)
    } else {
        said.first()
    };
    let mut memory = *chosen?;
    if shared {
        memory.shared = true;
    } else {
        memory.total = less(memory.total, memory.host);
        memory.host = None;
        memory.shared = false;
    }
    let free = memory.free.or_else(|| said.iter().find_map(|memory| memory.free));
    memory.free = free.map(|free| free.min(memory.total));
    Some(memory)
}

/// What an integrated device takes of the host's memory is not more than the host has, and not more than is free there.
pub(crate) fn bound_by_host(devices: &mut [Device]) {
    let cpu = devices.iter().find(|device| device.kind == DeviceKind::Cpu);
    let Some(host) = cpu.and_then(|cpu| cpu.memory) else {
        return;
    };
    for device in devices
        .iter_mut()
        .filter(|device| device.kind == DeviceKind::IntegratedGpu)
    {
        let Some(memory) = &mut device.memory else {
            continue;
        };
        let own = memory
            .host
            .map_or(Bytes::ZERO, |host| less(memory.total, Some(host)));
        if let Some(part) = &mut memory.host {
            *part = (*part).min(host.total);
            memory.total = own + *part;
        }
        memory.free = memory.free.map(|free| free.min(memory.total));
        if let Some((free, left)) = memory.free.zip(host.free) {
            memory.free = Some(free.min(own + left).min(memory.total));
        }
    }
}

fn less(total: Bytes, part: Option<Bytes>) -> Bytes {
    total.checked_sub(part.unwrap_or_default()).unwrap_or(Bytes::ZERO)
}
