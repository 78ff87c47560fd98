//! What is due of one source, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::backoff::Backoff;
use super::board::{Board, SeenCopy, Stage};
use super::next_run;
use super::notices::{Notices, Trouble, Work};
use super::schedule::{Occurrence, Schedule};
use super::served::Served;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::copies::Copies;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::{Context, Error, hooks, ship, snapshot};

/// A clock that shows less than this was never set: this program is younger.
pub(super) const WRITTEN: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// One source of the agent.
pub struct Job {
    source: SourceName,
    schedule: Schedule,
    served: Served,
    /// The run that is due and whose snapshot failed, and when that is tried again.
    tried: Option<(Occurrence, Backoff)>,
    /// Copies may wait to be shipped, and when that is tried again.
    ships: Option<Backoff>,
    /// The run whose snapshot was taken, and that, until it is told how its shipment ended.
    taken: Option<(Run, Option<SnapshotId>)>,
    /// How the run has ended that is to be told of.
    ended: Option<Ended>,
    /// Whether a run that somebody asked for has failed, and no snapshot was taken since.
    is_asked_in_vain: bool,
    /// Whether it was told that the clock is not set.
    is_unset_told: bool,
    board: Arc<Board>,
}

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// The schedule says so.
    Due(Occurrence),
    /// Somebody asked for it while nothing was due.
    Asked,
}

impl Run {
    /// What the schedule calls it.
    fn wall(self) -> Option<DateTime> {
        match self {
            Self::Due(due) => Some(due.wall),
            Self::Asked => None,
        }
    }
}

/// A run whose shipment was tried.
struct Ended {
    run: Run,
    /// Its snapshot.
    id: Option<SnapshotId>,
    /// Whether copies were shipped, and whether this one was passed over.
    is_shipped: bool,
    is_passed_over: bool,
}

impl Job {
    /// A source and its schedule, with what is remembered of it. Whatever could not be shipped before is shipped soon, but for a source that is
    /// never due: the agent leaves it alone until somebody asks for a run.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no local tier.
    pub fn new(ctx: &Context, board: &Arc<Board>, source: SourceName, schedule: Schedule) -> Result<Self, Error> {
        let served = Served::read(ctx, &source)?;
        let ships = Self::looks_for_copies(&schedule);
        let board = Arc::clone(board);
        let mut job = Self {
            source,
            schedule,
            served,
            tried: None,
            ships,
            taken: None,
            ended: None,
            is_asked_in_vain: false,
            is_unset_told: false,
            board,
        };
        if let Some(copy) = Copies::read(ctx, &job.source).ok().as_ref().and_then(Copies::latest) {
            job.board.found(&job.source, SeenCopy { id: copy.id(), files: copy.record.files, bytes: copy.record.bytes });
        }
        hooks::settle(ctx, &job.source);
        job.counts_what_is_there(ctx);
        Ok(job)
    }

    /// What is not shipped is looked for, but for a source that is never due.
    fn looks_for_copies(schedule: &Schedule) -> Option<Backoff> {
        (!schedule.patterns().is_empty()).then(Backoff::default)
    }

    /// The same source by another schedule, or the same. What its tries have met stays; copies that wait are looked for, because where they are
    /// shipped to may have changed.
    #[must_use]
    pub fn again(self, schedule: Schedule) -> Self {
        let ships = self.ships.or(Self::looks_for_copies(&schedule));
        Self { schedule, ships, ..self }
    }

    /// A copy that somebody else made since the last run was due, by a timer or by hand, is as good as that run when the agent is new here.
    fn counts_what_is_there(&mut self, ctx: &Context) {
        let now = ctx.clock.now();
        let Some(latest) = self.schedule.latest(now).filter(|_| self.served.is_empty()) else { return };
        let newest = self.newest(ctx).flatten().map(SnapshotId::to_timestamp);
        if newest.is_some_and(|newest| latest.instant <= newest && newest <= now) {
            self.note_served(ctx, latest);
        }
    }

    /// The newest copy, if there is any; `None` where that cannot be told.
    fn newest(&self, ctx: &Context) -> Option<Option<SnapshotId>> {
        Some(Copies::read(ctx, &self.source).ok()?.latest().map(|copy| copy.id()))
    }

    /// Whether a copy has come since this one was the newest, as far as both can be told.
    fn has_come_since(&self, ctx: &Context, before: Option<Option<SnapshotId>>) -> bool {
        before.zip(self.newest(ctx)).is_some_and(|(before, newest)| newest > before)
    }

    /// The last occurrence, if its run was not made yet.
    fn unserved(&mut self, now: Timestamp) -> Option<Occurrence> {
        self.schedule.latest(now).filter(|latest| !self.served.has(*latest, now))
    }

    fn note_served(&mut self, ctx: &Context, occurrence: Occurrence) {
        if let Err(error) = self.served.add(ctx, &self.source, occurrence) {
            ctx.warn(Some(&self.source), format!("that this run was made cannot be kept, so a restart makes it again: {}", chain(&error)));
        }
    }

    /// The source.
    pub fn source(&self) -> &SourceName {
        &self.source
    }

    /// When its next run begins: a moment that may be past where one is due.
    pub fn next(&mut self, ctx: &Context) -> Option<Timestamp> {
        let now = ctx.clock.now();
        // The run of the last occurrence may still lie ahead, by its delay.
        self.unserved(now).or_else(|| self.schedule.next(now)).map(|next| self.begin(ctx, next))
    }

    /// The run that is due now, if one is. Of those that were missed it is the last one: it makes up for all.
    fn due(&mut self, ctx: &Context) -> Option<Occurrence> {
        let now = ctx.clock.now();
        let latest = self.unserved(now)?;
        (now >= WRITTEN && self.begin(ctx, latest) <= now).then_some(latest)
    }

    /// When the run of an occurrence begins.
    fn begin(&self, ctx: &Context, occurrence: Occurrence) -> Timestamp {
        self.schedule.begin(&next_run::key(&ctx.node, &self.source), occurrence)
    }

    /// The run that is due and that may be tried now, with what its tries have met.
    fn ready(&mut self, ctx: &Context) -> Option<(Occurrence, Backoff)> {
        let due = self.due(ctx)?;
        let backoff = self.tries_of(due);
        backoff.is_over(ctx.clock.monotonic()).then_some((due, backoff))
    }

    fn tries_of(&self, due: Occurrence) -> Backoff {
        self.tried.filter(|(tried, _)| *tried == due).map(|(_, backoff)| backoff).unwrap_or_default()
    }

    /// The run that is to be made now, with what its tries have met. What somebody asks for is the run that is due, if one is and waits for its
    /// delay or for another try: the copy is as good. Else it is one more, and the next one is made when it is due all the same.
    fn run_to_make(&mut self, ctx: &Context) -> Option<(Run, Backoff)> {
        let is_asked = self.board.takes(&self.source);
        if let Some((due, backoff)) = self.ready(ctx) {
            return Some((Run::Due(due), backoff));
        }
        let now = ctx.clock.now();
        if !is_asked || now < WRITTEN {
            return None;
        }
        let run = self.unserved(now).map(|due| (Run::Due(due), self.tries_of(due)));
        Some(run.unwrap_or((Run::Asked, Backoff::default())))
    }

    /// Whether a snapshot is to be taken now.
    pub fn is_ready(&mut self, ctx: &Context) -> bool {
        self.board.is_asked_for(&self.source) || self.ready(ctx).is_some()
    }

    /// Takes the snapshot that is due, if one is. What fails is told and tried again later.
    ///
    /// # Errors
    /// Only when the agent is to stop.
    pub(super) fn snapshot(&mut self, ctx: &Context, notices: &mut Notices) -> Result<(), Error> {
        self.tell_unset(ctx);
        let Some((run, mut backoff)) = self.run_to_make(ctx) else { return Ok(()) };
        ctx.begins_anew();
        self.tell_begun(ctx, run);
        notices.begins(ctx, &self.source);
        let before = self.newest(ctx);
        self.board.begins(Stage::Snapshot, Some(&self.source));
        let take = snapshot::Options { wait: None, dry_run: false };
        let mut taken = None;
        match hooks::before(ctx, &self.source).and_then(|()| snapshot::run(ctx, &self.source, &take)) {
            Ok(outcome) => taken = outcome.id,
            Err(error) if error.is_stopped() => {
                hooks::failed(ctx, &self.source, &error);
                return Err(error);
            }
            Err(error) if !self.has_come_since(ctx, before) => {
                hooks::failed(ctx, &self.source, &error);
                self.board.ends(false);
                let again = if let Run::Due(due) = run {
                    let again = backoff.fail(ctx.clock.monotonic());
                    self.tried = Some((due, backoff));
                    self.failed(ctx, "no snapshot was taken", &error, again);
                    again
                } else {
                    let why = format!("no snapshot was taken in the run that was asked for: {}", chain(&error));
                    ctx.warn(Some(&self.source), why);
                    self.is_asked_in_vain = true;
                    self.until_snapshot(ctx)
                };
                notices.fails(ctx, &self.source, &Trouble { work: Work::Snapshot, run: run.wall(), snapshot: None, error: &error, again });
                return Ok(());
            }
            // Another copy each hour would push out those of the days before.
            Err(error) => {
                ctx.warn(Some(&self.source), format!("the copy is complete, and what comes after that failed: {}", chain(&error)))
            }
        }
        self.board.ends(true);
        // Before it is shipped: however that ends, this run is not made again.
        if let Run::Due(due) = run {
            self.note_served(ctx, due);
            self.tried = None;
        }
        self.is_asked_in_vain = false;
        notices.has_taken(&self.source);
        let taken = taken.or_else(|| self.newest(ctx).flatten());
        (self.taken, self.ships) = (Some((run, taken)), Some(Backoff::default()));
        Ok(())
    }

    /// Whether it is time to look for copies that wait to be shipped.
    pub fn is_to_ship(&self, ctx: &Context) -> bool {
        self.ships.is_some_and(|ships| ships.is_over(ctx.clock.monotonic()))
    }

    fn tell_begun(&self, ctx: &Context, run: Run) {
        let source = self.source.clone();
        ctx.tell(match run {
            Run::Due(due) => {
                let late_seconds = ctx.clock.now().duration_since(due.instant).as_secs();
                Event::RunBegun { source, due: due.wall, late_seconds }
            }
            Run::Asked => Event::AskedRunBegun { source },
        });
    }

    fn tell_unset(&mut self, ctx: &Context) {
        let now = ctx.clock.now();
        let is_unset = now < WRITTEN;
        if is_unset && !self.is_unset_told {
            ctx.warn(Some(&self.source), format!("the clock shows {now}, so it is not set yet; nothing is backed up until it is"));
        }
        self.is_unset_told = is_unset;
    }

    /// Ships what waits, if it is time to try. Gives whether that came through, and nothing where it gave way to a snapshot.
    ///
    /// # Errors
    /// Only when the agent is to stop.
    pub(super) fn ship(&mut self, ctx: &Context, notices: &mut Notices) -> Result<Option<bool>, Error> {
        let Some(mut waiting) = self.ships.filter(|ships| ships.is_over(ctx.clock.monotonic())) else { return Ok(Some(false)) };
        self.board.begins(Stage::Shipment, Some(&self.source));
        let done = ship::run(ctx, &self.source, &ship::Options { snapshot: None, wait: None, dry_run: false });
        let (run, taken) = (self.taken.and_then(|(run, _)| run.wall()), self.taken.and_then(|(_, id)| id));
        let mut passed_over = Vec::new();
        let is_shipped = match done {
            // It gave way to a snapshot, and is gone on with after that.
            Err(error) if error.is_stopped() && ctx.stop.signal().is_none() => {
                self.board.pauses();
                self.ends(false, &[]);
                return Ok(None);
            }
            Err(error) if error.is_stopped() => return Err(error),
            Err(error) => {
                self.board.ends(false);
                let again = waiting.fail(ctx.clock.monotonic());
                self.ships = Some(waiting);
                self.failed(ctx, "its copies lie on this node and are not shipped", &error, again);
                notices.fails(ctx, &self.source, &Trouble { work: Work::Shipment, run, snapshot: taken, error: &error, again });
                false
            }
            Ok(done) => {
                self.board.ends(done.failed.is_empty());
                self.ships = None;
                for (id, error) in &done.failed {
                    ctx.warn(Some(&self.source), format!("the copy {id} is not shipped; tried again with the next run: {}", chain(error)));
                }
                if let Some((id, error)) = done.failed.iter().find(|(id, _)| taken == Some(*id)) {
                    let again = self.rest(ctx);
                    notices.fails(ctx, &self.source, &Trouble { work: Work::Shipment, run, snapshot: Some(*id), error, again });
                } else if done.failed.is_empty()
                    && self.tried.is_none()
                    && !self.is_asked_in_vain
                    && (self.taken.is_some() || !done.shipped.is_empty() || notices.is_in_trouble(&self.source))
                {
                    notices.is_well(ctx, &self.source);
                }
                passed_over = done.failed.into_iter().map(|(id, _)| id).collect();
                true
            }
        };
        self.ends(is_shipped, &passed_over);
        Ok(Some(is_shipped))
    }

    /// The run has ended, if one goes on: its shipment was tried.
    fn ends(&mut self, is_shipped: bool, passed_over: &[SnapshotId]) {
        self.ended = self.taken.take().map(|(run, id)| {
            let is_passed_over = id.is_some_and(|id| passed_over.contains(&id));
            Ended { run, id, is_shipped, is_passed_over }
        });
    }

    /// Tells how the run has ended, if one has, and runs the hook that waits for that. It is no part of the shipment, which may be broken off.
    pub(super) fn tell_end(&mut self, ctx: &Context) {
        let Some(Ended { run, id, is_shipped, is_passed_over }) = self.ended.take() else { return };
        if let Some(id) = id {
            hooks::after(ctx, &self.source, id, is_shipped && !is_passed_over);
        }
        let (source, next) = (self.source.clone(), self.next(ctx));
        ctx.tell(match run {
            Run::Due(due) => Event::RunEnded { source, due: due.wall, is_shipped, next },
            Run::Asked => Event::AskedRunEnded { source, is_shipped, next },
        });
    }

    /// The agent ends: what was taken and not shipped is that, for the hook that waits to be told.
    pub fn stopped(&mut self, ctx: &Context) {
        if let Some((_, Some(id))) = self.taken.take() {
            hooks::after(ctx, &self.source, id, false);
        }
    }

    fn failed(&self, ctx: &Context, what: &str, error: &Error, again: Duration) {
        ctx.warn(Some(&self.source), format!("{what}; tried again in {} min: {}", again.as_secs() / 60, chain(error)));
    }

    /// How long no snapshot is to be taken, as far as can be told now.
    pub fn until_snapshot(&mut self, ctx: &Context) -> Duration {
        match (self.due(ctx), self.tried) {
            (Some(due), Some((tried, backoff))) if due == tried => backoff.left(ctx.clock.monotonic()),
            _ => match self.next(ctx) {
                Some(next) => Duration::try_from(next.duration_since(ctx.clock.now())).unwrap_or_default(),
                None => Duration::MAX,
            },
        }
    }

    /// How long there is nothing to do, as far as can be told now.
    pub fn rest(&mut self, ctx: &Context) -> Duration {
        let next = self.next(ctx);
        self.board.next(&self.source, next);
        let ships = self.ships.map_or(Duration::MAX, |ships| ships.left(ctx.clock.monotonic()));
        self.until_snapshot(ctx).min(ships)
    }
}
