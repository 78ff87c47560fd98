//! The SQLite source: one database file.
//!
//! [`take`] makes a copy that holds still while others go on writing, and has SQLite check it. [`place`] makes such a copy the live
//! database, [`undo`] takes that back. [`script`] and [`rows`] are for making a database and looking into one, as the demo does.

mod connection;
mod facts;
mod hold;
mod place;
mod script;
mod sidecars;
mod take;
mod users;

pub use facts::{Facts, TableFacts};
pub(super) use place::recover;
pub use place::{Placement, place, plan, undo};
pub use script::{rows, script};
pub use take::{check, size, take};
