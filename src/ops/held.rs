//! What the local copies of Cassandra sources hold alone: files that the server has compacted away, so that they take room for the copies' sake.
//!
//! A copy is hard links to the server's files. How many names a file has the filesystem knows; where that is as many as the copies have of it,
//! nobody else has one. Nothing is read, and each file is looked at once for each copy that has it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::copies::DATA;
use super::spec::SourceKind;
use super::work::folder_to_look;
use super::{Context, Error};
use crate::format::names::SourceName;
use crate::sys::sorter::Sorter;
use crate::sys::stop::Stop;

/// Memory for sorting files by inode: some 90,000 of them; what is more waits on disk.
const SORT_MEMORY: usize = 4 << 20;

/// Bytes that are held, for each Cassandra source; each file counts once, also where several sources have it.
///
/// # Errors
/// [`Error::File`], [`Error::System`], [`Error::Stopped`]. What is removed meanwhile does not count. Whoever asks goes on without: it is worth
/// knowing, and nothing depends on it.
pub(super) fn by_our_copies(ctx: &Context) -> Result<BTreeMap<SourceName, u64>, Error> {
    let is_linked = |kind: &SourceKind| matches!(kind, SourceKind::Cassandra(_));
    let names: Vec<&SourceName> = ctx.sources.iter().filter(|spec| is_linked(&spec.kind)).map(|spec| &spec.name).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (local, work) = (&ctx.local()?.dir, folder_to_look(ctx));
    let folders: Vec<_> = names.iter().map(|name| local.join(name.as_str())).collect();
    let bytes = below(&folders.iter().map(AsRef::as_ref).collect::<Vec<_>>(), &work, &ctx.stop)?;
    Ok(names.into_iter().cloned().zip(bytes).collect())
}

/// The same for folders of copies, in their order; copies that are being made or removed count as copies.
fn below(sources: &[&Path], work: &Path, stop: &Stop) -> Result<Vec<u64>, Error> {
    let mut found = Found { held: vec![0; sources.len()], shared: Sorter::new(work, SORT_MEMORY), stop };
    for (at, source) in sources.iter().enumerate() {
        each_entry(source, &mut |copy| found.folder(at, &copy.join(DATA)))?;
    }
    let Found { mut held, shared, .. } = found;
    let (mut sorted, mut group) = (shared.sorted()?, None::<Group>);
    while let Some(record) = sorted.next()? {
        let next = Group::of(record);
        match &mut group {
            Some(group) if group.inode == next.inode => group.names += 1,
            _ => count(group.replace(next), &mut held),
        }
    }
    count(group, &mut held);
    Ok(held)
}

/// A file that has other names, by what the copies have of it.
struct Group {
    /// Device and inode.
    inode: [u8; 16],
    /// The first source that has it.
    source: usize,
    bytes: u64,
    /// Names that the filesystem knows.
    links: u64,
    /// Names in copies.
    names: u64,
}

impl Group {
    fn record(source: usize, stat: &fs::Metadata) -> [u8; 40] {
        let parts = [stat.dev(), stat.ino(), source as u64, stat.size(), stat.nlink()];
        let mut record = [0; 40];
        record.chunks_exact_mut(8).zip(parts).for_each(|(place, part)| place.copy_from_slice(&part.to_be_bytes()));
        record
    }

    fn of(record: &[u8]) -> Self {
        let part = |at: usize| u64::from_be_bytes(record[at * 8..at * 8 + 8].try_into().expect("a record has five parts"));
        let source = usize::try_from(part(2)).expect("it was one");
        Self { inode: record[..16].try_into().expect("a record has five parts"), source, bytes: part(3), links: part(4), names: 1 }
    }
}

fn count(group: Option<Group>, held: &mut [u64]) {
    if let Some(group) = group.filter(|group| group.names == group.links) {
        held[group.source] += group.bytes;
    }
}

struct Found<'a> {
    /// Bytes of files that have no other name at all.
    held: Vec<u64>,
    /// The other files.
    shared: Sorter,
    stop: &'a Stop,
}

impl Found<'_> {
    fn folder(&mut self, source: usize, folder: &Path) -> Result<(), Error> {
        each_entry(folder, &mut |path| {
            self.stop.check()?;
            match fs::symlink_metadata(path) {
                Ok(stat) if stat.is_dir() => self.folder(source, path),
                Ok(stat) if stat.is_file() && stat.nlink() == 1 => {
                    self.held[source] += stat.size();
                    Ok(())
                }
                Ok(stat) if stat.is_file() => Ok(self.shared.push(&Group::record(source, &stat))?),
                Ok(_) => Ok(()),
                Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
                Err(cause) => Err(Error::file("look at", path)(cause)),
            }
        })
    }
}

/// Hands over what lies in a folder; nothing where there is none.
fn each_entry(folder: &Path, each: &mut dyn FnMut(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let listing = match fs::read_dir(folder) {
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        listing => listing.map_err(Error::file("list", folder))?,
    };
    for entry in listing {
        each(&entry.map_err(Error::file("list", folder))?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node's files, and a place for copies beside them.
    struct Case(tempfile::TempDir);

    impl Case {
        fn new(live: &[(&str, usize)]) -> Self {
            let case = Self(tempfile::tempdir().unwrap());
            fs::create_dir(case.0.path().join("live")).unwrap();
            live.iter().for_each(|(name, size)| fs::write(case.live(name), vec![b'x'; *size]).unwrap());
            case
        }

        fn live(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join("live").join(name)
        }

        /// A copy that is links to these.
        fn copy(&self, copy: &str, names: &[&str]) {
            let folder = self.0.path().join(copy).join(DATA).join("ks/users-1");
            fs::create_dir_all(&folder).unwrap();
            names.iter().for_each(|name| fs::hard_link(self.live(name), folder.join(name)).unwrap());
        }

        fn gone(&self, names: &[&str]) {
            names.iter().for_each(|name| fs::remove_file(self.live(name)).unwrap());
        }

        fn held(&self, sources: &[&str]) -> Vec<u64> {
            let folders: Vec<_> = sources.iter().map(|source| self.0.path().join(source)).collect();
            below(&folders.iter().map(AsRef::as_ref).collect::<Vec<_>>(), self.0.path(), &Stop::new()).unwrap()
        }
    }

    #[test]
    fn a_file_counts_once_and_only_when_nobody_but_the_copies_has_it() {
        let case = Case::new(&[("in-both", 1), ("in-one", 10), ("live-still", 100), ("of-others", 1000)]);
        let all = ["in-both", "in-one", "live-still", "of-others"];
        case.copy("s/1", &all);
        case.copy("s/2", &["in-both", "live-still", "of-others"]);
        assert_eq!(case.held(&["s"]), [0]);
        fs::hard_link(case.live("of-others"), case.0.path().join("medusa")).unwrap();
        case.gone(&["in-both", "in-one", "of-others"]);
        assert_eq!(case.held(&["s"]), [11]);
        fs::remove_file(case.0.path().join("medusa")).unwrap();
        assert_eq!(case.held(&["s"]), [1011]);
        fs::remove_dir_all(case.0.path().join("s/1")).unwrap();
        assert_eq!(case.held(&["s"]), [1001], "what only the removed copy had is free, the rest is held by the other one");
    }

    #[test]
    fn copies_that_are_being_made_and_files_of_a_copys_own_count_and_nothing_beside_the_data_does() {
        let case = Case::new(&[("a", 1)]);
        case.copy("s/1", &["a"]);
        case.copy("s/2.partial", &["a"]);
        fs::write(case.0.path().join("s/1/data/ks/schema.cql"), "12345").unwrap();
        fs::write(case.0.path().join("s/1/snapshot.json"), "{}").unwrap();
        std::os::unix::fs::symlink("/etc", case.0.path().join("s/1/data/ks/link")).unwrap();
        assert_eq!(case.held(&["s", "not-there"]), [5, 0]);
        case.gone(&["a"]);
        assert_eq!(case.held(&["s"]), [6]);
    }

    #[test]
    fn what_two_sources_have_counts_for_one_of_them() {
        let case = Case::new(&[("a", 7)]);
        case.copy("s/1", &["a"]);
        case.copy("t/1", &["a"]);
        case.gone(&["a"]);
        assert_eq!(case.held(&["s", "t"]), [7, 0]);
        assert_eq!(case.held(&["t"]), [0], "a source that is not configured any more is somebody else");
    }
}
