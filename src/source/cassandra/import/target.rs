//! Which node it is that takes files in: known before it is emptied, since hours may have gone by, and since CQL and JMX have addresses of their own.

use super::super::cql::Connection;
use super::super::facts;
use super::super::nodetool::Nodetool;
use super::super::peers::peers_of;
use super::super::take::Job;
use crate::source::Error;

/// Proves that CQL and JMX both lead to the node with this id; and, where tables are to be emptied, that it knows no others, which would be
/// emptied too.
///
/// # Errors
/// [`Error::Refused`]; [`Error::Cassandra`]; [`Error::Stopped`].
pub fn check_target(job: &Job<'_>, host_id: &str, empties: bool) -> Result<(), Error> {
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    let found = Found {
        by_cql: facts::local(&connection)?.host_id,
        by_jmx: Nodetool::new(job.settings, job.folder, job.stop).host_id()?,
        peers: peers_of(&connection)?,
    };
    found.judge(host_id, empties).map_or(Ok(()), |why| Err(Error::Refused { why }))
}

/// What was found where the files would come.
struct Found {
    by_cql: String,
    by_jmx: String,
    peers: u64,
}

impl Found {
    /// Why it is not to be filled, if it is not.
    fn judge(&self, host_id: &str, empties: bool) -> Option<String> {
        let Self { by_cql, by_jmx, peers } = self;
        if by_cql != host_id {
            return Some(format!("the work is for the node {host_id}, and `cql` leads to {by_cql} now: let the source have that node"));
        }
        if !by_jmx.eq_ignore_ascii_case(host_id) {
            return Some(format!("`cql` leads to the node {host_id}, and nodetool (`jmx`) to {by_jmx}: let both be of one node"));
        }
        (empties && *peers > 0).then(|| {
            format!(
                "the node knows {peers} others of its cluster by now, and tables are emptied on all of them at once: take them out of the cluster \
                 again"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_node_and_one_with_others_beside_it_are_not_emptied() {
        let why = |by_cql: &str, by_jmx: &str, peers: u64, empties: bool| {
            Found { by_cql: by_cql.into(), by_jmx: by_jmx.into(), peers }.judge("5d7a", empties).unwrap_or_default()
        };
        assert_eq!(why("5d7a", "5d7a", 0, true), "");
        assert_eq!(why("5d7a", "5D7A", 2, false), "", "what is only added to may have others");
        assert!(why("0000", "5d7a", 0, false).contains("`cql` leads to 0000"));
        assert!(why("5d7a", "0000", 0, false).contains("nodetool (`jmx`) to 0000"));
        assert!(why("5d7a", "5d7a", 1, true).contains("knows 1 others"));
    }
}
