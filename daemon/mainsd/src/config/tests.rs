//! The configuration from its text to the settings.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::settings::{Names, Source};
use super::{ConfigError, ConfigFile, Places, Settings, changes};

struct TwoNames;

impl Names for TwoNames {
    fn uid(&self, name: &str) -> Option<u32> {
        (name == "joe").then_some(1000)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        (name == "lab").then_some(2000)
    }
}

fn places(system: bool) -> Places {
    Places {
        system,
        config: "/etc/mains/mains.toml".into(),
        socket: "/run/mains/mains.sock".into(),
        state_dir: "/var/lib/mains".into(),
        worker: "/usr/bin/mains-worker".into(),
    }
}

fn parse_in(text: &str, system: bool) -> Result<Settings, ConfigError> {
    let path = Path::new("/etc/mains/mains.toml");
    let source = Source { path, text };
    Settings::resolve(
        ConfigFile::parse(text, path)?,
        &source,
        &places(system),
        7,
        &TwoNames,
    )
}

fn parse(text: &str) -> Result<Settings, ConfigError> {
    parse_in(text, true)
}

const WHOLE: &str = r#"
[daemon]
socket = "/run/other/mains.sock"
keep_alive = "forever"
queue_limit = 3
log_level = "debug"
workers = "fork"
drain_timeout = "10s"

[ledger]
retention_days = 30

[store]
cache = "2GiB"

[teams.science]
users = ["joe", 1001]
groups = ["lab"]

[models.small]
path = "small.gguf"
pin = true
keep_alive = "1h"
context = 4096
"#;

#[test]
fn a_whole_file() {
    let settings = parse(WHOLE).unwrap();
    assert_eq!(settings.admin_socket, Path::new("/run/other/admin.sock"));
    assert_eq!(settings.supervisor.keep_alive, None);
    assert_eq!(settings.supervisor.queue_limit, 3);
    assert_eq!(settings.retention_days, Some(30));
    assert_eq!(settings.supervisor.cache, Some(2 << 30));
    assert_eq!(settings.access.teams.users[&1000], "science");
    assert_eq!(settings.access.teams.users[&1001], "science");
    assert_eq!(settings.access.teams.groups[&2000], "science");
    let model = &settings.supervisor.models[0];
    assert_eq!(model.path.as_deref(), Some(Path::new("/etc/mains/small.gguf")));
    assert_eq!(model.keep_alive, Some(Duration::from_hours(1)));
    assert_eq!(model.demand.context, Some(4096));
}

#[test]
fn without_teams_an_installed_daemon_answers_nobody_and_a_users_own_answers_him() {
    assert!(parse_in("", true).unwrap().access.teams.users.is_empty());
    let own = parse_in("", false).unwrap().access;
    assert_eq!(own.teams.users[&7], "default");
    assert!(own.admin_uids.contains(&7));
}

#[test]
fn errors_name_line_and_key() {
    for (text, line, word) in [
        ("[daemon]\n\nfoo = 1\n", 3, "foo"),
        ("[daemon]\nqueue_limit = \"x\"\n", 2, "queue_limit"),
        ("[daemon]\nqueue_limit = 10001\n", 2, "daemon.queue_limit"),
        ("[daemon]\nkeep_alive = \"5 m\"\n", 2, "keep_alive"),
        ("[daemon]\nlog_level = \"loud\"\n", 2, "log_level"),
        ("[daemon]\ndrain_timeout = \"3m\"\n", 2, "daemon.drain_timeout"),
        ("[store]\ncache = \"2 GB\"\n", 2, "store.cache"),
        ("[devices]\nwatch_every = \"0s\"\n", 2, "devices.watch_every"),
        (
            "[devices]\nwatch_every = \"10s\"\nprobe_every = \"8d\"\n",
            3,
            "devices.probe_every",
        ),
        ("[daemon]\nthreads = 0\n", 2, "daemon.threads"),
        ("[daemon]\nadmin_group = \"nix\"\n", 2, "daemon.admin_group"),
        ("[daemon]\nsocket = \"/a\"\nsocket = \"/b\"\n", 3, "socket"),
        ("[ledger]\nretention_days = 0\n", 2, "ledger.retention_days"),
        (
            "[teams.a]\nusers = [\n  \"joe\",\n  \"jim\",\n]\n",
            4,
            "teams.a.users",
        ),
        ("[teams.a]\nusers = [-1]\n", 2, "users"),
        (
            "[teams.a]\nusers = [5]\n[teams.b]\nusers = [5]\n",
            4,
            "teams.b.users",
        ),
        ("[teams.a]\nweight = 2\n", 2, "weight"),
        ("\n[models.\"a b\"]\npath = \"/x\"\n", 2, "models."),
        ("[models.a]\nkeep_alive = \"forever\"\n", 2, "models.a.keep_alive"),
        ("[models.a]\ncontext = 0\n", 2, "models.a.context"),
        ("[models.a\n", 1, "models"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(
            error.starts_with(&format!("/etc/mains/mains.toml:{line}: ")),
            "{text}: {error}"
        );
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn a_reload_names_what_it_changes() {
    let old = parse(WHOLE).unwrap();
    assert_eq!(changes(&old, &old), Ok(Vec::new()));
    let new = parse(
        &WHOLE
            .replace("[models.small]", "[models.big]")
            .replace("= 30", "= 31"),
    )
    .unwrap();
    assert_eq!(
        changes(&old, &new).unwrap(),
        [
            "model small removed",
            "model big added",
            "ledger.retention_days changed"
        ]
    );
    let moved = parse(&WHOLE.replace("/run/other", "/run/third")).unwrap();
    let refused = changes(&old, &moved).unwrap_err();
    assert!(
        refused.contains("daemon.socket, daemon.admin_socket"),
        "{refused}"
    );
}

#[test]
fn what_is_in_force_can_be_written_and_read() {
    let settings = parse(WHOLE).unwrap();
    let again = parse(&settings.to_toml()).unwrap();
    assert_eq!(changes(&settings, &again), Ok(Vec::new()));
}

#[test]
fn measuring_in_the_background_is_bounded_and_can_be_forbidden() {
    let background = |text| parse(text).unwrap().supervisor.background;
    let default = background("").unwrap();
    assert_eq!((default.after, default.groups), (Duration::from_secs(60), 256));
    let some = "[measure]\nafter = \"1s\"\nmost = \"1m\"\ngroups = 3\ntexts = 2\n";
    let some = background(some).unwrap();
    assert_eq!(
        (some.after, some.most),
        (Duration::from_secs(1), Duration::from_secs(60))
    );
    assert_eq!((some.groups, some.texts), (3, 2));
    assert_eq!(background("[measure]\nbackground = false\n"), None);
    for (line, key) in [
        ("after = \"0s\"", "measure.after"),
        ("most = \"8d\"", "measure.most"),
        ("groups = 0", "measure.groups"),
        ("texts = 1001", "measure.texts"),
    ] {
        let error = parse(&format!("[measure]\n{line}\n")).unwrap_err().to_string();
        assert!(
            error.starts_with("/etc/mains/mains.toml:2: ") && error.contains(key),
            "{error}"
        );
    }
    let (on, off) = (
        parse("").unwrap(),
        parse("[measure]\nbackground = false\n").unwrap(),
    );
    assert_eq!(changes(&on, &off), Ok(vec!["measure changed".to_owned()]));
}

/// Every key of the example, with its default, is there as a comment; without the marks it is a file that we read.
#[test]
fn the_example_is_read() {
    let example = include_str!("../../../../packaging/mains.toml");
    parse(example).unwrap();
    let lines = example
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line));
    let uncommented: Vec<&str> = lines.collect();
    let file = ConfigFile::parse(&uncommented.join("\n"), Path::new("mains.toml")).unwrap();
    assert!(!file.models.is_empty() && !file.teams.is_empty());
    let daemon = file.daemon;
    assert!(daemon.socket.is_some() && daemon.queue_limit.is_some() && daemon.drain_timeout.is_some());
}

proptest! {
    #[test]
    fn any_text_is_settings_or_an_error(text in "(\\[(daemon|teams\\.a|models\\.b|ledger|store)\\]\n|[a-z_]{1,9} = (\"\\PC{0,6}\"|-?[0-9]{1,12}|true|\\[\\])\n){0,8}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().starts_with("/etc/mains/mains.toml:"));
        }
    }
}
