//! Several readers of one open file, each from a place of its own.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Reads a shared file from its beginning, whatever others read of it.
#[derive(Debug)]
pub struct Positioned {
    file: Arc<File>,
    at: u64,
}

impl Positioned {
    /// A reader that stands at the beginning.
    pub fn new(file: Arc<File>) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
