//! What the searches of all places share: what is wanted, who takes it, and what came of it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Gains, Take, Wanted};
use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::ops::damage::Problem;
use crate::ops::error::chain;
use crate::ops::{Context, Error};

/// Most places that are told one by one: enough to see where the bytes came from.
const PLACES: usize = 20;

/// Most damaged objects that are warned of: a repository that is broken throughout is a matter for `verify`.
const WARNINGS: usize = 20;

/// The last of too many places.
const OTHERS: &str = "other places";

/// A place that bytes came from, because they could not be read where they should lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The key of a pack, or the folder of a local copy.
    pub place: String,
    /// How many blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One search.
pub(super) struct Finder<'a> {
    pub(super) ctx: &'a Context,
    pub(super) work: PathBuf,
    pub(super) wanted: &'a mut Wanted,
    take: &'a mut Take<'a>,
    gains: Gains,
    warned: usize,
    /// Whether the repository answers no more, so that nothing is left to be asked: it comes last.
    is_cut_off: bool,
}

impl<'a> Finder<'a> {
    pub(super) fn new<'t: 'a>(ctx: &'a Context, work: &Path, wanted: &'a mut Wanted, take: &'a mut Take<'t>) -> Self {
        Self { ctx, work: work.to_owned(), wanted, take, gains: Gains::default(), warned: 0, is_cut_off: false }
    }

    /// Whether nothing is left to look for, or nowhere to look.
    pub(super) fn is_done(&self) -> bool {
        self.wanted.open() == 0 || self.is_cut_off
    }

    /// Hands on a blob that is still looked for, whose digest has matched.
    pub(super) fn hand_on(&mut self, digest: &Digest, bytes: &[u8], at: Option<&Location>, place: &str) -> Result<(), Error> {
        (self.take)(digest, bytes, at)?;
        self.wanted.close(digest, u32::try_from(bytes.len()).expect("a blob has at most 1 MiB"))?;
        let places = &mut self.gains.places;
        let at = places.iter().position(|known| known.place == place).unwrap_or_else(|| {
            if places.len() < PLACES {
                let name = if places.len() + 1 < PLACES { place } else { OTHERS };
                places.push(Place { place: name.to_owned(), blobs: 0, bytes: 0 });
            }
            places.len() - 1
        });
        places[at].blobs += 1;
        places[at].bytes += bytes.len() as u64;
        Ok(())
    }

    /// Counts what was downloaded.
    pub(super) fn count(&mut self, downloaded: usize) {
        self.gains.downloaded += downloaded as u64;
    }

    /// Goes on without a place that cannot be asked, and says so. A store that cannot be reached ends the search.
    ///
    /// # Errors
    /// [`Error::Stopped`] in any of its forms: nothing else ends the run.
    pub(super) fn miss(&mut self, place: &str, error: Error) -> Result<(), Error> {
        if error.is_stopped() {
            return Err(error);
        }
        self.is_cut_off |= error.is_unreachable();
        let problem = chain(&error);
        self.pass_over(place, &problem);
        self.note_unasked(place, &problem);
        Ok(())
    }

    /// Remembers that a place may have what is wanted and does not say.
    pub(super) fn note_unasked(&mut self, place: &str, problem: &str) {
        if self.gains.unasked.len() < PLACES {
            self.gains.unasked.push(format!("{place}: {problem}"));
        }
    }

    /// Says what is wrong with an object that may hold wanted bytes.
    pub(super) fn pass_over_object(&mut self, key: &str, problem: &Problem) {
        self.pass_over(key, &problem.text);
        if problem.verdict.is_none() {
            self.note_unasked(key, &problem.text);
        }
    }

    /// Says that something which may hold wanted bytes cannot be used.
    pub(super) fn pass_over(&mut self, object: &str, problem: &str) {
        self.warned += 1;
        match self.warned {
            ..=WARNINGS => self.ctx.warn(None, format!("looking for damaged bytes in other places: {object}: {problem}")),
            n if n == WARNINGS + 1 => {
                self.ctx.warn(None, "looking for damaged bytes in other places: more is damaged: run `windlass verify`")
            }
            _ => {}
        }
    }

    pub(super) fn finish(self) -> Gains {
        self.gains
    }
}
