//! Where a file of a snapshot belongs: `<keyspace>/<table>-<id>/[.<index>/]<file>`.

use super::component::{Component, DATA, WRITTEN_ONCE, is_index_folder, is_plain};
use super::schema::TableId;

/// A file of an SSTable, by its path in a snapshot, which is also its path below a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The keyspace.
    pub keyspace: &'a str,
    /// The folder of the table: its name, `-` and its id.
    pub folder: &'a str,
    /// Whether it is of an index that has SSTables of its own.
    pub is_of_index: bool,
    /// What the paths of all files of the SSTable begin with: files of one SSTable go to one data directory.
    pub sstable: &'a str,
    /// The version of the format that it is written in, such as `nb`.
    pub version: &'a str,
    /// Whether it is the file with the rows, of which each SSTable has one.
    pub is_data: bool,
    /// Whether Cassandra never writes to it again, so that two who have links to it share it without harm.
    pub is_written_once: bool,
}

impl<'a> Member<'a> {
    /// Reads a path. `None` for everything that is no file of an SSTable in the folder of a table: texts with statements, folders, and what
    /// Cassandra would not know.
    pub fn of(path: &'a str) -> Option<Self> {
        let (table, file) = path.rsplit_once('/')?;
        let component = Component::parse(file)?;
        let (table, is_of_index) = match table.rsplit_once('/') {
            Some((above, last)) if is_index_folder(last) => (above, true),
            _ => (table, false),
        };
        let (keyspace, folder) = table.split_once('/')?;
        if !is_plain(keyspace) {
            return None;
        }
        table_of(folder)?;
        let sstable = &path[..path.len() - file.len() + component.sstable.len()];
        let (is_data, is_written_once) = (component.name == DATA, WRITTEN_ONCE.contains(&component.name));
        Some(Self { keyspace, folder, is_of_index, sstable, version: &file[..2], is_data, is_written_once })
    }
}

/// Name and id of a table from the name of its folder; `None` when it is no such name.
pub fn table_of(folder: &str) -> Option<(&str, TableId)> {
    let (name, id) = folder.rsplit_once('-')?;
    if !is_plain(name) || id.len() != 32 {
        return None;
    }
    Some((name, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn files_of_tables_and_indexes_are_told_from_the_rest() {
        let path = format!("Space/impi-{ID}/nb-1-big-Data.db");
        let member = Member::of(&path).unwrap();
        assert_eq!((member.keyspace, member.folder, member.version), ("Space", format!("impi-{ID}").as_str(), "nb"));
        assert!(member.is_data && member.is_written_once && !member.is_of_index);
        assert_eq!(member.sstable, format!("Space/impi-{ID}/nb-1-big"));
        let path = format!("Space/impi-{ID}/.by_name/da-3h5r_1lxh_0dae82olptsc52z4nx-bti-Rows.db");
        let member = Member::of(&path).unwrap();
        assert!(member.is_of_index && !member.is_data && member.version == "da");
        for rewritten in ["TOC.txt", "Statistics.db", "Summary.db", "Filter.db", "SAI+aa+GroupComplete.db"] {
            assert!(!Member::of(&format!("Space/impi-{ID}/nb-1-big-{rewritten}")).unwrap().is_written_once, "{rewritten}");
        }
        for other in [
            "Space/schema.cql",
            &format!("Space/impi-{ID}/schema.cql"),
            &format!("Space/impi-{ID}/manifest.json"),
            &format!("Space/impi-{ID}"),
            &format!("../impi-{ID}/nb-1-big-Data.db"),
            &format!("a/b/impi-{ID}/nb-1-big-Data.db"),
            "Space/impi/nb-1-big-Data.db",
            &format!("Space/impi-{ID}/snapshots/nb-1-big-Data.db"),
            &format!("Space/impi-{ID}/.by_name/deeper/nb-1-big-Data.db"),
            &format!("Space/..-{ID}/nb-1-big-Data.db"),
        ] {
            assert_eq!(Member::of(other), None, "{other}");
        }
    }
}
