//! `snapshot`: takes a local copy of a source, then retires the copies that are one too many.
//!
//! [`admission`] looks for room first, [`survey`] at the source where that is needed, and [`freed`] says what the oldest copy would make;
//! [`taker`], [`sqlite`] and [`mysql`] receive what the source gives, cut and hashed by [`pieces`] while it is copied; [`writer`] writes the lines of
//! the copy.

pub(crate) mod admission;
mod cassandra;
mod checksums;
mod doubtful;
mod freed;
mod mysql;
mod pieces;
pub(crate) mod sqlite;
mod survey;
pub(super) mod tags;
mod taker;
mod writer;

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde::Serialize;

use self::cassandra::{clear_left_over, take_cassandra};
use self::mysql::take_mysql;
use self::pieces::Cutting;
use self::sqlite::take_sqlite;
use self::survey::Survey;
use self::taker::Lines;
use self::writer::Writer;
use super::copies::{self, Copies, Copy, DATA, LINES, PARTIAL, RECORD, Record};
use super::directory::directory;
use super::event::Event;
use super::facts::CONFIGURATION;
use super::last_failure::{self, Work};
use super::locks::{self, Use, Waiting};
use super::node::check_local_tier;
use super::retire::retire;
use super::spec::{SourceKind, SourceSpec};
use super::undo::cassandra::{Begun, settled};
use super::undo::recover;
use super::{AGENT, Context, Error, budget};
use crate::archive::Method;
use crate::format::head::ProblemCount;
use crate::format::limits::FORMAT_VERSION;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::source;
use crate::source::Problem;
use crate::source::cassandra::{DirectoryFacts, lost_directories};
use crate::source::directory::{Bringing, CopySettings};
use crate::sys::environment::temporary_folder;
use crate::sys::file;
use crate::sys::tree::{remove_tree, sync_filesystem};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How long to wait for another run on the source.
    pub wait: Waiting,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// A local copy that was taken, or in a dry run what would be.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The new snapshot; `None` in a dry run.
    pub id: Option<SnapshotId>,
    /// Regular files and hard links.
    pub files: u64,
    /// Their bytes; of a database in a dry run those of its files now.
    pub bytes: u64,
    /// Bytes that were (or would be) read; the rest was unchanged and shared with the copy before.
    pub read_bytes: u64,
    /// What went wrong while it was taken; empty when sound.
    pub problems: Vec<ProblemCount>,
    /// Copies that were (or would be) removed because they were one too many.
    pub removed: Vec<SnapshotId>,
}

/// Takes a local copy. A crash leaves none or a whole one, and never harms an older one.
///
/// # Errors
/// [`Error::Refused`] when there is too little space; what the source gives.
pub fn run(ctx: &Context, source: &SourceName, options: &Options) -> Result<Outcome, Error> {
    let spec = ctx.source(source)?;
    check_local_tier(ctx)?;
    if options.dry_run {
        return dry_run(ctx, spec);
    }
    let outcome = take(ctx, spec, options.wait);
    last_failure::remember(ctx, source, Work::Snapshot, outcome.as_ref().err());
    outcome
}

fn take(ctx: &Context, spec: &SourceSpec, wait: Waiting) -> Result<Outcome, Error> {
    let source = &spec.name;
    let _lock = locks::source(ctx, source, locks::Task::Snapshot, wait)?;
    recover(ctx, spec)?;
    // To settle what was broken off, the node was needed alone.
    let _beside = match &spec.kind {
        SourceKind::Cassandra(settings) => {
            Begun::check(ctx, spec)?;
            Some(settled(ctx, source, settings, ("snapshot", Use::Snapshot), wait)?)
        }
        _ => None,
    };
    let copies = Copies::read(ctx, source)?;
    copies::clear_partial(ctx, source, &copies)?;
    if let SourceKind::Cassandra(settings) = &spec.kind {
        clear_left_over(ctx, spec, settings)?;
    }
    ctx.phase(source, None, "scanning");
    admission::admit(ctx, spec, &copies)?;
    let copies = Copies::read(ctx, source)?;
    let id = copies::next_id(ctx, source)?;
    ctx.phase(source, Some(id), "copying");
    let folder = ctx.local()?.dir.join(source.as_str());
    let partial = folder.join(format!("{id}{PARTIAL}"));
    let (record, read_bytes) = match make(ctx, spec, id, &partial, &copies) {
        Ok(made) => made,
        Err(error) => {
            // What is left of it is of no use, and what matters is why it failed.
            let _ = remove_tree(&partial);
            return Err(error);
        }
    };
    std::fs::rename(&partial, folder.join(id.to_string())).map_err(Error::file("complete", &partial))?;
    file::sync_folder(&folder)?;
    ctx.tell(Event::SnapshotTaken { source: source.clone(), snapshot: id, files: record.files, bytes: record.bytes, read_bytes });
    ctx.phase(source, Some(id), "retention");
    let removed = retire(ctx, spec, false)?;
    Ok(Outcome {
        source: source.clone(),
        id: Some(id),
        files: record.files,
        bytes: record.bytes,
        read_bytes,
        problems: record.problems,
        removed,
    })
}

/// Makes a whole copy in a folder of its own, `snapshot.json` last, all of it flushed.
fn make(ctx: &Context, spec: &SourceSpec, id: SnapshotId, partial: &Path, copies: &Copies) -> Result<(Record, u64), Error> {
    let data = partial.join(DATA);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&data).map_err(Error::file("create the folder", &data))?;
    let previous = sound_previous(ctx, spec, copies)?;
    let (writer, read_bytes, facts) = match &spec.kind {
        SourceKind::Directory { .. } => take_directory(ctx, spec, partial, previous)?,
        SourceKind::Sqlite { path } => take_sqlite(ctx, spec, path, partial)?,
        SourceKind::Mysql(settings) => take_mysql(ctx, spec, settings, partial)?,
        SourceKind::Cassandra(settings) => take_cassandra(ctx, spec, settings, id, partial, previous)?,
    };
    let (files, entries, bytes) = (writer.files, writer.entries, writer.bytes);
    let (lines_sha256, problems) = writer.finish()?;
    let mut record = Record {
        format: FORMAT_VERSION,
        node: ctx.node.clone(),
        source: spec.name.clone(),
        kind: spec.kind.word().to_owned(),
        id,
        local_date: id.to_timestamp().to_zoned_datetime(ctx.clock.zone()).date(),
        agent: AGENT.to_owned(),
        files,
        entries,
        bytes,
        problems,
        lines_sha256,
        facts,
    };
    check_not_empty(spec, &record, copies)?;
    let emptied = emptied(ctx, spec, &record, copies);
    record.problems.extend(emptied);
    sync_filesystem(partial)?;
    let text = serde_json::to_vec_pretty(&record).expect("a record is plain JSON");
    file::write_new(&partial.join(RECORD), &text)?;
    Ok((record, read_bytes))
}

/// A source may rightly have become empty; far more often its disk is not mounted, or its databases were lost and only made again. It counts as a
/// problem, so that the newest copy that holds files, or tables, stays, however many empty ones follow.
fn emptied(ctx: &Context, spec: &SourceSpec, record: &Record, copies: &Copies) -> Option<ProblemCount> {
    let before = |count: &dyn Fn(&Record) -> u64| copies.complete.iter().rev().map(|copy| count(&copy.record)).find(|count| *count > 0);
    let message = if record.files == 0 {
        let before = before(&|record| record.files)?;
        format!("it holds no file, and the copy before has {before}: is its disk mounted at {}?", spec.kind.place())
    } else if tables(record) == Some(0) {
        let before = before(&|record| tables(record).unwrap_or_default())?;
        format!("it holds no table, and the copy before has {before}: were the databases at {} lost?", spec.kind.place())
    } else {
        told_lost(record, copies)?
    };
    ctx.warn(Some(&spec.name), message);
    Some(ProblemCount { kind: "emptied".to_owned(), count: 1 })
}

/// A data directory of a Cassandra node whose disk is not mounted comes up empty, and its rows are in no file of the snapshot. It is looked for in the
/// newest copy in which it had some.
fn told_lost(record: &Record, copies: &Copies) -> Option<String> {
    let directories = |record: &Record| -> Vec<DirectoryFacts> {
        record.facts.get("directories").and_then(|found| serde_json::from_value(found.clone()).ok()).unwrap_or_default()
    };
    let now = directories(record);
    if now.is_empty() {
        return None;
    }
    let sound = copies.complete.iter().rev().find(|copy| copy.record.problems.iter().all(|problem| problem.kind != "emptied"))?;
    let before = directories(&sound.record);
    let lost = lost_directories(&before, &now);
    let names: Vec<String> = lost.iter().map(|one| format!("{} ({} SSTables)", one.path, one.sstables)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "it holds nothing of {}, which had some when {} was taken and lies on another filesystem now: is its disk mounted?",
            names.join(", "),
            sound.record.id
        )
    })
}

/// How many tables the databases of a server had, whose dumps are files even where there are none.
fn tables(record: &Record) -> Option<u64> {
    let databases = record.facts.get("databases")?.as_array()?;
    databases.iter().map(|database| database.get("table_count")?.as_u64()).sum()
}

/// An empty backup of a source that is not empty is an error: a tree that could not be read at all is no snapshot.
fn check_not_empty(spec: &SourceSpec, record: &Record, copies: &Copies) -> Result<(), Error> {
    let lost: u64 = record.problems.iter().filter(|problem| problem.kind != Problem::CHANGED).map(|problem| problem.count).sum();
    let had_files = copies.latest().is_some_and(|copy| copy.record.files > 0);
    if record.files == 0 && lost > 0 {
        return Err(Error::Refused(format!(
            "nothing of `{}` could be read ({lost} problems), so there is no snapshot{}",
            spec.name,
            if had_files { "; the copies before are untouched" } else { "" }
        )));
    }
    Ok(())
}

/// The newest copy to share unchanged files with; one whose lines are damaged is passed over.
///
/// Copies share files, so where damage was found in one, the same bytes may lie in others that nobody looked at: only a copy that was
/// taken after that is shared with, and the next one is read anew from the source.
fn sound_previous<'c>(ctx: &Context, spec: &SourceSpec, copies: &'c Copies) -> Result<Option<&'c Copy>, Error> {
    let found = copies.complete.iter().filter_map(|copy| copy.damage.as_ref()).map(|damage| damage.time).max();
    let may_be_shared = |copy: &&Copy| copy.record.kind == spec.kind.word() && found.is_none_or(|found| copy.id().to_timestamp() > found);
    for copy in copies.complete.iter().rev().filter(may_be_shared) {
        match copy.lines() {
            Ok(_) => return Ok(Some(copy)),
            Err(error) if error.is_damage() => {
                ctx.warn(Some(&spec.name), format!("the local copy {} is damaged: {}", copy.id(), crate::ops::error::chain(&error)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

type Taken = (Writer, u64, serde_json::Value);

fn take_directory(ctx: &Context, spec: &SourceSpec, partial: &Path, previous: Option<&Copy>) -> Result<Taken, Error> {
    let directory = directory(ctx, spec)?;
    let work = ctx.state()?.work()?;
    let mut lines = Lines::new(ctx, &spec.name, &partial.join(LINES), previous)?;
    let shared = previous.map(Copy::data);
    let threads = budget::file_threads(ctx);
    let settings = CopySettings {
        bringing: Bringing::Copy,
        data: &partial.join(DATA),
        previous: shared.as_deref(),
        work: &work,
        threads,
        in_flight: threads + 1,
    };
    let content = |size: u64| Cutting::new(Method::ContentDefined, size, &work);
    source::directory::copy(&directory, &settings, &ctx.stop, &ctx.meter, &*ctx.clock, &content, &mut lines)?;
    let facts = facts(ctx, spec, serde_json::json!({}));
    let read_bytes = lines.read_bytes;
    Ok((lines.finish(), read_bytes, facts))
}

/// What a fresh node needs to know of a source; nothing in it changes from one snapshot to the next without reason.
fn facts(ctx: &Context, spec: &SourceSpec, of_kind: serde_json::Value) -> serde_json::Value {
    let mut facts = serde_json::json!({
        "kind": spec.kind.word(),
        "node": ctx.node,
        "agent": AGENT,
    });
    if !spec.written.is_null() {
        facts[CONFIGURATION] = spec.written.clone();
    }
    if let Some(path) = spec.kind.path() {
        facts["path"] = serde_json::json!(crate::format::escape::escape(path.as_os_str().as_encoded_bytes()));
    }
    if let SourceKind::Directory { exclude, cross_filesystems, .. } = &spec.kind {
        facts["exclude"] = serde_json::json!(exclude);
        facts["cross_filesystems"] = serde_json::json!(cross_filesystems);
    }
    if let (Some(all), serde_json::Value::Object(more)) = (facts.as_object_mut(), of_kind) {
        all.extend(more);
    }
    facts
}

/// Looks at the source and for room as a snapshot would, and writes nothing: no lock, no folder, no state. What does not fit into memory
/// lies in nameless files in the system's temporary folder.
fn dry_run(ctx: &Context, spec: &SourceSpec) -> Result<Outcome, Error> {
    ctx.phase(&spec.name, None, "scanning");
    let copies = Copies::read(ctx, &spec.name)?;
    let previous = sound_previous(ctx, spec, &copies)?;
    let survey = Survey::of(ctx, spec, previous, &temporary_folder())?;
    admission::would_admit(ctx, spec, &copies, survey.needed)?;
    Ok(Outcome {
        source: spec.name.clone(),
        id: None,
        files: survey.files,
        bytes: survey.bytes,
        read_bytes: survey.changed,
        problems: survey.problems,
        removed: retire(ctx, spec, true)?,
    })
}
