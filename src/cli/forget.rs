//! `windlass forget`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Node, Wait};
use super::confirm::confirm;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use crate::ops::Error;
use crate::ops::forget::{self, Options, Plan};
use crate::ops::name::SnapshotName;

/// Remove one snapshot, from the node and from the repository.
#[derive(Args, Debug)]
pub(super) struct Forget {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    /// Remove the local copy alone; what is in the repository stays.
    #[arg(long, conflicts_with = "shipped")]
    local: bool,
    /// Remove it from the repository alone; the local copy stays, and is not shipped again.
    #[arg(long)]
    shipped: bool,
    /// Go on although no other sound snapshot of the source is known.
    #[arg(long)]
    even_the_last: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    node: Node,
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
        let node = self.node.node.clone();
        let options = Options { local: !self.shipped, shipped: !self.local, node, even_the_last: self.even_the_last };
        let plan = forget::plan(&ctx, &self.snapshot, &options)?;
        let dry_run = self.dry_run.dry_run;
        if dry_run && !output.json {
            lines(&plan).iter().for_each(|line| output.line(line));
        }
        let mut exit = Exit::Done;
        if !dry_run {
            lines(&plan).iter().for_each(|line| output.note(line));
            confirm(output, &program.stop, &question(&plan), self.yes)?;
            match forget::run(&ctx, &plan, self.wait.wait) {
                // Where even the record was denied, nothing was changed.
                Err(Error::Repository(error)) if error.is_denied_delete() => {
                    output.warning(format!("{error}: it is recorded as removed, and a `windlass prune` that may delete ends it"));
                    exit = Exit::Partly;
                }
                outcome => outcome?,
            }
        }
        if output.json {
            output.document("forget", &Document { dry_run, removed: !dry_run && exit == Exit::Done, plan: &plan });
        } else if !dry_run && exit == Exit::Done {
            output.done(format!("{}/{}  {} removed", plan.source, plan.id, what(&plan)));
        }
        Ok(exit)
    }
}

fn what(plan: &Plan) -> &'static str {
    match (&plan.folder, plan.remove_shipped) {
        (Some(_), true) => "the local copy and the shipped snapshot were",
        (None, true) => "the shipped snapshot was",
        _ => "the local copy was",
    }
}

fn question(plan: &Plan) -> String {
    let what = match (&plan.folder, plan.remove_shipped) {
        (Some(_), true) => "the snapshot from the node and from the repository:",
        (None, true) => "the snapshot from the repository:",
        _ => "the local copy",
    };
    format!("Remove {what} {}/{}?", plan.source, plan.id)
}

fn damage(plan: &Plan) -> String {
    plan.local_damage.as_ref().map(|problem| format!("; it counts for nothing: {problem}")).unwrap_or_default()
}

fn lines(plan: &Plan) -> Vec<String> {
    let shipped = match (plan.remove_shipped, plan.shipped) {
        (true, _) => "it goes from the repository too; its id never comes back, and `windlass prune` frees the space later",
        (false, Some(true)) => "it is in the repository and stays there",
        (false, Some(false)) => "it is NOT in the repository: it will be gone for good",
        (false, None) => "the repository could not be asked whether it is there too",
    };
    let local = match &plan.folder {
        Some(folder) => format!("the copy in {} goes{}", folder.display(), damage(plan)),
        None => "no local copy is touched".into(),
    };
    let mut lines = vec![
        format!("remove     {}/{} ({})", plan.source, plan.id, human::bytes(plan.bytes)),
        format!("local      {local}"),
        format!("shipped    {shipped}"),
    ];
    if let Some(object) = plan.shipped_damage.as_ref().filter(|_| !plan.remove_shipped) {
        lines.push(format!("warning    the shipped snapshot is damaged ({object}): this copy may be the last that holds all bytes"));
    }
    if plan.last_sound {
        lines.push("warning    no other sound snapshot of the source is known".into());
    }
    lines
}
