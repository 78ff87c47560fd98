//! Whether an SSTable is all there, and whether a snapshot is what its manifest says.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::component::{Component, DATA, TOC, is_of_index, needed};
use super::listing::{Found, SORT_MEMORY};
use super::manifest;
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};

/// Most that is read of a list of components: a line for each, and an index of a column brings at most ten.
const TOC_MAX: u64 = 64 << 10;

/// The files of one SSTable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sstable {
    /// `.<index>/`, or nothing.
    folder: String,
    /// What its files begin with.
    name: String,
    format: String,
    /// Which of the snapshot's folders it lies in.
    pub(super) place: usize,
    /// Its components.
    components: Vec<String>,
}

impl Sstable {
    /// An SSTable of which this is the first file; `None` when it is none of an SSTable.
    pub(super) fn begin(found: &Found) -> Option<Self> {
        let (folder, file) = found.path.rfind('/').map_or(("", found.path.as_str()), |at| found.path.split_at(at + 1));
        let component = Component::parse(file)?;
        let [folder, name, format] = [folder, component.sstable, component.format].map(str::to_owned);
        Some(Self { folder, name, format, place: found.place, components: vec![component.name.to_owned()] })
    }

    /// Takes a further file in; false when it belongs to something else.
    ///
    /// # Errors
    /// [`Error::NotWhole`] when it lies in another data directory: names are unique on a node, so one of the two is somebody else's.
    pub(super) fn push(&mut self, found: &Found, places: &[PathBuf]) -> Result<bool, Error> {
        let Some(next) = Self::begin(found).filter(|next| next.folder == self.folder && next.name == self.name) else { return Ok(false) };
        if next.place != self.place {
            let [one, other] = [self.place, next.place].map(|place| places[place].display());
            return Err(Error::NotWhole { why: format!("the SSTable {}{} lies in {one} and in {other}", self.folder, self.name) });
        }
        self.components.extend(next.components);
        Ok(true)
    }

    /// The paths of its files below the snapshot's folder.
    pub(super) fn paths(&self) -> impl Iterator<Item = String> {
        self.components.iter().map(|component| self.path(component))
    }

    /// What the paths of its files below the snapshot's folder begin with.
    pub(super) fn stem(&self) -> String {
        format!("{}{}", self.folder, self.name)
    }

    /// The path of its rows below the snapshot's folder.
    pub(super) fn data(&self) -> String {
        self.path(DATA)
    }

    /// The path of its list of components below the snapshot's folder.
    pub(super) fn toc(&self) -> String {
        self.path(TOC)
    }

    fn path(&self, component: &str) -> String {
        format!("{}{}-{component}", self.folder, self.name)
    }

    fn has(&self, component: &str) -> bool {
        self.components.iter().any(|has| has == component)
    }

    /// Proves that all its components are there. Gives its list of components as it was read, and those of an index that are listed and not
    /// there: an index may list more than it ever had.
    ///
    /// # Errors
    /// [`Error::NotWhole`] naming what is missing; [`Error::File`].
    pub(super) fn check(&self, place: &Path) -> Result<(Vec<u8>, Vec<String>), Error> {
        let incomplete = |what: &str| Error::NotWhole { why: format!("{}{} in {} {what}", self.folder, self.name, place.display()) };
        if let Some(missing) = needed(&self.name[..2], &self.format).iter().find(|component| !self.has(component)) {
            return Err(incomplete(&format!("has no {missing}")));
        }
        if !self.has(TOC) {
            return Err(incomplete(
                "has no TOC.txt, so nobody can tell whether it is all there: `nodetool upgradesstables -a` writes it anew",
            ));
        }
        let (path, mut toc) = (place.join(self.toc()), Vec::new());
        let file = File::open(&path).map_err(Error::file("read", &path))?;
        file.take(TOC_MAX + 1).read_to_end(&mut toc).map_err(Error::file("read", &path))?;
        let text = std::str::from_utf8(&toc).ok().filter(|text| text.len() as u64 <= TOC_MAX);
        let text = text.ok_or_else(|| incomplete("has a TOC.txt that is none"))?;
        let listed = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        if !listed().any(|component| component == DATA) {
            return Err(incomplete("has a TOC.txt that does not list Data.db"));
        }
        let missing: Vec<&str> = listed().filter(|component| !self.has(component)).collect();
        if let Some(missing) = missing.iter().find(|component| !is_of_index(component)) {
            return Err(incomplete(&format!("has no {missing}, though its TOC.txt lists it")));
        }
        let missing = missing.into_iter().map(|component| self.path(component)).collect();
        Ok((toc, missing))
    }
}

/// What the manifests of a table's snapshot list, in the order of names.
pub(super) struct Listed {
    sorted: Sorted,
    /// The name that comes next.
    next: Option<String>,
}

impl Listed {
    /// Reads the manifests in the folders of one snapshot.
    ///
    /// # Errors
    /// [`Error::NotWhole`] when there is none: the server writes it last; those of [`manifest::read`].
    pub(super) fn read(places: &[PathBuf], work: &Path) -> Result<Self, Error> {
        let (mut names, mut manifests) = (Sorter::new(work, SORT_MEMORY), 0);
        for place in places {
            let manifest = manifest::read(place, |name| Ok(names.push(name.as_bytes())?))?;
            manifests += u32::from(manifest.is_some());
        }
        if manifests == 0 {
            let folders = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::NotWhole { why: format!("there is no manifest.json in {folders}: the server did not come to its end") });
        }
        let mut listed = Self { sorted: names.sorted()?, next: None };
        listed.advance()?;
        Ok(listed)
    }

    /// Compares the next file of rows that lies there with what is listed.
    ///
    /// # Errors
    /// [`Error::NotWhole`] when they differ.
    pub(super) fn expect(&mut self, data: &str, place: &Path) -> Result<(), Error> {
        match &self.next {
            Some(next) if next == data => self.advance(),
            Some(next) if next.as_str() < data => Err(lacking(next, place)),
            _ => Err(Error::NotWhole { why: format!("{} is there, and manifest.json does not list it", place.join(data).display()) }),
        }
    }

    /// Nothing more may be listed than what was there.
    ///
    /// # Errors
    /// [`Error::NotWhole`] naming what is missing.
    pub(super) fn finish(self, places: &[PathBuf]) -> Result<(), Error> {
        self.next.map_or(Ok(()), |next| Err(lacking(&next, &places[0])))
    }

    /// Goes on to the next name; where several manifests list the same, it counts once.
    fn advance(&mut self) -> Result<(), Error> {
        let before = self.next.take();
        loop {
            let Some(record) = self.sorted.next()? else { return Ok(()) };
            let name = String::from_utf8_lossy(record);
            if before.as_deref() != Some(&*name) {
                self.next = Some(name.into_owned());
                return Ok(());
            }
        }
    }
}

fn lacking(name: &str, place: &Path) -> Error {
    Error::NotWhole { why: format!("manifest.json lists {name}, and it is not in {}", place.display()) }
}
