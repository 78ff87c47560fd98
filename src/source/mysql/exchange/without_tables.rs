//! Sources without any table: nothing moves, so only the definitions tell which of them are of the old state, where that is put back.
//!
//! What each definition was is noted before anything is dropped, and lies in the journal. What comes and is otherwise goes; the rest stays, and what is
//! missing is made. It is dropped once: what is there when the old state is put back once more was made by that, or by a person since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::connection::Connection;
use super::super::load::Kept;
use super::super::object::{Object, ObjectKind};
use super::definitions::create;
use super::kept;
use super::state::Pair;
use super::unchanged::digests;
use super::{Around, Exchange};
use crate::source::Error;

/// Most definitions that are noted of one database: they stand in the journal of a restore, some 150 bytes each. Of one with more all that come are
/// dropped.
const NOTED_MAX: usize = 10_000;

/// A definition that was live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What it is, as SQL says it: `VIEW`.
    kind: String,
    /// Its name.
    name: String,
    /// The digest of how it was defined.
    digest: String,
}

impl Exchange {
    /// Whether no table moves.
    pub(super) fn has_no_tables(pairs: &[Pair]) -> bool {
        pairs.iter().all(|pair| pair.going.is_empty() && pair.coming.is_empty())
    }

    /// Notes the definitions of what is live, where they alone will tell what it was.
    pub(super) fn note_definitions(&mut self, connection: &mut Connection, around: Around<'_>) -> Result<(), Error> {
        if Self::has_no_tables(&self.pairs) {
            for pair in self.pairs.iter_mut().filter(|pair| pair.outgoing.exists) {
                let noted = digests(connection, around, pair, &|_| true)?.into_iter().map(|(key, digest)| {
                    let Object { kind, name, .. } = Object::of_key(&key);
                    Definition { kind: kind.words().to_owned(), name, digest: digest.to_string() }
                });
                pair.definitions = noted.collect();
                if pair.definitions.len() > NOTED_MAX {
                    pair.definitions.clear();
                }
            }
        }
        Ok(())
    }
}

/// What is live in a database as it was noted. A package whose body is otherwise is not: the two go together.
pub(super) fn as_before(connection: &mut Connection, pair: &Pair, around: Around<'_>) -> Result<BTreeSet<Vec<u8>>, Error> {
    if pair.definitions.is_empty() {
        return Ok(BTreeSet::new());
    }
    let noted: BTreeMap<(&str, &str), &str> =
        pair.definitions.iter().map(|one| ((one.kind.as_str(), one.name.as_str()), one.digest.as_str())).collect();
    let (mut same, mut bodies) = (BTreeSet::new(), Vec::new());
    for (key, digest) in digests(connection, around, pair, &|_| true)? {
        let object = Object::of_key(&key);
        if noted.get(&(object.kind.words(), object.name.as_str())) == Some(&digest.to_string().as_str()) {
            same.insert(key);
        } else if object.kind == ObjectKind::PackageBody {
            bodies.push(Object { kind: ObjectKind::Package, ..object }.key());
        }
    }
    same.retain(|key| !bodies.contains(key));
    Ok(same)
}

/// Whether what came was dropped already when the old state was put back before.
pub(super) fn has_dropped(pair: &Pair) -> bool {
    marker(pair).exists()
}

/// Notes that it was. A view that was made on a stand-in looks like any other, so all of them are made anew, in place of what is there.
pub(super) fn dropped(pair: &Pair) -> Result<(), Error> {
    let done = marker(pair);
    if !pair.outgoing.exists || done.exists() {
        return Ok(());
    }
    kept::begin(pair, &Kept::default())?;
    mark(&done)
}

/// Notes, where no table tells it, that nothing of what comes has been made yet: so what is there under such a name was live, or is somebody's, and
/// stays when the old state is put back.
pub(super) fn nothing_came(pairs: &[Pair]) -> Result<(), Error> {
    let noted = pairs.iter().filter(|pair| pair.outgoing.exists && Exchange::has_no_tables(pairs));
    noted.map(marker).try_for_each(|done| mark(&done))
}

fn mark(done: &Path) -> Result<(), Error> {
    let (file, folder) = create(done)?;
    file.sync_all().map_err(Error::file("write", done))?;
    Ok(crate::sys::file::sync_folder(folder)?)
}

/// The old state is back.
pub(super) fn end(pair: &Pair) -> Result<(), Error> {
    kept::forget(&marker(pair))
}

/// The file that is there once what came was dropped, until the old state is back.
fn marker(pair: &Pair) -> PathBuf {
    pair.outgoing.definitions.with_extension("dropped")
}
