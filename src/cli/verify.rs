//! `windlass verify`.

use clap::Args;

use super::args::{Node, Wait};
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::heal;
use super::human;
use super::rolling;
use crate::format::check::Level;
use crate::ops::heal::What;
use crate::ops::name::SnapshotName;
use crate::ops::verify::{self, Damage, Options, Outcome};

/// Prove that stored bytes are what the manifests say, and name what is not.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Only these snapshots [default: all of the node, and its local copies].
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<SnapshotName>,
    /// Compare the listing with the manifests: presence and size. No stored byte is read.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Read every stored byte, decode every blob and compare its digest (this is the default).
    #[arg(long)]
    full: bool,
    /// Read what is due of [verify] and no more, what was not read for longest first, and compare the listing with the manifests.
    #[arg(long, conflicts_with_all = ["quick", "full", "snapshots", "node"])]
    rolling: bool,
    #[command(flatten)]
    node: Node,
    /// Then heal what was found, as `windlass heal` does; the exit code is what that gives.
    #[arg(long, conflicts_with = "node")]
    heal: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Verify {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        if self.rolling {
            return rolling::run(program, self.heal, self.wait.wait);
        }
        let reading = program.reading(self.node.node.as_ref())?;
        // A command of this name proves unless it is told not to.
        let level = if self.quick { Level::Quick } else { Level::Full };
        let options = Options { level, snapshots: self.snapshots.clone(), node: reading.node.clone() };
        let progress = program.progress();
        let outcome = verify::run(&reading.ctx, &options);
        drop(progress);
        let outcome = outcome?;
        if program.output.json {
            program.output.document("verify", &outcome);
        } else {
            wrong(&outcome).iter().for_each(|line| program.output.line(line));
            looked_at(&outcome).iter().for_each(|line| program.output.done(line));
        }
        if let Some(why) = &outcome.unreachable {
            program.output.warning(format!("only local copies were looked at: {why}"));
        }
        if let Some(why) = &outcome.lowered {
            let text = format!("stored bytes were compared with their names, and not decoded: {why}");
            // Whoever gives an identity expects it to open something; a node without one does not.
            if outcome.closed > 0 { program.output.warning(text) } else { program.output.note(text) }
        }
        if outcome.checked.level == Level::Quick {
            program.output.note("no stored byte was read: --full reads and compares them all");
        }
        if self.heal && !outcome.damage.is_empty() {
            let what = self.snapshots.iter().cloned().map(What::Snapshot).collect();
            return heal::run(program, &heal::Options { what, wait: self.wait.wait, dry_run: false });
        }
        advice(&outcome).iter().for_each(|line| program.output.note(line));
        Ok(exit(&outcome))
    }
}

/// What to do about damage: keys are relative, files of local copies are named by their absolute path.
fn advice(outcome: &Outcome) -> Vec<&'static str> {
    let (local, stored): (Vec<_>, Vec<_>) = outcome.damage.iter().partition(|damage| damage.object.starts_with('/'));
    let mut lines = Vec::new();
    if !stored.is_empty() {
        lines.push(
            "`windlass heal` makes these snapshots sound again where their bytes lie intact somewhere else; `windlass heal --dry-run` says \
             which",
        );
    }
    if !local.is_empty() {
        lines.push("`windlass heal` makes damaged local copies anew from the repository and from other copies");
    }
    lines
}

/// Damage goes before objects that nobody knows, and before a repository that could not be looked at.
fn exit(outcome: &Outcome) -> Exit {
    if !outcome.damage.is_empty() {
        Exit::Damage
    } else if outcome.unreachable.is_some() || !outcome.unexpected.is_empty() {
        Exit::Partly
    } else {
        Exit::Done
    }
}

/// Each thing that is wrong, then what was looked at.
pub(super) fn lines(outcome: &Outcome) -> Vec<String> {
    wrong(outcome).into_iter().chain(looked_at(outcome)).collect()
}

fn wrong(outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.damage.iter().map(damaged).collect();
    lines.extend(outcome.unexpected.iter().map(|object| format!("unexpected  {object}")));
    lines
}

/// One thing that is damaged, and who needs it.
pub(super) fn damaged(damage: &Damage) -> String {
    let snapshot = damage.snapshot.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("damaged     {}{snapshot}: {}", damage.object, damage.problem)
}

/// What was looked at, and how deep.
fn looked_at(outcome: &Outcome) -> Vec<String> {
    let checked = &outcome.checked;
    let level = match checked.level {
        Level::Quick => "quick (presence and size)",
        Level::Stored => "stored (every stored byte compared with its digest)",
        Level::Full => "full (every stored byte and every blob compared with its digest)",
    };
    let looked = [
        human::count(outcome.snapshots, "shipped snapshot"),
        format!("{} local {}", human::number(outcome.local_copies), if outcome.local_copies == 1 { "copy" } else { "copies" }),
        human::count(checked.objects, "object"),
        human::bytes(checked.bytes),
    ];
    let verdict = match outcome.damage.len() {
        0 => "sound".to_owned(),
        some => human::count(some as u64, "damaged object"),
    };
    let mut lines = vec![format!("{verdict}: {}; level {level}", looked.join(", "))];
    if !outcome.superseded.is_empty() {
        let objects = human::count(outcome.superseded.len() as u64, "damaged object");
        lines.push(format!("{objects} that no snapshot needs any more: no loss"));
    }
    if outcome.unreferenced > 0 {
        let objects = human::count(outcome.unreferenced, "object");
        // A manifest or pack list that is damaged names nothing.
        let why = if outcome.damage.is_empty() { "left by runs that were broken off" } else { "as far as what is damaged lets it be told" };
        lines.push(format!("{objects} that no manifest names, {why}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::verify::Checked;

    fn outcome() -> Outcome {
        Outcome {
            checked: Checked { objects: 3, bytes: 2048, level: Level::Full },
            lowered: None,
            closed: 0,
            snapshots: 1,
            local_copies: 1,
            damage: Vec::new(),
            unreferenced: 0,
            superseded: Vec::new(),
            unexpected: Vec::new(),
            unreachable: None,
        }
    }

    #[test]
    fn everything_that_is_not_proven_shows_in_the_code_and_damage_goes_first() {
        let damage = vec![Damage { object: "n/packs/x".into(), snapshot: Some("a/1".into()), problem: "it is missing".into() }];
        assert_eq!(exit(&outcome()), Exit::Done);
        assert_eq!(exit(&Outcome { unreachable: Some("down".into()), ..outcome() }), Exit::Partly);
        assert_eq!(exit(&Outcome { unexpected: vec!["x".into()], ..outcome() }), Exit::Partly);
        assert_eq!(exit(&Outcome { unexpected: vec!["x".into()], damage, ..outcome() }), Exit::Damage);
    }

    #[test]
    fn what_helps_depends_on_the_tier_that_is_damaged() {
        let damage = |object: &str| Damage { object: object.into(), snapshot: None, problem: "x".into() };
        let of = |objects: &[&str]| advice(&Outcome { damage: objects.iter().map(|object| damage(object)).collect(), ..outcome() });
        assert!(of(&[]).is_empty());
        assert!(of(&["n/packs/x"])[0].contains("these snapshots sound again"));
        assert!(of(&["/var/lib/windlass/a/1/data/x"])[0].contains("local copies anew"));
        assert_eq!(of(&["/x", "n/packs/x"]).len(), 2);
    }

    #[test]
    fn what_is_damaged_is_named_with_its_object_and_snapshot() {
        let damage = vec![Damage { object: "n/packs/x".into(), snapshot: Some("a/1".into()), problem: "it is missing".into() }];
        let lines = super::lines(&Outcome { damage, ..outcome() });
        assert_eq!(lines[0], "damaged     n/packs/x (a/1): it is missing");
        assert!(lines[1].starts_with("1 damaged object: 1 shipped snapshot, 1 local copy, 3 objects, 2.0 KiB; level full"), "{}", lines[1]);
        assert_eq!(super::lines(&outcome())[0].split(':').next(), Some("sound"));
    }
}
