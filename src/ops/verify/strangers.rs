//! What lies at the repository's root beside its nodes, and that this program does not know.

use std::ops::ControlFlow;

use super::report::Report;
use crate::format::key::{Key, PROBE};
use crate::format::names::NodeName;
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};

/// Most folders that are looked into; a bucket that is shared by mistake may hold any number, and then some of them are enough.
const FOLDERS_MAX: usize = 100;

/// Reports objects at the root and folders that no node can be called. Folders of other nodes are theirs to verify.
pub(super) fn look(ctx: &Context, remote: &Remote, report: &mut Report) -> Result<(), Error> {
    let mut folders = Vec::new();
    let listed = remote.store.top(&mut |name| {
        match name.strip_suffix('/') {
            Some(folder) if name == PROBE || folder.parse::<NodeName>().is_ok() => {}
            Some(_) if folders.len() < FOLDERS_MAX => folders.push(name),
            None if Key::parse(&name).is_none() => report.unexpected(name),
            _ => {}
        }
        if ctx.stop.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match listed {
        // The credential of one node need not see what lies beside its part.
        Err(error) if error.is_denied() => ctx.warn(None, format!("what lies beside the nodes was not looked at: {}", chain(&error))),
        listed => listed?,
    }
    ctx.stop.check()?;
    for folder in folders {
        let mut holds_objects = false;
        let listed = remote.store.list(&folder, &mut |_| {
            holds_objects = true;
            ControlFlow::Break(())
        });
        match listed {
            // A folder of a disk may be empty, which no bucket knows of.
            Ok(()) if !holds_objects => {}
            // `lost+found` of a disk may be read by root alone: whatever it holds is none of ours.
            Err(error) if !error.is_unreachable() && !matches!(error, crate::repository::Error::Stopped { .. }) => {}
            outcome => {
                outcome?;
                report.unexpected(folder);
            }
        }
    }
    Ok(())
}
