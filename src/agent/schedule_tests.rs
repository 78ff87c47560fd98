use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use super::*;

fn schedule(patterns: &[&str], zone: &str) -> Schedule {
    let patterns = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    Schedule::new(patterns, TimeZone::get(zone).unwrap(), Duration::ZERO)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Somebody who looks at the clock every so many minutes between two dates and runs what is due and has not run; the instants of the runs, by
/// the names of what they were for.
fn runs(schedule: &Schedule, from: Timestamp, until: Timestamp, minutes: i64) -> BTreeMap<DateTime, Vec<Timestamp>> {
    let mut runs: BTreeMap<DateTime, Vec<Timestamp>> = BTreeMap::new();
    let mut now = from;
    while now < until {
        let latest = schedule.latest(now).unwrap();
        if !runs.contains_key(&latest.wall) {
            runs.entry(latest.wall).or_default().push(now);
        }
        now += SignedDuration::from_mins(minutes);
    }
    runs
}

#[test]
fn every_civil_date_has_exactly_one_run_wherever_clocks_are_set_at_midnight() {
    for (zone, from, until, changes_at_midnight) in [
        ("America/Havana", "2023-01-01T00:00:00Z", "2027-01-01T00:00:00Z", true),
        ("Africa/Cairo", "2023-01-01T00:00:00Z", "2027-01-01T00:00:00Z", true),
        ("America/Santiago", "2023-01-01T00:00:00Z", "2027-01-01T00:00:00Z", true),
        ("Pacific/Apia", "2010-01-01T12:00:00Z", "2013-01-01T00:00:00Z", true),
        ("Europe/Berlin", "2023-01-01T00:00:00Z", "2027-01-01T00:00:00Z", false),
        ("UTC", "2023-01-01T00:00:00Z", "2027-01-01T00:00:00Z", false),
    ] {
        let schedule = schedule(&["00:00"], zone);
        let runs = runs(&schedule, at(from), at(until), 10);
        let mut dates: Vec<Date> = Vec::new();
        let mut moved = 0;
        for (wall, at) in runs.iter().skip(1) {
            assert_eq!(at.len(), 1, "{zone} {wall}");
            let shown = schedule.zone().to_datetime(at[0]);
            // It is made on its own date, at midnight or as soon as there is a time on that date.
            assert_eq!(shown.date(), wall.date(), "{zone} {wall} {shown}");
            moved += usize::from(shown.time() > jiff::civil::Time::midnight() + 9.minutes());
            dates.push(shown.date());
        }
        for pair in dates.windows(2) {
            let mut next = pair[0].tomorrow().unwrap();
            if zone == "Pacific/Apia" && next == Date::constant(2011, 12, 30) {
                next = next.tomorrow().unwrap();
            }
            assert_eq!(pair[1], next, "{zone}");
        }
        assert_eq!(moved > 0, changes_at_midnight, "{zone}: {moved} runs were not at midnight");
    }
}

#[test]
fn each_kind_of_change_is_what_the_table_says() {
    let next = |zone: &str, pattern: &str, now: &str| schedule(&[pattern], zone).next(at(now)).unwrap().instant;
    let latest = |zone: &str, pattern: &str, now: &str| schedule(&[pattern], zone).latest(at(now)).unwrap();
    // Forward at midnight: Havana went from 0:00 to 1:00 on 2024-03-10, which was 05:00 UTC.
    assert_eq!(next("America/Havana", "00:00", "2024-03-10T04:59:59Z"), at("2024-03-10T05:00:00Z"));
    assert_eq!(next("America/Havana", "00:30", "2024-03-10T04:59:59Z"), at("2024-03-10T05:00:00Z"));
    // Back at one o'clock to midnight, on 2024-11-03: the first midnight counts, and the second one is no other.
    assert_eq!(next("America/Havana", "00:00", "2024-11-03T03:59:59Z"), at("2024-11-03T04:00:00Z"));
    assert_eq!(latest("America/Havana", "00:00", "2024-11-03T05:00:00Z").instant, at("2024-11-03T04:00:00Z"));
    assert_eq!(next("America/Havana", "00:00", "2024-11-03T04:00:00Z"), at("2024-11-04T05:00:00Z"));
    // Back at midnight to eleven: half past eleven has been when the clock shows ten past eleven again.
    let again = latest("America/Santiago", "23:30", "2024-04-07T03:10:00Z");
    assert_eq!((again.wall, again.instant), ("2024-04-06T23:30".parse().unwrap(), at("2024-04-07T02:30:00Z")));
    assert_eq!(next("America/Santiago", "23:30", "2024-04-07T03:10:00Z"), at("2024-04-08T03:30:00Z"));
    // Berlin's hour that is left out, and the one that comes twice.
    assert_eq!(next("Europe/Berlin", "02:30", "2026-03-29T00:00:00Z"), at("2026-03-29T01:00:00Z"));
    assert_eq!(next("Europe/Berlin", "0 3 * * *", "2026-03-29T00:00:00Z"), at("2026-03-29T01:00:00Z"));
    assert_eq!(next("Europe/Berlin", "30 2 * * *", "2026-10-25T00:00:00Z"), at("2026-10-25T00:30:00Z"));
    assert_eq!(next("Europe/Berlin", "30 2 * * *", "2026-10-25T00:30:00Z"), at("2026-10-26T01:30:00Z"));
    // A date that there was not is run with the one after it.
    let [before, after] = ["2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"].map(at);
    let skipped = schedule(&["00:00"], "Pacific/Apia");
    assert_eq!(skipped.next(before).unwrap().instant, after);
    assert_eq!(skipped.latest(after).unwrap().wall, "2011-12-31T00:00".parse().unwrap());
}

#[test]
fn the_latest_until_and_the_next_after_an_instant_have_nothing_between_them() {
    for zone in ["America/Havana", "America/Santiago", "Pacific/Apia", "Australia/Lord_Howe", "Europe/Berlin"] {
        let schedule = schedule(&["00:00", "23:30", "*/45 1-3 * * *"], zone);
        let mut now = at("2011-12-01T00:00:00Z");
        while now < at("2012-12-31T00:00:00Z") {
            let (latest, next) = (schedule.latest(now).unwrap(), schedule.next(now).unwrap());
            assert!(latest.instant <= now && now < next.instant, "{zone} {now}");
            assert_eq!(schedule.latest(next.instant).unwrap().instant, next.instant, "{zone} {now}");
            let a_moment_before = next.instant - SignedDuration::from_secs(1);
            assert_eq!(schedule.latest(a_moment_before).unwrap().instant, latest.instant, "{zone} {now}");
            now += SignedDuration::from_mins(97);
        }
    }
}

#[test]
fn a_schedule_of_each_minute_finds_its_way_through_a_day_that_was_left_out() {
    let minutely = schedule(&["* * * * *"], "Pacific/Apia");
    let change = at("2011-12-30T10:00:00Z");
    assert_eq!(minutely.latest(change).unwrap().wall, "2011-12-31T00:00".parse().unwrap());
    assert_eq!(minutely.next(change - SignedDuration::from_secs(1)).unwrap().instant, change);
}

#[test]
fn runs_of_several_keys_are_spread_over_the_jitter_and_each_stays_where_it_is() {
    let jitter = Duration::from_secs(600);
    let schedule = Schedule::new(vec![Pattern::midnight()], TimeZone::UTC, jitter);
    let occurrence = schedule.next(at("2026-11-28T12:00:00Z")).unwrap();
    let delays: Vec<Duration> = (0..200).map(|n| schedule.delay(&format!("node-{n} ellis"), occurrence)).collect();
    assert!(delays.iter().all(|delay| *delay <= jitter));
    let early = delays.iter().filter(|delay| **delay < jitter / 2).count();
    assert!((60..140).contains(&early), "{early} of 200 are in the first half");
    assert_eq!(schedule.delay("node-7 ellis", occurrence), delays[7]);
    let none = Schedule::new(vec![Pattern::midnight()], TimeZone::UTC, Duration::ZERO);
    assert_eq!(none.delay("node-7 ellis", occurrence), Duration::ZERO);
    let never = Schedule::new(Vec::new(), TimeZone::UTC, jitter);
    assert_eq!((never.latest(occurrence.instant), never.next(occurrence.instant)), (None, None));
}
