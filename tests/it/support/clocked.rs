//! A store whose clock a test moves, and processes whose every request waits until the test lets it go on.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore};
use object_store::{PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result};
use windlass::sys::clock::{Clock, FixedClock};

use super::store::Op;

/// How long a test waits for a process to do something before it says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store in memory whose objects have the times of a clock that the test moves, in whole seconds as S3 gives them.
#[derive(Debug)]
pub struct Clocked {
    inner: InMemory,
    pub clock: Arc<FixedClock>,
    /// A create replaces what is there and says that it is done, as on stores that do not know the condition.
    pub overwrites: AtomicBool,
    times: Mutex<HashMap<Path, Timestamp>>,
}

impl Clocked {
    pub fn new(clock: Arc<FixedClock>) -> Arc<Self> {
        Arc::new(Self { inner: InMemory::new(), clock, overwrites: AtomicBool::new(false), times: Mutex::default() })
    }

    fn dated(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let known = self.times.lock().unwrap().get(&meta.location).copied();
        if let Some(wanted) = known {
            let real = Timestamp::new(meta.last_modified.timestamp(), 0).unwrap();
            let by = wanted.duration_since(real);
            // Only whole seconds are kept, so the rest of the real time goes too.
            meta.last_modified -= Duration::from_nanos(u64::from(meta.last_modified.timestamp_subsec_nanos()));
            match by.is_negative() {
                true => meta.last_modified -= by.unsigned_abs(),
                false => meta.last_modified += by.unsigned_abs(),
            }
        }
        meta
    }
}

impl fmt::Display for Clocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clocked({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Clocked {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if self.overwrites.load(Ordering::Relaxed) {
            options.mode = PutMode::Overwrite;
        }
        let now = Timestamp::from_second(self.clock.now().as_second()).unwrap();
        let done = self.inner.put_opts(location, payload, options).await?;
        self.times.lock().unwrap().insert(location.clone(), now);
        Ok(done)
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.inner.get_opts(location, options).await?;
        result.meta = self.dated(result.meta);
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        // All at once, as it is at this instant.
        let listed: Vec<_> = at_once(self.inner.list(prefix));
        let listed: Vec<_> = listed.into_iter().map(|meta| meta.map(|meta| self.dated(meta))).collect();
        futures::stream::iter(listed).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.list(prefix).filter(move |meta| futures::future::ready(meta.as_ref().is_ok_and(|meta| meta.location > offset))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug, Default)]
struct State {
    /// Requests that wait, oldest first.
    waiting: Vec<(u64, Op, String)>,
    numbers: u64,
    /// The request that may go on.
    granted: Option<u64>,
    /// Requests that were done.
    done: u64,
    /// No request is done any more.
    dead: bool,
    /// The answer of the next request does not arrive, and the process is dead after it.
    dies_after: bool,
    /// Requests no longer wait.
    open: bool,
    finished: bool,
}

/// Where the requests of one process wait.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits; gives whether the request is done, and whether its answer arrives.
    fn pass(&self, op: Op, key: &str) -> (bool, bool) {
        let mut state = self.state.lock().unwrap();
        if state.open || state.dead {
            return (!state.dead, !state.dead);
        }
        state.numbers += 1;
        let number = state.numbers;
        state.waiting.push((number, op, key.to_owned()));
        self.changed.notify_all();
        let (mut state, _) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.granted != Some(number) && !state.dead && !state.open).unwrap();
        state.waiting.retain(|(waiting, ..)| *waiting != number);
        if state.dead {
            return (false, false);
        }
        assert!(state.granted == Some(number) || state.open, "nobody lets {op:?} {key} go on");
        state.granted = None;
        if std::mem::take(&mut state.dies_after) {
            state.dead = true;
            return (true, false);
        }
        (true, true)
    }

    fn done(&self) {
        self.state.lock().unwrap().done += 1;
        self.changed.notify_all();
    }

    /// The process has ended.
    pub fn finish(&self) {
        self.state.lock().unwrap().finished = true;
        self.changed.notify_all();
    }

    /// Waits until the process asks for something; gives what, or nothing when it has ended.
    pub fn next(&self) -> Option<(Op, String)> {
        let state = self.state.lock().unwrap();
        let (state, timeout) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.waiting.is_empty() && !state.finished).unwrap();
        assert!(!timeout.timed_out(), "a process hangs");
        state.waiting.first().map(|(_, op, key)| (*op, key.clone()))
    }

    /// Lets the request that has waited longest go on, and waits until it is done; gives what it was.
    pub fn step(&self) -> Option<(Op, String)> {
        let next = self.next()?;
        let mut state = self.state.lock().unwrap();
        let before = state.done;
        state.granted = Some(state.waiting.first()?.0);
        self.changed.notify_all();
        let (_state, timeout) = self.changed.wait_timeout_while(state, PATIENCE, |state| state.done == before && !state.dead).unwrap();
        assert!(!timeout.timed_out(), "a request hangs");
        Some(next)
    }

    /// Kills the process: no request of it is done from now on. With `after`, the next one is done, and its answer lost.
    pub fn kill(&self, after: bool) {
        let waits = self.next().is_some();
        let mut state = self.state.lock().unwrap();
        state.dead = !(after && waits);
        state.dies_after = after && waits;
        drop(state);
        self.changed.notify_all();
        if after && waits {
            self.step();
        }
    }

    /// Lets everything go on.
    pub fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }
}

/// A store as one process reaches it, through its gate.
#[derive(Debug)]
pub struct Gated {
    inner: Arc<Clocked>,
    gate: Arc<Gate>,
}

impl Gated {
    pub fn around(inner: Arc<Clocked>, gate: Arc<Gate>) -> Arc<Self> {
        Arc::new(Self { inner, gate })
    }

    /// Whether the answer arrives, for a request that is done where it stands.
    fn pass(&self, op: Op, key: &str) -> (bool, bool) {
        let passed = self.gate.pass(op, key);
        // Requests are never done in the same second, so that times tell their order.
        self.inner.clock.advance(Duration::from_secs(1));
        passed
    }
}

/// All of a stream that never waits, as those of memory do not.
fn at_once<T>(stream: BoxStream<'static, T>) -> Vec<T> {
    stream.collect().now_or_never().expect("memory answers at once")
}

fn lost() -> object_store::Error {
    let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    object_store::Error::Generic { store: "Gated", source: Box::new(HttpError::new(HttpErrorKind::Interrupted, cause)) }
}

fn text(prefix: Option<&Path>) -> String {
    prefix.map(ToString::to_string).unwrap_or_default()
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gated({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (done, answered) = self.pass(Op::Put, location.as_ref());
        let outcome = if done { self.inner.put_opts(location, payload, options).await } else { Err(lost()) };
        self.gate.done();
        if answered { outcome } else { Err(lost()) }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (_, answered) = self.pass(Op::Get, location.as_ref());
        let outcome = if answered { self.inner.get_opts(location, options).await } else { Err(lost()) };
        self.gate.done();
        outcome
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let paths: Vec<Result<Path>> = at_once(locations);
        let key = paths.first().and_then(|path| path.as_ref().ok()).map(ToString::to_string).unwrap_or_default();
        let (done, answered) = self.pass(Op::Delete, &key);
        let mut outcomes: Vec<Result<Path>> = Vec::new();
        if done {
            outcomes = at_once(self.inner.delete_stream(futures::stream::iter(paths).boxed()));
        }
        self.gate.done();
        if !answered {
            outcomes = vec![Err(lost())];
        }
        futures::stream::iter(outcomes).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (_, answered) = self.pass(Op::List, &text(prefix));
        let listed = if answered { self.inner.list(prefix) } else { futures::stream::iter([Err(lost())]).boxed() };
        self.gate.done();
        listed
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (_, answered) = self.pass(Op::List, &text(prefix));
        let listed = if answered { self.inner.list_with_offset(prefix, offset) } else { futures::stream::iter([Err(lost())]).boxed() };
        self.gate.done();
        listed
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Longer than a mark must be old.
pub const PAUSE: SignedDuration = SignedDuration::from_hours(73);
