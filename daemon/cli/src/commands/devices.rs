//! `mains devices`: one line a device, with a bar of the memory in use; measured and watched on demand.

use std::time::Duration;

use mains_contract::Bytes;
use mains_wire::http::{DeviceBody, DevicesBody};

use super::{measure, watch};
use crate::args::DevicesArgs;
use crate::exit::Exit;
use crate::output;
use crate::sockets::Sockets;
use crate::table::{Align, Table, bar};

/// Prints the devices.
pub(crate) async fn run(sockets: &Sockets, args: &DevicesArgs) -> anyhow::Result<Exit> {
    if args.watch {
        return watch::run(sockets.widest().await, Duration::from_secs(args.interval)).await;
    }
    let measured = if args.measure {
        measure::run(&sockets.admin, args.device.as_deref()).await?
    } else {
        Exit::Ok
    };
    let path = format!("/v1/devices?refresh={}", args.refresh);
    let devices: DevicesBody = sockets.widest().await.get(&path).await?;
    if args.json {
        output::json(&devices)?;
    } else {
        output::text(&render(&devices))?;
    }
    Ok(measured)
}

/// The table and what is wrong, as text.
fn render(devices: &DevicesBody) -> String {
    let mut table = Table::new(&[
        ("DEVICE", Align::Left),
        ("KIND", Align::Left),
        ("NAME", Align::Left),
        ("MEMORY IN USE", Align::Left),
        ("FREE", Align::Right),
        ("TOTAL", Align::Right),
        ("HEALTH", Align::Left),
        ("DRIVERS", Align::Left),
    ]);
    for device in &devices.devices {
        let memory = device.memory.as_ref();
        let total = memory.map_or(0, |memory| memory.total_bytes);
        let free = memory.and_then(|memory| memory.free_bytes);
        let size =
            |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |bytes| Bytes(bytes).to_string());
        table.row([
            device.id.clone(),
            device.kind.clone(),
            device.name.clone(),
            free.map_or_else(|| "-".to_owned(), |free| bar(total.saturating_sub(free), total)),
            size(free),
            size(memory.map(|memory| memory.total_bytes)),
            device.health.state.clone(),
            if device.usable_by.is_empty() {
                "none".to_owned()
            } else {
                device.usable_by.join(" ")
            },
        ]);
    }
    let mut text = table.render();
    for device in &devices.devices {
        text.push_str(&remarks(device));
        if let Some(measured) = &device.measured {
            text.push_str(&format!("{}: {}\n", device.id, measure::words(measured)));
        }
    }
    for problem in &devices.problems {
        text.push_str(&format!("problem: {}: {}\n", problem.source, problem.error));
    }
    text
}

/// Why a device is not used or not well.
pub(super) fn remarks(device: &DeviceBody) -> String {
    let mut text = String::new();
    if let Some(reason) = &device.unusable_because {
        text.push_str(&format!("{}: {reason}\n", device.id));
    }
    for reason in &device.health.reasons {
        text.push_str(&format!("{}: {}: {reason}\n", device.id, device.health.state));
    }
    text
}

#[cfg(test)]
mod tests {
    use mains_wire::http::DevicesBody;
    use serde_json::json;

    use super::render;

    #[test]
    fn a_line_a_device_and_what_is_wrong_below() {
        let devices: DevicesBody = serde_json::from_value(json!({
            "devices": [
                {"id": "cpu", "name": "A CPU", "kind": "cpu", "memory": {"total_bytes": 4_u64 << 30, "free_bytes": 1_u64 << 30, "shared": true},
                 "sources": ["cpu"], "usable_by": ["cpu"], "measured": {"at": "2026-11-24T11:00:00Z",
                 "driver": {"name": "cpu", "version": "0.1.0", "kernels": "avx2", "threads": 2}, "read_bytes_per_s": 1.5e10,
                 "operations_per_s": {"f32": 9.0e10, "int8": 1.2e12}, "spread": 0.25}, "features": [], "health": {"state": "ok", "reasons": []}},
                {"id": "gpu-1", "name": "A card", "kind": "gpu", "sources": ["pci"], "usable_by": [], "features": [],
                 "unusable_because": "install the driver", "health": {"state": "degraded", "reasons": ["it is hot"]}}],
            "problems": [{"source": "vulkan", "error": "it hung"}], "probed_at": "2026-11-24T08:00:00Z"}))
        .unwrap();
        assert_eq!(
            render(&devices),
            "DEVICE  KIND  NAME    MEMORY IN USE              FREE    TOTAL  HEALTH    DRIVERS\n\
             cpu     cpu   A CPU   [###############.....]  1.0 GiB  4.0 GiB  ok        cpu\n\
             gpu-1   gpu   A card  -                             -        -  degraded  none\n\
             cpu: reads 15.0 GB/s; computes int8 1.2 TOP/s, f32 90 GOP/s (measured 2026-11-24 by driver cpu 0.1.0, avx2, \
             2 threads; runs 25 % apart)\n\
             gpu-1: install the driver\n\
             gpu-1: degraded: it is hot\n\
             problem: vulkan: it hung\n"
        );
    }
}
