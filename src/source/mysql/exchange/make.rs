//! Making the views, triggers, events and routines of a state in the live databases.
//!
//! Each part is made in all databases before the next one: a view may select from one of another database that comes later, and so from what
//! stands in for it. A server keeps with each view whether it can be written through, one on a stand-in cannot, and nothing tells
//! (`information_schema` says otherwise: MariaDB 10.11); and some views it refuses on a stand-in, as those that search full text. So views are made
//! again, past those that are refused, and the last word of the server counts; only then can those be made that check what is written.

use super::super::connection::{code_of_client, is_gone, is_passing};
use super::super::load::{Defaults, Kept, Loaded, Loading, OnError, Part, Unmade};
use super::super::object::{ObjectKind, quoted};
use super::definitions::{load_from, loading, views_of};
use super::state::{Pair, State};
use super::told::first_of;
use super::{Around, Words, kept, stand_ins, turn};
use crate::source::Error;

/// How often views are made again at most where none is refused: each time one more of a chain of views, each on the next one, can be written
/// through. The file is read each time, and longer chains that are written through are hardly known.
const ROUNDS_MAX: usize = 4;

/// What a server says of a definition that stands on a table or view which is not there: no such table, unknown table, a view that cannot be used.
const MISSING: [u16; 3] = [1146, 1109, 1356];

/// Most definitions besides the first that are named when the server refuses them.
const UNMADE_TOLD: usize = 20;

/// What each database's file has made; `None` where nothing was saved, because nothing was there.
pub(super) type Made = Vec<Option<Loaded>>;

/// Makes what comes, but for what is `kept`. Where tables that came are gone (`lacks_tables`), what the server refuses for want of a table is passed over
/// and comes back as an error of its own, unless something else is refused too.
///
/// # Errors
/// That of a definition that the server refuses, with the others that it refuses, one that may go well later before all; whatever else keeps the work
/// from being done. Nothing stands in for a view afterwards, as long as the server answers.
pub(super) fn what_comes(
    around: Around<'_>,
    pairs: &[Pair],
    words: &Words,
    kept: Option<Vec<Kept>>,
    lacks_tables: bool,
) -> Result<(Made, Option<Error>), Error> {
    let mut making = Making { around, pairs, words, kept, is_back: false, is_past_refusals: lacks_tables, is_held: false };
    let (mut made, dropped) = making.all()?;
    let unmade = taken(pairs, &mut made);
    let stands_on_them = |one: &(String, Unmade)| code_of_client(&one.1.error).is_some_and(|code| MISSING.contains(&code));
    let is_passed_over = lacks_tables && !unmade.is_empty() && unmade.iter().all(stands_on_them);
    match told(unmade, &dropped) {
        Err(refused) if is_passed_over => Ok((made, Some(refused))),
        told => told.map(|()| (made, None)),
    }
}

/// Makes what was live, as far as it is missing, whatever of it is refused. Nothing is dropped but what stands in for views.
///
/// # Errors
/// As [`what_comes`].
pub(super) fn what_was_live(around: Around<'_>, pairs: &[Pair]) -> Result<Made, Error> {
    let mut connection = around.connect()?;
    // Those that a kill has left.
    stand_ins::drop_all(&mut connection, pairs)?;
    let kept = pairs.iter().map(|pair| kept::read(&mut connection, around, pair)).collect::<Result<Vec<_>, _>>()?;
    drop(connection);
    for (pair, kept) in pairs.iter().zip(&kept) {
        kept::begin(pair, kept)?;
    }
    let mut making =
        Making { around, pairs, words: &Words::default(), kept: Some(kept), is_back: true, is_past_refusals: true, is_held: false };
    let (mut made, dropped) = making.all()?;
    let unmade = taken(pairs, &mut made);
    if kept::is_exact(&mut around.connect()?, &unmade, &dropped)? {
        for pair in pairs {
            kept::end(pair)?;
        }
    }
    told(unmade, &dropped)?;
    Ok(made)
}

/// Definitions that are being made.
struct Making<'a> {
    around: Around<'a>,
    pairs: &'a [Pair],
    words: &'a Words,
    /// What is there already and stays; `None` where it is known that nothing is there.
    kept: Option<Vec<Kept>>,
    /// Whether the old state is put back.
    is_back: bool,
    /// Whether what can be made is made, whatever else is refused.
    is_past_refusals: bool,
    /// Whether somebody was waited for, to no avail: once is enough.
    is_held: bool,
}

/// A view of a live database, by the names of both.
pub(super) type View = (String, String);

impl Making<'_> {
    /// All parts; and the views that something still stood in for.
    fn all(&mut self) -> Result<(Made, Vec<View>), Error> {
        let done = self.parts();
        if done.is_err() {
            // What has failed first is told. A server that is gone has none that could be read.
            let _ = self.around.connect().and_then(|mut connection| stand_ins::drop_all(&mut connection, self.pairs));
        }
        done
    }

    fn parts(&mut self) -> Result<(Made, Vec<View>), Error> {
        let mut made: Made = Vec::new();
        for at in 0..self.pairs.len() {
            made.push(if self.state(at).exists { Some(self.forms(at)?) } else { None });
        }
        let mut dropped = Vec::new();
        if made.iter().flatten().any(|made| made.has_views) {
            self.views(&mut made)?;
            dropped = stand_ins::drop_all(&mut self.around.connect()?, self.pairs)?;
        }
        for (at, made) in made.iter_mut().enumerate() {
            if let Some(made) = made.as_mut().filter(|made| made.has_checks) {
                made.add(self.past_refusals(at, Part::Checks)?)?;
            }
        }
        Ok((made, dropped))
    }

    fn forms(&mut self, at: usize) -> Result<Loaded, Error> {
        if self.is_past_refusals {
            return self.past_refusals(at, Part::Forms);
        }
        self.run(at, Part::Forms, OnError::End).map_err(|error| about(error, &format!("in {}", quoted(&self.pairs[at].live))))
    }

    /// Makes views again and again; what the last round says of each is what counts.
    fn views(&mut self, made: &mut Made) -> Result<(), Error> {
        let mut connection = self.around.connect()?;
        let (mut usual, mut missing) = (None, usize::MAX);
        for round in 0.. {
            let mut refused: Vec<Vec<Unmade>> = Vec::new();
            for (at, made) in made.iter_mut().enumerate() {
                refused.push(Vec::new());
                if let Some(made) = made.as_mut().filter(|made| made.has_views) {
                    let mut loaded = self.past_refusals(at, Part::Views)?;
                    refused[at] = std::mem::take(&mut loaded.unmade);
                    made.add(loaded)?;
                }
            }
            if usual.is_none() {
                let mut views = 0;
                for pair in self.pairs {
                    views += connection.column("list the views of", &views_of(&pair.live))?.len();
                }
                usual = Some(views.saturating_sub(1).min(ROUNDS_MAX));
            }
            let before = missing;
            missing = if refused.iter().all(Vec::is_empty) { 0 } else { stand_ins::count(&mut connection, self.pairs)? };
            // As long as more of them can be made each time, and no longer.
            let is_worth_it = missing > 0 && missing < before;
            if usual.is_some_and(|usual| round >= usual) && !is_worth_it {
                for (made, refused) in made.iter_mut().zip(refused) {
                    if let Some(made) = made {
                        made.add_unmade(refused);
                    }
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// To the first statement that the server refuses, and where there is one, once more past all of them.
    fn past_refusals(&mut self, at: usize, part: Part) -> Result<Loaded, Error> {
        if !self.is_held {
            match self.run(at, part, OnError::End) {
                Err(error) if code_of_client(&error).is_some() && !is_gone(&error) => self.is_held = is_passing(&error),
                done => return done,
            }
        }
        if let Some(kept) = self.kept.as_mut().filter(|_| part == Part::Forms) {
            // What came before the refusal is there now; of views it is what stands in for them.
            kept::refresh(&mut self.around.connect()?, self.around, &self.pairs[at], &mut kept[at])?;
        }
        self.run(at, part, OnError::GoOn)
    }

    fn state(&self, at: usize) -> &State {
        let pair = &self.pairs[at];
        if self.is_back { &pair.outgoing } else { &pair.incoming }
    }

    /// Makes a part of what a state has saved in the live database.
    fn run(&self, at: usize, part: Part, on_error: OnError) -> Result<Loaded, Error> {
        let (pair, around, words) = (&self.pairs[at], self.around, self.words);
        let defaults = pair.table.as_ref().map(|_| Defaults {
            dumped: self.state(at).character_set_words(),
            live: if pair.outgoing.exists { &pair.outgoing } else { &pair.incoming }.character_set_words(),
        });
        let first = turn::of_the_client(pair, on_error);
        let loading = Loading {
            original: if self.is_back { &pair.live } else { &pair.original },
            part,
            defaults,
            kept: self.kept.as_ref().map(|kept| &kept[at]),
            first: Some(&first),
            ..loading(around, pair, words)
        };
        load_from(&loading, on_error, &self.state(at).definitions, &mut |_| {}, around)
    }
}

/// The same error of a load, which says of what.
fn about(error: Error, what: &str) -> Error {
    match error {
        Error::Load { line, head, why } => Error::Load { line, head: format!("{what}, {head}"), why },
        other => other,
    }
}

/// What was refused, each with its database.
fn taken(pairs: &[Pair], made: &mut Made) -> Vec<(String, Unmade)> {
    let each = pairs.iter().zip(made).flat_map(|(pair, made)| {
        let unmade = made.as_mut().map(|made| std::mem::take(&mut made.unmade)).unwrap_or_default();
        unmade.into_iter().map(|one| (pair.live.clone(), one))
    });
    each.collect()
}

/// The error for definitions that could not be made, and for views that something stood in for at the end: a client does not tell all of them.
fn told(mut unmade: Vec<(String, Unmade)>, dropped: &[View]) -> Result<(), Error> {
    let is_view = |one: &Unmade, name: &str| matches!(&one.makes, Some((ObjectKind::View, view)) if view == name);
    let is_told = |(live, name): &&View| unmade.iter().any(|(of, one)| of == live && is_view(one, name));
    let untold = dropped.iter().filter(|view| !is_told(view)).map(|(live, name)| format!("view {}.{}", quoted(live), quoted(name)));
    let untold: Vec<String> = untold.collect();
    if unmade.is_empty() {
        let why = format!(
            "it makes only what stands in for {}, and not the view itself",
            first_of(untold.iter().cloned(), UNMADE_TOLD).join(", ")
        );
        return if untold.is_empty() { Ok(()) } else { Err(Error::Dump { why }) };
    }
    // Whoever gets the error tries again where that may help.
    let first = unmade.iter().position(|(_, one)| is_passing(&one.error)).unwrap_or(0);
    let first = unmade.remove(first);
    let first = about(first.1.error, &named(&first.0, first.1.makes.as_ref()));
    let other = |(live, one): (String, Unmade)| {
        let what = named(&live, one.makes.as_ref());
        match one.error {
            Error::Load { why, .. } if one.makes.is_some() => format!("{what} ({why})"),
            Error::Load { line, head, why } => format!("line {line} {what}, {head} ({why})"),
            other => format!("line {} {what} ({other})", one.line),
        }
    };
    let others: Vec<String> = unmade.into_iter().map(other).chain(untold).collect();
    let others = first_of(others.into_iter(), UNMADE_TOLD);
    Err(if others.is_empty() { first } else { first.adding(&format!("nor could be made: {}", others.join(", "))) })
}

/// What a statement would have made in a live database, as a person is told it.
fn named(live: &str, makes: Option<&(ObjectKind, String)>) -> String {
    makes.map_or_else(|| format!("in {}", quoted(live)), |(kind, name)| format!("{kind} {}.{}", quoted(live), quoted(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_definition_that_is_refused_is_told_with_its_database_the_first_one_too() {
        let one = |line, makes: Option<(ObjectKind, &str)>, code| Unmade {
            line,
            makes: makes.map(|(kind, name)| (kind, name.to_owned())),
            error: Error::Load { line, head: "CREATE …".into(), why: format!("ERROR {code}: no") },
        };
        let unmade = || {
            vec![
                ("a`b".to_owned(), one(7, Some((ObjectKind::View, "v")), 1356)),
                ("c".to_owned(), one(8, None, 1064)),
                ("c".to_owned(), one(9, Some((ObjectKind::Function, "f")), 1064)),
            ]
        };
        let error = told(unmade(), &[("c".to_owned(), "w".to_owned())]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the dump cannot be loaded: at line 7, view `a``b`.`v`, CREATE …: ERROR 1356: no; nor could be made: line 8 in `c`, CREATE … (ERROR \
             1064: no), function `c`.`f` (ERROR 1064: no), view `c`.`w`"
        );
        // Whoever gets the error still sees by it whether to try again, and what may go well later comes first.
        let mut held = unmade();
        held.push(("c".to_owned(), one(10, Some((ObjectKind::Trigger, "t")), 1205)));
        let error = told(held, &[]).unwrap_err();
        assert!(is_passing(&error) && error.to_string().contains("at line 10, trigger `c`.`t`, CREATE …: ERROR 1205"), "{error}");
    }
}
