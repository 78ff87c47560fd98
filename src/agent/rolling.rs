//! What the agent does between runs so that damage is found and mended before anybody needs the bytes.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::board::{Board, Stage};
use crate::format::check::Level;
use crate::ops::copies::Copies;
use crate::ops::damage::Damage;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::locks::Waiting;
use crate::ops::rolling::{self, Rules};
use crate::ops::{Context, Error, heal, verify};

/// How soon it is looked again at the earliest: parts that took hours are due one after the other a day later.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// How often the listing is compared with the manifests: that finds what is missing, and costs requests and no bytes.
const COMPARE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Damaged objects that are named in a log; `windlass verify --quick` names all.
const NAMED: usize = 20;

/// How long healing waits for a shipment of somebody else.
const WAIT: Waiting = Some(Duration::from_secs(60));

/// How often something is left for a snapshot and begun anew, before it is done to its end.
const LEFT_MOST: usize = 3;

/// Says whether something else is to be done.
pub(super) type GivesWay = Arc<dyn Fn() -> bool + Send + Sync>;

/// Rolling verification, and healing.
pub(super) struct Rolling {
    rules: Option<Rules>,
    look_at: Duration,
    compare_at: Duration,
    failed: Backoff,
    /// Whether damage was found that nobody has tried to mend yet.
    is_damaged: bool,
    /// How often something was left for a snapshot since it came to its end.
    left: usize,
}

impl Rolling {
    /// Nothing was looked at since the program began.
    pub(super) fn new() -> Self {
        Self { rules: None, look_at: Duration::ZERO, compare_at: Duration::ZERO, failed: Backoff::default(), is_damaged: false, left: 0 }
    }

    /// From now on these rules hold, maybe of another repository; without any nothing is looked at.
    pub(super) fn take_up(&mut self, rules: Option<Rules>) {
        *self = Self { rules, ..Self::new() };
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, ctx: &Context) -> bool {
        self.rest(ctx).is_zero()
    }

    /// Reads what is due, and mends what was found. `gives_way` says when something else is to be done: a snapshot cannot be made up for, this can.
    ///
    /// # Errors
    /// Only when the agent is to stop.
    pub(super) fn turn(&mut self, ctx: &Context, board: &Board, gives_way: &GivesWay) -> Result<(), Error> {
        if !self.is_due(ctx) {
            return Ok(());
        }
        board.begins(Stage::Verification, None);
        let looked = match self.rules {
            Some(rules) => self.look(ctx, &rules, gives_way),
            None => rolling::turn_off(ctx).map(|_| {
                self.look_at = Duration::MAX;
                true
            }),
        };
        match looked {
            Ok(is_done) => {
                if is_done {
                    board.ends(true)
                } else {
                    board.pauses()
                }
                self.failed = Backoff::default();
            }
            Err(error) if error.is_stopped() => return Err(error),
            Err(error) => {
                board.ends(false);
                let again = self.failed.fail(ctx.clock.monotonic());
                // Where nothing is to be verified, only a note is to be left, which nobody misses for now.
                if self.rules.is_some() {
                    ctx.warn(None, format!("verification ended early; tried again in {} min: {}", again.as_secs() / 60, chain(&error)));
                }
            }
        }
        Ok(())
    }

    /// How long there is nothing to do.
    pub(super) fn rest(&self, ctx: &Context) -> Duration {
        let now = ctx.clock.monotonic();
        self.look_at.saturating_sub(now).max(self.failed.left(now))
    }

    /// Gives whether all was done, and nothing was left for something else.
    fn look(&mut self, ctx: &Context, rules: &Rules, gives_way: &GivesWay) -> Result<bool, Error> {
        // What takes longer than there ever is between two snapshots would be begun anew for ever.
        let is_patient = self.left < LEFT_MOST;
        let outcome = rolling::run(ctx, rules, &mut |parts| (is_patient || parts > 0) && gives_way())?;
        self.is_damaged |= !outcome.damage.is_empty();
        let behind = outcome.coverage.in_arrears();
        ctx.tell(Event::ReadAgain { parts: outcome.parts, bytes: outcome.bytes, covered: outcome.coverage });
        if outcome.gave_way {
            self.left = if outcome.parts > 0 { 0 } else { self.left + 1 };
            return Ok(false);
        }
        if let Some(behind) = behind {
            ctx.warn(None, format!("{behind}: {}", rolling::MORE));
        }
        for spec in &ctx.sources {
            match self.leaving(ctx, gives_way, || rolling::read_copy(ctx, rules, &spec.name)) {
                Ok(Some(Some(copy))) => {
                    tell(ctx, &copy.damage);
                    self.is_damaged |= !copy.damage.is_empty();
                }
                Ok(Some(None)) => {}
                Ok(None) => return Ok(false),
                Err(error) if error.is_stopped() => return Err(error),
                Err(error) => ctx.warn(Some(&spec.name), format!("its local copies could not be read again: {}", chain(&error))),
            }
        }
        if self.is_damaged || ctx.clock.monotonic() >= self.compare_at {
            if self.leaving(ctx, gives_way, || compare(ctx))?.is_none() {
                return Ok(false);
            }
            self.is_damaged = false;
            self.compare_at = ctx.clock.monotonic() + COMPARE_EVERY;
        }
        self.look_at = ctx.clock.monotonic() + outcome.rest.max(LOOK_AGAIN);
        Ok(true)
    }

    /// Does something that is left when something else is to be done, and begun anew later; when that was so several times, it is done to its
    /// end. Gives nothing where it was left.
    fn leaving<T>(&mut self, ctx: &Context, gives_way: &GivesWay, work: impl FnOnce() -> Result<T, Error>) -> Result<Option<T>, Error> {
        let (gives_way, is_patient) = (Arc::clone(gives_way), self.left < LEFT_MOST);
        match ctx.stop.pausing(move || is_patient && gives_way(), work) {
            Err(error) if error.is_stopped() && ctx.stop.signal().is_none() => {
                self.left += 1;
                Ok(None)
            }
            done => {
                self.left = 0;
                done.map(Some)
            }
        }
    }
}

/// Compares the listing with the manifests, tells of all damage that is known, and mends it as far as that goes.
fn compare(ctx: &Context) -> Result<(), Error> {
    let outcome = verify::run(ctx, &verify::Options { level: Level::Quick, snapshots: Vec::new(), node: None })?;
    if let Some(why) = outcome.unreachable {
        return Err(Error::Refused(why));
    }
    ctx.tell(Event::Compared { objects: outcome.checked.objects, damaged: outcome.damage.len() as u64 });
    tell(ctx, &outcome.damage);
    if !outcome.damage.is_empty() || has_damaged_copies(ctx) { mend(ctx) } else { Ok(()) }
}

fn tell(ctx: &Context, damage: &[Damage]) {
    for Damage { object, snapshot, problem } in damage.iter().take(NAMED) {
        let needed = snapshot.as_ref().map(|snapshot| format!(", which {snapshot} needs")).unwrap_or_default();
        ctx.warn(None, format!("damage: {object}{needed}: {problem}"));
    }
    if damage.len() > NAMED {
        ctx.warn(None, format!("damage: {} more objects; `windlass verify --quick` names all", damage.len() - NAMED));
    }
}

/// Whether a local copy is known not to be what it was, as far as the copies can be looked at.
fn has_damaged_copies(ctx: &Context) -> bool {
    let copies = ctx.sources.iter().filter_map(|spec| Copies::read(ctx, &spec.name).ok());
    copies.flat_map(|copies| copies.complete).any(|copy| copy.damage.is_some())
}

/// Makes sound again what can be; what cannot be is told.
fn mend(ctx: &Context) -> Result<(), Error> {
    let outcome = heal::run(ctx, &heal::Options { wait: WAIT, ..heal::Options::default() })?;
    let healed = outcome.healed.len() + outcome.copies.len();
    for unhealed in &outcome.unhealed {
        let tier = if unhealed.local { "local copy" } else { "snapshot" };
        let lost = if unhealed.lost_files > 0 { format!(", {} files of it are lost", unhealed.lost_files) } else { String::new() };
        ctx.warn(Some(&unhealed.source), format!("the {tier} {} is damaged and cannot be made sound: {}{lost}", unhealed.id, unhealed.why));
    }
    for (source, id, why) in &outcome.postponed {
        ctx.warn(Some(source), format!("the local copy {id} is damaged and could not be looked at now: {why}"));
    }
    for by_hand in &outcome.by_hand {
        ctx.warn(None, format!("{}: {}; {}", by_hand.object, by_hand.problem, by_hand.advice));
    }
    ctx.tell(Event::Mended { healed: healed as u64, unhealed: (outcome.unhealed.len() + outcome.by_hand.len()) as u64 });
    Ok(())
}
