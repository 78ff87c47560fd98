//! Retention of the repository: which shipped snapshots of a source stay, as a pure function that says why.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::copies::FUTURE;
use crate::format::snapshot_id::SnapshotId;

/// The rules: a snapshot stays while any of them keeps it. Counts of 0 keep nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones, this many.
    pub last: u32,
    /// The newest one of each of this many hours (of UTC).
    pub hourly: u32,
    /// The newest one of each of this many days, by the civil date on the node.
    pub daily: u32,
    /// The newest one of each of this many weeks, which begin on Monday.
    pub weekly: u32,
    /// The newest one of each of this many months.
    pub monthly: u32,
    /// The newest one of each of this many years.
    pub yearly: u32,
    /// All that are at most this much older than the newest one.
    pub within: Option<Duration>,
}

/// A snapshot as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// The civil date on the node when it was taken.
    pub date: Date,
    /// Whether nothing went wrong while it was taken, and nothing it needs is known to be damaged.
    pub sound: bool,
    /// Whether something that it needs is known to be damaged or missing.
    pub damaged: bool,
    /// Whether somebody has pinned it.
    pub pinned: bool,
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Its id.
    pub id: SnapshotId,
    /// Whether it stays.
    pub keep: bool,
    /// Why, in words; of a snapshot that stays each reason.
    pub why: Vec<String>,
}

/// Decides on all snapshots of one source, from the newest to the oldest. Without rules all stay.
///
/// Whatever the rules say, these stay: what is pinned, the newest snapshot, the newest sound one, all of them where every one is damaged, and
/// what is more than a day ahead of the clock, which is neither counted nor the newest of anything.
pub fn decide(rules: Option<&Retention>, candidates: &[Candidate], now: Timestamp) -> Vec<Decision> {
    let mut ordered = candidates.to_vec();
    ordered.sort_by_key(|candidate| std::cmp::Reverse(candidate.id));
    let mut decisions: Vec<Decision> = ordered.iter().map(|one| Decision { id: one.id, keep: true, why: Vec::new() }).collect();
    let mut keep = |at: usize, why: String| decisions[at].why.push(why);

    let is_future = |candidate: &Candidate| candidate.id.to_timestamp() > now + FUTURE;
    let first = ordered.iter().take_while(|candidate| is_future(candidate)).count();
    (0..first).for_each(|at| keep(at, "its time is ahead of the clock: only `forget` removes it".into()));
    let counted = first..ordered.len();
    if let Some(rules) = rules {
        counting(rules, &ordered, first, &mut keep);
    } else {
        counted.clone().for_each(|at| keep(at, "[retention] has no rule, so everything stays".into()));
    }
    if !counted.is_empty() && counted.clone().all(|at| ordered[at].damaged) {
        counted.clone().for_each(|at| keep(at, "every snapshot of the source is damaged, and each may hold what the others lack".into()));
    }
    if let Some(at) = counted.clone().find(|at| ordered[*at].sound) {
        keep(at, "it is the newest sound snapshot of the source".into());
    }
    if !counted.is_empty() {
        keep(first, "it is the newest snapshot of the source".into());
    }
    (0..ordered.len()).filter(|at| ordered[*at].pinned).for_each(|at| keep(at, "it is pinned".into()));

    let beyond = rules.map(Retention::in_words).unwrap_or_default();
    for decision in decisions.iter_mut().filter(|decision| decision.why.is_empty()) {
        decision.keep = false;
        decision.why.push(format!("no rule keeps it ({beyond})"));
    }
    decisions
}

/// Tells `keep` of each snapshot that a rule keeps; those before `first` do not count.
fn counting(rules: &Retention, ordered: &[Candidate], first: usize, keep: &mut dyn FnMut(usize, String)) {
    let counted = || (first..ordered.len()).map(|at| (at, &ordered[at]));
    for (at, _) in counted().take(rules.last as usize) {
        keep(at, format!("last {}: number {}", rules.last, at - first + 1));
    }
    for (rule, count, period) in rules.periods() {
        let mut seen = BTreeSet::new();
        for (at, candidate) in counted() {
            if seen.len() == count as usize {
                break;
            }
            let period = period(candidate);
            if seen.insert(period.clone()) {
                keep(at, format!("{rule} {count}: the newest of {period}"));
            }
        }
    }
    if let (Some(within), Some(newest)) = (rules.within, ordered.get(first)) {
        // Counted from the newest snapshot, so that neither a node that stands still nor a clock that is ahead removes all there is.
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        for (at, candidate) in counted() {
            if newest.id.to_timestamp().duration_since(candidate.id.to_timestamp()) <= within {
                keep(at, format!("within {}", words_of(within)));
            }
        }
    }
}

type Period = fn(&Candidate) -> String;

impl Retention {
    fn periods(&self) -> [(&'static str, u32, Period); 5] {
        [
            ("hourly", self.hourly, |one| format!("{} UTC", one.id.to_timestamp().strftime("%Y-%m-%d %H:00"))),
            ("daily", self.daily, |one| one.date.to_string()),
            ("weekly", self.weekly, |one| {
                let week = one.date.iso_week_date();
                format!("week {} of {}", week.week(), week.year())
            }),
            ("monthly", self.monthly, |one| one.date.strftime("%Y-%m").to_string()),
            ("yearly", self.yearly, |one| one.date.year().to_string()),
        ]
    }

    /// The rules that keep something, as a person would say them: `last 7, daily 14`.
    pub fn in_words(&self) -> String {
        let counts = [("last", self.last)].into_iter().chain(self.periods().map(|(rule, count, _)| (rule, count)));
        let counts = counts.filter(|(_, count)| *count > 0).map(|(rule, count)| format!("{rule} {count}"));
        let within =
            self.within.and_then(|within| SignedDuration::try_from(within).ok()).map(|within| format!("within {}", words_of(within)));
        counts.chain(within).collect::<Vec<_>>().join(", ")
    }
}

/// A duration in the largest unit that divides it, as it is written in the configuration.
fn words_of(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    match units.into_iter().find(|(length, _)| seconds >= *length && seconds % length == 0) {
        Some((length, unit)) => format!("{}{unit}", seconds / length),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
