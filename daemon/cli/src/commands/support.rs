//! `mains support-bundle`: what a vendor needs to help, listed before it is written. The daemon leaves out prompts, answers
//! and secrets: it never has the first two in its state, and its configuration is given without the last.

use std::fs::File;
use std::io::Write;

use anyhow::Context;
use jiff::Timestamp;
use mains_contract::Bytes;
use mains_wire::http::SupportBody;

use crate::args::SupportBundleArgs;
use crate::exit::Exit;
use crate::output;
use crate::sockets::Sockets;
use crate::table::{Align, Table};

/// The files of the machine that tell what it is; none of them names a person.
const MACHINE_FILES: [&str; 4] = [
    "/etc/os-release",
    "/proc/version",
    "/proc/meminfo",
    "/proc/cpuinfo",
];

/// One file of a bundle.
struct Entry {
    name: String,
    about: &'static str,
    content: Vec<u8>,
}

/// Lists the bundle and, unless only the list is wanted, writes it.
pub(crate) async fn run(sockets: &Sockets, args: &SupportBundleArgs) -> anyhow::Result<Exit> {
    let support: SupportBody = sockets.admin.get("/admin/support").await?;
    let mut entries = daemon_entries(&support)?;
    entries.extend(machine_entries());
    let mut table = Table::new(&[
        ("FILE", Align::Left),
        ("SIZE", Align::Right),
        ("WHAT IT IS", Align::Left),
    ]);
    for entry in &entries {
        table.row([
            entry.name.clone(),
            Bytes::from(entry.content.len()).to_string(),
            entry.about.to_owned(),
        ]);
    }
    output::text(&table.render())?;
    if args.list {
        return Ok(Exit::Ok);
    }
    let path = args.out.display().to_string();
    let file = File::options()
        .write(true)
        .create_new(true)
        .open(&args.out)
        .with_context(|| path.clone())?;
    write(&entries, file).with_context(|| path.clone())?;
    output::text(&format!(
        "written to {path}; it holds no prompts, answers or secrets\n"
    ))?;
    Ok(Exit::Ok)
}

fn daemon_entries(support: &SupportBody) -> anyhow::Result<Vec<Entry>> {
    let json = |name: &str, about, content: Vec<u8>| Entry {
        name: name.to_owned(),
        about,
        content,
    };
    let mut log = Vec::new();
    for line in &support.log {
        serde_json::to_writer(&mut log, line)?;
        log.push(b'\n');
    }
    Ok(vec![
        json(
            "status.json",
            "state of the daemon and its models",
            serde_json::to_vec_pretty(&support.status)?,
        ),
        json(
            "devices.json",
            "devices as the probes see them",
            serde_json::to_vec_pretty(&support.devices)?,
        ),
        json(
            "plans.json",
            "where each model goes and its bytes",
            serde_json::to_vec_pretty(&support.plans)?,
        ),
        json(
            "without-plan.json",
            "models that have no plan, and why",
            serde_json::to_vec_pretty(&support.without_plan)?,
        ),
        json(
            "mains.toml",
            "the configuration in force, secrets removed",
            support.configuration.clone().into_bytes(),
        ),
        json("log.ndjson", "the newest log lines", log),
    ])
}

fn machine_entries() -> impl Iterator<Item = Entry> {
    MACHINE_FILES.iter().filter_map(|path| {
        let content = std::fs::read(path).ok()?;
        Some(Entry {
            name: path.trim_start_matches('/').replace('/', "-"),
            about: "the machine and its system",
            content,
        })
    })
}

fn write(entries: &[Entry], mut file: File) -> anyhow::Result<()> {
    let mut tar = tar::Builder::new(Vec::new());
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(entry.content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now);
        tar.append_data(
            &mut header,
            format!("mains-support/{}", entry.name),
            entry.content.as_slice(),
        )?;
    }
    file.write_all(&tar.into_inner()?)?;
    Ok(file.sync_all()?)
}
