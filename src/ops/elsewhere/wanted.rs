//! The digests that are looked for, on disk.

use std::path::Path;

use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::ops::Error;
use crate::sys::table::Table;

/// Blobs that are looked for, and which of them were found. About 50 bytes for each on disk, and none in memory.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// By digest: 0 while it is looked for, then the blob's length, which is at least 1.
    blobs: Table,
    /// Digests of a blob together with a place where it is not.
    tried: Table,
    open: u64,
}

impl Wanted {
    /// None yet; the tables lie in `work`.
    ///
    /// # Errors
    /// [`Error::System`].
    pub(crate) fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self { blobs: Table::new(work, 4)?, tried: Table::new(work, 0)?, open: 0 })
    }

    /// Adds a blob, once or more often; `tried` = a place in the repository where it is known not to lie sound.
    ///
    /// # Errors
    /// [`Error::System`].
    pub(crate) fn add(&mut self, digest: &Digest, tried: Option<&Location>) -> Result<(), Error> {
        if let Some(at) = tried {
            self.give_up(digest, at)?;
        }
        if !self.blobs.get(digest.as_bytes(), &mut [0; 4])? {
            self.blobs.put(digest.as_bytes(), &[0; 4])?;
            self.open += 1;
        }
        Ok(())
    }

    /// How many are still looked for.
    pub(crate) fn open(&self) -> u64 {
        self.open
    }

    /// The length of a blob that was found; `None` when it was not, or is not one of these.
    ///
    /// # Errors
    /// [`Error::System`].
    pub(crate) fn found(&self, digest: &Digest) -> Result<Option<u32>, Error> {
        let mut length = [0; 4];
        let known = self.blobs.get(digest.as_bytes(), &mut length)?;
        Ok(Some(u32::from_be_bytes(length)).filter(|length| known && *length > 0))
    }

    /// Whether it is one of these and not found yet.
    pub(super) fn is_open(&self, digest: &Digest) -> Result<bool, Error> {
        let mut length = [0; 4];
        Ok(self.blobs.get(digest.as_bytes(), &mut length)? && length == [0; 4])
    }

    /// Whether this place was tried in vain.
    pub(super) fn was_tried(&self, digest: &Digest, at: &Location) -> Result<bool, Error> {
        Ok(self.tried.get(place(digest, at).as_bytes(), &mut [])?)
    }

    /// Remembers that a blob does not lie sound at a place.
    pub(super) fn give_up(&mut self, digest: &Digest, at: &Location) -> Result<(), Error> {
        Ok(self.tried.put(place(digest, at).as_bytes(), &[])?)
    }

    /// Remembers that it was found.
    pub(super) fn close(&mut self, digest: &Digest, length: u32) -> Result<(), Error> {
        self.open -= 1;
        Ok(self.blobs.put(digest.as_bytes(), &length.to_be_bytes())?)
    }
}

/// A name for a blob at a place.
fn place(digest: &Digest, at: &Location) -> Digest {
    let numbers = [&at.frame_offset.to_be_bytes()[..], &at.frame_length.to_be_bytes(), &at.offset.to_be_bytes()].concat();
    Digest::of(&[&digest.as_bytes()[..], at.pack.as_bytes(), &numbers].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_open_until_it_is_found_and_a_place_is_tried_for_one_blob() {
        let folder = tempfile::tempdir().unwrap();
        let mut wanted = Wanted::new(folder.path()).unwrap();
        let (blob, other) = (Digest::of(b"blob"), Digest::of(b"other"));
        let at = Location { pack: Digest::of(b"pack"), frame_offset: 24, frame_length: 7, offset: 512 };
        wanted.add(&blob, Some(&at)).unwrap();
        wanted.add(&blob, None).unwrap();
        assert!(wanted.open() == 1 && wanted.is_open(&blob).unwrap() && !wanted.is_open(&other).unwrap());
        assert!(wanted.was_tried(&blob, &at).unwrap() && !wanted.was_tried(&other, &at).unwrap());
        assert!(!wanted.was_tried(&blob, &Location { offset: 1024, ..at }).unwrap());
        assert_eq!((wanted.found(&blob).unwrap(), wanted.found(&other).unwrap()), (None, None));
        wanted.close(&blob, 4).unwrap();
        wanted.add(&blob, None).unwrap();
        assert!(wanted.open() == 0 && !wanted.is_open(&blob).unwrap());
        assert_eq!(wanted.found(&blob).unwrap(), Some(4));
    }
}
