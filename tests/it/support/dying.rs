//! A store that dies in the middle of a run, around a real one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore};
use object_store::{PutMultipartOptions, PutOptions, PutPayload, PutResult, Result};
use windlass::repository::Repository;
use windlass::sys::clock::FixedClock;
use windlass::sys::stop::Stop;

use super::node::{Node, START, tools};

/// How the store dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The request is not done, nor is any after it.
    AtRequest,
    /// The create is done, but its answer is lost, and no request is answered after it. Only creates count.
    AfterCreate,
}

/// A store that answers until it dies, and again when it is revived.
#[derive(Debug)]
pub struct Dying {
    inner: Arc<dyn ObjectStore>,
    /// Requests that are still answered; negative when it is dead.
    left: AtomicI64,
    death: std::sync::Mutex<Death>,
}

impl Dying {
    /// A store that lives.
    pub fn around(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, left: AtomicI64::new(i64::MAX), death: std::sync::Mutex::new(Death::AtRequest) })
    }

    /// A node and the store that its repository lies in, which lives.
    pub fn node() -> (Node, Arc<Self>) {
        let (clock, stop) = (Arc::new(FixedClock::at(START.parse().unwrap())), Stop::new());
        let store = Self::around(Arc::new(InMemory::new()));
        let repository = Repository::over(store.clone(), "", "memory".into(), tools(clock.clone(), stop.clone()));
        (Node::over(repository, clock, stop), store)
    }

    /// Dies at the request after so many.
    pub fn die_after(&self, requests: usize, death: Death) {
        *self.death.lock().unwrap() = death;
        self.left.store(i64::try_from(requests).unwrap(), Ordering::SeqCst);
    }

    /// Lives again; gives whether it had died.
    pub fn revive(&self) -> bool {
        self.left.swap(i64::MAX, Ordering::SeqCst) < 0
    }

    /// Whether this request is still done, and whether its answer arrives.
    fn next(&self, creates: bool) -> (bool, bool) {
        let death = *self.death.lock().unwrap();
        let counts = creates || death == Death::AtRequest;
        let left = if counts { self.left.fetch_sub(1, Ordering::SeqCst) } else { self.left.load(Ordering::SeqCst) };
        match death {
            Death::AtRequest => (left > 0, left > 0),
            Death::AfterCreate if creates => (left >= 0, left > 0),
            Death::AfterCreate => (left >= 0, left >= 0),
        }
    }

    fn lives(&self) -> Result<()> {
        if self.next(false).0 { Ok(()) } else { Err(reset()) }
    }
}

fn reset() -> object_store::Error {
    let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    object_store::Error::Generic { store: "Dying", source: Box::new(HttpError::new(HttpErrorKind::Interrupted, cause)) }
}

impl fmt::Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dying({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Dying {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (done, answered) = self.next(true);
        let outcome = if done { self.inner.put_opts(location, payload, options).await } else { Err(reset()) };
        if answered { outcome } else { Err(reset()) }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.lives()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.lives()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.lives()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.lives() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.lives() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.lives() {
            Ok(()) => self.inner.list_with_offset(prefix, offset),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.lives()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.lives()?;
        self.inner.copy_opts(from, to, options).await
    }
}
