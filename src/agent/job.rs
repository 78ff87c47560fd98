//! What is due of one source, and what became of it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::Backoff;
use super::schedule::{Occurrence, Schedule};
use super::served::Served;
use crate::format::names::SourceName;
use crate::ops::copies::Copies;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::{Context, Error, backup, ship};

/// A clock that shows less than this was never set: this program is younger.
const WRITTEN: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// One source of the agent.
pub struct Job {
    source: SourceName,
    schedule: Schedule,
    served: Served,
    /// What the run that is due now has met: its name, and when it is tried again.
    tried: Option<(Occurrence, Backoff)>,
    /// Copies may wait to be shipped, and when that is tried again.
    ships: Option<Backoff>,
    /// Whether it was told that the clock is not set.
    is_unset_told: bool,
}

impl Job {
    /// A source and its schedule, with what is remembered of it. Whatever could not be shipped before is shipped first.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn new(ctx: &Context, source: SourceName, schedule: Schedule) -> Result<Self, Error> {
        let served = Served::read(ctx, &source)?;
        let mut job = Self { source, schedule, served, tried: None, ships: Some(Backoff::default()), is_unset_told: false };
        job.counts_what_is_there(ctx)?;
        Ok(job)
    }

    /// A copy that somebody else made since the last run was due, by a timer or by hand, is as good as that run when the agent is new here.
    fn counts_what_is_there(&mut self, ctx: &Context) -> Result<(), Error> {
        let now = ctx.clock.now();
        if !self.served.is_empty() {
            return Ok(());
        }
        let Some(latest) = self.schedule.latest(now) else { return Ok(()) };
        let newest = Copies::read(ctx, &self.source)?.latest().map(|copy| copy.id().to_timestamp());
        if newest.is_some_and(|newest| latest.instant <= newest && newest <= now) {
            self.served.add(ctx, &self.source, latest.wall)?;
        }
        Ok(())
    }

    /// The source.
    pub fn source(&self) -> &SourceName {
        &self.source
    }

    /// When its next run begins: a moment that may be past where one is due.
    pub fn next(&self, ctx: &Context) -> Option<Timestamp> {
        let now = ctx.clock.now();
        self.due(ctx, now).map(|due| self.begin(ctx, due)).or_else(|| {
            // The run of the last occurrence may still lie ahead, by its delay.
            let latest = self.schedule.latest(now).filter(|latest| !self.served.has(latest.wall));
            latest.or_else(|| self.schedule.next(now)).map(|next| self.begin(ctx, next))
        })
    }

    /// The run that is due now, if one is. Of those that were missed it is the last one: it makes up for all.
    fn due(&self, ctx: &Context, now: Timestamp) -> Option<Occurrence> {
        let latest = self.schedule.latest(now).filter(|latest| !self.served.has(latest.wall))?;
        (self.begin(ctx, latest) <= now).then_some(latest)
    }

    /// When the run of an occurrence begins. It is made before the next one is due, whatever the jitter is.
    fn begin(&self, ctx: &Context, occurrence: Occurrence) -> Timestamp {
        let delay = self.schedule.delay(&format!("{} {}", ctx.node, self.source), occurrence);
        let delay = SignedDuration::try_from(delay).unwrap_or_default();
        let next = self.schedule.next(occurrence.instant).map(|next| next.instant.duration_since(occurrence.instant) / 2);
        occurrence.instant.checked_add(next.map_or(delay, |half| delay.min(half))).unwrap_or(occurrence.instant)
    }

    /// Does what is due. What fails is told and tried again later.
    ///
    /// Gives whether a run was made and all of its copies are shipped.
    ///
    /// # Errors
    /// Only when the agent is to stop.
    pub fn work(&mut self, ctx: &Context) -> Result<bool, Error> {
        let now = ctx.clock.now();
        if now < WRITTEN {
            if !std::mem::replace(&mut self.is_unset_told, true) {
                ctx.warn(Some(&self.source), format!("the clock shows {now}, so it is not set yet; nothing is backed up until it is"));
            }
            return Ok(false);
        }
        self.is_unset_told = false;
        if let Some(due) = self.due(ctx, now) {
            let is_new = self.tried.is_none_or(|(tried, _)| tried != due);
            let mut backoff = self.tried.filter(|_| !is_new).map(|(_, backoff)| backoff).unwrap_or_default();
            if backoff.is_over(ctx.clock.monotonic()) {
                let is_whole = self.run(ctx, due, &mut backoff)?;
                self.tried = Some((due, backoff));
                return Ok(is_whole);
            }
        }
        self.ship(ctx)?;
        Ok(false)
    }

    fn run(&mut self, ctx: &Context, due: Occurrence, backoff: &mut Backoff) -> Result<bool, Error> {
        let late = ctx.clock.now().duration_since(due.instant);
        ctx.tell(Event::RunBegun { source: self.source.clone(), due: due.wall, late_seconds: late.as_secs() });
        let outcome = match backup::run(ctx, &self.source, &backup::Options::default()) {
            Err(error) if error.is_stopped() => return Err(error),
            Err(error) => {
                let again = backoff.fail(ctx.clock.monotonic());
                self.failed(ctx, "no snapshot was taken", &error, again);
                return Ok(false);
            }
            Ok(outcome) => outcome,
        };
        if let Err(error) = self.served.add(ctx, &self.source, due.wall) {
            ctx.warn(Some(&self.source), format!("that this run was made cannot be kept, so a restart makes it again: {}", chain(&error)));
        }
        let failure = outcome.failure.as_ref().or_else(|| outcome.passed_over.first().map(|(_, error)| error));
        self.shipped(ctx, failure)?;
        let next = self.next(ctx);
        ctx.tell(Event::RunEnded { source: self.source.clone(), due: due.wall, is_shipped: failure.is_none(), next });
        Ok(failure.is_none())
    }

    /// Ships what waits, if it is time to try.
    fn ship(&mut self, ctx: &Context) -> Result<(), Error> {
        let Some(waiting) = self.ships else { return Ok(()) };
        if !waiting.is_over(ctx.clock.monotonic()) {
            return Ok(());
        }
        match ship::run(ctx, &self.source, &ship::Options { snapshot: None, wait: None, dry_run: false }) {
            Ok(done) => self.shipped(ctx, done.failed.first().map(|(_, error)| error)),
            Err(error) => self.shipped(ctx, Some(&error)),
        }
    }

    /// Notes how shipping ended.
    fn shipped(&mut self, ctx: &Context, failure: Option<&Error>) -> Result<(), Error> {
        match failure {
            None => self.ships = None,
            Some(error) if error.is_stopped() => return Err(Error::Stopped),
            // A source that was never backed up has nothing to ship.
            Some(Error::Absent(_)) => self.ships = None,
            Some(error) => {
                let mut backoff = self.ships.unwrap_or_default();
                let again = backoff.fail(ctx.clock.monotonic());
                self.ships = Some(backoff);
                self.failed(ctx, "its copies lie on this node and are not shipped", error, again);
            }
        }
        Ok(())
    }

    fn failed(&self, ctx: &Context, what: &str, error: &Error, again: Duration) {
        ctx.warn(Some(&self.source), format!("{what}; tried again in {} min: {}", again.as_secs() / 60, chain(error)));
    }

    /// How long there is nothing to do, as far as can be told now.
    pub fn rest(&self, ctx: &Context) -> Duration {
        let (now, monotonic) = (ctx.clock.now(), ctx.clock.monotonic());
        let until = |next: Timestamp| Duration::try_from(next.duration_since(now)).unwrap_or_default();
        let run = match (self.due(ctx, now), &self.tried) {
            (Some(due), Some((tried, backoff))) if due == *tried => Some(backoff.left(monotonic)),
            _ => self.next(ctx).map(until),
        };
        let ships = self.ships.map(|ships| ships.left(monotonic));
        [run, ships].into_iter().flatten().min().unwrap_or(Duration::MAX)
    }
}
