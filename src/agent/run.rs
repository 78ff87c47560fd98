//! The loop of the agent.

use std::time::Duration;

use super::job::Job;
use super::schedule::Schedule;
use crate::format::names::SourceName;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::retention::Retention;
use crate::ops::{Context, Error, locks, prune};

/// What the agent is to do.
#[derive(Debug)]
pub struct Settings {
    /// The sources that are backed up, and when.
    pub schedules: Vec<(SourceName, Schedule)>,
    /// Which shipped snapshots are to stay; without it none is removed.
    pub retention: Option<Retention>,
}

/// How long it sleeps at most before it looks at the clock again: that may have been set, and a machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How soon it notices that it is to stop.
const SLICE: Duration = Duration::from_secs(1);

/// How often the repository is pruned. Retention counts days.
const PRUNE_EVERY: Duration = Duration::from_secs(86_400);

/// How long after a prune that failed the next one is tried.
const PRUNE_AGAIN: Duration = Duration::from_secs(3600);

/// Runs until it is told to stop.
///
/// What fails, a database or a bucket or a disk, is told and tried again; only what can never work ends it.
///
/// # Errors
/// [`Error::Stopped`] when it was told to; [`crate::sys::Error::Locked`] when another agent runs on this node; [`Error::File`] when the state
/// folder cannot be used.
pub fn run(ctx: &Context, settings: &Settings) -> Result<(), Error> {
    let _alone = locks::agent(ctx)?;
    let mut jobs = Vec::new();
    for (source, schedule) in &settings.schedules {
        jobs.push(Job::new(ctx, source.clone(), schedule.clone())?);
    }
    for job in &jobs {
        ctx.tell(Event::Scheduled { source: job.source().clone(), next: job.next(ctx) });
    }
    let mut prune_at = Duration::ZERO;
    loop {
        for job in &mut jobs {
            check(ctx)?;
            let is_whole = job.work(ctx)?;
            if is_whole && ctx.clock.monotonic() >= prune_at {
                prune_at = ctx.clock.monotonic() + prune_now(ctx, settings.retention)?;
            }
        }
        let rest = jobs.iter().map(|job| job.rest(ctx)).min().unwrap_or(LOOK_EVERY);
        sleep(ctx, rest.clamp(SLICE, LOOK_EVERY))?;
    }
}

fn check(ctx: &Context) -> Result<(), Error> {
    ctx.stop.check().map_err(|_| Error::Stopped)
}

fn sleep(ctx: &Context, rest: Duration) -> Result<(), Error> {
    let until = ctx.clock.monotonic() + rest;
    loop {
        check(ctx)?;
        let left = until.saturating_sub(ctx.clock.monotonic());
        if left.is_zero() {
            return Ok(());
        }
        ctx.clock.sleep(left.min(SLICE));
    }
}

/// Removes what retention no longer keeps; gives how long that is good for.
fn prune_now(ctx: &Context, retention: Option<Retention>) -> Result<Duration, Error> {
    if retention.is_none() {
        return Ok(PRUNE_EVERY);
    }
    let options = prune::Options { sources: Vec::new(), node: None, retention, dry_run: false };
    match prune::plan(ctx, &options).and_then(|plan| prune::run(ctx, &options, &plan)) {
        Ok(outcome) => {
            if let Some(denied) = &outcome.denied {
                ctx.warn(None, format!("prune: nothing more was deleted: {denied}"));
            }
            Ok(PRUNE_EVERY)
        }
        Err(error) if error.is_stopped() => Err(error),
        Err(error) => {
            ctx.warn(None, format!("the repository was not pruned; tried again with the next run: {}", chain(&error)));
            Ok(PRUNE_AGAIN)
        }
    }
}
