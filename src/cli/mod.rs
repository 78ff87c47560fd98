//! The command line: clap types, one file per command, output, exit codes.
//!
//! A command reads its options, calls verbs of [`crate::ops`] and hands the outcome to [`output`], the only place that prints.
//! [`context`] makes the verbs' context of configuration, clock and signals; [`exit`] says which code means what.

mod agent;
mod args;
mod backup;
mod cat;
mod cluster;
mod completions;
mod config;
mod confirm;
mod context;
mod demo;
mod diff;
mod each;
mod events;
pub mod exit;
mod failure;
mod fetch;
mod forget;
mod heal;
mod human;
mod identity;
mod init;
mod key;
mod list;
mod man;
mod node_lines;
mod output;
mod pin;
mod progress;
mod prune;
mod recover;
mod restore;
mod rolling;
mod ship;
mod show;
mod snapshot;
mod stats;
mod status;
mod table;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};

use args::Globals;
use context::Program;
use exit::Exit;
use failure::Failure;
use output::{Output, Verbosity};

use crate::sys::stop::Stop;

/// Takes snapshots of what this node stores, keeps four, ships them, proves them and brings them back.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 120, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "A snapshot is named SOURCE/ID, SOURCE/latest, or by the beginning of its id.\n\
    Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 partly done, 4 damage found, 5 locked by another run,\n\
    6 not there, 7 late or unhealthy (status), 130 and 143 stopped by a signal.")]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Snapshot(snapshot::Snapshot),
    Ship(ship::Ship),
    Backup(backup::Backup),
    List(list::List),
    Show(show::Show),
    Fetch(fetch::Fetch),
    Cat(cat::Cat),
    Diff(diff::Diff),
    Restore(restore::Restore),
    Verify(verify::Verify),
    Heal(heal::Heal),
    Status(status::Status),
    Agent(agent::Agent),
    Forget(forget::Forget),
    Pin(pin::Pin),
    Unpin(pin::Unpin),
    Prune(prune::Prune),
    Stats(stats::Stats),
    Key(key::Key),
    Config(config::Config),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    fn run(&self, program: &Program) -> Result<Exit, Failure> {
        match self {
            Self::Init(command) => command.run(program),
            Self::Snapshot(command) => command.run(program),
            Self::Ship(command) => command.run(program),
            Self::Backup(command) => command.run(program),
            Self::List(command) => command.run(program),
            Self::Show(command) => command.run(program),
            Self::Fetch(command) => command.run(program),
            Self::Cat(command) => command.run(program),
            Self::Diff(command) => command.run(program),
            Self::Restore(command) => command.run(program),
            Self::Verify(command) => command.run(program),
            Self::Heal(command) => command.run(program),
            Self::Status(command) => command.run(program),
            Self::Agent(command) => command.run(program),
            Self::Forget(command) => command.run(program),
            Self::Pin(command) => command.run(program),
            Self::Unpin(command) => command.run(program),
            Self::Prune(command) => command.run(program),
            Self::Stats(command) => command.run(program),
            Self::Key(command) => command.run(program),
            Self::Config(command) => command.run(program),
            Self::Demo(command) => command.run(program),
            Self::Completions(command) => command.run(program),
            Self::Man(command) => command.run(program),
        }
    }
}

/// The clap definition, from which completions and manual pages are made.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the program with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return output::clap_message(&error).into(),
    };
    let verbosity = match (cli.globals.quiet, cli.globals.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    };
    let output = Arc::new(Output::standard(cli.globals.json, verbosity));
    let stop = Stop::on_signals().unwrap_or_else(|cause| {
        output.warning(format!("signals cannot be caught, so stopping ends the run at once: {cause}"));
        Stop::new()
    });
    run(&cli.command, &Program::new(cli.globals, output, stop)).into()
}

/// Runs a command and tells why it failed, if it did.
fn run(command: &Command, program: &Program) -> Exit {
    let output = &program.output;
    let exit = match command.run(program) {
        // Damage goes before what else there is to say of a run that was done.
        Ok(Exit::Done | Exit::Partly) if output.met_damage() => Exit::Damage,
        Ok(exit) => exit,
        Err(failure) => {
            let exit = Exit::of(&failure, program.stop.signal());
            output.failure(&failure, exit);
            exit
        }
    };
    match output.finish() {
        Ok(()) => exit,
        Err(cause) => {
            output.failure(&Failure::Output(cause), Exit::Failed);
            if exit == Exit::Done { Exit::Failed } else { exit }
        }
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
