//! The other machines of a new node's cluster: none of them may know a node with its tokens.

use crate::ops::spec::CassandraSettings;
use crate::ops::{Context, Error};
use crate::source::cassandra::{Facts, Neighbour, NodeConfig, ask_neighbour};

/// Most seeds that are asked: a cluster has two or three, and each that lives knows all nodes.
const ASKED_MAX: usize = 8;

/// Asks the seeds that live.
///
/// # Errors
/// [`Error::Refused`] when one knows a node with a token of these, or cannot be asked.
pub(super) fn check(
    ctx: &Context,
    settings: &CassandraSettings,
    config: &NodeConfig,
    seeds: &[String],
    facts: &Facts,
) -> Result<(), Error> {
    for seed in seeds.iter().take(ASKED_MAX) {
        if let Some(why) = against(seed, &ask_neighbour(settings, config, seed, &ctx.stop)?, &facts.tokens) {
            return Err(Error::Refused(why));
        }
    }
    Ok(())
}

/// What of an answer speaks against a new node with these tokens.
fn against(seed: &str, neighbour: &Neighbour, tokens: &[String]) -> Option<String> {
    match neighbour {
        Neighbour::Silent => None,
        Neighbour::Unasked(why) => Some(format!(
            "the seed {seed} lives, and whether it knows a node with the tokens of this one could not be asked ({why}): two nodes with the same tokens take \
             each other's ranges. See that CQL can be asked there with the account of the source; or, if you know that no node has them, name this machine alone \
             under `seeds` until it has started. Nothing was changed"
        )),
        Neighbour::Knows(nodes) => {
            let (address, _) = nodes.iter().find(|(_, of)| of.iter().any(|token| tokens.contains(token)))?;
            Some(format!(
                "the cluster lives: {seed} knows the node {address}, which has tokens of this one, and started with them this one would take its ranges from \
                 it. Replace that node by Cassandra's own means (-Dcassandra.replace_address_first_boot={address}), which brings what the others have; nothing was \
                 changed"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_lives_may_have_other_tokens_only() {
        let tokens = ["1".to_owned(), "2".to_owned()];
        let knows = |token: &str| Neighbour::Knows(vec![("10.0.0.8".into(), vec!["7".into()]), ("10.0.0.9".into(), vec![token.into()])]);
        assert_eq!(against("s", &Neighbour::Silent, &tokens), None);
        assert_eq!(against("s", &knows("3"), &tokens), None);
        assert!(against("s", &knows("2"), &tokens).unwrap().contains("replace_address_first_boot=10.0.0.9"));
        assert!(against("s", &Neighbour::Unasked("no answer".into()), &tokens).unwrap().contains("(no answer)"));
    }
}
