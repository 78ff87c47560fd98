//! A node whose processes run request by request beside each other, over a store whose clock the test moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use windlass::format::names::SourceName;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::spec::SourceKind;
use windlass::ops::{self, Error, prune, ship};
use windlass::repository::Repository;

use super::clocked::{Clocked, Gate, Gated, PAUSE};
use super::listing::{Listing, assert_same};
use super::node::{Node, spec, tools, tree};
use super::store::Op;
use super::tree::noise;
use super::whole;
use crate::prune::last;

/// What was taken, by snapshot.
pub type Taken = Arc<Mutex<BTreeMap<(SourceName, SnapshotId), Arc<Listing>>>>;

/// A node with two sources over a store whose clock is its own.
pub struct World {
    pub node: Arc<Node>,
    pub store: Arc<Clocked>,
    /// The store as it is, past all gates.
    pub raw: Repository,
    pub taken: Taken,
    pub written: u64,
}

/// A process that stops before each of its requests.
pub struct Process {
    pub gate: Arc<Gate>,
    pub thread: JoinHandle<Result<(), Error>>,
    pub what: &'static str,
}

pub fn other() -> SourceName {
    "other".parse().unwrap()
}

impl World {
    pub fn new() -> Self {
        let plain = Node::new();
        let store = Clocked::new(Arc::new(windlass::sys::clock::FixedClock::at(crate::support::node::START.parse().unwrap())));
        let raw = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), plain.stop.clone()));
        let mut node = Node::in_memory(raw.clone(), plain.clock.clone(), plain.stop.clone());
        std::fs::create_dir(node.path("other")).unwrap();
        let kind = SourceKind::Directory { path: node.path("other"), exclude: Vec::new(), cross_filesystems: false };
        node.sources.push(spec("other", kind));
        node.init();
        let mut world = Self { node: Arc::new(node), store, raw, taken: Taken::default(), written: 0 };
        for source in [tree(), other()] {
            // What every snapshot of the source shares.
            std::fs::write(world.node.path(source.as_str()).join("kept"), noise(world.written, 70_000)).unwrap();
            world.change(&source);
        }
        world
    }

    /// Some file of a source becomes another, or what it was some time ago.
    pub fn change(&mut self, source: &SourceName) {
        self.written += 1;
        let name = format!("file-{}", self.written % 3);
        std::fs::write(self.node.path(source.as_str()).join(name), noise(100 + self.written % 5, 50_000)).unwrap();
    }

    pub fn snapshot(&mut self, source: &SourceName) -> SnapshotId {
        self.pass(Duration::from_secs(60));
        let outcome = ops::snapshot::run(&self.node.context(), source, &ops::snapshot::Options::default()).unwrap();
        let id = outcome.id.unwrap();
        let listing = Listing::of(&self.node.path(source.as_str()));
        self.taken.lock().unwrap().insert((source.clone(), id), Arc::new(listing));
        id
    }

    pub fn backup(&mut self, source: &SourceName) -> SnapshotId {
        self.change(source);
        let id = self.snapshot(source);
        ship::run(&self.node.context(), source, &ship::Options::default()).unwrap();
        // Requests that pass no gate take no time by themselves.
        self.store.clock.advance(Duration::from_secs(2));
        id
    }

    /// Time goes by, for the node and for the store.
    pub fn pass(&self, time: Duration) {
        self.node.clock.advance(time);
        self.store.clock.advance(time);
    }

    pub fn pause(&self) {
        self.pass(PAUSE.unsigned_abs());
    }

    pub fn start(&self, what: &'static str, work: impl FnOnce(&ops::Context, &Node) -> Result<(), Error> + Send + 'static) -> Process {
        Process::start(what, &self.store, &self.node, work)
    }

    pub fn ship(&self, source: &SourceName) -> Process {
        let source = source.clone();
        self.start("ship", move |ctx, _| ship::run(ctx, &source, &ship::Options::default()).map(drop))
    }

    pub fn prune(&self, keep: u32) -> Process {
        self.start("prune", move |ctx, _| {
            let options = last(keep);
            let plan = prune::plan(ctx, &options)?;
            prune::run(ctx, &options, &plan).map(drop)
        })
    }

    /// Fetches the newest snapshot of a source; what comes must be what was taken.
    pub fn fetch(&self, source: &SourceName, number: u64) -> Process {
        let (source, taken) = (source.clone(), self.taken.clone());
        self.start("fetch", move |ctx, node| {
            let to = node.path(format!("fetched-{number}"));
            let from = vec![ops::origin::Origin::Repository];
            let options = ops::fetch::Options { to: to.clone(), from, ..Default::default() };
            let outcome = ops::fetch::run(ctx, &format!("{source}/latest").parse().unwrap(), &options)?;
            let expected = taken.lock().unwrap()[&(source, outcome.id)].clone();
            assert_same(&expected, &Listing::of(&to));
            windlass::sys::tree::remove_tree(&to).unwrap();
            Ok(())
        })
    }

    /// Removes a snapshot from the repository, whatever else there is.
    pub fn forget(&self, source: &SourceName, id: SnapshotId) {
        let options = ops::forget::Options { local: false, even_the_last: true, ..Default::default() };
        let plan = ops::forget::plan(&self.node.context(), &format!("{source}/{id}").parse().unwrap(), &options).unwrap();
        ops::forget::run(&self.node.context(), &plan, None).unwrap();
    }

    /// See [`whole::check`].
    pub fn check(&self, after: &str) -> Vec<(SourceName, SnapshotId)> {
        whole::check(&self.raw, after)
    }

    /// After two more rounds of prune there is nothing that nobody needs, and all that is listed comes back as it was taken.
    pub fn ends_clean(&mut self) {
        // The first of these ships what was left over; the heads of the second are later than all of that.
        for source in [tree(), other(), tree(), other()] {
            self.backup(&source);
        }
        for _ in 0..4 {
            let process = self.prune(2);
            process.gate.open();
            process.thread.join().unwrap().unwrap();
            self.pause();
        }
        let stats = ops::stats::run(&self.node.context(), &ops::stats::Options::default()).unwrap();
        assert_eq!((stats.waste.objects, stats.marked.objects), (0, 0), "{stats:#?}");
        assert_eq!(self.node.objects("node-1/prune/"), [] as [&str; 0]);
        let heads = self.node.objects("node-1/manifests/").iter().filter(|key| !key.contains(".body.")).count();
        assert_eq!(self.node.objects("node-1/manifests/").len(), 2 * heads, "no body is left without a head");
        for (source, id) in self.check("the end") {
            let to = self.node.path("to");
            let from = vec![ops::origin::Origin::Repository];
            let options = ops::fetch::Options { to: to.clone(), from, ..Default::default() };
            ops::fetch::run(&self.node.context(), &format!("{source}/{id}").parse().unwrap(), &options).unwrap();
            let expected = self.taken.lock().unwrap()[&(source, id)].clone();
            assert_same(&expected, &Listing::of(&to));
            windlass::sys::tree::remove_tree(&to).unwrap();
        }
    }
}

impl Process {
    /// Starts it on a node, over a store.
    pub fn start(
        what: &'static str,
        store: &Arc<Clocked>,
        node: &Arc<Node>,
        work: impl FnOnce(&ops::Context, &Node) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        let (gate, node) = (Gate::new(), node.clone());
        let store = Gated::around(store.clone(), gate.clone());
        let tools = tools(node.clock.clone(), node.stop.clone());
        let thread = std::thread::spawn({
            let gate = gate.clone();
            move || {
                let repository = Repository::over(store, "", "memory".into(), tools);
                let outcome = work(&node.context_over(repository), &node);
                gate.finish();
                outcome
            }
        });
        Self { gate, thread, what }
    }

    /// Lets it go on until it is about to do this.
    pub fn until(&self, op: Op, ending: &str) {
        while !self.gate.next().is_some_and(|(next, key)| next == op && key.ends_with(ending)) {
            self.gate.step().unwrap_or_else(|| panic!("{} has ended", self.what));
        }
    }

    /// Kills it, and waits for its end.
    pub fn kill(self, after: bool) {
        self.gate.kill(after);
        let _ = self.thread.join().unwrap();
    }

    /// Lets it run to its end.
    pub fn end(self) -> Result<(), Error> {
        self.gate.open();
        self.thread.join().unwrap()
    }
}
