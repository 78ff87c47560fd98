//! Windlass hauls a node's snapshots up into a bucket and back again.
//!
//! A backup, step by step, and where each step lives:
//!
//! 1. The command line ([`cli`]) reads the configuration ([`config`]) and makes a [`ops::Context`] of it: the only place where real
//!    clocks, real stores and real terminals are chosen.
//! 2. [`ops::backup`] takes a snapshot, then ships it; every verb is one file or folder of [`ops`] and needs neither of the two above.
//! 3. [`ops::snapshot`] asks a [`source`] for a copy that holds still: a directory is walked and copied, SQLite writes a copy of itself,
//!    a database server is dumped by its vendor's program. While bytes pass by they are cut into blobs and hashed ([`archive::Cutter`]).
//!    `snapshot.json`, written last, makes the copy exist.
//! 4. The oldest copy of one too many goes ([`ops::retire`]).
//! 5. [`ops::ship`] puts blobs that the repository does not have into packs ([`archive::pack`]), then writes file lists, then the
//!    manifest. Its head, written last, makes the shipped snapshot exist.
//! 6. All objects go through [`repository`], which never writes over one.
//! 7. The way back: [`ops::fetch`] and [`ops::restore`]; the proof: [`ops::verify`].
//!
//! Night for night, without a person: [`agent`].
//!
//! What is stored, to the byte, is [`format`](mod@format), and in prose `docs/FORMAT.md`. Every edge to the operating system is [`sys`].
//! Who may use whom is a table in `docs/ARCHITECTURE.md` that a test enforces.

pub mod format;
pub mod sys;

pub mod archive;
pub mod repository;
pub mod source;

pub mod ops;

pub mod agent;

pub mod cli;
pub mod config;
