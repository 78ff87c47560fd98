//! What tables hold before they are emptied: a snapshot of them, linked into a folder of each data directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use super::super::exchange::make_own_folder;
use super::super::folders::{Before, Folders, tables};
use super::super::nodetool::Nodetool;
use super::super::schema::Schema;
use super::super::table::{TakenTable, Taking};
use super::super::take::{Job, check_unchanged};
use crate::source::Error;
use crate::sys;

/// Where a data directory's part goes.
#[derive(Clone, Debug)]
pub struct Aside {
    /// The data directory.
    pub root: PathBuf,
    /// A folder on its filesystem, which is not there yet or empty; it gets `<keyspace>/<table>-<id>/…`.
    pub place: PathBuf,
}

/// Has the node take a snapshot of all tables and views of a schema, with the tag of `job`, proves that it is whole, and links it into folders of
/// the data directories. They belong to whom these belong to, so that the node can take the files in again.
///
/// The node's own snapshot stays, and must be cleared ([`super::super::clear`]), also after an error.
///
/// # Errors
/// As [`super::super::take()`].
pub fn safeguard(
    job: &Job<'_>,
    schema: &Schema,
    asides: &[Aside],
    is_all_of_keyspaces: bool,
    look_again: &mut dyn FnMut() -> Result<Schema, Error>,
) -> Result<Vec<TakenTable>, Error> {
    let folders = Folders::of(job.config)?;
    let before = Before::look(&folders, schema)?;
    let nodetool = Nodetool::new(job.settings, job.folder, job.stop);
    if is_all_of_keyspaces {
        let keyspaces: Vec<String> = schema.keyspaces.iter().map(|keyspace| keyspace.name.clone()).collect();
        nodetool.snapshot(job.tag, &keyspaces)?;
    } else {
        let names: Vec<(&str, &str)> = tables(schema).map(|(keyspace, table)| (keyspace.name.as_str(), table.name.as_str())).collect();
        nodetool.snapshot_tables(job.tag, &names)?;
    }
    check_unchanged(schema, &look_again()?)?;
    for Aside { root, place } in asides {
        // A node that starts meanwhile looks at all that lies below its data directories, and ends where it may not.
        make_own_folder(root, place.parent().unwrap_or(root))?;
    }
    let into = |place: &Path| place_of(asides, place);
    let (work, stop, meter) = (job.work, job.stop, job.meter);
    let taking =
        Taking { folders: &folders, before: &before, tag: job.tag, data: &into, earlier: None, needs_views: true, work, stop, meter };
    let (mut taken, mut problems) = (Vec::new(), Vec::new());
    for (keyspace, table) in tables(schema) {
        taken.push(taking.table(keyspace, table, &mut problems)?);
    }
    for Aside { root, place } in asides {
        // It is there also where a data directory has nothing of these tables: that nothing lies in it is known then, too.
        fs::create_dir_all(place).map_err(Error::file("create the folder", place))?;
        let owner = fs::metadata(root).map_err(Error::file("look at", root))?;
        give(place, (owner.uid(), owner.gid()))?;
        sys::tree::sync_filesystem(place)?;
    }
    Ok(taken)
}

/// The folder for a folder of the snapshot: that of the data directory which it lies in.
fn place_of(asides: &[Aside], folder: &Path) -> PathBuf {
    let within = asides.iter().filter(|aside| folder.starts_with(&aside.root));
    // One data directory may lie in another one.
    let nearest = within.max_by_key(|aside| aside.root.components().count()).or_else(|| asides.first());
    nearest.map_or_else(PathBuf::new, |aside| aside.place.clone())
}

/// Gives a folder, and what in it no live file shares, to somebody, where they belong to others: a link has the owner of the file that the node
/// reads.
fn give(path: &Path, owner: (u32, u32)) -> Result<(), Error> {
    let stat = fs::symlink_metadata(path).map_err(Error::file("look at", path))?;
    let is_shared = !stat.is_dir() && stat.nlink() > 1;
    if (stat.uid(), stat.gid()) != owner && !is_shared && rustix::process::geteuid().is_root() {
        chown(path, Some(owner.0), Some(owner.1)).map_err(Error::file("set the owner of", path))?;
    }
    if stat.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::file("list", path))? {
            give(&entry.map_err(Error::file("list", path))?.path(), owner)?;
        }
    }
    Ok(())
}
