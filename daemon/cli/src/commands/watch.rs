//! `mains devices --watch`: a line a device, drawn again in place on a terminal, printed below each other anywhere else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use mains_contract::Bytes;
use mains_wire::http::{DeviceBody, DevicesBody};
use terminal_size::{Height, Width, terminal_size};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::devices::remarks;
use crate::client::Client;
use crate::exit::Exit;
use crate::table::{Align, Table, bar};

/// Columns of a terminal that does not say how many it has (the VT100's).
const COLUMNS: usize = 80;

/// Lines of a terminal that does not say how many it has.
const LINES: usize = 24;

/// Columns of an id where there is no room for all: those of a PCI address behind a kind, such as `gpu:0000:01:00.0`.
const ID_COLUMNS: usize = 16;

/// The second screen, so that what was there comes back; and no cursor (xterm's private modes 1049 and 25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";

/// The first screen and the cursor again.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// To the upper left corner (ECMA-48, CUP). Lines are drawn over what was there: erasing the screen first would flicker.
const HOME: &str = "\x1b[H";

/// To the end of the line (ECMA-48, EL).
const ERASE_LINE: &str = "\x1b[K";

/// To the end of the screen (ECMA-48, ED).
const ERASE_BELOW: &str = "\x1b[J";

/// Shows the devices every `interval` until Ctrl-C, or until whoever reads has gone.
pub(crate) async fn run(client: &Client, interval: Duration) -> anyhow::Result<Exit> {
    let mut screen = Screen::open()?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let looking = async {
        loop {
            ticks.tick().await;
            // What the daemon reads of its devices all the time: looking costs them nothing.
            let devices: DevicesBody = client.get("/v1/devices").await?;
            screen.show(&devices)?;
        }
    };
    let ended: anyhow::Result<()> = tokio::select! {
        ended = looking => ended,
        ended = asked_to_end() => ended,
    };
    drop(screen);
    ended.map(|()| Exit::Ok)
}

/// Resolves at Ctrl-C, or when the process is to end.
async fn asked_to_end() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    let mut gone = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
        _ = gone.recv() => {}
    }
    Ok(())
}

/// Standard output; a terminal is as it was before when this is dropped.
struct Screen {
    terminal: bool,
}

impl Screen {
    fn open() -> std::io::Result<Self> {
        let screen = Self {
            terminal: std::io::stdout().is_terminal(),
        };
        if screen.terminal {
            write(ENTER)?;
        }
        Ok(screen)
    }

    fn show(&mut self, devices: &DevicesBody) -> std::io::Result<()> {
        if !self.terminal {
            return write(&lines(devices));
        }
        let (columns, lines) = terminal_size().map_or((COLUMNS, LINES), |(Width(columns), Height(lines))| {
            (usize::from(columns), usize::from(lines))
        });
        write(&frame(devices, columns, lines))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal {
            let _gone = write(LEAVE);
        }
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One picture of `columns` x `lines` characters.
fn frame(devices: &DevicesBody, columns: usize, lines: usize) -> String {
    let mut text = format!("mains devices   {}   Ctrl-C ends\n\n", devices.probed_at);
    text.push_str(&table(devices, columns));
    text.push('\n');
    for device in &devices.devices {
        text.push_str(&remarks(device));
    }
    for problem in &devices.problems {
        text.push_str(&format!("problem: {}: {}\n", problem.source, problem.error));
    }
    let mut picture = HOME.to_owned();
    let count = text.lines().count();
    // The last line has no end, which would scroll the picture.
    for (number, line) in text.lines().take(lines.max(1)).enumerate() {
        if number > 0 {
            picture.push_str("\r\n");
        }
        let hidden = number + 1 == lines && count > lines;
        let line = if hidden { "..." } else { line };
        picture.push_str(&cut(line, columns));
        picture.push_str(ERASE_LINE);
    }
    picture.push_str(ERASE_BELOW);
    picture
}

/// An id that leaves room for what changes.
fn short(id: &str) -> String {
    if id.width() <= ID_COLUMNS {
        return id.to_owned();
    }
    format!("{}..", cut(id, ID_COLUMNS - 2))
}

/// The widest of the tables that has room: names and the ends of ids go first, then bars.
fn table(devices: &DevicesBody, columns: usize) -> String {
    let layouts = [(true, true), (false, true), (false, false)];
    let mut tables = layouts
        .map(|(names, bars)| draw(devices, names, bars))
        .into_iter();
    let fits = |table: &String| table.lines().all(|line| line.width() <= columns);
    let narrowest = draw(devices, false, false);
    tables.find(fits).unwrap_or(narrowest)
}

fn draw(devices: &DevicesBody, names: bool, bars: bool) -> String {
    let mut headings = vec![("DEVICE", Align::Left)];
    if names {
        headings.push(("NAME", Align::Left));
    }
    if bars {
        headings.push(("MEMORY IN USE", Align::Left));
    }
    headings.extend([
        ("USED", Align::Right),
        ("TOTAL", Align::Right),
        ("BUSY", Align::Right),
        ("TEMP", Align::Right),
        ("POWER", Align::Right),
        ("HEALTH", Align::Left),
    ]);
    let mut table = Table::new(&headings);
    for device in &devices.devices {
        let Readings {
            used,
            total,
            busy,
            temperature,
            power,
        } = Readings::of(device);
        let mut cells = vec![if names {
            device.id.clone()
        } else {
            short(&device.id)
        }];
        if names {
            cells.push(device.name.clone());
        }
        if bars {
            cells.push(match (used, total) {
                (Some(used), Some(total)) => bar(used, total),
                _ => "-".to_owned(),
            });
        }
        cells.extend([size(used), size(total), busy, temperature, power]);
        cells.push(device.health.state.clone());
        table.row(cells);
    }
    table.render()
}

/// A line a device, each whole in itself: for a log or another program's eyes.
fn lines(devices: &DevicesBody) -> String {
    let mut text = String::new();
    for device in &devices.devices {
        let Readings {
            used,
            total,
            busy,
            temperature,
            power,
        } = Readings::of(device);
        let (used, total) = (size(used), size(total));
        let health = &device.health;
        let reasons = if health.reasons.is_empty() {
            String::new()
        } else {
            format!(" ({})", health.reasons.join("; "))
        };
        let line = format!(
            "{} {} memory {used} of {total}, busy {busy}, temperature {temperature}, power {power}, {}{reasons}",
            devices.probed_at, device.id, health.state
        );
        text.extend(line.chars().map(|c| if c.is_control() { ' ' } else { c }));
        text.push('\n');
    }
    text
}

/// What changes of a device, in words; `-` where it is not known.
struct Readings {
    used: Option<u64>,
    total: Option<u64>,
    busy: String,
    temperature: String,
    power: String,
}

impl Readings {
    fn of(device: &DeviceBody) -> Self {
        let unknown = || "-".to_owned();
        let memory = device.memory.as_ref();
        let free = memory.and_then(|memory| memory.free_bytes);
        let total = memory.map(|memory| memory.total_bytes);
        let share = |share: f64| format!("{:.0} %", share * 100.0);
        let power = match (device.power_w, device.power_limit_w) {
            (Some(now), Some(most)) => format!("{now:.0} of {most:.0} W"),
            (Some(now), None) => format!("{now:.0} W"),
            (None, _) => unknown(),
        };
        Self {
            used: total.zip(free).map(|(total, free)| total.saturating_sub(free)),
            total,
            busy: device.utilization.map_or_else(unknown, share),
            temperature: device
                .temperature_c
                .map_or_else(unknown, |degrees| format!("{degrees:.0} C")),
            power,
        }
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| Bytes(bytes).to_string())
}

/// As much of `line` as has room, without control characters.
fn cut(line: &str, columns: usize) -> String {
    let mut left = columns;
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take_while(|c| {
            let width = c.width().unwrap_or(0);
            let room = width <= left;
            left = left.saturating_sub(width);
            room
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use mains_wire::http::DevicesBody;
    use proptest::prelude::*;
    use serde_json::json;
    use unicode_width::UnicodeWidthStr;

    use super::{ERASE_BELOW, ERASE_LINE, HOME, cut, frame, lines, short};

    fn devices() -> DevicesBody {
        serde_json::from_value(json!({
            "devices": [
                {"id": "cpu", "name": "A CPU", "kind": "cpu", "memory": {"total_bytes": 4_u64 << 30, "free_bytes": 1_u64 << 30, "shared": true},
                 "sources": ["cpu"], "usable_by": ["cpu"], "features": [], "utilization": 0.52, "health": {"state": "ok", "reasons": []}},
                {"id": "gpu:1", "name": "A card", "kind": "gpu", "sources": ["nvml"], "usable_by": [], "features": [],
                 "temperature_c": 71.4, "power_w": 210.2, "power_limit_w": 300.0,
                 "health": {"state": "degraded", "reasons": ["it is hot"]}}],
            "problems": [], "probed_at": "2026-11-24T08:00:00Z"}))
        .unwrap()
    }

    fn drawn(columns: usize, lines: usize) -> Vec<String> {
        let picture = frame(&devices(), columns, lines);
        let picture = picture.strip_prefix(HOME).unwrap();
        let picture = picture.strip_suffix(ERASE_BELOW).unwrap();
        picture
            .split("\r\n")
            .map(|line| line.strip_suffix(ERASE_LINE).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_wide_terminal_shows_all() {
        assert_eq!(
            drawn(120, 24),
            [
                "mains devices   2026-11-24T08:00:00Z   Ctrl-C ends",
                "",
                "DEVICE  NAME    MEMORY IN USE              USED    TOTAL  BUSY  TEMP         POWER  HEALTH",
                "cpu     A CPU   [###############.....]  3.0 GiB  4.0 GiB  52 %     -             -  ok",
                "gpu:1   A card  -                             -        -     -  71 C  210 of 300 W  degraded",
                "",
                "gpu:1: degraded: it is hot",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_leaves_out_names_then_bars_then_ends_of_lines() {
        let widths = |columns| drawn(columns, 24).iter().map(|line| line.width()).max().unwrap();
        assert!(drawn(88, 24)[2].starts_with("DEVICE  MEMORY IN USE"));
        assert!(drawn(70, 24)[2].starts_with("DEVICE     USED"));
        for columns in [120, 88, 70, 30, 8, 1] {
            assert!(widths(columns) <= columns);
        }
    }

    #[test]
    fn a_long_id_leaves_room_for_what_changes() {
        assert_eq!(short("gpu:0000:01:00.0"), "gpu:0000:01:00.0");
        assert_eq!(short("software:6d65736132322e33"), "software:6d657..");
    }

    #[test]
    fn a_low_terminal_says_that_there_is_more() {
        assert_eq!(drawn(120, 4).last().unwrap(), "...");
        assert_eq!(drawn(120, 4).len(), 4);
    }

    #[test]
    fn a_pipe_gets_whole_lines() {
        assert_eq!(
            lines(&devices()),
            "2026-11-24T08:00:00Z cpu memory 3.0 GiB of 4.0 GiB, busy 52 %, temperature -, power -, ok\n\
             2026-11-24T08:00:00Z gpu:1 memory - of -, busy -, temperature 71 C, power 210 of 300 W, degraded (it is hot)\n"
        );
    }

    proptest! {
        #[test]
        fn a_line_never_leaves_its_terminal(line in "\\PC{0,40}", columns in 0_usize..60) {
            prop_assert!(cut(&line, columns).width() <= columns);
        }
    }
}
