//! One table's part of a snapshot: proved to be whole, and brought into the copy.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::complete::{Listed, Sstable};
use super::component::{MANIFEST, SCHEMA};
use super::earlier::Earlier;
use super::folders::{Before, Folders, data_files, key};
use super::link::Linker;
use super::listing::Listing;
use super::schema::{Keyspace, Kind, Table, TableId};
use crate::format::path::RelPath;
use crate::source::{Error, Problem};
use crate::sys::meter::Meter;
use crate::sys::stop::Stop;

/// Most that the statements of one table may take. They are compared between data directories, and read for that.
const SCHEMA_MAX: u64 = 16 << 20;

/// What the copy holds of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenTable {
    /// Its keyspace.
    pub keyspace: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TableId,
    /// What it is.
    pub kind: Kind,
    /// How many SSTables it has, those of legacy indexes counted. 0: it is empty.
    pub sstables: u64,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of files that had to be copied, so that the copy takes them from the disk.
    #[serde(skip)]
    pub copied_bytes: u64,
}

impl TakenTable {
    /// A table of which nothing was taken.
    fn of(keyspace: &Keyspace, table: &Table) -> Self {
        let (keyspace, name, id) = (keyspace.name.clone(), table.name.clone(), table.id.clone());
        Self { keyspace, name, id, kind: table.kind, sstables: 0, files: 0, bytes: 0, copied_bytes: 0 }
    }
}

/// What taking a table needs.
pub(super) struct Taking<'a> {
    pub(super) folders: &'a Folders,
    pub(super) before: &'a Before,
    pub(super) tag: &'a str,
    /// The data folder of the copy that takes what lies in a folder of the snapshot.
    pub(super) data: &'a dyn Fn(&Path) -> PathBuf,
    /// An earlier copy, whose files stand in for those that cannot be linked.
    pub(super) earlier: Option<&'a Earlier<'a>>,
    /// Whether a view must be in the snapshot as a table must. ScyllaDB's are made anew from their tables when these come back, and need not.
    pub(super) needs_views: bool,
    /// For nameless temporary files.
    pub(super) work: &'a Path,
    pub(super) stop: &'a Stop,
    pub(super) meter: &'a Meter,
}

impl Taking<'_> {
    /// Proves that the snapshot of a table is whole, SSTable by SSTable, and brings it into the copy.
    ///
    /// # Errors
    /// [`Error::NotWhole`] with the table and what is missing; [`Error::File`]; [`Error::Stopped`].
    pub(super) fn table(&self, keyspace: &Keyspace, table: &Table, problems: &mut Vec<Problem>) -> Result<TakenTable, Error> {
        let places = self.folders.of_snapshot(&keyspace.name, table, self.tag)?;
        let is_optional = table.kind == Kind::View && !self.needs_views;
        if places.is_empty() && is_optional {
            return Ok(TakenTable::of(keyspace, table));
        }
        if places.is_empty() {
            let (name, told) = (format!("{}.{}", keyspace.name, table.name), self.folders.told());
            let why = format!("the server has the table {name}, and no snapshot of it lies in {told}");
            return Err(Error::NotWhole { why: format!("{why}: see the server's log (system.log) for why it made none") });
        }
        let key = key(keyspace, table);
        let folders = places.iter().map(|place| (self.data)(place).join(&key)).collect();
        let mut one = One {
            taking: self,
            key,
            linker: Linker::create(folders, self.stop, self.meter)?,
            listed: Listed::read(&places, self.work)?,
            taken_at: taken_at(&places)?,
            places,
            sstables: 0,
            unknown: Few::default(),
            missing: Few::default(),
        };
        one.files()?;
        if one.sstables == 0 && self.before.had(keyspace, table) {
            one.check_empty(&self.folders.of_table(&keyspace.name, table)?)?;
        }
        let has_schema = one.schema()?;
        // The server writes none for its own keyspaces (`SchemaConstants`).
        if !has_schema && !is_optional && !keyspace.name.starts_with("system") {
            let why = format!("there is no schema.cql in {}: the server did not come to its end", one.places[0].display());
            return Err(Error::NotWhole { why });
        }
        one.finish(keyspace, table, problems)
    }
}

/// A time of the filesystem, in seconds and nanoseconds.
type Instant = (i64, i64);

/// When the server came to the end of a snapshot: it writes the manifest last.
pub(super) fn taken_at(places: &[PathBuf]) -> Result<Instant, Error> {
    let mut taken = (i64::MIN, 0);
    for manifest in places.iter().map(|place| place.join(MANIFEST)).filter(|path| path.is_file()) {
        let stat = fs::metadata(&manifest).map_err(Error::file("look at", &manifest))?;
        taken = taken.max((stat.mtime(), stat.mtime_nsec()));
    }
    Ok(taken)
}

fn is_older(stat: &fs::Metadata, than: Instant) -> bool {
    (stat.mtime(), stat.mtime_nsec()) < than
}

/// Whether a file that a snapshot does not have lies in the table's folder since before it. An index lists components that it never needed
/// (SAI those of vectors that are too few to be compressed), and those that were made later.
fn was_there(place: &Path, path: &str, taken_at: Instant) -> bool {
    let table = place.parent().and_then(Path::parent);
    table.and_then(|table| fs::metadata(table.join(path)).ok()).is_some_and(|stat| is_older(&stat, taken_at))
}

/// A few of many names: how many there are, and the first.
#[derive(Default)]
pub(super) struct Few {
    count: u64,
    first: Option<String>,
}

impl Few {
    pub(super) fn add(&mut self, name: String) {
        self.count += 1;
        self.first.get_or_insert(name);
    }

    /// As a problem of a table, where there are any. One for a table, however many files it has.
    pub(super) fn problem(self, kind: &'static str, folder: &str, what: &str) -> Result<Option<Problem>, Error> {
        let Some(first) = self.first else { return Ok(None) };
        let detail = if self.count == 1 { what.to_owned() } else { format!("{what}, as are {} more of this table", self.count - 1) };
        Ok(Some(Problem { kind, path: RelPath::new(format!("{folder}/{first}"))?, detail }))
    }
}

/// A table that is being taken.
struct One<'a> {
    taking: &'a Taking<'a>,
    /// Its folder below a data directory, and below a copy's data.
    key: String,
    places: Vec<PathBuf>,
    taken_at: Instant,
    linker: Linker<'a>,
    listed: Listed,
    sstables: u64,
    unknown: Few,
    missing: Few,
}

impl One<'_> {
    /// Goes through all files, SSTable by SSTable.
    fn files(&mut self) -> Result<(), Error> {
        let mut listing = Listing::of(&self.places, self.taking.work, self.taking.stop)?;
        let mut current: Option<Sstable> = None;
        while let Some(found) = listing.next()? {
            if let Some(sstable) = &mut current
                && sstable.push(&found, &self.places)?
            {
                continue;
            }
            if let Some(done) = current.take() {
                self.sstable(&done)?;
            }
            current = Sstable::begin(&found);
            if current.is_none() {
                self.linker.bring((found.place, &self.places[found.place]), &found.path, None)?;
                self.unknown.add(found.path);
            }
        }
        if let Some(done) = current {
            self.sstable(&done)?;
        }
        Ok(())
    }

    fn sstable(&mut self, sstable: &Sstable) -> Result<(), Error> {
        let place = &self.places[sstable.place];
        let (toc, missing) = sstable.check(place)?;
        self.listed.expect(&sstable.data(), place)?;
        missing.into_iter().filter(|path| was_there(place, path, self.taken_at)).for_each(|path| self.missing.add(path));
        let (toc_path, stem, from) = (sstable.toc(), sstable.stem(), (sstable.place, place.as_path()));
        let earlier = self.taking.earlier.map(|earlier| earlier.beside(&self.key, place, &stem));
        for path in sstable.paths() {
            if path == toc_path {
                self.linker.write(from, &path, &toc)?;
            } else {
                self.linker.bring(from, &path, earlier.as_ref())?;
            }
        }
        self.sstables += 1;
        Ok(())
    }

    /// A table that had SSTables before and has none in its snapshot was emptied meanwhile; unless one of them is older than the snapshot and
    /// still there.
    fn check_empty(&self, folders: &[PathBuf]) -> Result<(), Error> {
        for folder in folders {
            for entry in data_files(folder)? {
                let path = entry?.path();
                // What was compacted away meanwhile was not left out.
                let Ok(stat) = fs::metadata(&path) else { continue };
                if is_older(&stat, self.taken_at) {
                    let why = format!("{} is older than the snapshot, which has no file of this table", path.display());
                    return Err(Error::NotWhole { why });
                }
            }
        }
        Ok(())
    }

    /// The statements that make the table, as the server wrote them: one text, wherever it lies. Gives whether there is one.
    fn schema(&mut self) -> Result<bool, Error> {
        let mut known: Option<(PathBuf, Vec<u8>)> = None;
        for (at, place) in self.places.iter().enumerate() {
            let path = place.join(SCHEMA);
            if !path.is_file() {
                continue;
            }
            let mut text = Vec::new();
            let file = File::open(&path).map_err(Error::file("read", &path))?;
            file.take(SCHEMA_MAX + 1).read_to_end(&mut text).map_err(Error::file("read", &path))?;
            if text.len() as u64 > SCHEMA_MAX {
                return Err(Error::NotWhole { why: format!("{} has more than {SCHEMA_MAX} bytes", path.display()) });
            }
            match &known {
                Some((other, known)) if *known != text => {
                    return Err(Error::NotWhole { why: format!("{} and {} differ", other.display(), path.display()) });
                }
                Some(_) => {}
                None => {
                    self.linker.bring((at, place), SCHEMA, None)?;
                    known = Some((path, text));
                }
            }
        }
        Ok(known.is_some())
    }

    fn finish(self, keyspace: &Keyspace, table: &Table, problems: &mut Vec<Problem>) -> Result<TakenTable, Error> {
        self.listed.finish(&self.places)?;
        problems.extend(self.unknown.problem(Problem::UNKNOWN_FILE, &self.key, "no file that Cassandra is known to write")?);
        let what = "in the table's folder and listed in TOC.txt, but not in the snapshot; the server builds it anew";
        problems.extend(self.missing.problem(Problem::INDEX_INCOMPLETE, &self.key, what)?);
        let Linker { files, bytes, copied_bytes, .. } = self.linker;
        Ok(TakenTable { sstables: self.sstables, files, bytes, copied_bytes, ..TakenTable::of(keyspace, table) })
    }
}
