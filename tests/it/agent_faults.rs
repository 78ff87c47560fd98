//! What an agent makes of a world in which something is wrong: whatever it is, the run of the next night is made, and what waits is shipped when it
//! can be.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use windlass::agent::notices::Addresses;
use windlass::agent::schedule::Schedule;
use windlass::agent::{self, Host, Settings};
use windlass::format::check::Level;
use windlass::ops::Error;
use windlass::ops::event::Event;
use windlass::ops::retention::Retention;
use windlass::ops::rolling::Rules;
use windlass::ops::spec::SourceKind;
use windlass::ops::verify;
use windlass::sys::clock::{Clock, FixedClock};
use windlass::sys::stop::Stop;

use crate::support::node::{Node, spec};
use crate::support::tree::{flip, noise};

/// What happens in the world while the agent sleeps; it ends with `false`.
type Happens = Box<dyn FnMut(Timestamp) -> bool + Send>;

/// A clock that moves on by minutes when somebody sleeps, and has the world go on.
struct Scripted {
    clock: Arc<FixedClock>,
    stop: Stop,
    happens: Mutex<Happens>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Clock for Scripted {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.clock.advance(duration * 300);
        if !(self.happens.lock().unwrap())(self.clock.now()) {
            self.stop.request(15);
        }
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

/// What an agent did and said.
#[derive(Debug, Default)]
pub struct Did {
    /// When snapshots were taken, by source.
    taken: Vec<(String, Timestamp)>,
    shipped: usize,
    removed: usize,
    warnings: Vec<String>,
}

impl Did {
    fn warned(&self, words: &str) -> bool {
        self.warnings.iter().any(|warning| warning.contains(words))
    }

    /// The dates on which snapshots of `tree` were taken.
    fn dates(&self) -> Vec<String> {
        self.taken.iter().filter(|(source, _)| source == "tree").map(|(_, at)| at.to_string()[5..10].to_owned()).collect()
    }
}

/// Lets an agent run for all sources of a node, every midnight in UTC, until `happens` ends it.
fn agent(node: &mut Node, happens: impl FnMut(Timestamp) -> bool + Send + 'static) -> Did {
    agent_that_tells(node, happens, |_, _| ())
}

fn agent_that_tells(
    node: &mut Node,
    happens: impl FnMut(Timestamp) -> bool + Send + 'static,
    tell: impl Fn(&Event, &Stop) + Send + Sync + 'static,
) -> Did {
    agent_that_notifies(node, Addresses::default(), happens, tell)
}

/// The same, and these addresses are told how runs go.
pub fn agent_that_notifies(
    node: &mut Node,
    notices: Addresses,
    happens: impl FnMut(Timestamp) -> bool + Send + 'static,
    tell: impl Fn(&Event, &Stop) + Send + Sync + 'static,
) -> Did {
    node.stop = Stop::new();
    let did = Arc::new(Mutex::new(Did::default()));
    let clock = Arc::new(Scripted { clock: node.clock.clone(), stop: node.stop.clone(), happens: Mutex::new(Box::new(happens)) });
    let (hears, stop, now) = (did.clone(), node.stop.clone(), node.clock.clone());
    let ctx = node.context_under(clock, move |event| {
        tell(event, &stop);
        let mut did = hears.lock().unwrap();
        match event {
            Event::SnapshotTaken { source, .. } => did.taken.push((source.to_string(), now.now())),
            Event::Shipped { .. } => did.shipped += 1,
            Event::Removed { .. } => did.removed += 1,
            Event::Warning { message, .. } => did.warnings.push(message.clone()),
            _ => {}
        }
    });
    let midnight = Schedule::new(vec!["00:00".parse().unwrap()], TimeZone::UTC, Duration::ZERO);
    let schedules = node.sources.iter().map(|spec| (spec.name.clone(), midnight.clone())).collect();
    let retention = Some(Retention { last: 2, ..Retention::default() });
    let verify = Some(Rules { every: Duration::from_secs(2 * 86_400), bytes: None, time: None, local: true });
    let ended = agent::run(&ctx, &Settings { schedules, retention, verify, notices, ..Settings::default() }, &Host::alone());
    assert!(ended.as_ref().is_err_and(Error::is_stopped), "{ended:?}");
    drop(ctx);
    Arc::into_inner(did).unwrap().into_inner().unwrap()
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A node at noon, with something to back up.
pub fn node() -> Node {
    let node = Node::with_folder();
    node.write("a", "bytes");
    node.init();
    node.clock.set(at("2026-11-23T12:00:00Z"));
    node
}

/// The same with a second source, `other`.
fn node_of_two() -> Node {
    let mut node = node();
    fs::create_dir(node.path("other")).unwrap();
    fs::write(node.path("other/file"), "other").unwrap();
    node.sources.push(spec("other", SourceKind::Directory { path: node.path("other"), exclude: Vec::new(), cross_filesystems: false }));
    node
}

#[test]
fn a_repository_that_is_not_where_it_was_is_told_and_the_same_agent_ships_when_it_is_back() {
    let mut node = node();
    // As an empty mount point looks.
    let (bucket, away) = (node.path("bucket"), node.path("away"));
    fs::rename(&bucket, &away).unwrap();
    fs::create_dir(&bucket).unwrap();
    let did = agent(&mut node, move |now| {
        if now >= at("2026-11-23T18:00:00Z") && away.exists() {
            fs::remove_dir(&bucket).unwrap();
            fs::rename(&away, &bucket).unwrap();
        }
        now < at("2026-11-23T20:00:00Z")
    });
    assert_eq!((did.taken.len(), did.shipped), (1, 1), "{did:#?}");
    assert!(did.warned("its copies lie on this node and are not shipped; tried again in 1 min"), "{did:#?}");
    assert!(did.warned("tried again in 60 min"), "{did:#?}");
}

#[test]
fn a_run_that_ends_while_it_ships_is_not_made_again_and_its_copy_is_shipped_by_the_next_agent() {
    let mut node = node();
    for round in 0..5 {
        let did = agent_that_tells(
            &mut node,
            |_| false,
            |event, stop| {
                if matches!(event, Event::Phase { phase: "packing", .. }) {
                    stop.request(15);
                }
            },
        );
        assert_eq!((did.taken.len(), did.shipped), (usize::from(round == 0), 0), "{did:#?}");
    }
    let did = agent(&mut node, |_| false);
    assert_eq!((did.taken.len(), did.shipped), (0, 1), "{did:#?}");
}

#[test]
fn a_copy_that_is_complete_is_not_taken_anew_because_an_old_one_cannot_be_removed() {
    let mut node = node();
    node.keep = 1;
    let first = agent(&mut node, |_| false);
    assert_eq!(first.taken.len(), 1);
    // Whether somebody reads the one that is to go cannot be told.
    let id = fs::read_dir(node.path("local/tree")).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let lock = node.path(format!("local/.windlass/locks/tree@{id}.lock"));
    let _ = fs::remove_file(&lock);
    fs::create_dir(&lock).unwrap();
    let did = agent(&mut node, |now| now < at("2026-11-24T06:00:00Z"));
    assert_eq!(did.dates(), ["11-24"], "{did:#?}");
    assert!(did.warned("the copy is complete, and what comes after that failed"), "{did:#?}");
}

#[test]
fn a_clock_that_was_ahead_for_a_while_keeps_no_later_run_from_being_made() {
    let mut node = node();
    agent(&mut node, |_| false);
    // Twenty hours ahead, and for some minutes: the run of the 24th is made too early.
    let clock = node.clock.clone();
    let mut looks = 0;
    let did = agent(&mut node, move |now| {
        looks += 1;
        match looks {
            1 => clock.set(now + SignedDuration::from_hours(20)),
            4 => clock.set(now - SignedDuration::from_hours(20)),
            _ => {}
        }
        now < at("2026-11-25T06:00:00Z")
    });
    let midnights = did.taken.iter().filter(|(_, at)| at.to_string()[11..13] == *"00").count();
    assert_eq!((did.taken.len(), midnights), (3, 2), "one too many, and those of both true midnights: {did:#?}");
}

#[test]
fn a_clock_that_goes_back_a_month_for_good_goes_on_with_a_run_for_each_day() {
    let mut node = node();
    agent(&mut node, |now| now < at("2026-11-27T12:00:00Z"));
    node.clock.set(at("2026-10-26T12:00:00Z"));
    let did = agent(&mut node, |now| now < at("2026-10-29T12:00:00Z"));
    assert!(did.taken.len() >= 3, "{did:#?}");
}

#[test]
fn a_source_whose_state_cannot_be_read_keeps_neither_itself_nor_another_from_being_backed_up() {
    let mut node = node();
    let path = node.path("other");
    fs::create_dir(&path).unwrap();
    node.sources.push(spec("other", SourceKind::Directory { path, exclude: Vec::new(), cross_filesystems: false }));
    fs::create_dir_all(node.path("local/.windlass/agent/tree")).unwrap();
    // And a source that is away for longer than a day keeps no other one from its runs.
    fs::rename(node.path("tree"), node.path("gone")).unwrap();
    let (gone, here) = (node.path("gone"), node.path("tree"));
    let did = agent(&mut node, move |now| {
        if now >= at("2026-11-25T12:00:00Z") && gone.exists() {
            fs::rename(&gone, &here).unwrap();
        }
        now < at("2026-11-26T06:00:00Z")
    });
    let of_other = did.taken.iter().filter(|(source, _)| source == "other").count();
    assert_eq!((of_other, did.dates()), (4, vec!["11-25".to_owned(), "11-26".to_owned()]), "{did:#?}");
    for words in ["its last run may be made once more", "no snapshot was taken; tried again in 1 min", "cannot be kept, so a restart"] {
        assert!(did.warned(words), "{words}: {did:#?}");
    }
}

#[test]
fn a_disk_of_local_copies_that_is_not_mounted_yet_is_waited_for_and_nothing_is_written_beneath_it() {
    let mut node = node();
    let (local, disk) = (node.path("local"), node.path("disk"));
    fs::rename(&local, &disk).unwrap();
    fs::create_dir(&local).unwrap();
    let beneath = local.clone();
    let did = agent(&mut node, move |now| {
        if now >= at("2026-11-23T18:00:00Z") && disk.exists() {
            // It may be empty but for what nobody has written.
            fs::remove_dir(&beneath).unwrap();
            fs::rename(&disk, &beneath).unwrap();
        }
        now < at("2026-11-23T20:00:00Z")
    });
    assert_eq!((did.taken.len(), did.shipped), (1, 1), "{did:#?}");
    assert!(did.warned("nothing is backed up yet: ") && did.warned("is its disk mounted?"), "{did:#?}");
}

#[test]
fn the_repository_is_pruned_every_day_and_after_a_shipment_that_was_made_up_for() {
    let mut node = node();
    let did = agent(&mut node, |now| now < at("2026-11-28T06:00:00Z"));
    assert_eq!((did.taken.len(), did.shipped, did.removed), (6, 6, 4), "two of them are to stay: {did:#?}");
}

#[test]
fn a_clock_that_was_never_set_is_waited_for() {
    let mut node = node();
    node.clock.set(at("1970-01-01T00:10:00Z"));
    let clock = node.clock.clone();
    let did = agent(&mut node, move |now| {
        if now > at("1970-01-01T06:00:00Z") && now < at("1971-01-01T00:00:00Z") {
            clock.set(at("2026-11-23T12:00:00Z"));
        }
        now < at("2026-11-23T14:00:00Z")
    });
    assert_eq!((did.taken.len(), did.shipped), (1, 1), "{did:#?}");
    assert!(did.warned("so it is not set yet"), "{did:#?}");
}

#[test]
fn damage_of_either_tier_is_found_and_mended_without_a_person() {
    let mut node = node();
    let (bucket, copies) = (node.path("bucket/node-1/packs"), node.path("local/tree"));
    let mut harmed = Vec::new();
    let did = agent(&mut node, move |now| {
        if now >= at("2026-11-25T06:00:00Z") && harmed.is_empty() {
            let inside = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            harmed = inside(bucket.clone()).flat_map(inside).collect();
            let newest = fs::read_dir(&copies).unwrap().map(|copy| copy.unwrap().path()).max().unwrap();
            harmed.push(newest.join("data/a"));
            harmed.iter().for_each(|path| flip(path));
        }
        now < at("2026-11-28T18:00:00Z")
    });
    assert!(did.warned("damage: node-1/packs/") && did.warned("data/a"), "{did:#?}");
    assert!(!did.warned("cannot be made sound"), "{did:#?}");
    let options = verify::Options { level: Level::Full, snapshots: Vec::new(), node: None };
    node.stop = Stop::new();
    let found = verify::run(&node.context(), &options).unwrap();
    assert!(found.damage.is_empty(), "{found:#?}");
}

#[test]
fn a_shipment_gives_way_to_the_snapshot_of_another_source_and_is_gone_on_with() {
    let mut node = node_of_two();
    for file in 0..40u64 {
        node.write(&format!("large-{file}"), noise(file, 1 << 20));
    }
    let (clock, packed) = (node.clock.clone(), Arc::new(AtomicUsize::new(0)));
    let counts = packed.clone();
    let did = agent_that_tells(
        &mut node,
        |now| now < at("2026-11-24T12:00:00Z"),
        move |event, _| {
            // The first shipment takes until the next midnight.
            if matches!(event, Event::Phase { phase: "packing", .. }) && counts.fetch_add(1, Ordering::SeqCst) == 0 {
                clock.advance(Duration::from_secs(12 * 3600));
            }
        },
    );
    let taken: Vec<(&str, String)> = did.taken.iter().map(|(source, at)| (source.as_str(), at.to_string())).collect();
    assert_eq!(taken.len(), 4, "{did:#?}");
    assert!(taken[2..].iter().all(|(_, at)| at.starts_with("2026-11-24T00:0")), "{did:#?}");
    // That of the first source was begun twice; of copies that hold nothing new nothing is packed.
    assert_eq!((did.shipped, packed.load(Ordering::SeqCst)), (4, 3), "{did:#?}");
    assert!(did.warnings.is_empty(), "{did:#?}");
}

#[test]
fn a_shipment_that_never_comes_to_its_end_leaves_other_sources_and_verification_their_turn() {
    let mut node = node_of_two();
    let (clock, shipped, looked) = (node.clock.clone(), Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (ships, looks) = (shipped.clone(), looked.clone());
    let did = agent_that_tells(
        &mut node,
        |now| now < at("2026-12-10T12:00:00Z"),
        move |event, _| match event {
            // Until the next midnight, each time that it is begun.
            Event::Phase { phase: "packing", source, .. } if source.as_str() == "tree" => clock.advance(Duration::from_secs(24 * 3600)),
            Event::Shipped { source, .. } => ships.lock().unwrap().push(source.to_string()),
            Event::ReadAgain { .. } => drop(looks.fetch_add(1, Ordering::SeqCst)),
            _ => {}
        },
    );
    let shipped = shipped.lock().unwrap();
    assert!(shipped.iter().all(|source| source == "other"), "{shipped:?}");
    assert!(shipped.len() > 2 && looked.load(Ordering::SeqCst) > 1, "{did:#?}");
    assert!(did.dates().len() > 8, "{did:#?}");
}
