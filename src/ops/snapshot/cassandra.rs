//! Keyspaces of a Cassandra node as a snapshot: hard links to what the server holds still for us.

use std::fs;
use std::path::Path;

use super::checksums::Checksums;
use super::doubtful::Doubtful;
use super::pieces::Cutting;
use super::survey::Survey;
use super::taker::Lines;
use super::{Taken, facts, tags};
use crate::archive::Method;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::copies::{Copy, DATA, LINES};
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::scratch::Scratch;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::{Context, Error, budget, size};
use crate::source;
use crate::source::cassandra::{Earlier, Facts, Job, NodeConfig, Schema};
use crate::source::directory::{Bringing, CopySettings, Directory, Exclude, Taker};
use crate::sys::space::nearest_folder;
use crate::sys::stop::Stop;
use crate::sys::tree::remove_tree;

/// How often a snapshot is taken anew because the schema changed while it was taken. Whoever changes it all the while must hear of it.
const TRIES: u32 = 2;

/// Lets the node forget what killed runs had it hold. That comes before anybody looks for room: what it holds keeps what the node compacts away, and
/// would be in the way of the very run that clears it.
pub(super) fn clear_left_over(ctx: &Context, spec: &SourceSpec, settings: &CassandraSettings) -> Result<(), Error> {
    let noted = tags::noted(ctx, &spec.name)?;
    if noted.is_empty() {
        return Ok(());
    }
    Node { ctx, spec, settings, config: NodeConfig::of(settings)? }.clear(noted)
}

/// Has the node take a snapshot, links its files into the copy, lets the node forget it, and reads what is new.
pub(super) fn take_cassandra(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    id: SnapshotId,
    partial: &Path,
    previous: Option<&Copy>,
) -> Result<Taken, Error> {
    let data = partial.join(DATA);
    let node = Node { ctx, spec, settings, config: NodeConfig::of(settings)? };
    let doubtful = previous.map(|copy| Doubtful::of(ctx, copy, &ctx.state()?.work()?)).transpose()?;
    let mut tries = 1;
    let (mut facts_of_node, taken) = loop {
        match node.take(id, &data, doubtful.as_ref()) {
            Err(Error::Source(error @ source::Error::Moved { .. })) if tries < TRIES => {
                ctx.warn(Some(&spec.name), format!("{error}; it is taken once more"));
                tries += 1;
                empty(&data)?;
            }
            taken => break taken?,
        }
    };
    node.tell(&taken);
    facts_of_node.directories.clone_from(&taken.directories);
    // What a killed run had asked for may have come only now, while this one went on.
    if let Err(error) = clear_left_over(ctx, spec, settings) {
        let why = chain(&error);
        ctx.warn(
            Some(&spec.name),
            format!("the node still holds what an earlier run had asked for, which the next snapshot clears: {why}"),
        );
    }
    let mut checksums = read(ctx, spec, &data, partial, previous)?;
    for problem in taken.problems {
        checksums.problem(problem)?;
    }
    let lines = checksums.lines;
    let read_bytes = lines.read_bytes;
    let of_kind = serde_json::to_value(&facts_of_node).expect("facts are plain JSON");
    Ok((lines.finish(), read_bytes, facts(ctx, spec, of_kind)))
}

/// How much there is, of which everything is copied that can neither be linked nor is in the copy before. What is linked takes no room now, and
/// does once the node has compacted it away; as much must be free as the keyspaces have grown since the copy before.
pub(super) fn of_cassandra(ctx: &Context, settings: &CassandraSettings, previous: Option<&Copy>, work: &Path) -> Result<Survey, Error> {
    let config = NodeConfig::of(settings)?;
    let looked = source::cassandra::look(settings, &config, &ctx.stop)?;
    let local = ctx.local()?;
    let doubtful = previous.map(|copy| Doubtful::of(ctx, copy, work)).transpose()?;
    let has_doubts = |path: &str| doubtful.as_ref().map_or(Ok(true), |doubtful| doubtful.has(path));
    let earlier = doubtful.as_ref().map(|doubtful| Earlier::new(&doubtful.data, &has_doubts));
    let live = source::cassandra::live_size(&config, &looked.schema, nearest_folder(&local.dir), earlier.as_ref(), &ctx.stop)?;
    let held = previous.map_or(0, |copy| copy.record.bytes);
    let changed = live.bytes.saturating_sub(held);
    Ok(Survey { files: live.files, bytes: live.bytes, changed, needed: changed.max(live.unlinkable_bytes), problems: Vec::new() })
}

/// The node that a source is on.
struct Node<'a> {
    ctx: &'a Context,
    spec: &'a SourceSpec,
    settings: &'a CassandraSettings,
    config: NodeConfig,
}

impl Node<'_> {
    /// Takes the snapshot once. Whatever comes of it, the node is told to forget it.
    fn take(&self, id: SnapshotId, data: &Path, doubtful: Option<&Doubtful>) -> Result<(Facts, source::cassandra::Taken), Error> {
        let (ctx, name) = (self.ctx, &self.spec.name);
        let work = ctx.state()?.work()?;
        let scratch = Scratch::new(&work, &*ctx.random)?;
        let looked = source::cassandra::look(self.settings, &self.config, &ctx.stop)?;
        let tag = id.to_string();
        tags::note_of(ctx, name, id, &names(&looked.schema))?;
        let job = self.job(&tag, &scratch, &work);
        let mut again = || source::cassandra::look(self.settings, &self.config, &ctx.stop);
        let has_doubts = |path: &str| doubtful.map_or(Ok(true), |doubtful| doubtful.has(path));
        let earlier = doubtful.map(|doubtful| Earlier::new(&doubtful.data, &has_doubts));
        let taken = source::cassandra::take(&job, &looked, data, earlier.as_ref(), &mut again);
        // Also after a stop: what the node holds takes room as long as it holds it.
        match source::cassandra::clear(&Job { stop: &Stop::new(), ..job }, &names(&looked.schema)) {
            Ok(()) if taken.is_ok() => tags::forget(ctx, name, id)?,
            // What was asked for may still come, though nobody waits for it any more: the next run looks for it.
            Ok(()) => {}
            Err(error) => {
                let why = chain(&error);
                ctx.warn(Some(name), format!("the node still holds its snapshot {tag}, which the next snapshot of `{name}` clears: {why}"));
            }
        }
        Ok((looked.facts, taken?))
    }

    /// Work on the node under this tag.
    fn job<'b>(&'b self, tag: &'b str, scratch: &'b Scratch, work: &'b Path) -> Job<'b> {
        let Self { ctx, settings, config, .. } = self;
        Job { settings, config, tag, folder: scratch.path(), work, stop: &ctx.stop, meter: &ctx.meter }
    }

    /// Lets the node forget its snapshots with these tags, and forgets those of which nothing more can come.
    fn clear(&self, noted: Vec<SnapshotId>) -> Result<(), Error> {
        let (ctx, name) = (self.ctx, &self.spec.name);
        let work = ctx.state()?.work()?;
        let scratch = Scratch::new(&work, &*ctx.random)?;
        for id in noted {
            let mut keyspaces = tags::keyspaces(ctx, name, id)?;
            if keyspaces.is_empty() {
                keyspaces = names(&source::cassandra::look(self.settings, &self.config, &ctx.stop)?.schema);
            }
            let tag = id.to_string();
            source::cassandra::clear(&self.job(&tag, &scratch, &work), &keyspaces)?;
            if tags::is_old(ctx, id) {
                tags::forget(ctx, name, id)?;
            }
        }
        Ok(())
    }

    /// Says what an operator should know of a snapshot that is sound.
    fn tell(&self, taken: &source::cassandra::Taken) {
        let foreign = &taken.foreign;
        for (made_by, held) in [("auto", &foreign.auto), ("ephemeral", &foreign.ephemeral), ("others", &foreign.others)] {
            if let Some(example) = &held.example {
                let (source, example) = (self.spec.name.clone(), example.clone());
                self.ctx.tell(Event::Foreign { source, made_by, bytes: held.bytes, example });
            }
        }
        if let Some((path, why)) = &foreign.unseen.example {
            let more = match foreign.unseen.folders - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let message = format!(
                "how much room snapshots of others take is not known of {path}{more}: {why}. The snapshot is whole. Let Windlass look at it, or \
                 remove it if nobody needs it"
            );
            self.ctx.warn(Some(&self.spec.name), message);
        }
        if taken.copied_bytes > 0 {
            let message = format!(
                "{} were copied and not linked, which takes time and room: put `local.dir` on the filesystem of the data directories, and let \
                 Windlass run as the user of Cassandra or as root",
                size::in_words(taken.copied_bytes)
            );
            self.ctx.warn(Some(&self.spec.name), message);
        }
    }
}

fn names(schema: &Schema) -> Vec<String> {
    schema.keyspaces.iter().map(|keyspace| keyspace.name.clone()).collect()
}

/// Takes away what a try for nothing has brought.
fn empty(data: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(data).map_err(Error::file("read the folder", data))? {
        let path = entry.map_err(Error::file("read the folder", data))?.path();
        remove_tree(&path)?;
    }
    Ok(())
}

/// Reads and cuts what is not known from the copy before, and writes the lines of all.
fn read<'a>(ctx: &'a Context, spec: &SourceSpec, data: &Path, partial: &Path, previous: Option<&Copy>) -> Result<Checksums<'a>, Error> {
    let work = ctx.state()?.work()?;
    let shared = previous.map(Copy::data);
    let threads = budget::file_threads(ctx);
    let settings =
        CopySettings { bringing: Bringing::Links, data, previous: shared.as_deref(), work: &work, threads, in_flight: threads + 1 };
    let tree = Directory { root: data.to_owned(), exclude: Exclude::default(), cross_filesystems: false };
    let content = |size: u64| Cutting::new(Method::Fixed, size, &work).with_crc32();
    let mut checksums = Checksums::new(Lines::new(ctx, &spec.name, &partial.join(LINES), previous)?, data.to_owned());
    source::directory::copy(&tree, &settings, &ctx.stop, &ctx.meter, &*ctx.clock, &content, &mut checksums)?;
    Ok(checksums)
}
