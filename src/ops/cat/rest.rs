//! The rest of a file of which neither the local copy nor the repository has the next bytes where they should lie.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::Output;
use crate::archive::Target;
use crate::format::path::RelPath;
use crate::ops::assemble::{self, Assembly, Findings, Gaps, Opened};
use crate::ops::scratch::Scratch;
use crate::ops::snapshots::Found;
use crate::ops::work::work_folder;
use crate::ops::{Context, Error, size};
use crate::sys::folder::Folder;

/// Bytes that are handed on at a time.
const BUFFER: usize = 256 << 10;

/// Puts the whole file together in a temporary folder, with bytes from wherever they lie, and writes what has not been written yet.
///
/// # Errors
/// [`Error::Damaged`] when some of its bytes are found nowhere; [`Error::Refused`] when there is no room for it.
pub(super) fn write(out: &mut Output<'_>, found: Found, path: &RelPath, findings: &Findings) -> Result<(), Error> {
    let ctx = out.ctx;
    let work = work_folder(ctx)?;
    let opened = assemble::open(ctx, found, &[], std::slice::from_ref(path), &work)?;
    let totals = assemble::Totals::of(&mut *(opened.lines)()?)?;
    let free = ctx.space.room(&work)?.free;
    if totals.solid > free {
        let [takes, free] = [totals.solid, free].map(size::in_words);
        let work = work.display();
        return Err(Error::Refused(format!("`{path}` has to be put together first, which takes {takes}; {work} has {free} free")));
    }
    // An open file outlives its name, so nothing stays behind when the run ends.
    let mut file = assembled(ctx, &opened, Scratch::new(&work, &*ctx.random)?.path(), path, &work)?;
    for (object, problem) in opened.take_findings(ctx) {
        findings.add(object, problem);
    }
    let failed = || Error::file("read a temporary file in", &work);
    file.seek(SeekFrom::Start(out.written)).map_err(failed())?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(failed())? {
            0 => return Ok(()),
            read => out.write(&buffer[..read])?,
        }
    }
}

/// The file, whole and verified.
fn assembled(ctx: &Context, opened: &Opened, folder: &Path, path: &RelPath, work: &Path) -> Result<File, Error> {
    // Only its bytes are of interest: owners and attributes are not.
    let target = Target::new(folder, false)?;
    let Opened { lines, places, tiers, findings, .. } = opened;
    Assembly { ctx, lines, places, tiers, gaps: Gaps::Refuse, target: &target, work, findings }.run()?;
    Folder::open(folder)?.open_file(path.as_bytes()).map_err(Error::file("open", folder))
}
