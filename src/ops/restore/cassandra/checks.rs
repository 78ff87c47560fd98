//! Whether a node can take a snapshot, and what a person should know before it does.

use jiff::Timestamp;

use super::node_plan::bounded;
use super::survey::Survey;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::spec::CassandraSettings;
use crate::ops::undo::AsideTables;
use crate::ops::undo::cassandra::Ground;
use crate::ops::{Context, Error};
use crate::source::cassandra::missing::Definitions;
use crate::source::cassandra::{Facts, Looked, Schema, Table, look_at_some, table_of};

/// What is known of both sides.
pub(super) struct Sides<'a> {
    /// The snapshot.
    pub(super) id: SnapshotId,
    /// What is known of the node that it is of; nothing where its facts are lost.
    pub(super) facts: Option<&'a Facts>,
    /// What comes.
    pub(super) survey: &'a Survey,
    /// The node that is to have it.
    pub(super) looked: &'a Looked,
    /// The tables of it that are meant.
    pub(super) live: &'a Schema,
    /// Whether they keep what they hold, and what comes is added to it.
    pub(super) is_merged: bool,
    /// How many other nodes that one knows.
    pub(super) peers: u64,
}

impl Sides<'_> {
    /// What a person should know.
    ///
    /// # Errors
    /// [`Error::Refused`] for what the node could not read.
    pub(super) fn judge(&self, now: Timestamp) -> Result<Vec<String>, Error> {
        let here = &self.looked.facts;
        if let Some(version) = unread_by(&here.version, self.survey) {
            return Err(Error::Refused(format!(
                "the snapshot has SSTables of the format `{version}`, which Cassandra {} does not read: restore onto a node of a newer release; \
                 nothing was changed",
                here.version
            )));
        }
        let mut warnings = Vec::new();
        if let Some(facts) = self.facts {
            if facts.partitioner != here.partitioner {
                return Err(Error::Refused(format!(
                    "the snapshot is of a node with the partitioner {}, and this one has {}: its files mean nothing here; nothing was changed",
                    facts.partitioner, here.partitioner
                )));
            }
            if facts.cluster_name != here.cluster_name {
                warnings.push(format!(
                    "the snapshot is of the cluster `{}`, and the node is one of `{}`",
                    facts.cluster_name, here.cluster_name
                ));
            }
            if facts.host_id != here.host_id && facts.tokens != here.tokens {
                warnings.push(format!(
                    "the snapshot is of another node ({}) with other tokens: rows of ranges that this node does not have would not be found",
                    facts.host_id
                ));
            }
        }
        if self.survey.strangers > 0 {
            warnings.push(format!("{} files of the snapshot are none of an SSTable and are left out", self.survey.strangers));
        }
        warnings.extend(self.age(now));
        if self.peers > 0 {
            warnings.push(format!(
                "the node knows {} others: this restores one replica, and repair or read repair brings newer rows and deletions of the others \
                 back to it; to go back to this night, keep clients away and restore every node of the cluster from it, one after the other",
                self.peers
            ));
        }
        Ok(warnings)
    }

    fn age(&self, now: Timestamp) -> Option<String> {
        let tables = self.live.keyspaces.iter().map(|keyspace| (keyspace.name.as_str(), keyspace.tables.as_slice()));
        let is_alone = self.peers == 0 && !is_replicated(&self.looked.facts);
        let advice = match (self.is_merged, is_alone) {
            // Also a lone node forgets what it was told to delete, and then nothing wins over the row that comes.
            (true, _) => {
                "the node may have forgotten deletions since, and what it has forgotten comes back for good with what is added: bring the tables back under \
                 another name first (--as), and look"
            }
            (false, true) => return None,
            (false, false) => REPAIR,
        };
        aged(self.id, now, tables, advice)
    }
}

/// The version of the format of SSTables that a release does not read, of those that come.
pub(super) fn unread_by<'a>(release: &str, survey: &'a Survey) -> Option<&'a str> {
    survey.versions.iter().map(String::as_str).find(|version| !is_read_by(release, version))
}

/// What a person should know of a node that has never run, whose release nobody can ask for: which one it must be, and how old the snapshot is.
pub(super) fn of_new(id: SnapshotId, facts: &Facts, survey: &Survey, now: Timestamp) -> Vec<String> {
    // Of 4.1 and later ones, the last that is too old.
    let unread = |release: &'static str| Some((unread_by(release, survey)?, release));
    let release = unread("5.0").or_else(|| unread("4.1")).map(|(version, release)| {
        format!(
            "the snapshot has SSTables of the format `{version}`, which Cassandra {release} does not read yet, and which release is here is seen when it has \
             started, which cannot be taken back: see that it is {} or a newer one before you say yes",
            facts.version
        )
    });
    let tables = facts.keyspaces.iter().map(|keyspace| (keyspace.name.as_str(), keyspace.tables.as_slice()));
    let is_alone = facts.peers.is_empty() && !is_replicated(facts);
    release.into_iter().chain(if is_alone { None } else { aged(id, now, tables, REPAIR) }).collect()
}

fn is_replicated(facts: &Facts) -> bool {
    facts.keyspaces.iter().any(|keyspace| keyspace.replication.values().any(|factor| factor.parse().is_ok_and(|n: u32| n > 1)))
}

/// What to do where other replicas may have forgotten deletions.
///
/// Without `--full`, a repair passes over what is marked as repaired on both sides, and what comes may be.
const REPAIR: &str = "rows that were deleted since may come back for good; repair these tables at once (`nodetool repair --full`, because without it \
                      files are passed over that have been repaired before), or restore all replicas from the same night";

/// What a person should know of counters, where other nodes have replicas of them: of what each node has counted, the highest count wins.
pub(super) fn told_counters(definitions: &Definitions, survey: &Survey) -> Option<String> {
    let comes = |keyspace: &str, name: &str| {
        survey.tables.keys().any(|(of, folder)| of == keyspace && table_of(folder).is_some_and(|(table, _)| table == name))
    };
    let names: Vec<String> =
        definitions.counters().filter(|(keyspace, name)| comes(keyspace, name)).map(|(of, name)| format!("{of}.{name}")).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the node counts on from what the snapshot has ({}), and other nodes know more of what it had counted: what it counts before \
             `nodetool repair --full` has brought that back may be lost, so keep clients from these tables until then",
            bounded(names).join(", ")
        )
    })
}

/// A warning when tombstones that were made since the snapshot may be forgotten by now, with what to do. Where all of a lone copy is replaced there
/// are none.
fn aged<'a>(id: SnapshotId, now: Timestamp, keyspaces: impl Iterator<Item = (&'a str, &'a [Table])>, advice: &str) -> Option<String> {
    let age = now.duration_since(id.to_timestamp()).as_secs();
    let mut names = Vec::new();
    let mut least = i64::MAX;
    for (keyspace, tables) in keyspaces {
        for table in tables.iter().filter(|table| i64::from(table.gc_grace_seconds) < age) {
            least = least.min(table.gc_grace_seconds.into());
            names.push(format!("{keyspace}.{}", table.name));
        }
    }
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "the snapshot is {} old, and gc_grace_seconds of {} is less (the least is {}): {advice}",
        in_words(age),
        bounded(names).join(", "),
        in_words(least)
    ))
}

/// Seconds in the largest unit of which there are two: so 47 hours are not told as one day.
fn in_words(seconds: i64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    match units.into_iter().find(|(length, _)| seconds >= 2 * length) {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} second{}", if seconds == 1 { "" } else { "s" }),
    }
}

/// The node, which must be the one that what lies aside is of. What an undrained restore has set aside says no node: that one was down.
///
/// # Errors
/// [`Error::Refused`] when it is another one; what looking gives.
pub(super) fn look_at_node_of(aside: &AsideTables, ctx: &Context, settings: &CassandraSettings, ground: &Ground) -> Result<Looked, Error> {
    let looked = look_at_some(settings, &ground.config, &aside.keyspaces(), &ctx.stop)?;
    is_of(aside, &looked.facts.host_id)?;
    Ok(looked)
}

fn is_of(aside: &AsideTables, host_id: &str) -> Result<(), Error> {
    if aside.host_id.is_empty() || aside.host_id == host_id {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "what was replaced is of the node {}, and the source is on {host_id} now: let the source have that node; nothing was changed",
        aside.host_id
    )))
}

/// Whether a release reads SSTables of this version: `ma` and later ones of 3.x and 4.x, and from 5.0 on `oa` and, in BTI, `da`. Of releases
/// that are not known nothing is refused: the node checks its files itself.
fn is_read_by(release: &str, version: &str) -> bool {
    let first = version.chars().next().unwrap_or('?');
    match release.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(3) => first == 'm',
        Some(4) => matches!(first, 'm' | 'n'),
        Some(5) => matches!(first, 'm' | 'n') || matches!(version, "oa" | "da"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cassandra::{Keyspace, KeyspaceFacts, Kind, Schema};

    fn table(name: &str, gc_grace_seconds: i32) -> Table {
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        Table { name: name.into(), id, kind: Kind::Table, base: None, gc_grace_seconds, indexes: Vec::new() }
    }

    fn looked(version: &str, factor: &str) -> Looked {
        let tables = vec![table("old", 864_000), table("young", 864_000 * 100)];
        let replication = [("class".to_owned(), "SimpleStrategy".to_owned()), ("replication_factor".to_owned(), factor.to_owned())].into();
        let keyspace = KeyspaceFacts { name: "k".into(), replication, ..KeyspaceFacts::default() };
        let facts = Facts {
            version: version.into(),
            cluster_name: "here".into(),
            partitioner: "Murmur3Partitioner".into(),
            host_id: "h".into(),
            tokens: vec!["1".into()],
            keyspaces: vec![keyspace],
            ..Facts::default()
        };
        Looked { facts, schema: Schema { keyspaces: vec![Keyspace { name: "k".into(), tables }] }, ddl: Vec::new() }
    }

    fn judged(looked: &Looked, facts: &Facts, version: &str, peers: u64) -> Result<Vec<String>, Error> {
        let survey = Survey { versions: [version.to_owned()].into(), ..Survey::default() };
        let id: SnapshotId = "20261101T000000000Z".parse().unwrap();
        let live = &looked.schema;
        Sides { id, facts: Some(facts), survey: &survey, looked, live, is_merged: false, peers }
            .judge("2026-11-26T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn formats_that_a_node_cannot_read_are_refused() {
        let old = looked("4.1.10", "1");
        for format in ["da", "oa", "zz"] {
            assert!(matches!(judged(&old, &old.facts, format, 0), Err(Error::Refused(why)) if why.contains(format)));
        }
        let new = looked("5.0.9", "1");
        for format in ["ma", "nb", "oa", "da"] {
            assert!(judged(&new, &new.facts, format, 0).unwrap().is_empty());
        }
        assert!(judged(&new, &new.facts, "oz", 0).is_err());
    }

    #[test]
    fn of_a_node_that_has_never_run_the_release_that_it_must_be_and_the_age_of_the_snapshot_are_told() {
        let survey = |format: &str| Survey { versions: [format.to_owned()].into(), ..Survey::default() };
        let of = |facts: &Facts, format: &str| {
            of_new("20261101T000000000Z".parse().unwrap(), facts, &survey(format), "2026-11-26T00:00:00Z".parse().unwrap())
        };
        let mut facts = looked("5.0.9", "1").facts;
        facts.keyspaces[0].tables = vec![table("old", 864_000), table("young", 864_000 * 100)];
        let told = of(&facts, "da");
        assert!(
            told.len() == 1 && told[0].contains("Cassandra 4.1 does not read yet") && told[0].contains("it is 5.0.9 or a newer one"),
            "{told:?}"
        );
        assert!(of(&facts, "nb").is_empty());
        facts.peers = vec!["10.0.0.8:7000".into()];
        let told = of(&facts, "nb");
        assert!(told.len() == 1 && told[0].contains("k.old is less"), "{told:?}");
    }

    #[test]
    fn the_age_of_a_snapshot_matters_where_there_are_other_replicas() {
        let alone = looked("5.0.9", "1");
        assert!(judged(&alone, &alone.facts, "nb", 0).unwrap().is_empty());
        let replicated = looked("5.0.9", "3");
        let warned = judged(&replicated, &replicated.facts, "nb", 0).unwrap();
        assert!(warned[0].contains("25 days old") && warned[0].contains("k.old is less") && !warned[0].contains("young"), "{warned:?}");
        let known = judged(&alone, &alone.facts, "nb", 2).unwrap();
        assert_eq!(known.len(), 2);
        assert!(known.iter().any(|told| told.contains("repair these tables at once (`nodetool repair --full`")), "{known:?}");
    }

    #[test]
    fn counters_that_come_are_told_where_others_have_replicas_and_what_they_hold_is_replaced() {
        let ddl = "CREATE TABLE k.c (id int PRIMARY KEY, hits counter); CREATE TABLE k.t (id int PRIMARY KEY, v text);";
        let recorded = crate::ops::restore::cassandra::seen::Recorded {
            id: "20261125T000000000Z".parse().unwrap(),
            facts: None,
            definitions: Definitions::read(&[("k".into(), ddl.into())]).unwrap(),
            keyspaces: vec!["k".into()],
        };
        let looked = looked("5.0.9", "1");
        let of = |tables: &[&str], is_merged, peers| {
            let folder = |name: &&str| (("k".to_owned(), format!("{name}-{}", "0".repeat(32))), super::super::survey::Coming::default());
            let survey = Survey { tables: tables.iter().map(folder).collect(), ..Survey::default() };
            let told =
                recorded.judge("2026-11-25T01:00:00Z".parse().unwrap(), &survey, (&looked, &looked.schema), is_merged, peers).unwrap();
            told.into_iter().find(|told| told.contains("counts"))
        };
        assert!(of(&["c", "t"], false, 2).unwrap().contains("what the snapshot has (k.c)"));
        assert_eq!(of(&["c"], false, 0), None);
        assert_eq!(of(&["c"], true, 2), None, "the highest count wins");
        assert_eq!(of(&["t"], false, 2), None);
    }

    #[test]
    fn the_age_of_what_is_merged_matters_on_a_lone_node_too_and_that_of_tables_that_are_not_meant_never() {
        let alone = looked("5.0.9", "1");
        let survey = Survey::default();
        let of = |live: &Schema, is_merged| {
            let id: SnapshotId = "20261101T000000000Z".parse().unwrap();
            let sides = Sides { id, facts: None, survey: &survey, looked: &alone, live, is_merged, peers: 0 };
            sides.judge("2026-11-26T00:00:00Z".parse().unwrap()).unwrap()
        };
        let told = of(&alone.schema, true);
        assert!(told.len() == 1 && told[0].contains("k.old is less (the least is 10 days): the node may have forgotten"), "{told:?}");
        assert!(of(&alone.schema, false).is_empty());
        let young = Schema { keyspaces: vec![Keyspace { name: "k".into(), tables: vec![table("young", 864_000 * 100)] }] };
        assert!(of(&young, true).is_empty());
    }

    #[test]
    fn times_are_told_in_a_unit_that_says_them_well() {
        let told = [1, 119, 120, 7200, 172_799, 172_800, 864_000].map(in_words);
        assert_eq!(told, ["1 second", "119 seconds", "2 minutes", "2 hours", "47 hours", "2 days", "10 days"]);
    }

    #[test]
    fn what_was_set_aside_is_put_back_on_its_own_node_alone() {
        let of = |host_id: &str| AsideTables {
            cassandra: crate::ops::undo::Way::Stopped,
            host_id: host_id.into(),
            places: Vec::new(),
            tables: Vec::new(),
            others: Vec::new(),
            indexes: Default::default(),
            unbuilt: Default::default(),
        };
        is_of(&of("h"), "h").unwrap();
        is_of(&of(""), "h").unwrap();
        assert!(matches!(is_of(&of("g"), "h"), Err(Error::Refused(why)) if why.contains("the node g, and the source is on h")));
    }

    #[test]
    fn another_partitioner_is_refused_and_another_cluster_or_node_is_told() {
        let here = looked("5.0.9", "1");
        let mut other = here.facts.clone();
        other.partitioner = "RandomPartitioner".into();
        assert!(judged(&here, &other, "nb", 0).is_err());
        let mut other = here.facts.clone();
        (other.cluster_name, other.host_id, other.tokens) = ("there".into(), "g".into(), vec!["2".into()]);
        assert_eq!(judged(&here, &other, "nb", 0).unwrap().len(), 2);
    }
}
