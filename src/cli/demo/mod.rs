//! `windlass demo`: the whole way round on data of its own, with every claim looked at.
//!
//! [`data`] is what is backed up, [`place`] where all of it happens, [`story`] what happens, [`compare`] and [`claims`] the proof.

mod claims;
mod compare;
mod data;
mod place;
mod story;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::output::Output;
use claims::{Claim, Claims};
use place::Place;
use story::Story;

/// Show the whole way round on data of its own: five backups, a disaster, the way back. Nothing else is touched.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Do it in this new or empty folder and leave everything there, with a configuration to play on with.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document<'a> {
    folder: Option<&'a PathBuf>,
    claims: &'a [Claim],
}

/// Tells the story; with `--json` only its outcome is told.
fn say(output: &Output, text: impl std::fmt::Display) {
    if !output.json {
        output.line(text);
    }
}

impl Demo {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let output = &program.output;
        let place = Place::new(self.keep.as_deref(), program)?;
        let started = program.clock.monotonic();
        let mut claims = Claims::default();
        Story::begin(program, &place, &mut claims)?.tell()?;
        let folder = self.keep.as_ref().map(|_| &place.root);
        if output.json {
            output.document("demo", &Document { folder, claims: &claims.0 });
        }
        let took = human::duration(program.clock.monotonic().saturating_sub(started));
        say(output, format!("\nWhat was proven, in {took}:\n"));
        claims.lines().iter().for_each(|line| say(output, line));
        next_commands(folder, &place).iter().for_each(|line| say(output, line));
        match claims.failed() {
            0 => Ok(Exit::Done),
            failed => Err(Failure::Unproven(format!("{} of the demo does not hold", human::count(failed as u64, "claim")))),
        }
    }
}

fn next_commands(folder: Option<&PathBuf>, place: &Place) -> Vec<String> {
    let Some(folder) = folder else {
        return vec![
            "\nNothing is left of it. To look at everything and play on:".into(),
            "  windlass demo --keep ./demo".into(),
            "To begin for real:".into(),
            "  windlass config example > /etc/windlass/windlass.toml   # then edit it".into(),
            "  windlass config check && windlass init && windlass backup --all".into(),
        ];
    };
    let mut lines = vec![format!("\nEverything is in {}. To play on:", folder.display())];
    lines.push(format!("  export WINDLASS_CONFIG={}", shell_quoted(&place.config().display().to_string())));
    let commands = [
        "windlass list",
        "windlass status",
        "windlass show ellis/latest --files",
        "windlass backup --all",
        "windlass fetch clearwater/latest --to ./fetched",
        "windlass restore clearwater",
        "windlass verify",
    ];
    lines.extend(commands.iter().map(|command| format!("  {command}")));
    lines
}

/// A word for a shell, as it is where nothing in it is special.
fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
#[path = "demo_tests.rs"]
mod tests;
