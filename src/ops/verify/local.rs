//! Looks at local copies: their lines against their SHA-256, their data against their lines.

use std::fs;
use std::sync::Arc;

use super::report::Report;
use crate::format::check::Level;
use crate::format::digest::Digest;
use crate::format::entry::{Kind, Piece};
use crate::format::line::Line;
use crate::format::names::SourceName;
use crate::format::path::RelPath;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::assemble::copy_lines;
use crate::ops::budget;
use crate::ops::copies::{Copies, Copy, LINES};
use crate::ops::data_folder::{DataFolder, Reader, problem_of};
use crate::ops::error::chain;
use crate::ops::lists::Lines;
use crate::ops::{Context, Error};
use crate::sys::ordered;

/// Blobs of one job.
const JOB_BLOBS: usize = 32;

/// Looks at every copy of a source, or at the ones of these ids.
pub(super) fn check_source(ctx: &Context, source: &SourceName, only: Option<&[SnapshotId]>, report: &mut Report) -> Result<(), Error> {
    let copies = Copies::read(ctx, source)?;
    let wanted = |id: SnapshotId| only.is_none_or(|only| only.contains(&id));
    for copy in copies.complete.iter().chain(&copies.future).filter(|copy| wanted(copy.id())) {
        match copy.hold(ctx) {
            Ok(_held) => check_and_note(ctx, copy, report)?,
            // It was one too many and has just been removed.
            Err(Error::Absent(_)) => continue,
            Err(error) => return Err(error),
        }
        report.local_copies += 1;
    }
    for broken in copies.broken.iter().filter(|copy| wanted(copy.id)) {
        report.local_fault(broken.dir.display().to_string(), &format!("{source}/{}", broken.id), broken.problem.as_str());
    }
    copies.strange.iter().for_each(|strange| report.unexpected(strange.clone()));
    Ok(())
}

/// Looks at a copy, and remembers beside it what was found.
fn check_and_note(ctx: &Context, copy: &Copy, report: &mut Report) -> Result<(), Error> {
    let before = report.faults.len();
    check_copy(ctx, copy, report)?;
    if report.faults.len() > before {
        copy.note_damage(ctx, format!("{} files of it were damaged or missing", report.faults.len() - before))
    } else if report.level > Level::Quick {
        copy.note_sound()
    } else {
        Ok(())
    }
}

fn check_copy(ctx: &Context, copy: &Copy, report: &mut Report) -> Result<(), Error> {
    let snapshot = format!("{}/{}", copy.record.source, copy.id());
    let mut lines = match copy_lines(copy) {
        Ok(lines) => lines,
        Err(error) if error.is_damage() || matches!(error, Error::File { .. }) => {
            let problem = super::manifests::of_damage(&error);
            report.local_fault(copy.dir.join(LINES).display().to_string(), &snapshot, problem.text);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    report.count(fs::metadata(copy.dir.join(LINES)).map_or(0, |meta| meta.len()));
    let data = match DataFolder::of_copy(&copy.data()) {
        Ok(data) => data,
        Err(cause) => {
            report.local_fault(copy.data().display().to_string(), &snapshot, chain(&cause));
            return Ok(());
        }
    };
    if report.level == Level::Quick {
        check_sizes(ctx, &mut lines, &data, &snapshot, report)
    } else {
        check_bytes(ctx, &mut lines, &data, &snapshot, report)
    }
}

/// Each file is there and has its size.
fn check_sizes(ctx: &Context, lines: &mut dyn Lines, data: &DataFolder, snapshot: &str, report: &mut Report) -> Result<(), Error> {
    while let Some(line) = lines.next_line()? {
        ctx.stop.check()?;
        let Line::Entry(entry) = line else { continue };
        if entry.kind != Kind::File {
            continue;
        }
        match data.size_of(&entry.path) {
            Ok(size) if size == entry.size => report.count(size),
            Ok(size) => {
                let problem = format!("it has {size} bytes and should have {}", entry.size);
                report.local_fault(data.name_of(&entry.path), snapshot, problem);
            }
            Err(cause) => report.local_fault(data.name_of(&entry.path), snapshot, problem_of(Err(cause))),
        }
    }
    Ok(())
}

/// A blob of a file, or the end of a file's content: nothing may follow there.
struct Part {
    path: Arc<RelPath>,
    offset: u64,
    blob: Option<(Digest, u32)>,
}

/// Each blob is read and hashed.
fn check_bytes(ctx: &Context, lines: &mut dyn Lines, data: &DataFolder, snapshot: &str, report: &mut Report) -> Result<(), Error> {
    let mut parts = Parts { lines, path: Arc::default(), offset: 0, files: 0 };
    let threads = budget::file_threads(ctx);
    let mut bytes = 0;
    ordered::run(
        threads,
        threads * 2,
        &mut || {
            ctx.stop.check()?;
            parts.next_job()
        },
        &|| (Reader::new(data), Vec::new()),
        &|(reader, buffer), job: Vec<Part>| job.into_iter().map(|part| check_part(data, reader, buffer, &part)).collect::<Vec<_>>(),
        &mut |checked| {
            for part in checked {
                match part {
                    Ok(length) => {
                        bytes += length;
                        ctx.meter.add_bytes(length);
                    }
                    Err((file, problem)) => report.local_fault(file, snapshot, problem),
                }
            }
            Ok::<(), Error>(())
        },
    )?;
    report.objects += parts.files;
    report.bytes += bytes;
    Ok(())
}

fn check_part(data: &DataFolder, reader: &mut Reader<'_>, buffer: &mut Vec<u8>, part: &Part) -> Result<u64, (String, String)> {
    let Some((digest, length)) = part.blob else {
        return match data.size_of(&part.path) {
            Ok(size) if size == part.offset => Ok(0),
            Ok(size) => Err((data.name_of(&part.path), format!("it has {size} bytes and should have {}", part.offset))),
            Err(cause) => Err((data.name_of(&part.path), problem_of(Err(cause)))),
        };
    };
    buffer.resize(length as usize, 0);
    match reader.read(&part.path, part.offset, buffer, &digest) {
        Ok(true) => Ok(u64::from(length)),
        outcome => Err((data.name_of(&part.path), problem_of(outcome))),
    }
}

struct Parts<'a> {
    lines: &'a mut dyn Lines,
    path: Arc<RelPath>,
    offset: u64,
    files: u64,
}

impl Parts<'_> {
    fn next_job(&mut self) -> Result<Option<Vec<Part>>, Error> {
        let mut job = Vec::new();
        while job.len() < JOB_BLOBS
            && let Some(line) = self.lines.next_line()?
        {
            if let Line::Entry(entry) = &line {
                if entry.kind != Kind::File {
                    continue;
                }
                (self.path, self.offset) = (Arc::new(entry.path.clone()), 0);
                self.files += 1;
                job.push(Part { path: self.path.clone(), offset: entry.size, blob: None });
            }
            for piece in line.content() {
                if let Piece::Blob { digest, length, .. } = *piece {
                    job.push(Part { path: self.path.clone(), offset: self.offset, blob: Some((digest, length)) });
                }
                self.offset += piece.length();
            }
        }
        Ok((!job.is_empty()).then_some(job))
    }
}
