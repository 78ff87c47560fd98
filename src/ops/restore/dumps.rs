//! Dumps that are about to come: of which databases, as what, and where they lie.

use std::path::{Path, PathBuf};

use super::about::About;
use super::{Options, Part, about_same_kind, staging};
use crate::format::path::RelPath;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::origin::Origin;
use crate::ops::snapshots::Found;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::standing::Standing;
use crate::ops::{Context, Error};
use crate::source::mysql::{DUMP_FILE, DatabaseFacts, Facts, Reference, TABLES_MAX, folder_of};

/// The dumps of a restore.
pub(super) struct Dumps {
    /// The snapshot they are of, or the instant of an old copy.
    pub(super) id: SnapshotId,
    pub(super) databases: Vec<Dump>,
    /// What is known of the server they are of.
    pub(super) facts: Option<Facts>,
    /// Where they come from; nothing when they lie in a folder already.
    pub(super) found: Option<Found>,
    pub(super) files: u64,
    /// Bytes of all files that come.
    pub(super) bytes: u64,
    pub(super) download_bytes: u64,
    pub(super) warnings: Vec<String>,
}

/// The dump of one database.
pub(super) struct Dump {
    /// The database's name when it was dumped.
    pub(super) original: String,
    /// The name it will have.
    pub(super) live: String,
    /// Only this table.
    pub(super) table: Option<String>,
    /// Where it lies: in the snapshot, or on this machine.
    pub(super) file: PathBuf,
    pub(super) character_set: String,
    pub(super) collation: String,
}

/// What of a dump is restored, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    original: String,
    live: String,
    table: Option<String>,
}

impl Dumps {
    /// What is restored. A plan that cannot read the snapshot's facts goes by the source's databases, and a run that finds the facts elsewhere
    /// by those: it must not do more than a person has agreed to.
    pub(super) fn parts(&self) -> Vec<Whole> {
        let part = |dump: &Dump| Whole { original: dump.original.clone(), live: dump.live.clone(), table: dump.table.clone() };
        self.databases.iter().map(part).collect()
    }

    /// That it is what was planned.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(super) fn check_planned(&self, planned: &[Whole]) -> Result<(), Error> {
        let found = self.parts();
        if found == planned {
            return Ok(());
        }
        let told = |parts: &[Whole]| {
            let one =
                |part: &Whole| part.table.as_ref().map_or_else(|| format!("`{}`", part.live), |table| format!("`{}`.`{table}`", part.live));
            parts.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        Err(Error::Refused(format!(
            "the plan was to restore {}, and the snapshot, whose facts could not be read then, holds {}: say with --database which one is to be \
             restored, or restore from an intact copy; nothing was changed",
            told(planned),
            told(&found)
        )))
    }

    /// The facts of a dump's database.
    fn facts_of(&self, dump: &Dump) -> Option<&DatabaseFacts> {
        self.facts.iter().flat_map(|facts| &facts.databases).find(|database| database.name == dump.original)
    }

    /// The foreign keys into other databases that are known to come with each dump, in their order.
    pub(super) fn known_references(&self) -> Vec<Vec<Reference>> {
        let known = |dump: &Dump| self.facts_of(dump).map(|facts| facts.references.clone()).unwrap_or_default();
        self.databases.iter().map(known).collect()
    }

    /// The tables that are known to come with each dump, in their order. Of a database with very many only some are known.
    pub(super) fn known_tables(&self) -> Vec<Vec<String>> {
        let known = |dump: &Dump| match (&dump.table, self.facts_of(dump)) {
            (Some(table), _) => vec![table.clone()],
            (None, Some(facts)) => facts.tables.iter().map(|table| table.name.clone()).collect(),
            (None, None) => Vec::new(),
        };
        self.databases.iter().map(known).collect()
    }

    /// That no more tables come than can change places with what is live: this is known before anything is loaded.
    ///
    /// # Errors
    /// [`Error::Refused`], with what can be done instead.
    pub(super) fn check_count(&self) -> Result<(), Error> {
        let count = |dump: &Dump| self.facts_of(dump).filter(|_| dump.table.is_none()).map_or(0, |facts| facts.table_count);
        let Some(dump) = self.databases.iter().find(|dump| count(dump) > TABLES_MAX as u64) else { return Ok(()) };
        Err(Error::Refused(format!(
            "the snapshot holds {} tables of `{}`, and no more than {TABLES_MAX} can be moved at once, also under another name: a single table can be \
             restored (--table), the whole by hand (docs/OPERATIONS.md, A dump by hand)",
            count(dump),
            dump.original
        )))
    }

    /// Their files in the snapshot.
    pub(super) fn paths(&self) -> Result<Vec<RelPath>, Error> {
        paths_of(&self.databases)
    }

    /// The `sql_mode` of the server they are of.
    pub(super) fn sql_mode(&self) -> Option<&str> {
        self.facts.as_ref().map(|facts| facts.sql_mode.as_str())
    }
}

/// The dumps in a snapshot, or the part of them that is asked for. Facts that lie damaged are looked for elsewhere only in a `search`.
pub(super) fn of_snapshot(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    found: Found,
    options: &Options,
    search: bool,
) -> Result<Dumps, Error> {
    let standing = Standing::of(&found);
    let about = if search { standing.judge(About::of(ctx, &found, true))? } else { about_same_kind(ctx, spec, &found, &standing)? };
    let facts: Option<Facts> = serde_json::from_value(about.facts.clone()).ok();
    let mut databases = match &facts {
        Some(facts) => {
            facts.databases.iter().map(|database| Dump::new(&database.name, &database.character_set, &database.collation)).collect()
        }
        // Without facts, their names are those that the source has now.
        None => settings.databases.iter().map(|name| Dump::new(name, "", "")).collect::<Vec<_>>(),
    };
    let mut warnings = about.warnings(&found, spec);
    let names = |dumps: &[Dump]| dumps.iter().map(|dump| dump.original.clone()).collect::<Vec<_>>();
    if options.part.rename.is_none() && names(&databases) != settings.databases {
        warnings.push(format!(
            "the snapshot holds the databases {}, and the source is {} now: what the snapshot holds is restored",
            names(&databases).join(", "),
            settings.databases.join(", ")
        ));
    }
    let all = databases.len();
    select(&mut databases, &options.part)?;
    check_folders(&databases, &options.from)?;
    check_snapshot(ctx, &found, &databases, &options.from)?;
    let paths = paths_of(&databases)?;
    let download_bytes = standing.judge(staging::download_size(ctx, &found, options, &mut |line| paths.contains(line.path())))?;
    // A list that cannot be read is met when it is needed; until then the whole is as good as can be told.
    let part = (databases.len() < all).then(|| staging::size_of(ctx, &found, &paths).ok()).flatten();
    Ok(Dumps {
        id: found.id,
        files: databases.len() as u64,
        databases,
        facts,
        found: Some(found),
        bytes: part.unwrap_or(about.bytes),
        download_bytes,
        warnings,
    })
}

/// That a dump lies in one of the folders which are all that it may come from. What is in it is judged by its digest when it is read.
fn check_folders(databases: &[Dump], from: &[Origin]) -> Result<(), Error> {
    let folders: Vec<&PathBuf> =
        from.iter().filter_map(|origin| if let Origin::Folder(folder) = origin { Some(folder) } else { None }).collect();
    if folders.is_empty() || folders.len() < from.len() {
        return Ok(());
    }
    let Some(lost) = databases.iter().find(|dump| !folders.iter().any(|folder| folder.join(&dump.file).is_file())) else { return Ok(()) };
    let folders = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(Error::Absent(format!(
        "there is no dump of `{}` in {folders}: such a folder has {}, as `windlass fetch` writes it; or {DUMP_FILE} itself, or folders with it that \
         are named by the seconds since 1970, as Clearwater's old script makes them",
        lost.original,
        lost.file.display()
    )))
}

/// That a dump in a folder may be that of the snapshot: where it has another length it is of another one.
fn check_snapshot(ctx: &Context, found: &Found, databases: &[Dump], from: &[Origin]) -> Result<(), Error> {
    let [Origin::Folder(folder)] = from else { return Ok(()) };
    for (dump, path) in databases.iter().zip(paths_of(databases)?) {
        let file = folder.join(&dump.file);
        let (Ok(there), Ok(recorded)) = (file.metadata(), staging::size_of(ctx, found, &[path])) else { continue };
        if there.len() != recorded {
            return Err(Error::Absent(format!(
                "{} is not the dump of {}, or no more: it has {} bytes, and that one {recorded}. The bytes alone come from the folder: name the snapshot that it \
                 was fetched of (SOURCE/ID), or fetch it anew",
                file.display(),
                found.name(),
                there.len()
            )));
        }
    }
    Ok(())
}

fn paths_of(databases: &[Dump]) -> Result<Vec<RelPath>, Error> {
    use std::os::unix::ffi::OsStrExt;
    let path = |dump: &Dump| RelPath::new(dump.file.as_os_str().as_bytes()).map_err(Error::unreadable(dump.file.display()));
    databases.iter().map(path).collect()
}

impl Dump {
    fn new(name: &str, character_set: &str, collation: &str) -> Self {
        Self {
            original: name.to_owned(),
            live: name.to_owned(),
            table: None,
            file: Path::new(&folder_of(name)).join(DUMP_FILE),
            character_set: character_set.to_owned(),
            collation: collation.to_owned(),
        }
    }

    /// A dump that lies in a folder of this machine.
    pub(super) fn at(file: PathBuf, database: &str) -> Self {
        Self { file, ..Self::new(database, "", "") }
    }
}

/// Leaves what is asked for, under the name it is to have.
pub(super) fn select(databases: &mut Vec<Dump>, part: &Part) -> Result<(), Error> {
    if let Some(wanted) = &part.database {
        let names = databases.iter().map(|dump| dump.original.as_str()).collect::<Vec<_>>().join(", ");
        databases.retain(|dump| dump.original == *wanted);
        if databases.is_empty() {
            return Err(Error::Absent(format!("the snapshot holds no database `{wanted}`; it holds {names}")));
        }
    }
    if let Some(wanted) = &part.table {
        let prefix = |dump: &Dump| wanted.strip_prefix(&dump.original).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
        // A name of a table may hold a dot, so where the database is said already it is taken as it stands.
        if let Some(at) = databases.iter().position(|dump| part.database.is_none() && prefix(dump).is_some()) {
            let mut dump = databases.swap_remove(at);
            dump.table = prefix(&dump);
            *databases = vec![dump];
        } else if let [dump] = &mut databases[..] {
            dump.table = Some(wanted.clone());
        } else {
            return Err(Error::Usage(format!("of which database is the table `{wanted}`? Say --table DATABASE.TABLE")));
        }
    }
    if let Some(name) = &part.rename {
        let [dump] = &mut databases[..] else {
            return Err(Error::Usage("the snapshot holds several databases, and one name is given: say which with --database".into()));
        };
        dump.live.clone_from(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_planned_is_refused_when_facts_are_found_that_say_more() {
        let dumps = |names: &[&str]| Dumps {
            id: SnapshotId::from_timestamp(jiff::Timestamp::UNIX_EPOCH),
            databases: names.iter().map(|name| Dump::new(name, "", "")).collect(),
            facts: None,
            found: None,
            files: 1,
            bytes: 1,
            download_bytes: 0,
            warnings: Vec::new(),
        };
        let planned = dumps(&["ellis"]).parts();
        dumps(&["ellis"]).check_planned(&planned).unwrap();
        for found in [&["ellis", "homer"][..], &["homer"], &[]] {
            let refused = dumps(found).check_planned(&planned).unwrap_err();
            assert!(matches!(&refused, Error::Refused(why) if why.contains("plan was to restore `ellis`")), "{refused}");
        }
        let mut part = dumps(&["ellis"]);
        part.databases[0].table = Some("users".into());
        assert!(part.check_planned(&planned).is_err() && dumps(&["ellis"]).check_planned(&part.parts()).is_err());
    }

    #[test]
    fn more_tables_than_can_be_moved_at_once_are_refused_by_the_plan_with_what_can_be_done() {
        let facts = |count: u64| -> Facts {
            let database = serde_json::json!({
                "name": "ellis", "file": "", "character_set": "", "collation": "", "data_bytes": 1, "table_count": count, "tables": []
            });
            serde_json::from_value(serde_json::json!({
                "server": "", "version": "", "flavour": "", "dump": "", "sql_mode": "", "character_set": "", "collation": "", "time_zone": "",
                "system_time_zone": "", "lower_case_table_names": "0", "max_allowed_packet": 1, "longest_statement": 1, "binary_log": null,
                "data_bytes": 1, "databases": [database], "accounts": null
            }))
            .unwrap()
        };
        let dumps = |count: u64, table: Option<&str>, live: &str| {
            let mut dump = Dump::new("ellis", "", "");
            (dump.table, dump.live) = (table.map(str::to_owned), live.to_owned());
            Dumps {
                id: SnapshotId::from_timestamp(jiff::Timestamp::UNIX_EPOCH),
                databases: vec![dump],
                facts: Some(facts(count)),
                found: None,
                files: 1,
                bytes: 1,
                download_bytes: 0,
                warnings: Vec::new(),
            }
        };
        for live in ["ellis", "look"] {
            let refused = dumps(20_001, None, live).check_count().unwrap_err().to_string();
            assert!(refused.contains("20001 tables of `ellis`") && refused.contains("--table") && refused.contains("by hand"), "{refused}");
            dumps(20_000, None, live).check_count().unwrap();
            dumps(20_001, Some("t"), live).check_count().unwrap();
        }
    }

    fn selected(names: &[&str], part: &Part) -> Result<Vec<(String, String, Option<String>)>, Error> {
        let mut dumps = names.iter().map(|name| Dump::new(name, "", "")).collect();
        select(&mut dumps, part)?;
        Ok(dumps.into_iter().map(|dump| (dump.original, dump.live, dump.table)).collect())
    }

    #[test]
    fn a_part_is_named_by_database_and_table() {
        let part = |database: Option<&str>, table: Option<&str>, rename: Option<&str>| Part {
            database: database.map(str::to_owned),
            table: table.map(str::to_owned),
            rename: rename.map(str::to_owned),
            ..Part::default()
        };
        let one = |original: &str, live: &str, table: Option<&str>| vec![(original.to_owned(), live.to_owned(), table.map(str::to_owned))];
        assert_eq!(selected(&["a", "b"], &part(None, None, None)).unwrap().len(), 2);
        assert_eq!(selected(&["a", "b"], &part(Some("b"), None, Some("x"))).unwrap(), one("b", "x", None));
        assert_eq!(selected(&["a", "b"], &part(None, Some("b.t"), None)).unwrap(), one("b", "b", Some("t")));
        assert_eq!(selected(&["a"], &part(None, Some("t.u"), None)).unwrap(), one("a", "a", Some("t.u")));
        assert_eq!(selected(&["a"], &part(Some("a"), Some("a.t"), None)).unwrap(), one("a", "a", Some("a.t")));
        assert!(matches!(selected(&["a", "b"], &part(None, Some("t"), None)), Err(Error::Usage(_))));
        assert!(matches!(selected(&["a", "b"], &part(None, None, Some("x"))), Err(Error::Usage(_))));
        assert!(matches!(selected(&["a"], &part(Some("b"), None, None)), Err(Error::Absent(_))));
    }
}
