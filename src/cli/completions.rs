//! `windlass completions`.

use clap::Args;
use clap_complete::Shell;

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;

/// Print completions for a shell.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::definition(), "windlass", &mut script);
        program.output.bytes(&script);
        Ok(Exit::Done)
    }
}
