//! `init`: makes a folder or bucket a repository, and this node known in it.

use serde::Serialize;

use super::{Context, Error};
use crate::repository::Probe;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Take over the node's name from the machine that had it: this one replaces it.
    pub adopt: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Where the repository is.
    pub location: String,
    /// The repository's id; `None` in a dry run that would create one.
    pub repository: Option<String>,
    /// Whether it was (or would be) created just now.
    pub created: bool,
    /// Number of the node file that was (or would be) written; `None` when the node was known already.
    pub claimed: Option<u32>,
    /// What the store can do; `None` in a dry run.
    pub probe: Option<Probe>,
}

/// Creates the marker and this node's file where they are missing; a repository that is there and matches is left as it is.
///
/// # Errors
/// [`Error::Refused`] when the name belongs to another machine and `adopt` is not set; what the store gives.
pub fn run(ctx: &Context, options: &Options) -> Result<Outcome, Error> {
    let _ = (ctx, options);
    Err(Error::Refused("not built".into()))
}
