//! The real program, stopped by SIGSTOP at each step of committing, for longer than marks last, while an administrator's prune marks and
//! deletes. What is listed is whole all the time, whether the stopped run then goes on or is killed, and waste is gone in the end.
//!
//! The store's clock is that of the repository's files: while everything stands still, making all of them older is the same as time passing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass::repository::Repository;
use windlass::sys::clock::SystemClock;
use windlass::sys::stop::Stop;

use crate::support::node::tools;
use crate::support::program::{Machine, Run, finish, text};
use crate::support::stepped::{Call, Stepped};
use crate::support::tree::{Picture, assert_same, flip, noise, picture};
use crate::support::whole;

/// Longer than a mark must be old.
const PAUSE: Duration = Duration::from_secs(80 * 3600);

/// The calls by which a folder is read, listed and written to.
const CALLS: &str = "openat,linkat";

/// A node with two sources, and an administrator's machine that prunes its part of the repository.
struct Bench {
    machine: Machine,
    store: Repository,
    round: u64,
    /// What each source was at each of its snapshots.
    taken: BTreeMap<String, Picture>,
}

impl Bench {
    fn new() -> Self {
        let machine = Machine::in_memory();
        fs::create_dir(machine.path("other")).unwrap();
        let other = format!("[directory.other]\npath = \"{}\"\n[retention]\nlast = 2\n", machine.path("other").display());
        let machine = machine.configured(&other);
        machine.run(&["init"]).expect(0);
        machine.administrated();
        let environment = windlass::sys::environment::FixedEnvironment::default();
        let settings = windlass::repository::Settings::new(format!("file://{}", machine.path("bucket").display()));
        let store = Repository::open(&settings, &environment, tools(Arc::new(SystemClock::new()), Stop::new())).unwrap();
        machine.write("kept", noise(1, 60_000));
        fs::write(machine.path("other/kept"), noise(2, 60_000)).unwrap();
        Self { machine, store, round: 0, taken: BTreeMap::new() }
    }

    fn edit(&mut self, source: &str) {
        self.round += 1;
        let name = format!("{source}/changing-{}", self.round % 3);
        fs::write(self.machine.path(name), noise(100 + self.round, 30_000)).unwrap();
    }

    /// Changes a source and takes a copy of it, which `backup` ships as well; gives its name.
    fn take(&mut self, verb: &str, source: &str) -> String {
        self.edit(source);
        let taken = self.machine.json(&[verb, source], 0);
        let name = format!("{source}/{}", text(&taken["snapshots"][0]["id"]));
        self.taken.insert(name.clone(), picture(&self.machine.path(source)));
        name
    }

    /// Time goes by on the store's clock.
    fn pause(&self) {
        make_older(&self.machine.path("bucket"));
    }

    fn admin(&self, arguments: &[&str]) -> Run {
        finish(self.machine.command_as("admin.toml", arguments).spawn().unwrap())
    }

    fn prune(&self) {
        self.admin(&["prune", "--node", "node-1", "--yes"]).expect(0);
    }

    /// Marks what is waste, and deletes it.
    fn prune_twice(&self, after: &str) {
        self.prune();
        whole::check(&self.store, after);
        self.pause();
        self.prune();
        whole::check(&self.store, after);
    }

    /// Every snapshot that is listed is whole to the last byte.
    fn verifies(&self) {
        self.admin(&["verify", "--full", "--node", "node-1"]).expect(0);
    }

    /// A snapshot of the repository is what was taken.
    fn comes_back(&self, name: &str) {
        let to = self.machine.path("to");
        self.admin(&["fetch", name, "--node", "node-1", "--to", to.to_str().unwrap()]).expect(0);
        assert_same(&self.taken[name], &picture(&to));
        fs::remove_dir_all(&to).unwrap();
    }

    /// After some more prunes there is nothing that nobody needs.
    fn ends_clean(&mut self) {
        for source in ["tree", "other", "tree", "other"] {
            self.take("backup", source);
        }
        (0..3).for_each(|_| self.prune_twice("the end"));
        let stats = self.machine.json(&["stats"], 0);
        assert_eq!((&stats["waste"]["objects"], &stats["marked"]["objects"]), (&0.into(), &0.into()), "{stats}");
        let files = files_in(&self.machine.path("bucket"));
        let strange: Vec<_> = files.iter().filter(|file| file.contains('#') || file.contains("/prune/")).collect();
        assert!(strange.is_empty(), "{strange:?}");
        let bodies = files.iter().filter(|file| file.ends_with(".body.jsonl")).count();
        assert_eq!(2 * bodies, files.iter().filter(|file| file.contains("/manifests/")).count(), "{files:?}");
        self.verifies();
        whole::check(&self.store, "the end").iter().for_each(|(source, id)| self.comes_back(&format!("{source}/{id}")));
    }

    /// Names of the snapshots of a source that the repository lists, oldest first.
    fn shipped(&self, source: &str) -> Vec<String> {
        let all = whole::check(&self.store, "what is listed").into_iter().map(|(of, id)| format!("{of}/{id}"));
        all.filter(|name| name.starts_with(&format!("{source}/"))).collect()
    }

    /// The highest manifest number of a snapshot.
    fn number_of(&self, name: &str) -> usize {
        let prefix = format!("/manifests/{name}.");
        let files = files_in(&self.machine.path("bucket"));
        let numbers = files.iter().filter_map(|file| file.split_once(&prefix)?.1.strip_suffix(".json")?.parse().ok());
        numbers.max().unwrap()
    }

    /// Ships a new snapshot, and then something goes wrong with the bytes of a pack that only it needs; a verification finds it.
    fn damage(&mut self) -> String {
        let before = files_in(&self.machine.path("bucket/node-1"));
        let name = self.take("backup", "tree");
        let new =
            files_in(&self.machine.path("bucket/node-1")).into_iter().filter(|file| file.contains("/packs/") && !before.contains(file));
        new.for_each(|pack| flip(Path::new(&pack)));
        self.take("backup", "other");
        self.leave_marks(&name);
        self.machine.run(&["verify", "--full"]).expect(4);
        name
    }

    /// Sees to it that there are marks to be read, of what this snapshot does not need.
    fn leave_marks(&mut self, name: &str) {
        if let Some(older) = self.shipped("tree").into_iter().rfind(|older| older.as_str() < name) {
            self.machine.run(&["forget", &older, "--shipped", "--yes"]).expect(0);
        }
        self.prune();
    }

    /// Leads the next shipment of `tree` into temptation: what it would like to refer to is waste, and a later head says so.
    fn tempt(&mut self) -> String {
        let name = self.take("backup", "tree");
        self.take("backup", "other");
        self.leave_marks(&name);
        self.machine.run(&["forget", &name, "--shipped", "--even-the-last", "--yes"]).expect(0);
        self.take("snapshot", "tree")
    }
}

/// Takes a pause off the time of each file, once where it has several names, as it has while it is being written.
fn make_older(folder: &Path) {
    let mut seen = BTreeSet::new();
    for path in files_in(folder) {
        let file = File::open(&path).unwrap();
        let meta = file.metadata().unwrap();
        if seen.insert(meta.ino()) {
            file.set_modified(meta.modified().unwrap() - PAUSE).unwrap();
        }
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    let paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path.display().to_string()] }).collect()
}

/// What a call does to which kind of object of the node; nothing for one that changes nothing there and tells nothing that a manifest
/// depends on.
fn step(call: &Call) -> Option<String> {
    if call.text.contains("= -1 ") {
        return None;
    }
    // The last one that is named: the second of a link.
    let path = call.text.split('"').skip(1).step_by(2).filter_map(|path| Some(path.split_once("/bucket/node-1/")?.1)).last()?;
    let is_folder = !path.contains(".json") && !path.contains(".zst");
    let kind = match path.split('/').next()? {
        "manifests" if path.contains(".body.jsonl") => "body",
        "manifests" if !is_folder => "head",
        // A file list and its pack list are sent at once.
        "files" if !is_folder => "list",
        "packs" if !is_folder => "pack",
        folder => folder,
    };
    if ["checks", "removed"].contains(&kind) && is_folder {
        return None;
    }
    let what = match call.name.as_str() {
        "linkat" => "create",
        "openat" if call.text.contains("O_DIRECTORY") => "list",
        // Prune takes the file away that it has begun to write, and it writes it again.
        "openat" if kind == "pack" && call.text.contains("O_CREAT") => "begin",
        "openat" if (kind == "body" || kind == "head") && !call.text.contains("O_CREAT") => "read",
        _ => return None,
    };
    Some(format!("{what} {kind}"))
}

/// Lets a run go on until it has done the step of this number, counting each kind of step once before and once after the body was written;
/// gives what it was.
fn stop_at(run: &mut Stepped, number: usize) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut has_body = false;
    loop {
        let call = run.step(&|call| step(call).is_some())?;
        let name = step(&call).unwrap();
        has_body |= name == "create body";
        let name = format!("{name}{}", if has_body { ", after the body" } else { "" });
        if seen.insert(name.clone()) && seen.len() == number + 1 {
            return Some(name);
        }
    }
}

/// Every step of a run that writes a manifest.
const COMMITTING: [&str; 10] = [
    "list prune",
    "list packs",
    "begin pack",
    "create pack",
    "create list",
    "create body, after the body",
    "list prune, after the body",
    "list packs, after the body",
    "list files, after the body",
    "create head, after the body",
];

fn every_step_was_met(met: &BTreeSet<String>) {
    let missing: Vec<_> = COMMITTING.iter().filter(|step| !met.contains(**step)).collect();
    assert!(missing.is_empty(), "{missing:?} of {met:?}");
    println!("{} steps: {met:?}", met.len());
}

/// A run is stopped at each of its steps, each time in the world that `prepare` makes, while prune marks and deletes; then it goes on or is
/// killed, and `again` does what it has not done.
fn stopped_at_each_step(goes_on: bool, verb: &[&str], prepare: &dyn Fn(&mut Bench) -> String) -> usize {
    let mut bench = Bench::new();
    let (mut met, mut highest) = (BTreeSet::new(), 0);
    for number in 0.. {
        let name = prepare(&mut bench);
        let mut run = Stepped::start(&bench.machine, CALLS, verb);
        let Some(step) = stop_at(&mut run, number) else {
            run.end().expect(0);
            break;
        };
        bench.prune_twice(&step);
        if goes_on {
            run.end().expect(0);
        } else {
            run.kill();
        }
        let listed = whole::check(&bench.store, &step);
        bench.machine.run(verb).expect(0);
        assert!(!goes_on || whole::check(&bench.store, &step) == listed, "{step}: it had done all there was to do");
        bench.prune_twice(&step);
        bench.verifies();
        bench.comes_back(&name);
        highest = bench.number_of(&name).max(highest);
        met.insert(step);
    }
    every_step_was_met(&met);
    bench.ends_clean();
    highest
}

#[test]
fn a_shipment_that_is_stopped_at_any_step_for_longer_than_marks_last_goes_on_and_loses_nothing() {
    let highest = stopped_at_each_step(true, &["ship", "tree"], &Bench::tempt);
    assert_eq!(highest, 2, "what had gone while it stood still was stored anew, under the next number");
}

#[test]
fn a_shipment_that_is_stopped_at_any_step_for_longer_than_marks_last_and_killed_loses_nothing() {
    stopped_at_each_step(false, &["ship", "tree"], &Bench::tempt);
}

#[test]
fn a_heal_that_is_stopped_at_any_step_for_longer_than_marks_last_goes_on_and_loses_nothing() {
    stopped_at_each_step(true, &["heal", "tree"], &Bench::damage);
}

#[test]
fn a_heal_that_is_stopped_at_any_step_for_longer_than_marks_last_and_killed_loses_nothing() {
    stopped_at_each_step(false, &["heal", "tree"], &Bench::damage);
}

/// Prune changes this in the repository: what it creates, and what it removes.
fn is_change(call: &Call) -> bool {
    call.text.contains("/bucket/") && !call.text.contains("= -1 ")
}

#[test]
fn a_prune_that_is_killed_after_anything_it_changes_takes_nothing_that_is_needed_and_the_next_one_goes_on() {
    let mut bench = Bench::new();
    for number in 0.. {
        // Something to remove, something to mark, and something that was marked long ago.
        for source in ["tree", "other"] {
            bench.take("backup", source);
        }
        bench.pause();
        let mut prune = Stepped::start(&bench.machine, "linkat,unlink", &["prune", "--yes"]);
        let met = (0..=number).map_while(|_| prune.step(&is_change)).count();
        prune.kill();
        whole::check(&bench.store, &format!("killed after {number} changes"));
        bench.verifies();
        bench.prune();
        if met <= number {
            assert!(number > 15, "there was much to do: {number} changes");
            break;
        }
    }
    bench.ends_clean();
}

/// After each of its steps prune looks for waste, and each time 80 hours go by.
fn a_first_shipment_lasts_long(is_alone: bool) {
    let mut bench = Bench::new();
    // More than a pack.
    bench.machine.write("large", noise(3, 20 << 20));
    if !is_alone {
        bench.take("backup", "other");
    }
    let name = bench.take("snapshot", "tree");
    let mut ship = Stepped::start(&bench.machine, CALLS, &["ship", "tree"]);
    let mut met = BTreeMap::new();
    while let Some(call) = ship.step(&|call| step(call).is_some()) {
        let step = step(&call).unwrap();
        bench.prune();
        bench.pause();
        whole::check(&bench.store, &step);
        *met.entry(step).or_insert(0) += 1;
    }
    ship.end().expect(0);
    assert!(met["create pack"] >= 2 && met["create head"] == 1, "{met:?}");
    assert_eq!(bench.number_of(&name), 1, "nothing had to be stored anew");
    bench.prune_twice("the shipment is done");
    bench.verifies();
    bench.comes_back(&name);
    bench.ends_clean();
}

#[test]
fn a_first_shipment_that_lasts_for_weeks_loses_nothing_to_prune() {
    a_first_shipment_lasts_long(true);
}

#[test]
fn the_first_shipment_of_a_second_source_that_lasts_for_weeks_loses_nothing_to_prune() {
    a_first_shipment_lasts_long(false);
}
