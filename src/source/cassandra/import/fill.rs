//! Filling tables of a node that runs: emptied first, or kept; then what lies ready is taken in, and it is proved that it was.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::anew;
use super::super::cql::{Connection, failed};
use super::super::folders::Folders;
use super::super::nodetool::Nodetool;
use super::super::refused;
use super::super::schema::{Kind, Table, TableId};
use super::super::statements::quoted;
use super::super::take::Job;
use super::evidence::{Marks, Names};
use super::open::{Came, are_open};
use super::prove::views;
use super::staged;
use crate::source::Error;
use crate::source::placement::crash;

/// A table or view that files come into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Its keyspace.
    pub keyspace: String,
    /// Its name.
    pub name: String,
    /// The id that it has on the node.
    pub id: TableId,
    /// What it is.
    pub kind: Kind,
    /// The name of the folder that its files lie ready in, below `<place>/<keyspace>/`.
    pub folder: String,
    /// How many SSTables must lie ready at least: where somebody has taken them away, nothing would come, and nothing would tell.
    pub at_least: u64,
}

impl Fill {
    /// Its name for a person.
    pub fn told(&self) -> String {
        format!("{}.{}", self.keyspace, self.name)
    }

    pub(super) fn as_table(&self) -> Table {
        Table { name: self.name.clone(), id: self.id.clone(), kind: self.kind, base: None, gc_grace_seconds: 0, indexes: Vec::new() }
    }
}

/// Whether tables keep what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// They are emptied first, on all nodes of the cluster.
    Truncate,
    /// They keep it: newer cells and newer deletions win.
    Keep,
}

/// Proves that every SSTable that lies ready is all there. [`fill`] does it once more.
///
/// # Errors
/// [`Error::NotWhole`] naming what is missing; [`Error::File`]; [`Error::Stopped`].
pub fn check_ready(job: &Job<'_>, places: &[PathBuf], tables: &[Fill]) -> Result<(), Error> {
    tables.iter().try_for_each(|table| staged::ready(places, table, job).map(drop))
}

/// How many SSTables of a table lie in places, `<place>/<keyspace>/<folder>/`, without those of indexes.
///
/// # Errors
/// [`Error::File`].
pub fn count_ready(places: &[PathBuf], keyspace: &str, folder: &str) -> Result<u64, Error> {
    staged::count(&staged::folders(places, keyspace, folder))
}

/// Has the node take in what lies in `places`, `<place>/<keyspace>/<folder>/`, table by table, and proves that it did; [`super::prove()`] does the rest. Compaction of these tables
/// must be off ([`super::compaction_off`]), so that what came is still there when it is looked for.
///
/// With [`Before::Truncate`], which is for a node that is alone, it has the node make views anew of what has come. Gives what the node says against
/// that, where it does, because the role has no right to it for instance: then the files of views are taken in too.
///
/// Broken off, it leaves tables that are empty or hold a part; beginning anew with [`Before::Truncate`] makes that good.
///
/// # Errors
/// [`Error::NotWhole`] before anything is changed, when an SSTable is not all there; [`Error::Refused`], when the node does not let the first table be
/// emptied; [`Error::Cassandra`], also when the node says that all
/// went well and what came is not there; [`Error::File`]; [`Error::Stopped`].
pub fn fill(job: &Job<'_>, places: &[PathBuf], tables: &[Fill], before: Before) -> Result<Option<String>, Error> {
    let folders = Folders::of(job.config)?;
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    let nodetool = Nodetool::new(job.settings, job.folder, job.stop);
    let mut ready = Vec::new();
    for table in tables {
        ready.push(staged::ready(places, table, job)?);
    }
    let views = views(tables);
    let (mut are_anew, mut against) = (false, None);
    if before == Before::Truncate {
        against = anew::against(anew::is_taken(&connection, &views))?;
        are_anew = against.is_none();
        empty(&connection, tables)?;
    }
    // A row that comes into a table by an import does not come into its views.
    for (_, ready) in tables.iter().zip(&mut ready).filter(|(table, _)| are_anew && table.kind == Kind::View) {
        ready.clear();
    }
    let came = Came::of(&nodetool, tables, &ready, before == Before::Keep)?;
    // Views come last, where they are not made anew of what has come.
    let order = |kind: Kind| tables.iter().zip(&ready).filter(move |(table, _)| table.kind == kind);
    for (table, ready) in order(Kind::Table).chain(order(Kind::View)) {
        crash::point();
        import(job, &folders, &nodetool, table, ready)?;
    }
    are_open(&connection, &nodetool, &folders, &came)?;
    crash::point();
    if are_anew {
        anew::make(&connection, &views)?;
    }
    Ok(against)
}

/// Empties tables, and with each its views.
fn empty(connection: &Connection, tables: &[Fill]) -> Result<(), Error> {
    let mut is_begun = false;
    for table in tables.iter().filter(|table| table.kind == Kind::Table) {
        crash::point();
        let statement = format!("TRUNCATE TABLE {}.{}", quoted(&table.keyspace), quoted(&table.name));
        match connection.run("empty a table of", &statement) {
            Err(Error::Cassandra { why, .. }) if !is_begun && refused::is_not_allowed(&why) => {
                return Err(Error::Refused { why: format!("{} is not to be emptied: {why}", table.told()) });
            }
            outcome => outcome.map_err(|error| about(error, table))?,
        }
        is_begun = true;
    }
    Ok(())
}

/// Imports one table, and looks for what came.
fn import(job: &Job<'_>, folders: &Folders, nodetool: &Nodetool<'_>, table: &Fill, ready: &[PathBuf]) -> Result<(), Error> {
    const WHAT: &str = "import files into a table of";
    let staged = staged::count(ready)?;
    if staged == 0 {
        return Ok(());
    }
    let live = || folders.of_table(&table.keyspace, &table.as_table());
    let before = Names::read(&live()?, job.work)?;
    nodetool.import(&table.keyspace, &table.name, ready).map_err(|error| about(error, table))?;
    let wrong = |why: String| failed(WHAT, &job.settings.place(), format!("{}: {why}", table.told()));
    let (found, missing) = Marks::of(ready, job.work)?.among(Marks::but(&live()?, before, job.work)?)?;
    if let Some(missing) = missing {
        let from = ready.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        return Err(wrong(format!(
            "nodetool says that all went well, and only {found} of {staged} SSTables have come into {}: {missing} of {from} has not; the log of \
             the node (system.log) may say why",
            folders.told()
        )));
    }
    job.meter.add_bytes(staged::bytes(ready)?);
    Ok(())
}

/// An error with the table that it is of.
fn about(error: Error, table: &Fill) -> Error {
    match error {
        Error::Cassandra { what, node, why } => failed(what, &node, format!("{}: {why}", table.told())),
        other => other,
    }
}

/// A path below places, for those places that have it.
pub(super) fn existing(places: &[PathBuf], below: &Path) -> Vec<PathBuf> {
    places.iter().map(|place| place.join(below)).filter(|folder| folder.is_dir()).collect()
}
