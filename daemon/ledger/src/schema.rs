//! The tables, who may open them, and how an older file becomes a newer one.
//!
//! Rule of versions: `PRAGMA user_version` is the version that last wrote the tables; `meta.min_reader` is the lowest
//! version that a program must know to read and write them. Migrations only add, so that the version before goes on
//! working and `min_reader` stays behind; a file with a `min_reader` above ours is refused.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use crate::LedgerError;
use crate::files::{Files, sqlite_error};

/// "main" in ASCII: `PRAGMA application_id`, which `file(1)` shows.
pub(crate) const APPLICATION_ID: i64 = 0x6d61_696e;

/// What makes one version of the one before.
pub(crate) struct Migration {
    /// Statements that only add.
    pub(crate) sql: &'static str,
    /// The lowest version that a program must know after this.
    pub(crate) min_reader: i64,
}

/// Every migration; version N is what the first N make.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    sql: "
        CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
        CREATE TABLE requests (
            row INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            time_ms INTEGER NOT NULL,
            team TEXT NOT NULL,
            uid INTEGER NOT NULL,
            pid INTEGER,
            unit TEXT,
            model TEXT NOT NULL,
            variant TEXT,
            device TEXT,
            prompt_tokens INTEGER,
            cached_tokens INTEGER,
            completion_tokens INTEGER,
            leased_tokens INTEGER NOT NULL,
            queue_ms INTEGER,
            first_token_ms INTEGER,
            total_ms INTEGER,
            finish_reason TEXT,
            error TEXT,
            settled TEXT CHECK (settled IN ('exact', 'lease')),
            CHECK (settled IS NULL OR completion_tokens IS NOT NULL)
        ) STRICT;
        CREATE INDEX requests_time ON requests (time_ms);
        CREATE INDEX requests_open ON requests (row) WHERE settled IS NULL;
        CREATE TABLE day_totals (
            day TEXT NOT NULL,
            team TEXT NOT NULL,
            model TEXT NOT NULL,
            requests INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            PRIMARY KEY (day, team, model)
        ) STRICT, WITHOUT ROWID;
    ",
    min_reader: 1,
}];

/// Whether `connection` is a ledger that this program may open. A new, empty file is one of version 0.
///
/// # Errors
/// [`LedgerError::NotALedger`], [`LedgerError::TooNew`] or [`LedgerError::Damaged`]; nothing was written then.
pub(crate) fn version(connection: &Connection, path: &Path, known: i64) -> Result<i64, LedgerError> {
    let foreign = |reason: String| LedgerError::NotALedger {
        path: path.to_owned(),
        reason,
    };
    let number = |pragma: &str| {
        connection
            .query_row(pragma, [], |row| row.get::<_, i64>(0))
            .map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => foreign("not an SQLite database".to_owned()),
                Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged {
                    path: path.to_owned(),
                    report: error.to_string(),
                },
                _ => sqlite_error(path, "reading the header")(error),
            })
    };
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if tables == 0 && application == 0 && version == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(foreign(format!(
            "application id {application:#x}, a ledger has {APPLICATION_ID:#x}"
        )));
    }
    if version < 1 {
        return Err(foreign("it has no ledger version".to_owned()));
    }
    let needed = connection
        .query_row("SELECT value FROM meta WHERE key = 'min_reader'", [], |row| {
            row.get(0)
        })
        .optional()
        .map_err(sqlite_error(path, "reading the ledger's version"))?
        .unwrap_or(version);
    if needed > known {
        return Err(LedgerError::TooNew {
            path: path.to_owned(),
            needed,
            known,
        });
    }
    Ok(version)
}

/// Brings a ledger of version `from` up to the last of `migrations`. A backup of the older file precedes each.
///
/// # Errors
/// [`LedgerError`] when a backup or a migration fails; the file is then as the last one that succeeded left it.
pub(crate) fn migrate(
    connection: &mut Connection,
    files: &Files,
    from: i64,
    migrations: &[Migration],
) -> Result<(), LedgerError> {
    for (version, migration) in (1_i64..).zip(migrations) {
        if version <= from {
            continue;
        }
        let backup = files.before_version(version);
        // One that is there is of a try that failed later: the same rows.
        if version > 1 && !backup.exists() {
            crate::backup::copy(connection, &backup)?;
        }
        apply(connection, version, migration).map_err(sqlite_error(&files.database, "migrating"))?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, version: i64, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('min_reader', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1",
        [migration.min_reader],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// The version that this program writes.
pub(crate) const fn known() -> i64 {
    MIGRATIONS.len().cast_signed() as i64
}

#[cfg(test)]
mod tests {
    use rusqlite::OpenFlags;

    use super::*;
    use crate::files::connect;

    #[test]
    fn migrations_only_add() {
        for migration in MIGRATIONS {
            for statement in migration
                .sql
                .split(';')
                .map(str::trim)
                .filter(|text| !text.is_empty())
            {
                let adds = statement.starts_with("CREATE ")
                    || (statement.starts_with("ALTER TABLE ") && statement.contains(" ADD COLUMN "));
                assert!(adds, "{statement}");
            }
        }
    }

    #[test]
    fn a_backup_precedes_a_migration() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(&folder.path().join("usage.db"));
        files.create().unwrap();
        let mut db = files.writer(None).unwrap();
        let [first] = MIGRATIONS else {
            panic!("write this test for the newest migration")
        };
        let more = [
            Migration {
                sql: first.sql,
                min_reader: 1,
            },
            Migration {
                sql: "ALTER TABLE requests ADD COLUMN images INTEGER",
                min_reader: 1,
            },
            Migration {
                sql: "CREATE TABLE broken (",
                min_reader: 3,
            },
        ];
        migrate(&mut db, &files, 0, &more[..1]).unwrap();
        assert!(!files.before_version(1).exists());
        migrate(&mut db, &files, 1, &more).unwrap_err();
        assert_eq!(version(&db, &files.database, 1), Ok(2));
        db.prepare("SELECT images FROM requests").unwrap();
        let backup = files.before_version(2);
        let old = connect(&backup, OpenFlags::SQLITE_OPEN_READ_ONLY, None).unwrap();
        assert_eq!(version(&old, &backup, 1), Ok(1));
        assert!(old.prepare("SELECT images FROM requests").is_err());
        assert!(files.before_version(3).exists());
        migrate(&mut db, &files, 2, &more[..2]).unwrap();
    }
}
