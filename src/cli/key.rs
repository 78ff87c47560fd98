//! `windlass key new` and `windlass key check`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::args::Node;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::{human, identity};
use crate::ops::key_check::{self, Row};
use crate::ops::keys::NewIdentity;
use crate::ops::{self, Error};
use crate::sys::file;
use crate::sys::secret::Secret;
use crate::sys::secret_file::SecretFile;

/// Make and prove the identity that opens an encrypted repository.
#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(New),
    Check(Check),
}

/// Make a new identity, and print the line with its public recipient for the configuration.
///
/// Keep the identity away from the node, and a second copy of it on paper: without it nothing that is encrypted to it ever opens again.
#[derive(Args, Debug)]
struct New {
    /// Write the identity to this file, which must not be there yet; only its owner can read it [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Protect it by a passphrase, which is asked for at the terminal.
    #[arg(long)]
    passphrase: bool,
    /// Protect it by the passphrase in the first line of this file, which `identity_passphrase_file` then may name.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
}

/// Prove that the identity opens the newest snapshot of every source: one file list and one pack of each are decoded and compared.
#[derive(Args, Debug)]
struct Check {
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Serialize)]
struct Made<'a> {
    recipient: &'a str,
    file: &'a Path,
}

impl Key {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        match &self.command {
            Command::New(new) => new.run(program),
            Command::Check(check) => check.run(program),
        }
    }
}

impl New {
    fn run(&self, program: &Program) -> Result<Exit, Failure> {
        if program.output.json && self.output.is_none() {
            return Err(Failure::Usage("a secret is not printed as JSON: say --output FILE".into()));
        }
        let new = NewIdentity::generate(program.clock.now());
        let text = match self.passphrase(program)? {
            Some(passphrase) => new.protected(&passphrase).map_err(Error::from)?,
            None => new.file.expose().as_bytes().to_vec(),
        };
        let line = format!("encrypt_to = [\"{}\"]", new.recipient);
        match &self.output {
            Some(path) if program.output.json => {
                file::write_new_private(path, &text).map_err(Error::from)?;
                program.output.document("key", &Made { recipient: &new.recipient, file: path });
            }
            Some(path) => {
                file::write_new_private(path, &text).map_err(Error::from)?;
                program.output.line(line);
                program.output.note(format!(
                    "put this line under [repository]; keep {} away from the node, and a copy on paper: without it nothing opens again",
                    path.display()
                ));
            }
            None => {
                let text = String::from_utf8(text).expect("an identity file is text");
                text.lines().for_each(|line| program.output.line(line));
                program.output.note(format!("put this line under [repository]: {line}"));
            }
        }
        Ok(Exit::Done)
    }

    fn passphrase(&self, program: &Program) -> Result<Option<Secret>, Failure> {
        let passphrase = match &self.passphrase_file {
            Some(path) => {
                let file = SecretFile::read(path).map_err(Error::file("read", path))?;
                file.warning(path).iter().for_each(|warning| program.output.warning(warning));
                file.secret
            }
            None if self.passphrase => {
                let first = identity::ask("A passphrase for the identity: ", &program.stop)?;
                if first != identity::ask("The same once more: ", &program.stop)? {
                    return Err(Failure::Usage("the two passphrases differ; nothing was made".into()));
                }
                first
            }
            None => return Ok(None),
        };
        if passphrase.expose().is_empty() {
            return Err(Failure::Usage("an empty passphrase protects nothing; nothing was made".into()));
        }
        Ok(Some(passphrase))
    }
}

impl Check {
    fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let rows = key_check::run(&reading.ctx, reading.node.as_ref())?;
        if program.output.json {
            program.output.document("key", &Rows { snapshots: &rows });
        } else {
            rows.iter().flat_map(lines).for_each(|line| program.output.line(line));
        }
        let exits: Vec<Exit> = rows.iter().map(|row| exit(row, program)).collect();
        Ok(Exit::of_all(&exits))
    }
}

#[derive(Debug, Serialize)]
struct Rows<'a> {
    snapshots: &'a [Row],
}

fn exit(row: &Row, program: &Program) -> Exit {
    row.failure.as_ref().map_or(Exit::Done, |error: &ops::Error| Exit::of_error(error, program.stop.signal()))
}

fn lines(row: &Row) -> Vec<String> {
    let name = format!("{}/{}", row.source, row.id);
    let mut lines = match &row.problem {
        Some(problem) => vec![format!("{name}: does not open: {problem}")],
        None => vec![format!(
            "{name}: opens with {} (a file list of {}, a pack of {})",
            row.opened_by.join(", "),
            human::count(row.entries, "line"),
            human::count(row.blobs, "blob")
        )],
    };
    if row.problem.is_none() && !row.others.is_empty() {
        lines.push(format!("  also encrypted to {}", row.others.join(", ")));
    }
    lines
}
