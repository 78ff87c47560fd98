//! What a node that has never run becomes.

use std::path::PathBuf;

use serde::Serialize;

use super::{neighbours, place, told_directories};
use crate::ops::restore::cassandra::seen::Recorded;
use crate::ops::spec::CassandraSettings;
use crate::ops::undo::cassandra::Ground;
use crate::ops::{Context, Error};
use crate::source::cassandra::{Facts, Identity, NodeFile, Surroundings, all_directories, remains};

/// The role that a new node has.
const FIRST_ROLE: &str = "cassandra";

/// What a new node becomes, and what is written for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FreshPlan {
    /// The node's configuration, behind symbolic links.
    pub config_file: PathBuf,
    /// What is changed in it, as a unified diff; empty where it says all of it already.
    pub diff: Vec<String>,
    /// The cluster that it becomes a node of.
    pub cluster_name: String,
    /// The data centre that the node of the snapshot stood in.
    pub data_center: String,
    /// Its rack.
    pub rack: String,
    /// Its partitioner.
    pub partitioner: String,
    /// Its tokens.
    pub tokens: Vec<String>,
    /// The directories in which nothing is, so that the node counts as one that has never run.
    pub empty: Vec<PathBuf>,
}

/// A node that is to become one.
pub(in crate::ops::restore::cassandra) struct New {
    /// What it becomes.
    pub(in crate::ops::restore::cassandra) plan: FreshPlan,
    /// What a person should know.
    pub(in crate::ops::restore::cassandra) warnings: Vec<String>,
    /// Its file.
    pub(super) file: NodeFile,
}

impl New {
    /// Looks at the files of a node that has never run.
    ///
    /// # Errors
    /// [`Error::Refused`] when it cannot become the node that the snapshot is of; [`Error::Source`] when its file cannot be written.
    pub(in crate::ops::restore::cassandra) fn of(
        ctx: &Context,
        settings: &CassandraSettings,
        ground: &Ground,
        recorded: &Recorded,
    ) -> Result<Self, Error> {
        let config = &ground.config;
        if let Some(path) = remains(config)? {
            return Err(Error::Refused(format!(
                "the node of {} has never run on its directories ({}), and {} lies there: if a disk is not mounted, mount it; if it is left of another \
                 node, move it away; nothing was changed",
                config.path.display(),
                told_directories(config),
                path.display()
            )));
        }
        let Some(facts) = &recorded.facts else {
            return Err(Error::Refused(format!(
                "the node of {} has never run, and what the snapshot knows of its node is lost, so that it cannot be made the same one: say in that file \
                 what it is to be (cluster_name, num_tokens, initial_token, auto_bootstrap: false), start it, and restore again; nothing was changed",
                config.path.display()
            )));
        };
        let identity = Identity { cluster_name: &facts.cluster_name, partitioner: &facts.partitioner, tokens: &facts.tokens };
        let file = NodeFile::read(config, &identity)?;
        let surroundings = Surroundings::read(config)?;
        neighbours::check(ctx, settings, config, &surroundings.other_seeds, facts)?;
        let mut warnings: Vec<String> = place::judge(facts, surroundings.place.as_ref())?.into_iter().collect();
        warnings.extend(told_seeds(&surroundings));
        warnings.extend(told_login(settings, &surroundings));
        Ok(Self { plan: plan(&file, facts, all_directories(config)), warnings, file })
    }
}

fn plan(file: &NodeFile, facts: &Facts, empty: Vec<PathBuf>) -> FreshPlan {
    FreshPlan {
        config_file: file.path.clone(),
        diff: file.diff.clone(),
        cluster_name: facts.cluster_name.clone(),
        data_center: facts.data_center.clone(),
        rack: facts.rack.clone(),
        partitioner: facts.partitioner.clone(),
        tokens: facts.tokens.clone(),
        empty,
    }
}

fn told_seeds(surroundings: &Surroundings) -> Option<String> {
    let seeds = &surroundings.other_seeds;
    (!seeds.is_empty()).then(|| {
        format!(
            "`seeds` names other machines ({}); those that answer know no node with these tokens. A node of a cluster that lives is replaced by Cassandra's own \
             means (-Dcassandra.replace_address_first_boot), which brings it what the others have: this way is for a node that is alone, or a cluster whose data \
             is lost",
            seeds.join(", ")
        )
    })
}

fn told_login(settings: &CassandraSettings, surroundings: &Surroundings) -> Option<String> {
    let authenticator = surroundings.authenticator.as_ref().filter(|_| settings.cql.user.as_deref() != Some(FIRST_ROLE))?;
    Some(format!(
        "the node asks for a login ({authenticator}), and roles are not restored: it will know the role `{FIRST_ROLE}` alone. This ends with what to do when the \
         node runs, and goes on when it is run again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_and_a_login_are_told_before_anything_is_written() {
        let mut settings = CassandraSettings::new(vec!["k".into()], "/etc/cassandra/cassandra.yaml".into());
        let alone = Surroundings { place: None, other_seeds: Vec::new(), authenticator: None };
        assert_eq!((told_seeds(&alone), told_login(&settings, &alone)), (None, None));
        let other_seeds = vec!["10.0.0.8:7000".into()];
        let among = Surroundings { other_seeds, authenticator: Some("PasswordAuthenticator".into()), ..alone };
        assert!(told_seeds(&among).unwrap().contains("(10.0.0.8:7000)"));
        settings.cql.user = Some("windlass".into());
        assert!(told_login(&settings, &among).unwrap().contains("PasswordAuthenticator"));
        settings.cql.user = Some(FIRST_ROLE.into());
        assert_eq!(told_login(&settings, &among), None, "that role a new node has");
    }
}
