//! Databases of a server as a snapshot: a dump for each, hashed and cut while it is written.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::admission::{LOOK_EVERY, still_room};
use super::pieces::Cutting;
use super::taker::Told;
use super::writer::Writer;
use super::{Taken, facts};
use crate::archive::Method;
use crate::format::entry::{Entry, Kind, Time};
use crate::format::path::RelPath;
use crate::ops::copies::{DATA, LINES};
use crate::ops::scratch::Scratch;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::undo::{Leftovers, site};
use crate::ops::{Context, Error};
use crate::source;
use crate::source::directory::Content;
use crate::source::mysql::{DUMP_FILE, Sink, TABLES_MAX, folder_of, identity, under_way};
use crate::sys::tree::remove_tree;

/// How often a dump is made anew because a definition or a table changed while it was made. Whoever changes them all the while must hear of it.
const TRIES: u32 = 2;

/// Bytes of a dump that are collected before they are written: a dump comes row by row, some hundred bytes each.
const BUFFER: usize = 64 << 10;

/// Has the dumps made, and writes their lines.
pub(super) fn take_mysql(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, partial: &Path) -> Result<Taken, Error> {
    let data = partial.join(DATA);
    let work = ctx.state()?.work()?;
    refuse_half_states(ctx, spec, settings)?;
    let mut tries = 1;
    let (files, taken) = loop {
        let mut files = Files::new(ctx, settings, &data, &work);
        // For the option file with the password; the next run clears it after a kill.
        let folder = Scratch::new(&work, &*ctx.random)?;
        match source::mysql::take(settings, folder.path(), &work, tries == TRIES, &ctx.stop, &mut files) {
            Err(Error::Source(error @ source::Error::Moved { .. })) if tries < TRIES => {
                ctx.warn(Some(&spec.name), format!("{error}; it is made once more"));
                tries += 1;
                files.discard()?;
            }
            taken => break (files, taken?),
        }
    };
    // One that has begun meanwhile has exchanged some tables, maybe, before the program came to them.
    refuse_half_states(ctx, spec, settings)?;
    let mut writer = Writer::create(&partial.join(LINES))?;
    let read_bytes = files.write(&mut writer)?;
    let said = taken.said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    if !said.is_empty() {
        ctx.warn(Some(&spec.name), format!("the dump program went well and said: {said}"));
    }
    if taken.facts.more_accounts > 0 {
        let more = taken.facts.more_accounts;
        ctx.warn(Some(&spec.name), format!("{more} more accounts have rights on these databases than the facts of the snapshot name"));
    }
    for database in taken.facts.databases.iter().filter(|database| database.table_count > TABLES_MAX as u64) {
        let (name, count) = (&database.name, database.table_count);
        ctx.warn(
            Some(&spec.name),
            format!(
                "`{name}` has {count} tables, and no more than {TABLES_MAX} can be moved at once: `restore` gives back single tables (--table), and the whole \
                 is loaded by hand (docs/OPERATIONS.md, A dump by hand)"
            ),
        );
    }
    let mut told = Told::new(ctx, &spec.name);
    for problem in taken.problems {
        writer.problem(problem.kind);
        told.tell(problem);
    }
    let of_kind = serde_json::to_value(&taken.facts).expect("facts are plain JSON");
    Ok((writer, read_bytes, facts(ctx, spec, of_kind)))
}

/// That no restore is under way beside these databases, or was broken off there, by whatever source or node: what is live may be half the old
/// state and half the new one. What restores of this source have left over was settled before, and stands in the way of nothing.
fn refuse_half_states(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings) -> Result<(), Error> {
    let marked = under_way(settings, &ctx.stop)?;
    if marked.is_empty() {
        return Ok(());
    }
    let (left, server) = (Leftovers::read(&site::folder(ctx, spec)?)?.unwrap_or_default(), identity(settings, &ctx.stop)?);
    match marked.iter().find(|name| !left.has(&server, name)) {
        None => Ok(()),
        Some(name) => Err(Error::Refused(format!(
            "there is a database `{name}` that this node does not remember (a restore into this server is running, or was broken off on another \
             node, by another source or with another `local.dir`), so that what is live may be half restored: let that be settled by a command \
             there, or remove it if nobody needs it; no snapshot was taken"
        ))),
    }
}

/// The files of all databases, which grow side by side.
struct Files<'a> {
    ctx: &'a Context,
    data: &'a Path,
    work: &'a Path,
    databases: &'a [String],
    open: Vec<Option<Dump>>,
    /// Bytes that were written since the room was looked at.
    unseen: u64,
}

struct Dump {
    file: BufWriter<File>,
    path: PathBuf,
    cutting: Cutting,
}

impl<'a> Files<'a> {
    fn new(ctx: &'a Context, settings: &'a MysqlSettings, data: &'a Path, work: &'a Path) -> Self {
        let open = settings.databases.iter().map(|_| None).collect();
        Self { ctx, data, work, databases: &settings.databases, open, unseen: 0 }
    }

    fn begin(&self, database: usize) -> Result<Dump, Error> {
        let folder = self.data.join(folder_of(&self.databases[database]));
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(Error::file("create the folder", &folder))?;
        let path = folder.join(DUMP_FILE);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(Error::file("create", &path))?;
        // Nobody knows how large it becomes; it is cut as a large file from its first bytes on.
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Dump { file, path, cutting: Cutting::new(Method::ContentDefined, u64::MAX, self.work) })
    }

    /// Removes what was written for nothing.
    fn discard(self) -> Result<(), Error> {
        for database in self.databases {
            remove_tree(&self.data.join(folder_of(database)))?;
        }
        Ok(())
    }

    /// Writes the lines, in the order of paths; gives how many bytes they stand for.
    fn write(mut self, writer: &mut Writer) -> Result<u64, Error> {
        let nothing = || super::pieces::Pieces::of(Vec::new());
        let now = self.ctx.clock.now();
        let mtime = Time { seconds: now.as_second(), nanoseconds: u32::try_from(now.subsec_nanosecond()).unwrap_or(0) };
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let entry = |path, kind, mode| Entry { mode, uid, gid, mtime, ..Entry::new(path, kind) };
        let mut folders: Vec<(RelPath, usize)> = Vec::new();
        for (at, database) in self.databases.iter().enumerate() {
            let folder = folder_of(database);
            folders.push((RelPath::new(folder.as_str()).map_err(Error::unreadable(&folder))?, at));
        }
        folders.sort();
        writer.entry(entry(RelPath::root(), Kind::Directory, 0o700), nothing())?;
        let mut bytes = 0;
        for (folder, at) in folders {
            let Some(mut dump) = self.open[at].take() else { continue };
            dump.file.flush().map_err(Error::file("write", &dump.path))?;
            let path = folder.join(DUMP_FILE.as_bytes()).map_err(Error::unreadable(DUMP_FILE))?;
            writer.entry(entry(folder, Kind::Directory, 0o700), nothing())?;
            let pieces = dump.cutting.finish()?;
            bytes += pieces.bytes;
            writer.entry(Entry { size: pieces.bytes, ..entry(path, Kind::File, 0o600) }, pieces)?;
        }
        Ok(bytes)
    }
}

impl Sink for Files<'_> {
    type Error = Error;

    fn write(&mut self, database: usize, bytes: &[u8]) -> Result<(), Error> {
        if self.open[database].is_none() {
            self.open[database] = Some(self.begin(database)?);
        }
        let dump = self.open[database].as_mut().expect("it has just been begun");
        dump.file.write_all(bytes).map_err(Error::file("write", &dump.path))?;
        dump.cutting.bytes(bytes);
        self.ctx.meter.add_bytes(bytes.len() as u64);
        self.unseen += bytes.len() as u64;
        if self.unseen >= LOOK_EVERY {
            self.unseen = 0;
            still_room(self.ctx)?;
        }
        Ok(())
    }
}
