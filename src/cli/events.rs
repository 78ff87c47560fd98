//! What a long run reports while it goes on: lines of JSON for scripts, sentences for people.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::human;
use super::output::Output;
use crate::ops::event::Event;

/// Problems with single files that are named without `-v`: a tree that changes all the time must not bury everything else.
const PROBLEMS_SHOWN: usize = 20;

/// Whom a verb tells of events.
pub(super) fn listener(output: &Arc<Output>) -> Arc<dyn Fn(Event) + Send + Sync> {
    let output = Arc::clone(output);
    let problems = AtomicUsize::new(0);
    Arc::new(move |event| {
        if matches!(event, Event::Damage { .. }) {
            output.note_damage();
        }
        if matches!(event, Event::RunBegun { .. } | Event::AskedRunBegun { .. }) {
            problems.store(0, Ordering::Relaxed);
        }
        if output.json {
            return output.event(&event);
        }
        match event {
            Event::Damage { source, message, .. } => output.warning(format!("{source}: {message}")),
            Event::Warning { source: Some(source), message } => output.warning(format!("{source}: {message}")),
            Event::Warning { source: None, message } => output.warning(message),
            Event::Problem { source, kind, path, detail } => {
                let before = problems.fetch_add(1, Ordering::Relaxed);
                if before < PROBLEMS_SHOWN || output.is_verbose() {
                    output.warning(format!("{source}: {path} {kind}: {detail}"));
                } else if before == PROBLEMS_SHOWN {
                    output.warning(format!("{source}: more files have problems; -v names all of them"));
                }
            }
            // What an agent does is said: nobody asked for it at a terminal, and somebody will look for it in a log.
            Event::Scheduled { .. }
            | Event::Reloaded
            | Event::RunBegun { .. }
            | Event::RunEnded { .. }
            | Event::AskedRunBegun { .. }
            | Event::AskedRunEnded { .. }
            | Event::Mended { .. } => output.note(sentence(&event)),
            event => output.detail(sentence(&event)),
        }
    })
}

/// A step in words.
fn sentence(event: &Event) -> String {
    match event {
        Event::Phase { source, snapshot: Some(snapshot), phase } => format!("{source}/{snapshot}: {phase}"),
        Event::Phase { source, snapshot: None, phase } => format!("{source}: {phase}"),
        Event::SnapshotTaken { source, snapshot, files, bytes, .. } => {
            format!("{source}/{snapshot}: the local copy is complete, {}, {}", human::count(*files, "file"), human::bytes(*bytes))
        }
        Event::Foreign { source, made_by, bytes, example } => {
            format!("{source}: snapshots that are not ours ({made_by}) hold {}, one is `{example}`", human::bytes(*bytes))
        }
        Event::CopyRemoved { source, snapshot, why } => format!("{source}/{snapshot}: the local copy was removed: {why}"),
        Event::Shipped { source, snapshot, added_bytes, stored_bytes } => {
            let (added, stored) = (human::bytes(*added_bytes), human::bytes(*stored_bytes));
            format!("{source}/{snapshot}: shipped, {added} added, {stored} in all")
        }
        Event::Healed { source, snapshot, n, added_bytes } => {
            format!("{source}/{snapshot}: written again as number {n}, {} added", human::bytes(*added_bytes))
        }
        Event::CopyHealed { source, snapshot } => format!("{source}/{snapshot}: the local copy is sound again"),
        Event::Removed { source, snapshot, why } => format!("{source}/{snapshot}: removed from the repository: {why}"),
        Event::Restored { source, snapshot: Some(snapshot) } => format!("{source}: holds {snapshot} again"),
        Event::Restored { source, snapshot: None } => format!("{source}: what was there before is back"),
        Event::Scheduled { source, next: Some(next) } => format!("{source}: the next run is at {next}"),
        Event::Scheduled { source, next: None } => format!("{source}: the agent leaves it alone"),
        Event::Reloaded => "the configuration was read again and is in force".to_owned(),
        Event::RunBegun { source, due, late_seconds } => {
            let late = std::time::Duration::from_secs(u64::try_from(*late_seconds).unwrap_or(0));
            format!("{source}: the run of {due} begins, {} after it was due", human::duration(late))
        }
        Event::RunEnded { source, due, is_shipped, next } => {
            format!("{source}: the run of {due} is done, {}", run_ended(*is_shipped, *next))
        }
        Event::AskedRunBegun { source } => format!("{source}: a run that was asked for begins"),
        Event::AskedRunEnded { source, is_shipped, next } => {
            format!("{source}: the run that was asked for is done, {}", run_ended(*is_shipped, *next))
        }
        Event::ReadAgain { parts, bytes, covered } => {
            let (parts, bytes) = (human::count(*parts as u64, "part"), human::bytes(*bytes));
            format!(
                "read again and as they should be, but for what is said: {parts}, {bytes}; {} of {} are covered",
                covered.covered, covered.parts
            )
        }
        Event::Compared { objects, damaged } => {
            format!("{} compared with the manifests, {} damaged", human::count(*objects, "object"), human::number(*damaged))
        }
        Event::Mended { healed, unhealed } => {
            format!("{} sound again, {} as damaged as before", human::count(*healed, "snapshot"), human::number(*unhealed))
        }
        Event::Warning { message, .. } | Event::Damage { message, .. } => message.clone(),
        Event::Problem { path, kind, .. } => format!("{path} {kind}"),
    }
}

/// What came of a run of the agent, and when the next one is.
fn run_ended(is_shipped: bool, next: Option<jiff::Timestamp>) -> String {
    let what = if is_shipped { "a snapshot was taken and shipped" } else { "a snapshot was taken and not shipped yet" };
    let next = next.map_or_else(|| "there is no other run".to_owned(), |next| format!("the next run is at {next}"));
    format!("{what}; {next}")
}
