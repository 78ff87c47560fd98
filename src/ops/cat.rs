//! `cat`: one file of a snapshot to an output.

use std::io::Write;

use super::name::SnapshotName;
use super::{Context, Error};
use crate::format::names::NodeName;
use crate::format::path::RelPath;

/// Writes the bytes of one file; each blob is written after its digest has matched. Gives the number of bytes.
///
/// # Errors
/// [`Error::Absent`] when there is no such file; [`Error::Damaged`].
pub fn run(ctx: &Context, name: &SnapshotName, node: Option<&NodeName>, path: &RelPath, out: &mut dyn Write) -> Result<u64, Error> {
    let _ = (ctx, name, node, path, out);
    Err(Error::Refused("not built".into()))
}
