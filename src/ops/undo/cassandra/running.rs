//! A node that runs takes files in, each step written down before it is done; and what becomes of it after a kill.

use std::path::{Path, PathBuf};

use super::aside::set_aside;
use super::ground::Ground;
use super::import::{IMPORT, ImportStage, Manner, PendingImport};
use super::{replaced, told_under_way, views_as_they_were};
use crate::ops::error::chain;
use crate::ops::locks::{self, Use};
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::clear::clear_files;
use crate::ops::undo::leftovers::Leftovers;
use crate::ops::undo::memory::UndoRecord;
use crate::ops::undo::settled::{Ending, Work};
use crate::ops::{Context, Error};
use crate::source::Error as SourceError;
use crate::source::cassandra::import::{self, Aside, Before, Fill};
use crate::source::cassandra::{Job, look_at_some};
use crate::sys::stop::Stop;

/// How often what tables held is kept beside one place; whoever kills the same work more often than this finds it refused.
const KEPT_MAX: u32 = 1000;

/// A source whose node takes files in.
pub(crate) struct Filling<'a> {
    /// The world around it.
    pub(crate) ctx: &'a Context,
    /// The source.
    pub(crate) spec: &'a SourceSpec,
    /// How its node is reached.
    pub(crate) settings: &'a CassandraSettings,
    /// Where it is remembered.
    pub(crate) folder: &'a Path,
    /// What it needs beside the node.
    pub(crate) ground: &'a Ground,
    /// For nameless temporary files.
    pub(crate) work: &'a Path,
}

impl Filling<'_> {
    /// Work on the node.
    pub(crate) fn job<'b>(&'b self, tag: &'b str, stop: &'b Stop) -> Job<'b> {
        let Ground { config, .. } = self.ground;
        Job { settings: self.settings, config, tag, folder: self.ground.folder(), work: self.work, stop, meter: &self.ctx.meter }
    }

    /// Empties the tables, or does not, and has the node take the files in. What does not come through is taken back, as far as it can be.
    pub(crate) fn carry_out(&self, pending: &mut PendingImport) -> Result<(), Error> {
        let no_stop = Stop::new();
        // Half-way there is neither the old nor the new state; where nothing is replaced, there is no such thing.
        let stop = if pending.replaces() { &no_stop } else { &self.ctx.stop };
        let job = self.job("", stop);
        if let Err(why) = self.begin(&job, pending) {
            return Err(self.give_up_after(pending, why));
        }
        let before = if pending.replaces() { Before::Truncate } else { Before::Keep };
        let filled = import::compaction_off(&job, &pending.uncompacted)
            .and_then(|()| import::fill(&job, &pending.incoming, &pending.tables, before))
            .map(|against| self.tell_views(against))
            .and_then(|()| import::prove(&job, &pending.tables))
            .map(|unseen| unseen.into_iter().for_each(|unseen| self.warn(unseen)))
            .map_err(Error::from)
            .and_then(|()| pending.write(ImportStage::Filled, self.folder));
        match filled {
            Ok(()) => self.finish(pending).map(|()| self.wait_for_views(pending)).map_err(|why| {
                let why = chain(&why);
                Error::Refused(format!(
                    "{why}; what was to come is in place, but the compaction of its tables may still be off, and the next command on the source finishes it"
                ))
            }),
            // Nothing else in it refuses: no table was emptied.
            Err(Error::Source(why @ (SourceError::Refused { .. } | SourceError::NotWhole { .. }))) => {
                if let Err(later) = self.compact_again(&job, pending) {
                    self.warn(format!("the compaction of its tables may be off (nodetool enableautocompaction): {}", chain(&later)));
                }
                Err(self.give_up_after(pending, worded(why, "no row was touched")))
            }
            Err(why) => Err(self.take_back_after(pending, why)),
        }
    }

    /// The last look before a row is touched.
    fn begin(&self, job: &Job<'_>, pending: &mut PendingImport) -> Result<(), Error> {
        import::check_ready(job, &pending.incoming, &pending.tables)?;
        pending.uncompacted = import::compacting(job, &pending.tables)?;
        import::check_target(job, &pending.host_id, pending.replaces()).map_err(|error| worded(error, "no row was touched"))?;
        if pending.replaces() {
            import::check_may_empty(job, &pending.tables).map_err(|error| worded(error, "no row was touched"))?;
        }
        import::check_views(job, &pending.tables).map_err(|error| worded(error, "no row was touched"))?;
        self.phase(pending, "importing");
        pending.write(ImportStage::Filling, self.folder)
    }

    /// Gives up work that has not touched a row. Gives what to say: why.
    pub(crate) fn give_up_after(&self, pending: &PendingImport, why: Error) -> Error {
        if let Err(later) = self.give_up(pending) {
            self.warn(format!("the next command has to remove what is left beside it: {}", chain(&later)));
        }
        why
    }

    /// Takes back what did not come through. Gives what to say.
    fn take_back_after(&self, pending: &mut PendingImport, why: Error) -> Error {
        let how = match (self.take_back(pending), pending.replaces()) {
            (Ok(()), true) => "what was there before was put back".to_owned(),
            (Ok(()), false) if matches!(pending.manner, Manner::Beside(..)) => "the new table was dropped".to_owned(),
            (Ok(()), false) => "what had come in by then stays".to_owned(),
            (Err(later), _) => format!("and it could not be taken back: {}; the next command goes on with that", chain(&later)),
        };
        if why.is_stopped() {
            self.warn(how);
            return why;
        }
        Error::Refused(format!("{}; {how}", chain(&why)))
    }

    fn take_back(&self, pending: &mut PendingImport) -> Result<(), Error> {
        let no_stop = Stop::new();
        let job = self.job("", &no_stop);
        match pending.stage {
            ImportStage::Preparing => {}
            _ if pending.replaces() => {
                if pending.stage != ImportStage::BackFilled {
                    self.fill_back(&job, pending)?;
                }
                self.end_back(&job, pending)?;
            }
            _ if pending.manner == Manner::Merge => self.compact_again(&job, pending)?,
            _ => {}
        }
        self.give_up(pending)
    }

    /// Has the tables hold again what they held before.
    fn fill_back(&self, job: &Job<'_>, pending: &mut PendingImport) -> Result<(), Error> {
        self.phase(pending, "putting back");
        self.check_target(job, pending)?;
        import::set_apart(&pending.incoming)?;
        let tables = self.still_there(&pending.back, Some(": what it held is not put back"))?;
        import::check_views(job, &tables)?;
        pending.is_kept = tables.len() < pending.back.len();
        if let Some(place) = pending.outgoing.first() {
            import::wait_for_others(job, place, &tables)?;
        }
        import::compaction_off(job, &those(&pending.uncompacted, &tables))?;
        self.tell_views(import::fill(job, &pending.outgoing, &tables, Before::Truncate)?);
        pending.write(ImportStage::BackFilled, self.folder)
    }

    /// That it is the node whose tables are to be emptied.
    fn check_target(&self, job: &Job<'_>, pending: &PendingImport) -> Result<(), Error> {
        import::check_target(job, &pending.host_id, true).map_err(|error| worded(error, &self.by_hand(pending)))
    }

    /// What a person can do where nothing else helps.
    fn by_hand(&self, pending: &PendingImport) -> String {
        let (places, document) = (told(&pending.outgoing), self.folder.join(IMPORT));
        format!("or bring what lies in {places} into the node (nodetool import), and then remove {}", document.display())
    }

    /// Keeps what the tables hold now, half filled as they are: between a kill and this run clients may have written to them, and they are about to
    /// be emptied.
    fn keep_written(&self, pending: &PendingImport) -> Result<(), Error> {
        self.phase(pending, "setting aside");
        let mut names: Vec<String> = pending.back.iter().map(|table| table.keyspace.clone()).collect();
        names.dedup();
        let mut schema = look_at_some(self.settings, &self.ground.config, &names, &Stop::new())?.schema;
        for keyspace in &mut schema.keyspaces {
            keyspace.tables.retain(|table| pending.back.iter().any(|back| back.id == table.id));
        }
        schema.keyspaces.retain(|keyspace| !keyspace.tables.is_empty());
        if schema.keyspaces.is_empty() {
            return Ok(());
        }
        let written = |place: &PathBuf| {
            let within = self.ground.config.data_directories.iter().filter(|root| place.starts_with(root));
            // One data directory may lie in another one.
            let root = within.max_by_key(|root| root.components().count()).cloned().unwrap_or_default();
            Aside { root, place: free(place, ".written") }
        };
        let asides: Vec<Aside> = pending.outgoing.iter().map(written).collect();
        let places: Vec<PathBuf> = asides.iter().map(|aside| aside.place.clone()).collect();
        set_aside(self, &schema, &asides, false, &pending.host_id)?;
        self.warn(format!(
            "clients may have written to the tables since it was broken off, and all that they held now, a part of it from the snapshot, was set apart: \
             look at {}, bring what you need into the node (nodetool import), and remove it",
            told(&places)
        ));
        Ok(())
    }

    /// They hold it, and are used again: what is not as it should be is told, and nothing is emptied for it.
    fn end_back(&self, job: &Job<'_>, pending: &PendingImport) -> Result<(), Error> {
        let tables = self.still_there(&pending.back, Some(""))?;
        import::compaction_on(job, &those(&pending.uncompacted, &tables))?;
        match import::prove(job, &tables) {
            Ok(unseen) => unseen.into_iter().for_each(|unseen| self.warn(unseen)),
            Err(why) => {
                self.warn(format!("what the tables held is back in them, and not all is as it should be: {}", chain(&Error::from(why))));
            }
        }
        if pending.manner == Manner::PutBack {
            import::bring_back(&pending.incoming)?;
        }
        Ok(())
    }

    /// Work that has not touched a row comes to its end as if it had never begun. What was made of the schema stays.
    pub(crate) fn give_up(&self, pending: &PendingImport) -> Result<(), Error> {
        if let Manner::Beside(keyspace, name, id) = &pending.manner {
            let no_stop = Stop::new();
            import::drop_beside(&self.job("", &no_stop), keyspace, name, id)?;
        }
        let mut files = pending.outgoing.clone();
        if pending.is_kept {
            let places = told(&files);
            self.warn(format!("what was set aside stays, because some of it is of tables that are gone: look at {places}, and remove it"));
            files.clear();
        }
        // What an undo would have put back stays where it is.
        if pending.manner != Manner::PutBack {
            files.extend(pending.incoming.iter().flat_map(|place| [place.clone(), import::apart(place)]));
        }
        Leftovers::of_files(files).add(self.folder)?;
        PendingImport::forget(self.folder)?;
        clear_files(self.ctx, self.spec, self.folder)
    }

    /// Has tables compacted again, remembers the undo of what has come through, and removes what nobody needs any more.
    fn finish(&self, pending: &PendingImport) -> Result<(), Error> {
        let no_stop = Stop::new();
        self.compact_again(&self.job("", &no_stop), pending)?;
        let mut leftovers = Leftovers::of_files(pending.incoming.clone());
        if let Some(undo) = &pending.undo {
            let remembered = UndoRecord::read(self.folder)?;
            // A kill may have come after it was remembered: then what is to be removed is written down already.
            if remembered.as_ref() != Some(undo) {
                leftovers.files.extend(replaced(self.ctx, self.spec, remembered, pending.manner == Manner::PutBack));
                leftovers.add(self.folder)?;
                undo.write(self.folder)?;
            }
        } else {
            leftovers.add(self.folder)?;
        }
        PendingImport::forget(self.folder)?;
        clear_files(self.ctx, self.spec, self.folder)
    }

    /// Settles work that was broken off. Gives whether it was finished.
    fn settle(&self, pending: &mut PendingImport) -> Result<bool, Error> {
        if pending.stage == ImportStage::Preparing && !matches!(pending.manner, Manner::Beside(..)) {
            return self.give_up(pending).map(|()| false);
        }
        let no_stop = Stop::new();
        let here = look_at_some(self.settings, &self.ground.config, &[], &no_stop)
            .map_err(|error| Error::Refused(format!("{}; the node must run for that", chain(&Error::from(error)))))?;
        if here.facts.host_id != pending.host_id {
            return Err(Error::Refused(format!(
                "it was begun on the node {}, and the source is on {} now: let the source have that node",
                pending.host_id, here.facts.host_id
            )));
        }
        match pending.stage {
            ImportStage::Preparing => self.give_up(pending).map(|()| false),
            ImportStage::Filling | ImportStage::BackFilled => {
                if pending.stage == ImportStage::Filling && pending.replaces() {
                    // What keeps it from being taken back for good must not have the tables set apart once more with each command.
                    let job = self.job("", &no_stop);
                    self.check_target(&job, pending)?;
                    let tables = self.still_there(&pending.back, None)?;
                    import::check_ready(&job, &pending.outgoing, &tables).map_err(|error| worded(error, &self.by_hand(pending)))?;
                    import::check_may_empty(&job, &tables).map_err(|error| worded(error, &self.by_hand(pending)))?;
                    import::check_views(&job, &tables)?;
                    self.keep_written(pending)?;
                }
                self.take_back(pending).map(|()| false)
            }
            ImportStage::Filled => self.finish(pending).map(|()| true),
        }
    }

    /// Has those of the tables compacted again that were, and are still there.
    fn compact_again(&self, job: &Job<'_>, pending: &PendingImport) -> Result<(), Error> {
        let tables = self.still_there(&pending.tables, Some(""))?;
        Ok(import::compaction_on(job, &those(&pending.uncompacted, &tables))?)
    }

    /// Those of the tables that the node still has; somebody may have dropped others since, which is told with what comes of it (`lost`), if at all.
    fn still_there(&self, tables: &[Fill], lost: Option<&str>) -> Result<Vec<Fill>, Error> {
        let mut names: Vec<String> = tables.iter().map(|table| table.keyspace.clone()).collect();
        names.dedup();
        let looked = look_at_some(self.settings, &self.ground.config, &names, &Stop::new())?;
        let has = |table: &&Fill| {
            let keyspace = looked.schema.keyspaces.iter().find(|keyspace| keyspace.name == table.keyspace);
            let is_there = keyspace.is_some_and(|keyspace| keyspace.tables.iter().any(|there| there.id == table.id));
            if let Some(lost) = lost.filter(|_| !is_there) {
                self.warn(format!("{} was dropped meanwhile{lost}", table.told()));
            }
            is_there
        };
        Ok(tables.iter().filter(has).cloned().collect())
    }

    /// Waits some minutes for views that the node makes anew; the restore is in place, whatever comes of that.
    fn wait_for_views(&self, pending: &PendingImport) {
        if !pending.replaces() {
            return;
        }
        let told = match import::views_under_way(&self.job("", &self.ctx.stop), &pending.tables) {
            Ok(under_way) => told_under_way(&under_way),
            Err(error) => Some(format!("how far the node is with its views could not be seen: {}", chain(&Error::from(error)))),
        };
        told.into_iter().for_each(|told| self.warn(told));
    }

    /// Says so where the node does not make views anew.
    fn tell_views(&self, against: Option<String>) {
        against.into_iter().for_each(|why| self.warn(views_as_they_were(&why)));
    }

    fn phase(&self, pending: &PendingImport, phase: &'static str) {
        self.ctx.phase(&self.spec.name, Some(pending.snapshot), phase);
    }

    fn warn(&self, text: String) {
        self.ctx.warn(Some(&self.spec.name), text);
    }
}

/// Those of the names that are of these tables.
fn those(names: &[(String, String)], tables: &[Fill]) -> Vec<(String, String)> {
    let is_there = |(keyspace, name): &&(String, String)| tables.iter().any(|table| table.keyspace == *keyspace && table.name == *name);
    names.iter().filter(is_there).cloned().collect()
}

/// Places for a person.
fn told(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A name beside a place that nothing has: the suffix alone or, where it is taken, with a number.
fn free(place: &Path, suffix: &str) -> PathBuf {
    let named = |number: u32| {
        let mut name = place.as_os_str().to_owned();
        name.push(if number == 1 { suffix.to_owned() } else { format!("{suffix}-{number}") });
        PathBuf::from(name)
    };
    // A number is taken for each kill of the same work.
    (1..KEPT_MAX).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(KEPT_MAX))
}

/// A refusal of a source, with what is to be said of it here.
fn worded(error: SourceError, told: &str) -> Error {
    match error {
        SourceError::Refused { why } => Error::Refused(format!("{why}; {told}")),
        error @ SourceError::NotWhole { .. } => Error::Refused(format!("{}; {told}", chain(&Error::from(error)))),
        error => error.into(),
    }
}

/// Settles what was broken off. Gives what it was and how it ended.
pub(super) fn recover(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    folder: &Path,
) -> Result<Option<(Work, Ending)>, Error> {
    let Some(mut pending) = PendingImport::read(folder)? else { return Ok(None) };
    let work = pending.work();
    let _lock = locks::cassandra(ctx, &spec.name, settings, ("settle a restore of", Use::Running), None)?;
    let (ground, temporary) = (Ground::new(ctx, settings)?, ctx.state()?.work()?);
    let filling = Filling { ctx, spec, settings, folder, ground: &ground, work: &temporary };
    let is_finished = filling.settle(&mut pending).inspect_err(|_| {
        filling.warn(format!(
            "{work} of `{}` that was broken off is not settled, and until it is nothing else is done; {} says how far it has come",
            spec.name,
            folder.join(IMPORT).display()
        ));
    })?;
    let how = match (is_finished, &pending.manner) {
        (true, _) => "was finished",
        (false, Manner::Merge) => "was ended: what had come in by then stays, and the same command again brings the rest",
        (false, Manner::Beside(..)) => "was taken back: the new table is gone",
        (false, _) => "was taken back; the tables hold what they held before it",
    };
    filling.warn(format!("{work} of `{}` that was broken off {how}", spec.name));
    Ok(Some((work, if is_finished { Ending::Finished } else { Ending::TakenBack })))
}

/// Whether such work has begun and not come to its end.
pub(super) fn is_under_way(folder: &Path) -> Result<bool, Error> {
    Ok(PendingImport::read(folder)?.is_some())
}
