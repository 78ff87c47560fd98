//! The other machines of a new node's cluster: none of them may know a node with its tokens.

use std::collections::BTreeSet;

use crate::ops::spec::CassandraSettings;
use crate::ops::{Context, Error};
use crate::source::cassandra::{Facts, Neighbour, NodeConfig, ask_neighbour};

/// Most machines that answer and are asked: each that lives knows all nodes.
const ASKED_MAX: usize = 8;

/// Most machines that are tried, of those that do not answer too: each of those may take three seconds.
const TRIED_MAX: usize = 32;

/// What others have said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Addresses of the nodes that they know: none has a token of these.
    pub(super) known: BTreeSet<String>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
}

/// Asks the seeds, and the nodes that the one of the snapshot knew, as far as they live.
///
/// # Errors
/// [`Error::Refused`] when one knows a node with a token of these, or a seed cannot be asked.
pub(super) fn ask(
    ctx: &Context,
    settings: &CassandraSettings,
    config: &NodeConfig,
    seeds: &[String],
    facts: &Facts,
) -> Result<Heard, Error> {
    heard(seeds, facts, &mut |place| Ok(ask_neighbour(settings, config, place, &ctx.stop)?))
}

fn heard(seeds: &[String], facts: &Facts, ask: &mut dyn FnMut(&str) -> Result<Neighbour, Error>) -> Result<Heard, Error> {
    let mut heard = Heard::default();
    let (mut answered, mut tried) = (0, 0);
    let peers = facts.peers.iter().filter(|peer| !seeds.contains(peer)).map(|peer| (peer, false));
    for (place, is_seed) in seeds.iter().map(|seed| (seed, true)).chain(peers) {
        if answered == ASKED_MAX || tried == TRIED_MAX {
            heard.warnings.push(format!("of the machines of the cluster {tried} were tried, and {answered} asked; the rest was not"));
            break;
        }
        tried += 1;
        let neighbour = ask(place)?;
        answered += usize::from(matches!(neighbour, Neighbour::Knows(_)));
        match against(place, &neighbour, &facts.tokens) {
            // What a snapshot says of another machine nobody can change, and another node may have its address by now.
            Some(why) if !is_seed && !matches!(neighbour, Neighbour::Knows(_)) => heard.warnings.push(why.told),
            Some(why) => return Err(Error::Refused(format!("{}{}; nothing was changed", why.told, why.way_out))),
            None => {}
        }
        if let Neighbour::Knows(nodes) = neighbour {
            heard.known.extend(nodes.into_iter().map(|(address, _)| address));
        }
    }
    Ok(heard)
}

/// Why not to start, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Why {
    told: String,
    way_out: String,
}

/// What of an answer speaks against a new node with these tokens.
fn against(place: &str, neighbour: &Neighbour, tokens: &[String]) -> Option<Why> {
    const WHY: &str = "two nodes with the same tokens take each other's ranges";
    let or_alone = "or, if you know that no node has them, name this machine alone under `seeds` until it has started";
    match neighbour {
        Neighbour::Silent => None,
        Neighbour::Unfound(why) => Some(Why {
            told: format!(
                "the name of {place} leads nowhere now ({why}), so that whether it knows a node with the tokens of this one could not be asked: {WHY}"
            ),
            way_out: format!(". See that it leads to the machine; {or_alone}"),
        }),
        Neighbour::Unasked(why) => Some(Why {
            told: format!("{place} lives, and whether it knows a node with the tokens of this one could not be asked ({why}): {WHY}"),
            way_out: format!(". See that CQL can be asked there with the account of the source; {or_alone}"),
        }),
        Neighbour::Knows(nodes) => {
            let (address, _) = nodes.iter().find(|(_, of)| of.iter().any(|token| tokens.contains(token)))?;
            Some(Why {
                told: format!(
                    "the cluster lives: {place} knows the node {address}, which has tokens of this one, and started with them this one would take its \
                     ranges from it"
                ),
                way_out: format!(
                    ". Replace that node by Cassandra's own means (-Dcassandra.replace_address_first_boot={address}), which brings what the others have"
                ),
            })
        }
    }
}

/// Nodes that have found a new one although nobody could be asked of them before: they live, and it may have taken the place of one of their cluster.
pub(super) fn unheard_of(found: &[String], known: &BTreeSet<String>) -> Option<String> {
    let strangers: Vec<&str> = found.iter().filter(|address| !known.contains(*address)).map(String::as_str).collect();
    (!strangers.is_empty()).then(|| strangers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(token: &str) -> Neighbour {
        Neighbour::Knows(vec![("10.0.0.8".into(), vec!["7".into()]), ("10.0.0.9".into(), vec![token.into()])])
    }

    fn facts(peers: &[&str]) -> Facts {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Facts { tokens: own(&["1", "2"]), peers: own(peers), ..Facts::default() }
    }

    #[test]
    fn a_cluster_that_lives_may_have_other_tokens_only() {
        let tokens = facts(&[]).tokens;
        assert_eq!(against("s", &Neighbour::Silent, &tokens), None);
        assert_eq!(against("s", &knows("3"), &tokens), None);
        assert!(against("s", &knows("2"), &tokens).unwrap().way_out.contains("replace_address_first_boot=10.0.0.9"));
        assert!(against("s", &Neighbour::Unasked("no answer".into()), &tokens).unwrap().told.contains("(no answer)"));
    }

    #[test]
    fn nodes_that_the_lost_one_knew_are_asked_where_no_seed_is_another_machine() {
        let mut asked = Vec::new();
        let mut ask = |place: &str| {
            asked.push(place.to_owned());
            Ok(if place == "10.0.0.8:7000" { knows("2") } else { Neighbour::Silent })
        };
        let error = heard(&[], &facts(&["10.0.0.7:7000", "10.0.0.8:7000"]), &mut ask).unwrap_err().to_string();
        assert!(error.contains("replace_address_first_boot=10.0.0.9") && error.ends_with("nothing was changed"), "{error}");
        assert_eq!(asked, ["10.0.0.7:7000", "10.0.0.8:7000"]);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_of_a_seed_and_told_of_another() {
        for silent in [Neighbour::Unasked("no".into()), Neighbour::Unfound("no".into())] {
            let mut ask = |_: &str| Ok(silent.clone());
            let error = heard(&["seed".to_owned()], &facts(&[]), &mut ask).unwrap_err().to_string();
            assert!(error.contains("name this machine alone under `seeds`"), "{error}");
            let heard = heard(&[], &facts(&["10.0.0.7:7000"]), &mut ask).unwrap();
            assert!(
                heard.warnings[0].contains("could not be asked (no)") || heard.warnings[0].contains("leads nowhere now (no)"),
                "{heard:?}"
            );
        }
    }

    #[test]
    fn seeds_that_are_down_do_not_keep_the_one_that_lives_from_being_asked() {
        let seeds: Vec<String> = (0..12).map(|n| format!("seed-{n}")).collect();
        let mut ask = |place: &str| Ok(if place == "seed-11" { knows("2") } else { Neighbour::Silent });
        assert!(heard(&seeds, &facts(&[]), &mut ask).is_err());
        let many: Vec<String> = (0..100).map(|n| format!("seed-{n}")).collect();
        let mut tried = 0;
        let heard = heard(&many, &facts(&[]), &mut |_: &str| {
            tried += 1;
            Ok(Neighbour::Silent)
        });
        assert_eq!((heard.unwrap().warnings.len(), tried), (1, TRIED_MAX));
    }

    #[test]
    fn a_node_that_nobody_was_asked_of_is_told_once_it_is_there() {
        let mut ask = |_: &str| Ok(knows("3"));
        let known = heard(&["seed".to_owned()], &facts(&[]), &mut ask).unwrap().known;
        let found = |addresses: &[&str]| unheard_of(&addresses.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>(), &known);
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["10.0.0.8", "10.0.0.9"]), None);
        assert_eq!(found(&["10.0.0.7", "10.0.0.8"]).as_deref(), Some("10.0.0.7"));
    }
}
