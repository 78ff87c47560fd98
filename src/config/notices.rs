//! Where the agent tells how runs go, as it was written.

use super::file;
use super::mistake::Gatherer;
use super::secret::WrittenSecret;
use super::section::Section;
use crate::agent::notices::{Address, Addresses};
use crate::ops::spec::SourceSpec;
use crate::sys::environment::Environment;

/// The heartbeat of a source, or in `[agent]` of all that have none.
pub(super) fn heartbeat(section: &Section<'_, '_>, gather: &Gatherer<'_>) -> Option<WrittenSecret> {
    WrittenSecret::read(section, gather, ["heartbeat", "heartbeat_file", "heartbeat_env"])
}

/// Where failures go.
pub(super) fn webhook(section: &Section<'_, '_>, gather: &Gatherer<'_>) -> Option<WrittenSecret> {
    WrittenSecret::read(section, gather, ["webhook", "webhook_file", "webhook_env"])
}

/// What is meant: each source's own heartbeat, else that of `[agent]`.
pub(super) fn resolve(file: &file::File, sources: &[SourceSpec], environment: &dyn Environment, gather: &Gatherer<'_>) -> Addresses {
    let read = |written: &WrittenSecret| {
        let secret = written.look_up(environment, gather)?;
        let (at, key) = written.place();
        Address::read(secret.expose()).map_err(|why| gather.mistake(at, key, why)).ok()
    };
    let all = file.agent.heartbeat.as_ref().and_then(read);
    let of = |spec: &SourceSpec| {
        let own = file.sources.iter().find(|source| source.name.value == spec.name.as_str())?.heartbeat.as_ref();
        let address = own.map_or_else(|| all.clone(), read)?;
        Some((spec.name.clone(), address))
    };
    Addresses { heartbeats: sources.iter().filter_map(of).collect(), webhook: file.agent.webhook.as_ref().and_then(read) }
}
