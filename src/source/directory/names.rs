//! The names in one directory, in order.

use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawDir};

use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};

/// Bytes of names that are held in memory before the sorter takes them to disk, when the walk's budget is used up.
const SORTER_BUDGET: usize = 256 << 10;

/// What one call of the system may give back.
const LISTING_BUFFER: usize = 32 << 10;

/// Names in ascending order, each once.
#[derive(Debug)]
pub(super) enum Names {
    /// Few enough for memory: the names one after another, and where each begins and ends.
    Memory { bytes: Vec<u8>, spans: Vec<(u32, u32)>, next: usize },
    /// Sorted on disk.
    Disk { sorted: Sorted, last: Option<Vec<u8>> },
}

/// A listing, and what ended it early.
pub(super) struct Listing {
    /// What was listed.
    pub(super) names: Names,
    /// Bytes of memory that it holds.
    pub(super) held: usize,
    /// The error that ended it early.
    pub(super) cut: Option<std::io::Error>,
}

/// Reads the names in the open directory `folder`; those above `budget` bytes are sorted on disk in `work`.
///
/// # Errors
/// Only those of the sorter: an unreadable directory is in [`Listing::cut`].
pub(super) fn read(folder: BorrowedFd<'_>, budget: usize, work: &Path) -> Result<Listing, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut pool = Pool::new(budget, work);
    // A handle of its own, because a position in a listing belongs to the handle.
    let cut = match rustix::fs::openat(folder, c".", flags, Mode::empty()) {
        Err(cause) => Some(cause.into()),
        Ok(own) => {
            let mut buffer = [MaybeUninit::<u8>::uninit(); LISTING_BUFFER];
            let mut listing = RawDir::new(own, &mut buffer);
            loop {
                match listing.next() {
                    None => break None,
                    Some(Err(cause)) => break Some(cause.into()),
                    Some(Ok(entry)) => match entry.file_name().to_bytes() {
                        b"." | b".." => {}
                        name => pool.push(name)?,
                    },
                }
            }
        }
    };
    let (names, held) = pool.finish()?;
    Ok(Listing { names, held, cut })
}

/// Names as they come, in memory or in a sorter.
struct Pool<'a> {
    budget: usize,
    work: &'a Path,
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
    sorter: Option<Sorter>,
}

impl<'a> Pool<'a> {
    fn new(budget: usize, work: &'a Path) -> Self {
        // A span is addressed by 32 bits.
        Self { budget: budget.min(1 << 30), work, bytes: Vec::new(), spans: Vec::new(), sorter: None }
    }

    fn held(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<(u32, u32)>()
    }

    fn push(&mut self, name: &[u8]) -> Result<(), Error> {
        if let Some(sorter) = &mut self.sorter {
            return Ok(sorter.push(name)?);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.spans.push((position(start), position(self.bytes.len())));
        if self.held() > self.budget {
            let mut sorter = Sorter::new(self.work, SORTER_BUDGET);
            for (start, end) in self.spans.drain(..) {
                sorter.push(&self.bytes[start as usize..end as usize])?;
            }
            self.bytes = Vec::new();
            self.spans = Vec::new();
            self.sorter = Some(sorter);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Names, usize), Error> {
        if let Some(sorter) = self.sorter {
            return Ok((Names::Disk { sorted: sorter.sorted()?, last: None }, 0));
        }
        let held = self.held();
        let bytes = self.bytes;
        let name = |span: &(u32, u32)| &bytes[span.0 as usize..span.1 as usize];
        self.spans.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        // A directory that changes while it is listed may give a name twice.
        self.spans.dedup_by(|a, b| name(a) == name(b));
        let spans = self.spans;
        Ok((Names::Memory { bytes, spans, next: 0 }, held))
    }
}

fn position(at: usize) -> u32 {
    u32::try_from(at).expect("a listing in memory is below 1 GiB")
}

impl Names {
    /// The next name, appended to `path`; false at the end.
    pub(super) fn next_onto(&mut self, path: &mut Vec<u8>) -> Result<bool, Error> {
        match self {
            Self::Memory { bytes, spans, next } => {
                let Some((start, end)) = spans.get(*next).copied() else { return Ok(false) };
                *next += 1;
                path.extend_from_slice(&bytes[start as usize..end as usize]);
                Ok(true)
            }
            Self::Disk { sorted, last } => loop {
                let Some(name) = sorted.next()? else { return Ok(false) };
                if last.as_deref() != Some(name) {
                    path.extend_from_slice(name);
                    *last = Some(name.to_vec());
                    return Ok(true);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn all(mut names: Names) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| {
            let mut name = Vec::new();
            names.next_onto(&mut name).unwrap().then_some(name)
        })
        .collect()
    }

    #[test]
    fn a_folder_too_large_for_memory_is_listed_in_the_same_order() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for n in 0..500u32 {
            std::fs::write(folder.path().join(format!("{}", n.wrapping_mul(2_654_435_761))), b"").unwrap();
        }
        let open = std::fs::File::open(folder.path()).unwrap();
        let in_memory = read(open.as_fd(), 1 << 20, work.path()).unwrap();
        let on_disk = read(open.as_fd(), 1000, work.path()).unwrap();
        assert!(matches!(on_disk.names, Names::Disk { .. }) && on_disk.held == 0 && in_memory.held > 1000);
        let names = all(in_memory.names);
        assert!(names.len() == 500 && names.is_sorted());
        assert_eq!(names, all(on_disk.names));
    }
}
