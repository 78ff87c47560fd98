//! How a keyspace is made, as ScyllaDB describes it.
//!
//! It differs from Cassandra in the words for what it describes, in views that it makes for indexes and tables that it makes for changes (CDC), which
//! it does not describe or only for information, and, before it knew `WITH INTERNALS`, in ids.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::cql::{Connection, failed};
use super::super::describe::{DDL_MAX, Described, WHAT, bare};
use super::super::schema::{Keyspace, Kind, Table};
use super::super::statements::quoted;
use crate::source::Error;

/// What ends the name of the view that it makes for an index (`secondary_index::index_table_name`).
const OF_INDEX: &str = "_index";

/// What ends the name of the table that it makes for the changes of another (`cdc::log_name`).
const OF_CHANGES: &str = "_scylla_cdc_log";

/// The statements that make a keyspace again, in order. Where the node does not tell the id of a table, a comment does.
///
/// # Errors
/// [`Error::Cassandra`]; also when a table or view that the node lists is not among them, and is none that it makes by itself.
pub(in super::super) fn described(connection: &Connection, keyspace: &Keyspace) -> Result<String, Error> {
    let cql = format!("DESCRIBE KEYSPACE {}", quoted(&keyspace.name));
    let rows: Vec<Described> = match connection.rows(WHAT, &format!("{cql} WITH INTERNALS")) {
        // Older releases do not understand that; what else is wrong is wrong with the shorter question too.
        Err(Error::Cassandra { .. }) => connection.rows(WHAT, &cql).map_err(|error| match error {
            Error::Cassandra { what, node, why } => {
                Error::Cassandra { what, node, why: format!("{why} (DESCRIBE is understood by ScyllaDB from 5.2 on)") }
            }
            error => error,
        })?,
        rows => rows?,
    };
    together(keyspace, &rows).map_err(|why| failed(WHAT, connection.node(), why))
}

fn together(keyspace: &Keyspace, rows: &[Described]) -> Result<String, String> {
    let mut missing: BTreeSet<&str> =
        keyspace.tables.iter().filter(|table| !is_of_server(keyspace, table)).map(|table| table.name.as_str()).collect();
    let mut text = String::new();
    for (_, kind, name, statement) in rows {
        let (name, statement) = (bare(name), statement.trim());
        if !text.is_empty() {
            text.push('\n');
        }
        if let Some(table) = keyspace.tables.iter().find(|table| words(table.kind).contains(&kind.as_str()) && table.name == name) {
            missing.remove(table.name.as_str());
            let id = table.id.with_dashes();
            if !statement.contains(&id) {
                let _ = writeln!(text, "-- the id of {}.{} is {id}", quoted(&keyspace.name), quoted(&name));
            }
        }
        text.push_str(statement);
        // A comment ends by itself, and so does what has its end already.
        if !statement.ends_with(';') && !statement.ends_with("*/") {
            text.push(';');
        }
        text.push('\n');
        if text.len() > DDL_MAX {
            return Err(format!("`{}` takes more than {} MiB to describe", keyspace.name, DDL_MAX >> 20));
        }
    }
    match missing.first() {
        Some(name) => Err(format!("it does not describe `{name}` of `{}`, which it lists", keyspace.name)),
        None => Ok(text),
    }
}

/// Whether the server makes a table or view by itself, with an index or with a table whose changes are kept.
fn is_of_server(keyspace: &Keyspace, table: &Table) -> bool {
    let is_table = |name: &str| keyspace.tables.iter().any(|other| other.kind == Kind::Table && other.name == name);
    match table.kind {
        Kind::Table => table.name.strip_suffix(OF_CHANGES).is_some_and(is_table),
        Kind::View => table.name.strip_suffix(OF_INDEX).is_some_and(|index| {
            let base = keyspace.tables.iter().find(|other| Some(&other.name) == table.base.as_ref());
            base.is_some_and(|base| base.indexes.iter().any(|name| name == index))
        }),
    }
}

/// What it calls them in `DESCRIBE`; the second is Cassandra's word.
fn words(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Table => ["table", "table"],
        Kind::View => ["view", "materialized_view"],
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::statements::statements;
    use super::*;

    const ID: &str = "ad7e80a0e98411f0a7f65d5e5ba3d8b6";
    const DASHED: &str = "ad7e80a0-e984-11f0-a7f6-5d5e5ba3d8b6";

    fn table(name: &str, kind: Kind, base: Option<&str>, indexes: &[&str]) -> Table {
        let indexes = indexes.iter().map(|name| (*name).to_owned()).collect();
        Table { name: name.into(), id: ID.parse().unwrap(), kind, base: base.map(str::to_owned), gc_grace_seconds: 0, indexes }
    }

    fn row(kind: &str, name: &str, statement: &str) -> Described {
        ("k".into(), kind.into(), name.into(), statement.into())
    }

    fn everything() -> Keyspace {
        let tables = vec![
            table("Users", Kind::Table, None, &["by_mail"]),
            table("Users_scylla_cdc_log", Kind::Table, None, &[]),
            table("by_mail_index", Kind::View, Some("Users"), &[]),
            table("by_name", Kind::View, Some("Users"), &[]),
        ];
        Keyspace { name: "k".into(), tables }
    }

    #[test]
    fn what_the_server_makes_by_itself_need_not_be_described() {
        let changes = "/* Do NOT execute this statement! It's only for informational purposes.\n\nCREATE TABLE k.\"Users_scylla_cdc_log\" (a int);\n*/";
        let rows = [
            row("keyspace", "k", "CREATE KEYSPACE k;"),
            row("table", "\"Users\"", &format!("CREATE TABLE k.\"Users\" (a int) WITH ID = {DASHED};")),
            row("index", "by_mail", "CREATE INDEX by_mail ON k.\"Users\"(mail);"),
            row("view", "by_name", &format!("CREATE MATERIALIZED VIEW k.by_name WITH ID = {DASHED}")),
            row("table", "Users_scylla_cdc_log", changes),
        ];
        let text = together(&everything(), &rows).unwrap();
        let found = statements(&text);
        assert_eq!(found.len(), 4, "what stands in a comment is no statement: {text}");
        assert!(found.iter().all(|statement| statement.starts_with("CREATE ") && statement.ends_with(';')), "{found:?}");
        assert!(together(&everything(), &rows[..4]).is_ok());
        assert_eq!(together(&everything(), &rows[..3]).unwrap_err(), "it does not describe `by_name` of `k`, which it lists");
    }

    #[test]
    fn ids_that_are_not_told_stand_in_comments() {
        let keyspace = Keyspace { name: "k".into(), tables: vec![table("t", Kind::Table, None, &[])] };
        let text = together(&keyspace, &[row("table", "t", "CREATE TABLE k.t (a int);")]).unwrap();
        assert_eq!(text, format!("-- the id of \"k\".\"t\" is {DASHED}\nCREATE TABLE k.t (a int);\n"));
        assert_eq!(statements(&text), ["CREATE TABLE k.t (a int);"]);
    }

    #[test]
    fn a_table_that_only_looks_like_one_of_the_servers_must_be_described() {
        let lone = Keyspace { name: "k".into(), tables: vec![table("other_scylla_cdc_log", Kind::Table, None, &[])] };
        assert!(together(&lone, &[]).unwrap_err().contains("other_scylla_cdc_log"));
        let view =
            Keyspace { name: "k".into(), tables: vec![table("t", Kind::Table, None, &[]), table("x_index", Kind::View, Some("t"), &[])] };
        assert!(together(&view, &[row("table", "t", "CREATE TABLE k.t;")]).unwrap_err().contains("x_index"));
    }
}
