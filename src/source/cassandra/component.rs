//! Names of the files of an SSTable: `<version>-<id>-<format>-<component>`.
//!
//! The id is a number or, where `uuid_sstable_identifiers_enabled` is set, a text with `_`; both restart or recur, so it is never compared
//! beyond its folder. Formats are `big` and, since 5.0, `bti` (`Descriptor`, `BigFormat.Components`, `BtiFormat.Components`).
//! ScyllaDB calls all of its own `big`; those of its versions `ms` and later have the indexes of `bti` in them.

/// What a snapshot folder has besides files of SSTables: the list of its `Data.db`, as the server made it.
pub(super) const MANIFEST: &str = "manifest.json";

/// And the statements that make the table.
pub(super) const SCHEMA: &str = "schema.cql";

/// The component that holds the rows: where it is missing there is no SSTable.
pub(super) const DATA: &str = "Data.db";

/// The component that lists the others, one on each line.
///
/// The only one that Cassandra rewrites in place (4.1 appends, 5.0 truncates: `TOCComponent.updateTOC`), as when an index is made: a hard
/// link to it changes with it.
pub(super) const TOC: &str = "TOC.txt";

/// The CRC-32 of the rows, as the server wrote it with them.
pub(super) const DIGEST: &str = "Digest.crc32";

/// The components that Cassandra writes once and never again, in place or by another under its name. `TOC.txt` is appended to; `Statistics.db`,
/// `Summary.db` and `Filter.db` are made anew; of components that are not known nobody can say.
pub(super) const WRITTEN_ONCE: [&str; 6] = [DATA, "Index.db", "Partitions.db", "Rows.db", "CompressionInfo.db", DIGEST];

/// One file of an SSTable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component<'a> {
    /// What all files of the SSTable begin with: `nb-1-big`.
    pub(super) sstable: &'a str,
    /// The format: `big`.
    pub(super) format: &'a str,
    /// The component: `Data.db`.
    pub(super) name: &'a str,
}

impl<'a> Component<'a> {
    /// Reads a file name; `None` when it is not the name of a component.
    pub(super) fn parse(file: &'a str) -> Option<Self> {
        let mut parts = file.splitn(4, '-');
        let (version, id, format, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_version = version.len() == 2 && version.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let is_format = !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_version || !is_id || !is_format || name.is_empty() || name.contains('/') {
            return None;
        }
        Some(Self { sstable: &file[..file.len() - name.len() - 1], format, name })
    }
}

/// The components without which an SSTable of this version and format cannot be read, or loses what only they hold. The server makes the
/// others anew.
pub(super) fn needed(version: &str, format: &str) -> &'static [&'static str] {
    match format {
        // `ma` to `me` are of Cassandra 3 and of ScyllaDB, which goes on with `ms`.
        "big" if ("ms".."n").contains(&version) => &[DATA, "Partitions.db", "Statistics.db"],
        "big" => &[DATA, "Index.db", "Statistics.db"],
        // `Rows.db` is empty where no partition is large, and there all the same.
        "bti" => &[DATA, "Partitions.db", "Rows.db", "Statistics.db"],
        _ => &[DATA, "Statistics.db"],
    }
}

/// Whether a component belongs to an index that lies beside the rows (SAI, SASI): the server builds it anew where it is missing.
pub(super) fn is_of_index(name: &str) -> bool {
    name.starts_with("SAI+") || name.starts_with("SI_")
}

/// Whether a folder inside that of a table is one of an index, which has SSTables of its own: `.<index>`.
pub(super) fn is_index_folder(name: &str) -> bool {
    name.len() > 1 && name.starts_with('.') && is_plain(&name[1..])
}

/// Whether a name can be the one of a keyspace, a table or an index: letters, digits and `_` alone. Paths are made of them.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_formats_and_ids_are_read() {
        for (file, sstable, format, name) in [
            ("nb-1-big-Data.db", "nb-1-big", "big", "Data.db"),
            ("md-1024-big-Digest.crc32", "md-1024-big", "big", "Digest.crc32"),
            ("nb-3gy0_111j_2u8ka1z4k2vcw67ubc-big-TOC.txt", "nb-3gy0_111j_2u8ka1z4k2vcw67ubc-big", "big", "TOC.txt"),
            ("da-3h5r_1lxh_0dae82olptsc52z4nx-bti-Rows.db", "da-3h5r_1lxh_0dae82olptsc52z4nx-bti", "bti", "Rows.db"),
            ("nb-1-big-SAI+aa+impi_digest+TermsData.db", "nb-1-big", "big", "SAI+aa+impi_digest+TermsData.db"),
            ("nb-1-big-a-b", "nb-1-big", "big", "a-b"),
        ] {
            assert_eq!(Component::parse(file), Some(Component { sstable, format, name }), "{file}");
        }
    }

    #[test]
    fn other_names_are_no_components() {
        for file in
            ["", "manifest.json", "schema.cql", "nb-1-big-", "nb--big-Data.db", "NB-1-big-Data.db", "nb-1-Data.db", "tmp-nb-1-big-Data.db"]
        {
            assert_eq!(Component::parse(file), None, "{file}");
        }
    }

    #[test]
    fn scylladb_keeps_the_indexes_of_the_newer_format_under_the_name_of_the_older_one() {
        assert!(needed("me", "big").contains(&"Index.db") && needed("nb", "big").contains(&"Index.db"));
        for version in ["ms", "mt"] {
            assert!(needed(version, "big").contains(&"Partitions.db") && !needed(version, "big").contains(&"Index.db"));
        }
    }

    #[test]
    fn indexes_and_their_folders_are_told_from_the_rest() {
        assert!(is_of_index("SAI+aa+GroupComplete.db") && is_of_index("SI_by_name.db") && !is_of_index("Summary.db"));
        assert!(is_index_folder(".impu_profile") && !is_index_folder("snapshots"));
        assert!(!is_index_folder(".") && !is_index_folder("..") && !is_index_folder("./a"));
        assert!(is_plain("MixedCase_1") && !is_plain("a/b") && !is_plain("..") && !is_plain(""));
    }
}
