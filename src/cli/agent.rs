//! `windlass agent`.

use std::time::Duration;

use clap::Args;

use super::context::Program;
use super::exit::Exit;
use super::failure::{Failure, causes};
use crate::agent::{self, Host, Settings};
use crate::config;
use crate::ops::{self, Context};
use crate::sys::reload::Reload;
use crate::sys::service::Service;

/// How long it may take to end what it does once it is told to stop: what ends at all does within seconds, and a service manager kills nothing
/// before its `TimeoutStopSec`, which is longer.
const GRACE: Duration = Duration::from_secs(60);

/// Back up every source when its schedule says, until it is stopped: the process that a node runs from boot on.
#[derive(Args, Debug)]
pub(super) struct Agent {}

impl Agent {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let (ctx, settings) = load(program)?;
        let failed = |what| move |cause| ops::Error::Refused(format!("{what}: {cause}"));
        program.stop.end_within(GRACE).map_err(failed("nothing can watch over a stop"))?;
        let service = Service::of(&*program.environment, &program.clock, &program.meter, &program.stop);
        let service = service.map_err(failed("nothing can keep the watchdog"))?;
        let reload = Reload::on_signal().map_err(failed("SIGHUP cannot be caught"))?;
        let load = || load(program).map_err(|failure| tell(program, &failure)).ok();
        let host = Host { service, reload, load: &load };
        let ended = agent::run(&ctx, &settings, &host);
        host.service.stopping();
        match ended {
            // That is what a service manager wants of it, and nothing that somebody has to look into.
            Err(error) if error.is_stopped() => {
                program.output.note("stopped; the next start goes on from here");
                Ok(Exit::of_signal(program.stop.signal()))
            }
            ended => Ok(ended.map(|()| Exit::Done)?),
        }
    }
}

/// Makes of the configuration what the agent works with.
fn load(program: &Program) -> Result<(Context, Settings), Failure> {
    let mut config = program.config_alone()?;
    let timetables = std::mem::take(&mut config.timetables);
    if timetables.is_empty() {
        return Err(ops::Error::Absent("the configuration names no source: there is nothing to back up".into()).into());
    }
    let zone = program.clock.zone();
    let schedules = timetables.into_iter().map(|(source, timetable)| (source, timetable.on(zone.clone()))).collect();
    let (notices, http) = (std::mem::take(&mut config.notices), config.http.take());
    let settings = Settings { schedules, retention: config.retention, verify: config.verify, http, notices };
    Ok((program.context_of(config), settings))
}

/// Says why a configuration that was read again is not in force, each mistake in a line of its own.
fn tell(program: &Program, failure: &Failure) {
    let lines = match failure {
        Failure::Config(config::Error::Mistakes(mistakes)) => mistakes.to_string().lines().map(str::to_owned).collect(),
        other => vec![[vec![other.to_string()], causes(other)].concat().join(": ")],
    };
    for line in lines {
        program.output.warning(format!("the configuration is not reloaded, and the old one stays in force: {line}"));
    }
}
