//! The repository: the one place that talks to object storage.
//!
//! Calls block the calling thread; the requests run on two threads of the repository's own. So it must be used from plain threads, never from
//! within an asynchronous runtime. Nothing is ever written over another object, a failed request is tried again with growing waits, and
//! what a create left behind is decided by reading it back, not by what the store said.

mod advice;
mod az;
mod az_container;
mod bucket;
mod clock;
mod core;
mod create;
mod credentials;
mod deletes;
mod downloads;
mod error;
mod fault;
mod folder;
mod google_key;
mod gs;
mod listing;
mod location;
mod md5;
mod open;
mod origins;
mod patience;
mod probe;
mod questions;
mod rate;
mod read;
mod refusal;
mod remnants;
mod requester;
mod s3;
mod settings;
mod tokens;
mod top;
mod trust;
mod upload;
mod uploads;
mod versions;
mod wire;

use std::fmt;
use std::future::Future;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

pub use az::ACCOUNT_VARIABLES;
pub use clock::StoreClock;
pub use deletes::{Deleted, Deletes};
pub use downloads::{Downloads, Request};
pub use error::{At, Cause, Error};
pub use probe::{Finding, Probe, Verdict};
pub use rate::RATE_MIN;
pub use refusal::Refusal;
pub use remnants::Remnants;
pub use settings::{FLOOR_RATE, Keeping, Settings, Tools, foreign_key};
pub use uploads::Uploads;
pub use versions::{BucketLock, ObjectLock, OldVersions};

use self::core::Core;
use listing::Listing;
use location::Scheme;
use open::Engine;
use patience::BRIEF;

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
    /// Longest time for one request that reads, all its tries together; `None` = as long as patience lasts.
    limit: Option<Duration>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({})", self.core.description)
    }
}

impl Repository {
    /// Where it lies, for messages: URL and endpoint, no secret.
    pub fn describe(&self) -> String {
        self.core.description.to_string()
    }

    /// The same repository, for whoever can do without it: a request that reads is given up after ten seconds, all its tries together.
    pub fn briefly(&self) -> Self {
        Self { limit: Some(BRIEF), ..self.clone() }
    }

    /// An object's bytes, which are held in memory: at most `at_most` of them.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::TooLarge`], [`Error::Cut`], and what the store as a whole gives.
    pub fn get(&self, key: &str, at_most: u64) -> Result<Bytes, Error> {
        self.ask("read", key, self.core.get(key, at_most))
    }

    /// Exactly these bytes of an object.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::TooShort`], [`Error::Cut`], and what the store as a whole gives.
    pub fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.ask("read", key, self.core.get_range(key, range))
    }

    /// Size and time of an object, or `None` where there is none.
    ///
    /// # Errors
    /// What the store as a whole gives.
    pub fn stat(&self, key: &str) -> Result<Option<Object>, Error> {
        self.ask("look at", key, self.core.stat(key))
    }

    /// Hands on every object below a folder prefix (`a/b/`, or empty for all), in no certain order, until `visit` breaks.
    /// `visit` may use the repository.
    ///
    /// # Errors
    /// What the store as a whole gives. What was visited before is right, but not all there is.
    pub fn list(&self, prefix: &str, visit: &mut dyn FnMut(Object) -> ControlFlow<()>) -> Result<(), Error> {
        let mut listing = Listing::new(&self.core, prefix)?;
        while let Some(run) = self.ask("list", prefix, listing.next_run())? {
            for object in run {
                if visit(object).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Hands on the names that lie directly at the root, folders with a `/` at their end, until `visit` breaks. What is below is not listed.
    ///
    /// # Errors
    /// What the store as a whole gives.
    pub fn top(&self, visit: &mut dyn FnMut(String) -> ControlFlow<()>) -> Result<(), Error> {
        let mut token = None;
        loop {
            let (names, next) = self.ask("list", "", self.core.top(token))?;
            for name in names {
                if visit(name).is_break() {
                    return Ok(());
                }
            }
            match next {
                Some(next) => token = Some(next),
                None => return Ok(()),
            }
        }
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

    /// A queue of deletes, `in_flight` of them travelling at a time (at least one).
    pub fn deletes<T>(&self, in_flight: usize) -> Deletes<T> {
        Deletes::new(self.clone(), in_flight)
    }

    /// What nobody here can tell of a bucket of this kind: whether and how long it keeps what is deleted; `None` where it can be asked.
    pub fn cannot_tell(&self) -> Option<&'static str> {
        match self.core.scheme? {
            Scheme::S3 => None,
            Scheme::Az => Some("whether the container keeps what is deleted (soft delete, immutability) is not asked of Azure"),
            Scheme::Gs => Some("whether the bucket keeps what is deleted (versions, soft delete, retention) is not asked of Google"),
        }
    }

    /// Whether the bucket keeps old versions of what is deleted, or has; `false` also for what is no bucket of S3.
    ///
    /// # Errors
    /// What the store gives; the credential needs a right of its own for this.
    pub fn keeps_versions(&self) -> Result<bool, Error> {
        self.block_on(self.core.keeps_versions())
    }

    /// Counts the old versions below a folder prefix, in as many requests as it has thousands of versions, current ones included.
    /// `None` for what is no bucket of S3.
    ///
    /// # Errors
    /// What the store gives; the credential needs a right of its own for this.
    pub fn old_versions(&self, prefix: &str) -> Result<Option<OldVersions>, Error> {
        self.block_on(self.core.old_versions(prefix))
    }

    /// The object lock that the bucket has; `None` where it has none.
    ///
    /// # Errors
    /// What the store gives; the credential needs a right of its own for this.
    pub fn bucket_lock(&self) -> Result<Option<BucketLock>, Error> {
        self.block_on(self.core.bucket_lock())
    }

    /// Until when an object is locked whose delete gave an error with [`Error::is_locked`].
    ///
    /// # Errors
    /// What the store gives; the credential needs a right of its own for this.
    pub fn object_lock(&self, key: &str) -> Result<ObjectLock, Error> {
        self.block_on(self.core.object_lock(key))
    }

    /// Tries out, under `probe/` in this very prefix, what the store really does; cleans up behind itself.
    /// What a credential may not do is a finding, not an error.
    ///
    /// # Errors
    /// Only what the store as a whole gives: see [`Error::is_unreachable`].
    pub fn probe(&self) -> Result<Probe, Error> {
        self.block_on(probe::run(&self.core))
    }

    /// What the store's own clock says, and whether it keeps what is deleted. Writes a key under `probe/` and deletes it again; where the
    /// credential may not delete, the next probe that may does.
    ///
    /// # Errors
    /// What the store gives.
    pub fn clock(&self) -> Result<StoreClock, Error> {
        self.block_on(clock::read(&self.core))
    }

    /// Removes what writes that were killed have left below a folder prefix, older than this instant by the store's clock; in a dry run only
    /// counts it. In a bucket there is none: there an object is stored by one request or not at all.
    ///
    /// # Errors
    /// An error with [`Error::is_denied`] where this user may not, and what the folder as a whole gives.
    pub fn remove_remnants(&self, below: &str, before: jiff::Timestamp, dry_run: bool) -> Result<Remnants, Error> {
        remnants::remove(&self.core, below, before, dry_run)
    }

    fn core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }

    fn handle(&self) -> &Handle {
        self.engine.handle()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle().block_on(future)
    }

    /// Waits for a request that reads, as long as this repository is asked.
    fn ask<T>(&self, operation: &'static str, key: &str, request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(limit) = self.limit else { return self.block_on(request) };
        let answer = self.block_on(async { tokio::time::timeout(limit, request).await });
        answer.unwrap_or_else(|_| Err(Error::Silent { at: self.core.at(operation, key), limit }))
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

#[cfg(test)]
#[path = "../../tests/it/support/store.rs"]
#[expect(unreachable_pub, reason = "the integration tests use it too")]
mod store;

#[cfg(test)]
mod cloud_tests;
#[cfg(test)]
mod faulty_tests;
#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod questions_tests;
#[cfg(test)]
mod wire_tests;
