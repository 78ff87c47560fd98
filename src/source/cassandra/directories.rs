//! How a node's SSTables are spread over its data directories: one whose disk is not mounted comes up empty, and nothing else tells that.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::folders::{Folders, data_files, tables};
use super::schema::Schema;
use crate::source::Error;

/// A data directory as a snapshot has found it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryFacts {
    /// Its path, as the configuration of the node names it.
    pub path: String,
    /// The number of its filesystem (`st_dev`).
    pub device: u64,
    /// SSTables of the keyspaces that the snapshot has from it, without those of indexes.
    pub sstables: u64,
}

/// The data directories of a node, and what a snapshot with this tag has from each.
///
/// # Errors
/// [`Error::File`].
pub(super) fn read(folders: &Folders, schema: &Schema, tag: &str) -> Result<Vec<DirectoryFacts>, Error> {
    let mut found = Vec::new();
    for root in folders.roots() {
        let device = fs::metadata(root).map_err(Error::file("look at", root))?.dev();
        found.push(DirectoryFacts { path: root.display().to_string(), device, sstables: 0 });
    }
    for (keyspace, table) in tables(schema) {
        for place in folders.of_snapshot(&keyspace.name, table, tag)? {
            let within = folders.roots().iter().zip(&mut found).filter(|(root, _)| place.starts_with(root));
            // One data directory may lie in another one.
            if let Some((_, directory)) = within.max_by_key(|(root, _)| root.components().count()) {
                for file in data_files(&place)? {
                    file?;
                    directory.sstables += 1;
                }
            }
        }
    }
    Ok(found)
}

/// The directories that had SSTables when an earlier snapshot was taken, and now lie on another filesystem and have none.
pub fn lost_directories<'d>(before: &'d [DirectoryFacts], now: &[DirectoryFacts]) -> Vec<&'d DirectoryFacts> {
    let is_lost =
        |was: &&DirectoryFacts| was.sstables > 0 && now.iter().any(|is| is.path == was.path && is.sstables == 0 && is.device != was.device);
    before.iter().filter(is_lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_empty_on_another_filesystem_is_lost() {
        let one = |path: &str, device, sstables| DirectoryFacts { path: path.into(), device, sstables };
        let before = [one("/a", 1, 5), one("/b", 2, 5), one("/c", 3, 0), one("/d", 4, 5)];
        let lost = |now: &[DirectoryFacts]| lost_directories(&before, now).iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        assert_eq!(lost(&before), [""; 0]);
        // Compacted away; on another disk with all it had; never had any; not named any more.
        assert_eq!(lost(&[one("/a", 1, 0), one("/b", 9, 1), one("/c", 9, 0)]), [""; 0]);
        assert_eq!(lost(&[one("/a", 9, 0), one("/b", 2, 5)]), ["/a"]);
    }
}
