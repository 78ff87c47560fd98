//! `windlass config`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::args::Node;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::recover::recover;
use crate::config::show::Shown;
use crate::config::{self, EXAMPLE, Machine, Mistake};

/// Check, show or begin a configuration.
#[derive(Args, Debug)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name all mistakes of the configuration file at once.
    Check,
    /// Print the configuration that is in force, without secrets.
    Show,
    /// Print an example with every key.
    Example,
    /// Print what the newest snapshots remember of the sources that the configuration lacks.
    ///
    /// On a new machine, with --repository and --node, that is a whole file to begin with.
    Recover {
        #[command(flatten)]
        node: Node,
    },
}

#[derive(Serialize)]
struct Checked<'a> {
    file: &'a std::path::Path,
    mistakes: &'a [Mistake],
    warnings: &'a [String],
}

impl Config {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        match &self.command {
            Command::Check => check(program),
            Command::Show => {
                let shown = Shown::of(&program.config()?);
                if program.output.json {
                    program.output.document("config", &shown);
                } else {
                    program.output.bytes(shown.to_toml().as_bytes());
                }
                Ok(Exit::Done)
            }
            Command::Example => {
                program.output.bytes(EXAMPLE.as_bytes());
                Ok(Exit::Done)
            }
            Command::Recover { node } => recover(program, node.node.as_ref()),
        }
    }
}

fn check(program: &Program) -> Result<Exit, Failure> {
    let (file, output) = (program.config_file(), &program.output);
    match config::Config::load(&file, &Machine::this(), &*program.environment) {
        Ok(config) if output.json => {
            output.document("config-check", &Checked { file: &file, mistakes: &[], warnings: &warnings(&config) });
            Ok(Exit::Done)
        }
        Ok(config) => {
            warnings(&config).iter().for_each(|warning| output.warning(warning));
            if config.retention.is_some() {
                output.note("[retention] is applied by `windlass prune` and by the agent, and by nothing else");
            }
            let sources = human::count(config.sources.len() as u64, "source");
            output.line(format!("{}: no mistakes; node {}, {sources}", file.display(), config.node));
            Ok(Exit::Done)
        }
        // What is wrong is what was asked for, so it is data.
        Err(config::Error::Mistakes(mistakes)) => {
            if output.json {
                output.document("config-check", &Checked { file: &file, mistakes: &mistakes.all, warnings: &[] });
            } else {
                output.line(&mistakes);
                output.note(human::count(mistakes.all.len() as u64, "mistake"));
            }
            Ok(Exit::Usage)
        }
        Err(error) => Err(error.into()),
    }
}

/// The warnings of every run, and what only some runs would meet.
fn warnings(config: &config::Config) -> Vec<String> {
    let passphrase = config.encryption.identity_passphrase.as_ref().and_then(|given| given.as_ref().err());
    config.warnings.iter().chain(passphrase).cloned().collect()
}
