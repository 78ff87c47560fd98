//! `windlass heal`.

use clap::Args;

use super::args::{DryRun, Wait};
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
pub(super) use crate::ops::heal::Options;
use crate::ops::heal::{self, Healed, HealedCopy, Outcome, Unhealed, What};

/// Make damaged snapshots and local copies sound again from wherever their bytes lie intact.
#[derive(Args, Debug)]
pub(super) struct Heal {
    /// Only these sources (all their snapshots) and snapshots [default: everything of this node].
    #[arg(value_name = "SOURCE|SNAPSHOT")]
    what: Vec<What>,
    /// Everything of this node, which is also what is meant when nothing is named.
    #[arg(long, conflicts_with = "what")]
    all: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Heal {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let options = Options { what: self.what.clone(), wait: self.wait.wait, dry_run: self.dry_run.dry_run };
        run(program, &options)
    }
}

/// Heals, and tells what came of it.
pub(super) fn run(program: &Program, options: &Options) -> Result<Exit, Failure> {
    let ctx = program.context()?;
    let progress = program.progress();
    let outcome = heal::run(&ctx, options);
    drop(progress);
    let outcome = outcome?;
    let output = &program.output;
    if output.json {
        output.document("heal", &outcome);
    } else {
        let tell = |line: &String| if options.dry_run { output.plan(line) } else { output.done(line) };
        done(&outcome).iter().for_each(tell);
        left(&outcome).iter().for_each(|line| output.line(line));
    }
    output.note(knowledge(&outcome));
    Ok(exit(&outcome))
}

/// Damage that stays goes first, then what is left for the next run.
fn exit(outcome: &Outcome) -> Exit {
    if !outcome.unhealed.is_empty() || !outcome.by_hand.is_empty() {
        Exit::Damage
    } else if !outcome.postponed.is_empty() {
        Exit::Partly
    } else {
        Exit::Done
    }
}

/// What was known of damage, and when.
fn knowledge(outcome: &Outcome) -> String {
    let nothing = outcome.healed.is_empty() && outcome.copies.is_empty() && exit(outcome) == Exit::Done;
    match outcome.known_until {
        None if nothing => "no damage is known and nothing is missing: `windlass verify` reads every stored byte".to_owned(),
        None => "only what is missing or noted was seen: `windlass verify` reads every stored byte".to_owned(),
        Some(time) => {
            let time = time.strftime("%Y-%m-%dT%H:%M:%SZ");
            format!("damage was last recorded at {time}: `windlass verify` looks for more")
        }
    }
}

/// What was healed, or would be.
fn done(outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.healed.iter().map(healed).collect();
    lines.extend(
        outcome.elsewhere.iter().map(|place| format!("found       {} of damaged bytes in {}", human::bytes(place.bytes), place.place)),
    );
    lines.extend(outcome.copies.iter().map(|copy| healed_copy(copy, outcome.dry_run)));
    lines.extend(outcome.sound_again.iter().map(|object| format!("put back    {object} is sound again")));
    if outcome.superseded > 0 {
        let objects = human::count(outcome.superseded, "damaged object");
        lines.push(format!("superseded  {objects} that nothing needs any more"));
    }
    lines
}

fn healed(healed: &Healed) -> String {
    let name = format!("{}/{}", healed.source, healed.id);
    let damage = match healed.damage.as_slice() {
        [] => String::new(),
        [one] => format!(" ({}: {})", one.object, one.problem),
        [one, rest @ ..] => format!(" ({}: {}; and {} more)", one.object, one.problem, rest.len()),
    };
    match (healed.n, healed.added_bytes) {
        (Some(n), Some(added)) => {
            format!("healed      {name} from {}: now number {n} of its manifest, {} added{damage}", from(healed), human::bytes(added))
        }
        _ => {
            let bytes = human::bytes(healed.bytes_to_store);
            format!("would heal  {name} from {}: at most {bytes} to send before compression{damage}", from(healed))
        }
    }
}

fn from(healed: &Healed) -> &'static str {
    if healed.from == "local copy" { "its local copy" } else { "other places" }
}

fn healed_copy(copy: &HealedCopy, dry_run: bool) -> String {
    let name = format!("the local copy {}/{}", copy.source, copy.id);
    let files = format!("{}, {}", human::count(copy.files, "file"), human::bytes(copy.bytes));
    match (dry_run, copy.files) {
        (false, 0) => format!("healed      {name}: all its files are right"),
        (false, _) => format!("healed      {name}: {files} written anew"),
        (true, _) => format!("would heal  {name}: {files} to write anew"),
    }
}

/// What is as damaged as before.
fn left(outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.unhealed.iter().flat_map(unhealed).collect();
    lines.extend(outcome.postponed.iter().map(|(source, id, why)| format!("not now     the local copy {source}/{id}: {why}")));
    lines.extend(outcome.by_hand.iter().map(|by_hand| format!("by hand     {}: {}; {}", by_hand.object, by_hand.problem, by_hand.advice)));
    lines
}

fn unhealed(unhealed: &Unhealed) -> Vec<String> {
    let tier = if unhealed.local { "the local copy " } else { "" };
    let mut lines = vec![format!("not healed  {tier}{}/{}: {}", unhealed.source, unhealed.id, unhealed.why)];
    lines.extend(unhealed.damage.iter().map(|ill| format!("  damaged   {}: {}", ill.object, ill.problem)));
    lines.extend(unhealed.lost.iter().map(|path| format!("  lost      {path}")));
    let more = unhealed.lost_files.saturating_sub(unhealed.lost.len() as u64);
    if more > 0 {
        lines.push(format!("  lost      … and {} more", human::count(more, "file")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::heal::Ill;

    fn lost() -> Unhealed {
        Unhealed {
            source: "tree".parse().unwrap(),
            id: "20261123T000000123Z".parse().unwrap(),
            local: false,
            why: "some of its bytes lie sound nowhere".into(),
            damage: vec![Ill { object: "n/packs/x".into(), problem: "it is missing".into() }],
            lost: vec!["a".into(), "b".into()],
            lost_files: 5,
        }
    }

    #[test]
    fn what_stays_damaged_is_code_4_and_what_is_left_for_later_is_code_3() {
        let postponed = vec![("tree".parse().unwrap(), lost().id, "it is being read".to_owned())];
        assert_eq!(exit(&Outcome::default()), Exit::Done);
        assert_eq!(exit(&Outcome { postponed, ..Outcome::default() }), Exit::Partly);
        assert_eq!(exit(&Outcome { unhealed: vec![lost()], ..Outcome::default() }), Exit::Damage);
    }

    #[test]
    fn lost_files_are_named_and_the_rest_counted() {
        let lines = left(&Outcome { unhealed: vec![lost()], ..Outcome::default() });
        assert_eq!(lines.len(), 5);
        assert!(lines[0].contains("tree/20261123T000000123Z") && lines[4].contains("3 files"), "{lines:?}");
        assert!(knowledge(&Outcome::default()).contains("no damage is known"));
    }
}
