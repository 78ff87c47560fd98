//! Whether the functions are there that views of a dump call: a server makes no view that calls one which is nowhere, and it would say so when
//! the tables have changed places already. Copies of old scripts hold views and no functions.

use super::super::connection::{Connection, is_answer, is_no_such_function, literal};
use super::super::load::Calls;
use super::super::object::quoted;
use super::state::Pair;
use super::told::first_of;
use super::{Around, Exchange};
use crate::source::Error;

const WHAT: &str = "look for a function on";

/// Most views that are told.
const TOLD_MAX: usize = 20;

impl Exchange {
    /// That each function which the views call that come is made by one of the dumps, or is in a database that stays; `calls` are those of each
    /// pair. Nothing is made.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the views and the functions; [`Error::Server`].
    pub fn check_calls(&self, calls: &[Calls], around: Around<'_>) -> Result<(), Error> {
        let mut connection = around.connect()?;
        let mut missing = Vec::new();
        for (pair, of_pair) in self.pairs.iter().zip(calls) {
            for (names, view) in of_pair.called() {
                if !self.is_there(&mut connection, (pair, of_pair), names, calls)? {
                    let (database, function) = names.split_last().map_or((pair.original.as_str(), ""), |(function, before)| {
                        let named = before.first().filter(|name| **name != pair.incoming.database);
                        (named.map_or(pair.original.as_str(), String::as_str), function.as_str())
                    });
                    let (view, of) = (quoted(view), quoted(&pair.original));
                    missing.push(format!("the view {view} of {of} calls the function {}.{}", quoted(database), quoted(function)));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let missing = first_of(missing.into_iter(), TOLD_MAX).join("; ");
        Err(Error::Refused {
            why: format!(
                "{missing}: neither the dump nor a database that stays has it, so the server would not make the view (functions that are live now go \
                 with all else that is there). Add the function to the dump (`mariadb-dump --routines` writes it where it is), take the view out of \
                 the dump, or restore its tables one by one with --table"
            ),
        })
    }

    /// Whether a function that a view of a pair calls will be there.
    fn is_there(&self, connection: &mut Connection, own: (&Pair, &Calls), names: &[String], all: &[Calls]) -> Result<bool, Error> {
        let Some((function, before)) = names.split_last() else { return Ok(true) };
        // A function of a package comes with its package.
        let comes = match before {
            [] => own.1.may_make(function),
            [first, packages @ ..] => {
                let of_name = |(pair, _): &(&Pair, &Calls)| [&pair.incoming.database, &pair.live, &pair.original].contains(&first);
                match std::iter::once(own).chain(self.pairs.iter().zip(all)).find(of_name) {
                    Some((_, calls)) => return Ok(calls.may_make(packages.first().unwrap_or(function))),
                    None => packages.is_empty() && own.1.may_make(first),
                }
            }
        };
        if comes {
            return Ok(true);
        }
        // One without a database may be one that the server has loaded itself.
        connection.run(WHAT, &format!("USE {}", quoted(&own.0.incoming.database)))?;
        let path = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(".");
        // A function that is there may want arguments, or more rights: that is another answer.
        match connection.run(WHAT, &format!("PREPARE windlass FROM {}", literal(&format!("SELECT {path}()")))) {
            Ok(()) => connection.run(WHAT, "DEALLOCATE PREPARE windlass").map(|()| true),
            Err(error) if is_no_such_function(&error) => Ok(false),
            Err(error) if is_answer(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
