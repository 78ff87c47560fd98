//! The first place to look: the local copies of this node, of any source.

use std::cmp::Reverse;

use super::finder::Finder;
use crate::format::entry::Piece;
use crate::format::line::Line;
use crate::ops::Error;
use crate::ops::copies::{Copies, Copy, sources_with_copies};
use crate::ops::data_folder::{DataFolder, Reader};
use crate::ops::error::chain;
use crate::ops::facts::Facts;
use crate::ops::lists::Lines;

/// Looks through all copies, newest first: what is wanted of a snapshot is most likely in its neighbours.
pub(super) fn search(finder: &mut Finder<'_>) -> Result<(), Error> {
    let mut copies = Vec::new();
    let sources = match sources_with_copies(finder.ctx) {
        Ok(sources) => sources,
        Err(error) => return finder.miss("the local copies", error),
    };
    for source in sources {
        match Copies::read(finder.ctx, &source) {
            Ok(found) => copies.extend(found.complete.into_iter().chain(found.future)),
            Err(error) => finder.miss(&format!("the local copies of `{source}`"), error)?,
        }
    }
    copies.sort_by_key(|copy| Reverse(copy.id()));
    for copy in &copies {
        if finder.is_done() {
            break;
        }
        search_copy(finder, copy)?;
    }
    Ok(())
}

fn search_copy(finder: &mut Finder<'_>, copy: &Copy) -> Result<(), Error> {
    let name = copy.dir.display().to_string();
    let _held = match copy.hold(finder.ctx) {
        Ok(held) => held,
        Err(Error::Absent(_)) => return Ok(()),
        Err(error) => return finder.miss(&name, error),
    };
    // Facts that are too long are those of no snapshot that was shipped.
    if let Ok(facts) = Facts::new(&copy.record.facts)
        && finder.wanted.is_open(&facts.digest)?
    {
        finder.hand_on(&facts.digest, &facts.text, None, &name)?;
    }
    match DataFolder::of_copy(&copy.data()).and_then(|data| Ok((data, copy.lines()?))) {
        Ok((data, mut lines)) => search_lines(finder, &mut lines, &data, &name),
        Err(error) => pass_over(finder, &name, error),
    }
}

/// Reads what is wanted of a copy. Bytes that do not match are passed over without a word: `verify` names what is wrong with a copy.
fn search_lines(finder: &mut Finder<'_>, lines: &mut dyn Lines, data: &DataFolder, name: &str) -> Result<(), Error> {
    let (mut reader, mut buffer, mut offset) = (Reader::new(data), Vec::new(), 0);
    while !finder.is_done() {
        finder.ctx.stop.check()?;
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => return pass_over(finder, name, error),
        };
        if matches!(line, Line::Entry(_)) {
            offset = 0;
        }
        for piece in line.content() {
            if let Piece::Blob { digest, length, .. } = piece
                && finder.wanted.is_open(digest)?
            {
                buffer.resize(*length as usize, 0);
                if matches!(reader.read(line.path(), offset, &mut buffer, digest), Ok(true)) {
                    finder.hand_on(digest, &buffer, None, name)?;
                }
            }
            offset += piece.length();
        }
    }
    Ok(())
}

/// A copy that cannot be read is one place less, whatever the reason.
fn pass_over(finder: &mut Finder<'_>, name: &str, error: Error) -> Result<(), Error> {
    if error.is_stopped() {
        return Err(error);
    }
    finder.pass_over(name, &chain(&error));
    Ok(())
}
