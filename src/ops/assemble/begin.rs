//! The first pass: every entry is made, and bytes that a folder on this machine has are written.

use std::collections::VecDeque;
use std::sync::Arc;

use super::lacks::{Lacks, NOWHERE};
use super::planner::Planner;
use super::readers::Readers;
use super::record::{Want, Why};
use super::{Assembly, Totals};
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::ops::budget;
use crate::ops::lists::Lines;
use crate::sys::ordered;

/// Blobs of one job: enough that handing it over costs little, few enough that the cores share the end of the work.
const JOB_BLOBS: usize = 32;
/// Small files of one job: those that are made in it are still open when their bytes come.
const JOB_FILES: usize = 8;
/// A file of at most so many pieces is made by the job that fills it; a larger one may be filled by several at once.
const SMALL_PIECES: usize = 4;

/// What a worker is to do next.
enum Step {
    /// Make this file, whose content is all here, and fill it.
    File(Box<Entry>, Option<Arc<RelPath>>),
    /// Fill this part of a file that is there.
    Blob(Want),
}

/// Makes all entries and writes what the folders have; the planner learns of the rest, or it is lacking where there is no repository.
pub(super) fn begin(assembly: &Assembly<'_>, planner: &mut Planner, lacks: &mut Lacks) -> Result<Totals, Error> {
    let mut steps = Steps { assembly, lines: (assembly.lines)()?, queue: VecDeque::new(), file: None, totals: Totals::default() };
    let threads = budget::file_threads(assembly.ctx);
    ordered::run(
        threads,
        threads * 2,
        &mut || steps.next_job(),
        &|| Readers::new(&assembly.places.before, assembly.findings),
        &|readers, job: Vec<Step>| job.into_iter().try_fold(Vec::new(), |missing, step| carry_out(assembly, readers, step, missing)),
        &mut |missing| {
            missing?.iter().try_for_each(|want| match assembly.places.store {
                Some(_) => planner.push(want),
                None => lacks.push(want, &Why::damaged(NOWHERE)),
            })
        },
    )?;
    Ok(steps.totals)
}

fn carry_out(assembly: &Assembly<'_>, readers: &mut Readers<'_>, step: Step, mut missing: Vec<Want>) -> Result<Vec<Want>, Error> {
    let mut fill = |want: Want| match readers.read(&want) {
        Some(bytes) => {
            assembly.ctx.meter.add_bytes(u64::from(want.length));
            assembly.put(&want, bytes)
        }
        None => {
            missing.push(want);
            Ok(())
        }
    };
    match step {
        Step::Blob(want) => fill(want)?,
        Step::File(entry, stored) => {
            let mut wants = OpenFile { path: Arc::new(entry.path.clone()), stored, offset: 0 }.wants(&entry.content);
            match wants.as_mut_slice() {
                // The usual small file is opened once, when its bytes are there.
                [want] if u64::from(want.length) == entry.size => want.whole = true,
                _ => assembly.target.begin(&entry)?,
            }
            wants.into_iter().try_for_each(fill)?;
        }
    }
    Ok(missing)
}

/// The file that the lines are in the middle of.
struct OpenFile {
    path: Arc<RelPath>,
    stored: Option<Arc<RelPath>>,
    offset: u64,
}

impl OpenFile {
    fn wants(&mut self, content: &[Piece]) -> Vec<Want> {
        let mut wants = Vec::with_capacity(content.len());
        for piece in content {
            if let Piece::Blob { digest, length, at } = *piece {
                let (path, stored) = (self.path.clone(), self.stored.clone());
                wants.push(Want { path, stored, offset: self.offset, length, digest, whole: false, at });
            }
            self.offset += piece.length();
        }
        wants
    }
}

/// Cuts the lines into jobs.
struct Steps<'a> {
    assembly: &'a Assembly<'a>,
    lines: Box<dyn Lines>,
    queue: VecDeque<Step>,
    file: Option<OpenFile>,
    totals: Totals,
}

impl Steps<'_> {
    fn next_job(&mut self) -> Result<Option<Vec<Step>>, Error> {
        self.assembly.ctx.stop.check()?;
        let (mut job, mut files, mut blobs) = (Vec::new(), 0, 0);
        while blobs < JOB_BLOBS && files < JOB_FILES {
            let Some(step) = self.next_step()? else { break };
            match &step {
                Step::File(entry, _) => (files, blobs) = (files + 1, blobs + entry.content.len()),
                Step::Blob(_) => blobs += 1,
            }
            job.push(step);
        }
        Ok((!job.is_empty()).then_some(job))
    }

    fn next_step(&mut self) -> Result<Option<Step>, Error> {
        loop {
            if let Some(step) = self.queue.pop_front() {
                return Ok(Some(step));
            }
            let Some(line) = self.lines.next_line()? else { return Ok(None) };
            self.totals.add(&line);
            match line {
                Line::Entry(entry) => self.entry(entry)?,
                Line::More(more) => {
                    if let Some(file) = &mut self.file {
                        self.queue.extend(file.wants(&more.content).into_iter().map(Step::Blob));
                    }
                }
            }
        }
    }

    fn entry(&mut self, entry: Entry) -> Result<(), Error> {
        self.assembly.ctx.meter.add_files(u64::from(matches!(entry.kind, Kind::File | Kind::HardLink)));
        let stored = self.lines.stored_as().cloned().map(Arc::new);
        let whole = entry.content.iter().map(Piece::length).sum::<u64>() == entry.size;
        if entry.kind == Kind::File && whole && entry.content.len() <= SMALL_PIECES {
            self.file = None;
            self.queue.push_back(Step::File(Box::new(entry), stored));
            return Ok(());
        }
        // Directories must be there before what is in them, and a large file before the jobs that fill it.
        self.assembly.target.begin(&entry)?;
        let mut file = OpenFile { path: Arc::new(entry.path.clone()), stored, offset: 0 };
        self.queue.extend(file.wants(&entry.content).into_iter().map(Step::Blob));
        self.file = Some(file);
        Ok(())
    }
}
