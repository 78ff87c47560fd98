//! How far a run has come, for a progress display.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that working threads feed and a display reads.
#[derive(Debug, Default)]
pub struct Meter {
    phase: Mutex<&'static str>,
    total: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
    travelled: AtomicU64,
    retries: AtomicU64,
}

/// What a [`Meter`] shows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is being done.
    pub phase: &'static str,
    /// Bytes expected in this phase; 0 when that is not known.
    pub total: u64,
    /// Bytes done in this phase.
    pub bytes: u64,
    /// Files done in this phase.
    pub files: u64,
    /// Stored bytes that travelled to or from the repository since the start of the program.
    pub travelled: u64,
    /// Requests to the repository that were made once more, since the start of the program.
    pub retries: u64,
}

impl Meter {
    /// Begins a phase: its counters start at 0.
    pub fn set_phase(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = phase;
        for counter in [&self.total, &self.bytes, &self.files] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Says how many bytes the phase will take.
    pub fn set_total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    /// Adds to the bytes that the phase will take.
    pub fn add_total(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes done.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts files done.
    pub fn add_files(&self, files: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
    }

    /// Counts stored bytes that travelled to or from the repository.
    pub fn add_travelled(&self, bytes: u64) {
        self.travelled.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a request that is made once more.
    pub fn add_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// What it shows now.
    pub fn read(&self) -> Reading {
        Reading {
            phase: *self.phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            total: self.total.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            travelled: self.travelled.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}
