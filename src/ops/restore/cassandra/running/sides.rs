//! What a snapshot holds, what the node has, and how the two go together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::matched::Matched;
use super::super::recorded;
use super::super::seen::Recorded;
use super::super::shares::{Root, Wanted};
use super::super::staging::{self, own_folder};
use super::super::survey::{self, Survey};
use crate::ops::assemble::lines_of;
use crate::ops::restore::about::About;
use crate::ops::restore::{self, Options};
use crate::ops::snapshots::Found;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::cassandra::Ground;
use crate::ops::{Context, Error};
use crate::source::cassandra::import::{Aside, Fill};
use crate::source::cassandra::missing::{Comparison, Part};
use crate::source::cassandra::{Keyspace, Looked, Schema, check_folders, has_ever_run, look_at_some, peers, table_of};

/// How the folders begin in which that lies aside which tables held.
const ASIDE: &str = "aside-";

/// Both sides of a restore.
pub(super) struct Both {
    /// What work on the node needs.
    pub(super) ground: Ground,
    /// What is asked for.
    pub(super) part: Part,
    /// What the snapshot says of itself.
    pub(super) recorded: Recorded,
    /// What the node is and has.
    pub(super) looked: Looked,
    /// How many others it knows.
    pub(super) peers: u64,
    /// How the two schemas go together.
    pub(super) comparison: Comparison,
    /// Which of the snapshot's tables come.
    pub(super) wanted: Wanted,
    /// What comes of them.
    pub(super) survey: Survey,
    /// The data directories.
    pub(super) roots: Vec<Root>,
}

impl Both {
    /// Reads what the snapshot says and asks the node; changes nothing.
    pub(super) fn look(
        ctx: &Context,
        settings: &CassandraSettings,
        found: &Found,
        options: &Options,
        about: &About,
    ) -> Result<Self, Error> {
        let ground = Ground::new(ctx, settings)?;
        let ddl = recorded::of(ctx, found, &mut *lines_of(ctx, found)?)?;
        let recorded = Recorded::new(found.id, &about.facts, &ddl)?;
        let part = part(options, &recorded.keyspaces)?;
        let keyspaces: Vec<String> = recorded.keyspaces.iter().filter(|name| is_meant(&part, name)).cloned().collect();
        let looked = look(ctx, settings, &ground, &keyspaces)?;
        check_folders(&ground.config, &looked.schema)?;
        let comparison = recorded.compared(&looked, &part)?;
        let wanted = wanted(&part, &comparison);
        let roots = survey::roots(ctx, &ground.config)?;
        let survey = staging::survey(ctx, found, options, &wanted, &roots)?;
        let peers = peers(settings, &ground.config, &ctx.stop)?;
        Ok(Self { ground, part, recorded, looked, peers, comparison, wanted, survey, roots })
    }

    /// The same with the node as it is now: what was missing has been made.
    pub(super) fn look_again(&mut self, ctx: &Context, settings: &CassandraSettings) -> Result<(), Error> {
        let names: Vec<String> =
            self.comparison.compared.iter().map(|one| one.keyspace.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        self.looked = look(ctx, settings, &self.ground, &names)?;
        self.comparison = self.recorded.compared(&self.looked, &self.part)?;
        match self.comparison.missing().next() {
            Some(missing) => {
                Err(Error::Refused(format!("the node does not show the {} that was made: nothing else was changed", missing.told())))
            }
            None => Ok(()),
        }
    }

    /// What a person should know; refused is what the node could not read.
    pub(super) fn judge(&self, ctx: &Context, options: &Options) -> Result<Vec<String>, Error> {
        self.recorded.judge(ctx.clock.now(), &self.survey, (&self.looked, &self.live()), options.manner.merge, self.peers)
    }

    /// What becomes of each table; refused is what could not be read, and what would answer otherwise than its table.
    pub(super) fn matched(&self) -> Result<Matched, Error> {
        Matched::of(&self.survey, &self.comparison)
    }

    /// The tables and what comes into them.
    pub(super) fn fills(&self) -> Result<Vec<Fill>, Error> {
        let matched = self.matched()?;
        let kind = |keyspace: &str, folder: &str| {
            let (name, id) = table_of(folder)?;
            let table = self.table(keyspace, name).filter(|table| table.id == id)?;
            Some((name.to_owned(), id, table.kind))
        };
        let fill = |change: &crate::source::cassandra::Change| {
            let (name, id, kind) = kind(&change.keyspace, &change.live).ok_or_else(|| {
                Error::Refused(format!("the node does not have {}/{} any more; nothing was changed", change.keyspace, change.live))
            })?;
            let folder = change.incoming.clone().unwrap_or_else(|| change.live.clone());
            let at_least = self.survey.tables.get(&(change.keyspace.clone(), folder.clone())).map_or(0, |coming| coming.sstables);
            Ok(Fill { keyspace: change.keyspace.clone(), name, id, kind, folder, at_least })
        };
        matched.changes.iter().map(fill).collect()
    }

    fn table(&self, keyspace: &str, name: &str) -> Option<&crate::source::cassandra::Table> {
        let keyspace = self.looked.schema.keyspaces.iter().find(|there| there.name == keyspace)?;
        keyspace.tables.iter().find(|table| table.name == name)
    }

    /// The live tables that files come into, or that are emptied.
    pub(super) fn live(&self) -> Schema {
        let Part::Table(_, table) = &self.part else { return self.looked.schema.clone() };
        let is_meant = |there: &&crate::source::cassandra::Table| there.name == *table || there.base.as_ref() == Some(table);
        let of = |keyspace: &Keyspace| Keyspace {
            name: keyspace.name.clone(),
            tables: keyspace.tables.iter().filter(is_meant).cloned().collect(),
        };
        Schema { keyspaces: self.looked.schema.keyspaces.iter().map(of).collect() }
    }

    /// Where what tables hold is set aside, from this instant.
    pub(super) fn asides(&self, ctx: &Context, spec: &SourceSpec) -> Vec<Aside> {
        asides(ctx, spec, self.roots.iter().map(|root| root.path.clone()))
    }

    /// Whether whole keyspaces are meant.
    pub(super) fn is_of_keyspaces(&self) -> bool {
        !matches!(self.part, Part::Table(..))
    }
}

/// Where what tables hold is set aside, from this instant, in each data directory.
pub(super) fn asides(ctx: &Context, spec: &SourceSpec, roots: impl Iterator<Item = PathBuf>) -> Vec<Aside> {
    let name = format!("{ASIDE}{}", ctx.clock.now().as_millisecond());
    roots.map(|root| Aside { place: own_folder(&root, &spec.name).join(&name), root }).collect()
}

fn look(ctx: &Context, settings: &CassandraSettings, ground: &Ground, keyspaces: &[String]) -> Result<Looked, Error> {
    look_at_some(settings, &ground.config, keyspaces, &ctx.stop).map_err(|error| match error {
        crate::source::Error::Cassandra { what: what @ "connect to", node, why } => {
            let hint = match has_ever_run(&ground.config) {
                Ok(false) => {
                    "it has never run, and as it is it would become another node: give `stop` and `start` of the source, and restore it as a whole and \
                     without --running; then it becomes the node that the snapshot is of"
                }
                _ => "this way the node must run: start it, or give `stop` and `start` of the source, and leave --running out",
            };
            crate::source::Error::Cassandra { what, node, why: format!("{why}; {hint}") }.into()
        }
        error => error.into(),
    })
}

/// What is asked for.
fn part(options: &Options, keyspaces: &[String]) -> Result<Part, Error> {
    let restore::Part { database, table, .. } = &options.part;
    let Some(table) = table else { return Ok(database.clone().map_or(Part::All, Part::Keyspace)) };
    match (table.split_once('.'), database, keyspaces) {
        (None, Some(keyspace), _) => Ok(Part::Table(keyspace.clone(), table.clone())),
        (None, None, [only]) => Ok(Part::Table(only.clone(), table.clone())),
        (Some((keyspace, table)), None, _) => Ok(Part::Table(keyspace.to_owned(), table.to_owned())),
        (Some((keyspace, table)), Some(database), _) if keyspace == database => Ok(Part::Table(keyspace.to_owned(), table.to_owned())),
        _ => Err(Error::Usage(format!("the snapshot has several keyspaces: say which one, as --table KEYSPACE.{table}"))),
    }
}

fn is_meant(part: &Part, keyspace: &str) -> bool {
    match part {
        Part::All => true,
        Part::Keyspace(name) | Part::Table(name, _) => name == keyspace,
    }
}

fn wanted(part: &Part, comparison: &Comparison) -> Wanted {
    if *part == Part::All {
        return Wanted::All;
    }
    let folder =
        |one: &crate::source::cassandra::missing::Compared| Some((one.keyspace.clone(), format!("{}-{}", one.name, one.id.as_ref()?)));
    let folders: BTreeSet<_> = comparison.compared.iter().filter(|one| one.has_files()).filter_map(folder).collect();
    Wanted::Some(Arc::new(folders))
}
