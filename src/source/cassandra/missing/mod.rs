//! The schema of a snapshot against the one of a node: what is missing is made, with the ids that it had.
//!
//! Both sides are what Cassandra itself writes (`DESCRIBE … WITH INTERNALS`, see `describe`), read as definitions: [`Definitions`]. Of these
//! it is decided whether files of a snapshot can be read with the definitions of the node ([`Comparison`]): a table may have another id, a
//! column may have come or gone, but a type may not be another, nor may a column be gone of which nothing tells that it was dropped
//! (Cassandra's `SerializationHeader` knows all columns of a file by their names, those of the key by their place).
//!
//! [`make`] says to the node what of the snapshot it lacks, in the order in which it was recorded. Only statements that were understood are
//! said, and none that changes or drops what the node has. After a kill the comparison is made anew; a table that has only a part of its
//! statements is told from one that differs by what it is after each of them.
//!
//! Reading order: `piece`, `shape`, `definition`, `differences`, `compare`, `make`; `beside` is for a table under another name.

mod beside;
mod compare;
mod definition;
mod differences;
mod make;
mod piece;
mod shape;

pub use compare::{Compared, Comparison, Part, Standing};
pub use definition::{Definitions, Element, Index};
pub use differences::{Difference, OF_ANOTHER_ENGINE, are_of_two_engines};
pub use make::make;
