//! Marks of a node: what prune will delete, as it is listed and read.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::damage::{Problem, settle};
use super::node::Remote;
use super::{Error, records};
use crate::format::key::{Key, NodeKey};
use crate::format::limits::RECORDS_MAX;
use crate::format::mark::{self, Mark};
use crate::format::names::NodeName;

/// A listed file of marks.
#[derive(Clone, Debug)]
pub(super) struct MarkFile {
    /// Its key.
    pub(super) key: String,
    /// The node whose objects it marks.
    pub(super) node: NodeName,
    /// When it was stored, by the store's clock: from then on what it names counts as absent.
    pub(super) since: Timestamp,
}

/// The files of marks that the store lists now.
///
/// # Errors
/// What the store gives.
pub(super) fn list(remote: &Remote, node: &NodeName) -> Result<Vec<MarkFile>, Error> {
    let mut files = Vec::new();
    remote.store.list(&format!("{node}/prune/"), &mut |object| {
        if matches!(Key::parse(&object.key), Some(Key::Of(_, NodeKey::Prune(_)))) {
            files.push(MarkFile { key: object.key, node: node.clone(), since: object.modified });
        }
        ControlFlow::Continue(())
    })?;
    Ok(files)
}

impl MarkFile {
    /// Hands on each mark; gives whether the file is still there.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when a line is no mark of what may be deleted, [`Error::Damaged`] or [`Error::Unread`] when the store does not
    /// give the file; what concerns the store as a whole, and what `visit` gives.
    pub(super) fn read(&self, remote: &Remote, visit: &mut dyn FnMut(Mark) -> Result<(), Error>) -> Result<bool, Error> {
        let text = match settle(remote.store.get(&self.key, RECORDS_MAX as u64))? {
            Ok(text) => text,
            Err(problem) if problem == Problem::missing() => return Ok(false),
            Err(problem) => return Err(problem.into_error(&self.key)),
        };
        for mark in mark::read(&text) {
            let mark = mark.and_then(|mark| records::check_mark(&self.node, &mark).map(|()| mark));
            visit(mark.map_err(Error::unreadable(&self.key))?)?;
        }
        Ok(true)
    }
}
