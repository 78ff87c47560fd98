//! The SQLite source: one database file.
//!
//! [`take`] makes a copy that holds still while others go on writing, and has SQLite check it.

mod connection;
mod facts;
mod take;

pub use facts::{Facts, TableFacts};
pub use take::{check, take};
