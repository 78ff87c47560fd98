//! `windlass verify --rolling`.

use serde::Serialize;

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::verify::damaged;
use super::{heal, human};
use crate::format::check::Level;
use crate::ops::locks::Waiting;
use crate::ops::rolling::{self, Covered, MORE, Outcome, ReadCopy};
use crate::ops::{self, verify};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    local_copies: Vec<String>,
}

/// Reads what is due of the repository, then the local copies that are, and heals what was found if that is asked for.
pub(super) fn run(program: &Program, is_to_heal: bool, wait: Waiting) -> Result<Exit, Failure> {
    let output = &program.output;
    let (ctx, rules) = program.context_and_rules()?;
    let Some(rules) = rules else {
        rolling::turn_off(&ctx)?;
        return Err(ops::Error::Usage("[verify] says every = \"never\": `windlass verify` reads everything at once".into()).into());
    };
    let progress = program.progress();
    let outcome = rolling::run(&ctx, &rules, &mut |_| false);
    let copies = outcome.and_then(|mut outcome| {
        let mut copies = Vec::new();
        // What was found before is as damaged as it was, and what is missing no reading finds.
        let compared = verify::run(&ctx, &verify::Options { level: Level::Quick, snapshots: Vec::new(), node: None })?;
        outcome.damage = compared.damage;
        for spec in &ctx.sources {
            if let Some(ReadCopy { id, damage, .. }) = rolling::read_copy(&ctx, &rules, &spec.name)? {
                copies.push(format!("{}/{id}", spec.name));
                outcome.damage.extend(damage);
            }
        }
        Ok((outcome, copies))
    });
    drop(progress);
    let (outcome, local_copies) = copies?;
    if output.json {
        output.document("verify-rolling", &Document { outcome: &outcome, local_copies });
    } else {
        outcome.damage.iter().for_each(|damage| output.line(damaged(damage)));
        lines(&outcome, local_copies.len()).iter().for_each(|line| output.done(line));
    }
    if let Some(behind) = outcome.coverage.in_arrears() {
        output.warning(format!("{behind}: {MORE}"));
    }
    match outcome.damage.is_empty() {
        true => Ok(Exit::Done),
        false if is_to_heal => heal::run(program, &ops::heal::Options { wait, ..ops::heal::Options::default() }),
        false => {
            output.note("`windlass heal` makes these snapshots and copies sound again where their bytes lie intact somewhere else");
            Ok(Exit::Damage)
        }
    }
}

fn lines(outcome: &Outcome, copies: usize) -> Vec<String> {
    let covered = &outcome.coverage;
    let every = days(covered);
    if outcome.parts == 0 && copies == 0 {
        return vec![format!("nothing is due today; {} of {} parts were read within {every}", covered.covered, covered.parts)];
    }
    vec![
        format!(
            "read {} of {} parts ({}, {}) and {} local {}",
            outcome.parts,
            covered.parts,
            human::count(outcome.objects, "object"),
            human::bytes(outcome.bytes),
            copies,
            if copies == 1 { "copy" } else { "copies" }
        ),
        format!("{} of {} parts were read within {every}", covered.covered, covered.parts),
    ]
}

/// Within what time each part is to be read again.
pub(super) fn days(covered: &Covered) -> String {
    human::count(covered.days(), "day")
}
