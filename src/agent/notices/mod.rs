//! Whom the agent tells over the network how the runs of sources go: a heartbeat that somebody watches, and a webhook when something fails.
//!
//! Nothing waits for an address: [`post`] sends from a thread of its own what lies in a queue with a bound. An address may be a secret as a whole, so
//! whatever is said of it names its host alone.

mod address;
mod post;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;

pub use self::address::Address;
use self::post::{Letter, Post};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::error::chain;
use crate::ops::{Context, Error};
use crate::sys;

/// Where is told how runs go.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The heartbeats of sources that have one.
    pub heartbeats: BTreeMap<SourceName, Address>,
    /// Where failures of all sources go.
    pub webhook: Option<Address>,
}

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    Snapshot,
    Shipment,
}

/// A failure, as the webhook is told of it.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    schema: &'static str,
    node: &'a NodeName,
    source: &'a SourceName,
    work: Work,
    /// Which run, by the schedule; none where copies of earlier ones are shipped.
    run: Option<DateTime>,
    /// The snapshot that is not shipped, where one was taken by this run.
    snapshot: Option<SnapshotId>,
    time: Timestamp,
    error: String,
    next_try: Timestamp,
}

/// What is told of a failure.
pub(super) struct Trouble<'a> {
    pub(super) work: Work,
    pub(super) run: Option<DateTime>,
    pub(super) snapshot: Option<SnapshotId>,
    pub(super) error: &'a Error,
    pub(super) again: Duration,
}

/// The one who tells, over all configurations of an agent.
#[derive(Default)]
pub(super) struct Notices {
    addresses: Addresses,
    /// What fails now, by source.
    troubles: BTreeMap<SourceName, BTreeSet<Work>>,
    /// One way for each, so that no heartbeat that hangs keeps a failure from being told.
    heartbeats: Option<Post>,
    webhooks: Option<Post>,
}

impl Notices {
    /// Takes the addresses of a configuration up. Sources that it does not have any more are in no trouble.
    pub(super) fn take_up(&mut self, addresses: &Addresses, is_there: impl Fn(&SourceName) -> bool) {
        self.addresses = addresses.clone();
        self.troubles.retain(|source, _| is_there(source));
    }

    /// Whether something of this source fails, as far as was told.
    pub(super) fn is_in_trouble(&self, source: &SourceName) -> bool {
        self.troubles.contains_key(source)
    }

    /// A run begins.
    pub(super) fn begins(&mut self, ctx: &Context, source: &SourceName) {
        self.beat(ctx, source, Some("start"));
    }

    /// All that was taken of a source is shipped.
    pub(super) fn is_well(&mut self, ctx: &Context, source: &SourceName) {
        self.troubles.remove(source);
        let address = self.addresses.heartbeats.get(source);
        let others = self.troubles.keys().filter_map(|other| self.addresses.heartbeats.get(other));
        // One that several sources share would hide by each that comes through that another does not.
        if !others.into_iter().any(|other| Some(other) == address) {
            self.beat(ctx, source, None);
        }
    }

    /// A snapshot was taken: if the next one fails, that is news.
    pub(super) fn has_taken(&mut self, source: &SourceName) {
        if let Some(troubles) = self.troubles.get_mut(source) {
            troubles.remove(&Work::Snapshot);
        }
    }

    /// Something has failed, and is tried again. That somebody else is at work on the source is no failure.
    pub(super) fn fails(&mut self, ctx: &Context, source: &SourceName, trouble: &Trouble<'_>) {
        if matches!(trouble.error, Error::System(sys::Error::Locked { .. })) {
            return;
        }
        self.beat(ctx, source, Some("fail"));
        let is_new = self.troubles.entry(source.clone()).or_default().insert(trouble.work);
        let Some(address) = self.addresses.webhook.clone().filter(|_| is_new) else { return };
        let now = ctx.clock.now();
        let failure = Failure {
            schema: "windlass.failure/1",
            node: &ctx.node,
            source,
            work: trouble.work,
            run: trouble.run,
            snapshot: trouble.snapshot,
            time: now,
            error: chain(trouble.error),
            next_try: now.checked_add(trouble.again).unwrap_or(now),
        };
        let body = serde_json::to_vec(&failure).expect("plain JSON");
        self.send(ctx, Letter { what: "webhook", source: source.clone(), address, body: Some(body) });
    }

    fn beat(&mut self, ctx: &Context, source: &SourceName, part: Option<&str>) {
        let Some(address) = self.addresses.heartbeats.get(source) else { return };
        let address = part.map_or_else(|| address.clone(), |part| address.below(part));
        self.send(ctx, Letter { what: "heartbeat", source: source.clone(), address, body: None });
    }

    fn send(&mut self, ctx: &Context, letter: Letter) {
        let way = if letter.body.is_some() { &mut self.webhooks } else { &mut self.heartbeats };
        let source = letter.source.clone();
        if let Err(why) = way.get_or_insert_with(|| Post::open(&ctx.events)).send(letter) {
            ctx.warn(Some(&source), why);
        }
    }
}
