//! Which runs of a source were made: what keeps a restart, or a clock that is set back, from making one twice.
//!
//! It is a list of occurrences and not one instant: a clock that was a year ahead for a minute would otherwise keep a source from being backed
//! up for a year. For the same reason what lies ahead of the clock counts no more: a run too many costs an hour, one too few a day of data.

use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::schedule::Occurrence;
use crate::format::names::SourceName;
use crate::ops::{Context, Error};
use crate::sys::file;

/// The folder of these documents below the state folder.
const FOLDER: &str = "agent";

/// How many are remembered: a daily schedule can be lived through again for more than a year, and a document of ten kilobytes is written anew
/// with each run.
const KEPT: usize = 400;

/// How far ahead of the clock a run may lie and count: clocks are set back by seconds, and a run that was made an hour early is one.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// The runs of one source that were made, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    runs: VecDeque<Run>,
}

/// One run that was made. It is another one where the same time of day means another instant, because the time zone has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    wall: DateTime,
    instant: Timestamp,
}

impl Served {
    /// What is remembered; nothing where nothing was written yet. A document that cannot be read is told and counts as none.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no local tier.
    pub fn read(ctx: &Context, source: &SourceName) -> Result<Self, Error> {
        let path = ctx.state()?.path(&[FOLDER]).join(source.as_str());
        let told = |why: String| {
            ctx.warn(Some(source), format!("{} cannot be read ({why}), so its last run may be made once more", path.display()));
            Self::default()
        };
        Ok(match fs::read(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => Self::default(),
            Err(cause) => told(cause.to_string()),
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|cause| told(cause.to_string())),
        })
    }

    /// Whether this run was made, as far as the clock shows now that it can have been.
    pub fn has(&mut self, occurrence: Occurrence, now: Timestamp) -> bool {
        self.runs.retain(|run| run.instant.duration_since(now) <= AHEAD);
        self.runs.iter().any(|run| run.wall == occurrence.wall && run.instant == occurrence.instant)
    }

    /// Whether any run was made.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Remembers that this run was made.
    ///
    /// # Errors
    /// [`Error::File`] and what else writing gives; it is remembered in memory all the same.
    pub fn add(&mut self, ctx: &Context, source: &SourceName, occurrence: Occurrence) -> Result<(), Error> {
        self.runs.push_back(Run { wall: occurrence.wall, instant: occurrence.instant });
        while self.runs.len() > KEPT {
            self.runs.pop_front();
        }
        let path = ctx.state()?.folder(&[FOLDER])?.join(source.as_str());
        Ok(file::replace_private(&path, &serde_json::to_vec_pretty(self).expect("plain JSON"))?)
    }
}
