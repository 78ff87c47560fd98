//! `windlass agent`.

use clap::Args;

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use crate::agent::{self, Settings};
use crate::ops;

/// Back up every source when its schedule says, until it is stopped: the process that a node runs from boot on.
#[derive(Args, Debug)]
pub(super) struct Agent {}

impl Agent {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let (ctx, timetables, retention, verify, http) = program.context_of_agent()?;
        if timetables.is_empty() {
            return Err(ops::Error::Absent("the configuration names no source: there is nothing to back up".into()).into());
        }
        let zone = ctx.clock.zone();
        let schedules = timetables.into_iter().map(|(source, timetable)| (source, timetable.on(zone.clone()))).collect();
        agent::run(&ctx, &Settings { schedules, retention, verify, http })?;
        Ok(Exit::Done)
    }
}
