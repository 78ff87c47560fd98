//! With the node stopped: its files and those of the snapshot change places.

use super::checks::of_new;
use super::down::{be_up, told_down, unasked};
use super::exchange::{aside_of, of_staged, told_others};
use super::matched::Matched;
use super::node_plan::{NodePlan, bounded, never};
use super::seen::{Recorded, Seen};
use super::shares::{Root, Wanted};
use super::survey::{Survey, roots, roots_to_be};
use super::views::{leave_views_out, told_indexes, told_views};
use super::{fresh, recorded, staging};
use crate::ops::assemble::lines_of;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::restore::about::About;
use crate::ops::restore::{Options, Outcome, Plan, about_same_kind, exactly, rate};
use crate::ops::snapshots::Found;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::standing::Standing;
use crate::ops::undo::cassandra::stopped::Site;
use crate::ops::undo::cassandra::{Begun, Ground, PendingStopped, Stage};
use crate::ops::undo::{Placed, UndoRecord, is_under_way, site};
use crate::ops::{Context, Error};
use crate::source::cassandra::missing::{Compared, Comparison, Definitions, Part, make};
use crate::source::cassandra::{ALL, Control, Keyspace, Kind, LiveSize, Schema, Table, check_places, is_own, live_size};
use crate::sys::space::nearest_folder;

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
    let ground = Ground::new(ctx, settings)?;
    ground.control(ctx, settings, &ctx.stop).check_commands()?;
    let folder = site::folder(ctx, spec)?;
    let site = Site { ctx, spec, settings, folder: &folder, ground: &ground };
    let now = Now::of(&site)?;
    let roots = if now == Now::New { roots_to_be(ctx, &ground.config)? } else { roots(ctx, &ground.config)? };
    let survey = standing.judge(survey_of(ctx, found, options, &roots))?;
    let recorded = standing.judge(recorded_of(ctx, found, &about))?;
    let mut warnings = about.warnings(found, spec);
    let mut own = settings.keyspaces.clone();
    own.sort();
    if recorded.keyspaces != own && own != [ALL] {
        warnings.push(format!(
            "the snapshot holds the keyspaces {}, and the source is {} now: what the snapshot holds is restored",
            recorded.keyspaces.join(", "),
            settings.keyspaces.join(", ")
        ));
    }
    if Begun::read(&folder)?.is_some() {
        warnings.push("a restore has begun to make this node anew and was broken off: this one goes on from there".to_owned());
    }
    let node = now.plan(&site, &recorded, &survey, options, &mut warnings)?;
    warnings.extend(told_others(&ground.config));
    warnings.extend(told_indexes(&survey));
    warnings.extend(survey.lack_of_room(&roots).map(|why| format!("it may not fit: {why}")));
    let earlier = UndoRecord::read(&folder)?;
    if earlier.as_ref().is_some_and(|earlier| !earlier.is_written) && !is_under_way(ctx, &spec.name)? {
        warnings.push("what the restore before this one has set aside will be removed when this one is in place".to_owned());
    }
    let places = roots.iter().map(|root| staging::own_folder(&root.path, &spec.name).display().to_string()).collect::<Vec<_>>();
    // What is there before the rows of a new node are empty tables of our own making.
    let aside = (now != Now::New).then(|| places.join(", "));
    Ok(Plan {
        source: spec.name.clone(),
        kind: about.kind,
        id: found.id,
        name: exactly(found),
        options: options.clone(),
        target: told_target(settings, &recorded),
        aside,
        files: survey.files(),
        bytes: survey.bytes(),
        download_bytes: standing.judge(staging::download_size(ctx, found, options, &Wanted::All, &roots))?,
        free_bytes: roots.iter().map(|root| root.free).sum(),
        estimate: rate::estimate_of_node(ctx, rate::CASSANDRA, survey.bytes())?,
        server: None,
        node: Some(node.of_age(&recorded, &survey, ctx.clock.now())),
        warnings,
        earlier,
        parts: Vec::new(),
    })
}

/// How a node is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    /// It answers.
    Up,
    /// It does not answer.
    Down,
    /// It has never run.
    New,
}

impl Now {
    fn of(site: &Site<'_>) -> Result<Self, Error> {
        let control = site.ground.control(site.ctx, site.settings, &site.ctx.stop);
        Ok(match fresh::up_or_told(site, &control)? {
            true => Self::Up,
            false if fresh::has_never_run(site.ground, &control)? => Self::New,
            false => Self::Down,
        })
    }

    /// What becomes of the node.
    fn plan(
        self,
        site: &Site<'_>,
        recorded: &Recorded,
        survey: &Survey,
        options: &Options,
        warnings: &mut Vec<String>,
    ) -> Result<NodePlan, Error> {
        let Site { ctx, settings, ground, .. } = site;
        let mut node = NodePlan { is_up: self == Self::Up, never: never(), ..NodePlan::default() };
        if let Some(facts) = &recorded.facts {
            (node.version, node.cluster_name) = (facts.version.clone(), facts.cluster_name.clone());
        }
        let checked = |is_up| check_places(settings, &ground.config, is_up, &ctx.stop);
        let matched = match self {
            Self::Up => {
                checked(true)?;
                let seen = Seen::of(ctx, settings, &ground.config, recorded, survey)?;
                let facts = seen.looked.facts;
                (node.version, node.cluster_name, node.host_id) = (facts.version, facts.cluster_name, facts.host_id);
                warnings.extend(seen.warnings);
                warnings.extend(told_views(&seen.comparison, seen.peers == 0));
                seen.matched
            }
            Self::Down => {
                // One that is started first is asked then.
                if options.manner.undrained {
                    checked(false)?;
                }
                warnings.push(told_down(settings, options, ground)?);
                warnings.extend(told_views(&all_of(recorded)?, !options.manner.undrained && recorded.was_alone()));
                if options.manner.undrained { unasked(ground, recorded, survey)? } else { Matched::unasked(survey) }
            }
            Self::New => {
                let new = fresh::New::of(ctx, settings, ground, recorded, Begun::read(site.folder)?.as_ref())?;
                warnings.extend(new.warnings);
                warnings.extend(recorded.facts.iter().flat_map(|facts| of_new(recorded.id, facts, survey, ctx.clock.now())));
                let comparison = all_of(recorded)?;
                warnings.extend(told_views(&comparison, recorded.was_alone()));
                Matched::of(survey, &comparison)?;
                (node.fresh, node.makes, node.linked_bytes) = (Some(new.plan), made_of_new(&comparison), survey.linked.iter().sum());
                return Ok(node);
            }
        };
        let live = live_of(ctx, ground, &matched)?;
        (node.live_tables, node.live_files, node.live_bytes) = (matched.changes.len() as u64, live.files, live.bytes);
        node.linked_bytes = survey.linked.iter().sum();
        (node.makes, node.empties, node.differs) = (matched.makes, matched.empties, matched.differs);
        Ok(node)
    }
}

/// Carries a plan out. Until the node is stopped, any failure leaves it as it was.
pub(super) fn run(ctx: &Context, spec: &SourceSpec, settings: &CassandraSettings, plan: &Plan) -> Result<Outcome, Error> {
    let started = ctx.clock.monotonic();
    let options = &plan.options;
    let found = Found::look_up_in(ctx, options.node.as_ref(), &plan.name, &options.from)?;
    let standing = Standing::of(&found);
    let about = standing.judge(About::of(ctx, &found, true))?;
    let ground = Ground::new(ctx, settings)?;
    let folder = site::folder(ctx, spec)?;
    let site = Site { ctx, spec, settings, folder: &folder, ground: &ground };
    let recorded = standing.judge(recorded_of(ctx, &found, &about))?;
    let is_new = begin_new(&site, &found, plan, &recorded, &standing)?;
    let outcome = fill(&site, (found, &standing), plan, &recorded, is_new)
        .map_err(|error| if is_new { fresh::told_begun(&site, error) } else { error })?;
    // The restore is in place: that its rate cannot be remembered makes it none the worse.
    let _ = rate::record(ctx, rate::CASSANDRA, outcome.bytes, ctx.clock.monotonic().saturating_sub(started));
    Ok(outcome)
}

/// Makes a node that has never run the one that the snapshot is of, once it is known that its rows will fit. Gives whether it was one.
fn begin_new(site: &Site<'_>, found: &Found, plan: &Plan, recorded: &Recorded, standing: &Standing) -> Result<bool, Error> {
    let (ctx, config) = (site.ctx, &site.ground.config);
    let mut survey = Survey::default();
    if plan.node.as_ref().is_some_and(|node| node.fresh.is_some()) {
        let roots = roots_to_be(ctx, config)?;
        survey = standing.judge(survey_of(ctx, found, &plan.options, &roots))?;
        if let Some(why) = survey.lack_of_room(&roots) {
            return Err(Error::Refused(format!("{} does not fit: {why}; nothing was changed", found.name())));
        }
    }
    fresh::begin(site, found, plan, recorded, &survey)
}

/// Puts the files together and lets them change places with those of the node.
fn fill(site: &Site<'_>, (found, standing): (Found, &Standing), plan: &Plan, recorded: &Recorded, is_new: bool) -> Result<Outcome, Error> {
    let Site { ctx, spec, settings, folder, ground } = *site;
    let options = &plan.options;
    let control = ground.control(ctx, settings, &ctx.stop);
    let roots = roots(ctx, &ground.config)?;
    let survey = standing.judge(survey_of(ctx, &found, options, &roots))?;
    let is_up = be_up(ctx, spec, &control, options)?;
    check_places(settings, &ground.config, is_up, &ctx.stop)?;
    // All that could speak against it is known before anything is fetched.
    let matched = match is_up {
        true => {
            let seen = Seen::of(ctx, settings, &ground.config, recorded, &survey)?;
            // Of a new one the plan has said it all, but for what its schema makes worth knowing.
            if is_new {
                seen.warnings.iter().for_each(|text| ctx.warn(Some(&spec.name), text.clone()));
            } else if !plan.node.as_ref().is_some_and(|node| node.is_up) {
                seen.told().into_iter().for_each(|text| ctx.warn(Some(&spec.name), text));
            }
            seen.matched
        }
        false => unasked(ground, recorded, &survey)?,
    };
    let exchange = of_staged(ctx, &spec.name, &ground.config, &roots, matched.changes);
    exchange.check()?;
    let aside = aside_of(&exchange, &matched.expected, None, &ground.config, false)?;
    let undo = UndoRecord::new(Placed::Cassandra(aside), found.id, ctx.clock.now());
    let mut pending = PendingStopped::new(exchange, matched.expected, undo, false);
    pending.write(Stage::Staging, folder)?;

    ctx.phase(&spec.name, Some(found.id), "fetching");
    // What has no place is not brought.
    let wanted = Wanted::Some(std::sync::Arc::new(survey.tables.keys().cloned().collect()));
    let staged = standing.judge(staging::stage(ctx, spec, found, options, &wanted, &roots));
    let ready = staged.and_then(|staged| get_ready(site, &mut pending, recorded, &survey, (is_up, is_new)).map(|()| staged.0));
    let staged = match ready.and_then(|staged| ctx.stop.check().map(|()| staged).map_err(Error::from)) {
        Ok(staged) => staged,
        Err(error) => {
            // The node has not been touched; the error is what matters.
            let _ = site.forget_taken_back(&pending);
            return Err(error);
        }
    };
    let notes = stop_and_exchange(site, &mut pending, &control, options.manner.undrained)?;
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: Some(plan.id) });
    let Placed::Cassandra(aside) = &pending.undo.placement else { unreachable!("it was made a few lines above") };
    Ok(Outcome {
        source: spec.name.clone(),
        id: Some(plan.id),
        files: staged.files,
        bytes: staged.bytes,
        downloaded_bytes: staged.downloaded,
        aside: Some(aside.told()),
        notes: staged.notes.into_iter().chain(notes).collect(),
        damage: staged.damage,
        owed: Vec::new(),
    })
}

/// Makes what the node lacks, and looks once more at what becomes of each table: the schema may have changed meanwhile.
fn get_ready(
    site: &Site<'_>,
    pending: &mut PendingStopped,
    recorded: &Recorded,
    survey: &Survey,
    (is_up, is_new): (bool, bool),
) -> Result<(), Error> {
    if !is_up {
        return Ok(());
    }
    let Site { ctx, spec, settings, ground, .. } = site;
    let seen = Seen::of(ctx, settings, &ground.config, recorded, survey)?;
    if seen.comparison.missing().next().is_some() {
        ctx.phase(&spec.name, Some(pending.undo.snapshot), "making the schema");
    }
    let mut made = false;
    let notes = make(settings, &ground.config, &seen.comparison, &ctx.stop, &mut |one| {
        made = true;
        if !is_new {
            ctx.warn(Some(&spec.name), format!("{} is made: the node does not have it", one.told()));
        }
    })?;
    notes.into_iter().for_each(|note| ctx.warn(Some(&spec.name), note));
    let seen = if made { Seen::of(ctx, settings, &ground.config, recorded, survey)? } else { seen };
    pending.exchange.tables = seen.matched.changes;
    pending.expected = seen.matched.expected;
    pending.exchange.check()?;
    let mut aside = aside_of(&pending.exchange, &pending.expected, Some(&seen.looked), &ground.config, false)?;
    aside.unbuilt = ground.control(ctx, settings, &ctx.stop).unbuilt(&seen.looked.schema)?;
    pending.undo.placement = Placed::Cassandra(aside);
    if seen.peers == 0 {
        leave_views_out(site, pending, &seen.looked.schema)?;
    }
    Ok(())
}

/// Stops the node and lets files change places. Gives what a person should know. One that has ended since it was looked at is left alone unless it
/// may be `undrained`: the commit log of all its keyspaces would go.
pub(super) fn stop_and_exchange(
    site: &Site<'_>,
    pending: &mut PendingStopped,
    control: &Control<'_>,
    undrained: bool,
) -> Result<Vec<String>, Error> {
    let may = match control.is_up() {
        Ok(is_up) if is_up || undrained => {
            pending.was_down = !is_up;
            Ok(())
        }
        Ok(_) => Err(Error::Refused(
            "the node has ended meanwhile, and what only its commit log holds, of all its keyspaces, would be lost: start it and begin again, or say \
             --undrained; no file was moved"
                .to_owned(),
        )),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = may {
        site.forget_taken_back(pending)?;
        return Err(error);
    }
    pending.write(Stage::Stopping, site.folder)?;
    if let Err(error) = site.bring_down(pending, undrained) {
        if control.is_up().unwrap_or(false) {
            site.forget_taken_back(pending)?;
            return Err(error);
        }
        pending.write(Stage::Unstopped, site.folder)?;
        return Err(Error::Refused(format!(
            "{}; no file was moved, and the node takes no writes until it is started anew: stop and start it by hand",
            chain(&error)
        )));
    }
    note_what_goes(site, pending).and_then(|()| site.change_places(pending)).inspect_err(|_| {
        // What can be put right at once is; otherwise the document stays, and the next command does it.
        if let Err(later) = site.recover() {
            site.ctx.warn(Some(&site.spec.name), format!("the next command has to put it right: {}", chain(&later)));
        }
    })
}

/// The node being down, its files are what they are: which of the tables have rows, and whether the commit log is still needed, is known now.
fn note_what_goes(site: &Site<'_>, pending: &mut PendingStopped) -> Result<(), Error> {
    let is_drained = pending.is_drained;
    let mut fresh = aside_of(&pending.exchange, &pending.expected, None, &site.ground.config, is_drained)?;
    if let Placed::Cassandra(known) = &pending.undo.placement {
        for (table, known) in fresh.tables.iter_mut().zip(&known.tables) {
            table.kind = known.kind;
        }
        fresh.host_id.clone_from(&known.host_id);
        fresh.indexes.clone_from(&known.indexes);
        fresh.unbuilt.clone_from(&known.unbuilt);
    }
    pending.undo.placement = Placed::Cassandra(fresh);
    Ok(())
}

fn survey_of(ctx: &Context, found: &Found, options: &Options, roots: &[Root]) -> Result<Survey, Error> {
    let survey = staging::survey(ctx, found, options, &Wanted::All, roots)?;
    if survey.tables.is_empty() {
        return Err(Error::Refused(format!("{} holds no table; nothing was changed", found.name())));
    }
    Ok(survey)
}

/// A snapshot's definitions beside those of a node that has none.
fn all_of(recorded: &Recorded) -> Result<Comparison, Error> {
    Ok(Comparison::of(&recorded.definitions, &Definitions::default(), &Part::All)?)
}

/// What of a snapshot a node that has never run will not have by itself: Cassandra's own keyspaces each has.
fn made_of_new(comparison: &Comparison) -> Vec<String> {
    bounded(comparison.missing().filter(|one| !is_own(&one.keyspace)).map(Compared::told).collect())
}

fn recorded_of(ctx: &Context, found: &Found, about: &About) -> Result<Recorded, Error> {
    let ddl = recorded::of(ctx, found, &mut *lines_of(ctx, found)?)?;
    Recorded::new(found.id, &about.facts, &ddl)
}

fn live_of(ctx: &Context, ground: &Ground, matched: &Matched) -> Result<LiveSize, Error> {
    let mut keyspaces: Vec<Keyspace> = Vec::new();
    for (change, expected) in matched.changes.iter().zip(&matched.expected) {
        if keyspaces.last().is_none_or(|last| last.name != change.keyspace) {
            keyspaces.push(Keyspace { name: change.keyspace.clone(), tables: Vec::new() });
        }
        let (name, id) = (expected.name.clone(), expected.id.clone());
        let table = Table { name, id, kind: Kind::Table, base: None, gc_grace_seconds: 0, indexes: Vec::new() };
        keyspaces.last_mut().expect("one was just pushed").tables.push(table);
    }
    Ok(live_size(&ground.config, &Schema { keyspaces }, nearest_folder(&ctx.local()?.dir), None, &ctx.stop)?)
}

fn told_target(settings: &CassandraSettings, recorded: &Recorded) -> String {
    format!("{} of the Cassandra of {}", recorded.keyspaces.join(", "), settings.config_file.display())
}

#[cfg(test)]
#[path = "stopped_tests.rs"]
mod tests;
