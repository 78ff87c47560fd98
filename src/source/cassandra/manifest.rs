//! `manifest.json`: what the server says is in a snapshot.
//!
//! It names `Data.db` files alone, those of legacy indexes with their folder (`SnapshotManifest`, `ColumnFamilyStore.mapToDataFilenames`);
//! with several data directories one lists what lies in all of them. Its list grows with the table, so it is handed on name by name.
//!
//! ScyllaDB's is the same; that of its newest releases names in `sstables` the list of components of each (`toc_name`) instead, beside more
//! about them (`docs/dev/object_storage.md` of its source).

use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::component::{DATA, MANIFEST, TOC};
use crate::source::Error;

/// What a manifest says besides its list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// How many files it lists.
    pub(super) files: u64,
    /// Whether the server made it for itself and removes it at its next start.
    pub(super) is_ephemeral: bool,
}

/// Reads the manifest of a snapshot folder, and hands over each name that it lists; `None` where there is none.
///
/// # Errors
/// [`Error::NotWhole`] when it is none, or an incomplete one; [`Error::File`]; those of `each`.
pub(super) fn read(folder: &Path, mut each: impl FnMut(&str) -> Result<(), Error>) -> Result<Option<Manifest>, Error> {
    let path = folder.join(MANIFEST);
    let file = match File::open(&path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::file("read", &path))?,
    };
    let mut failure = None;
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let visitor = Document { each: &mut each, failure: &mut failure };
    let read = json.deserialize_map(visitor).and_then(|manifest| json.end().map(|()| manifest));
    match (failure, read) {
        (Some(failure), _) => Err(failure),
        (None, Ok(manifest)) => Ok(Some(manifest)),
        (None, Err(cause)) if cause.is_io() => Err(Error::file("read", &path)(cause)),
        (None, Err(cause)) => Err(Error::NotWhole { why: format!("{} cannot be read: {cause}", path.display()) }),
    }
}

/// The document, or its list of files.
struct Document<'a, F> {
    each: &'a mut F,
    /// Why a name could not be handed over: what serde gives back is only a text.
    failure: &'a mut Option<Error>,
}

impl<'de, F: FnMut(&str) -> Result<(), Error>> Visitor<'de> for Document<'_, F> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the manifest of a snapshot")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
        let (mut manifest, mut has_files) = (Manifest::default(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "files" => {
                    let mut name = |name: String| (self.each)(&name);
                    manifest.files += map.next_value_seed(Files { each: &mut name, failure: &mut *self.failure })?;
                    has_files = true;
                }
                "sstables" => {
                    let mut sstable = |sstable: Described| (self.each)(&sstable.data()?);
                    manifest.files += map.next_value_seed(Files { each: &mut sstable, failure: &mut *self.failure })?;
                    has_files = true;
                }
                "ephemeral" => manifest.is_ephemeral = map.next_value()?,
                // Whatever a newer server adds is none of the list.
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if has_files { Ok(manifest) } else { Err(A::Error::missing_field("files")) }
    }
}

/// An SSTable as ScyllaDB describes it, as far as it is used.
#[derive(Deserialize)]
struct Described {
    toc_name: String,
}

impl Described {
    /// The name of its rows.
    fn data(&self) -> Result<String, Error> {
        let Some(sstable) = self.toc_name.strip_suffix(TOC) else {
            return Err(Error::NotWhole { why: format!("manifest.json names `{}`, which is no list of components", self.toc_name) });
        };
        Ok(format!("{sstable}{DATA}"))
    }
}

/// A list, and who takes its members.
struct Files<'a, T> {
    each: &'a mut dyn FnMut(T) -> Result<(), Error>,
    failure: &'a mut Option<Error>,
}

impl<'de, T: DeserializeOwned> serde::de::DeserializeSeed<'de> for Files<'_, T> {
    type Value = u64;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Files<'_, T> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut files = 0;
        while let Some(member) = list.next_element::<T>()? {
            if let Err(failure) = (self.each)(member) {
                *self.failure = Some(failure);
                return Err(A::Error::custom("a name could not be taken"));
            }
            files += 1;
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<(Option<Manifest>, Vec<String>), Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        let mut names = Vec::new();
        let manifest = read(folder.path(), |name| {
            names.push(name.to_owned());
            Ok(())
        })?;
        Ok((manifest, names))
    }

    #[test]
    fn manifests_of_both_versions_are_read() {
        let old = r#"{"files":["nb-1-big-Data.db",".i/nb-1-big-Data.db"],"created_at":"2026-11-26T09:00:00Z","expires_at":null}"#;
        let (manifest, names_of_old) = names(old).unwrap();
        assert_eq!(manifest, Some(Manifest { files: 2, is_ephemeral: false }));
        assert_eq!(names_of_old, ["nb-1-big-Data.db", ".i/nb-1-big-Data.db"]);
        let new = "{\n  \"files\" : [ ],\n  \"created_at\" : \"x\",\n  \"expires_at\" : null,\n  \"ephemeral\" : true,\n  \"more\" : {\"a\": [1]}\n}\n";
        assert_eq!(names(new).unwrap(), (Some(Manifest { files: 0, is_ephemeral: true }), vec![]));
    }

    #[test]
    fn a_manifest_of_scylladb_is_read_whichever_way_it_names_its_sstables() {
        let old = "{\n\t\"files\" : [ \"me-3gw7_0ndy_3wlq829wcsddgwha1n-big-Data.db\", \"me-2-big-Data.db\" ]\n}\n";
        assert_eq!(names(old).unwrap().1, ["me-3gw7_0ndy_3wlq829wcsddgwha1n-big-Data.db", "me-2-big-Data.db"]);
        let new = r#"{"manifest":{"version":"1.0","scope":"node"},"node":{"host_id":"x","datacenter":"d","rack":"r"},
            "snapshot":{"name":"t","created_at":1767225600,"expires_at":0},"table":{"keyspace_name":"k","tablet_count":4},
            "sstables":[{"id":"67e35000-d8c6-11f0-9599-060de9f3bd1b","toc_name":"ms-3gw7_0ndy_3wlq829wcsddgwha1n-big-TOC.txt","data_size":75}],
            "tablets":[{"id":0}]}"#;
        let (manifest, found) = names(new).unwrap();
        assert_eq!(found, ["ms-3gw7_0ndy_3wlq829wcsddgwha1n-big-Data.db"]);
        assert_eq!(manifest.unwrap().files, 1);
        for text in
            [r#"{"sstables":[{"toc_name":"me-1-big-Data.db"}]}"#, r#"{"sstables":[{"id":"x"}]}"#, r#"{"manifest":{"version":"1.0"}}"#]
        {
            assert!(matches!(names(text).unwrap_err(), Error::NotWhole { .. }), "{text}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_path() {
        for text in ["", "{}", "[]", "{\"files\":[\"nb-1-big-Data.db\"", "{\"files\":null}", "{\"files\":[1]}", "{\"files\":[]} x"] {
            let error = names(text).unwrap_err();
            assert!(matches!(&error, Error::NotWhole { why } if why.contains("/manifest.json cannot be read: ")), "{text}: {error:?}");
        }
        assert_eq!(read(Path::new("/nonexistent"), |_| Ok(())).unwrap(), None);
    }
}
