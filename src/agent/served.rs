//! Which runs of a source were made: what keeps a restart, or a clock that is set back, from making one twice.
//!
//! It is a list of names of occurrences and not one instant: a clock that was a year ahead for a minute would otherwise keep a source from being
//! backed up for a year.

use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::format::names::SourceName;
use crate::ops::{Context, Error};
use crate::sys::file;

/// The folder of these documents below the state folder.
const FOLDER: &str = "agent";

/// How many are remembered: a daily schedule can be lived through again for more than a year, and a document of ten kilobytes is written anew
/// with each run.
const KEPT: usize = 400;

/// The runs of one source that were made, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    runs: VecDeque<DateTime>,
}

impl Served {
    /// What is remembered; nothing where nothing was written yet. A document that cannot be read as one is told and counts as none: a run too many
    /// costs an hour, one too few a day of data.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(ctx: &Context, source: &SourceName) -> Result<Self, Error> {
        let path = ctx.state()?.path(&[FOLDER]).join(source.as_str());
        let text = match fs::read(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(Error::file("read", &path))?,
        };
        Ok(serde_json::from_slice(&text).unwrap_or_else(|cause| {
            ctx.warn(Some(source), format!("{} cannot be read ({cause}), so its last run may be made once more", path.display()));
            Self::default()
        }))
    }

    /// Whether this run was made.
    pub fn has(&self, wall: DateTime) -> bool {
        self.runs.contains(&wall)
    }

    /// Whether any run was made.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Remembers that this run was made.
    ///
    /// # Errors
    /// [`Error::File`] and what else writing gives; it is remembered in memory all the same.
    pub fn add(&mut self, ctx: &Context, source: &SourceName, wall: DateTime) -> Result<(), Error> {
        self.runs.push_back(wall);
        while self.runs.len() > KEPT {
            self.runs.pop_front();
        }
        let path = ctx.state()?.folder(&[FOLDER])?.join(source.as_str());
        Ok(file::replace_private(&path, &serde_json::to_vec_pretty(self).expect("plain JSON"))?)
    }
}
