//! Files of a node that is down change places, step by step, each written down before it is done; and what becomes of it after a kill.

use std::path::Path;

use super::document::{PendingStopped, STOPPED, Stage};
use super::ground::Ground;
use super::{told_under_way, views_as_they_were};
use crate::ops::error::chain;
use crate::ops::locks::{self, Use};
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::settled::{Ending, Work};
use crate::ops::{Context, Error};
use crate::source::cassandra::{Control, Exchange, Unindexed};
use crate::sys::stop::Stop;

/// How often a node is drained at most that something starts again and again.
const DRAINS_MAX: usize = 3;

/// A source whose node's files change places.
pub(crate) struct Site<'a> {
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
}

impl Site<'_> {
    /// Has the node write out what it has and stops it; what could not be looked at is told. One that is down and cannot be told to write out
    /// anything is an error, unless it may be `undrained`. From here on the run is not stopped any more: half-way there is neither the old nor
    /// the new state.
    pub(crate) fn bring_down(&self, pending: &mut PendingStopped, undrained: bool) -> Result<(), Error> {
        let no_stop = Stop::new();
        let control = self.ground.control(self.ctx, self.settings, &no_stop);
        if !undrained || control.is_up()? {
            self.phase(pending, "draining");
            self.finish_batches(&control);
            control.drain()?;
            // A drained node takes no connections. One that does was started anew, and has a commit log that nothing else holds.
            pending.is_drained = !control.takes_connections()?;
            for _ in 1..DRAINS_MAX {
                if pending.is_drained {
                    break;
                }
                control.drain()?;
                pending.is_drained = !control.takes_connections()?;
            }
        }
        self.phase(pending, "stopping");
        control.halt()?.into_iter().for_each(|unseen| self.ctx.warn(Some(&self.spec.name), unseen));
        Ok(())
    }

    /// Changes of views and of batches that the node keeps for later would be made in what is put in place. What is left of them is told.
    fn finish_batches(&self, control: &Control<'_>) {
        match control.finish_batches() {
            Ok(0) => {}
            Ok(left) => self.warn(format!(
                "the node has {left} changes of views or batches that it has not carried out, because other nodes are down or others write to it: it \
                 makes them once it is started again, also in what comes back now"
            )),
            Err(error) => self.warn(format!(
                "whether the node has changes of views or batches that it has yet to make could not be seen, or it could not be told to make them: {}; \
                 what it still has it makes once it is started again, also in what comes back now",
                chain(&Error::from(error))
            )),
        }
    }

    /// Carries the exchange out, the node being down, and looks whether the node works with it; else the old state is put back.
    /// Gives what a person should know.
    pub(crate) fn change_places(&self, pending: &mut PendingStopped) -> Result<Vec<String>, Error> {
        let no_stop = Stop::new();
        let control = self.ground.control(self.ctx, self.settings, &no_stop);
        self.phase(pending, "placing");
        pending.write(Stage::Out, self.folder)?;
        pending.exchange.set_aside()?;
        // Whoever has started it meanwhile has it running on what is half gone.
        control.prove_down()?;
        for index in pending.exchange.unindexed()? {
            if !pending.unindexed.contains(&index) {
                pending.unindexed.push(index);
            }
        }
        pending.exchange.note_coming()?;
        pending.write(Stage::In, self.folder)?;
        pending.exchange.place()?;
        pending.write(Stage::Starting, self.folder)?;
        if control.signs_of_life()?.is_some() {
            self.bring_down_as_it_is(pending)?;
        }
        let looked = self.start_and_check(pending);
        self.tell_late(&pending.exchange);
        looked
    }

    /// Starts the node on what is in place and looks at it; what does not work is put back.
    fn start_and_check(&self, pending: &mut PendingStopped) -> Result<Vec<String>, Error> {
        let no_stop = Stop::new();
        let control = self.ground.control(self.ctx, self.settings, &no_stop);
        self.phase(pending, "starting");
        if !control.is_up()?
            && let Err(why) = control.start()
        {
            pending.is_written |= control.takes_connections().unwrap_or(true);
            return Err(self.back_because(pending, &why.into()));
        }
        match self.look(pending, &control, false) {
            Ok(notes) => {
                self.finish(pending)?;
                Ok(notes)
            }
            Err(why) => {
                pending.is_written = true;
                Err(self.back_because(pending, &why))
            }
        }
    }

    /// As [`Site::start_and_check`], in a later run: the node may have run with what is in place, and have been written to, so a check that fails
    /// puts nothing back. It is told, and there is the undo.
    fn start_and_keep(&self, pending: &mut PendingStopped) -> Result<Vec<String>, Error> {
        let no_stop = Stop::new();
        let control = self.ground.control(self.ctx, self.settings, &no_stop);
        self.phase(pending, "starting");
        if !control.is_up()?
            && let Err(why) = control.start()
        {
            pending.is_written = true;
            return Err(self.back_because(pending, &why.into()));
        }
        let notes = self.look(pending, &control, true)?;
        self.finish(pending)?;
        Ok(notes)
    }

    /// Looks whether the node has taken up what was put in place, and has it build what has not come. What is to be `kept` whatever is found is
    /// looked at to its end: that one index is not whole leaves no view empty.
    fn look(&self, pending: &PendingStopped, control: &Control<'_>, kept: bool) -> Result<Vec<String>, Error> {
        self.phase(pending, "checking");
        let mut notes = Vec::new();
        for index in &pending.unindexed {
            match control.rebuild_index(index) {
                Ok(()) => {}
                // It comes back as it was set aside, and no worse.
                Err(why) if pending.is_undo || kept => notes.push(not_whole(index, &chain(&Error::from(why)))),
                Err(why) => return Err(why.into()),
            }
        }
        match control.check(&pending.expected) {
            Ok(more) => notes.extend(more),
            Err(why) if kept => notes.push(format!(
                "not all is as it should be: {}; what was put in place stays, because the node may have been written to since: look at that table, and \
                 put back what was there before with --undo, if that is what you want",
                chain(&Error::from(why))
            )),
            Err(why) => return Err(why.into()),
        }
        match control.make_views(&pending.anew) {
            Ok(under_way) => notes.extend(told_under_way(&under_way)),
            // They came as they had been, and no worse.
            Err(why) if pending.is_undo => notes.push(views_as_they_were(&chain(&Error::from(why)))),
            Err(why) if kept => notes.push(not_made(&pending.anew, &chain(&Error::from(why)))),
            Err(why) => return Err(why.into()),
        }
        Ok(notes)
    }

    /// Puts back what was there before; gives what is said then.
    fn back_because(&self, pending: &mut PendingStopped, why: &Error) -> Error {
        match self.put_back(pending) {
            Ok(()) => {
                Error::Refused(format!("{}; what was there before was put back, and the node {}", chain(why), how_it_is(pending.was_down)))
            }
            Err(later) => Error::Refused(format!(
                "{}; and what was there before is not yet back: {}; the next command settles it",
                chain(why),
                chain(&later)
            )),
        }
    }

    /// Makes live again what was live before, after the node was started with the other files.
    fn put_back(&self, pending: &mut PendingStopped) -> Result<(), Error> {
        self.phase(pending, "putting back");
        // Before it is drained: whoever settles a kill must not take a drained node for one that is coming up.
        pending.write(Stage::BackOut, self.folder)?;
        self.bring_down_as_it_is(pending)?;
        self.go_back(pending)
    }

    /// As [`Site::bring_down`]; a node that does not even drain is stopped all the same.
    fn bring_down_as_it_is(&self, pending: &mut PendingStopped) -> Result<(), Error> {
        let no_stop = Stop::new();
        let control = self.ground.control(self.ctx, self.settings, &no_stop);
        // Whatever was known of it, it may have been started since.
        pending.is_drained = false;
        if control.takes_connections()? {
            match control.drain() {
                Ok(()) => pending.is_drained = true,
                Err(error) => self.warn(format!("the node could not be drained before it was stopped: {}", chain(&Error::from(error)))),
            }
        }
        control.halt()?.into_iter().for_each(|unseen| self.warn(unseen));
        Ok(())
    }

    /// The way back from wherever it was broken off; the node is down.
    fn go_back(&self, pending: &mut PendingStopped) -> Result<(), Error> {
        let back = pending.exchange.reversed(pending.is_drained);
        if pending.stage == Stage::BackOut {
            back.set_aside()?;
            pending.write(Stage::BackIn, self.folder)?;
        }
        if pending.stage == Stage::BackIn {
            back.place()?;
            pending.write(Stage::BackStarting, self.folder)?;
        }
        self.be_up(pending)?;
        self.forget_taken_back(pending)
    }

    /// The node runs, whoever has started it; one that was down before is not started, for that may be why it was.
    fn be_up(&self, pending: &PendingStopped) -> Result<(), Error> {
        let no_stop = Stop::new();
        let control = self.ground.control(self.ctx, self.settings, &no_stop);
        if pending.was_down || control.is_up()? { Ok(()) } else { Ok(control.start()?) }
    }

    /// Settles work that was broken off. Gives whether it was finished.
    fn settle(&self, mut pending: PendingStopped) -> Result<bool, Error> {
        let exchange = pending.exchange.clone();
        let settled = self.settle_stage(&mut pending);
        self.tell_late(&exchange);
        settled
    }

    /// Says where that lies which came into tables while their files were changing places.
    fn tell_late(&self, exchange: &Exchange) {
        for place in exchange.late().into_iter().chain(exchange.reversed(true).late()) {
            self.warn(format!(
                "the node was started while its files were changing places, and what it wrote then to tables that were on their way was set apart: look \
                 at {}, bring what you need into the node (nodetool import), and remove it",
                place.display()
            ));
        }
    }

    fn settle_stage(&self, pending: &mut PendingStopped) -> Result<bool, Error> {
        let no_stop = Stop::new();
        match pending.stage {
            Stage::Staging => self.forget_taken_back(pending)?,
            // Nothing was drained, and whoever has started it since is left alone.
            Stage::Stopping | Stage::Unstopped if pending.was_down => self.forget_taken_back(pending)?,
            Stage::Stopping | Stage::Unstopped => {
                let control = self.ground.control(self.ctx, self.settings, &no_stop);
                // A killed run leaves nodetool behind, which goes on with the drain: the node may be up now, and takes nothing a moment later.
                // One that is up after the stop has failed was started anew since.
                if pending.stage == Stage::Stopping || !control.is_up()? {
                    self.bring_down_as_it_is(pending)?;
                    control.start()?;
                }
                self.forget_taken_back(pending)?;
            }
            Stage::Out => {
                self.bring_down_as_it_is(pending)?;
                pending.exchange.take_back()?;
                self.be_up(pending)?;
                self.forget_taken_back(pending)?;
            }
            Stage::In | Stage::Starting => {
                if pending.stage == Stage::In {
                    self.bring_down_as_it_is(pending)?;
                    pending.exchange.place()?;
                    pending.write(Stage::Starting, self.folder)?;
                }
                return match self.start_and_keep(pending) {
                    Ok(notes) => {
                        notes.into_iter().for_each(|note| self.warn(note));
                        Ok(true)
                    }
                    // It was put back; else its document is still there, and this is an error.
                    Err(error) if PendingStopped::read(self.folder)?.is_none() => {
                        self.warn(format!("it could not be finished: {}", chain(&error)));
                        Ok(false)
                    }
                    Err(error) => Err(error),
                };
            }
            Stage::Ending => {
                self.finish(pending)?;
                return Ok(true);
            }
            Stage::BackOut | Stage::BackIn => {
                // What has not been taken away yet was live when somebody has started the node.
                pending.is_written |= pending.stage == Stage::BackOut;
                self.bring_down_as_it_is(pending)?;
                self.go_back(pending)?;
            }
            Stage::BackStarting => self.go_back(pending)?,
        }
        Ok(false)
    }

    /// Settles what was broken off, if something was. Gives what it was and how it ended. The caller holds the lock of the node.
    pub(crate) fn recover(&self) -> Result<Option<(Work, Ending)>, Error> {
        let Some(pending) = PendingStopped::read(self.folder)? else { return Ok(None) };
        let (work, name, was_down) = (pending.work(), &self.spec.name, pending.was_down);
        let is_finished = self.settle(pending).inspect_err(|_| {
            self.warn(format!(
                "{work} of `{name}` that was broken off is not settled, and until it is nothing else is done; {} says how far it has come",
                self.folder.join(STOPPED).display()
            ));
        })?;
        let how = if is_finished {
            "was finished: the node runs with it".to_owned()
        } else {
            format!("was taken back: its files are those that it had before, and the node {}", how_it_is(was_down))
        };
        self.warn(format!("{work} of `{name}` that was broken off {how}"));
        Ok(Some((work, if is_finished { Ending::Finished } else { Ending::TakenBack })))
    }

    fn phase(&self, pending: &PendingStopped, phase: &'static str) {
        self.ctx.phase(&self.spec.name, Some(pending.undo.snapshot), phase);
    }

    pub(super) fn warn(&self, text: String) {
        self.ctx.warn(Some(&self.spec.name), text);
    }
}

/// What is said of an index that could not be built.
fn not_whole(index: &Unindexed, why: &str) -> String {
    let Unindexed { keyspace, table, index } = index;
    format!(
        "the index {index} is not whole, and finds too little until `nodetool rebuild_index {keyspace} {table} {index}` has been through: {why}"
    )
}

/// What is said of views that came empty and could not be made.
fn not_made(views: &[(String, String)], why: &str) -> String {
    let names: Vec<String> = views.iter().map(|(keyspace, view)| format!("{keyspace}.{view}")).collect();
    format!(
        "rows are lacking in these views, which could not be made anew from their tables: {}: {why}; drop them, and make them anew, as `schema.cql` has them, \
         each with its ID",
        names.join(", ")
    )
}

/// How a node is, once what was there before was put back.
fn how_it_is(was_down: bool) -> &'static str {
    if was_down { "is left down, as it was before" } else { "runs with it" }
}

/// Settles what was broken off. Gives what it was and how it ended.
pub(super) fn recover(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    folder: &Path,
) -> Result<Option<(Work, Ending)>, Error> {
    if PendingStopped::read(folder)?.is_none() {
        return Ok(None);
    }
    let _lock = locks::cassandra(ctx, &spec.name, settings, ("settle a restore of", Use::Stopped), None)?;
    let ground = Ground::new(ctx, settings)?;
    Site { ctx, spec, settings, folder, ground: &ground }.recover()
}

/// Whether such work has begun and not come to its end.
pub(super) fn is_under_way(folder: &Path) -> Result<bool, Error> {
    Ok(PendingStopped::read(folder)?.is_some())
}
