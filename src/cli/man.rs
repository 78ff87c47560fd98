//! `windlass man`.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use crate::ops::Error;

/// Print the manual page.
#[derive(Args, Debug)]
pub(super) struct Man {
    /// Write the pages of all commands into this folder instead.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let definition = super::definition();
        let Some(folder) = &self.to else {
            let mut text = Vec::new();
            // Memory takes everything.
            clap_mangen::Man::new(definition).render(&mut text).map_err(Error::file("make the manual page", "windlass.1"))?;
            program.output.bytes(&text);
            return Ok(Exit::Done);
        };
        fs::create_dir_all(folder).map_err(Error::file("create the folder", folder))?;
        clap_mangen::generate_to(definition, folder).map_err(Error::file("write manual pages into", folder))?;
        program.output.note(format!("the manual pages are in {}", folder.display()));
        Ok(Exit::Done)
    }
}
