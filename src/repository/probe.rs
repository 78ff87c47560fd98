//! The store probe: what the store really does, tried out under `probe/` in the very prefix that will be used.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use object_store::list::PaginatedListOptions;
use serde::Serialize;

use super::core::Core;
use super::error::Error;
use super::fault::Fault;
use super::listing::Listing;
use super::patience::{ANSWER, within};
use crate::format::key::PROBE;
use crate::sys::random;

/// Keys that the listing is tried with: more than two pages of [`PAGE`].
const KEYS: usize = 5;

/// Keys on a page when the paging is tried.
const PAGE: usize = 2;

/// Age in seconds from which a probe's key is no longer in use: no probe takes a day.
const LEFT_BEHIND: i64 = 24 * 3600;

/// How a store does one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should.
    Works,
    /// It answers as if it did, and does not.
    Ignored,
    /// It does something else, or fails.
    Broken,
    /// The credential may not.
    Denied,
    /// It could not be tried; the detail says why.
    NotTested,
}

/// How a store does one thing, with what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The judgement.
    pub verdict: Verdict,
    /// What was seen, as a sentence; empty where there is nothing to add.
    pub detail: String,
}

/// What a store really does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Whether a create leaves what already lies under the key, and says so.
    pub create_only: Finding,
    /// Whether a body that is not the one that was signed is refused and not kept.
    pub checksum: Finding,
    /// Whether a range of an object is exactly that range.
    pub ranged_read: Finding,
    /// Whether a listing in pages has every key exactly once.
    pub list_paging: Finding,
    /// Whether a deleted object is gone.
    pub delete: Finding,
    /// The store's clock minus this machine's, in seconds; `None` where nothing could be stored.
    pub clock_skew_seconds: Option<i64>,
}

impl Finding {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }

    fn works() -> Self {
        Self::new(Verdict::Works, "")
    }

    /// What an error means as a finding; one of the store as a whole, or a stop, stays an error.
    fn of(error: Error) -> Result<Self, Error> {
        match error {
            error if error.is_unreachable() || matches!(error, Error::Stopped { .. }) => Err(error),
            error if error.is_denied() => Ok(Self::new(Verdict::Denied, error.to_string())),
            error => Ok(Self::new(Verdict::Broken, error.to_string())),
        }
    }
}

/// A step's finding, where an error is one too.
fn found(outcome: Result<Finding, Error>) -> Result<Finding, Error> {
    outcome.or_else(Finding::of)
}

/// Runs the probe.
pub(super) async fn run(core: &Core) -> Result<Probe, Error> {
    let now = core.patience.clock.now();
    let utc = now.to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let folder = format!("{PROBE}{utc}-{}/", random::hex(&*core.patience.random, 8));
    let keys: Vec<String> = (0..KEYS).map(|n| format!("{folder}{n}")).collect();
    Run { core, folder, keys, newest: None }.steps().await
}

struct Run<'a> {
    core: &'a Core,
    folder: String,
    keys: Vec<String>,
    /// When the first object of this probe was stored, by the store's clock.
    newest: Option<Timestamp>,
}

impl Run<'_> {
    async fn steps(mut self) -> Result<Probe, Error> {
        let first = Bytes::from(format!("the first object of the probe {}", self.folder));
        if let Err(error) = self.core.create(&self.keys[0], first.clone()).await {
            return self.without_writing(Finding::of(error)?).await;
        }
        let skew = self.clock_skew().await;
        let create_only = found(self.create_only(&first).await);
        let checksum = found(self.checksum().await);
        let ranged_read = found(self.ranged_read(&first).await);
        let list_paging = found(self.list_paging().await);
        // Deleting comes last and is done whatever the steps before gave, so that nothing stays behind.
        let delete = found(self.delete().await);
        Ok(Probe {
            create_only: create_only?,
            checksum: checksum?,
            ranged_read: ranged_read?,
            list_paging: list_paging?,
            delete: delete?,
            clock_skew_seconds: skew?,
        })
    }

    /// What can be told of a store into which nothing may be written.
    async fn without_writing(&self, refused: Finding) -> Result<Probe, Error> {
        let not_tested = || Finding::new(Verdict::NotTested, "nothing could be stored to try it with");
        let list_paging = match self.listed().await {
            Ok(_) => Finding::new(Verdict::NotTested, "listing is allowed, but nothing could be stored to try paging with"),
            Err(error) => Finding::of(error)?,
        };
        Ok(Probe {
            create_only: refused,
            checksum: not_tested(),
            ranged_read: not_tested(),
            list_paging,
            delete: not_tested(),
            clock_skew_seconds: None,
        })
    }

    async fn clock_skew(&mut self) -> Result<Option<i64>, Error> {
        let now = self.core.patience.clock.now();
        match self.core.stat(&self.keys[0]).await {
            Ok(object) => {
                self.newest = object.map(|object| object.modified);
                Ok(self.newest.map(|modified| modified.as_second() - now.as_second()))
            }
            Err(error) => Finding::of(error).map(|_| None),
        }
    }

    /// Creates over the first object. The first answer proves nothing, so the second and the bytes are looked at.
    async fn create_only(&self, first: &Bytes) -> Result<Finding, Error> {
        let path = self.core.path(&self.keys[0])?;
        let second = Bytes::from_static(b"the second object of the probe, which must not be kept");
        let attempt = || async {
            match self.core.put_new(&path, &second, None).await {
                Err(Fault::Exists(_)) => Ok(false),
                // The first create was allowed: so there are credentials that may create and not write over anything.
                Err(Fault::Refused(refusal)) if refusal.status == 403 => Ok(false),
                outcome => outcome.map(|()| true),
            }
        };
        let accepted = self.core.retry(self.core.at("write", &self.keys[0]), attempt).await?;
        let at_most = (first.len() + second.len()) as u64;
        let kept = self.core.get(&self.keys[0], at_most).await? == *first;
        Ok(match (accepted, kept) {
            (false, true) => Finding::works(),
            (true, false) => Finding::new(Verdict::Ignored, "a create over an object was accepted and replaced it"),
            (true, true) => Finding::new(Verdict::Ignored, "a create over an object was accepted, though the object stayed"),
            (false, false) => Finding::new(Verdict::Broken, "a create over an object was refused and replaced it all the same"),
        })
    }

    /// Sends a body with one bit turned over after it was signed.
    async fn checksum(&self) -> Result<Finding, Error> {
        if self.core.pages.is_none() {
            return Ok(Finding::new(Verdict::NotTested, "only a body that travels over HTTP can be damaged on purpose"));
        }
        let path = self.core.path(&self.keys[1])?;
        let signed = Bytes::from_static(b"a body of the probe");
        let damaged = Bytes::from_static(b"a bodY of the probe");
        let attempt = || async {
            match self.core.put_new(&path, &signed, Some(damaged.clone())).await {
                // A transport fault and an overloaded store say nothing about checksums.
                Err(Fault::Refused(refusal)) if refusal.status < 500 && refusal.status != 429 => Ok(Some(refusal)),
                outcome => outcome.map(|()| None),
            }
        };
        let refusal = self.core.retry(self.core.at("write", &self.keys[1]), attempt).await?;
        let stored = self.core.stat(&self.keys[1]).await?.is_some();
        Ok(match (refusal, stored) {
            (Some(refusal), false) => Finding::new(Verdict::Works, format!("a damaged body was refused: {refusal}")),
            (Some(_), true) => Finding::new(Verdict::Broken, "a damaged body was refused and kept all the same"),
            (None, true) => Finding::new(Verdict::Ignored, "a damaged body was accepted"),
            (None, false) => Finding::new(Verdict::Broken, "a damaged body was accepted and not kept"),
        })
    }

    async fn ranged_read(&self, first: &Bytes) -> Result<Finding, Error> {
        // The step before may have replaced the object on a store that ignores create-only.
        let whole = self.core.get(&self.keys[0], first.len() as u64 * 2 + 100).await?;
        let range = 5..17;
        let read = self.core.get_range(&self.keys[0], range.clone()).await?;
        let right = whole.get(5..17).is_some_and(|expected| expected == read);
        Ok(if right { Finding::works() } else { Finding::new(Verdict::Broken, format!("other bytes came for the range {range:?}")) })
    }

    async fn list_paging(&self) -> Result<Finding, Error> {
        for key in &self.keys[2..] {
            self.core.create(key, Bytes::from_static(b"listed")).await?;
        }
        // The key of the checksum step is there only on stores that keep what they refuse.
        let mut listed = self.listed().await?;
        listed.retain(|key| *key != self.keys[1]);
        listed.sort();
        let mut expected = self.keys.clone();
        expected.remove(1);
        Ok(match listed == expected {
            true => Finding::works(),
            false => Finding::new(Verdict::Broken, format!("{} keys were stored and {} came in pages", expected.len(), listed.len())),
        })
    }

    /// The keys of the probe's folder, page by page where the store has pages.
    async fn listed(&self) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let Some(pages) = &self.core.pages else {
            let mut listing = Listing::new(self.core, &self.folder)?;
            while let Some(run) = listing.next_run().await? {
                keys.extend(run.into_iter().map(|object| object.key));
            }
            return Ok(keys);
        };
        let prefix = format!("{}/", self.core.path(self.folder.trim_end_matches('/'))?);
        let mut token = None;
        // A store whose pages never end must not hold the probe.
        for _ in 0..KEYS * 2 {
            let options = || PaginatedListOptions { max_keys: Some(PAGE), page_token: token.clone(), ..PaginatedListOptions::default() };
            let attempt = || async { within(ANSWER, pages.list_paginated(Some(&prefix), options())).await };
            let page = self.core.retry(self.core.at("list", &self.folder), attempt).await?;
            let names = page.result.objects.iter().filter_map(|meta| meta.location.filename());
            keys.extend(names.map(|name| format!("{}{name}", self.folder)));
            token = page.page_token;
            if token.is_none() {
                break;
            }
        }
        Ok(keys)
    }

    async fn delete(&self) -> Result<Finding, Error> {
        let mut finding = Finding::works();
        for key in &self.keys {
            let outcome = match self.core.delete(key).await {
                Ok(()) => self.core.stat(key).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(_)) => finding = Finding::new(Verdict::Ignored, format!("`{key}` was deleted and is still there")),
                Err(error) => finding = Finding::of(error)?,
            }
            if finding.verdict == Verdict::Denied {
                finding.detail.push_str("; the probe's keys stay behind");
                return Ok(finding);
            }
        }
        self.sweep().await?;
        Ok(finding)
    }

    /// Deletes what probes that were killed left behind: keys older than a day, by the store's own clock.
    async fn sweep(&self) -> Result<(), Error> {
        let Some(newest) = self.newest else { return Ok(()) };
        // One run of the listing is enough: a probe leaves five keys at most, and the next one comes with the next run.
        let run = Listing::new(self.core, PROBE)?.next_run().await?.unwrap_or_default();
        for object in run.iter().filter(|object| newest.as_second() - object.modified.as_second() > LEFT_BEHIND) {
            self.core.delete(&object.key).await?;
        }
        Ok(())
    }
}
