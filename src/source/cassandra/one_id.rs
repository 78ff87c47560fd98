//! That all of a snapshot is of one node. CQL and JMX have addresses of their own, and a name that stands for several nodes may lead to another
//! one each time.

use super::facts::Facts;
use super::nodetool::Nodetool;
use super::take::Job;
use crate::source::Error;

/// Proves that JMX leads to the node that CQL has told of: what it told belongs to the files that `nodetool` has the node hold.
///
/// # Errors
/// [`Error::Refused`]; [`Error::Cassandra`]; [`Error::Stopped`].
pub(super) fn check_one_node(job: &Job<'_>, by_cql: &Facts) -> Result<(), Error> {
    // ScyllaDB has no JMX; its API was asked for the id together with CQL.
    if job.settings.is_scylla() {
        return Ok(());
    }
    let (by_cql, by_jmx) = (&by_cql.host_id, Nodetool::new(job.settings, job.folder, job.stop).host_id()?);
    if by_jmx.eq_ignore_ascii_case(by_cql) {
        return Ok(());
    }
    let why = format!(
        "`cql` leads to the node {by_cql}, and nodetool (`jmx`) to {by_jmx}: the snapshot would have the files of the one, and the id and the \
         tokens of the other. Let both lead to the node of {}; where a name stands for several nodes, write the address of this one",
        job.settings.config_file.display()
    );
    Err(Error::Refused { why })
}

/// Proves that the node that CQL told of after the snapshot is the one of before, with the same tokens.
///
/// # Errors
/// [`Error::Refused`] when it is another; [`Error::Moved`] when its tokens are others.
pub(super) fn check_same_node(before: &Facts, after: &Facts) -> Result<(), Error> {
    if before.host_id != after.host_id {
        let why = format!(
            "`cql` led to the node {} before the snapshot and to {} after it, so there is no telling whether one schema is in all of it: let \
             `cql` be the address of one node, and not a name that stands for several",
            before.host_id, after.host_id
        );
        return Err(Error::Refused { why });
    }
    if before.tokens == after.tokens { Ok(()) } else { Err(Error::Moved { what: "the tokens of the node were changed".to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_node_after_the_snapshot_is_refused_and_other_tokens_are_a_change() {
        let facts = |host_id: &str, tokens: &[&str]| Facts {
            host_id: host_id.into(),
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            ..Facts::default()
        };
        let before = facts("a", &["-1", "5"]);
        check_same_node(&before, &facts("a", &["-1", "5"])).unwrap();
        let why = check_same_node(&before, &facts("b", &["-1", "5"])).unwrap_err().to_string();
        assert!(why.contains("led to the node a before the snapshot and to b after it"), "{why}");
        let moved = check_same_node(&before, &facts("a", &["-1", "6"]));
        assert!(matches!(&moved, Err(Error::Moved { what }) if what.contains("tokens")), "{moved:?}");
    }
}
