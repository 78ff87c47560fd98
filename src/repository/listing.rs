//! Listing: in runs of bounded length, taken up again where it broke.

use std::sync::atomic::Ordering;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::Object;
use super::core::{Core, object};
use super::error::{At, Error};
use super::fault::Fault;
use super::patience::{ANSWER, within};

/// Most objects that are handed on at once; a page of S3 has as many.
const RUN: usize = 1000;

/// A listing under way.
pub(super) struct Listing<'a> {
    core: &'a Core,
    at: At,
    prefix: Path,
    stream: Option<BoxStream<'static, object_store::Result<ObjectMeta>>>,
    last: Option<Path>,
    /// The last key that was handed on before the listing was taken up again. Some stores begin anew all the same.
    behind: Option<Path>,
    /// Whether the keys ascended so far: only then can the listing go on behind the last one.
    ascends: bool,
    fault: Option<Fault>,
    tries: u32,
}

impl<'a> Listing<'a> {
    /// Begins to list all keys below a folder prefix, which ends in `/` or is empty.
    pub(super) fn new(core: &'a Core, folder: &str) -> Result<Self, Error> {
        let prefix = match folder.strip_suffix('/') {
            Some(inner) => core.path(inner)?,
            None if folder.is_empty() => core.prefix.clone(),
            None => return Err(Error::Key { key: folder.to_owned(), why: "a listing needs a folder, which ends in `/`" }),
        };
        Ok(Self { core, at: core.at("list", folder), prefix, stream: None, last: None, behind: None, ascends: true, fault: None, tries: 0 })
    }

    /// The next objects; `None` at the end.
    pub(super) async fn next_run(&mut self) -> Result<Option<Vec<Object>>, Error> {
        loop {
            let fault = match self.fault.take() {
                Some(fault) => fault,
                None => {
                    let patience = &self.core.patience;
                    let Ok(run) = patience.unless_stopped(self.try_run()).await else { return Err(self.stopped()) };
                    match run {
                        Ok(run) => return Ok(run),
                        Err(fault) => fault,
                    }
                }
            };
            self.stream = None;
            self.tries += 1;
            let resumable = self.last.is_none() || self.ascends;
            if !resumable || !self.core.goes_on(&fault, self.tries) {
                return Err(match fault.into_error(self.at.clone(), self.tries) {
                    // Only a bucket can be missing: an empty folder lists as empty.
                    Error::Absent { at } => Error::NoBucket { at },
                    error => error,
                });
            }
            if self.core.patience.wait(self.core.patience.wait_after(self.tries)).await.is_err() {
                return Err(self.stopped());
            }
            self.core.meter.add_retry();
        }
    }

    fn stopped(&self) -> Error {
        Error::Stopped { at: self.at.clone() }
    }

    async fn try_run(&mut self) -> Result<Option<Vec<Object>>, Fault> {
        self.core.check_folder()?;
        let core = self.core;
        if self.stream.is_none() {
            self.behind = self.last.clone();
        }
        let behind = self.behind.as_ref();
        let stream = self.stream.get_or_insert_with(|| {
            let stream = match behind {
                None => core.store.list(Some(&self.prefix)),
                Some(last) => core.store.list_with_offset(Some(&self.prefix), last),
            };
            stream.fuse().boxed()
        });
        let mut metas = Vec::new();
        let mut item = within(ANSWER, async { Ok::<_, Fault>(stream.next().await) }).await?;
        while let Some(result) = item {
            match result {
                Ok(meta) if behind.is_some_and(|last| meta.location <= *last) => {}
                Ok(meta) => metas.push(meta),
                // What came before it is handed on first.
                Err(error) => {
                    self.fault = Some(Fault::from(error));
                    break;
                }
            }
            if metas.len() == RUN {
                break;
            }
            item = match stream.next().now_or_never() {
                Some(item) => item,
                // Nothing but what was handed on before has come so far.
                None if metas.is_empty() => within(ANSWER, async { Ok::<_, Fault>(stream.next().await) }).await?,
                None => break,
            };
        }
        match self.fault.take() {
            Some(fault) if metas.is_empty() => return Err(fault),
            fault => self.fault = fault,
        }
        core.answered.store(true, Ordering::Relaxed);
        core.served.store(true, Ordering::Relaxed);
        self.tries = 0;
        if metas.is_empty() {
            // A folder that has vanished lists as empty.
            core.check_folder()?;
            return Ok(None);
        }
        Ok(Some(self.objects(&metas)))
    }

    fn objects(&mut self, metas: &[ObjectMeta]) -> Vec<Object> {
        let mut objects = Vec::with_capacity(metas.len());
        for meta in metas {
            self.ascends &= self.last.as_ref().is_none_or(|last| *last < meta.location);
            self.last = Some(meta.location.clone());
            objects.extend(self.relative(meta.location.as_ref()).map(|key| object(key.to_owned(), meta)));
        }
        objects
    }

    /// The key from the repository's root; nothing for the empty object by which some tools show that a folder exists.
    fn relative<'k>(&self, location: &'k str) -> Option<&'k str> {
        match self.core.prefix.as_ref() {
            "" => Some(location),
            prefix => location.strip_prefix(prefix)?.strip_prefix('/'),
        }
    }
}
