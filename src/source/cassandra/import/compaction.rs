//! Compaction stands still while files come in, so that each SSTable that came is there to be looked for.

use std::collections::BTreeMap;

use super::super::nodetool::Nodetool;
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;

/// Those of these tables and views whose compaction is on, by keyspace and name. Whoever turns it off writes them down first.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::Stopped`].
pub fn compacting(job: &Job<'_>, tables: &[Fill]) -> Result<Vec<(String, String)>, Error> {
    let nodetool = Nodetool::new(job.settings, job.folder, job.stop);
    let mut found = Vec::new();
    let pairs: Vec<(String, String)> = tables.iter().map(|table| (table.keyspace.clone(), table.name.clone())).collect();
    for (keyspace, names) in by_keyspace(&pairs) {
        found.extend(nodetool.compacting_by_themselves(keyspace, &names)?.into_iter().map(|name| (keyspace.to_owned(), name)));
    }
    Ok(found)
}

/// Turns the compaction of tables and views off. One that is under way comes to its end.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::Stopped`].
pub fn compaction_off(job: &Job<'_>, tables: &[(String, String)]) -> Result<(), Error> {
    switch(job, tables, false)
}

/// Turns it on again. A node that has been started since has done so by itself.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::Stopped`].
pub fn compaction_on(job: &Job<'_>, tables: &[(String, String)]) -> Result<(), Error> {
    switch(job, tables, true)
}

fn switch(job: &Job<'_>, tables: &[(String, String)], on: bool) -> Result<(), Error> {
    let nodetool = Nodetool::new(job.settings, job.folder, job.stop);
    by_keyspace(tables).into_iter().try_for_each(|(keyspace, names)| nodetool.compact_by_itself(on, keyspace, &names))
}

fn by_keyspace(tables: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (keyspace, name) in tables {
        found.entry(keyspace).or_default().push(name);
    }
    found
}
