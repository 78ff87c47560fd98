//! Whether an account may see all of a database: what it may not see, the server leaves out without a word, and so does the dump program.

use std::cmp::Reverse;

use super::connection::{Connection, is_answer};
use super::grant::{Grant, Holder};
use super::object::quoted;
use super::pattern::{breadth, is_itself, is_like, prefix};
use super::release::Release;
use crate::source::Error;

/// Rights on a database without which something of it stays unseen: rows, definitions of views, triggers, events.
const NEEDED: [&str; 4] = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];

/// Rights of which one is enough for a database to be shown.
const SHOWING: [&str; 12] =
    ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "TRIGGER", "EVENT", "SHOW VIEW"];

/// What an account may do, as the server tells it.
#[derive(Debug, Default)]
pub(super) struct Rights {
    grants: Vec<Grant>,
    /// What of the rights on all databases was taken back for single ones (MySQL 8 with `partial_revokes`); their names are no patterns.
    revoked: Vec<Grant>,
    /// Whether the server keeps no rights at all (`skip-grant-tables`).
    all: bool,
    /// Whether there are grants besides that are not understood, or that come with a role, so that more may be allowed than is known.
    unclear: bool,
}

impl Rights {
    /// Reads those of the connected account, those of its active roles among them.
    pub(super) fn read(connection: &mut Connection, release: Release) -> Result<Self, Error> {
        const WHAT: &str = "read the rights of the account from";
        let mut sql = "SHOW GRANTS".to_owned();
        if release.asks_for_roles()
            && let Some(roles) = connection.value(WHAT, "SELECT CURRENT_ROLE()")?.filter(|roles| roles != "NONE")
        {
            sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        }
        match connection.column(WHAT, &sql) {
            Ok(lines) => Ok(Self::of(&lines)),
            Err(error) if is_answer(&error) => Ok(Self { all: true, ..Self::default() }),
            Err(error) => Err(error),
        }
    }

    /// Of the lines that the server tells.
    fn of<T: AsRef<str>>(lines: &[T]) -> Self {
        let mut read = Self::default();
        for line in lines {
            match (Grant::read(line.as_ref(), "GRANT "), Grant::read(line.as_ref(), "REVOKE ")) {
                (Some(grant), _) => read.grants.push(grant),
                (None, Some(revoked)) => read.revoked.push(revoked),
                (None, None) => read.unclear = true,
            }
        }
        read
    }

    /// Whether more may be allowed than is known here.
    pub(super) fn is_unclear(&self) -> bool {
        self.unclear
    }

    /// Which of these rights on a table, or for `*` on all of a database, the account does not have.
    pub(super) fn lacking<'a>(&self, rights: &[&'a str], database: &str, table: &str) -> Vec<&'a str> {
        rights.iter().copied().filter(|right| !self.all && !self.has(right, database, table)).collect()
    }

    /// The pattern of the grant on databases that this one falls under, as it was written. The server goes by the most exact of them alone, so
    /// that rights given under another pattern would take these away.
    pub(super) fn pattern(&self, database: &str) -> Option<&str> {
        self.patterns(Holder::Account, database).into_iter().next()
    }

    /// The patterns of which the server goes by one alone, that of the order it was built with; more than one where the orders differ, and where
    /// some are equal in it.
    fn patterns(&self, holder: Holder, database: &str) -> Vec<&str> {
        let of_databases = self.grants.iter().filter(|grant| grant.holder == holder && grant.database != "*" && grant.table == "*");
        let mut fits: Vec<&str> = of_databases.map(|grant| grant.database.as_str()).filter(|pattern| is_like(database, pattern)).collect();
        fits.sort_by_key(|pattern| (Reverse(prefix(pattern)), breadth(pattern)));
        let best = (fits.iter().map(|pattern| prefix(pattern)).max(), fits.iter().map(|pattern| breadth(pattern)).min());
        fits.retain(|pattern| Some(prefix(pattern)) == best.0 || Some(breadth(pattern)) == best.1);
        fits
    }

    /// Whether a right on the server as a whole is there.
    pub(super) fn has_global(&self, right: &str) -> bool {
        let gives = |grant: &Grant| grant.rights.iter().any(|given| given == right || given == "ALL PRIVILEGES");
        self.all || self.grants.iter().any(|grant| grant.database == "*" && grant.table == "*" && gives(grant))
    }

    /// Fails with the statements that give what is missing.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(super) fn check(&self, databases: &[String], server: &str, release: Release) -> Result<(), Error> {
        if self.all {
            return Ok(());
        }
        let mut missing = Vec::new();
        for database in databases {
            let lacking: Vec<&str> = NEEDED.into_iter().filter(|right| !self.has(right, database, "*")).collect();
            if !lacking.is_empty() {
                // Under another pattern than the one that holds they would be given for nothing, or take away what is there.
                let scope = self.pattern(database).unwrap_or(database);
                missing.push(format!("GRANT {} ON {}.*", lacking.join(", "), quoted(scope)));
            }
        }
        if databases.iter().any(|database| !self.sees_routines(database, release)) {
            missing.push(release.grant_for_routines().to_owned());
        }
        if missing.is_empty() {
            return Ok(());
        }
        let why = format!(
            "{server} may not see all that is to be taken, and what it may not see would be missing without a word; missing are: {} (each TO \
             this account)",
            missing.join("; ")
        );
        Err(Error::Refused { why })
    }

    /// Whether a database of this name would be shown to the account if there were one. That it would be by a right on one of its tables alone
    /// is not counted.
    pub(super) fn sees(&self, database: &str) -> bool {
        self.has_global("SHOW DATABASES") || self.sees_tables(database)
    }

    /// Whether all tables of such a database would be shown as well.
    pub(super) fn sees_tables(&self, database: &str) -> bool {
        self.all || SHOWING.iter().any(|right| self.has(right, database, "*"))
    }

    /// What the account lacks so that it can lock tables of this database for a dump, as statements without their `TO`.
    pub(super) fn lacking_to_lock(&self, database: &str) -> Vec<String> {
        let mut lacking = Vec::new();
        // All rights on a database are none on the server: this one counts there alone.
        if !["RELOAD", "FLUSH_TABLES"].iter().any(|right| self.has_global(right)) {
            lacking.push("GRANT RELOAD ON *.*".to_owned());
        }
        if !self.lacking(&["LOCK TABLES"], database, "*").is_empty() {
            lacking.push(format!("GRANT LOCK TABLES ON {}.*", quoted(self.pattern(database).unwrap_or(database))));
        }
        lacking
    }

    /// Whether the bodies of routines of this database can be read.
    pub(super) fn sees_routines(&self, database: &str, release: Release) -> bool {
        if self.all {
            return true;
        }
        if release.has_proc() {
            return self.has("SELECT", "mysql", "proc") || self.has("SHOW CREATE ROUTINE", database, "*");
        }
        // Of a database alone they are not enough for the bodies.
        let everywhere = |grant: &&Grant| grant.database == "*" && grant.table == "*";
        self.grants.iter().filter(everywhere).any(|grant| ["SELECT", "SHOW_ROUTINE"].iter().any(|right| grant.gives(right)))
    }

    /// Whether a right is there: of all databases, of the one most exact pattern, or of the table. Where it is not sure which pattern that is,
    /// each must give it.
    fn has(&self, right: &str, database: &str, table: &str) -> bool {
        let is_revoked = self.revoked.iter().any(|revoked| revoked.gives(right) && is_itself(database, &revoked.database));
        Holder::ALL.into_iter().any(|holder| {
            let given = |at: &str, on: &str| {
                let is_it = |grant: &&Grant| grant.holder == holder && grant.database == at && grant.table == on;
                self.grants.iter().filter(is_it).any(|grant| grant.gives(right))
            };
            let patterns = self.patterns(holder, database);
            (!is_revoked && given("*", "*"))
                || (!patterns.is_empty() && patterns.into_iter().all(|pattern| given(pattern, "*")))
                || (table != "*" && given(database, table))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(lines: &[&str], database: &str) -> String {
        missing_of(lines, database, "10.11.19-MariaDB")
    }

    fn missing_of(lines: &[&str], database: &str, version: &str) -> String {
        let checked = Rights::of(lines).check(&[database.to_owned()], "the server", Release::of(version));
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn rights_that_come_with_a_role_are_unclear_and_those_on_databases_are_none_on_the_server() {
        let plain = Rights::of(&["GRANT SUPER, SET USER ON *.* TO u", "GRANT ALL PRIVILEGES ON `%`.* TO u"]);
        assert!(!plain.is_unclear() && plain.has_global("SET USER") && !plain.has_global("PROCESS"));
        assert!(Rights::of(&["GRANT USAGE ON *.* TO u", "GRANT `r1` TO `u1`@`%`"]).is_unclear());
        let mysql = Rights::of(&["GRANT SELECT (`a`, `b`), SUPER ON *.* TO u", "GRANT SET_USER_ID,SHOW_ROUTINE ON *.* TO `u`@`%`"]);
        assert!(["SUPER", "SET_USER_ID", "SHOW_ROUTINE"].iter().all(|right| mysql.has_global(right)) && !mysql.has_global("SELECT"));
        let patterns = Rights::of(&["`a%`", "`a\\_b%`", "`a_b`"].map(|pattern| format!("GRANT DROP ON {pattern}.* TO `u`@`%`")));
        assert_eq!([patterns.pattern("a_b"), patterns.pattern("axb"), patterns.pattern("b")], [Some("a\\_b%"), Some("a_b"), None]);
        assert_eq!(Rights::of(&["GRANT ALTER ON `x`.`t` TO u"]).lacking(&["ALTER", "DROP"], "x", "t"), ["DROP"]);
    }

    #[test]
    fn of_several_patterns_the_most_exact_one_counts_alone_and_the_rights_of_roles_beside_it() {
        let given = |rights: &str, pattern: &str, to: &str| format!("GRANT {rights} ON `{pattern}`.* TO {to}");
        let (all, some, user) = ("SELECT, SHOW VIEW, TRIGGER, EVENT", "SELECT, SHOW VIEW, EVENT", "`u`@`%`");
        let missing = |lines: &[String]| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).chain(["GRANT SELECT ON `mysql`.`proc` TO `u`@`%`"]).collect();
            missing(&lines, "prod_a")
        };
        let both = [given(all, "prod\\_%", user), given(some, "prod\\_a", user)];
        assert!(missing(&both).contains("GRANT TRIGGER ON `prod\\_a`.* (each"), "{}", missing(&both));
        assert_eq!(missing(&both[..1]), "");
        let of_a_role = [given(all, "prod\\_%", "`r`"), given(some, "prod\\_a", user)];
        assert_eq!(missing(&of_a_role), "", "the account and its role each have their own");
        let of_roles = [given(all, "prod\\_%", "`r`"), given(some, "prod\\_a", "`s`")];
        assert!(missing(&of_roles).contains("GRANT TRIGGER"), "a role has the patterns of those that it was given");
        assert_eq!(missing(&[given(all, "prod\\_%", "PUBLIC"), given(some, "prod\\_a", "`s`")]), "");
        // By the length before the first wildcard the first one, by how many names they fit the second one.
        let unsure = [given(all, "prod%", user), given(some, "p_od\\_a", user)];
        assert!(missing(&unsure).contains("GRANT TRIGGER"));
    }

    #[test]
    fn what_was_taken_back_for_one_database_is_missed_there_alone_until_it_is_given_there() {
        let all = "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER, SHOW_ROUTINE ON *.* TO `u`@`%`";
        for revoke in ["REVOKE TRIGGER ON `a_b`.* FROM `u`@`%`", "REVOKE INSERT, TRIGGER ON `a\\_b`.* FROM `u`@`%`"] {
            let missing = |lines: &[&str], database| missing_of(lines, database, "8.0.31");
            assert!(missing(&[all, revoke], "a_b").contains("GRANT TRIGGER ON `a_b`.* (each"), "{revoke}");
            assert_eq!(missing(&[all, revoke], "axb"), "");
            assert_eq!(missing(&[all, "GRANT TRIGGER ON `a\\_b`.* TO `u`@`%`", revoke], "a_b"), "");
            assert!(!Rights::of(&[all, revoke]).is_unclear());
        }
    }

    #[test]
    fn what_is_lacking_is_named_as_a_statement() {
        let all =
            ["GRANT SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER ON `ellis`.* TO `u`@`%`", "GRANT SELECT ON `mysql`.`proc` TO `u`@`%`"];
        assert_eq!(missing(&all, "ellis"), "");
        assert!(missing(&all[..1], "ellis").contains("GRANT SELECT ON mysql.proc"));
        assert!(missing(&all[1..], "el`lis").contains("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `el``lis`.*"));
        assert!(missing(&["GRANT SELECT ON *.* TO r", "GRANT TRIGGER, EVENT ON `x`.* TO r"], "x").contains("GRANT SHOW VIEW ON `x`.*"));
        assert_eq!(missing(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], "x"), "");
    }

    #[test]
    fn routines_are_seen_by_other_rights_on_other_releases() {
        let base = "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `x`.* TO `u`@`%`";
        let proc = "GRANT SELECT ON `mysql`.* TO `u`@`%`";
        assert_eq!(missing_of(&[base, proc], "x", "5.7.22-log"), "");
        assert!(missing_of(&[base, proc], "x", "8.0.31").contains("GRANT SHOW_ROUTINE ON *.*"));
        assert_eq!(missing_of(&[base, "GRANT SHOW_ROUTINE ON *.* TO `u`@`%`"], "x", "8.0.31"), "");
        assert!(missing_of(&[base, proc], "x", "8.0.15").contains("GRANT SELECT ON *.*"));
        assert_eq!(missing_of(&[base, "GRANT SHOW CREATE ROUTINE ON `x`.* TO `u`@`%`"], "x", "11.4.5-MariaDB"), "");
    }

    #[test]
    fn rights_on_one_table_or_column_or_a_role_by_itself_do_not_count() {
        let lines = [
            "GRANT `r1` TO `u1`@`%`",
            "GRANT SELECT, TRIGGER, SHOW VIEW ON `x`.`t` TO u",
            "GRANT SELECT (`a`), EVENT ON `x`.* TO u",
            "GRANT EXECUTE ON PROCEDURE `x`.`p` TO u",
            "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
        ];
        assert!(missing(&lines, "x").contains("GRANT SELECT, SHOW VIEW, TRIGGER ON `x`.*"));
        let lacking = |lines: &[&str]| Rights::of(lines).lacking_to_lock("x");
        let lock = ["GRANT LOCK TABLES ON `x`.* TO u", "GRANT RELOAD ON *.* TO u"];
        assert_eq!(lacking(&lock), Vec::<String>::new());
        assert_eq!(lacking(&lock[..1]), ["GRANT RELOAD ON *.*"]);
        assert_eq!(lacking(&lock[1..]), ["GRANT LOCK TABLES ON `x`.*"]);
        assert_eq!(lacking(&["GRANT ALL PRIVILEGES ON `x`.* TO u"]), ["GRANT RELOAD ON *.*"], "on a database it is no right on the server");
        assert_eq!(lacking(&["GRANT ALL PRIVILEGES ON *.* TO u"]), Vec::<String>::new());
    }

    #[test]
    fn a_database_shows_to_whoever_has_a_right_to_it_or_to_all() {
        for (line, sees) in [
            ("GRANT USAGE ON *.* TO u", false),
            ("GRANT SHOW DATABASES ON *.* TO u", true),
            ("GRANT SELECT ON *.* TO u", true),
            ("GRANT ALL PRIVILEGES ON `a\\_windlass\\_%`.* TO u", true),
            ("GRANT DROP ON `b`.* TO u", false),
            ("GRANT SELECT ON `a_windlass_new`.`t` TO u", false),
        ] {
            assert_eq!(Rights::of(&[line]).sees("a_windlass_new"), sees, "{line}");
        }
    }
}
