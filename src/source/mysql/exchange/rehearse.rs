//! Finding out whether the account can make definitions, before those that are live are dropped.
//!
//! Which right it takes differs from release to release, and roles and the binary log have a say in it. So the server is asked by deed: a
//! routine that does nothing is made in each name in the database beside, and removed at once.

use std::collections::BTreeSet;

use super::super::connection::{Connection, grant_for, is_answer};
use super::super::definers::account_literal;
use super::super::demands::Demands;
use super::super::object::quoted;
use super::{Around, Exchange, Pair};
use crate::source::Error;

/// The routine that is made and removed.
const PROBE: &str = "windlass~probe";

impl Exchange {
    /// Tries whether what is live and what the dump `asks` for could be made. Nothing that is live is touched.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the server says; [`Error::Server`].
    pub fn rehearse(&self, asked: &Demands, around: Around<'_>) -> Result<(), Error> {
        let mut connection = around.connect()?;
        let Some(beside) = self.pairs.iter().find(|pair| pair.incoming.exists).map(|pair| pair.incoming.database.clone()) else {
            return Ok(());
        };
        for pair in &self.pairs {
            let live = Demands::read(&mut connection, &pair.live, pair.table.as_deref())?;
            let text = format!("what is in {} now could not be put back", quoted(&pair.live));
            try_each(&mut connection, &beside, &live, &text)?;
        }
        try_each(&mut connection, &beside, asked, &format!("the dump of {} cannot be loaded", told(&self.pairs)))
    }
}

fn told(pairs: &[Pair]) -> String {
    pairs.iter().map(|pair| quoted(&pair.original)).collect::<Vec<_>>().join(", ")
}

fn try_each(connection: &mut Connection, beside: &str, demands: &Demands, text: &str) -> Result<(), Error> {
    let name = format!("{}.{}", quoted(beside), quoted(PROBE));
    // Of procedures a server asks less than of functions, and views ask for no more.
    let (kind, rest) = match (demands.creations, demands.undeclared) {
        (0, _) => ("PROCEDURE", "() DO 0"),
        (_, 0) => ("FUNCTION", "() RETURNS INT DETERMINISTIC RETURN 0"),
        _ => ("FUNCTION", "() RETURNS INT RETURN 0"),
    };
    let definers: BTreeSet<&String> = demands.definers.iter().collect();
    for definer in definers {
        // A kill may have left it there.
        connection.run("remove a routine from", &format!("DROP {kind} IF EXISTS {name}"))?;
        let sql = format!("CREATE DEFINER = {} {kind} {name}{rest}", account_literal(definer));
        match connection.run("try to make a routine on", &sql) {
            Err(error) if is_answer(&error) => {
                let said = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let grant = grant_for(&error, &sql).map_or_else(String::new, |grant| format!("; {grant} TO this account lets it"));
                return Err(Error::Refused { why: format!("{text}: {kind} in the name of {definer}: {said}{grant}") });
            }
            made => made?,
        }
        connection.run("remove a routine from", &format!("DROP {kind} {name}"))?;
    }
    Ok(())
}
