//! A look at a source that copies nothing: how much there is, and how much of it a new copy would have to hold anew.

use std::collections::BTreeMap;
use std::path::Path;

use super::cassandra::of_cassandra;
use crate::format::entry::Kind;
use crate::format::head::ProblemCount;
use crate::ops::copies::Copy;
use crate::ops::directory::directory;
use crate::ops::lists::Beside;
use crate::ops::spec::{MysqlSettings, SourceKind, SourceSpec};
use crate::ops::{Context, Error};
use crate::source;
use crate::source::directory::{Found, FoundEntry, Walk, is_unchanged};

/// How many bytes of rows a copy must be of, so that its own size tells how large a dump becomes: below, the pages of empty tables count.
const SCALE_MIN: u64 = 64 << 20;

/// What a look at a source has found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Regular files and hard links.
    pub(super) files: u64,
    /// Bytes of the files.
    pub(super) bytes: u64,
    /// Bytes of files that are not known to be as they were in the copy before: they are read.
    pub(super) changed: u64,
    /// Bytes that a new copy would take on the disk.
    pub(super) needed: u64,
    /// What could not be looked at, by kind.
    pub(super) problems: Vec<ProblemCount>,
}

impl Survey {
    /// Looks at a source beside its newest copy; what does not fit into memory lies in nameless files in `work`.
    ///
    /// # Errors
    /// [`Error::Source`] when it is not there, is of another kind or cannot be read as a whole.
    pub(super) fn of(ctx: &Context, spec: &SourceSpec, previous: Option<&Copy>, work: &Path) -> Result<Self, Error> {
        match &spec.kind {
            SourceKind::Sqlite { path } => {
                // The copy is made by the database, which reads all of it.
                let bytes = source::sqlite::size(path)?;
                Ok(Self { files: 1, bytes, changed: bytes, needed: bytes, problems: Vec::new() })
            }
            SourceKind::Mysql(settings) => Self::of_mysql(ctx, settings, previous),
            SourceKind::Cassandra(settings) => of_cassandra(ctx, settings, previous, work),
            SourceKind::Directory { .. } => Self::of_directory(ctx, spec, previous, work),
        }
    }

    /// The server tells how much there is, as it estimates it. In a dump it may be far more (bytes in hexadecimal) or far less (free space
    /// in tables), so where there is a copy, it tells how large a dump becomes of how much.
    fn of_mysql(ctx: &Context, settings: &MysqlSettings, previous: Option<&Copy>) -> Result<Self, Error> {
        let live = source::mysql::size(settings, &ctx.stop)?;
        let bytes = match previous.map(|copy| (copy.record.bytes, copy.record.facts["data_bytes"].as_u64())) {
            Some((bytes, Some(data))) if data >= SCALE_MIN => {
                let scaled = u128::from(bytes) * u128::from(live) / u128::from(data);
                bytes.max(u64::try_from(scaled).unwrap_or(u64::MAX))
            }
            Some((bytes, _)) => bytes.max(live),
            None => live,
        };
        let files = settings.databases.len() as u64;
        Ok(Self { files, bytes, changed: bytes, needed: bytes, problems: Vec::new() })
    }

    fn of_directory(ctx: &Context, spec: &SourceSpec, previous: Option<&Copy>, work: &Path) -> Result<Self, Error> {
        let mut before = match previous {
            Some(copy) => Some(Beside::new(Box::new(copy.lines()?))),
            None => None,
        };
        let mut survey = Self::default();
        let mut problems: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut walk = Walk::new(&directory(ctx, spec)?, work, &ctx.stop)?;
        while let Some(found) = walk.next()? {
            match found {
                Found::Entry(found) => survey.take(&found, before.as_mut())?,
                Found::Problem(problem) => *problems.entry(problem.kind).or_default() += 1,
            }
        }
        survey.problems = problems.into_iter().map(|(kind, count)| ProblemCount { kind: kind.to_owned(), count }).collect();
        Ok(survey)
    }

    fn take(&mut self, found: &FoundEntry, before: Option<&mut Beside>) -> Result<(), Error> {
        let entry = &found.entry;
        self.files += u64::from(matches!(entry.kind, Kind::File | Kind::HardLink));
        if entry.kind != Kind::File {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(entry.size);
        let before = match before {
            Some(before) => before.find_entry(&entry.path)?,
            None => None,
        };
        // By the very rule of the copy: what is read again, for whatever reason, is written again.
        if !before.is_some_and(|before| is_unchanged(&before, entry)) {
            self.changed = self.changed.saturating_add(entry.size);
            self.needed = self.needed.saturating_add(found.solid);
        }
        Ok(())
    }
}
