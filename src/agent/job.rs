//! What is due of one source, and what became of it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::Backoff;
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
const WRITTEN: Timestamp = Timestamp::constant(1_767_225_600, 0);

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
    taken: Option<(Occurrence, Option<SnapshotId>)>,
    /// How the run has ended that is to be told of.
    ended: Option<Ended>,
    /// Whether it was told that the clock is not set.
    is_unset_told: bool,
}

/// A run whose shipment was tried.
struct Ended {
    due: Occurrence,
    /// Its snapshot.
    id: Option<SnapshotId>,
    /// Whether copies were shipped, and whether this one was passed over.
    is_shipped: bool,
    is_passed_over: bool,
}

impl Job {
    /// A source and its schedule, with what is remembered of it. Whatever could not be shipped before is shipped soon.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no local tier.
    pub fn new(ctx: &Context, source: SourceName, schedule: Schedule) -> Result<Self, Error> {
        let served = Served::read(ctx, &source)?;
        let ships = Some(Backoff::default());
        let mut job = Self { source, schedule, served, tried: None, ships, taken: None, ended: None, is_unset_told: false };
        job.counts_what_is_there(ctx);
        Ok(job)
    }

    /// The same source by another schedule, or the same. What its tries have met stays; copies that wait are looked for, because where they are
    /// shipped to may have changed.
    #[must_use]
    pub fn again(self, schedule: Schedule) -> Self {
        Self { schedule, ships: self.ships.or(Some(Backoff::default())), ..self }
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

    /// When the run of an occurrence begins. It is made before the next one is due, whatever the jitter is.
    fn begin(&self, ctx: &Context, occurrence: Occurrence) -> Timestamp {
        let delay = self.schedule.delay(&format!("{} {}", ctx.node, self.source), occurrence);
        let delay = SignedDuration::try_from(delay).unwrap_or_default();
        let next = self.schedule.next(occurrence.instant).map(|next| next.instant.duration_since(occurrence.instant) / 2);
        occurrence.instant.checked_add(next.map_or(delay, |half| delay.min(half))).unwrap_or(occurrence.instant)
    }

    /// The run that is due and that may be tried now, with what its tries have met.
    fn ready(&mut self, ctx: &Context) -> Option<(Occurrence, Backoff)> {
        let due = self.due(ctx)?;
        let backoff = self.tried.filter(|(tried, _)| *tried == due).map(|(_, backoff)| backoff).unwrap_or_default();
        backoff.is_over(ctx.clock.monotonic()).then_some((due, backoff))
    }

    /// Whether a snapshot is to be taken now.
    pub fn is_ready(&mut self, ctx: &Context) -> bool {
        self.ready(ctx).is_some()
    }

    /// Takes the snapshot that is due, if one is. What fails is told and tried again later.
    ///
    /// # Errors
    /// Only when the agent is to stop.
    pub(super) fn snapshot(&mut self, ctx: &Context, notices: &mut Notices) -> Result<(), Error> {
        self.tell_unset(ctx);
        let Some((due, mut backoff)) = self.ready(ctx) else { return Ok(()) };
        ctx.begins_anew();
        let late_seconds = ctx.clock.now().duration_since(due.instant).as_secs();
        ctx.tell(Event::RunBegun { source: self.source.clone(), due: due.wall, late_seconds });
        notices.begins(ctx, &self.source);
        let before = self.newest(ctx);
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
                let again = backoff.fail(ctx.clock.monotonic());
                self.tried = Some((due, backoff));
                self.failed(ctx, "no snapshot was taken", &error, again);
                let (work, run) = (Work::Snapshot, Some(due.wall));
                notices.fails(ctx, &self.source, &Trouble { work, run, snapshot: None, error: &error, again });
                return Ok(());
            }
            // Another copy each hour would push out those of the days before.
            Err(error) => {
                ctx.warn(Some(&self.source), format!("the copy is complete, and what comes after that failed: {}", chain(&error)))
            }
        }
        // Before it is shipped: however that ends, this run is not made again.
        self.note_served(ctx, due);
        notices.has_taken(&self.source);
        let taken = taken.or_else(|| self.newest(ctx).flatten());
        (self.tried, self.taken, self.ships) = (None, Some((due, taken)), Some(Backoff::default()));
        Ok(())
    }

    /// Whether it is time to look for copies that wait to be shipped.
    pub fn is_to_ship(&self, ctx: &Context) -> bool {
        self.ships.is_some_and(|ships| ships.is_over(ctx.clock.monotonic()))
    }

    fn tell_unset(&mut self, ctx: &Context) {
        let now = ctx.clock.now();
        let is_unset = now < WRITTEN;
        if is_unset && !self.is_unset_told {
            ctx.warn(Some(&self.source), format!("the clock shows {now}, so it is not set yet; nothing is backed up until it is"));
        }
        self.is_unset_told = is_unset;
    }

    /// Ships what waits, if it is time to try. Gives whether that came through.
    ///
    /// # Errors
    /// Only when the agent is to stop.
    pub(super) fn ship(&mut self, ctx: &Context, notices: &mut Notices) -> Result<bool, Error> {
        let Some(mut waiting) = self.ships.filter(|ships| ships.is_over(ctx.clock.monotonic())) else { return Ok(false) };
        let done = ship::run(ctx, &self.source, &ship::Options { snapshot: None, wait: None, dry_run: false });
        let mut passed_over = Vec::new();
        let is_shipped = match done {
            Err(error) if error.is_stopped() => return Err(error),
            Err(error) => {
                let again = waiting.fail(ctx.clock.monotonic());
                self.ships = Some(waiting);
                self.failed(ctx, "its copies lie on this node and are not shipped", &error, again);
                let (run, snapshot) = (self.taken.map(|(due, _)| due.wall), self.taken.and_then(|(_, id)| id));
                notices.fails(ctx, &self.source, &Trouble { work: Work::Shipment, run, snapshot, error: &error, again });
                false
            }
            Ok(done) => {
                self.ships = None;
                for (id, error) in &done.failed {
                    ctx.warn(Some(&self.source), format!("the copy {id} is not shipped; tried again with the next run: {}", chain(error)));
                }
                let (run, taken) = (self.taken.map(|(due, _)| due.wall), self.taken.and_then(|(_, id)| id));
                if let Some((id, error)) = done.failed.iter().find(|(id, _)| taken == Some(*id)) {
                    let again = self.rest(ctx);
                    notices.fails(ctx, &self.source, &Trouble { work: Work::Shipment, run, snapshot: Some(*id), error, again });
                } else if self.tried.is_none() && (run.is_some() || !done.shipped.is_empty() || notices.is_in_trouble(&self.source)) {
                    notices.is_well(ctx, &self.source);
                }
                passed_over = done.failed.into_iter().map(|(id, _)| id).collect();
                true
            }
        };
        self.ended = self.taken.take().map(|(due, id)| Ended {
            due,
            id,
            is_shipped,
            is_passed_over: id.is_some_and(|id| passed_over.contains(&id)),
        });
        Ok(is_shipped)
    }

    /// Tells how the run has ended, if one has, and runs the hook that waits for that. It is no part of the shipment, which may be broken off.
    pub(super) fn tell_end(&mut self, ctx: &Context) {
        let Some(Ended { due, id, is_shipped, is_passed_over }) = self.ended.take() else { return };
        if let Some(id) = id {
            hooks::after(ctx, &self.source, id, is_shipped && !is_passed_over);
        }
        let next = self.next(ctx);
        ctx.tell(Event::RunEnded { source: self.source.clone(), due: due.wall, is_shipped, next });
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

    /// How long there is nothing to do, as far as can be told now.
    pub fn rest(&mut self, ctx: &Context) -> Duration {
        let (now, monotonic) = (ctx.clock.now(), ctx.clock.monotonic());
        let run = match (self.due(ctx), self.tried) {
            (Some(due), Some((tried, backoff))) if due == tried => Some(backoff.left(monotonic)),
            _ => self.next(ctx).map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default()),
        };
        let ships = self.ships.map(|ships| ships.left(monotonic));
        [run, ships].into_iter().flatten().min().unwrap_or(Duration::MAX)
    }
}
