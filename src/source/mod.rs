//! A stable view of something alive, and putting it back.
//!
//! Each kind of source is a module with the same two halves: taking (a copy that holds still) and placing (a verified copy becomes
//! the live thing again, with a way back). Nothing here knows of buckets, packs or snapshots' ids.
//!
//! Reading order: [`Error`] and [`Problem`]; [`directory`]: walk, copy, place; [`sqlite`]: take, place.

pub mod directory;
mod error;
mod problem;

pub use error::Error;
pub use problem::Problem;
