//! Opening a repository: from settings, over a given store, in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::runtime::{Builder, Handle, Runtime};

use super::bucket::{Bucket, Surroundings};
use super::core::{Core, Pages};
use super::folder::Folder;
use super::location::{Location, Scheme};
use super::patience::Patience;
use super::questions::Questions;
use super::rate::Rates;
use super::{Error, FLOOR_RATE, Keeping, Repository, Settings, Tools};
use crate::sys::environment::Environment;

/// Threads that drive requests: enough to encrypt and hash for a fast line, few enough to leave the cores to compression.
const WORKERS: usize = 2;

/// Most threads that may block: file access of a folder, name look-ups, and waits between tries; more requests than that do not travel.
const BLOCKING_THREADS: usize = 32;

/// The threads that requests run on.
pub(super) struct Engine(pub(super) Option<Runtime>);

impl Drop for Engine {
    fn drop(&mut self) {
        // A plain drop would wait for requests that nobody waits for any more.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Repository {
    /// Opens the repository of these settings. A folder must be there; a bucket is not asked yet.
    ///
    /// # Errors
    /// [`Error::Settings`], [`Error::CaFile`], [`Error::FolderMissing`].
    pub fn open(settings: &Settings, environment: &dyn Environment, tools: Tools) -> Result<Self, Error> {
        let floor_rate = if settings.floor_rate == 0 { FLOOR_RATE } else { settings.floor_rate };
        let rates = Arc::new(Rates::new(settings.upload_limit, settings.download_limit));
        match Location::parse(&settings.url)? {
            Location::Memory => Ok(Self::memory(tools)),
            Location::Folder(path) => {
                let (folder, store) = Folder::open(&path)?;
                let parts = Parts { folder: Some(folder), rates, floor_rate, ..Parts::of(Arc::new(store)) };
                Ok(Self::build(parts, format!("file://{}", path.display()), tools, engine()?))
            }
            Location::Bucket { scheme, bucket, prefix } => {
                let engine = engine()?;
                let around = Surroundings { environment, clock: &tools.clock, rates: &rates };
                let bucket = engine.handle().block_on(Bucket::open(scheme, &bucket, &prefix, settings, &around))?;
                let (pages, questions, keeping) = (Some(bucket.pages), bucket.questions, settings.keeping.clone());
                let parts = Parts { scheme: Some(scheme), pages, questions, prefix, rates, keeping, floor_rate, ..Parts::of(bucket.store) };
                Ok(Self::build(parts, bucket.description, tools, engine))
            }
        }
    }

    /// A repository over any store, below a prefix (may be empty). For tests, and for decorators around a real store.
    ///
    /// # Panics
    /// When the prefix cannot be one, or the system gives no threads.
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str, description: String, tools: Tools) -> Self {
        let prefix = Path::parse(prefix).expect("a prefix is made of parts that keys may have");
        let engine = engine().expect("the system gives two threads");
        Self::build(Parts { prefix, ..Parts::of(store) }, description, tools, engine)
    }

    /// A repository in memory, which goes with its last clone.
    pub fn memory(tools: Tools) -> Self {
        Self::over(Arc::new(InMemory::new()), "", "memory://".into(), tools)
    }

    fn build(parts: Parts, description: String, tools: Tools, engine: Engine) -> Self {
        let Tools { clock, random, stop, meter } = tools;
        let core = Core {
            store: parts.store,
            scheme: parts.scheme,
            pages: parts.pages,
            questions: parts.questions,
            folder: parts.folder,
            prefix: parts.prefix,
            description: description.into(),
            patience: Patience { clock, random, stop, floor_rate: parts.floor_rate },
            rates: parts.rates,
            keeping: parts.keeping,
            meter,
            answered: AtomicBool::new(false),
            served: AtomicBool::new(false),
        };
        Self { core: Arc::new(core), engine: Arc::new(engine), limit: None }
    }
}

fn engine() -> Result<Engine, Error> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("repository")
        .enable_all()
        .build()
        .map_err(|cause| Error::Settings(format!("the repository's threads cannot be started: {cause}")))?;
    Ok(Engine(Some(runtime)))
}

impl Engine {
    /// For work on these threads.
    pub(super) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("the runtime is taken only on drop").handle()
    }
}

/// A store and what is special about it.
struct Parts {
    store: Arc<dyn ObjectStore>,
    scheme: Option<Scheme>,
    pages: Option<Arc<dyn Pages>>,
    questions: Option<Questions>,
    folder: Option<Folder>,
    prefix: Path,
    rates: Arc<Rates>,
    keeping: Keeping,
    floor_rate: u64,
}

impl Parts {
    fn of(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            scheme: None,
            pages: None,
            questions: None,
            folder: None,
            prefix: Path::default(),
            rates: Arc::default(),
            keeping: Keeping::default(),
            floor_rate: FLOOR_RATE,
        }
    }
}
