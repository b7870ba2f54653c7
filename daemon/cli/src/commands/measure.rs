//! `mains devices --measure`: has the daemon measure devices, and shows how it goes.

use std::io::{IsTerminal, Write};

use http_body_util::BodyExt;
use hyper::Method;
use mains_contract::Precision;
use mains_wire::http::{MeasureEvent, MeasuredBody};

use crate::client::Client;
use crate::exit::Exit;
use crate::lines::Lines;
use crate::table::bar;

/// Erases a terminal's line to its end (ECMA-48, EL).
const ERASE: &str = "\x1b[K";

/// Measures `device`, or all that can be. Progress goes to standard error where that is a terminal.
pub(crate) async fn run(admin: &Client, device: Option<&str>) -> anyhow::Result<Exit> {
    let query = [("device", device.map(str::to_owned))];
    let path = super::with_query("/admin/devices/measure", query);
    let mut body = admin.request(Method::POST, &path, None).await?.into_body();
    let mut lines = Lines::default();
    let (mut known, mut failed) = (0, 0);
    let shows = std::io::stderr().is_terminal();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| admin.broken(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        for line in lines.push(bytes) {
            let event = serde_json::from_str(&line).map_err(|error| admin.broken(&error))?;
            match event {
                MeasureEvent::Progress { device, done, of } if shows => {
                    let bar = bar(done.into(), of.into());
                    show(&format!("\r{device}: measuring {bar} {done} of {of}{ERASE}"));
                }
                MeasureEvent::Progress { .. } => {}
                MeasureEvent::Measured { .. } => known += 1,
                MeasureEvent::Failed { device, error } => {
                    failed += 1;
                    let erase = if shows { "\r\x1b[K" } else { "" };
                    show(&format!("{erase}{device} is not measured: {error}\n"));
                }
            }
        }
    }
    if shows {
        show(&format!("\r{ERASE}"));
    }
    if known + failed == 0 {
        return Err(admin.broken(&"the measurement broke off").into());
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::NotReady })
}

/// Writes to standard error. What can not be shown is no reason to end a measurement.
fn show(text: &str) {
    let mut err = std::io::stderr().lock();
    let _gone = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// What was measured, in one line.
pub(super) fn words(measured: &MeasuredBody) -> String {
    let known = Precision::ALL.into_iter().filter_map(|precision| {
        let speed = measured.operations_per_s.get(precision.name())?;
        Some(format!("{} {}", precision.name(), operations(*speed)))
    });
    let driver = &measured.driver;
    let day = measured.at.split('T').next().unwrap_or(&measured.at);
    format!(
        "reads {:.1} GB/s; computes {} (measured {day} by driver {} {}, {}, {} threads; runs {:.0} % apart)",
        measured.read_bytes_per_s / 1e9,
        known.collect::<Vec<_>>().join(", "),
        driver.name,
        driver.version,
        driver.kernels,
        driver.threads,
        measured.spread * 100.0
    )
}

fn operations(speed: f64) -> String {
    if speed >= 1e12 {
        format!("{:.1} TOP/s", speed / 1e12)
    } else {
        format!("{:.0} GOP/s", speed / 1e9)
    }
}
