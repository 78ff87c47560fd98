//! The third pass: hard links, owners, modes and times; directories last, deepest first.

use super::{Assembly, Lost};
use crate::format::entry::{Entry, Kind};
use crate::format::line::Line;
use crate::ops::Error;
use crate::ops::budget;
use crate::ops::lists::Lines;
use crate::sys::ordered;
use crate::sys::sorter::Sorter;

/// Entries of one job.
const JOB_ENTRIES: usize = 64;

/// Memory for directories that wait for their turn, about 5,000 of them; more go to the disk.
const DIRECTORIES_BUDGET: usize = 1 << 20;

/// Gives all entries but the lost ones their links and metadata. All content is there and verified.
pub(super) fn finish(assembly: &Assembly<'_>, lost: &mut Lost) -> Result<(), Error> {
    let mut directories = Directories { sorter: Sorter::new(assembly.work, DIRECTORIES_BUDGET), after: u64::MAX };
    let mut lines = (assembly.lines)()?;
    let threads = budget::file_threads(assembly.ctx);
    ordered::run(
        threads,
        threads * 2,
        &mut || next_job(assembly, &mut *lines, &mut directories, lost),
        &|| (),
        &|(), job: Vec<Entry>| job.iter().try_for_each(|entry| finish_entry(assembly, entry)),
        &mut |finished| finished,
    )?;
    let mut sorted = directories.sorter.sorted()?;
    while let Some(record) = sorted.next()? {
        if let Line::Entry(entry) = Line::from_json(&record[8..]).map_err(Error::unreadable("a temporary file"))? {
            assembly.target.finish_directory(&entry)?;
        }
    }
    Ok(assembly.target.sync()?)
}

fn finish_entry(assembly: &Assembly<'_>, entry: &Entry) -> Result<(), Error> {
    assembly.target.link(entry)?;
    Ok(assembly.target.finish(entry)?)
}

fn next_job(
    assembly: &Assembly<'_>,
    lines: &mut dyn Lines,
    directories: &mut Directories,
    lost: &mut Lost,
) -> Result<Option<Vec<Entry>>, Error> {
    assembly.ctx.stop.check()?;
    let mut job = Vec::with_capacity(JOB_ENTRIES);
    while job.len() < JOB_ENTRIES {
        match lines.next_line()? {
            None => break,
            Some(Line::More(_)) => {}
            Some(Line::Entry(entry)) if entry.kind == Kind::Directory => directories.push(entry)?,
            Some(Line::Entry(entry)) if lost.takes(&entry)? => {}
            Some(Line::Entry(mut entry)) => {
                entry.content = Vec::new();
                job.push(entry);
            }
        }
    }
    Ok((!job.is_empty()).then_some(job))
}

/// Directories, to be given back last first.
struct Directories {
    sorter: Sorter,
    after: u64,
}

impl Directories {
    fn push(&mut self, entry: Entry) -> Result<(), Error> {
        self.after -= 1;
        let mut record = self.after.to_be_bytes().to_vec();
        let line = Line::Entry(entry);
        record.extend(line.to_json().map_err(Error::unreadable(line.path()))?);
        Ok(self.sorter.push(&record)?)
    }
}
