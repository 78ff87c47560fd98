//! What a node says of itself over its API, and not, or otherwise, in CQL.

use super::super::cql::failed;
use super::super::facts::{Facts, in_order};
use super::Api;
use crate::source::Error;

/// The name of this server in the facts.
const SCYLLA: &str = "scylla";

const WHAT: &str = "read the facts of";

/// What a node says of itself.
#[derive(Debug)]
pub(in super::super) struct Told {
    /// Its release; in CQL it says which Cassandra it is compatible with.
    version: String,
    host_id: String,
    /// Its tokens, of keyspaces without tablets.
    tokens: Vec<String>,
}

impl Told {
    /// Asks.
    ///
    /// # Errors
    /// [`Error::Cassandra`]; [`Error::Stopped`].
    pub(in super::super) fn ask(api: &Api) -> Result<Self, Error> {
        Ok(Self {
            version: api.ask(WHAT, "/storage_service/scylla_release_version")?,
            host_id: api.ask(WHAT, "/storage_service/hostid/local")?,
            tokens: api.ask(WHAT, "/storage_service/tokens")?,
        })
    }

    /// Puts it into what the node says in CQL. `node` is that node, for a person.
    ///
    /// # Errors
    /// [`Error::Cassandra`] when that is another node.
    pub(in super::super) fn put_into(self, facts: &mut Facts, node: &str) -> Result<(), Error> {
        if facts.host_id != self.host_id {
            let (by_cql, by_api) = (&facts.host_id, &self.host_id);
            let why = format!("`cql` leads to the node {by_cql}, and `api` to {by_api}: let both be of one node");
            return Err(failed(WHAT, node, why));
        }
        facts.engine = Some(SCYLLA.to_owned());
        facts.version = self.version;
        facts.tokens = in_order(self.tokens);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_are_not_taken_for_one() {
        let told = |host_id: &str| Told { version: "2025.3.1".into(), host_id: host_id.into(), tokens: vec!["10".into(), "-9".into()] };
        let mut facts = Facts { host_id: "a".into(), version: "3.0.8".into(), ..Facts::default() };
        let error = told("b").put_into(&mut facts, "the ScyllaDB at x").unwrap_err().to_string();
        assert!(error.contains("`cql` leads to the node a, and `api` to b"), "{error}");
        told("a").put_into(&mut facts, "the ScyllaDB at x").unwrap();
        assert_eq!((facts.engine.as_deref(), facts.version.as_str()), (Some("scylla"), "2025.3.1"));
        assert_eq!(facts.tokens, ["-9", "10"]);
    }
}
