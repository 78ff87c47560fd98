//! The loop of the agent.

use std::sync::Arc;
use std::time::Duration;

use super::board::{Board, Stage, Standing};
use super::host::{Host, needs_restart};
use super::http;
use super::job::Job;
use super::notices::{Addresses, Notices};
use super::rolling::{GivesWay, Rolling};
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
    /// Where is told how runs go.
    pub notices: Addresses,
}

/// How long it sleeps at most before it looks at the clock again: that may have been set, and a machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How soon it notices that it is to stop.
const SLICE: Duration = Duration::from_secs(1);

/// How often the repository is pruned: once a day, with room for runs of which one ends a little earlier than that of the day before.
const PRUNE_EVERY: Duration = Duration::from_secs(20 * 3600);

/// How long a shipment goes on at least before it gives way: with snapshots each minute it would otherwise read and never store.
const AT_LEAST: Duration = Duration::from_secs(600);

/// How often shipments are left for snapshots before prune and verification have their turn.
const LEFT_MOST: usize = 3;

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
    let board = &Arc::new(Board::new(Arc::clone(&ctx.clock), settings.schedules.iter().map(|(source, _)| source.clone())));
    let ctx = &heard(ctx, board);
    // Before the lock is held only where there is something to wait for: a second agent on the node is not to ask for the port of the first.
    let early = if node::check_local_tier(ctx).is_err() { http::start(ctx, board, settings) } else { None };
    wait_for_disk(ctx, board, host)?;
    let _alone = locks::agent(ctx)?;
    let mut http = early.or_else(|| http::start(ctx, board, settings));
    let mut work = Work::new(board);
    work.take_up(ctx, settings)?;
    board.stands(Standing::Ready);
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
            let read = (host.load)().filter(|(new, _)| may_replace(ctx, new)).map(|(new, changed)| (heard(&new, board), changed));
            if let Some((new, changed)) = &read {
                new.tell(Event::Reloaded);
                work.leave(ctx, changed);
                board.forgets();
                work.take_up(new, changed)?;
                // The old one gives its port back first.
                drop(http.take());
                http = http::start(new, board, changed);
            }
            host.service.ready(&work.outlook(ctx));
            reloaded = read.or(reloaded);
        }
    }
}

/// A context whose events stand on the board too.
fn heard(ctx: &Context, board: &Arc<Board>) -> Context {
    ctx.beside(Arc::clone(&ctx.meter), board.hears(Arc::clone(&ctx.events)))
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
struct Work {
    board: Arc<Board>,
    jobs: Vec<Job>,
    rolling: Rolling,
    prune_at: Duration,
    is_to_prune: bool,
    /// Whose shipment had its turn last.
    ships_next: usize,
    /// How many shipments were left for a snapshot since everything else had its turn.
    left: usize,
    notices: Notices,
}

impl Work {
    fn new(board: &Arc<Board>) -> Self {
        let (board, rolling) = (Arc::clone(board), Rolling::new());
        Self {
            board,
            jobs: Vec::new(),
            rolling,
            prune_at: Duration::ZERO,
            is_to_prune: false,
            ships_next: 0,
            left: 0,
            notices: Notices::default(),
        }
    }

    /// Takes a configuration up and tells when each source is due. What is known of a source that was there before stays.
    fn take_up(&mut self, ctx: &Context, settings: &Settings) -> Result<(), Error> {
        let mut before = std::mem::take(&mut self.jobs);
        self.notices.take_up(&settings.notices, |source| settings.schedules.iter().any(|(there, _)| there == source));
        // What was changed may be the rules, so they are not waited for.
        self.prune_at = Duration::ZERO;
        self.rolling.take_up(settings.verify);
        self.board.knows(settings.schedules.iter().map(|(source, _)| source));
        for (source, schedule) in &settings.schedules {
            let known = before.iter().position(|job| job.source() == source).map(|at| before.swap_remove(at));
            let mut job = match known {
                Some(job) => job.again(schedule.clone()),
                None => Job::new(ctx, &self.board, source.clone(), schedule.clone())?,
            };
            let next = job.next(ctx);
            self.board.next(source, next);
            ctx.tell(Event::Scheduled { source: source.clone(), next });
            self.jobs.push(job);
        }
        Ok(())
    }

    /// Tells sources that the new configuration does not have any more how their runs have ended, as long as it is known what waits for that.
    fn leave(&mut self, ctx: &Context, new: &Settings) {
        let is_there = |job: &&mut Job| new.schedules.iter().any(|(source, _)| source == job.source());
        self.jobs.iter_mut().filter(|job| !is_there(job)).for_each(|job| job.stopped(ctx));
    }

    /// Does what is due now, one thing after the other, until nothing is, or until the configuration is to be read again.
    fn pass(&mut self, ctx: &Context, settings: &Settings, host: &Host<'_>) -> Result<(), Error> {
        for job in &mut self.jobs {
            if is_to_reload(ctx, &self.board, host)? {
                return Ok(());
            }
            if job.is_ready(ctx) {
                host.service.status(&format!("takes a snapshot of {}", job.source()));
            }
            job.snapshot(ctx, &mut self.notices)?;
        }
        let jobs = self.jobs.len();
        // Prune and verification have their turn too, however often shipments are left for snapshots.
        let to_ship = if self.left < LEFT_MOST { jobs } else { 0 };
        for _ in 0..to_ship {
            // A snapshot cannot be made up for later, a shipment can.
            if is_to_reload(ctx, &self.board, host)? || self.jobs.iter_mut().any(|job| job.is_ready(ctx)) {
                return Ok(());
            }
            // The one after that which had its turn last, so that one that takes for ever leaves the others theirs.
            self.ships_next = (self.ships_next + 1) % jobs;
            let at = self.ships_next;
            if self.jobs[at].is_to_ship(ctx) {
                host.service.status(&format!("ships {}", self.jobs[at].source()));
            }
            let is_due = self.snapshot_is_due(ctx);
            let shipped = ctx.stop.pausing(is_due, || self.jobs[at].ship(ctx, &mut self.notices))?;
            self.jobs[at].tell_end(ctx);
            match shipped {
                Some(is_shipped) => self.is_to_prune |= is_shipped,
                None => self.left += 1,
            }
        }
        self.left = 0;
        if self.is_to_prune && ctx.clock.monotonic() >= self.prune_at {
            host.service.status("prunes the repository");
            let is_due = self.snapshot_is_due(ctx);
            if let Some(rest) = ctx.stop.pausing(is_due, || prune_now(ctx, &self.board, settings.retention))? {
                (self.is_to_prune, self.prune_at) = (false, ctx.clock.monotonic() + rest);
            }
        }
        if self.rolling.is_due(ctx) {
            host.service.status("verifies what is stored");
            let (is_due, reload) = (self.snapshot_is_due(ctx), host.reload.clone());
            let gives_way: GivesWay = Arc::new(move || is_due() || reload.is_asked());
            self.rolling.turn(ctx, &self.board, &gives_way)?;
        }
        Ok(())
    }

    /// Says when what can be gone on with later gives way: once a snapshot is due, which cannot be made up for, but not before it has come some
    /// way.
    fn snapshot_is_due(&mut self, ctx: &Context) -> impl Fn() -> bool + Send + Sync + use<> {
        let rest = self.jobs.iter_mut().map(|job| job.until_snapshot(ctx)).min().unwrap_or(Duration::MAX);
        let (clock, board, now) = (ctx.clock.clone(), Arc::clone(&self.board), ctx.clock.monotonic());
        let (soonest, until) = (now + AT_LEAST, now.saturating_add(rest.max(AT_LEAST)));
        move || clock.monotonic() >= until || (board.is_asked() && clock.monotonic() >= soonest)
    }

    /// Sleeps until something may be due, or until the configuration is to be read again.
    fn rest(&mut self, ctx: &Context, host: &Host<'_>) -> Result<(), Error> {
        if !host.reload.is_asked() {
            host.service.status(&self.outlook(ctx));
        }
        let rest = self.jobs.iter_mut().map(|job| job.rest(ctx)).min().unwrap_or(LOOK_EVERY).min(self.rolling.rest(ctx));
        sleep(ctx, &self.board, host, rest.clamp(SLICE, LOOK_EVERY))
    }

    /// What comes next, in a line.
    fn outlook(&mut self, ctx: &Context) -> String {
        let next = self.jobs.iter_mut().filter_map(|job| Some((job.next(ctx)?, job.source().clone()))).min();
        next.map_or_else(|| "nothing is due".to_owned(), |(next, source)| format!("the next run is that of {source} at {next}"))
    }
}

/// Whether the configuration is to be read again before anything else is done.
fn is_to_reload(ctx: &Context, board: &Board, host: &Host<'_>) -> Result<bool, Error> {
    check(ctx)?;
    board.turns();
    host.service.step();
    Ok(host.reload.is_asked())
}

/// Waits for the folder of local copies: beneath the point where its disk is to be mounted nobody would look for copies, nor for a lock.
fn wait_for_disk(ctx: &Context, board: &Board, host: &Host<'_>) -> Result<(), Error> {
    let mut tell_at = ctx.clock.monotonic();
    while let Err(error) = node::check_local_tier(ctx) {
        let why = chain(&error);
        if ctx.clock.monotonic() >= tell_at {
            let told = format!("nothing is backed up yet: {why}");
            // It has started, and waits: a boot does not wait with it.
            host.service.ready(&told);
            ctx.warn(None, told);
            tell_at = ctx.clock.monotonic() + TOLD_EVERY;
        }
        board.stands(Standing::Waiting(why));
        let until = ctx.clock.monotonic() + LOOK_EVERY;
        while ctx.clock.monotonic() < until {
            is_to_reload(ctx, board, host)?;
            ctx.clock.sleep(SLICE);
        }
    }
    Ok(())
}

fn check(ctx: &Context) -> Result<(), Error> {
    ctx.stop.check().map_err(|_| Error::Stopped)
}

/// Sleeps that long, or until somebody asks for a run, or for the configuration to be read again.
fn sleep(ctx: &Context, board: &Board, host: &Host<'_>, rest: Duration) -> Result<(), Error> {
    let until = ctx.clock.monotonic() + rest;
    loop {
        let left = until.saturating_sub(ctx.clock.monotonic());
        if is_to_reload(ctx, board, host)? || left.is_zero() || board.is_asked() {
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
