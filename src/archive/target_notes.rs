//! What a target folder could not take, kept to be told.

use std::sync::{Mutex, PoisonError};

/// Notes that are kept as text; a file system that takes no attributes would give one for every file, and all say the same.
const KEPT: usize = 100;

/// The first notes, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<(Vec<String>, u64)>);

impl Notes {
    pub(super) fn add(&self, text: impl FnOnce() -> String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.1 += 1;
        if notes.0.len() < KEPT {
            notes.0.push(text());
        }
    }

    pub(super) fn kept(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_notes_are_kept_and_all_are_counted() {
        let notes = Notes::default();
        for number in 0..KEPT + 5 {
            notes.add(|| number.to_string());
        }
        assert_eq!((notes.kept().len(), notes.count()), (KEPT, KEPT as u64 + 5));
        assert_eq!(notes.kept()[0], "0");
    }
}
