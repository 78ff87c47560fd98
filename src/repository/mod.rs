//! The repository: the one place that talks to object storage.
//!
//! Calls block the calling thread; the requests run on two threads of the repository's own. So it must be used from plain threads, never from
//! within an asynchronous runtime. Nothing is ever written over another object, a failed request is tried again with growing waits, and
//! what a create left behind is decided by reading it back, not by what the store said.

mod core;
mod create;
mod downloads;
mod error;
mod fault;
mod folder;
mod listing;
mod location;
mod patience;
mod probe;
mod refusal;
mod s3;
mod settings;
mod uploads;
mod wire;

use std::fmt;
use std::future::Future;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

pub use downloads::{Downloads, Request};
pub use error::{At, Cause, Error};
pub use probe::{Finding, Probe, Verdict};
pub use refusal::Refusal;
pub use settings::{FLOOR_RATE, Settings, Tools};
pub use uploads::Uploads;

use self::core::{Core, Pages};
use crate::sys::environment::Environment;
use folder::Folder;
use listing::Listing;
use location::Location;
use patience::Patience;

/// Threads that drive requests: enough to encrypt and hash for a fast line, few enough to leave the cores to compression.
const WORKERS: usize = 2;

/// Most threads that may block: file access of a folder, name look-ups, and waits between tries; more requests than that do not travel.
const BLOCKING_THREADS: usize = 32;

/// What a listing or a look at one object tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The key from the repository's root.
    pub key: String,
    /// Its stored length in bytes.
    pub size: u64,
    /// When it was stored, by the store's clock.
    pub modified: jiff::Timestamp,
}

/// A repository: a prefix in a bucket, or a folder. Clones share one connection pool.
#[derive(Clone)]
pub struct Repository {
    core: Arc<Core>,
    engine: Arc<Engine>,
}

struct Engine(Option<Runtime>);

impl Drop for Engine {
    fn drop(&mut self) {
        // A plain drop would wait for requests that nobody waits for any more.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({})", self.core.description)
    }
}

impl Repository {
    /// Opens the repository of these settings. A folder must be there; a bucket is not asked yet.
    ///
    /// # Errors
    /// [`Error::Settings`], [`Error::CaFile`], [`Error::FolderMissing`].
    pub fn open(settings: &Settings, environment: &dyn Environment, tools: Tools) -> Result<Self, Error> {
        let floor_rate = if settings.floor_rate == 0 { FLOOR_RATE } else { settings.floor_rate };
        match Location::parse(&settings.url)? {
            Location::Memory => Ok(Self::memory(tools)),
            Location::Folder(path) => {
                let (folder, store) = Folder::open(&path)?;
                let parts = Parts { folder: Some(folder), ..Parts::of(Arc::new(store)) };
                Self::build(parts, format!("file://{}", path.display()), tools, floor_rate)
            }
            Location::S3 { bucket, prefix } => {
                let (store, endpoint) = s3::open(settings, &bucket, environment)?;
                let store = Arc::new(store);
                let pages: Arc<dyn Pages> = Arc::clone(&store) as _;
                let description = match prefix.as_ref() {
                    "" => format!("s3://{bucket} at {endpoint}"),
                    prefix => format!("s3://{bucket}/{prefix} at {endpoint}"),
                };
                Self::build(Parts { pages: Some(pages), prefix, ..Parts::of(store) }, description, tools, floor_rate)
            }
        }
    }

    /// A repository over any store, below a prefix (may be empty). For tests, and for decorators around a real store.
    ///
    /// # Panics
    /// When the prefix cannot be one, or the system gives no threads.
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str, description: String, tools: Tools) -> Self {
        let prefix = Path::parse(prefix).expect("a prefix is made of parts that keys may have");
        Self::build(Parts { prefix, ..Parts::of(store) }, description, tools, FLOOR_RATE).expect("the system gives two threads")
    }

    /// A repository in memory, which goes with its last clone.
    pub fn memory(tools: Tools) -> Self {
        Self::over(Arc::new(InMemory::new()), "", "memory://".into(), tools)
    }

    fn build(parts: Parts, description: String, tools: Tools, floor_rate: u64) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("repository")
            .enable_all()
            .build()
            .map_err(|cause| Error::Settings(format!("the repository's threads cannot be started: {cause}")))?;
        let Tools { clock, random, stop, meter } = tools;
        let core = Core {
            store: parts.store,
            pages: parts.pages,
            folder: parts.folder,
            prefix: parts.prefix,
            description: description.into(),
            patience: Patience { clock, random, stop, floor_rate },
            meter,
            answered: AtomicBool::new(false),
            served: AtomicBool::new(false),
        };
        Ok(Self { core: Arc::new(core), engine: Arc::new(Engine(Some(runtime))) })
    }

    /// Where it lies, for messages: URL and endpoint, no secret.
    pub fn describe(&self) -> String {
        self.core.description.to_string()
    }

    /// An object's bytes, which are held in memory: at most `at_most` of them.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::TooLarge`], [`Error::Cut`], and what the store as a whole gives.
    pub fn get(&self, key: &str, at_most: u64) -> Result<Bytes, Error> {
        self.block_on(self.core.get(key, at_most))
    }

    /// Exactly these bytes of an object.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::TooShort`], [`Error::Cut`], and what the store as a whole gives.
    pub fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.block_on(self.core.get_range(key, range))
    }

    /// Size and time of an object, or `None` where there is none.
    ///
    /// # Errors
    /// What the store as a whole gives.
    pub fn stat(&self, key: &str) -> Result<Option<Object>, Error> {
        self.block_on(self.core.stat(key))
    }

    /// Hands on every object below a folder prefix (`a/b/`, or empty for all), in no certain order, until `visit` breaks.
    /// `visit` may use the repository.
    ///
    /// # Errors
    /// What the store as a whole gives. What was visited before is right, but not all there is.
    pub fn list(&self, prefix: &str, visit: &mut dyn FnMut(Object) -> ControlFlow<()>) -> Result<(), Error> {
        let mut listing = Listing::new(&self.core, prefix)?;
        while let Some(run) = self.block_on(listing.next_run())? {
            for object in run {
                if visit(object).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Creates an object, never over another. An unclear outcome is settled by reading back: the same bytes count as done.
    ///
    /// # Errors
    /// [`Error::Taken`] when other bytes lie under the key, and what the store as a whole gives.
    pub fn create(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        self.block_on(self.core.create(key, bytes))
    }

    /// Deletes an object; one that is not there counts as deleted.
    ///
    /// # Errors
    /// An error with [`Error::is_denied`] where the credential may not, and what the store as a whole gives.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.block_on(self.core.delete(key))
    }

    /// A queue of downloads, `ahead` of them travelling at a time (at least one).
    pub fn downloads(&self, ahead: usize) -> Downloads {
        Downloads::new(self.clone(), ahead)
    }

    /// A queue of uploads, `in_flight` of them travelling at a time (at least one).
    pub fn uploads<T: Send>(&self, in_flight: usize) -> Uploads<T> {
        Uploads::new(self.clone(), in_flight)
    }

    /// Tries out, under `probe/` in this very prefix, what the store really does; cleans up behind itself.
    /// What a credential may not do is a finding, not an error.
    ///
    /// # Errors
    /// Only what the store as a whole gives: see [`Error::is_unreachable`].
    pub fn probe(&self) -> Result<Probe, Error> {
        self.block_on(probe::run(&self.core))
    }

    fn core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }

    fn handle(&self) -> &Handle {
        self.engine.0.as_ref().expect("the runtime is taken only on drop").handle()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle().block_on(future)
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle().spawn(future)
    }

    fn broken_task(&self, broken: JoinError) -> Error {
        Error::Failed { at: self.core.at("use", ""), cause: Cause(broken.to_string()) }
    }
}

/// A store and what is special about it.
struct Parts {
    store: Arc<dyn ObjectStore>,
    pages: Option<Arc<dyn Pages>>,
    folder: Option<Folder>,
    prefix: Path,
}

impl Parts {
    fn of(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, pages: None, folder: None, prefix: Path::default() }
    }
}
