//! What is stored: identifiers, names, digests, paths, keys, manifests and file lists.
//!
//! Everything here is pure: no I/O, no clock, no async.
//! `docs/FORMAT.md` is the same thing in prose, for a person who must restore without this program; the two change together.
//!
//! Reading order: [`limits`], [`digest`], [`snapshot_id`], [`names`], [`path`] (and [`escape`]), [`entry`] and its text form [`line`],
//! [`file_list`] (where lists are cut), [`pack_list`], [`body`] and [`head`] (the manifest), [`marker`], [`node_file`], [`removal`], [`pin`] (these and heads end with a SHA-256 of
//! themselves: `self_digest`), [`check`], [`coverage`], [`mark`], [`key`].

pub mod body;
pub mod check;
pub mod coverage;
pub mod digest;
pub mod entry;
mod error;
pub mod escape;
pub mod file_list;
pub mod head;
pub mod key;
pub mod limits;
pub mod line;
pub mod mark;
pub mod marker;
pub mod names;
pub mod node_file;
mod number;
pub mod pack_list;
pub mod path;
pub mod pin;
pub mod removal;
mod self_digest;
pub mod snapshot_id;

pub use error::FormatError;
