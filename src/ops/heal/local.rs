//! Damaged local copies: made anew beside the damaged one, complete and flushed, then exchanged with it.
//!
//! Files that prove sound are linked from the damaged copy, so that what copies share stays shared; only the others are written, from
//! wherever their bytes lie sound. No file of any copy is written to.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::AtFlags;

use super::Options;
use super::outcome::{HealedCopy, Outcome, Unhealed};
use crate::archive::{LineWriter, Target};
use crate::format::digest::Digest;
use crate::format::entry::{Kind, Piece};
use crate::format::line::Line;
use crate::format::names::SourceName;
use crate::format::path::RelPath;
use crate::ops::assemble::{Assembly, Findings, Gaps, OpenLines, Places, Store, Totals, copy_lines, shipped_lines};
use crate::ops::copies::{self, Copies, Copy, DATA, LINES, PARTIAL, RECORD, Record};
use crate::ops::data_folder::{DataFolder, Reader};
use crate::ops::elsewhere::Tiers;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::lists::{Lines, digest_of};
use crate::ops::name::{SnapshotName, Which};
use crate::ops::snapshots::Found;
use crate::ops::work::work_folder;
use crate::ops::{Context, Error, locks, size};
use crate::sys::environment::temporary_folder;
use crate::sys::file;
use crate::sys::folder::Folder;
use crate::sys::lock::Lock;
use crate::sys::table::Table;
use crate::sys::tree::{remove_tree, sync_filesystem};

/// zstd level of lines that are written anew, as for every local copy.
const LEVEL: i32 = 1;

/// Heals these damaged copies of a source.
pub(super) fn heal(ctx: &Context, source: &SourceName, damaged: &[Copy], options: &Options, outcome: &mut Outcome) -> Result<(), Error> {
    let _lock = if options.dry_run { None } else { Some(locks::source(ctx, source, locks::Task::Heal, options.wait)?) };
    if !options.dry_run {
        copies::clear_partial(ctx, source, &Copies::read(ctx, source)?)?;
    }
    for copy in damaged {
        ctx.stop.check()?;
        let unhealed = |why: String, lost: Vec<String>, lost_files: u64| {
            let problem = copy.damage.as_ref().map_or("", |damage| damage.problem.as_str());
            Unhealed { lost, lost_files, ..Unhealed::of_copy(source, copy.id(), &copy.dir, problem, why) }
        };
        match heal_copy(ctx, copy, options.dry_run) {
            Ok(Done::Healed(files, bytes)) => {
                if !options.dry_run {
                    ctx.tell(Event::CopyHealed { source: source.clone(), snapshot: copy.id() });
                }
                outcome.copies.push(HealedCopy { source: source.clone(), id: copy.id(), files, bytes });
            }
            Ok(Done::Lost(named, files)) => {
                outcome.unhealed.push(unhealed("some of its bytes lie sound nowhere".to_owned(), named, files));
            }
            Ok(Done::Postponed(why)) => outcome.postponed.push((source.clone(), copy.id(), why)),
            Err(error) if error.is_damage() || matches!(error, Error::Absent(_)) => {
                outcome.unhealed.push(unhealed(chain(&error), Vec::new(), 0));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What came of one copy.
enum Done {
    /// So many files of so many bytes were written anew.
    Healed(u64, u64),
    /// So many files are found nowhere; the first of them.
    Lost(Vec<String>, u64),
    Postponed(String),
}

fn heal_copy(ctx: &Context, copy: &Copy, dry_run: bool) -> Result<Done, Error> {
    ctx.phase(&copy.record.source, Some(copy.id()), "verifying");
    let work = if dry_run { temporary_folder() } else { work_folder(ctx)? };
    let name = SnapshotName { source: Some(copy.record.source.clone()), which: Which::Prefix(copy.id().to_string()) };
    let found = Found::look_up(ctx, None, &name)?;
    let own_lines = copy_lines(copy).is_ok();
    let open: Box<OpenLines<'static>> = match (own_lines, &found.shipped) {
        (true, _) => {
            let copy = copy.clone();
            Box::new(move || Ok(Box::new(copy_lines(&copy)?) as Box<dyn Lines>))
        }
        (false, Some((remote, shipped))) => {
            let (remote, shipped) = (remote.clone(), shipped.clone());
            Box::new(move || shipped_lines(&remote, &shipped))
        }
        (false, None) => {
            return Err(Error::damaged(copy.dir.join(LINES).display(), "its list of files is damaged, and no other tier has it"));
        }
    };
    let old = DataFolder::of_copy(&copy.data()).ok();
    let proven = Arc::new(Proven::read(ctx, old.as_ref(), &*open, &work)?);
    if proven.files == 0 && own_lines && old.is_some() {
        if !dry_run {
            copy.note_sound()?;
        }
        return Ok(Done::Healed(0, 0));
    }
    if dry_run {
        return Ok(Done::Healed(proven.files, proven.bytes));
    }
    let room = ctx.space.room(&copy.dir)?.free;
    if proven.bytes > room {
        let (take, free) = (size::in_words(proven.bytes), size::in_words(room));
        return Ok(Done::Postponed(format!("its damaged files take {take}, and {free} are free")));
    }
    let partial = copy.dir.with_file_name(format!("{}{PARTIAL}", copy.id()));
    let made = make(ctx, copy, &found, &*open, own_lines, &proven, &partial, &work);
    let done = made.and_then(|made| match made {
        None => exchange(ctx, copy, &partial).map(|exchanged| match exchanged {
            None => Done::Healed(proven.files, proven.bytes),
            Some(why) => Done::Postponed(why),
        }),
        Some((named, files)) => Ok(Done::Lost(named, files)),
    });
    // After an exchange it is the damaged copy, else what was not completed.
    remove_tree(&partial)?;
    done
}

/// The files of a copy whose bytes were just read and are right.
struct Proven {
    /// Digests of their paths.
    paths: Table,
    /// How many files are not among them.
    files: u64,
    /// The bytes of those.
    bytes: u64,
}

impl Proven {
    fn read(ctx: &Context, old: Option<&DataFolder>, open: &OpenLines<'_>, work: &Path) -> Result<Self, Error> {
        let mut proven = Self { paths: Table::new(work, 0)?, files: 0, bytes: 0 };
        let mut reader = old.map(Reader::new);
        let (mut lines, mut buffer) = (open()?, Vec::new());
        let (mut entry, mut offset, mut sound): (Option<(RelPath, u64)>, u64, bool) = (None, 0, false);
        loop {
            ctx.stop.check()?;
            let line = lines.next_line()?;
            if !matches!(line, Some(Line::More(_)))
                && let Some((path, size)) = entry.take()
            {
                proven.judge(&path, size, sound)?;
            }
            let Some(line) = line else { return Ok(proven) };
            if let Line::Entry(new) = &line {
                if new.kind != Kind::File {
                    continue;
                }
                sound = old.is_some_and(|old| old.size_of(&new.path).is_ok_and(|size| size == new.size));
                (entry, offset) = (Some((new.path.clone(), new.size)), 0);
            }
            for piece in line.content() {
                if let (Piece::Blob { digest, length, .. }, true, Some(reader)) = (piece, sound, &mut reader) {
                    buffer.resize(*length as usize, 0);
                    sound = reader.read(line.path(), offset, &mut buffer, digest).unwrap_or(false);
                }
                offset += piece.length();
            }
        }
    }

    fn judge(&mut self, path: &RelPath, size: u64, sound: bool) -> Result<(), Error> {
        if sound {
            return Ok(self.paths.put(Digest::of(path.as_bytes()).as_bytes(), &[])?);
        }
        self.files += 1;
        self.bytes += size;
        Ok(())
    }

    fn has(&self, path: &RelPath) -> Result<bool, Error> {
        Ok(self.paths.get(Digest::of(path.as_bytes()).as_bytes(), &mut [])?)
    }
}

/// The lines of what must be written: folders, and files that are not proven, as a local copy keeps them.
struct Unproven {
    lines: Box<dyn Lines>,
    proven: Arc<Proven>,
    passing: bool,
}

impl Lines for Unproven {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        while let Some(mut line) = self.lines.next_line()? {
            if let Line::Entry(entry) = &mut line {
                self.passing = match entry.kind {
                    Kind::Directory => false,
                    Kind::File => self.proven.has(&entry.path)?,
                    _ => true,
                };
                entry.mode = if entry.kind == Kind::Directory { 0o700 } else { 0o600 };
                entry.xattrs.clear();
            }
            if !self.passing {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

/// Makes a whole copy in `partial`, its record last; gives the files that are found nowhere, if there are any.
#[expect(clippy::too_many_arguments, reason = "a copy is made of all of this")]
fn make(
    ctx: &Context,
    copy: &Copy,
    found: &Found,
    open: &OpenLines<'static>,
    own_lines: bool,
    proven: &Arc<Proven>,
    partial: &Path,
    work: &Path,
) -> Result<Option<(Vec<String>, u64)>, Error> {
    ctx.phase(&copy.record.source, Some(copy.id()), "copying");
    let data = partial.join(DATA);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&data).map_err(Error::file("create the folder", &data))?;
    let target = Target::new(&data, false)?;
    let lines = || Ok(Box::new(Unproven { lines: open()?, proven: Arc::clone(proven), passing: false }) as Box<dyn Lines>);
    let mut places = Places { before: DataFolder::of_copy(&copy.data()).into_iter().collect(), ..Places::default() };
    if let Some((remote, shipped)) = &found.shipped {
        let located = Box::new({
            let (remote, shipped) = (remote.clone(), shipped.clone());
            move || shipped_lines(&remote, &shipped)
        });
        places.store = Some(Store { remote: remote.clone(), node: found.node.clone(), located });
    }
    let tiers = Tiers { copies: true, repository: found.shipped.as_ref().map(|_| ctx.node.clone()) };
    let findings = Findings::default();
    let assembly =
        Assembly { ctx, lines: &lines, places: &places, tiers: &tiers, gaps: Gaps::LeaveOut, target: &target, work, findings: &findings };
    ctx.meter.set_total(Totals::of(&mut *lines()?)?.bytes);
    let assembled = assembly.run()?;
    let lost = assembled.lost.files();
    if lost > 0 {
        return Ok(Some((assembled.lost.named().into_iter().map(|file| file.path).collect(), lost)));
    }
    link_proven(ctx, copy, &mut *open()?, proven, &data)?;
    let mut record = copy.record.clone();
    if own_lines {
        let from = copy.dir.join(LINES);
        fs::copy(&from, partial.join(LINES)).map_err(Error::file("copy", from))?;
    } else {
        record.lines_sha256 = write_lines(&mut *open()?, &partial.join(LINES))?;
    }
    complete(partial, &record)?;
    Ok(None)
}

/// Links what is proven from the damaged copy; where links cannot be made, its bytes are copied.
fn link_proven(ctx: &Context, copy: &Copy, lines: &mut dyn Lines, proven: &Proven, data: &Path) -> Result<(), Error> {
    let (Ok(old), new) = (Folder::open(&copy.data()), Folder::open(data)?) else { return Ok(()) };
    while let Some(line) = lines.next_line()? {
        ctx.stop.check()?;
        let Line::Entry(entry) = line else { continue };
        if entry.kind != Kind::File || !proven.has(&entry.path)? {
            continue;
        }
        let path = entry.path.as_bytes();
        let linked = || -> std::io::Result<()> {
            let ((from, name), (to, _)) = (old.parent_of(path)?, new.parent_of(path)?);
            if rustix::fs::linkat(&*from, name, &*to, name, AtFlags::empty()).is_err() {
                std::io::copy(&mut old.open_file(path)?, &mut new.create_file(path, 0o600)?)?;
            }
            Ok(())
        };
        linked().map_err(Error::file("link", data.join(entry.path.to_escaped())))?;
    }
    Ok(())
}

/// Writes the lines of a copy from those of the repository: without places. Identities of the source's files are not known any more, so the
/// next snapshot reads them all.
fn write_lines(lines: &mut dyn Lines, path: &Path) -> Result<Digest, Error> {
    let file = fs::File::options().write(true).read(true).create_new(true).open(path).map_err(Error::file("create", path))?;
    let mut writer = LineWriter::new(std::io::BufWriter::new(file), LEVEL)?;
    while let Some(mut line) = lines.next_line()? {
        for piece in line.content_mut() {
            if let Piece::Blob { at, .. } = piece {
                *at = None;
            }
        }
        writer.write_line(&line.to_json().map_err(Error::unreadable(line.path()))?)?;
    }
    let mut file = writer.finish()?.into_inner().map_err(|error| Error::file("write", path)(error.into_error()))?;
    std::io::Seek::rewind(&mut file).map_err(Error::file("read", path))?;
    digest_of(&mut file).map_err(Error::file("read", path))
}

fn complete(partial: &Path, record: &Record) -> Result<(), Error> {
    sync_filesystem(partial)?;
    let text = serde_json::to_vec_pretty(record).expect("a record is plain JSON");
    Ok(file::write_new(&partial.join(RECORD), &text)?)
}

/// Lets the new copy and the damaged one change places, unless somebody reads that; gives why not.
fn exchange(ctx: &Context, copy: &Copy, partial: &Path) -> Result<Option<String>, Error> {
    let Some(_lock) = Lock::try_exclusive_quiet(&ctx.state()?.copy_lock(&copy.record.source, copy.id())?)? else {
        return Ok(Some("it is being read".to_owned()));
    };
    if !file::exchange(&copy.dir, partial)? {
        return Ok(Some(format!(
            "the filesystem of {} cannot exchange two folders: remove the copy with `windlass forget`",
            copy.dir.display()
        )));
    }
    file::sync_folder(copy.dir.parent().unwrap_or(Path::new("/")))?;
    // What is under the other name now is the damaged one, and is removed while nobody can begin to read it.
    remove_tree(partial)?;
    Ok(None)
}
