//! The loop of the agent.

use std::time::Duration;

use super::host::{Host, needs_restart};
use super::job::Job;
use super::notices::{Addresses, Notices};
use super::schedule::Schedule;
use crate::format::names::SourceName;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::retention::Retention;
use crate::ops::{Context, Error, locks, node, prune};

/// What the agent is to do.
#[derive(Debug, Default)]
pub struct Settings {
    /// The sources that are backed up, and when.
    pub schedules: Vec<(SourceName, Schedule)>,
    /// Which shipped snapshots are to stay; without it none is removed.
    pub retention: Option<Retention>,
    /// Where is told how runs go.
    pub notices: Addresses,
}

/// How long it sleeps at most before it looks at the clock again: that may have been set, and a machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How soon it notices that it is to stop.
const SLICE: Duration = Duration::from_secs(1);

/// How often the repository is pruned: once a day, with room for runs of which one ends a little earlier than that of the day before.
const PRUNE_EVERY: Duration = Duration::from_secs(20 * 3600);

/// How long after a prune that failed the next one is tried.
const PRUNE_AGAIN: Duration = Duration::from_secs(3600);

/// How often it is told that the folder of local copies is not there.
const TOLD_EVERY: Duration = Duration::from_secs(3600);

/// Runs until it is told to stop.
///
/// What fails, a database or a bucket or a disk, is told and tried again; only what can never work ends it.
///
/// # Errors
/// [`Error::Stopped`] when it was told to; [`crate::sys::Error::Locked`] when another agent runs on this node; what the file system gives for the
/// lock.
pub fn run(ctx: &Context, settings: &Settings, host: &Host<'_>) -> Result<(), Error> {
    wait_for_disk(ctx, host)?;
    let _alone = locks::agent(ctx)?;
    let mut work = Work::default();
    work.take_up(ctx, settings)?;
    host.service.ready(&work.outlook(ctx));
    let mut reloaded = None;
    loop {
        let (ctx, settings) = reloaded.as_ref().map_or((ctx, settings), |(ctx, settings)| (ctx, settings));
        let done = work.pass(ctx, settings, host).and_then(|()| work.rest(ctx, host));
        if done.is_err() {
            work.jobs.iter_mut().for_each(|job| job.stopped(ctx));
        }
        done?;
        if host.reload.take() {
            host.service.reloading();
            let read = (host.load)().filter(|(new, _)| may_replace(ctx, new));
            if let Some((new, changed)) = &read {
                new.tell(Event::Reloaded);
                work.take_up(new, changed)?;
            }
            host.service.ready(&work.outlook(ctx));
            reloaded = read.or(reloaded);
        }
    }
}

/// Whether a configuration that was read again can take the place of this one. Where it cannot, that is told.
fn may_replace(ctx: &Context, new: &Context) -> bool {
    let why = needs_restart(ctx, new);
    if let Some(key) = why {
        ctx.warn(
            None,
            format!("the configuration is not reloaded, and the old one stays in force: {key} has changed, which takes a restart"),
        );
    }
    why.is_none()
}

/// What the agent has to do, over all its configurations.
#[derive(Default)]
struct Work {
    jobs: Vec<Job>,
    prune_at: Duration,
    is_to_prune: bool,
    notices: Notices,
}

impl Work {
    /// Takes a configuration up and tells when each source is due. What is known of a source that was there before stays.
    fn take_up(&mut self, ctx: &Context, settings: &Settings) -> Result<(), Error> {
        let mut before = std::mem::take(&mut self.jobs);
        self.notices.take_up(&settings.notices, |source| settings.schedules.iter().any(|(there, _)| there == source));
        // What was changed may be the rules, so they are not waited for.
        self.prune_at = Duration::ZERO;
        for (source, schedule) in &settings.schedules {
            let known = before.iter().position(|job| job.source() == source).map(|at| before.swap_remove(at));
            if schedule.patterns().is_empty() {
                ctx.tell(Event::Scheduled { source: source.clone(), next: None });
                continue;
            }
            let mut job = match known {
                Some(job) => job.again(schedule.clone()),
                None => Job::new(ctx, source.clone(), schedule.clone())?,
            };
            let next = job.next(ctx);
            ctx.tell(Event::Scheduled { source: source.clone(), next });
            self.jobs.push(job);
        }
        Ok(())
    }

    /// Does what is due now, one thing after the other, until nothing is, or until the configuration is to be read again.
    fn pass(&mut self, ctx: &Context, settings: &Settings, host: &Host<'_>) -> Result<(), Error> {
        for job in &mut self.jobs {
            if is_asked_for(ctx, host)? {
                return Ok(());
            }
            if job.is_ready(ctx) {
                host.service.status(&format!("takes a snapshot of {}", job.source()));
            }
            job.snapshot(ctx, &mut self.notices)?;
        }
        for at in 0..self.jobs.len() {
            // A snapshot cannot be made up for later, a shipment can.
            if is_asked_for(ctx, host)? || self.jobs.iter_mut().any(|job| job.is_ready(ctx)) {
                return Ok(());
            }
            if self.jobs[at].is_to_ship(ctx) {
                host.service.status(&format!("ships {}", self.jobs[at].source()));
            }
            self.is_to_prune |= self.jobs[at].ship(ctx, &mut self.notices)?;
            self.jobs[at].tell_end(ctx);
        }
        if self.is_to_prune && ctx.clock.monotonic() >= self.prune_at {
            self.is_to_prune = false;
            host.service.status("prunes the repository");
            self.prune_at = prune_now(ctx, settings.retention)?;
            self.prune_at += ctx.clock.monotonic();
        }
        Ok(())
    }

    /// Sleeps until something may be due, or until the configuration is to be read again.
    fn rest(&mut self, ctx: &Context, host: &Host<'_>) -> Result<(), Error> {
        if !host.reload.is_asked() {
            host.service.status(&self.outlook(ctx));
        }
        let rest = self.jobs.iter_mut().map(|job| job.rest(ctx)).min().unwrap_or(LOOK_EVERY);
        sleep(ctx, host, rest.clamp(SLICE, LOOK_EVERY))
    }

    /// What comes next, in a line.
    fn outlook(&mut self, ctx: &Context) -> String {
        let next = self.jobs.iter_mut().filter_map(|job| Some((job.next(ctx)?, job.source().clone()))).min();
        next.map_or_else(|| "nothing is due".to_owned(), |(next, source)| format!("the next run is that of {source} at {next}"))
    }
}

/// Whether the configuration is to be read again before anything else is done.
fn is_asked_for(ctx: &Context, host: &Host<'_>) -> Result<bool, Error> {
    check(ctx)?;
    host.service.step();
    Ok(host.reload.is_asked())
}

/// Waits for the folder of local copies: beneath the point where its disk is to be mounted nobody would look for copies, nor for a lock.
fn wait_for_disk(ctx: &Context, host: &Host<'_>) -> Result<(), Error> {
    let mut tell_at = ctx.clock.monotonic();
    while let Err(error) = node::check_local_tier(ctx) {
        if ctx.clock.monotonic() >= tell_at {
            let why = format!("nothing is backed up yet: {}", chain(&error));
            // It has started, and waits: a boot does not wait with it.
            host.service.ready(&why);
            ctx.warn(None, why);
            tell_at = ctx.clock.monotonic() + TOLD_EVERY;
        }
        let until = ctx.clock.monotonic() + LOOK_EVERY;
        while ctx.clock.monotonic() < until {
            check(ctx)?;
            host.service.step();
            ctx.clock.sleep(SLICE);
        }
    }
    Ok(())
}

fn check(ctx: &Context) -> Result<(), Error> {
    ctx.stop.check().map_err(|_| Error::Stopped)
}

/// Sleeps that long, or until the configuration is to be read again.
fn sleep(ctx: &Context, host: &Host<'_>, rest: Duration) -> Result<(), Error> {
    let until = ctx.clock.monotonic() + rest;
    loop {
        let left = until.saturating_sub(ctx.clock.monotonic());
        if is_asked_for(ctx, host)? || left.is_zero() {
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
            outcome.untold.iter().for_each(|why| ctx.warn(None, format!("prune: {why}")));
            Ok(PRUNE_EVERY)
        }
        Err(error) if error.is_stopped() => Err(error),
        Err(error) => {
            ctx.warn(None, format!("the repository was not pruned; tried again after the next shipment: {}", chain(&error)));
            Ok(PRUNE_AGAIN)
        }
    }
}
