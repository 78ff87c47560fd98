//! What of a snapshot would come: table by table, and to which data directory.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::shares::{Root, Shares, Wanted};
use crate::format::entry::Kind;
use crate::format::line::Line;
use crate::ops::lists::Lines;
use crate::ops::{Context, Error, size};
use crate::source::cassandra::{Member, NodeConfig, data_directories};
use crate::sys::space::nearest_folder;

/// What comes of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coming {
    /// SSTables of the table itself.
    pub(super) sstables: u64,
    /// Files, without those of indexes that have SSTables of their own.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// What comes of a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// By keyspace and the name of the table's folder in the snapshot; a table without rows is there too.
    pub(super) tables: BTreeMap<(String, String), Coming>,
    /// Versions of the format that its SSTables are written in.
    pub(super) versions: BTreeSet<String>,
    /// Bytes for each data directory.
    pub(super) shares: Vec<u64>,
    /// Bytes of each share that need no room, because they are linked: as far as can be told without reading them, until they are.
    pub(super) linked: Vec<u64>,
    /// Indexes with SSTables of their own, which do not come and are built anew, for a person.
    pub(super) indexes: BTreeSet<String>,
    /// Files that are none of an SSTable nor of those that Windlass and Cassandra write beside them.
    pub(super) strangers: u64,
}

impl Survey {
    /// Reads all lines of a snapshot, whose SSTables are shared so.
    pub(super) fn of(lines: &mut dyn Lines, wanted: &Wanted, shares: &Shares) -> Result<Self, Error> {
        let mut survey = Self { shares: vec![0; shares.roots()], linked: shares.near.clone(), ..Self::default() };
        let mut shares = shares.clone();
        while let Some(line) = lines.next_line()? {
            let Line::Entry(entry) = line else { continue };
            let Ok(path) = std::str::from_utf8(entry.path.as_bytes()) else {
                survey.strangers += 1;
                continue;
            };
            if entry.kind == Kind::Directory {
                if let [keyspace, folder] = path.split('/').collect::<Vec<_>>()[..]
                    && crate::source::cassandra::table_of(folder).is_some()
                    && wanted.has(keyspace, folder)
                {
                    survey.tables.entry((keyspace.to_owned(), folder.to_owned())).or_default();
                }
                continue;
            }
            let Some(member) = Member::of(path) else {
                survey.strangers += u64::from(!path.ends_with("/schema.cql"));
                continue;
            };
            if !wanted.takes(&member) {
                survey.note_index(&member, wanted, path);
                continue;
            }
            survey.shares[shares.next(&member)] += entry.size;
            survey.versions.insert(member.version.to_owned());
            let table = survey.tables.entry((member.keyspace.to_owned(), member.folder.to_owned())).or_default();
            table.sstables += u64::from(member.is_data);
            table.files += 1;
            table.bytes += entry.size;
        }
        Ok(survey)
    }

    fn note_index(&mut self, member: &Member<'_>, wanted: &Wanted, path: &str) {
        let folder = path.split('/').nth(2).and_then(|folder| folder.strip_prefix('.'));
        if let Some(index) = folder.filter(|_| member.is_of_index && wanted.has(member.keyspace, member.folder)) {
            self.indexes.insert(format!("{}.{index}", member.keyspace));
        }
    }

    /// Files in all.
    pub(super) fn files(&self) -> u64 {
        self.tables.values().map(|table| table.files).sum()
    }

    /// Bytes in all.
    pub(super) fn bytes(&self) -> u64 {
        self.tables.values().map(|table| table.bytes).sum()
    }

    /// Bytes that each data directory must have room for.
    pub(super) fn written(&self) -> Vec<u64> {
        self.shares.iter().zip(&self.linked).map(|(share, linked)| share.saturating_sub(*linked)).collect()
    }

    /// Why it does not fit, if it does not.
    pub(super) fn lack_of_room(&self, roots: &[Root]) -> Option<String> {
        let written = self.written();
        let short = roots.iter().zip(written).find(|(root, share)| *share > root.free)?;
        Some(format!(
            "{} would have to be put together in {}, and {} are free there",
            size::in_words(short.1),
            short.0.path.display(),
            size::in_words(short.0.free)
        ))
    }
}

/// The data directories of a node, with the room that each has.
///
/// # Errors
/// [`Error::Source`] when one is not there; [`Error::System`].
pub(super) fn roots(ctx: &Context, config: &NodeConfig) -> Result<Vec<Root>, Error> {
    measured(ctx, data_directories(config)?)
}

/// Those of a node that may still have to make them, with the room that there is where they will lie.
///
/// # Errors
/// [`Error::File`]; [`Error::System`].
pub(super) fn roots_to_be(ctx: &Context, config: &NodeConfig) -> Result<Vec<Root>, Error> {
    measured(ctx, config.data_directories.clone())
}

fn measured(ctx: &Context, paths: Vec<PathBuf>) -> Result<Vec<Root>, Error> {
    let mut found = Vec::new();
    let mut devices: BTreeMap<u64, u64> = BTreeMap::new();
    for path in paths {
        let there = nearest_folder(&path);
        let stat = std::fs::metadata(there).map_err(Error::file("look at", there))?;
        *devices.entry(stat.dev()).or_default() += 1;
        let free = ctx.space.room(there)?.free;
        found.push(Root { path, device: stat.dev(), owner: (stat.uid(), stat.gid()), mode: stat.mode() & 0o777, free });
    }
    // Directories of one filesystem share its room.
    Ok(found.into_iter().map(|root| Root { free: root.free / devices[&root.device], ..root }).collect())
}
