//! The settings in force, as the file would have them.

use mains_supervisor::ModelConfig;
use toml::{Table, Value};

use super::Settings;
use super::span::text;

impl Settings {
    /// As TOML, users and groups by number. There are no secrets in a configuration.
    pub(crate) fn to_toml(&self) -> String {
        let mut file = Table::new();
        file.insert("daemon".to_owned(), Value::Table(self.daemon()));
        let devices = [
            ("watch_every", self.devices.watch_every),
            ("probe_every", self.devices.probe_every),
        ];
        let devices = devices.map(|(key, span)| (key.to_owned(), Value::from(text(span))));
        file.insert("devices".to_owned(), Value::Table(Table::from_iter(devices)));
        file.insert("measure".to_owned(), Value::Table(self.measure()));
        if let Some(days) = self.retention_days {
            let ledger = Table::from_iter([("retention_days".to_owned(), Value::from(days))]);
            file.insert("ledger".to_owned(), Value::Table(ledger));
        }
        if let Some(bytes) = self.supervisor.cache {
            let store = Table::from_iter([("cache".to_owned(), Value::from(bytes.to_string()))]);
            file.insert("store".to_owned(), Value::Table(store));
        }
        file.insert("teams".to_owned(), Value::Table(self.teams()));
        let models = self.supervisor.models.iter();
        let models: Table = models
            .map(|model_config| (model_config.name.clone(), Value::Table(model(model_config))))
            .collect();
        file.insert("models".to_owned(), Value::Table(models));
        file.to_string()
    }

    fn daemon(&self) -> Table {
        let path = |path: &std::path::Path| Value::from(path.display().to_string());
        let supervisor = &self.supervisor;
        let keep_alive = supervisor.keep_alive.map_or_else(|| "forever".to_owned(), text);
        let mut daemon = Table::from_iter(
            [
                ("socket", path(&self.socket)),
                ("admin_socket", path(&self.admin_socket)),
                ("state_dir", path(&supervisor.state_dir)),
                ("worker", path(&self.worker)),
                ("workers", self.workers.name().into()),
                ("log_level", self.log_level.name().into()),
                ("keep_alive", keep_alive.into()),
                ("queue_limit", number(supervisor.queue_limit)),
                ("queue_timeout", text(supervisor.queue_timeout).into()),
                ("load_timeout", text(supervisor.load_timeout).into()),
                ("drain_timeout", text(self.drain_timeout).into()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        if let Some(threads) = supervisor.threads {
            daemon.insert("threads".to_owned(), Value::from(threads));
        }
        daemon
    }

    fn measure(&self) -> Table {
        let config = self.supervisor.background;
        let mut measure = Table::from_iter([("background".to_owned(), Value::from(config.is_some()))]);
        if let Some(config) = config {
            measure.extend(
                [
                    ("after", text(config.after).into()),
                    ("most", text(config.most).into()),
                    ("groups", Value::from(config.groups)),
                    ("texts", Value::from(config.texts)),
                ]
                .map(|(key, value)| (key.to_owned(), value)),
            );
        }
        measure
    }

    fn teams(&self) -> Table {
        let mut teams = Table::new();
        let map = &self.access.teams;
        for (members, kind) in [(&map.users, "users"), (&map.groups, "groups")] {
            let mut members: Vec<(&u32, &String)> = members.iter().collect();
            members.sort_unstable();
            for (id, team) in members {
                let team = teams
                    .entry(team.clone())
                    .or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(team) = team
                    && let Value::Array(ids) = team.entry(kind).or_insert_with(|| Value::Array(Vec::new()))
                {
                    ids.push(Value::from(*id));
                }
            }
        }
        teams
    }
}

fn model(model: &ModelConfig) -> Table {
    let demand = &model.demand;
    [
        (
            "path",
            model.path.as_ref().map(|path| path.display().to_string().into()),
        ),
        ("preload", Some(model.preload.into())),
        ("pin", Some(model.pin.into())),
        ("keep_alive", model.keep_alive.map(|span| text(span).into())),
        ("context", demand.context.map(Value::from)),
        ("parallel", demand.parallel.map(Value::from)),
        ("device", demand.device_list().map(Value::from)),
        ("policy", demand.policy.map(|policy| policy.name().into())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

fn number(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
