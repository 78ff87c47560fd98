//! A store and how it is asked: each request is tried until it is settled, none longer than it may be.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::Object;
use super::error::{At, Error};
use super::fault::Fault;
use super::folder::Folder;
use super::location::Scheme;
use super::patience::{ANSWER, FIRST_TRIES, Patience, TRIES, within};
use super::questions::Questions;
use super::rate::Rates;
use super::settings::Keeping;
use crate::sys::meter::Meter;

/// Longest part of a key between slashes, in bytes: file systems take 255, and stores that keep files add endings of their own.
const PART_MAX: usize = 200;

/// A store with what is known of it.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The protocol, where it is a bucket.
    pub(super) scheme: Option<Scheme>,
    /// The same store where it is a bucket.
    pub(super) pages: Option<Arc<dyn Pages>>,
    /// Where it is a bucket of S3: for what the client of objects cannot ask.
    pub(super) questions: Option<Questions>,
    pub(super) folder: Option<Folder>,
    pub(super) prefix: Path,
    pub(super) description: Arc<str>,
    pub(super) patience: Patience,
    pub(super) rates: Arc<Rates>,
    pub(super) keeping: Keeping,
    pub(super) meter: Arc<Meter>,
    /// Whether the store has ever answered.
    pub(super) answered: AtomicBool,
    /// Whether it has ever done what was asked, so that the bucket is known to be there.
    pub(super) served: AtomicBool,
}

/// A bucket: a store that lists page by page.
pub(super) trait Pages: PaginatedListStore + std::fmt::Debug {}
impl<T: PaginatedListStore + std::fmt::Debug> Pages for T {}

impl Core {
    pub(super) fn at(&self, operation: &'static str, key: &str) -> At {
        At { operation, key: key.to_owned(), store: Arc::clone(&self.description) }
    }

    /// The path of a key in the store.
    pub(super) fn path(&self, key: &str) -> Result<Path, Error> {
        let refused = |why| Err(Error::Key { key: key.chars().take(300).collect(), why });
        if key.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return refused("a part of it is empty, `.` or `..`");
        }
        if key.split('/').any(|part| part.len() > PART_MAX) {
            return refused("a part of it has more than 200 bytes");
        }
        let full = if self.prefix.as_ref().is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) };
        match Path::parse(&full) {
            Ok(path) if path.as_ref() == full => Ok(path),
            _ => refused("it has a character that keys cannot have"),
        }
    }

    /// Tries until it is done, it cannot be done, or patience ends.
    pub(super) async fn retry<T, F>(&self, at: At, attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.retry_up_to(TRIES, at, attempt).await
    }

    /// The same with fewer tries, for what can be done without.
    pub(super) async fn retry_up_to<T, F>(&self, most: u32, at: At, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut tries = 0;
        loop {
            let Ok(outcome) = self.patience.unless_stopped(attempt()).await else { return Err(Error::Stopped { at }) };
            let fault = match outcome {
                Ok(done) => {
                    self.answered.store(true, Ordering::Relaxed);
                    self.served.store(true, Ordering::Relaxed);
                    return Ok(done);
                }
                Err(fault) => fault,
            };
            tries += 1;
            if !self.goes_on(&fault, tries) || tries >= most {
                return Err(fault.into_error(at, tries));
            }
            if self.patience.wait(self.patience.wait_after(tries)).await.is_err() {
                return Err(Error::Stopped { at });
            }
            self.meter.add_retry();
        }
    }

    /// Whether to try again after this fault of the try with this number.
    pub(super) fn goes_on(&self, fault: &Fault, tries: u32) -> bool {
        if fault.is_answer() {
            self.answered.store(true, Ordering::Relaxed);
        }
        let most = if self.answered.load(Ordering::Relaxed) { TRIES } else { FIRST_TRIES };
        fault.is_passing() && tries < most
    }

    /// Checks that a folder is still there; other stores tell by themselves.
    pub(super) fn check_folder(&self) -> Result<(), Fault> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.check().map_err(Fault::Told))
    }

    /// "Not there" of a folder that is gone is not an answer about the object.
    pub(super) fn doubt_absence(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Absent => self.check_folder().err().unwrap_or(Fault::Absent),
            other => other,
        }
    }

    /// Where the right to list has a condition, a store may deny a look at what is not there, as it does to somebody who may list nothing.
    /// A listing of that very key, where it is allowed, tells.
    pub(super) async fn doubt_denial(&self, path: &Path, fault: Fault) -> Fault {
        let denied = matches!(&fault, Fault::Refused(refusal) if refusal.is_denial());
        let Some(pages) = self.pages.as_ref().filter(|_| denied) else { return fault };
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        match within(ANSWER, pages.list_paginated(Some(path.as_ref()), options)).await {
            Ok(page) if page.result.objects.iter().all(|object| object.location != *path) => {
                self.served.store(true, Ordering::Relaxed);
                Fault::Absent
            }
            _ => fault,
        }
    }

    pub(super) async fn stat(&self, key: &str) -> Result<Option<Object>, Error> {
        let path = self.path(key)?;
        let at = self.at("look at", key);
        let head = || async {
            match within(ANSWER, self.store.head(&path)).await.map_err(|fault| self.doubt_absence(fault)) {
                Err(fault) => Err(self.doubt_denial(&path, fault).await),
                found => found,
            }
        };
        match self.retry(at, head).await {
            Ok(meta) => Ok(Some(object(key.to_owned(), &meta))),
            Err(Error::Absent { at }) => {
                self.check_bucket(at).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The answer to HEAD has no body and cannot say whether the object or the whole bucket is missing; a listing can.
    async fn check_bucket(&self, at: At) -> Result<(), Error> {
        let Some(pages) = self.pages.as_ref().filter(|_| !self.served.load(Ordering::Relaxed)) else { return Ok(()) };
        let options = || PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let page = || async { within(ANSWER, pages.list_paginated(Some(self.prefix.as_ref()), options())).await };
        match self.retry(at, page).await {
            // A credential that may not list cannot be told; then "not there" stands.
            Ok(_) | Err(Error::Denied { whole: false, .. }) => Ok(()),
            Err(Error::Absent { at }) => Err(Error::NoBucket { at }),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        let attempt = || async {
            self.check_folder()?;
            match within(ANSWER, self.store.delete(&path)).await {
                Err(Fault::Absent) => Ok(()),
                outcome => outcome,
            }
        };
        self.retry(self.at("delete", key), attempt).await
    }
}

/// What a store says of an object.
pub(super) fn object(key: String, meta: &ObjectMeta) -> Object {
    let modified = meta.last_modified;
    // A time beyond all bounds must not make an object look old enough to be deleted.
    let modified = Timestamp::new(modified.timestamp(), modified.timestamp_subsec_nanos().min(999_999_999).cast_signed());
    Object { key, size: meta.size, modified: modified.unwrap_or(Timestamp::MAX) }
}
