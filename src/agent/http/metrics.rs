//! The metrics: what stands on the board, what the meter shows and how things stood last, in the text that Prometheus reads.
//!
//! What is not known is left out; a metric never has a value that nobody has measured. Labels are `source`, `stage` and `tier`, so there are
//! as many series as the configuration has sources, times a dozen. docs/METRICS.md says what each one is, and a test compares the two.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text, text as openmetrics};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::super::board::{Facts, Tries};
use crate::format::names::SourceName;
use crate::ops::status::Outcome;
use crate::sys::meter::Reading;

/// What metrics are made of.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// What stands on the board.
    pub facts: Facts,
    /// For how long nothing has moved.
    pub still: Duration,
    /// What the meter shows.
    pub reading: Reading,
    /// Now, on the clock that is never set.
    pub monotonic: Duration,
    /// How old the newest snapshot of each source may get.
    pub objectives: BTreeMap<SourceName, Duration>,
    /// How things stood when it was looked last.
    pub outcome: Option<Outcome>,
    /// Whether the agent backs up anything.
    pub is_ready: bool,
}

/// In which text metrics are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older text of Prometheus, for whoever does not ask for the other one.
    Prometheus,
}

impl Format {
    /// What is wanted by who accepts these types.
    pub fn wanted<'t>(mut accepted: impl Iterator<Item = &'t str>) -> Self {
        if accepted.any(|types| types.contains("application/openmetrics-text")) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its type for HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics as text.
pub fn text(scrape: Scrape, format: Format) -> String {
    let mut registry = Registry::with_prefix("windlass");
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    let made = match format {
        Format::OpenMetrics => openmetrics::encode(&mut text, &registry),
        Format::Prometheus => prometheus_text::encode(&mut text, &registry),
    };
    made.expect("a text takes whatever is written");
    text
}

/// The labels of one series, and its value.
type Series = (Vec<(&'static str, String)>, f64);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut to = Writer(encoder);
        self.agent(&mut to)?;
        self.freshness(&mut to)?;
        self.work(&mut to)?;
        self.proof(&mut to)
    }
}

impl Scrape {
    /// The process and the node.
    fn agent(&self, to: &mut Writer<'_>) -> fmt::Result {
        let (facts, reading) = (&self.facts, &self.reading);
        to.gauge("agent_started_timestamp", "When the agent began", Some(Unit::Seconds), one(seconds(facts.started)))?;
        to.gauge("agent_ready", "Whether the agent backs up anything: 1 or 0", None, one(flag(self.is_ready)))?;
        let still = one(self.still.as_secs_f64());
        to.gauge("agent_still", "For how long neither its loop nor its work has moved", Some(Unit::Seconds), still)?;
        let busy = facts.doing.iter().map(|doing| {
            let since = self.monotonic.saturating_sub(doing.since_monotonic);
            (vec![("stage", doing.stage.word().to_owned())], since.as_secs_f64())
        });
        to.gauge("agent_busy", "For how long the step has been going on that goes on", Some(Unit::Seconds), busy)?;
        let travelled = one(reading.travelled as f64);
        to.counter("repository_transferred", "Stored bytes sent to and read from the repository", Some(Unit::Bytes), travelled)?;
        to.counter("repository_retries", "Requests to the repository made once more", None, one(reading.retries as f64))?;
        to.counter("prunes", "Prunes that have ended", None, one(facts.prunes.ended as f64))?;
        to.counter("prunes_failed", "Prunes that failed", None, one(facts.prunes.failed as f64))?;
        let pruned = facts.prunes.succeeded.map(seconds).into_iter().flat_map(one);
        to.gauge("prune_success_timestamp", "When a prune came through last", Some(Unit::Seconds), pruned)?;
        to.counter("removed_snapshots", "Snapshots removed from the repository", None, one(facts.removed as f64))
    }

    /// How things stand, by source.
    fn freshness(&self, to: &mut Writer<'_>) -> fmt::Result {
        let objectives = self.objectives.iter().map(|(name, objective)| (source(name), objective.as_secs_f64()));
        to.gauge("objective", "How old the newest snapshot may get", Some(Unit::Seconds), objectives)?;
        let newest = self.newest().into_iter().map(|((name, tier), time)| {
            let labels = vec![("source", name.to_string()), ("tier", tier.to_owned())];
            (labels, seconds(time))
        });
        to.gauge("snapshot_timestamp", "Of when the newest snapshot is", Some(Unit::Seconds), newest)?;
        let next = self.of_sources(|facts| facts.next.map(seconds));
        to.gauge("next_run_timestamp", "When the next run begins", Some(Unit::Seconds), next)?;
        to.gauge("snapshot_size", "Bytes of the newest local copy", Some(Unit::Bytes), self.of_sources(|of| Some(of.copy?.bytes as f64)))?;
        to.gauge("snapshot_files", "Files of the newest local copy", None, self.of_sources(|of| Some(of.copy?.files as f64)))?;
        let stored = self.of_sources(|of| Some(of.shipped?.1 as f64));
        to.gauge("snapshot_stored", "Stored bytes that the newest shipped snapshot needs", Some(Unit::Bytes), stored)?;
        let outcome = self.outcome.as_ref();
        let statuses = || outcome.into_iter().flat_map(|outcome| &outcome.sources);
        let copies = statuses().map(|status| (source(&status.source), status.copies as f64));
        to.gauge("local_copies", "Local copies", None, copies)?;
        let unshipped = statuses().filter_map(|status| Some((source(&status.source), status.unshipped? as f64)));
        to.gauge("unshipped_copies", "Local copies that are not in the repository", None, unshipped)?;
        let late = statuses().map(|status| (source(&status.source), flag(status.late)));
        to.gauge("late", "Whether the newest snapshot of either tier is older than the objective: 1 or 0", None, late)?;
        let wrong = statuses().map(|status| (source(&status.source), status.wrong.len() as f64));
        to.gauge("wrong", "How many things windlass status calls wrong with the source", None, wrong)?;
        let of_node = |value: &dyn Fn(&Outcome) -> f64| outcome.map(value).into_iter().flat_map(one);
        to.gauge("healthy", "Whether windlass status calls all well: 1 or 0", None, of_node(&|outcome| flag(outcome.healthy)))?;
        let free = of_node(&|outcome| outcome.free_bytes as f64);
        to.gauge("local_free", "Free bytes on the filesystem of local copies", Some(Unit::Bytes), free)?;
        let looked = of_node(&|outcome| seconds(outcome.time));
        to.gauge("status_timestamp", "Of when the metrics are that windlass status says", Some(Unit::Seconds), looked)
    }

    /// What was done since the agent began, by source.
    fn work(&self, to: &mut Writer<'_>) -> fmt::Result {
        to.counter("steps", "Snapshots and shipments that have ended", None, self.of_tries(|tries| Some(tries.ended as f64)))?;
        to.counter("steps_failed", "Snapshots and shipments that failed", None, self.of_tries(|tries| Some(tries.failed as f64)))?;
        let in_a_row = self.of_tries(|tries| Some(tries.failed_in_a_row as f64));
        to.gauge("failed_in_a_row", "Tries that failed since one came through", None, in_a_row)?;
        let took = self.of_tries(|tries| Some(tries.took?.as_secs_f64()));
        to.gauge("step_duration", "How long the last one took that ended", Some(Unit::Seconds), took)?;
        let succeeded = self.of_tries(|tries| tries.succeeded.map(seconds));
        to.gauge("step_success_timestamp", "When one came through last", Some(Unit::Seconds), succeeded)?;
        let read = self.of_sources(|facts| Some(facts.read_bytes as f64));
        to.counter("read", "Bytes read of the source", Some(Unit::Bytes), read)?;
        let unchanged = self.of_sources(|facts| Some(facts.unchanged_bytes as f64));
        to.counter("unchanged", "Bytes of its snapshots that were not read, being unchanged", Some(Unit::Bytes), unchanged)?;
        let shipped = self.of_sources(|facts| Some(facts.added_bytes as f64));
        to.counter("shipped", "Stored bytes that its shipments added", Some(Unit::Bytes), shipped)?;
        let reused = self.of_sources(|facts| Some(facts.reused_bytes as f64));
        to.counter("reused", "Stored bytes that its shipments needed and found there", Some(Unit::Bytes), reused)?;
        let problems = self.of_sources(|facts| Some(facts.problems as f64));
        to.counter("problems", "Files that could not be taken as they were", None, problems)
    }

    /// What of the repository is proven.
    fn proof(&self, to: &mut Writer<'_>) -> fmt::Result {
        let facts = &self.facts;
        let covered = || facts.covered.iter();
        let share = covered().flat_map(|covered| one(covered.covered as f64 / covered.parts as f64));
        to.gauge("verified_ratio", "Share of the parts of what is stored that were read within the time asked for", None, share)?;
        let oldest = covered().flat_map(|covered| one(seconds(covered.oldest)));
        to.gauge("oldest_unverified_timestamp", "Since when the part waits that waits for longest", Some(Unit::Seconds), oldest)?;
        to.counter("verified", "Stored bytes that were read again", Some(Unit::Bytes), one(facts.verified_bytes as f64))?;
        to.counter("verifications", "Verifications that have ended", None, one(facts.verifications.ended as f64))?;
        to.counter("verifications_failed", "Verifications that failed", None, one(facts.verifications.failed as f64))?;
        let verified = facts.verifications.succeeded.map(seconds).into_iter().flat_map(one);
        to.gauge("verification_success_timestamp", "When a verification came through last", Some(Unit::Seconds), verified)?;
        let damaged = facts.damaged.into_iter().flat_map(|damaged| one(damaged as f64));
        to.gauge("damaged_objects", "Objects known to be damaged that nothing has mended", None, damaged)?;
        to.counter("mended", "Snapshots and local copies that were made sound again", None, one(facts.mended as f64))
    }

    /// Of when the newest snapshot of each source and tier is: what was looked up last, or what this agent has made since.
    fn newest(&self) -> BTreeMap<(&SourceName, &'static str), Timestamp> {
        let mut newest: BTreeMap<(&SourceName, &'static str), Timestamp> = BTreeMap::new();
        let mut add = |source, tier, time: Option<Timestamp>| {
            let Some(time) = time else { return };
            let known = newest.entry((source, tier)).or_insert(time);
            *known = time.max(*known);
        };
        for status in self.outcome.iter().flat_map(|outcome| &outcome.sources) {
            add(&status.source, LOCAL, status.snapshot.map(|id| id.to_timestamp()));
            add(&status.source, SHIPPED, status.shipped.map(|id| id.to_timestamp()));
        }
        // What was made before it was looked may be gone since.
        let is_news = |time: &Timestamp| self.outcome.as_ref().is_none_or(|outcome| *time > outcome.time);
        for (source, facts) in &self.facts.sources {
            add(source, LOCAL, facts.copy.map(|copy| copy.id.to_timestamp()).filter(is_news));
            add(source, SHIPPED, facts.shipped.map(|(id, _)| id.to_timestamp()).filter(is_news));
        }
        newest
    }

    fn of_sources<'a>(
        &'a self,
        value: impl Fn(&super::super::board::SourceFacts) -> Option<f64> + 'a,
    ) -> impl Iterator<Item = Series> + 'a {
        self.facts.sources.iter().filter_map(move |(name, facts)| Some((source(name), value(facts)?)))
    }

    fn of_tries<'a>(&'a self, value: impl Fn(&Tries) -> Option<f64> + Copy + 'a) -> impl Iterator<Item = Series> + 'a {
        self.facts.sources.iter().flat_map(move |(name, facts)| {
            facts.tries.iter().filter_map(move |(stage, tries)| {
                let labels = vec![("source", name.to_string()), ("stage", stage.word().to_owned())];
                Some((labels, value(tries)?))
            })
        })
    }
}

/// The tier on the node.
const LOCAL: &str = "local";
/// The one in the repository.
const SHIPPED: &str = "shipped";

fn source(name: &SourceName) -> Vec<(&'static str, String)> {
    vec![("source", name.to_string())]
}

/// A metric without labels.
fn one(value: f64) -> impl Iterator<Item = Series> {
    std::iter::once((Vec::new(), value))
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// An instant as Prometheus counts.
fn seconds(instant: Timestamp) -> f64 {
    instant.as_millisecond() as f64 / 1000.0
}

/// Writes one metric after the other; one without any series is left out.
struct Writer<'e>(DescriptorEncoder<'e>);

impl Writer<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, series: impl Iterator<Item = Series>) -> fmt::Result {
        self.family(name, help, unit, series, ConstGauge::<f64>::new)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<Unit>, series: impl Iterator<Item = Series>) -> fmt::Result {
        self.family(name, help, unit, series, ConstCounter::<f64>::new)
    }

    fn family<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        series: impl Iterator<Item = Series>,
        of: impl Fn(f64) -> M,
    ) -> fmt::Result {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), of(0.0).metric_type())?;
        for (labels, value) in series {
            if labels.is_empty() {
                return of(value).encode(family);
            }
            of(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
