//! Files that cannot be given, because some of their bytes lie sound nowhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::record::{Want, Why};
use crate::format::digest::Digest;
use crate::format::entry::Entry;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::sys::table::Table;

/// Most files that are named: enough to see what is gone, few enough to read.
const NAMED: usize = 20;

/// A file that could not be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostFile {
    /// Its path in the snapshot, escaped.
    pub path: String,
    /// The pack or the local file that should have held its bytes.
    pub object: String,
    /// What is wrong with that.
    pub problem: String,
}

/// All files that are lost; which ones lies in a table on disk.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Digests of paths.
    paths: Option<Table>,
    /// What is wrong, of the first files in path order.
    first: BTreeMap<RelPath, (String, String)>,
    named: Vec<LostFile>,
    /// The first file of which bytes lie where they could not be read: it may be sound.
    unread: Option<(String, String)>,
    files: u64,
    bytes: u64,
}

impl Lost {
    /// Adds the file that needs these bytes; false when it was added before.
    pub(super) fn add(&mut self, want: &Want, object: String, why: &Why, work: &Path) -> Result<bool, Error> {
        if why.is_unread && self.unread.is_none() {
            self.unread = Some((object.clone(), format!("{}; `{}` needs it", why.text, want.path)));
        }
        let paths = match &mut self.paths {
            Some(paths) => paths,
            none => none.insert(Table::new(work, 0)?),
        };
        let path = Digest::of(want.path.as_bytes());
        if paths.get(path.as_bytes(), &mut [])? {
            return Ok(false);
        }
        paths.put(path.as_bytes(), &[])?;
        self.first.insert((*want.path).clone(), (object, why.text.to_string()));
        if self.first.len() > NAMED {
            self.first.pop_last();
        }
        Ok(true)
    }

    /// Whether the file of an entry, or the one that it is another name of, is lost. To be asked once for each entry, in order: it counts.
    pub(super) fn takes(&mut self, entry: &Entry) -> Result<bool, Error> {
        let Some(paths) = &self.paths else { return Ok(false) };
        let file = entry.link.as_ref().unwrap_or(&entry.path);
        if !paths.get(Digest::of(file.as_bytes()).as_bytes(), &mut [])? {
            return Ok(false);
        }
        self.files += 1;
        self.bytes += entry.size;
        if self.named.len() < NAMED {
            let (object, problem) = self.first.get(file).cloned().unwrap_or_default();
            self.named.push(LostFile { path: entry.path.to_escaped(), object, problem });
        }
        Ok(true)
    }

    /// How many names of files are lost, once all entries were seen.
    pub(crate) fn files(&self) -> u64 {
        self.files
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first 20 of them in path order.
    pub(crate) fn named(self) -> Vec<LostFile> {
        self.named
    }

    /// Fails when there is any of which it is not known that it is lost, because what may have its bytes could not be asked.
    ///
    /// # Errors
    /// [`Error::Unread`], or [`Error::Unasked`] where this is why the repository was not asked at all.
    pub(super) fn known(&self, unreachable: Option<&Arc<Error>>) -> Result<(), Error> {
        if let Some((object, problem)) = self.unread.clone() {
            return Err(Error::Unread { object, problem });
        }
        match (self.first.first_key_value(), unreachable) {
            (Some((path, (object, problem))), Some(cause)) => {
                let problem = format!("{problem}; `{path}` needs it");
                Err(Error::Unasked { object: object.clone(), problem, cause: cause.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Fails when there is any.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the object and the first file in path order.
    pub(super) fn none(&self) -> Result<(), Error> {
        match self.first.first_key_value() {
            Some((path, (object, problem))) => Err(Error::damaged(object, format!("{problem}; `{path}` needs it"))),
            None => Ok(()),
        }
    }
}
