//! What is late, silent or damaged: decided from what was read, by nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::part::NEWEST;
use super::{NodeStatus, SourceStatus};
use crate::format::check::{Check, Known};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::Shipped;

/// How long ago something was; what a clock that is ahead says of the future counts as now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age(i64);

impl Age {
    /// The time from then to now.
    pub(super) fn between(then: Timestamp, now: Timestamp) -> Self {
        Self(now.duration_since(then).as_secs().max(0))
    }

    /// In seconds.
    pub(super) fn seconds(self) -> i64 {
        self.0
    }

    /// Whether it is more than this many seconds.
    pub(super) fn is_above(self, objective_seconds: u64) -> bool {
        u64::try_from(self.0).is_ok_and(|age| age > objective_seconds)
    }
}

/// Which of a source's newest snapshots counts.
#[derive(Debug)]
pub(super) struct Choice<'s> {
    /// The newest one of which no damage is known.
    pub(super) sound: Option<&'s Shipped>,
    /// Newer ones that are damaged, newest first, with the objects that are known not to be sound; none where the manifest itself is damaged.
    pub(super) damaged: Vec<(SnapshotId, Vec<String>)>,
}

/// Looks for the newest sound snapshot; `damage_of` = the objects that one needs and that are known not to be sound.
pub(super) fn choose<'s, E>(
    newest: &'s BTreeMap<SnapshotId, Option<Shipped>>,
    damage_of: &mut dyn FnMut(&Shipped) -> Result<Vec<String>, E>,
) -> Result<Choice<'s>, E> {
    let mut damaged = Vec::new();
    for (id, shipped) in newest.iter().rev() {
        let objects = match shipped {
            Some(shipped) => match damage_of(shipped)? {
                objects if objects.is_empty() => return Ok(Choice { sound: Some(shipped), damaged }),
                objects => objects,
            },
            None => Vec::new(),
        };
        damaged.push((*id, objects));
    }
    Ok(Choice { sound: None, damaged })
}

/// What the source comes to; what is damaged is told by [`damage`].
pub(super) fn source(
    node: &NodeName,
    name: &SourceName,
    newest: &BTreeMap<SnapshotId, Option<Shipped>>,
    choice: &Choice<'_>,
    now: Timestamp,
) -> SourceStatus {
    // What a damaged snapshot was to be like is in its head all the same.
    let told = newest.values().rev().flatten().next().map(|shipped| &shipped.head);
    let head = choice.sound.map(|shipped| &shipped.head);
    let age = head.map(|head| Age::between(head.id.to_timestamp(), now));
    let objective = told.map(|head| head.objective_seconds);
    let mut wrong = Vec::new();
    if newest.is_empty() {
        wrong.push("there is no committed snapshot".to_owned());
    }
    let problems = head.map(|head| head.problems.clone()).unwrap_or_default();
    wrong.extend(problems.iter().map(|problem| format!("the newest snapshot has {} {}", problem.count, problem.kind)));
    SourceStatus {
        node: node.clone(),
        source: name.clone(),
        kind: told.map(|head| head.kind.clone()),
        snapshot: head.map(|head| head.id),
        age_seconds: age.map(Age::seconds),
        objective_seconds: objective,
        bytes: head.map(|head| head.bytes),
        stored_bytes: head.map(|head| head.stored_bytes),
        problems,
        verified: None,
        damaged: choice.damaged.iter().map(|(id, _)| *id).collect(),
        late: age.zip(objective).is_none_or(|(age, objective)| age.is_above(objective)),
        wrong,
    }
}

/// What is damaged of a source's newest snapshots, in words.
pub(super) fn damage(choice: &Choice<'_>, known: &Known) -> Vec<String> {
    let mut words = Vec::new();
    for (id, objects) in &choice.damaged {
        let Some(first) = objects.first() else { continue };
        let first = known.get(first).map_or_else(|| format!("{first} cannot be read"), known_as);
        let others = if objects.len() > 1 { ", and others that it needs" } else { "" };
        words.push(format!("{id} is damaged: {first}{others}"));
    }
    match choice.sound {
        _ if choice.damaged.is_empty() => {}
        Some(sound) => words.push(format!("its age is that of {}, the newest snapshot of which no damage is known", sound.head.id)),
        None if choice.damaged.len() < NEWEST => words.push("no snapshot of it is sound as far as is known".to_owned()),
        None => words.push(format!("none of its newest {NEWEST} snapshots is sound as far as is known")),
    }
    words
}

/// What a verification has found of an object, in words.
pub(super) fn known_as(check: &Check) -> String {
    let found = check.time.strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{} is {} (found {found})", check.object, check.verdict.word())
}

/// A node whose part may not be read.
pub(super) fn unread(node: NodeName, why: &str) -> NodeStatus {
    NodeStatus {
        node,
        last_seen: None,
        last_seen_seconds: None,
        objective_seconds: None,
        silent: false,
        sources: Vec::new(),
        coverage: None,
        wrong: vec![format!("its part cannot be read, so nothing is known of it: {why}")],
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::format::check::{Level, Verdict};
    use crate::format::digest::Digest;
    use crate::format::head::{BodyRef, Head, ProblemCount};
    use crate::format::limits::FORMAT_VERSION;

    const IDS: [&str; 3] = ["20261121T000000000Z", "20261122T000000000Z", "20261123T000000000Z"];

    fn id(n: usize) -> SnapshotId {
        IDS[n].parse().unwrap()
    }

    fn now(hours_after_the_last: i64) -> Timestamp {
        id(2).to_timestamp() + jiff::SignedDuration::from_hours(hours_after_the_last)
    }

    fn shipped(n: usize) -> Shipped {
        let head = Head {
            format: FORMAT_VERSION,
            repository: "r".into(),
            node: "n".parse().unwrap(),
            source: "tree".parse().unwrap(),
            kind: "directory".into(),
            id: id(n),
            n: 1,
            agent: String::new(),
            time: id(n).to_timestamp(),
            local_date: jiff::civil::date(2026, 11, 23),
            files: 1,
            bytes: 100 + n as u64,
            added_bytes: 0,
            stored_bytes: 10 + n as u64,
            problems: Vec::new(),
            // The objective that counts is the newest one.
            objective_seconds: if n == 2 { 26 * 3600 } else { 1 },
            previous: None,
            newest: BTreeMap::new(),
            recipients: Vec::new(),
            body: BodyRef { length: 1, sha256: Digest::of(b"") },
        };
        Shipped { head: Box::new(head), lower: Vec::new() }
    }

    fn newest(sound: [bool; 3]) -> BTreeMap<SnapshotId, Option<Shipped>> {
        (0..3).map(|n| (id(n), sound[n].then(|| shipped(n)))).collect()
    }

    /// The status of a source whose snapshots with these numbers need a damaged pack.
    fn judged(newest: &BTreeMap<SnapshotId, Option<Shipped>>, damaged: &[usize], now: Timestamp) -> (SourceStatus, Vec<String>) {
        let mut known = Known::default();
        let (verdict, level) = (Verdict::Missing, Level::Quick);
        known.take(Check { object: "p".into(), verdict, level, time: Timestamp::UNIX_EPOCH, problem: None, superseded: false });
        let mut damage_of = |shipped: &Shipped| -> Result<_, Infallible> {
            let is_damaged = damaged.iter().any(|n| id(*n) == shipped.head.id);
            Ok(if is_damaged { vec!["p".to_owned(), "q".to_owned()] } else { Vec::new() })
        };
        let Ok(choice) = choose(newest, &mut damage_of);
        let status = source(&"n".parse().unwrap(), &"tree".parse().unwrap(), newest, &choice, now);
        (status, damage(&choice, &known))
    }

    #[test]
    fn a_source_is_late_when_its_newest_snapshot_is_older_than_that_ones_objective() {
        let newest = newest([true; 3]);
        for (hours, late) in [(-3, false), (0, false), (26, false), (27, true)] {
            let (status, told) = judged(&newest, &[], now(hours));
            assert_eq!((status.late, status.snapshot, status.age_seconds), (late, Some(id(2)), Some(hours.max(0) * 3600)), "{hours}");
            assert_eq!((status.bytes, status.stored_bytes, status.damaged.len()), (Some(102), Some(12), 0));
            assert!(told.is_empty() && status.wrong.is_empty(), "{told:?}");
        }
    }

    #[test]
    fn the_age_is_that_of_the_newest_sound_snapshot_and_the_objective_that_of_the_newest() {
        let (status, told) = judged(&newest([true; 3]), &[2], now(1));
        assert_eq!((status.snapshot, status.age_seconds, status.late), (Some(id(1)), Some(25 * 3600), false));
        assert_eq!((status.damaged, status.objective_seconds), (vec![id(2)], Some(26 * 3600)));
        assert_eq!(told[0], format!("{} is damaged: p is missing (found 1970-01-01T00:00:00Z), and others that it needs", IDS[2]));
        assert!(told[1].contains(IDS[1]), "{told:?}");
        // A manifest that cannot be read says nothing of an objective, and its snapshot does not count either.
        let (status, told) = judged(&newest([true, true, false]), &[1], now(1));
        assert_eq!((status.snapshot, status.damaged, status.objective_seconds), (Some(id(0)), vec![id(2), id(1)], Some(1)));
        assert!(status.late && told.len() == 2, "{told:?}");
    }

    #[test]
    fn without_a_sound_snapshot_a_source_is_late() {
        let (status, told) = judged(&newest([true; 3]), &[0, 1, 2], now(0));
        assert_eq!((status.late, status.snapshot, status.age_seconds, status.damaged.len()), (true, None, None, 3));
        assert!(told[3].starts_with("no snapshot of it is sound"), "{told:?}");
        let (status, told) = judged(&BTreeMap::new(), &[], now(0));
        assert_eq!(
            (status.late, status.kind, status.wrong, told.len()),
            (true, None, vec!["there is no committed snapshot".to_owned()], 0)
        );
    }

    #[test]
    fn what_went_wrong_while_the_newest_was_taken_is_told() {
        let mut newest = newest([true; 3]);
        let mut odd = shipped(2);
        odd.head.problems = vec![ProblemCount { kind: "changed".into(), count: 3 }];
        newest.insert(id(2), Some(odd));
        assert_eq!(judged(&newest, &[], now(0)).0.wrong, ["the newest snapshot has 3 changed"]);
    }
}
