//! One verb over several sources: each is tried, and the outcomes make one exit code.

use serde::Serialize;

use super::context::Program;
use super::exit::Exit;
use crate::format::head::ProblemCount;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::snapshots::{Place, Row};
use crate::ops::{Context, Error, error::chain};

/// A source that the verb failed for.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    source: SourceName,
    /// The local copy, where it failed for one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<SnapshotId>,
    error: String,
    exit_code: u8,
}

impl Failed {
    /// Tells of a copy that was passed over; gives it with its code, for the document.
    pub(super) fn copy(program: &Program, source: &SourceName, id: SnapshotId, error: &Error) -> (Self, Exit) {
        let exit = Exit::of_error(error, program.stop.signal());
        program.output.op_error(format!("{source}/{id} was not shipped"), error, exit);
        (Self { source: source.clone(), id: Some(id), error: chain(error), exit_code: exit.code() }, exit)
    }
}

/// What came of the verb.
#[derive(Debug)]
pub(super) struct Each<T> {
    /// The outcomes.
    pub(super) done: Vec<T>,
    /// The failures.
    pub(super) failed: Vec<Failed>,
    /// All of it in one code.
    pub(super) exit: Exit,
}

/// Does `work` for each source, whatever became of the others; a stop ends it.
pub(super) fn each<T>(program: &Program, sources: &[SourceName], mut work: impl FnMut(&SourceName) -> Result<(T, Exit), Error>) -> Each<T> {
    let (mut done, mut failed, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources {
        // Without the check a source whose work notices no stop would be followed by the next one.
        match program.check_stop().and_then(|()| work(source)) {
            Ok((outcome, exit)) => {
                done.push(outcome);
                exits.push(exit);
            }
            Err(error) => {
                let exit = Exit::of_error(&error, program.stop.signal());
                program.output.op_error(source, &error, exit);
                failed.push(Failed { source: source.clone(), id: None, error: chain(&error), exit_code: exit.code() });
                exits.push(exit);
                if error.is_stopped() {
                    break;
                }
            }
        }
    }
    Each { done, failed, exit: Exit::of_all(&exits) }
}

/// What is known of a snapshot right after it was made or shipped.
pub(super) struct Made<'a> {
    pub(super) source: &'a SourceName,
    pub(super) id: SnapshotId,
    pub(super) place: Place,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Stored bytes: needed, added.
    pub(super) stored: Option<(u64, u64)>,
    pub(super) problems: &'a [ProblemCount],
}

impl Made<'_> {
    /// The same as a line of `list`.
    pub(super) fn row(&self, ctx: &Context) -> Result<Row, Error> {
        Ok(Row {
            id: self.id,
            node: ctx.node.clone(),
            source: self.source.clone(),
            kind: ctx.source(self.source)?.kind.word().to_owned(),
            time: self.id.to_timestamp(),
            place: self.place,
            files: self.files,
            bytes: self.bytes,
            stored_bytes: self.stored.map(|(needed, _)| needed),
            added_bytes: self.stored.map(|(_, added)| added),
            problems: self.problems.to_vec(),
            future: false,
            manifest: None,
        })
    }
}

/// Sound is done; with problems it is partly done.
pub(super) fn exit_of(problems: &[ProblemCount]) -> Exit {
    if problems.is_empty() { Exit::Done } else { Exit::Partly }
}
