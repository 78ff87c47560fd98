//! What an account must be allowed so that a restore comes to its end.

use super::{BESIDE, PresentDatabase};
use crate::source::mysql::definers::account_literal;
use crate::source::mysql::exchange::beginnings;
use crate::source::mysql::object::quoted;
use crate::source::mysql::release::Release;
use crate::source::mysql::rights::Rights;

/// Rights on a database that is put back, and on those beside it.
const RESTORING: [&str; 15] = [
    "SELECT",
    "INSERT",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "CREATE VIEW",
    "SHOW VIEW",
    "TRIGGER",
    "EVENT",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EXECUTE",
    "LOCK TABLES",
];

/// Rights of which one is enough to make things in the name of others.
const DEFINING: [&str; 4] = ["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"];

/// What an account may do, and the statements that would let it do the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// `user@host`.
    pub(super) account: String,
    /// Statements that give what it lacks on the databases themselves.
    pub(super) lacking: Vec<String>,
    /// Those for what it lacks where a database is exchanged: on the databases beside, and on tables that refer to it.
    pub(super) lacking_beside: Vec<String>,
    /// Whether it may have more rights than were understood.
    pub(super) is_unclear: bool,
    /// Whether it may make things in the name of others.
    pub(super) may_define: bool,
    /// The statement that would allow it.
    pub(super) to_define: String,
    /// Whether it may make triggers and functions, given what the server's binary log asks for.
    pub(super) may_create_functions: bool,
    /// Whether the server trusts whoever makes functions to know what they do.
    pub(super) trusts_creators: bool,
    /// Whether it sees the tables of every database.
    pub(super) sees_all_databases: bool,
}

impl Allowed {
    pub(super) fn of(rights: &Rights, databases: &[PresentDatabase], account: String, release: Release, trusts_creators: bool) -> Self {
        let to = account_literal(&account);
        let grant = |lacking: &[&str], scope: &str| format!("GRANT {} ON {scope} TO {to}", lacking.join(", "));
        let (mut own, mut beside) = (Vec::new(), Vec::new());
        for database in databases {
            // A grant that is there is given more; beside it, one with another pattern would hold instead of it.
            let scope = |name: &str, new: String| format!("{}.*", quoted(rights.pattern(name).unwrap_or(&new)));
            let lacking = rights.lacking(&RESTORING, &database.name, "*");
            if !lacking.is_empty() {
                own.push(grant(&lacking, &scope(&database.name, pattern(&database.name))));
            }
            // Any name that begins so: which ones there will be, is not known before.
            for begin in beginnings(&database.name) {
                let name = format!("{begin}x");
                let lacking = rights.lacking(&RESTORING, &name, "*");
                if !lacking.is_empty() {
                    beside.push(grant(&lacking, &scope(&name, any(&begin))));
                }
            }
            for schema in database.referring.iter().filter_map(|table| database_of(table)) {
                // On one table it would not be enough: the rules of a foreign key are shown to whoever may change something of the database.
                let statement = grant(&["ALTER"], &scope(&schema, pattern(&schema)));
                if !rights.lacking(&["ALTER"], &schema, "*").is_empty() && !beside.contains(&statement) {
                    beside.push(statement);
                }
            }
        }
        if databases.iter().any(|database| database.exists && !rights.sees_routines(&database.name, release)) {
            own.push(format!("{} TO {to}", release.grant_for_routines()));
        }
        Self {
            lacking: own,
            lacking_beside: beside,
            is_unclear: rights.is_unclear(),
            may_define: DEFINING.iter().any(|right| rights.has_global(right)),
            to_define: format!(
                "GRANT {} ON *.* TO {to}{}",
                release.right_to_define(),
                if release.has_system_user() { " (and GRANT SYSTEM_USER ON *.* where one of them has it, as root has)" } else { "" }
            ),
            trusts_creators,
            may_create_functions: trusts_creators || rights.has_global("SUPER"),
            sees_all_databases: rights.has_global("SELECT") || rights.has_global("ALTER"),
            account,
        }
    }
}

/// The statement that gives an account all rights on a database beside a live one, and on all others beside that one; of a live one, on that.
pub(in crate::source::mysql) fn grant_beside(database: &str, account: &str) -> String {
    let scope = pattern_beside(database).unwrap_or_else(|| pattern(database));
    format!("GRANT ALL ON {}.* TO {}", quoted(&scope), account_literal(account))
}

/// The pattern of all databases beside the one that this one is beside; nothing where it is beside none.
pub(in crate::source::mysql) fn pattern_beside(database: &str) -> Option<String> {
    database.rfind(BESIDE).map(|at| any(&database[..at + BESIDE.len()]))
}

/// Longest pattern that the server takes, in characters.
const PATTERN_MAX: usize = 64;

/// A name as grants on databases write it, where `_` and `%` stand for others. Where it becomes too long for the server with these marked as
/// themselves, they are not: then it covers names that differ there as well.
fn pattern(name: &str) -> String {
    let name = name.replace('\\', "\\\\");
    let exact = name.replace('_', "\\_").replace('%', "\\%");
    if exact.chars().count() <= PATTERN_MAX { exact } else { name }
}

/// The pattern of all names that begin so.
fn any(begin: &str) -> String {
    let exact = pattern(begin) + "%";
    // A name that fills the whole length is that one alone.
    if exact.chars().count() <= PATTERN_MAX {
        exact
    } else {
        begin.replace('\\', "\\\\").chars().take(PATTERN_MAX - 1).chain(['%']).collect()
    }
}

/// The database of two names in quotes.
fn database_of(table: &str) -> Option<String> {
    let mut name = String::new();
    let mut chars = table.strip_prefix('`')?.chars().peekable();
    while let Some(c) = chars.next() {
        // Within quotes every backtick is one of two.
        if c == '`' && chars.next_if_eq(&'`').is_none() {
            return Some(name);
        }
        name.push(c);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_as_exact_as_their_length_allows() {
        assert_eq!(any("a_b%_windlass_"), "a\\_b\\%\\_windlass\\_%");
        for name in ["a_".repeat(20), "_".repeat(64), "é".repeat(64), "%_".repeat(32)] {
            for pattern in beginnings(&name).iter().map(|begin| any(begin)).chain([pattern(&name)]) {
                assert!(pattern.chars().count() <= PATTERN_MAX, "{pattern}");
            }
        }
    }

    #[test]
    fn the_statement_for_what_lies_beside_is_that_of_the_manual() {
        let grant = grant_beside("a_b_windlass_undo_20260101_000000000", "u@localhost");
        assert!(grant.starts_with("GRANT ALL ON `a\\_b\\_windlass\\_%`.* TO "), "{grant}");
    }

    #[test]
    fn the_database_of_a_table_is_found_whatever_its_name_holds() {
        for name in ["other", "a`.`b", "`", "x``"] {
            assert_eq!(database_of(&format!("{}.{}", quoted(name), quoted("t`.`u"))).as_deref(), Some(name));
        }
    }
}
