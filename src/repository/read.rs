//! Reading: exactly what was asked for, and never more held than was allowed.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt};

use super::Request;
use super::core::Core;
use super::error::Error;
use super::fault::Fault;
use super::patience::{ANSWER, within};

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
        let result = within(ANSWER, self.store.get_opts(path, options)).await.map_err(|fault| self.doubt_absence(fault))?;
        let length = result.range.end.saturating_sub(result.range.start);
        if length > at_most {
            return Err(Fault::TooLarge { at_most, found: length });
        }
        within(self.patience.transfer(length), body(result, length)).await
    }
}

/// Reads a body that must have exactly so many bytes.
async fn body(result: GetResult, expected: u64) -> Result<Bytes, Fault> {
    if matches!(result.payload, GetResultPayload::File(..)) {
        return Ok(result.bytes().await?);
    }
    let mut stream = result.into_stream();
    // A body that comes in one piece is not copied.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = tokio::time::timeout(ANSWER, stream.next()).await.map_err(|_| Fault::timeout(ANSWER))? {
        let chunk = chunk?;
        let found = (first.len() + rest.len() + chunk.len()) as u64;
        if found > expected {
            return Err(Fault::Cut { expected, found });
        }
        if first.is_empty() && rest.is_empty() {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            // The length was compared with the limit before.
            rest.reserve(usize::try_from(expected).map_err(|_| Fault::TooLarge { at_most: usize::MAX as u64, found: expected })?);
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&chunk);
    }
    let whole = if rest.is_empty() { first } else { rest.freeze() };
    match whole.len() as u64 {
        found if found == expected => Ok(whole),
        found => Err(Fault::Cut { expected, found }),
    }
}
