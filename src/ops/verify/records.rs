//! Looks at what lies beside the snapshots: removal records, pins, marks, coverage. Verdicts were read before, to be folded.

use super::report::Report;
use crate::format::key::{Key, NodeKey};
use crate::format::names::NodeName;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, records};

/// Reads each of them.
pub(super) fn check(ctx: &Context, remote: &Remote, node: &NodeName, report: &mut Report) -> Result<(), Error> {
    for folder in ["removed", "pins", "prune", "coverage"] {
        remote.each_object(ctx, &format!("{node}/{folder}/"), &mut |object| {
            let Some(Key::Of(_, key)) = Key::parse(&object.key) else { return Ok(()) };
            report.count(object.size);
            match records::problem_of(remote, node, &key)? {
                Some(problem) => report.firm_fault(&object.key, snapshot_of(&key).as_deref(), problem),
                None => report.is_there(&object.key, None),
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn snapshot_of(key: &NodeKey) -> Option<String> {
    match key {
        NodeKey::Removed(source, id) | NodeKey::Pin(source, id, _) => Some(format!("{source}/{id}")),
        _ => None,
    }
}
