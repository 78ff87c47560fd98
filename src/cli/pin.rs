//! `windlass pin` and `windlass unpin`.

use clap::Args;

use super::args::{DryRun, Node};
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use crate::ops::name::SnapshotName;
use crate::ops::pins;

/// Keep a snapshot in the repository, whatever retention says, until it is unpinned.
#[derive(Args, Debug)]
pub(super) struct Pin {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    /// Why, for whoever wonders later.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    dry_run: DryRun,
}

/// Leave a pinned snapshot to retention again.
#[derive(Args, Debug)]
pub(super) struct Unpin {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Pin {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        set(program, &self.snapshot, &self.node, Some(&self.why), self.dry_run.dry_run)
    }
}

impl Unpin {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        set(program, &self.snapshot, &self.node, None, self.dry_run.dry_run)
    }
}

/// `why` = pin it, and for what reason.
fn set(program: &Program, snapshot: &SnapshotName, node: &Node, why: Option<&str>, dry_run: bool) -> Result<Exit, Failure> {
    let ctx = program.context()?;
    let pinned = why.is_some();
    let outcome = pins::set(&ctx, node.node.as_ref(), snapshot, pinned, why.unwrap_or_default(), dry_run)?;
    if program.output.json {
        program.output.document(if pinned { "pin" } else { "unpin" }, &outcome);
    } else {
        let state = match (pinned, outcome.changed) {
            (true, true) => "pinned: it stays in the repository until it is unpinned",
            (true, false) => "was pinned already",
            (false, true) => "not pinned any more: retention decides",
            (false, false) => "was not pinned",
        };
        program.output.done(format!("{}/{}  {state}", outcome.source, outcome.id));
    }
    if dry_run {
        program.output.note("this is what would be done; nothing was changed");
    }
    Ok(Exit::Done)
}
