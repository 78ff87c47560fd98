//! Finishing an exchange that was broken off once its tables had moved: what was live goes, and what others have made meanwhile stays.
//!
//! Definitions that were live are gone before any table moves; a file beside their dump says when that is done, because from then on nothing that is
//! there was live before. Where it is not there, it was lost, or the exchange was begun by an older release, which dropped views and routines later.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::connection::Connection;
use super::super::load::Kept;
use super::super::object::{Object, ObjectKind};
use super::state::Pair;
use super::{Around, came, definitions, kept, stand_ins};
use crate::source::Error;

/// The file that is there while what comes is made: the names of those views that are there, and others have made, as JSON.
fn marker(pair: &Pair) -> PathBuf {
    pair.outgoing.definitions.with_extension("coming")
}

/// Notes that nothing of what was live is there any more.
pub(super) fn begin(pair: &Pair) -> Result<(), Error> {
    // Where there was nothing, nothing has to be told from it.
    if pair.outgoing.exists && pair.table.is_none() { kept::note(&marker(pair), &BTreeSet::new()) } else { Ok(()) }
}

/// Notes that all is made: views that are there now are as they should be, and whoever finishes it once more leaves them alone.
pub(super) fn all_made(connection: &mut Connection, around: Around<'_>, pairs: &[Pair]) -> Result<(), Error> {
    for pair in pairs.iter().filter(|pair| pair.outgoing.exists && pair.table.is_none()) {
        let there = definitions::there(connection, around, pair)?;
        kept::note(&marker(pair), &kept::views(&there).collect())?;
    }
    Ok(())
}

/// Forgets it: it is written down that all is made, or it is taken back.
pub(super) fn end(pairs: &[Pair]) -> Result<(), Error> {
    pairs.iter().try_for_each(|pair| kept::forget(&marker(pair)))
}

/// Drops what is left of what was live, and gives what stays as it is: what others have made, and what was made of what comes before the end. Of
/// the views that were made then nobody knows whether they can be written through, so they are made anew.
pub(super) fn keep(connection: &mut Connection, around: Around<'_>, pairs: &[Pair]) -> Result<Vec<Kept>, Error> {
    stand_ins::drop_all(connection, pairs)?;
    let mut all = Vec::new();
    for pair in pairs {
        let mut there = definitions::there(connection, around, pair)?;
        let mut again = BTreeSet::new();
        if pair.table.is_none() {
            let sound = match kept::noted(&marker(pair))? {
                Some(sound) => sound,
                None if pair.outgoing.exists => {
                    drop_old(connection, around, pair, &mut there)?;
                    let sound = kept::views(&there).collect();
                    kept::note(&marker(pair), &sound)?;
                    sound
                }
                None => BTreeSet::new(),
            };
            again.extend(kept::views(&there).filter(|view| !sound.contains(view)));
        }
        all.push(Kept { there, again });
    }
    Ok(all)
}

/// Drops views and routines that were live.
fn drop_old(connection: &mut Connection, around: Around<'_>, pair: &Pair, there: &mut BTreeSet<Vec<u8>>) -> Result<(), Error> {
    let old = came::known(definitions::going(around, pair))?;
    let goes = |key: &Vec<u8>| {
        let is_gone_before = matches!(Object::of_key(key).kind, ObjectKind::Trigger | ObjectKind::Event);
        // Where nobody can tell, all of it is taken for what was live, so that the new state is whole.
        !is_gone_before && old.as_ref().is_none_or(|old| old.contains(key))
    };
    definitions::drop_these(connection, pair, there.iter().filter(|key| goes(key)))?;
    there.retain(|key| !goes(key));
    Ok(())
}
