//! What a node that has never run becomes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::neighbours::Heard;
use super::{neighbours, place, told_directories};
use crate::ops::restore::cassandra::seen::Recorded;
use crate::ops::spec::CassandraSettings;
use crate::ops::undo::cassandra::{Begun, Ground};
use crate::ops::{Context, Error};
use crate::source::cassandra::{FIRST_ROLE, Facts, Identity, NodeFile, Surroundings, all_directories, remains};

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
    /// The addresses of the nodes that others know, none of which has its tokens.
    pub(super) known: BTreeSet<String>,
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
        begun: Option<&Begun>,
    ) -> Result<Self, Error> {
        let config = &ground.config;
        if let Some(path) = remains(config, begun.map(Begun::began))? {
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
        let heard = neighbours::ask(ctx, settings, config, &surroundings.other_seeds, facts)?;
        let mut warnings: Vec<String> = place::judge(facts, surroundings.place.as_ref())?.into_iter().collect();
        warnings.push(told_others(&surroundings.other_seeds, &heard));
        warnings.extend(heard.warnings);
        warnings.extend(told_login(settings, &surroundings));
        Ok(Self { plan: plan(&file, facts, all_directories(config)), warnings, file, known: heard.known })
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

/// That there may be others, whoever has answered.
fn told_others(seeds: &[String], heard: &Heard) -> String {
    const WAY: &str = "A node of a cluster that lives is replaced by Cassandra's own means (-Dcassandra.replace_address_first_boot), which brings it what \
                       the others have: this way is for a node that is alone, or a cluster whose data is lost";
    let seeds = if seeds.is_empty() {
        "`seeds` names no other machine".to_owned()
    } else {
        format!("`seeds` names other machines ({})", seeds.join(", "))
    };
    if heard.known.is_empty() {
        return format!("{seeds}, and nobody could be asked whether a node with these tokens lives: say no if there may be one. {WAY}");
    }
    format!("{seeds}; those that answer know no node with these tokens. {WAY}")
}

fn told_login(settings: &CassandraSettings, surroundings: &Surroundings) -> Option<String> {
    let authenticator = surroundings.authenticator.as_ref()?;
    if settings.cql.is_first_login() {
        return None;
    }
    let is_first = settings.cql.user.as_deref() == Some(FIRST_ROLE);
    let knows = if is_first { format!("the role with the password `{FIRST_ROLE}`") } else { format!("the role `{FIRST_ROLE}`") };
    Some(format!(
        "the node asks for a login ({authenticator}), and roles are not restored: it will know {knows} alone. This ends with what to do when the node \
         runs, and goes on when it is run again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::secret::Secret;

    #[test]
    fn other_machines_and_a_login_are_told_before_anything_is_written() {
        let mut settings = CassandraSettings::new(vec!["k".into()], "/etc/cassandra/cassandra.yaml".into());
        let alone = Surroundings { place: None, other_seeds: Vec::new(), authenticator: None };
        assert_eq!(told_login(&settings, &alone), None);
        let told = told_others(&[], &Heard::default());
        assert!(told.contains("names no other machine, and nobody could be asked") && told.contains("say no"), "{told}");
        let other_seeds = vec!["10.0.0.8:7000".into()];
        assert!(told_others(&other_seeds, &Heard::default()).contains("(10.0.0.8:7000), and nobody could be asked"));
        let heard = Heard { known: ["10.0.0.8".to_owned()].into(), ..Heard::default() };
        assert!(told_others(&other_seeds, &heard).contains("(10.0.0.8:7000); those that answer know no node"));
        let among = Surroundings { other_seeds, authenticator: Some("PasswordAuthenticator".into()), ..alone };
        settings.cql.user = Some("windlass".into());
        assert!(told_login(&settings, &among).unwrap().contains("PasswordAuthenticator"));
        settings.cql.user = Some(FIRST_ROLE.into());
        settings.cql.password = Some(Secret::new(FIRST_ROLE.to_owned()));
        assert_eq!(told_login(&settings, &among), None, "that role a new node has");
        settings.cql.password = Some(Secret::new("another".to_owned()));
        assert!(told_login(&settings, &among).unwrap().contains("the password `cassandra` alone"));
    }
}
