//! The journal: what is under way, in one small file.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Operation, Placement, crash};
use crate::source::Error;
use crate::sys::file::{replace_private, sync_folder, write_new};

/// Version of the journal.
const FORMAT: u32 = 1;

/// How far an operation has come that takes more than one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::source) enum Step {
    /// What is live is being taken out, or the one exchange is about to happen: can be taken back.
    Out,
    /// Everything old is out, the new is going in: is finished.
    In,
    /// The new is in: what survives is carried over, and things are tidied.
    Tidy,
}

/// What is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::source) struct Record {
    format: u32,
    pub(in crate::source) operation: Operation,
    /// Inode of what was live; `None` when nothing was.
    pub(in crate::source) old: Option<u64>,
    /// Inode of what becomes live; `None` when nothing does.
    pub(in crate::source) new: Option<u64>,
    pub(in crate::source) step: Step,
    pub(in crate::source) placement: Placement,
    /// Endings of the files beside a database that is going out.
    #[serde(default)]
    pub(in crate::source) outgoing: Vec<String>,
    /// Endings of the files beside the one that is coming in.
    #[serde(default)]
    pub(in crate::source) incoming: Vec<String>,
    /// The live database had a write-ahead log.
    #[serde(default)]
    pub(in crate::source) was_wal: bool,
}

impl Record {
    /// The record of an operation that begins.
    pub(in crate::source) fn new(operation: Operation, old: Option<u64>, new: Option<u64>, placement: Placement) -> Self {
        let (outgoing, incoming) = (Vec::new(), Vec::new());
        Self { format: FORMAT, operation, old, new, step: Step::Out, placement, outgoing, incoming, was_wal: false }
    }

    /// Writes the journal of an operation that begins.
    ///
    /// # Errors
    /// [`Error::Refused`] when another one is under way.
    pub(in crate::source) fn begin(&self, journal: &Path) -> Result<(), Error> {
        match write_new(journal, &self.text()?) {
            Err(crate::sys::Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::AlreadyExists => Err(Error::Refused {
                why: format!("{} is the journal of an operation that was interrupted and has to be recovered first", journal.display()),
            }),
            other => Ok(other?),
        }?;
        crash::point();
        Ok(())
    }

    /// Writes how far it has come.
    pub(in crate::source) fn advance(&mut self, step: Step, journal: &Path) -> Result<(), Error> {
        self.step = step;
        self.write(journal)
    }

    /// Writes the record as it is now.
    pub(in crate::source) fn write(&self, journal: &Path) -> Result<(), Error> {
        replace_private(journal, &self.text()?)?;
        crash::point();
        Ok(())
    }

    /// The journal that is there, if one is.
    pub(in crate::source) fn read(journal: &Path) -> Result<Option<Self>, Error> {
        let failed = |cause| Error::Journal { path: journal.to_owned(), cause };
        let text = match std::fs::read(journal) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::file("read", journal))?,
        };
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_slice(&text).map_err(failed)?;
        if format != FORMAT {
            let why = format!("it is of version {format}, which this program does not know");
            return Err(Error::Unclear { why, journal: journal.to_owned() });
        }
        serde_json::from_slice(&text).map(Some).map_err(failed)
    }

    /// The operation is over.
    pub(in crate::source) fn finish(journal: &Path) -> Result<(), Error> {
        crash::point();
        match std::fs::remove_file(journal) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(Error::file("remove", journal)(cause)),
            _ => {}
        }
        Ok(sync_folder(journal.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?)
    }

    fn text(&self) -> Result<Vec<u8>, Error> {
        Ok(serde_json::to_vec(self).map_err(crate::format::FormatError::from)?)
    }
}
