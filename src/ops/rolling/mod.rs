//! Rolling verification: a little of what is stored is read again each day, what was not read for longest first, so that within a known time
//! every stored byte was.
//!
//! Of the repository that is one of 256 parts after the other ([`part`]), each compared with its names, which needs no key; [`turn`] says which
//! part is next and when it is enough for a day; [`ledger`] keeps in the repository when each was read, so that it outlives the node. Of the
//! local tier it is one copy of each source a day ([`copies`]).
//! What is found is recorded as any verification records it, so that shipments do not rely on it and [`super::heal`] knows of it.

mod copies;
mod ledger;
mod part;
mod turn;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use copies::{ReadCopy, read_copy};
pub(crate) use ledger::{LEDGERS_KEPT, Ledger, is_of_another_version};
pub use turn::Rules;

use super::damage::Damage;
use super::node::Remote;
use super::work::work_folder;
use super::{Context, Error, verify};
use crate::format::check::{Check, Level, Verdict};
use crate::format::coverage::{Coverage, PARTS, Part};
use part::{Found, Reader};

/// What was read, and what that comes to.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Parts that were read.
    pub parts: usize,
    /// Objects in them.
    pub objects: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// What is not as it should be; whether a snapshot needs it, a quick verification tells.
    pub damage: Vec<Damage>,
    /// How long until more is due.
    #[serde(skip)]
    pub rest: Duration,
    /// Whether it ended before it had read what was due, because something else had to be done.
    pub gave_way: bool,
    /// What is covered now.
    pub coverage: Covered,
}

/// How much of what is stored was read again in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// Parts that there are.
    pub parts: usize,
    /// Those that were read within `every_seconds`.
    pub covered: usize,
    /// Those that wait for longer than that.
    pub behind: usize,
    /// Within how many seconds each is to be read again.
    pub every_seconds: u64,
    /// When the part was read that was not read for longest; where some never were, since when they wait.
    pub oldest: Timestamp,
    /// Everything that was stored before this instant has been read since; `None` while some part was never read.
    pub whole_since: Option<Timestamp>,
}

/// What helps where the budget does not come round.
pub const MORE: &str = "give [verify] more `bytes` or `time` a day, or a longer `every`";

impl Covered {
    /// Within what time each part is to be read again, in days.
    pub fn days(&self) -> u64 {
        self.every_seconds / 86_400
    }

    /// In words that parts wait for longer than they should; nothing where none does.
    pub fn in_arrears(&self) -> Option<String> {
        let since = self.oldest.strftime("%Y-%m-%d");
        let (behind, parts, days) = (self.behind, self.parts, self.days());
        (behind > 0).then(|| {
            format!("{behind} of {parts} parts of what is stored were not read again within {days} days, the oldest since {since}")
        })
    }

    /// What a ledger comes to.
    pub(crate) fn of(coverage: &Coverage, now: Timestamp) -> Self {
        Self {
            parts: PARTS,
            covered: coverage.covered(now),
            behind: coverage.behind(now),
            every_seconds: coverage.every_seconds,
            oldest: coverage.oldest(),
            whole_since: coverage.whole_since(),
        }
    }
}

/// How long what was read is not kept yet at most: a run that is killed reads that much once more.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// Reads what is due of the repository. `gives_way` is asked between any two objects, and told how many parts this run has read: when it says
/// so, the part that is being read is left, and what was read before is kept.
///
/// # Errors
/// [`Error::Refused`] where the node's name belongs to another machine; what concerns the store as a whole, after what was read has been recorded
/// as far as that goes.
pub fn run(ctx: &Context, rules: &Rules, gives_way: &mut dyn FnMut(usize) -> bool) -> Result<Outcome, Error> {
    let remote = Remote::open(ctx)?;
    remote.check_same(ctx)?;
    remote.check_owner(ctx)?;
    ctx.meter.set_phase("verifying");
    let known = verify::known(ctx, &remote, &ctx.node)?;
    let mut ledger = Ledger::read(ctx, &remote, &ctx.node)?;
    let mut coverage = ledger.coverage(ctx.clock.now(), rules.every);
    let reader = Reader { ctx, remote: &remote, known: &known, work: work_folder(ctx)? };
    let (mut totals, mut passed_over) = (Totals::default(), BTreeSet::new());
    let mut kept_at = ctx.clock.monotonic();
    let ended = loop {
        let next = turn::next(&coverage, rules, ctx.clock.now(), &passed_over);
        // A store that gives nothing out is asked for a day's share in vain, and not for everything.
        let Some(number) = next.filter(|_| passed_over.len() < rules.share(PARTS)) else { break Ok(false) };
        if gives_way(totals.parts) {
            break Ok(true);
        }
        if totals.parts == 0 && passed_over.is_empty() {
            // Whoever may not keep what was read would read the same for ever.
            ledger.write(ctx, &remote, &coverage)?;
        }
        let (begun, since) = (ctx.clock.now(), ctx.clock.monotonic());
        let read_before = totals.parts;
        match reader.read(number, &mut || gives_way(read_before)) {
            Ok(Some(found)) => {
                if let Some(why) = &found.unread {
                    ctx.warn_once(format!("not all of what is to be verified could be read: {why}"));
                    passed_over.insert(number);
                    totals.verdicts.extend(found.verdicts);
                    continue;
                }
                let seconds = ctx.clock.monotonic().saturating_sub(since).as_secs();
                coverage.parts[usize::from(number)] = Part::Read { read: begun, bytes: found.bytes, seconds };
                totals.add(found);
                if ctx.clock.monotonic().saturating_sub(kept_at) >= KEEP_EVERY {
                    keep(ctx, &remote, &mut ledger, &coverage, &mut totals)?;
                    kept_at = ctx.clock.monotonic();
                }
            }
            Ok(None) => break Ok(true),
            Err(error) => break Err(error),
        }
    };
    if totals.parts > 0 {
        keep(ctx, &remote, &mut ledger, &coverage, &mut totals)?;
    }
    let gave_way = ended?;
    // Of what could not be kept nothing is claimed.
    let coverage = ledger.coverage(ctx.clock.now(), rules.every);
    let damage = totals.recorded.into_iter().filter(|check| check.verdict != Verdict::Sound);
    let damage = damage.map(|check| Damage { object: check.object, snapshot: None, problem: check.problem.unwrap_or_default() });
    Ok(Outcome {
        parts: totals.parts,
        objects: totals.objects,
        bytes: totals.bytes,
        damage: damage.collect(),
        rest: turn::rest(&coverage, ctx.clock.now()),
        gave_way,
        coverage: Covered::of(&coverage, ctx.clock.now()),
    })
}

/// Keeps what was read until now. Damage goes first: a part that is said to be read and whose damage nobody knows of would be a lie for a month.
fn keep(ctx: &Context, remote: &Remote, ledger: &mut Ledger, coverage: &Coverage, totals: &mut Totals) -> Result<(), Error> {
    let is_recorded = verify::record_verdicts(ctx, remote, &ctx.node, &totals.verdicts);
    totals.recorded.append(&mut totals.verdicts);
    totals.is_recorded &= is_recorded;
    if totals.is_recorded { ledger.write(ctx, remote, coverage) } else { Ok(()) }
}

/// Says in the repository that nothing is to be read again by itself any more, so that nobody takes that for neglect; where nothing was ever
/// read that is known. Gives whether there was something to say.
///
/// # Errors
/// What the store gives.
pub fn turn_off(ctx: &Context) -> Result<bool, Error> {
    let remote = Remote::open(ctx)?;
    remote.check_same(ctx)?;
    remote.check_owner(ctx)?;
    let mut ledger = Ledger::read(ctx, &remote, &ctx.node)?;
    match ledger.kept() {
        Some(kept) if kept.every_seconds > 0 => {
            let off = Coverage { every_seconds: 0, ..kept.clone() };
            ledger.write(ctx, &remote, &off)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// What all parts of a run come to.
struct Totals {
    parts: usize,
    objects: u64,
    bytes: u64,
    /// Those that are still to be recorded.
    verdicts: Vec<Check>,
    recorded: Vec<Check>,
    /// Whether the others all are.
    is_recorded: bool,
}

impl Default for Totals {
    fn default() -> Self {
        Self { parts: 0, objects: 0, bytes: 0, verdicts: Vec::new(), recorded: Vec::new(), is_recorded: true }
    }
}

impl Totals {
    fn add(&mut self, found: Found) {
        self.parts += 1;
        self.objects += found.objects;
        self.bytes += found.bytes;
        self.verdicts.extend(found.verdicts);
    }
}

/// How deep it looks: every stored byte against the name of its object, for which no key is needed. That what is stored decodes to what was
/// backed up was proven before it left the node.
const LEVEL: Level = Level::Stored;
