//! `windlass cat`.

use clap::Args;

use super::args::{InnerPath, Node};
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use crate::format::path::RelPath;
use crate::ops::cat;
use crate::ops::name::SnapshotName;

/// Print one file of a snapshot, each piece after its digest has matched.
#[derive(Args, Debug)]
pub(super) struct Cat {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    /// The file, as `show --files` prints it.
    #[arg(value_name = "PATH", value_parser = InnerPath)]
    path: RelPath,
    #[command(flatten)]
    node: Node,
}

impl Cat {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let mut out = program.output.stream();
        let outcome = cat::run(&reading.ctx, &self.snapshot, reading.node.as_ref(), &self.path, &mut out);
        let mut is_damaged = false;
        if let Ok(outcome) = &outcome {
            is_damaged = !outcome.damage.is_empty();
            for damage in &outcome.damage {
                program.output.warning(format!("{}: {}; the bytes were taken from elsewhere", damage.object, damage.problem));
            }
        }
        let exit = program.output.streamed(outcome.map(|_| ()))?;
        Ok(if is_damaged { Exit::Damage } else { exit })
    }
}
