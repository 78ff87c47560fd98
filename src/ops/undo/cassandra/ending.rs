//! How an exchange of a node's files ends: what is remembered, what is removed, and what is kept because somebody may have written to it.

use std::path::Path;

use super::begun::Begun;
use super::document::{PendingStopped, Stage};
use super::replaced;
use super::stopped::Site;
use crate::ops::Error;
use crate::ops::undo::clear::clear_files;
use crate::ops::undo::leftovers::Leftovers;
use crate::ops::undo::{Placed, UndoRecord};

impl Site<'_> {
    /// What was under way has come to its end as if it had never begun; what it had put together goes.
    pub(crate) fn forget_taken_back(&self, pending: &PendingStopped) -> Result<(), Error> {
        self.keep_written(pending)?;
        let exchange = &pending.exchange;
        let places = exchange.roots.iter().map(|root| if pending.is_undo { &root.outgoing } else { &root.incoming });
        let mut files: Vec<_> = places.cloned().collect();
        if !pending.is_undo {
            files.extend(exchange.roots.iter().map(|root| root.outgoing.clone()));
        }
        for other in exchange.reversed(true).others {
            files.extend(other.incoming);
            let Some(late) = other.outgoing else { continue };
            // Only a drained commit log comes here, and what it holds is in the tables; of hints and change data there is nothing else.
            if other.live == self.ground.config.commitlog_directory || !holds_something(&late)? {
                files.push(late);
            } else {
                self.warn(format!(
                    "what the node has written to {} while it ran with what was put in place was set apart: look at {}, bring back what you need while \
                     the node is down, and remove it",
                    other.live.display(),
                    late.display()
                ));
            }
        }
        Leftovers::of_files(files).add(self.folder)?;
        PendingStopped::forget(self.folder)?;
        clear_files(self.ctx, self.spec, self.folder)
    }

    /// What was put in place and taken away again stays where nobody removes it, if somebody may have written to it.
    fn keep_written(&self, pending: &PendingStopped) -> Result<(), Error> {
        if !pending.is_written {
            return Ok(());
        }
        let mut but = Vec::new();
        if pending.is_undo
            && let Some(undo) = UndoRecord::read(self.folder)?
        {
            if let Placed::Cassandra(aside) = &undo.placement {
                but.clone_from(&aside.places);
            }
            self.warn(
                "the node may have been written to while it ran with what the undo had put in place: that lies aside again, comes back by --undo, and \
                 nothing removes it"
                    .to_owned(),
            );
            undo.written().write(self.folder)?;
        }
        for place in pending.exchange.keep_written(&but)? {
            self.warn(format!(
                "the node may have been written to while it ran with what was put in place, and all that it had then was set apart: look at {}, bring what \
                 you need into the node (nodetool import), and remove it",
                place.display()
            ));
        }
        Ok(())
    }

    /// Remembers the undo of what has come through, and removes what nobody needs any more.
    pub(super) fn finish(&self, pending: &mut PendingStopped) -> Result<(), Error> {
        if pending.stage != Stage::Ending {
            let earlier = UndoRecord::read(self.folder)?;
            pending.spent = self.spent(pending, earlier);
            // From here on nothing is put back: what is spent may be gone.
            pending.write(Stage::Ending, self.folder)?;
        }
        pending.undo.write(self.folder)?;
        Begun::forget(self.folder)?;
        Leftovers::of_files(std::mem::take(&mut pending.spent)).add(self.folder)?;
        PendingStopped::forget(self.folder)?;
        clear_files(self.ctx, self.spec, self.folder)
    }

    /// What nobody needs once the undo of this is remembered in place of the one before it.
    fn spent(&self, pending: &PendingStopped, earlier: Option<UndoRecord>) -> Vec<std::path::PathBuf> {
        let exchange = &pending.exchange;
        let incoming = exchange.roots.iter().map(|root| root.incoming.clone());
        let mut spent: Vec<_> = incoming.chain(exchange.others.iter().filter_map(|other| other.incoming.clone())).collect();
        spent.extend(replaced(self.ctx, self.spec, earlier, pending.is_undo));
        spent
    }
}

fn holds_something(folder: &Path) -> Result<bool, Error> {
    match std::fs::read_dir(folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(false),
        listing => Ok(listing.map_err(Error::file("list", folder))?.next().is_some()),
    }
}
