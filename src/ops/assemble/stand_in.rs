//! What becomes of selected hard links whose first path was not selected.
//!
//! The first of them takes over the file: its kind, its metadata and its content. The others become links to that one.
//! A file comes before its links in path order, so its lines wait, sorted, until the path of the link is reached.

use std::path::Path;

use super::OpenLines;
use crate::format::entry::Kind;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::sys::sorter::{Sorted, Sorter};

/// Memory of each of the two sorters. Both are empty unless hard links lead out of a selection.
const SORT_BUDGET: usize = 4 << 20;

/// Ends a path in a record: no sort key holds two zero bytes in a row or ends with one.
const END: [u8; 2] = [0, 0];

/// Hard links, with the first paths of their files, in any order.
pub(super) struct Dangling(Sorter);

impl Dangling {
    pub(super) fn new(work: &Path) -> Self {
        Self(Sorter::new(work, SORT_BUDGET))
    }

    /// Adds the link `path` to a file whose first path is `first`.
    pub(super) fn push(&mut self, first: &RelPath, path: &RelPath) -> Result<(), Error> {
        Ok(self.0.push(&[&first.sort_key()[..], &END, &path.sort_key()].concat())?)
    }
}

/// What stands in a selection at the path of a link.
pub(super) enum Role {
    /// A link to this path.
    Link(RelPath),
    /// The file itself.
    File {
        /// A line of it, with the path of the link.
        line: Box<Line>,
        /// Where a local copy keeps its bytes; on its first line only.
        stored_as: Option<RelPath>,
    },
}

/// The roles of all dangling links, in path order.
pub(super) struct StandIns {
    sorted: Sorted,
    next: Option<(RelPath, Role)>,
}

impl StandIns {
    /// Reads the files of these links from the snapshot's lines.
    pub(super) fn gather(open: &OpenLines<'_>, dangling: Dangling, work: &Path) -> Result<Self, Error> {
        let mut links = dangling.0.sorted()?;
        let mut roles = Sorter::new(work, SORT_BUDGET);
        let mut next = next_link(&mut links)?;
        if next.is_some() {
            let mut lines = open()?;
            let mut line = lines.next_line()?;
            while let Some((first, path)) = next {
                while line.as_ref().is_some_and(|line| *line.path() < first) {
                    line = lines.next_line()?;
                }
                let mut number = 0;
                while let Some(content) = line.take_if(|line| *line.path() == first) {
                    roles.push(&file_record(&path, number, &first, content)?)?;
                    (number, line) = (number + 1, lines.next_line()?);
                }
                if number == 0 {
                    return Err(Error::damaged(format!("`{path}`"), format!("it links to `{first}`, which the snapshot does not hold")));
                }
                next = next_link(&mut links)?;
                while let Some((_, other)) = next.take_if(|(same, _)| *same == first) {
                    roles.push(&link_record(&other, &path))?;
                    next = next_link(&mut links)?;
                }
            }
        }
        let mut all = Self { sorted: roles.sorted()?, next: None };
        all.advance()?;
        Ok(all)
    }

    /// The next role at this path, if there is one. Paths must be asked for in order.
    pub(super) fn take(&mut self, path: &RelPath) -> Result<Option<Role>, Error> {
        match self.next.take_if(|(at, _)| at == path) {
            Some((_, role)) => self.advance().map(|()| Some(role)),
            None => Ok(None),
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.next = match self.sorted.next()? {
            Some(record) => Some(read_role(record)?),
            None => None,
        };
        Ok(())
    }
}

/// Key of the path, number of the line, then `F`, the file's path (ended) and the line, or `L` and the path that is linked to.
fn file_record(path: &RelPath, number: u32, first: &RelPath, mut line: Line) -> Result<Vec<u8>, Error> {
    match &mut line {
        Line::Entry(entry) if matches!(entry.kind, Kind::Directory | Kind::HardLink) => {
            return Err(Error::damaged(format!("`{path}`"), format!("it is a hard link to `{first}`, which is no file")));
        }
        Line::Entry(entry) => entry.path = path.clone(),
        Line::More(more) => more.path = path.clone(),
    }
    let json = line.to_json().map_err(Error::unreadable(path))?;
    Ok([&path.sort_key()[..], &END, &number.to_be_bytes(), b"F", &first.sort_key(), &END, &json].concat())
}

fn link_record(path: &RelPath, to: &RelPath) -> Vec<u8> {
    [&path.sort_key()[..], &END, &0u32.to_be_bytes(), b"L", to.as_bytes()].concat()
}

fn read_role(record: &[u8]) -> Result<(RelPath, Role), Error> {
    let (path, rest) = split(record);
    let (number, rest) = rest.split_first_chunk::<4>().expect("a record has the number of its line");
    let (what, rest) = rest.split_first().expect("a record says what it is");
    if *what == b'L' {
        return Ok((path, Role::Link(checked(rest.to_vec()))));
    }
    let (first, json) = split(rest);
    let line = Box::new(Line::from_json(json).map_err(Error::unreadable(&path))?);
    Ok((path, Role::File { line, stored_as: (*number == [0; 4]).then_some(first) }))
}

fn next_link(links: &mut Sorted) -> Result<Option<(RelPath, RelPath)>, Error> {
    let Some(record) = links.next()? else { return Ok(None) };
    let (first, path) = split(record);
    Ok(Some((first, from_key(path))))
}

/// The path that a record begins with, and what follows its end.
fn split(record: &[u8]) -> (RelPath, &[u8]) {
    let end = record.windows(2).position(|pair| pair == END).expect("a path in a record is ended");
    (from_key(&record[..end]), &record[end + END.len()..])
}

fn from_key(key: &[u8]) -> RelPath {
    checked(key.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }).collect())
}

fn checked(path: Vec<u8>) -> RelPath {
    RelPath::new(path).expect("a record holds a path that was checked")
}
