//! The sensitivity table as a file, saved after each group so that a run can be taken up again.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mains_contract::BlockFormat;
use mains_measure::Measured;
use mains_types::GroupSensitivity;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// What the model and the texts were: another run goes on only with the same.
    pub(crate) of: String,
    /// Groups measured end to end: name and nats a token in the coarsest type.
    pub(crate) measured: Vec<(String, f64)>,
    /// Damages of every type; empty until all that is to be measured was.
    pub(crate) groups: Vec<Group>,
    /// Types of cached keys and values: nats a token.
    #[serde(default)]
    pub(crate) kv: Vec<(String, f64)>,
    /// Whole choices: what their damages add up to, what was found, and their bytes; growing.
    pub(crate) whole: Vec<(f64, f64, u64)>,
}

/// Damages of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) tensors: Vec<String>,
    /// A type and nats a token.
    pub(crate) damages: Vec<(String, f64)>,
}

impl Table {
    /// The table in the file, or an empty one when there is no file.
    pub(crate) fn open(path: &Path, of: &str) -> Result<Self> {
        let at = || path.display().to_string();
        if !path.exists() {
            return Ok(Self {
                of: of.to_owned(),
                ..Self::default()
            });
        }
        let table: Self = serde_json::from_slice(&std::fs::read(path).with_context(at)?).with_context(at)?;
        ensure!(
            table.of == of,
            "{}: it is of {}, not of {of}; give another file",
            path.display(),
            table.of
        );
        Ok(table)
    }

    /// Replaces the file.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        replace(path, &serde_json::to_vec_pretty(self)?).with_context(|| path.display().to_string())
    }

    pub(crate) fn known(&self) -> Vec<Measured> {
        let known = self.measured.iter();
        known
            .map(|(name, damage)| Measured {
                name: name.clone(),
                damage: *damage,
            })
            .collect()
    }

    pub(crate) fn set_groups(&mut self, rows: &[GroupSensitivity]) {
        let group = |row: &GroupSensitivity| Group {
            name: row.name.clone(),
            tensors: row.tensors.clone(),
            damages: row
                .damages
                .iter()
                .map(|(format, damage)| (format.to_string(), *damage))
                .collect(),
        };
        self.groups = rows.iter().map(group).collect();
    }

    /// The damages, for a knapsack.
    pub(crate) fn rows(&self) -> Result<Vec<GroupSensitivity>> {
        let damage = |(format, damage): &(String, f64)| {
            let format =
                BlockFormat::from_name(format).with_context(|| format!("no format is called {format}"))?;
            Ok((format, *damage))
        };
        let row = |group: &Group| {
            let (name, tensors) = (group.name.clone(), group.tensors.clone());
            let damages = group.damages.iter().map(damage).collect::<Result<_>>()?;
            Ok(GroupSensitivity {
                name,
                tensors,
                damages,
            })
        };
        self.groups.iter().map(row).collect()
    }
}

/// Writes a file under a temporary name beside it, syncs it and renames it over the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Group, Table};

    #[test]
    fn a_table_is_taken_up_by_the_same_measurement_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.json");
        let mut table = Table::open(&path, "pilot").unwrap();
        table.measured.push(("blk.0.attn_q.weight".to_owned(), 0.5));
        table.groups.push(Group {
            name: "a".to_owned(),
            tensors: vec!["a".to_owned()],
            damages: vec![("Q4_K".to_owned(), 0.25)],
        });
        table.save(&path).unwrap();
        let again = Table::open(&path, "pilot").unwrap();
        assert_eq!(again, table);
        assert_eq!(again.known()[0].damage, 0.5);
        assert_eq!(again.rows().unwrap()[0].damages[0].1, 0.25);
        assert!(
            Table::open(&path, "another")
                .unwrap_err()
                .to_string()
                .contains("it is of pilot")
        );
        table.groups[0].damages[0].0 = "Q9".to_owned();
        assert!(table.rows().is_err());
    }
}
