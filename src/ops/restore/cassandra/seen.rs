//! What is seen of a node that is up: its schema beside that of the snapshot.

use jiff::Timestamp;

use super::checks::{Sides, told_counters};
use super::fresh::check_is_not_another;
use super::matched::Matched;
use super::survey::Survey;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::spec::CassandraSettings;
use crate::ops::{Context, Error};
use crate::source::cassandra::missing::{Comparison, Definitions, Part};
use crate::source::cassandra::{Facts, Looked, NodeConfig, Schema, check_folders, look_at_some, peers};

/// What a snapshot says of itself.
pub(super) struct Recorded {
    /// Its id.
    pub(super) id: SnapshotId,
    /// What was known of the node; nothing where that is lost.
    pub(super) facts: Option<Facts>,
    /// How its keyspaces are made.
    pub(super) definitions: Definitions,
    /// Their names.
    pub(super) keyspaces: Vec<String>,
}

impl Recorded {
    /// Of the statements of each keyspace.
    ///
    /// # Errors
    /// [`Error::Source`] when they cannot be understood.
    pub(super) fn new(id: SnapshotId, facts: &serde_json::Value, ddl: &[(String, String)]) -> Result<Self, Error> {
        let facts = serde_json::from_value(facts.clone()).ok();
        let keyspaces = ddl.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { id, facts, definitions: Definitions::read(ddl)?, keyspaces })
    }

    /// Whether the node knew no others.
    pub(super) fn was_alone(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.peers.is_empty())
    }

    /// How a part of it stands to what a node has.
    ///
    /// # Errors
    /// [`Error::Source`] when what the node says cannot be understood.
    pub(super) fn compared(&self, looked: &Looked, part: &Part) -> Result<Comparison, Error> {
        Ok(Comparison::of(&self.definitions, &Definitions::read(&looked.ddl)?, part)?)
    }

    /// What a person should know before a node that knows so many others takes what comes of it in place of what these tables hold, or, if it
    /// `is_merged`, beside that.
    ///
    /// # Errors
    /// [`Error::Refused`] for what the node could not read.
    pub(super) fn judge(
        &self,
        now: Timestamp,
        survey: &Survey,
        (looked, live): (&Looked, &Schema),
        is_merged: bool,
        peers: u64,
    ) -> Result<Vec<String>, Error> {
        let mut warnings = Sides { id: self.id, facts: self.facts.as_ref(), survey, looked, live, is_merged, peers }.judge(now)?;
        if peers > 0 && !is_merged {
            warnings.extend(told_counters(&self.definitions, survey));
        }
        Ok(warnings)
    }
}

/// A node that is up.
pub(super) struct Seen {
    /// What it is and which of the snapshot's keyspaces it has.
    pub(super) looked: Looked,
    /// Its definitions beside those of the snapshot.
    pub(super) comparison: Comparison,
    /// What becomes of each table.
    pub(super) matched: Matched,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
    /// How many others it knows.
    pub(super) peers: u64,
}

impl Seen {
    /// All that a person should know, for one who has seen no plan of it, because the node was down then.
    pub(super) fn told(&self) -> Vec<String> {
        let Matched { makes, empties, differs, .. } = &self.matched;
        let mut told = self.warnings.clone();
        for (what, names) in [
            ("the node does not have, and they are made", makes),
            ("only the node has: their rows are set aside, and they stay as empty tables", empties),
            ("is defined otherwise than when the snapshot was taken", differs),
        ] {
            if !names.is_empty() {
                told.push(format!("{what}: {}", names.join("; ")));
            }
        }
        told
    }

    /// Looks at it.
    ///
    /// # Errors
    /// [`Error::Refused`] when it cannot take the snapshot; [`Error::Source`] with what it says.
    pub(super) fn of(
        ctx: &Context,
        settings: &CassandraSettings,
        config: &NodeConfig,
        recorded: &Recorded,
        survey: &Survey,
    ) -> Result<Self, Error> {
        let looked = look_at_some(settings, config, &recorded.keyspaces, &ctx.stop)?;
        check_folders(config, &looked.schema)?;
        check_is_not_another(ctx, settings, config, recorded, &looked.facts)?;
        let peers = peers(settings, config, &ctx.stop)?;
        let warnings = recorded.judge(ctx.clock.now(), survey, (&looked, &looked.schema), false, peers)?;
        let comparison = recorded.compared(&looked, &Part::All)?;
        let matched = Matched::of(survey, &comparison)?;
        Ok(Self { looked, comparison, matched, warnings, peers })
    }
}
