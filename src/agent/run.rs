//! The loop of the agent.

use std::sync::Arc;
use std::time::Duration;

use super::board::{Board, Stage, Standing};
use super::http;
use super::job::Job;
use super::rolling::Rolling;
use super::schedule::Schedule;
use crate::format::names::SourceName;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::retention::Retention;
use crate::ops::rolling::Rules;
use crate::ops::{Context, Error, locks, node, prune};

/// What the agent is to do.
#[derive(Debug, Default)]
pub struct Settings {
    /// The sources that are backed up, and when.
    pub schedules: Vec<(SourceName, Schedule)>,
    /// Which shipped snapshots are to stay; without it none is removed.
    pub retention: Option<Retention>,
    /// How much of what is stored is read again by itself; without it nothing is.
    pub verify: Option<Rules>,
    /// Where it answers over HTTP; `None` = nowhere.
    pub http: Option<http::Settings>,
}

/// How long it sleeps at most before it looks at the clock again: that may have been set, and a machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How soon it notices that it is to stop.
const SLICE: Duration = Duration::from_secs(1);

/// How often the repository is pruned: once a day, with room for runs of which one ends a little earlier than that of the day before.
const PRUNE_EVERY: Duration = Duration::from_secs(20 * 3600);

/// How long a shipment goes on at least before it gives way: with snapshots each minute it would otherwise read and never store.
const AT_LEAST: Duration = Duration::from_secs(600);

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
pub fn run(ctx: &Context, settings: &Settings) -> Result<(), Error> {
    let board = &Arc::new(Board::new(Arc::clone(&ctx.clock), settings.schedules.iter().map(|(source, _)| source.clone())));
    let ctx = &ctx.beside(Arc::clone(&ctx.meter), board.hears(Arc::clone(&ctx.events)));
    // Before the lock is held only where there is something to wait for: a second agent on the node is not to ask for the port of the first.
    let early = if node::check_local_tier(ctx).is_err() { http::start(ctx, board, settings) } else { None };
    wait_for_disk(ctx, board)?;
    let _alone = locks::agent(ctx)?;
    let _http = early.or_else(|| http::start(ctx, board, settings));
    let mut jobs = Vec::new();
    for (source, schedule) in &settings.schedules {
        let mut job = Job::new(ctx, board, source.clone(), schedule.clone())?;
        let next = job.next(ctx);
        board.next(source, next);
        ctx.tell(Event::Scheduled { source: source.clone(), next });
        jobs.push(job);
    }
    board.stands(Standing::Ready);
    let (mut prune_at, mut is_to_prune) = (Duration::ZERO, false);
    let mut rolling = Rolling::new(settings.verify);
    loop {
        for job in &mut jobs {
            check(ctx)?;
            board.turns();
            job.snapshot(ctx)?;
        }
        for at in 0..jobs.len() {
            check(ctx)?;
            board.turns();
            // A snapshot cannot be made up for later, a shipment can.
            if jobs.iter_mut().any(|job| job.is_ready(ctx)) {
                break;
            }
            let is_due = snapshot_is_due(ctx, board, &mut jobs);
            is_to_prune |= ctx.stop.pausing(is_due, || jobs[at].ship(ctx))?;
        }
        if is_to_prune && ctx.clock.monotonic() >= prune_at {
            let is_due = snapshot_is_due(ctx, board, &mut jobs);
            if let Some(rest) = ctx.stop.pausing(is_due, || prune_now(ctx, board, settings.retention))? {
                (is_to_prune, prune_at) = (false, ctx.clock.monotonic() + rest);
            }
        }
        let is_due = snapshot_is_due(ctx, board, &mut jobs);
        ctx.stop.pausing(is_due, || rolling.turn(ctx, board, &mut || jobs.iter_mut().any(|job| job.is_ready(ctx))))?;
        let rest = jobs.iter_mut().map(|job| job.rest(ctx)).min().unwrap_or(LOOK_EVERY).min(rolling.rest(ctx));
        sleep(ctx, board, rest.clamp(SLICE, LOOK_EVERY))?;
    }
}

/// Says when what can be gone on with later gives way: once a snapshot is due, which cannot be made up for, but not before it has come some way.
fn snapshot_is_due(ctx: &Context, board: &Arc<Board>, jobs: &mut [Job]) -> impl Fn() -> bool + Send + Sync + use<> {
    let rest = jobs.iter_mut().map(|job| job.until_snapshot(ctx)).min().unwrap_or(Duration::MAX);
    let (clock, board, now) = (ctx.clock.clone(), Arc::clone(board), ctx.clock.monotonic());
    let (soonest, until) = (now + AT_LEAST, now.saturating_add(rest.max(AT_LEAST)));
    move || clock.monotonic() >= until || (board.is_asked() && clock.monotonic() >= soonest)
}

/// Waits for the folder of local copies: beneath the point where its disk is to be mounted nobody would look for copies, nor for a lock.
fn wait_for_disk(ctx: &Context, board: &Board) -> Result<(), Error> {
    let mut tell_at = ctx.clock.monotonic();
    while let Err(error) = node::check_local_tier(ctx) {
        let why = chain(&error);
        if ctx.clock.monotonic() >= tell_at {
            ctx.warn(None, format!("nothing is backed up yet: {why}"));
            tell_at = ctx.clock.monotonic() + TOLD_EVERY;
        }
        board.stands(Standing::Waiting(why));
        sleep(ctx, board, LOOK_EVERY)?;
    }
    Ok(())
}

fn check(ctx: &Context) -> Result<(), Error> {
    ctx.stop.check().map_err(|_| Error::Stopped)
}

/// Sleeps until there is something to do: it is time, somebody asks for a run, or it is told to stop.
fn sleep(ctx: &Context, board: &Board, rest: Duration) -> Result<(), Error> {
    let until = ctx.clock.monotonic() + rest;
    loop {
        check(ctx)?;
        board.turns();
        let left = until.saturating_sub(ctx.clock.monotonic());
        if left.is_zero() || board.is_asked() {
            return Ok(());
        }
        ctx.clock.sleep(left.min(SLICE));
    }
}

/// Removes what retention no longer keeps; gives how long that is good for, or `None` where it gave way to a snapshot.
fn prune_now(ctx: &Context, board: &Board, retention: Option<Retention>) -> Result<Option<Duration>, Error> {
    if retention.is_none() {
        return Ok(Some(PRUNE_EVERY));
    }
    let options = prune::Options { sources: Vec::new(), node: None, retention, dry_run: false };
    board.begins(Stage::Prune, None);
    let pruned = prune::plan(ctx, &options).and_then(|plan| prune::run(ctx, &options, &plan));
    if pruned.as_ref().is_err_and(|error| error.is_stopped() && ctx.stop.signal().is_none()) {
        board.pauses();
        return Ok(None);
    }
    board.ends(pruned.is_ok());
    match pruned {
        Ok(outcome) => {
            if let Some(denied) = &outcome.denied {
                ctx.warn(None, format!("prune: nothing more was deleted: {denied}"));
            }
            outcome.untold.iter().for_each(|why| ctx.warn(None, format!("prune: {why}")));
            Ok(Some(PRUNE_EVERY))
        }
        Err(error) if error.is_stopped() => Err(error),
        Err(error) => {
            ctx.warn(None, format!("the repository was not pruned; tried again after the next shipment: {}", chain(&error)));
            Ok(Some(PRUNE_AGAIN))
        }
    }
}
