//! What failed last, remembered beside the node's state: so `status` can say it although nobody watched the run.

use std::fs;
use std::io::ErrorKind;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::chain;
use super::{Context, Error};
use crate::format::names::SourceName;
use crate::sys;
use crate::sys::file;

/// The folder of these documents below the state folder.
const FOLDER: &str = "failures";

/// What a night's run does with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A local copy is taken.
    Snapshot,
    /// Copies are shipped.
    Shipment,
}

impl Work {
    /// Both, in the order in which they are done.
    pub(super) const ALL: [Self; 2] = [Self::Snapshot, Self::Shipment];

    /// Its name, in words and as a folder.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Shipment => "shipment",
        }
    }
}

/// When and why the last run of its kind did not come through.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LastFailure {
    pub(super) time: Timestamp,
    pub(super) error: String,
}

impl LastFailure {
    /// What is remembered; nothing when the last run came through, or where a document cannot be read.
    pub(super) fn of(ctx: &Context, source: &SourceName, work: Work) -> Result<Option<Self>, Error> {
        let text = fs::read(ctx.state()?.path(&[FOLDER, work.word()]).join(source.as_str()));
        Ok(text.ok().and_then(|text| serde_json::from_slice(&text).ok()))
    }
}

/// Remembers how a run ended. One that was stopped, or that another run kept from beginning, says nothing.
///
/// What cannot be remembered is a warning: the run itself is what counts.
pub(super) fn remember(ctx: &Context, source: &SourceName, work: Work, failed: Option<&Error>) {
    let outcome = match failed {
        Some(error) if error.is_stopped() || matches!(error, Error::System(sys::Error::Locked { .. })) => Ok(()),
        Some(error) => write(ctx, source, work, &LastFailure { time: ctx.clock.now(), error: chain(error) }),
        None => forget(ctx, source, work),
    };
    if let Err(error) = outcome {
        ctx.warn(Some(source), format!("how this {} ended cannot be kept for `windlass status`: {}", work.word(), chain(&error)));
    }
}

fn write(ctx: &Context, source: &SourceName, work: Work, failure: &LastFailure) -> Result<(), Error> {
    let path = ctx.state()?.folder(&[FOLDER, work.word()])?.join(source.as_str());
    Ok(file::replace_private(&path, &serde_json::to_vec_pretty(failure).expect("plain JSON"))?)
}

fn forget(ctx: &Context, source: &SourceName, work: Work) -> Result<(), Error> {
    let path = ctx.state()?.path(&[FOLDER, work.word()]).join(source.as_str());
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::file("remove", path)(cause)),
        _ => Ok(()),
    }
}
