//! While the node runs: it takes the files in.
//!
//! [`sides`] looks at the snapshot and at the node; [`beside`] makes a table under another name,
//! [`room`] is what it takes, [`undo`] puts back. What happens to tables, and what after a kill, is [`crate::ops::undo::cassandra::running`].

mod beside;
mod room;
mod sides;
mod undo;

use self::sides::Both;
pub(super) use self::undo::{plan_undo, undo};
use super::node_plan::{NodePlan, bounded, never};
use super::staging::{self, staged_folder};
use super::survey;
use super::views::told_views;
use crate::ops::event::Event;
use crate::ops::restore::about::About;
use crate::ops::restore::{Options, Outcome, Plan, about_same_kind, exactly, rate};
use crate::ops::snapshots::Found;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::standing::Standing;
use crate::ops::undo::cassandra::aside::{asides_of, fills, set_aside};
use crate::ops::undo::cassandra::running::Filling;
use crate::ops::undo::cassandra::{Ground, Manner, PendingImport, indexes_of};
use crate::ops::undo::{Placed, UndoRecord, Way, site};
use crate::ops::{Context, Error};
use crate::source::cassandra::missing::{self, Part};
use crate::source::cassandra::{TableId, live_size};
use crate::sys::random::hex;

/// Random bytes of a table's id.
const ID: usize = 16;

/// The keyspace of those who may log in.
const ROLES: &str = "system_auth";

/// Plans a restore.
pub(super) fn plan(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    found: &Found,
    options: &Options,
) -> Result<Plan, Error> {
    let standing = Standing::of(found);
    let about = about_same_kind(ctx, spec, found, &standing)?;
    let both = standing.judge(Both::look(ctx, settings, found, options, &about))?;
    let mut warnings = about.warnings(found, spec);
    warnings.extend(both.judge(ctx, options)?);
    let folder = site::folder(ctx, spec)?;
    let earlier = UndoRecord::read(&folder)?;
    let (matched, aside) = match &options.part.rename {
        Some(name) => (beside::check(&both, name)?, None),
        None => {
            warnings.extend(judge_live(&both, options)?);
            warnings.extend(told_views(&both.comparison, !options.manner.merge));
            if earlier.is_some() && !options.manner.merge {
                warnings.push("what the restore before this one has set aside will be removed when this one is in place".to_owned());
            }
            let places = both.roots.iter().map(|root| staging::own_folder(&root.path, &spec.name).display().to_string());
            let places = places.collect::<Vec<_>>().join(", ");
            (both.matched()?, (!options.manner.merge).then_some(places))
        }
    };
    if let Some(why) = room::lack(&both.roots, &both.survey) {
        warnings.push(format!("{why}: it may not fit"));
    }
    let live = live_size(&both.ground.config, &both.live(), &ctx.local()?.dir, None, &ctx.stop)?;
    let bytes = both.survey.bytes();
    let node = NodePlan {
        way: Way::Running,
        is_up: true,
        version: both.looked.facts.version.clone(),
        cluster_name: both.looked.facts.cluster_name.clone(),
        host_id: both.looked.facts.host_id.clone(),
        live_tables: both.live().keyspaces.iter().map(|keyspace| keyspace.tables.len() as u64).sum(),
        live_files: live.files,
        live_bytes: live.bytes,
        linked_bytes: both.survey.linked.iter().sum(),
        makes: matched.makes,
        empties: if options.manner.merge { Vec::new() } else { matched.empties },
        differs: matched.differs,
        never: never(),
        ..NodePlan::default()
    };
    Ok(Plan {
        source: spec.name.clone(),
        kind: about.kind,
        id: found.id,
        name: exactly(found),
        options: options.clone(),
        target: target(&both, settings, options),
        aside,
        files: both.survey.files(),
        bytes,
        download_bytes: standing.judge(staging::download_size(ctx, found, options, &both.wanted, &both.roots))?,
        free_bytes: both.roots.iter().map(|root| root.free).sum(),
        estimate: rate::estimate_of_node(ctx, rate::TABLES, bytes)?,
        server: None,
        node: Some(node.of_age(&both.recorded, &both.survey, ctx.clock.now())),
        warnings,
        earlier,
        parts: Vec::new(),
    })
}

/// What becomes of live tables, for a person; refused is what would empty tables of others.
fn judge_live(both: &Both, options: &Options) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    if options.manner.merge {
        warnings.push(
            "the tables keep what they hold, and newer cells and newer deletions win: rows that were deleted since the snapshot do not come back \
             as long as the node remembers that; this cannot be undone, for nothing is replaced"
                .to_owned(),
        );
    } else if let Some(keyspace) = both.live().keyspaces.iter().find(|keyspace| keyspace.name == ROLES) {
        return Err(Error::Refused(format!(
            "`{}` holds the roles, and while it is empty nobody can log in who would fill it again: restore the other keyspaces one by one \
             (--database), and this one with the node stopped, or with --merge; nothing was changed",
            keyspace.name
        )));
    } else if both.peers > 0 {
        return Err(Error::Refused(format!(
            "the node knows {} others of its cluster, and tables are emptied on all of them at once: take the files in beside what is there \
             (--merge), or restore with the node stopped; nothing was changed",
            both.peers
        )));
    } else {
        warnings.push(
            "the tables are emptied (TRUNCATE) and filled while clients may use them: stop what writes to them; what is written until it is done is \
             lost. Where `auto_snapshot` is on, the node keeps a snapshot `truncated-…` of each, which only you clear"
                .to_owned(),
        );
    }
    if !both.comparison.unknown.is_empty() {
        let unknown = bounded(both.comparison.unknown.clone()).join(", ");
        warnings.push(format!("statements of the snapshot's schema that are not known are not carried out: {unknown}"));
    }
    Ok(warnings)
}

/// What is replaced, for a person.
fn target(both: &Both, settings: &CassandraSettings, options: &Options) -> String {
    let place = settings.config_file.display();
    match (&both.part, &options.part.rename) {
        (Part::Table(keyspace, _), Some(name)) => format!("a new table `{keyspace}.{name}` of the Cassandra of {place}"),
        (Part::Table(keyspace, table), None) => format!("the table `{keyspace}.{table}` of the Cassandra of {place}"),
        (Part::Keyspace(keyspace), _) => format!("the keyspace `{keyspace}` of the Cassandra of {place}"),
        (Part::All, _) => settings.place(),
    }
}

/// Carries a plan out. The caller holds the source's lock and has settled what an earlier run has left.
pub(super) fn run(ctx: &Context, spec: &SourceSpec, settings: &CassandraSettings, plan: &Plan) -> Result<Outcome, Error> {
    let started = ctx.clock.monotonic();
    let options = &plan.options;
    let look_up = || Found::look_up_in(ctx, options.node.as_ref(), &plan.name, &options.from);
    let found = look_up()?;
    let standing = Standing::of(&found);
    let about = standing.judge(About::of(ctx, &found, true))?;
    let mut both = standing.judge(Both::look(ctx, settings, &found, options, &about))?;
    both.judge(ctx, options)?;
    let manner = match &options.part.rename {
        Some(name) => {
            beside::check(&both, name)?;
            beside::manner(ctx, &both, name)?
        }
        None => {
            judge_live(&both, options)?;
            both.matched()?;
            if options.manner.merge { Manner::Merge } else { Manner::Replace }
        }
    };
    if let Some(why) = room::lack(&both.roots, &both.survey) {
        return Err(Error::Refused(format!("{} does not fit: {why}; nothing was changed", found.name())));
    }
    let (folder, work) = (site::folder(ctx, spec)?, ctx.state()?.work()?);
    let incoming = both.roots.iter().map(|root| staged_folder(&root.path, &spec.name)).collect();
    let outgoing = both.asides(ctx, spec).into_iter().map(|aside| aside.place).filter(|_| manner == Manner::Replace).collect();
    let mut pending = PendingImport::new(manner, found.id, both.looked.facts.host_id.clone(), incoming, outgoing);
    pending.write(pending.stage, &folder)?;
    let own = Ground::new(ctx, settings)?;
    let filling = Filling { ctx, spec, settings, folder: &folder, ground: &own, work: &work };
    ctx.phase(&spec.name, Some(found.id), "fetching");
    let prepared = standing
        .judge(staging::stage(ctx, spec, found, options, &both.wanted, &both.roots))
        .and_then(|(staged, survey)| {
            // What is live has changed since it was planned, and with it where SSTables go.
            both.survey = survey;
            ctx.stop.check().map(|()| staged).map_err(Error::from)
        })
        .and_then(|staged| prepare(&filling, &mut both, &mut pending, options).map(|notes| (staged, notes)))
        .and_then(|prepared| check_room(ctx, &own, &both.survey.shares).map(|()| prepared));
    let (mut staged, notes) = match prepared {
        Ok(prepared) => prepared,
        // No row has been touched, and what was fetched is of no use.
        Err(error) => return Err(filling.give_up_after(&pending, error)),
    };
    filling.carry_out(&mut pending)?;
    staged.notes.extend(notes);
    if options.part == Default::default() {
        // The restore is in place: that its rate cannot be remembered makes it none the worse.
        let _ = rate::record(ctx, rate::TABLES, staged.bytes, ctx.clock.monotonic().saturating_sub(started));
    }
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: Some(plan.id) });
    Ok(Outcome {
        source: spec.name.clone(),
        id: Some(plan.id),
        files: staged.files,
        bytes: staged.bytes,
        downloaded_bytes: staged.downloaded,
        aside: asides_of(&pending),
        notes: staged.notes,
        damage: staged.damage,
        owed: Vec::new(),
    })
}

/// Looks, before the first row is touched, whether the room is still there: hours may have gone by since it was asked for.
fn check_room(ctx: &Context, ground: &Ground, shares: &[u64]) -> Result<(), Error> {
    match room::lack_beside(&survey::roots(ctx, &ground.config)?, shares) {
        Some(why) => Err(Error::Refused(format!("{why}: make room and try again; no row was touched"))),
        None => Ok(()),
    }
}

/// Makes what is missing of the schema and sets aside what tables hold. Gives what a person should know.
fn prepare(filling: &Filling<'_>, both: &mut Both, pending: &mut PendingImport, options: &Options) -> Result<Vec<String>, Error> {
    let Filling { ctx, spec, settings, .. } = *filling;
    if let (Manner::Beside(..), Some(name)) = (&pending.manner, &options.part.rename) {
        return beside::make(filling, both, pending, name);
    }
    ctx.phase(&spec.name, Some(pending.snapshot), "making the schema");
    let notes = missing::make(settings, &both.ground.config, &both.comparison, &ctx.stop, &mut |one| {
        ctx.warn(Some(&spec.name), format!("{} is made: the node does not have it", one.told()));
    })?;
    both.look_again(ctx, settings)?;
    pending.tables = both.fills()?;
    if pending.manner == Manner::Replace {
        ctx.phase(&spec.name, Some(pending.snapshot), "setting aside");
        let asides = both.roots.iter().zip(&pending.outgoing);
        let asides: Vec<_> =
            asides.map(|(root, place)| crate::source::cassandra::import::Aside { root: root.path.clone(), place: place.clone() }).collect();
        let mut aside = set_aside(filling, &both.live(), &asides, both.is_of_keyspaces(), &pending.host_id)?;
        aside.indexes = indexes_of(&both.looked, &aside)?;
        pending.back = fills(&aside);
        pending.undo = Some(UndoRecord::new(Placed::Cassandra(aside), pending.snapshot, ctx.clock.now()));
    }
    Ok(notes)
}

/// An id for a new table: a random one.
fn new_id(ctx: &Context) -> TableId {
    let mut digits = hex(&*ctx.random, ID);
    // What marks a random UUID as one.
    digits.replace_range(12..13, "4");
    digits.replace_range(16..17, "8");
    digits.parse().expect("these are 32 hex digits")
}
