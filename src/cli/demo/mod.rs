//! `windlass demo`.

use clap::Args;

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;

/// Show the whole way round on data of its own.
#[derive(Args, Debug)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn run(&self, _: &Program) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}
