use super::*;
use proptest::prelude::*;

fn candidate(id: &str) -> Candidate {
    let id: SnapshotId = id.parse().unwrap();
    let date = jiff::tz::TimeZone::UTC.to_datetime(id.to_timestamp()).date();
    Candidate { id, date, sound: true, damaged: false, pinned: false }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The ids that stay, to the hour.
fn kept(rules: Option<Retention>, candidates: &[Candidate], now: &str) -> Vec<String> {
    let decisions = decide(rules.as_ref(), candidates, at(now));
    decisions.iter().filter(|one| one.keep).map(|one| one.id.to_string()[..11].to_owned()).collect()
}

const NOW: &str = "2026-11-23T02:00:00Z";

#[test]
fn each_rule_keeps_the_newest_of_each_of_its_periods() {
    let all = [
        "20241231T000000000Z",
        "20251230T000000000Z",
        "20261031T000000000Z",
        "20261115T000000000Z",
        "20261122T000000000Z",
        "20261122T230000000Z",
        "20261123T010000000Z",
        "20261123T013000000Z",
    ]
    .map(candidate);
    let rules = Retention::default();
    assert_eq!(kept(Some(Retention { last: 2, ..rules }), &all, NOW), ["20261123T01", "20261123T01"]);
    assert_eq!(kept(Some(Retention { hourly: 2, ..rules }), &all, NOW), ["20261123T01", "20261122T23"]);
    assert_eq!(kept(Some(Retention { daily: 3, ..rules }), &all, NOW), ["20261123T01", "20261122T23", "20261115T00"]);
    // The 22nd is a Sunday: its week is the one before that of the 23rd.
    assert_eq!(kept(Some(Retention { weekly: 2, ..rules }), &all, NOW), ["20261123T01", "20261122T23"]);
    assert_eq!(kept(Some(Retention { monthly: 2, ..rules }), &all, NOW), ["20261123T01", "20261031T00"]);
    assert_eq!(kept(Some(Retention { yearly: 9, ..rules }), &all, NOW), ["20261123T01", "20251230T00", "20241231T00"]);
    let within = Some(Duration::from_secs(86_400 + 90 * 60));
    assert_eq!(kept(Some(Retention { within, ..rules }), &all, NOW).len(), 4);
    assert_eq!(kept(None, &all, NOW).len(), all.len(), "without rules all stay");
}

#[test]
fn days_are_those_of_the_node_and_not_of_utc() {
    // Two evenings in New York, both on one day of UTC.
    let date = |id: &str, date: &str| Candidate { date: date.parse().unwrap(), ..candidate(id) };
    let all = [date("20261122T003000000Z", "2026-11-21"), date("20261122T233000000Z", "2026-11-22")];
    assert_eq!(kept(Some(Retention { daily: 2, ..Retention::default() }), &all, NOW).len(), 2);
}

#[test]
fn the_newest_sound_snapshot_stays_whatever_the_rules_say() {
    let mut all = ["20260101T000000000Z", "20260601T000000000Z", "20261101T000000000Z", "20261102T000000000Z"].map(candidate);
    (all[2].sound, all[3].sound) = (false, false);
    let rules = Retention { last: 1, within: Some(Duration::from_secs(1)), ..Retention::default() };
    assert_eq!(kept(Some(rules), &all, NOW), ["20261102T00", "20260601T00"]);
    // Not even rules that keep nothing, which the configuration refuses, empty a source.
    assert_eq!(kept(Some(Retention::default()), &all, NOW), ["20261102T00", "20260601T00"]);
}

#[test]
fn what_is_ahead_of_the_clock_neither_counts_nor_goes() {
    let all = ["20261121T000000000Z", "20261122T000000000Z", "20361122T000000000Z"].map(candidate);
    let rules = Retention { last: 1, ..Retention::default() };
    assert_eq!(kept(Some(rules), &all, NOW), ["20361122T00", "20261122T00"]);
}

#[test]
fn what_is_pinned_stays_and_takes_no_place_from_others() {
    let mut all = ["20260101T000000000Z", "20261121T000000000Z", "20261122T000000000Z"].map(candidate);
    all[0].pinned = true;
    let rules = Retention { last: 2, ..Retention::default() };
    assert_eq!(kept(Some(rules), &all, NOW).len(), 3);
}

#[test]
fn every_decision_says_why() {
    let all = ["20260101T000000000Z", "20261121T000000000Z", "20261122T000000000Z"].map(candidate);
    let rules = Retention { last: 1, monthly: 1, within: Some(Duration::from_secs(7200)), ..Retention::default() };
    let decisions = decide(Some(&rules), &all, at(NOW));
    assert_eq!(
        decisions[0].why,
        [
            "last 1: number 1",
            "monthly 1: the newest of 2026-11",
            "within 2h",
            "it is the newest sound snapshot of the source",
            "it is the newest snapshot of the source",
        ]
    );
    assert_eq!(decisions[2].why, ["no rule keeps it (last 1, monthly 1, within 2h)"]);
}

#[test]
fn a_clock_that_is_years_ahead_or_behind_empties_no_source() {
    let all = ["20261120T000000000Z", "20261121T000000000Z", "20261122T000000000Z"].map(candidate);
    let rules = Retention { within: Some(Duration::from_secs(2 * 86_400)), ..Retention::default() };
    for now in ["2126-01-01T00:00:00Z", "1970-01-01T00:00:00Z", NOW] {
        assert_eq!(kept(Some(rules), &all, now).len(), 3, "{now}");
    }
}

proptest! {
    #[test]
    fn deciding_again_on_what_stayed_removes_nothing_more(
        hours in prop::collection::btree_set(0i64..20_000, 0..60),
        sound in prop::collection::vec(any::<bool>(), 60),
        counts in prop::array::uniform6(0u32..6),
    ) {
        let [last, hourly, daily, weekly, monthly, yearly] = counts;
        let rules = Retention { last, hourly, daily, weekly, monthly, yearly, within: None };
        let of = |(n, hour): (usize, &i64)| {
            let id = SnapshotId::from_timestamp(at(NOW) - SignedDuration::from_hours(*hour));
            Candidate { sound: sound[n], ..candidate(&id.to_string()) }
        };
        let all: Vec<Candidate> = hours.iter().enumerate().map(of).collect();
        let first = decide(Some(&rules), &all, at(NOW));
        let stays = |id: SnapshotId| first.iter().any(|one| one.id == id && one.keep);
        let rest: Vec<Candidate> = all.iter().filter(|one| stays(one.id)).copied().collect();
        prop_assert!(decide(Some(&rules), &rest, at(NOW)).iter().all(|one| one.keep));
        prop_assert_eq!(rest.iter().any(|one| one.sound), all.iter().any(|one| one.sound));
    }
}

#[test]
fn where_every_snapshot_is_damaged_all_stay() {
    let mut all = ["20261120T000000000Z", "20261121T000000000Z", "20261122T000000000Z"].map(candidate);
    all.iter_mut().for_each(|one| (one.sound, one.damaged) = (false, true));
    let rules = Retention { last: 1, ..Retention::default() };
    assert_eq!(kept(Some(rules), &all, NOW).len(), 3);
    all[0].damaged = false;
    assert_eq!(kept(Some(rules), &all, NOW).len(), 1);
}
