//! A year of an agent, lived through in seconds: a clock that the test moves, real files, a repository in a folder, and everything that goes
//! wrong in a year. Each civil date has one run or a reason why it has none; each run is made once; four copies are kept; what was not lost with
//! a copy comes into the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use windlass::agent::schedule::Schedule;
use windlass::agent::{self, Host, Settings};
use windlass::ops::Error;
use windlass::ops::event::Event;
use windlass::ops::retention::Retention;
use windlass::ops::rolling::Rules;
use windlass::sys::clock::{Clock, FixedClock};
use windlass::sys::stop::Stop;

use crate::support::node::{Node, tree};

/// A second of sleep is so many of the machine: whoever looks each minute looks each quarter of an hour then.
const FASTER: u32 = 900;

/// What is read again of the bucket.
const RULES: Rules = Rules { every: Duration::from_secs(30 * 86_400), bytes: None, time: None, local: true };

/// What can be wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The bucket cannot be reached.
    Bucket,
    /// The source cannot be read.
    Source,
    /// The machine is off.
    Machine,
}

/// The world around the agent.
#[derive(Debug)]
struct World {
    clock: Arc<FixedClock>,
    stop: Stop,
    folder: PathBuf,
    end: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: u64,
    /// What is wrong, and until when.
    wrong: BTreeMap<Fault, Timestamp>,
    /// The civil dates on which each of them was wrong for a time, and those that the clock jumped over or showed again.
    dates: BTreeMap<Fault, BTreeSet<Date>>,
    jumped: BTreeSet<Date>,
    /// How often the bucket was away for longer than four copies last.
    outages: usize,
}

impl State {
    /// A number below `most`: xorshift, so that a seed gives the same year everywhere.
    fn below(&mut self, most: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % most
    }
}

fn zone() -> TimeZone {
    TimeZone::get("America/Havana").unwrap()
}

impl World {
    fn date(&self) -> Date {
        zone().to_datetime(self.clock.now()).date()
    }

    fn place(&self, fault: Fault) -> Option<(PathBuf, PathBuf)> {
        let name = match fault {
            Fault::Bucket => "bucket",
            Fault::Source => "tree",
            Fault::Machine => return None,
        };
        Some((self.folder.join(name), self.folder.join(format!("{name}.away"))))
    }

    /// Something may go wrong, and what has been wrong for long enough is right again.
    fn goes_on(&self) {
        let mut state = self.state.lock().unwrap();
        let (now, date) = (self.clock.now(), self.date());
        for fault in [Fault::Bucket, Fault::Source, Fault::Machine] {
            if let Some(until) = state.wrong.get(&fault) {
                if now >= *until {
                    state.wrong.remove(&fault);
                    self.place(fault).into_iter().for_each(|(here, away)| fs::rename(away, here).unwrap());
                } else {
                    state.dates.entry(fault).or_default().insert(date);
                }
            } else if state.below(1500) == 0 {
                // From some hours to nine days.
                let hours = [3, 20, 30, 80, 220][usize::try_from(state.below(5)).unwrap()];
                state.wrong.insert(fault, now + SignedDuration::from_hours(hours));
                state.outages += usize::from(fault == Fault::Bucket && hours > 4 * 24);
                state.dates.entry(fault).or_default().insert(date);
                self.place(fault).into_iter().for_each(|(here, away)| fs::rename(here, away).unwrap());
                if fault == Fault::Machine {
                    self.stop.request(15);
                }
            }
        }
        if state.below(3000) == 0 {
            let jump = [-26, -3, 3, 50][usize::try_from(state.below(4)).unwrap()];
            let target = now + SignedDuration::from_hours(jump);
            let mut at = now.min(target);
            while at <= now.max(target) {
                state.jumped.insert(zone().to_datetime(at).date());
                at += SignedDuration::from_hours(1);
            }
            self.clock.set(target);
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.clock.advance(duration * FASTER);
        self.goes_on();
        if self.clock.now() >= self.end {
            self.stop.request(15);
        }
    }

    fn zone(&self) -> TimeZone {
        zone()
    }
}

/// What is seen of a year.
#[derive(Default)]
struct Seen {
    runs: BTreeMap<DateTime, usize>,
    most_copies: usize,
    taken: usize,
    shipped: BTreeSet<String>,
    dropped: BTreeSet<String>,
    /// How long ago the oldest part had been read when some were, and on which date.
    oldest: Vec<(Date, i64)>,
}

fn lives_through_a_year(seed: u64) {
    let base = Node::new();
    let mut node = Node::in_memory(base.repository.clone(), base.clock.clone(), Stop::new());
    fs::create_dir(node.path("bucket")).unwrap();
    node.repository = node.open(&format!("file://{}", node.path("bucket").display()));
    node.write("a", "0");
    node.init();
    let start: Timestamp = "2026-01-01T17:00:00Z".parse().unwrap();
    node.clock.set(start);
    let end = start + SignedDuration::from_hours(365 * 24);
    let state = State { random: seed, wrong: BTreeMap::new(), dates: BTreeMap::new(), jumped: BTreeSet::new(), outages: 0 };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut world = World { clock: node.clock.clone(), stop: node.stop.clone(), folder: node.path(""), end, state: Mutex::new(state) };
    let retention = Some(Retention { last: 7, daily: 14, weekly: 8, ..Retention::default() });
    let schedule = Schedule::new(vec!["00:00".parse().unwrap()], zone(), Duration::from_secs(1800));
    while node.clock.now() < end {
        // The agent starts, also as one that was killed, and the machine is on again.
        node.stop = Stop::new();
        world.stop = node.stop.clone();
        let shared = Arc::new(world);
        let (folder, hears, now) = (node.path("local/tree"), seen.clone(), node.clock.clone());
        let ctx = node.context_under(shared.clone(), move |event| {
            let mut seen = hears.lock().unwrap();
            let copies = fs::read_dir(&folder).map_or(0, |copies| copies.filter(|copy| is_copy(copy.as_ref().unwrap())).count());
            seen.most_copies = seen.most_copies.max(copies);
            match event {
                Event::RunEnded { due, .. } => *seen.runs.entry(*due).or_default() += 1,
                Event::SnapshotTaken { .. } => seen.taken += 1,
                Event::Shipped { snapshot, .. } => drop(seen.shipped.insert(snapshot.to_string())),
                Event::ReadAgain { covered, .. } => {
                    let now = now.now();
                    seen.oldest.push((zone().to_datetime(now).date(), now.duration_since(covered.oldest).as_hours()));
                }
                Event::CopyRemoved { snapshot, .. } => drop(seen.dropped.insert(snapshot.to_string())),
                _ => {}
            }
        });
        let settings = Settings { schedules: vec![(tree(), schedule.clone())], retention, verify: Some(RULES), ..Settings::default() };
        let ended = agent::run(&ctx, &settings, &Host::alone());
        assert!(ended.as_ref().is_err_and(Error::is_stopped), "seed {seed}: {ended:?}");
        drop(ctx);
        world = Arc::into_inner(shared).unwrap();
        if node.path("tree").exists() {
            node.write("a", node.clock.now().to_string());
        }
        while world.state.lock().unwrap().wrong.contains_key(&Fault::Machine) {
            node.clock.advance(Duration::from_secs(900));
            world.goes_on();
        }
    }
    judge(seed, &node, &world, &seen.lock().unwrap());
}

/// A complete copy, and not one that is being made.
fn is_copy(entry: &fs::DirEntry) -> bool {
    entry.path().join("snapshot.json").exists() && !entry.file_name().to_str().unwrap().ends_with(".partial")
}

fn judge(seed: u64, node: &Node, world: &World, seen: &Seen) {
    let state = world.state.lock().unwrap();
    // A clock that was set back by more than an hour lives through a date again.
    let is_one = |(due, times): (&DateTime, &usize)| *times == 1 || state.jumped.contains(&due.date());
    assert!(seen.runs.iter().all(is_one), "seed {seed}: {:?}", seen.runs);
    assert_eq!(seen.taken, seen.runs.values().sum::<usize>(), "seed {seed}");
    let has_run: BTreeSet<Date> = seen.runs.keys().map(|due| due.date()).collect();
    let may_lack = |date: &Date| {
        let was_wrong = |fault| state.dates.get(&fault).is_some_and(|dates| dates.contains(date));
        was_wrong(Fault::Source) || was_wrong(Fault::Machine) || state.jumped.contains(date)
    };
    let (mut date, last) = (has_run.first().copied().unwrap(), has_run.last().copied().unwrap());
    let mut lacking = 0;
    while date < last {
        if !has_run.contains(&date) {
            assert!(may_lack(&date), "seed {seed}: {date} has no run and no reason");
            lacking += 1;
        }
        date = date.tomorrow().unwrap();
    }
    // Five for the moment in which the new one is complete and the oldest not yet gone.
    assert!(seen.most_copies <= 5, "seed {seed}: {} copies", seen.most_copies);
    assert!(has_run.len() > 250, "seed {seed}: {} runs, {lacking} days without", has_run.len());
    assert!(fs::read_dir(node.path("local/tree")).unwrap().filter(|copy| is_copy(copy.as_ref().unwrap())).count() <= 4, "seed {seed}");
    // A copy that four newer ones pushed out while the bucket was away is lost, and nothing else: of an outage, all but the first three days' and
    // those that were there before at most.
    let lost = seen.dropped.difference(&seen.shipped).count();
    let away = state.dates.get(&Fault::Bucket).map_or(0, BTreeSet::len);
    assert!(lost + 4 * state.outages <= away.max(4 * state.outages), "seed {seed}: {lost} copies lost, {away} days without a bucket");
    // What was not looked at in time was not there to be looked at in the ten days before, or the clock was wrong.
    let is_excused = |date: &Date| {
        (0..=11).any(|days| {
            let before = date.checked_sub(jiff::Span::new().days(days)).unwrap();
            let was_away = |fault| state.dates.get(&fault).is_some_and(|dates| dates.contains(&before));
            was_away(Fault::Bucket) || was_away(Fault::Machine) || state.jumped.contains(&before)
        })
    };
    let late = seen.oldest.iter().filter(|(date, hours)| *hours > 30 * 24 && !is_excused(date)).count();
    assert!(seen.oldest.len() > 250 && late == 0, "seed {seed}: {late} of {} looks came too late", seen.oldest.len());
    println!("seed {seed}: {} runs, {lacking} days without, {lost} copies lost, the bucket away on {away} days", has_run.len());
}

#[test]
fn each_date_of_a_year_of_faults_has_its_run_or_a_reason_and_no_run_is_made_twice() {
    // Another year is lived through with another seed.
    let seed = std::env::var("WINDLASS_SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    lives_through_a_year(seed);
}
