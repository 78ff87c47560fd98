//! A node for tests: sources in a temporary folder, a clock that stands still, and a repository in memory unless told otherwise.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use windlass::format::names::SourceName;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::context::{LocalSettings, Parts};
use windlass::ops::event::Event;
use windlass::ops::hooks::Hooks;
use windlass::ops::keys::{Identities, Keys, NewIdentity, Recipients};
use windlass::ops::spec::{SourceKind, SourceSpec};
use windlass::ops::{self, Context, Error};
use windlass::repository::{Repository, Tools};
use windlass::sys::clock::{Clock, FixedClock};
use windlass::sys::meter::Meter;
use windlass::sys::random::SystemRandom;
use windlass::sys::space::{Room, Space, SystemSpace};
use windlass::sys::stop::Stop;

/// When the clock of a new node stands: a moment with nothing special about it.
pub const START: &str = "2026-11-23T02:00:00Z";

/// One node.
pub struct Node {
    pub temp: TempDir,
    pub clock: Arc<FixedClock>,
    pub stop: Stop,
    /// What the disk of the node says of its room.
    pub space: Arc<dyn Space>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub repository: Repository,
    /// How the next context is made.
    pub name: String,
    pub keep: usize,
    pub tight: bool,
    pub undo_for: Duration,
    pub exclude: Vec<String>,
    pub sources: Vec<SourceSpec>,
    pub memory: u64,
    /// To whom the next run encrypts.
    pub encrypt_to: Vec<String>,
    /// The identity file that the next run is given.
    pub identity: Option<String>,
}

impl Node {
    /// A node with the source `tree`, a folder that holds nothing yet, and an empty repository in memory.
    pub fn new() -> Self {
        let clock = Arc::new(FixedClock::at(START.parse().unwrap()));
        let stop = Stop::new();
        let repository = Repository::memory(tools(clock.clone(), stop.clone()));
        Self::over(repository, clock, stop)
    }

    /// A node whose repository is a folder, so that a test can damage its objects.
    pub fn with_folder() -> Self {
        let mut node = Self::new();
        let url = format!("file://{}", node.path("bucket").display());
        std::fs::create_dir(node.path("bucket")).unwrap();
        node.repository = node.open(&url);
        node
    }

    /// A node over a repository that is there already.
    pub fn over(repository: Repository, clock: Arc<FixedClock>, stop: Stop) -> Self {
        Self::at(tempfile::tempdir().unwrap(), repository, clock, stop)
    }

    /// The same in memory, where the system has a folder for that: for tests that flush very often and care for nothing else of a disk.
    pub fn in_memory(repository: Repository, clock: Arc<FixedClock>, stop: Stop) -> Self {
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self::at(temp, repository, clock, stop)
    }

    fn at(temp: TempDir, repository: Repository, clock: Arc<FixedClock>, stop: Stop) -> Self {
        let tree = temp.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let kind = SourceKind::Directory { path: tree, exclude: Vec::new(), cross_filesystems: false };
        let node = Self {
            temp,
            clock,
            stop,
            space: Arc::new(SystemSpace),
            events: Arc::default(),
            repository,
            name: "node-1".into(),
            keep: 4,
            tight: false,
            undo_for: Duration::from_secs(7 * 86_400),
            exclude: Vec::new(),
            sources: vec![spec("tree", kind)],
            memory: 128 << 20,
            encrypt_to: Vec::new(),
            identity: None,
        };
        // Its disk is mounted: an `init` that reaches no repository leaves as much.
        ops::node::own_uuid(&node.context()).unwrap();
        node
    }

    /// Opens another repository with this node's clock.
    pub fn open(&self, url: &str) -> Repository {
        let environment = windlass::sys::environment::FixedEnvironment::default();
        let settings = windlass::repository::Settings::new(url);
        Repository::open(&settings, &environment, tools(self.clock.clone(), self.stop.clone())).unwrap()
    }

    /// What a verb needs, as a new process on this node would make it.
    pub fn context(&self) -> Context {
        self.context_that_tells(|_| ())
    }

    /// As [`Node::context`], and somebody else hears of each event as well.
    pub fn context_that_tells(&self, tell: impl Fn(&Event) + Send + Sync + 'static) -> Context {
        self.context_of(self.repository.clone(), tell)
    }

    /// As [`Node::context`], of a process that reaches the repository in a way of its own.
    pub fn context_over(&self, repository: Repository) -> Context {
        self.context_of(repository, |_| ())
    }

    /// As [`Node::context_that_tells`], of a process that reads another clock.
    pub fn context_under(&self, clock: Arc<dyn Clock>, tell: impl Fn(&Event) + Send + Sync + 'static) -> Context {
        self.context_by(clock, self.repository.clone(), tell)
    }

    fn context_of(&self, repository: Repository, tell: impl Fn(&Event) + Send + Sync + 'static) -> Context {
        self.context_by(self.clock.clone(), repository, tell)
    }

    fn context_by(&self, clock: Arc<dyn Clock>, repository: Repository, tell: impl Fn(&Event) + Send + Sync + 'static) -> Context {
        let events = self.events.clone();
        let mut sources = self.sources.clone();
        for source in &mut sources {
            source.keep = self.keep;
            if let SourceKind::Directory { exclude, .. } = &mut source.kind {
                exclude.clone_from(&self.exclude);
            }
        }
        Context::new(Parts {
            node: self.name.parse().unwrap(),
            local: Some(LocalSettings { dir: self.path("local"), tight: self.tight, undo_for: self.undo_for }),
            sources,
            repository: Arc::new(move || Ok(repository.clone())),
            keys: self.keys(),
            clock,
            random: Arc::new(SystemRandom),
            space: self.space.clone(),
            stop: self.stop.clone(),
            meter: Arc::new(Meter::default()),
            events: Arc::new(move |event| {
                tell(&event);
                events.lock().unwrap().push(event);
            }),
            memory: self.memory,
            threads: 2,
        })
    }

    /// An encrypted node whose repository is a folder, and which holds the identity too.
    pub fn encrypted() -> Self {
        let mut node = Self::with_folder();
        let (identity, recipient) = identity();
        node.encrypt_to = vec![recipient];
        node.identity = Some(identity);
        node
    }

    fn keys(&self) -> Arc<Keys> {
        let recipients = Recipients::read(self.encrypt_to.iter().map(String::as_str)).unwrap();
        let identity = self.identity.clone();
        let open = move || Ok(identity.as_ref().map(|text| Identities::read(text.as_bytes(), None)).transpose()?);
        Arc::new(Keys::new(recipients, Box::new(open)))
    }

    /// A path below the node's temporary folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.temp.path().join(below)
    }

    /// Writes a file of the source `tree`.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path("tree").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Stores a text under any key.
    pub fn put_text(&self, key: &str, text: &str) {
        self.repository.create(key, text.to_owned().into()).unwrap();
    }

    /// Creates the repository.
    pub fn init(&self) -> &Self {
        ops::init::run(&self.context(), &ops::init::Options::default()).unwrap();
        self
    }

    /// A minute later, takes a copy of `tree`.
    pub fn snapshot(&self) -> SnapshotId {
        self.clock.advance(Duration::from_secs(60));
        let outcome = ops::snapshot::run(&self.context(), &tree(), &ops::snapshot::Options::default()).unwrap();
        outcome.id.unwrap()
    }

    /// A minute later, takes a copy of `tree` and ships it.
    pub fn backup(&self) -> SnapshotId {
        self.try_backup().unwrap()
    }

    /// As [`Node::backup`], but a failure is given back.
    pub fn try_backup(&self) -> Result<SnapshotId, Error> {
        self.clock.advance(Duration::from_secs(60));
        let outcome = ops::backup::run(&self.context(), &tree(), &ops::backup::Options::default())?;
        match outcome.passed_over.into_iter().map(|(_, error)| error).next().or(outcome.failure) {
            Some(error) => Err(error),
            None => Ok(outcome.snapshot.id.unwrap()),
        }
    }

    /// Ids of the local copies of `tree`, oldest first.
    pub fn copies(&self) -> Vec<SnapshotId> {
        let copies = ops::copies::Copies::read(&self.context(), &tree()).unwrap();
        copies.complete.iter().map(ops::copies::Copy::id).collect()
    }

    /// Fetches a snapshot of `tree` from the repository alone into a folder, and gives the folder. A file that is not given is a failure.
    pub fn fetch(&self, id: SnapshotId) -> Result<PathBuf, Error> {
        let (to, outcome) = self.fetch_what_is_whole(id)?;
        match outcome.lost.first() {
            Some(lost) => Err(Error::damaged(&lost.object, &lost.problem)),
            None => Ok(to),
        }
    }

    /// The same where files may be left out.
    pub fn fetch_what_is_whole(&self, id: SnapshotId) -> Result<(PathBuf, ops::fetch::Outcome), Error> {
        let to = self.path(format!("fetched-{id}-{}", self.clock.monotonic().as_nanos()));
        self.clock.advance(Duration::from_nanos(1));
        let options = ops::fetch::Options { to: to.clone(), from: vec![ops::origin::Origin::Repository], ..Default::default() };
        let name = format!("tree/{id}").parse().unwrap();
        let outcome = ops::fetch::run(&self.context(), &name, &options)?;
        Ok((to, outcome))
    }

    /// Keys of the repository below a prefix, in order.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let taken = self.repository.list(prefix, &mut |object| {
            keys.push(object.key);
            std::ops::ControlFlow::Continue(())
        });
        taken.unwrap();
        keys.sort();
        keys
    }

    /// Moves the clock to this instant.
    pub fn set_clock(&self, to: &str) {
        self.clock.set(to.parse::<Timestamp>().unwrap());
    }
}

/// A new identity file and its public recipient.
pub fn identity() -> (String, String) {
    let new = NewIdentity::generate(START.parse().unwrap());
    (new.file.expose().to_owned(), new.recipient)
}

/// The name of the source that a node has from the start.
pub fn tree() -> SourceName {
    "tree".parse().unwrap()
}

/// A source with the defaults.
pub fn spec(name: &str, kind: SourceKind) -> SourceSpec {
    SourceSpec {
        name: name.parse().unwrap(),
        kind,
        objective: Duration::from_secs(26 * 3600),
        keep: 4,
        level: 3,
        hooks: Hooks::default(),
        written: serde_json::Value::Null,
    }
}

/// What a repository of a test needs.
pub fn tools(clock: Arc<dyn Clock>, stop: Stop) -> Tools {
    Tools { clock, random: Arc::new(SystemRandom), stop, meter: Arc::new(Meter::default()) }
}

/// A disk of a certain size that holds one folder and nothing else; a file with several names takes its room once.
#[derive(Debug)]
pub struct Disk {
    pub folder: PathBuf,
    pub whole: u64,
}

impl Space for Disk {
    fn room(&self, _: &Path) -> Result<Room, windlass::sys::Error> {
        let mut seen = std::collections::HashSet::new();
        let used = bytes_in(&self.folder, &mut seen);
        Ok(Room { free: self.whole.saturating_sub(used), whole: self.whole })
    }
}

fn bytes_in(folder: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path(), entry.metadata().unwrap()))
        .map(|(path, meta)| match meta.is_dir() {
            true => bytes_in(&path, seen),
            false if seen.insert(meta.ino()) => meta.len(),
            false => 0,
        })
        .sum()
}
