//! Reading: exactly what was asked for, and never more held than was allowed.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt};

use super::Request;
use super::core::Core;
use super::error::Error;
use super::fault::Fault;
use super::patience::{ANSWER, within, within_besides};
use super::rate::{Rate, Waited};
use crate::sys::buffer::Buffer;

impl Core {
    pub(super) async fn get(&self, key: &str, at_most: u64) -> Result<Bytes, Error> {
        let path = self.path(key)?;
        let bytes = self.retry(self.at("read", key), || self.read(&path, None, at_most)).await?;
        self.meter.add_travelled(bytes.len() as u64);
        Ok(bytes)
    }

    pub(super) async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let path = self.path(key)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let bytes = self.retry(self.at("read", key), || self.read_range(&path, range.clone())).await?;
        self.meter.add_travelled(bytes.len() as u64);
        Ok(bytes)
    }

    pub(super) async fn fetch(&self, request: Request) -> Result<Bytes, Error> {
        match request.range {
            None => self.get(&request.key, request.at_most).await,
            Some(range) if range.end.saturating_sub(range.start) > request.at_most => {
                let found = range.end - range.start;
                Err(Error::TooLarge { at: self.at("read", &request.key), at_most: request.at_most, found })
            }
            Some(range) => self.get_range(&request.key, range).await,
        }
    }

    async fn read_range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, Fault> {
        let length = range.end - range.start;
        let failed = match self.read(path, Some(range.clone()), length).await {
            Ok(bytes) if bytes.len() as u64 == length => return Ok(bytes),
            // The range was cut at the end of the object.
            Ok(bytes) => return Err(Fault::TooShort { expected: range.end, found: range.start + bytes.len() as u64 }),
            Err(fault) => fault,
        };
        // Stores answer a range that begins behind the end each in its own way; the size tells.
        if matches!(&failed, Fault::Other(_) | Fault::Io(..)) || matches!(&failed, Fault::Refused(refusal) if refusal.status == 416) {
            let meta = within(ANSWER, self.store.head(path)).await?;
            if meta.size < range.end {
                return Err(Fault::TooShort { expected: range.end, found: meta.size });
            }
        }
        Err(failed)
    }

    /// One try to read an object or a range of it. Holds at most `at_most` bytes.
    pub(super) async fn read(&self, path: &Path, range: Option<Range<u64>>, at_most: u64) -> Result<Bytes, Fault> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let result = match within(ANSWER, self.store.get_opts(path, options)).await.map_err(|fault| self.doubt_absence(fault)) {
            Ok(result) => result,
            Err(fault) => return Err(self.doubt_denial(path, fault).await),
        };
        let length = result.range.end.saturating_sub(result.range.start);
        if length > at_most {
            return Err(Fault::TooLarge { at_most, found: length });
        }
        let waited = Waited::default();
        let pace = Pace { rate: self.rates.download.as_deref(), waited: &waited };
        within_besides(self.patience.transfer(length), &waited, body(result, length, &pace)).await
    }
}

/// Keeps a download to the limit of the rate.
struct Pace<'a> {
    rate: Option<&'a Rate>,
    waited: &'a Waited,
}

impl Pace<'_> {
    /// Waits until so many bytes more may have come.
    async fn keep(&self, bytes: u64) {
        if let Some(rate) = self.rate {
            rate.take(bytes, self.waited).await;
        }
    }
}

/// Bodies from this size on do not come from the allocator; see [`Buffer`].
const LARGE: usize = 1 << 20;

/// Reads a body that must have exactly so many bytes.
async fn body(result: GetResult, expected: u64, pace: &Pace<'_>) -> Result<Bytes, Fault> {
    // The length was compared with the limit before.
    let length = usize::try_from(expected).map_err(|_| Fault::TooLarge { at_most: usize::MAX as u64, found: expected })?;
    if matches!(result.payload, GetResultPayload::File(..)) {
        pace.keep(expected).await;
    }
    let result = match result {
        GetResult { payload: GetResultPayload::File(file, _), range, .. } if length >= LARGE => {
            let read = tokio::task::spawn_blocking(move || read_file(&file, range.start, length)).await;
            return read.unwrap_or_else(|broken| Err(Fault::io(std::io::Error::other(broken))));
        }
        result if matches!(result.payload, GetResultPayload::File(..)) => return Ok(result.bytes().await?),
        result => result,
    };
    let mut stream = result.into_stream();
    // A body that comes in one piece is not copied.
    let mut first = Bytes::new();
    let mut rest = None;
    let mut found = 0;
    while let Some(chunk) = tokio::time::timeout(ANSWER, stream.next()).await.map_err(|_| Fault::timeout(ANSWER))? {
        let chunk = chunk?;
        found += chunk.len() as u64;
        if found > expected {
            return Err(Fault::Cut { expected, found });
        }
        pace.keep(chunk.len() as u64).await;
        if first.is_empty() && rest.is_none() {
            first = chunk;
            continue;
        }
        let rest = rest.get_or_insert_with(|| Whole::begin(length, &std::mem::take(&mut first)));
        rest.add(&chunk);
    }
    match found {
        found if found == expected => Ok(rest.map_or(first, Whole::freeze)),
        found => Err(Fault::Cut { expected, found }),
    }
}

/// Reads a large body from the file it lies in.
fn read_file(file: &File, from: u64, length: usize) -> Result<Bytes, Fault> {
    let mut buffer = Buffer::with_capacity(length);
    while buffer.len() < length {
        let at = from + buffer.len() as u64;
        match file.read_at(buffer.spare(), at) {
            Ok(0) => return Err(Fault::Cut { expected: length as u64, found: buffer.len() as u64 }),
            Ok(read) => buffer.filled(read),
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(Fault::io(cause)),
        }
    }
    Ok(buffer.freeze())
}

/// A body that came in several pieces.
enum Whole {
    Small(BytesMut),
    Large(Buffer),
}

impl Whole {
    fn begin(length: usize, first: &[u8]) -> Self {
        let mut whole = match length {
            0..LARGE => Self::Small(BytesMut::with_capacity(length)),
            _ => Self::Large(Buffer::with_capacity(length)),
        };
        whole.add(first);
        whole
    }

    fn add(&mut self, chunk: &[u8]) {
        match self {
            Self::Small(bytes) => bytes.extend_from_slice(chunk),
            Self::Large(buffer) => buffer.extend_from_slice(chunk),
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::Small(bytes) => bytes.freeze(),
            Self::Large(buffer) => buffer.freeze(),
        }
    }
}
