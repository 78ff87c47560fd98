//! What a restore needs to know of a snapshot, from whichever tier tells it.

use crate::format::head::ProblemCount;
use crate::ops::error::chain;
use crate::ops::facts::shipped_facts;
use crate::ops::lists::read_body;
use crate::ops::snapshots::Found;
use crate::ops::spec::SourceSpec;
use crate::ops::{Context, Error};

/// What is known of a snapshot before its files are looked at.
pub(super) struct About {
    pub(super) kind: String,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// SQLite's journal mode when it was taken; empty for other kinds.
    pub(super) journal_mode: String,
    /// All facts; nothing when they are lost.
    pub(super) facts: serde_json::Value,
    path: Option<String>,
    problems: Vec<ProblemCount>,
    /// Why there are no facts, when there are none.
    lost: Option<String>,
}

impl About {
    /// Reads it from the local copy's record, else from the repository.
    ///
    /// Without facts, because they are found sound nowhere, the files can be restored all the same, and that is a warning. A mere plan does
    /// not `search` other places for them.
    pub(super) fn of(ctx: &Context, found: &Found, search: bool) -> Result<Self, Error> {
        let mut lost = None;
        let (kind, files, bytes, problems, facts) = match (&found.local, &found.shipped) {
            (Some(copy), _) => {
                let record = copy.record.clone();
                (record.kind, record.files, record.bytes, record.problems, record.facts)
            }
            (None, Some((remote, shipped))) => {
                let facts = match shipped_facts(ctx, remote, shipped, &read_body(remote, shipped)?, search) {
                    Err(error) if error.is_damage() => {
                        lost = Some(format!(
                            "the facts of the snapshot (path, journal mode) cannot be read where they lie: {}",
                            chain(&error)
                        ));
                        serde_json::Value::Null
                    }
                    facts => facts?,
                };
                let head = shipped.head.clone();
                (head.kind, head.files, head.bytes, head.problems, facts)
            }
            (None, None) => return Err(Error::Absent(format!("{} is in neither tier", found.name()))),
        };
        let text = |key: &str| facts.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let (journal_mode, path) = (text("journal_mode").unwrap_or_default(), text("path"));
        Ok(Self { kind, files, bytes, problems, journal_mode, facts, path, lost })
    }

    /// What a person should know before saying yes.
    pub(super) fn warnings(&self, found: &Found, spec: &SourceSpec) -> Vec<String> {
        let mut warnings: Vec<String> =
            self.problems.iter().map(|problem| format!("the snapshot has problems: {} {}", problem.count, problem.kind)).collect();
        warnings.extend(self.lost.clone());
        let here = spec.kind.path().map(|path| crate::format::escape::escape(path.as_os_str().as_encoded_bytes()));
        if let (Some(path), Some(here)) = (&self.path, here)
            && *path != here
        {
            warnings.push(format!("the snapshot was taken of {path}, and {here} will be replaced"));
        }
        if let Some(error) = &found.unreachable {
            warnings.push(format!("the repository cannot be read, only the local copy is used: {}", chain(error)));
        }
        warnings
    }
}
