//! What Windlass does, one file or folder per verb, in library terms.
//!
//! Every verb takes a [`Context`] and plain options and gives an outcome; none knows of clap, of the configuration file or of a terminal.
//! A test drives a verb with an in-memory store, a fixed clock and a temporary folder.
//!
//! The two tiers: [`copies`] are the snapshots on the node's disk, [`catalogue`] is what a repository holds; [`snapshots`] is both together.
//! However many there are: [`listed`] sorts a listing on disk, [`manifests`] judges one snapshot at a time, [`rows`] keeps them to be shown,
//! and [`tally`] is what they come to.
//! The way out: [`snapshot`] takes a local copy, [`ship`] brings it into the repository, [`backup`] does both, between an operator's [`hooks`].
//! The way back: [`fetch`] puts files in a folder, [`restore`] makes the source hold the snapshot.
//! Proof: [`verify`] all at once and [`rolling`] a little each day, and [`key_check`] of an identity; [`heal`] makes damaged snapshots and copies sound again; [`status`] says what is late or wrong on this node, [`cluster`] on all of them.
//!
//! What several verbs share: [`context`] (the world around them), [`spec`] and [`directory`] (the sources), [`name`] and [`origin`] (what a
//! person asks for), [`lists`], [`bodies`] and [`entries`] (manifests and streams of lines), [`assemble`] (lines' bytes brought together),
//! [`elsewhere`] (bytes that are unreadable where they should lie), [`data_folder`], [`facts`], [`cache`],
//! [`node`] (this machine's identity), [`keys`] and [`opened_packs`] (of an encrypted repository), [`remembered`] (the repositories it has used), [`last_failure`],
//! [`undo`] (what a restore leaves), [`retire`] (four copies), [`locks`], [`state`] and [`work`] (where
//! things lie), [`budget`] (memory), [`size`] (bytes in words), [`damage`], [`error`], [`event`].

mod ahead;
pub(crate) mod assemble;
pub mod backup;
mod bodies;
pub mod budget;
pub mod by_number;
pub mod cache;
pub mod cat;
pub mod catalogue;
pub mod cluster;
pub mod configuration;
pub mod context;
pub mod copies;
pub mod damage;
mod data_folder;
pub mod diff;
mod directory;
pub mod document;
mod elsewhere;
mod entries;
pub mod error;
pub mod event;
mod facts;
pub mod fetch;
pub mod forget;
pub mod heal;
mod held;
pub mod hooks;
pub mod init;
mod inventory;
pub mod key_check;
pub mod keys;
mod last_failure;
pub mod listed;
pub mod lists;
pub mod locks;
mod lost;
mod manifests;
mod marks;
pub mod name;
pub mod node;
mod obstacle;
mod opened_packs;
pub mod origin;
mod pack_lists;
pub mod pins;
pub mod prune;
mod records;
mod remembered;
mod removals;
pub mod restore;
pub mod retention;
pub mod retire;
pub mod rolling;
mod rows;
mod scratch;
pub mod ship;
pub mod show;
pub mod size;
pub mod snapshot;
pub mod snapshots;
pub mod spec;
mod standing;
pub mod state;
pub mod stats;
pub mod status;
mod tally;
pub mod undo;
pub mod verify;
mod work;

pub use context::Context;
pub use error::Error;

/// Program and version, as manifests name it.
pub const AGENT: &str = concat!("windlass ", env!("CARGO_PKG_VERSION"));
