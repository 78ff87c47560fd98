//! The directory source: a tree of files.
//!
//! [`Walk`] visits it in the order of the file lists, [`copy`](copy()) makes it hold still, [`place`](place()) makes a verified tree the
//! live one, and [`undo`] takes that back.
//! What a snapshot of a directory holds: files (holes kept), directories, symbolic links, hard links, FIFOs; owners, modes, times to the
//! nanosecond, extended attributes and ACLs. What it does not hold: sockets, silently, because only a running program can make them;
//! devices, as a [`Problem`](super::Problem); what is mounted inside (unless asked): a mount point is an empty directory.

mod batch;
mod copy;
mod exclude;
mod links;
mod metadata;
mod names;
mod owners;
mod place;
mod reader;
mod share;
mod taker;
mod walk;
mod xattrs;

use std::path::PathBuf;

pub use copy::{Bringing, CopySettings, copy};
pub use exclude::{Exclude, OWN_NAMES};
pub use metadata::is_unchanged;
pub(in crate::source) use place::attributes;
pub(super) use place::recover;
pub use place::{Placed, Placement, Way, discard, place, plan, undo};
pub use taker::{Content, Taker};
pub use walk::{Found, FoundEntry, Walk};

/// A tree to be taken.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Its root on this machine; may itself be a symbolic link to a directory.
    pub root: PathBuf,
    /// What is left out.
    pub exclude: Exclude,
    /// Whether to go into what is mounted inside.
    pub cross_filesystems: bool,
}
