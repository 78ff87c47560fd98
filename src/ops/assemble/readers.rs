//! The folders that are read for wanted bytes, under the same paths and at the same places.

use super::findings::Findings;
use super::record::Want;
use crate::ops::data_folder::{DataFolder, Reader, problem_of};

/// Reads wanted bytes from several folders, best first.
pub(super) struct Readers<'a> {
    readers: Vec<Reader<'a>>,
    findings: &'a Findings,
    buffer: Vec<u8>,
}

impl<'a> Readers<'a> {
    pub(super) fn new(places: &'a [DataFolder], findings: &'a Findings) -> Self {
        Self { readers: places.iter().map(Reader::new).collect(), findings, buffer: Vec::new() }
    }

    /// The wanted bytes from the first folder that has them, or `None`.
    pub(super) fn read(&mut self, want: &Want) -> Option<&[u8]> {
        self.buffer.resize(want.length as usize, 0);
        for reader in &mut self.readers {
            let outcome = reader.read(want.stored(), want.offset, &mut self.buffer, &want.digest);
            if matches!(outcome, Ok(true)) {
                return Some(&self.buffer);
            }
            if reader.place().is_copy() {
                self.findings.add(reader.place().name_of(want.stored()), problem_of(outcome));
            }
        }
        None
    }
}
