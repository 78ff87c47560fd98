//! A stable view of something alive, and putting it back.
//!
//! Each kind of source is a module with the same two halves: taking (a copy that holds still) and placing (a verified copy becomes
//! the live thing again, with a way back). Nothing here knows of buckets, packs or snapshots' ids.
//!
//! Reading order: [`Error`] and [`Problem`]; [`directory`]: walk, copy, place; [`sqlite`]: take, place; [`mysql`]: take; [`cassandra`]:
//! look, take; [`placement`]: what putting back has in common, and what happens after a kill.

pub mod cassandra;
pub mod directory;
mod error;
pub mod mysql;
pub mod placement;
mod problem;
pub mod sqlite;

pub use error::Error;
pub use problem::Problem;
