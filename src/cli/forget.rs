//! `windlass forget`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Wait};
use super::confirm::confirm;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use crate::ops::forget::{self, Plan};
use crate::ops::name::SnapshotName;

/// Remove one local copy; what is in the repository stays.
#[derive(Args, Debug)]
pub(super) struct Forget {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    removed: bool,
    #[serde(flatten)]
    plan: &'a Plan,
}

impl Forget {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let ctx = program.context()?;
        let output = &program.output;
        let plan = forget::plan(&ctx, &self.snapshot)?;
        let dry_run = self.dry_run.dry_run;
        if dry_run && !output.json {
            lines(&plan).iter().for_each(|line| output.line(line));
        }
        if !dry_run {
            lines(&plan).iter().for_each(|line| output.note(line));
            confirm(output, &program.stop, &format!("Remove the local copy {}/{}?", plan.source, plan.id), self.yes)?;
            forget::run(&ctx, &plan, self.wait.wait)?;
        }
        if output.json {
            output.document("forget", &Document { dry_run, removed: !dry_run, plan: &plan });
        } else if !dry_run {
            output.done(format!("{}/{}  the local copy was removed", plan.source, plan.id));
        }
        Ok(Exit::Done)
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    let shipped = match plan.shipped {
        Some(true) => "it is in the repository and stays there",
        Some(false) => "it is NOT in the repository: it will be gone for good",
        None => "the repository could not be asked whether it is there too",
    };
    let mut lines = vec![
        format!("remove     the local copy {}/{} ({})", plan.source, plan.id, human::bytes(plan.bytes)),
        format!("folder     {}", plan.folder.display()),
        format!("shipped    {shipped}"),
    ];
    if let Some(object) = &plan.shipped_damage {
        lines.push(format!("warning    the shipped snapshot is damaged ({object}): this copy may be the last that holds all bytes"));
    }
    if plan.last_sound {
        lines.push("warning    this is the only sound snapshot of the source that is known".into());
    }
    lines
}
