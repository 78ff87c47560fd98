//! What is said of a database that is to go and stays, and what is remembered of it.

use std::path::Path;

use super::leftovers::{LEFTOVERS, Leftover};
use crate::ops::error::chain;
use crate::source::mysql::{Stays, is_of_what_comes, quoted, removal};

/// What is still to be removed; nothing where what stays is somebody else's, and no longer in our place.
pub(super) fn kept(left: &Leftover, stays: &Stays) -> Option<Leftover> {
    match stays {
        Stays::Strange => None,
        Stays::Holds(_) if left.is_written => Some(left.clone()),
        // Another restore, of whatever node, loads into one of the same name, and what it has made is none of ours.
        Stays::Holds(_) if is_of_what_comes(&left.database) => None,
        Stays::Holds(_) => Some(left.clone().emptied()),
        _ => Some(left.clone()),
    }
}

/// What is said of it.
pub(super) fn told(left: &Leftover, stays: &Stays, folder: &Path) -> String {
    let (database, document) = (&left.database, folder.join(LEFTOVERS));
    let document = document.display();
    match stays {
        Stays::Strange => format!(
            "`{database}` is not what a restore that was broken off had loaded: somebody else has made it since, and it stays as it is"
        ),
        Stays::Nameless => format!(
            "{document} names `{database}` as needed no more, and no restore gives such a name: it stays as it is; take its entry out of that file"
        ),
        Stays::Hidden(grant) => format!(
            "`{database}` is needed no more, and is gone or not to be seen by this account: {grant}; it is tried again with the next command on the \
             source. Where it is gone for good and the account is to have no right to it, take its entry out of {document}"
        ),
        Stays::Holds(_) if left.is_written => told_of_written(database),
        Stays::Holds(what) => format!(
            "`{database}` is needed no more, and holds what no restore has put there, which stays: {what}; move it to another database (RENAME TABLE \
             {}.… TO …) or drop it, and then the database",
            quoted(database)
        ),
        Stays::Referred(keys) => format!(
            "`{database}` is needed no more, and stays as long as foreign keys of other tables refer to it, whose rows would have no parent else: \
             {keys}; have them point to the live table (ALTER TABLE … ADD FOREIGN KEY …, DROP FOREIGN KEY …), or drop them: then it goes with the \
             next command on the source"
        ),
        Stays::Tied(why) => format!(
            "`{database}` is needed no more, and a table of it stays as long as a foreign key refers to it which this account does not see: {}; to \
             an account with PROCESS, information_schema.INNODB_FOREIGN (MariaDB, MySQL 5.7: INNODB_SYS_FOREIGN) shows it; have it point to the live \
             table, or drop it: then the rest goes with the next command on the source",
            chain(why)
        ),
        Stays::Refused(why) => format!(
            "`{database}` is needed no more and could not be removed: {}; it is tried again with the next command on the source: see that nobody \
             holds it and that the account may drop it, or remove it by hand ({})",
            chain(why),
            removal(database)
        ),
    }
}

/// What is said of a database that only a person removes.
pub(super) fn told_of_written(database: &str) -> String {
    format!(
        "`{database}` was live before a restore or an undo that was broken off was taken back, and may have been written to: look at it; this removes \
         it: {}",
        removal(database)
    )
}
