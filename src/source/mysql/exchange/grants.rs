//! Rights on single routines: the server takes them back when a routine is dropped, so they are noted before and given again after.

use serde::{Deserialize, Serialize};

use super::super::connection::{Connection, is_answer, is_no_such, literal};
use super::super::object::quoted;
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::state::Pair;
use crate::source::Error;
use crate::sys::stop::Stop;

/// Most rights that are noted of one database: they stand in the journal of a restore, some 200 bytes each.
const GRANTS_MAX: usize = 10_000;

/// Most statements that a person is told to run.
const TOLD_MAX: usize = 100;

/// The mode in which no server makes an account, without a password, for a right whose account is gone. MySQL 8 neither knows it nor does so.
const NO_NEW_ACCOUNTS: &str = "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER'";

/// The mode in which MariaDB takes the names of packages in rights, whose statements are wrong in others; it makes no account either.
const OF_PACKAGES: &str = "SET SESSION sql_mode = 'ORACLE'";

const MODE: &str = "set up a session on";
const READ: &str = "read the rights on routines of";

/// What one account may do with one routine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutineGrant {
    /// What the routine is, as SQL says it: `PROCEDURE`.
    pub kind: String,
    /// Its name.
    pub routine: String,
    /// The statement that gives the right.
    pub statement: String,
}

impl RoutineGrant {
    /// Whether it is a right on a package of MariaDB, or on its body.
    fn is_of_package(&self) -> bool {
        self.kind.starts_with("PACKAGE")
    }

    /// What a person is told to run.
    fn told(&self) -> String {
        if self.is_of_package() { format!("{OF_PACKAGES}; {}", self.statement) } else { self.statement.clone() }
    }
}

/// The rights on single routines of a live database, as far as this condition holds, and what a person should know where they cannot be read.
///
/// # Errors
/// [`Error::Server`] when the server does not answer.
pub(super) fn read(connection: &mut Connection, live: &str, condition: &str) -> Result<(Vec<RoutineGrant>, Option<String>), Error> {
    let sql = format!(
        "SELECT user, host, routine_name, routine_type, proc_priv FROM mysql.procs_priv WHERE db = {}{condition} ORDER BY 4, 3, 1, 2 LIMIT {}",
        literal(live),
        GRANTS_MAX + 1
    );
    let rows = match connection.rows(READ, &sql) {
        Err(error) if is_answer(&error) => return Ok((Vec::new(), unread(connection, live)?)),
        rows => rows?,
    };
    let mut grants: Vec<RoutineGrant> = rows.iter().filter_map(|row| of_row(live, row)).collect();
    let more = grants.len() > GRANTS_MAX;
    grants.truncate(GRANTS_MAX);
    let note = more.then(|| format!("there are more than {GRANTS_MAX} rights on single routines of {}: the others are lost", quoted(live)));
    Ok((grants, note))
}

/// What a person should know before databases are replaced whose routines others have rights on that this account does not see.
///
/// # Errors
/// [`Error::Server`]; [`Error::Refused`], [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
pub fn tell_unread(settings: &Settings, pairs: &[Pair], stop: &Stop) -> Result<Vec<String>, Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let mut told = Vec::new();
    for pair in pairs.iter().filter(|pair| pair.table.is_none()) {
        match connection.value(READ, "SELECT 1 FROM mysql.procs_priv LIMIT 1") {
            Err(error) if is_answer(&error) => {}
            readable => {
                readable?;
                continue;
            }
        }
        if has_routines(&mut connection, &pair.live)? {
            told.push(format!(
                "rights on single routines of {} are not to be seen by this account (SHOW GRANTS FOR each account has them): where there are any, \
                 they will be lost, and are to be given again; GRANT SELECT ON mysql.procs_priv TO this account, and they are kept or told",
                quoted(&pair.live)
            ));
        }
    }
    Ok(told)
}

fn has_routines(connection: &mut Connection, live: &str) -> Result<bool, Error> {
    let sql = format!("SELECT routine_name FROM information_schema.ROUTINES WHERE routine_schema = {} LIMIT 1", literal(live));
    Ok(connection.value(READ, &sql)?.is_some())
}

/// What is said where rights may be lost because they cannot be read; nothing where there are no routines.
fn unread(connection: &mut Connection, live: &str) -> Result<Option<String>, Error> {
    Ok(has_routines(connection, live)?.then(|| {
        format!(
            "rights on single routines of {} could not be read, so those that there were are lost: give them again (SHOW GRANTS of an earlier day has them); GRANT SELECT ON \
             mysql.procs_priv TO this account, and a restore keeps them",
            quoted(live)
        )
    }))
}

fn of_row(live: &str, row: &[Option<String>]) -> Option<RoutineGrant> {
    let [Some(user), Some(host), Some(routine), Some(kind), Some(rights)] = row else { return None };
    let rights: Vec<String> = rights.split(',').map(|right| right.trim().to_uppercase()).filter(|right| !right.is_empty()).collect();
    let (may_give, rights): (Vec<String>, Vec<String>) = rights.into_iter().partition(|right| right == "GRANT");
    if may_give.is_empty() && rights.is_empty() {
        return None;
    }
    let rights = if rights.is_empty() { "USAGE".to_owned() } else { rights.join(", ") };
    // Of roles the host is empty.
    let account = if host.is_empty() { literal(user) } else { format!("{}@{}", literal(user), literal(host)) };
    let option = if may_give.is_empty() { "" } else { " WITH GRANT OPTION" };
    let statement = format!("GRANT {rights} ON {kind} {}.{} TO {account}{option}", quoted(live), quoted(routine));
    Some(RoutineGrant { kind: kind.clone(), routine: routine.clone(), statement })
}

/// Gives the rights of both states again, as far as there are routines for them. Gives what a person has to do where that was refused.
///
/// # Errors
/// [`Error::Server`] when the server does not answer.
pub(super) fn give(connection: &mut Connection, pair: &Pair) -> Result<Vec<String>, Error> {
    let mut grants: Vec<&RoutineGrant> = pair.outgoing.grants.iter().chain(&pair.incoming.grants).collect();
    grants.sort_by_key(|grant| (grant.is_of_package(), &grant.statement));
    grants.dedup();
    if grants.is_empty() {
        return Ok(Vec::new());
    }
    match connection.run(MODE, NO_NEW_ACCOUNTS) {
        Err(error) if is_answer(&error) => {}
        set => set?,
    }
    let (mut notes, mut more, mut in_packages) = (Vec::new(), 0, false);
    for grant in grants {
        if grant.is_of_package() && !in_packages {
            connection.run(MODE, OF_PACKAGES)?;
            in_packages = true;
        }
        match connection.run("give a right on a routine of", &grant.statement) {
            Err(error) if is_no_such(&error) => {}
            Err(error) if is_answer(&error) => {
                if notes.len() == TOLD_MAX {
                    more += 1;
                } else if is_there(connection, &pair.live, grant)? {
                    notes.push(refused(grant, &error));
                }
            }
            given => given?,
        }
    }
    if more > 0 {
        notes.push(format!("up to {more} more rights on routines of {} could not be given again", quoted(&pair.live)));
    }
    connection.run(MODE, "SET SESSION sql_mode = ''")?;
    Ok(notes)
}

fn refused(grant: &RoutineGrant, error: &Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(" ({cause})"));
    format!("a right on a routine could not be given again{cause}: {}", grant.told())
}

/// Whether the routine is there: a server that refuses a right does so before it looks.
fn is_there(connection: &mut Connection, live: &str, grant: &RoutineGrant) -> Result<bool, Error> {
    let sql = format!(
        "SELECT routine_name FROM information_schema.ROUTINES WHERE routine_schema = {} AND routine_type = {} AND routine_name = {}",
        literal(live),
        literal(&grant.kind),
        literal(&grant.routine)
    );
    Ok(connection.value(READ, &sql)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_given_again_as_it_was() {
        let statement = |row: [&str; 5]| of_row("a`b", &row.map(|value| Some(value.to_owned()))).map(|grant| grant.statement);
        assert_eq!(
            statement(["it's", "%", "p", "PROCEDURE", "Execute,Alter Routine,Grant"]).unwrap(),
            "GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `a``b`.`p` TO 'it''s'@'%' WITH GRANT OPTION"
        );
        assert_eq!(
            statement(["a_role", "", "f", "PACKAGE BODY", "Execute"]).unwrap(),
            "GRANT EXECUTE ON PACKAGE BODY `a``b`.`f` TO 'a_role'"
        );
        assert_eq!(
            statement(["u", "h", "f", "FUNCTION", "Grant"]).unwrap(),
            "GRANT USAGE ON FUNCTION `a``b`.`f` TO 'u'@'h' WITH GRANT OPTION"
        );
        assert_eq!(statement(["u", "h", "f", "FUNCTION", ""]), None);
    }
}
