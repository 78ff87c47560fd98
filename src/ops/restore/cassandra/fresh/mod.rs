//! A node that has never run becomes the one that a snapshot is of: its file is written, it is started, and looked at. What follows is the
//! ordinary way with the node stopped, whose schema is missing as a whole.
//!
//! [`plan`] says what it becomes, [`first_start`] makes it so, [`place`] judges where it stands, [`neighbours`] who else there is.

mod first_start;
mod neighbours;
mod place;
mod plan;

pub(super) use first_start::{begin, told_begun, up_or_told};
pub use plan::FreshPlan;
pub(super) use plan::New;

use super::seen::Recorded;
use crate::ops::spec::CassandraSettings;
use crate::ops::undo::cassandra::Ground;
use crate::ops::{Context, Error};
use crate::source::cassandra::{Control, Facts, NodeConfig, all_directories, has_ever_run, keyspaces};

/// Whether a node has never run. One that answers has.
pub(super) fn has_never_run(ground: &Ground, control: &Control<'_>) -> Result<bool, Error> {
    Ok(!control.takes_connections()? && !has_ever_run(&ground.config)?)
}

/// The directories of a node, for a person.
fn told_directories(config: &NodeConfig) -> String {
    all_directories(config).iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// That a node which has run, and holds nothing of anybody's, is not another one than the snapshot is of: packages start it when they are
/// installed, with tokens of its own, which it keeps. One with keyspaces is left to whoever reads the plan.
pub(super) fn check_is_not_another(
    ctx: &Context,
    settings: &CassandraSettings,
    config: &NodeConfig,
    recorded: &Recorded,
    here: &Facts,
) -> Result<(), Error> {
    let Some(facts) = recorded.facts.as_ref().filter(|facts| facts.host_id != here.host_id) else { return Ok(()) };
    let Some(why) = difference(facts, here) else { return Ok(()) };
    if !keyspaces(settings, config, &ctx.stop)?.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the node has run already, as another one than the snapshot is of ({why}), and has no keyspace but Cassandra's own: packages start it when they \
         are installed. If nothing of it is needed, stop it, remove what is in {}, and restore again: then it becomes the node that the snapshot is of. Or \
         have it take the snapshot as it is, with --running. Nothing was changed",
        told_directories(config)
    )))
}

/// What makes it another one.
fn difference(facts: &Facts, here: &Facts) -> Option<String> {
    if facts.cluster_name != here.cluster_name {
        return Some(format!("it is of the cluster `{}`, and not of `{}`", here.cluster_name, facts.cluster_name));
    }
    // Both are sorted.
    (!facts.tokens.is_empty() && facts.tokens != here.tokens).then(|| "it has other tokens".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_the_name_and_the_tokens_is_the_same_whatever_its_id() {
        let of = |cluster: &str, tokens: &[&str]| Facts {
            cluster_name: cluster.into(),
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            ..Facts::default()
        };
        let recorded = of("clearwater", &["1", "2"]);
        assert_eq!(difference(&recorded, &recorded), None);
        assert!(difference(&recorded, &of("Test Cluster", &["1", "2"])).unwrap().contains("`Test Cluster`"));
        assert_eq!(difference(&recorded, &of("clearwater", &["3"])).as_deref(), Some("it has other tokens"));
        assert_eq!(difference(&of("clearwater", &[]), &recorded), None, "what is not recorded speaks against nothing");
    }
}
