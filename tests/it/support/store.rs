//! A store that fails as real ones do, on order, around a real one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore};
use object_store::{PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result};

use super::Refusal;

/// Which requests a trouble befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Creates.
    Put,
    /// Reads, ranges and looks.
    Get,
    /// Listings.
    List,
    /// Deletes.
    Delete,
}

/// What befalls a request.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The connection breaks before anything was done.
    Reset,
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// The store answers with this status and code, and does nothing.
    Answer(u16, &'static str),
    /// The store answers with this status and code, and does it all the same.
    AnswerAndDo(u16, &'static str),
    /// A read ends after so many bytes, or a listing after so many objects, with a broken connection.
    Break(usize),
    /// A read ends after so many bytes as if that were all.
    Cut(usize),
    /// A read has this many bytes more than were announced.
    Grow(usize),
    /// A create stores these bytes instead, and the connection breaks before the answer.
    Stump(&'static [u8]),
    /// A create replaces what is there, as on stores that do not know the condition.
    Overwrite,
    /// Never answers.
    Hang,
    /// Nothing is wrong with this one.
    Nothing,
}

/// A store around another one that meets the troubles it was told of.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    next: Mutex<BTreeMap<Op, VecDeque<Trouble>>>,
    always: Mutex<BTreeMap<Op, Trouble>>,
    counts: Mutex<BTreeMap<Op, usize>>,
    ignores_offsets: AtomicBool,
}

impl Faulty {
    /// A store without trouble so far.
    pub fn around(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        let (next, always, counts, ignores_offsets) = Default::default();
        Arc::new(Self { inner, next, always, counts, ignores_offsets })
    }

    /// From now on every listing begins with the first key, wherever it is asked to begin, as on Azurite.
    pub fn ignore_offsets(&self) {
        self.ignores_offsets.store(true, Ordering::Relaxed);
    }

    /// The next requests of this kind meet these troubles, one each.
    pub fn next(&self, op: Op, troubles: impl IntoIterator<Item = Trouble>) {
        self.next.lock().unwrap().entry(op).or_default().extend(troubles);
    }

    /// Every request of this kind meets this trouble, once the ones of `next` are used up.
    pub fn always(&self, op: Op, trouble: Trouble) {
        self.always.lock().unwrap().insert(op, trouble);
    }

    /// How many requests of this kind there were.
    pub fn count(&self, op: Op) -> usize {
        self.counts.lock().unwrap().get(&op).copied().unwrap_or_default()
    }

    fn trouble(&self, op: Op) -> Trouble {
        *self.counts.lock().unwrap().entry(op).or_default() += 1;
        let next = self.next.lock().unwrap().get_mut(&op).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.lock().unwrap().get(&op).cloned()).unwrap_or(Trouble::Nothing)
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

fn reset() -> object_store::Error {
    let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    object_store::Error::Generic { store: "Faulty", source: Box::new(HttpError::new(HttpErrorKind::Interrupted, cause)) }
}

fn answer(status: u16, code: &str) -> object_store::Error {
    let refusal = HttpError::new(HttpErrorKind::Unknown, Refusal::new(status, code));
    object_store::Error::Generic { store: "Faulty", source: Box::new(refusal) }
}

/// The trouble before anything is done, where there is one.
async fn before(trouble: &Trouble) -> Result<()> {
    match trouble {
        Trouble::Reset => Err(reset()),
        Trouble::Answer(status, code) => Err(answer(*status, code)),
        Trouble::Hang => std::future::pending().await,
        _ => Ok(()),
    }
}

/// The trouble after it was done, where there is one.
fn after<T>(trouble: &Trouble, done: T) -> Result<T> {
    match trouble {
        Trouble::LoseAnswer | Trouble::Stump(_) => Err(reset()),
        Trouble::AnswerAndDo(status, code) => Err(answer(*status, code)),
        _ => Ok(done),
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, mut payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let trouble = self.trouble(Op::Put);
        before(&trouble).await?;
        match trouble {
            Trouble::Stump(bytes) => payload = PutPayload::from_static(bytes),
            Trouble::Overwrite => options.mode = PutMode::Overwrite,
            _ => {}
        }
        after(&trouble, self.inner.put_opts(location, payload, options).await?)
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let trouble = self.trouble(Op::Get);
        before(&trouble).await?;
        let head = options.head;
        let mut result = self.inner.get_opts(location, options).await?;
        let (Trouble::Break(length) | Trouble::Cut(length) | Trouble::Grow(length)) = trouble else { return after(&trouble, result) };
        if !head {
            let (meta, attributes, range, extensions) =
                (result.meta.clone(), result.attributes.clone(), result.range.clone(), result.extensions.clone());
            let mut bytes = result.bytes().await?;
            if matches!(trouble, Trouble::Grow(_)) {
                bytes = [&bytes[..], &vec![b'+'; length]].concat().into();
            } else {
                bytes.truncate(length);
            }
            let end = matches!(trouble, Trouble::Break(_)).then(|| Err(reset()));
            let pieces = [Ok(bytes)].into_iter().chain(end);
            let payload = GetResultPayload::Stream(futures::stream::iter(pieces.collect::<Vec<_>>()).boxed());
            result = GetResult { payload, meta, range, attributes, extensions };
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let trouble = self.trouble(Op::Delete);
        let done = self.inner.delete_stream(locations);
        futures::stream::once(async move {
            before(&trouble).await?;
            Ok(done.map(move |path| path.and_then(|path| after(&trouble, path))))
        })
        .flat_map(|outcome: Result<_>| match outcome {
            Ok(done) => done.boxed(),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        befall(self.trouble(Op::List), self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = match self.ignores_offsets.load(Ordering::Relaxed) {
            true => self.inner.list(prefix),
            false => self.inner.list_with_offset(prefix, offset),
        };
        befall(self.trouble(Op::List), listing)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn befall(trouble: Trouble, listing: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    match trouble {
        Trouble::Break(objects) => listing.take(objects).chain(futures::stream::iter([Err(reset())])).boxed(),
        Trouble::Nothing => listing,
        trouble => futures::stream::once(async move { before(&trouble).await })
            .flat_map(move |outcome| futures::stream::iter(outcome.err().map(Err)))
            .boxed(),
    }
}
