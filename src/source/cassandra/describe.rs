//! How a keyspace is made, in CQL, as the node itself describes it.

use std::collections::BTreeSet;

use super::compact::{is_static, out_of_comment, without_order};
use super::cql::{Connection, failed};
use super::schema::{Keyspace, Kind};
use super::statements::{literal, quoted};
use crate::source::Error;

/// Most bytes of the CQL of one keyspace, because it is held in memory: a thousand tables of a hundred columns fit.
pub(super) const DDL_MAX: usize = 16 << 20;

/// What is being done, as an error says it.
pub(super) const WHAT: &str = "read how a keyspace is made from";

/// A row of `DESCRIBE`: keyspace, type, name (in quotes where it needs them), the statement that makes it.
pub(super) type Described = (String, String, String, String);

/// The statements that make a keyspace again, in order, each with its `;`, a blank line between them: the keyspace, its types, functions,
/// aggregates, tables with their ids, indexes and views.
///
/// # Errors
/// [`Error::Cassandra`]; also when a table or view that the node lists is not among them with its id.
pub(super) fn keyspace(connection: &Connection, keyspace: &Keyspace) -> Result<String, Error> {
    let rows: Vec<Described> = connection.rows(WHAT, &format!("DESCRIBE KEYSPACE {} WITH INTERNALS", quoted(&keyspace.name)))?;
    let of = literal(&keyspace.name);
    let flags: Vec<(String, Option<Vec<String>>)> =
        connection.rows(WHAT, &format!("SELECT table_name, flags FROM system_schema.tables WHERE keyspace_name = {of}"))?;
    let is_static = |(name, flags): (String, Option<Vec<String>>)| is_static(&flags.unwrap_or_default()).then_some(name);
    together(keyspace, &rows, &flags.into_iter().filter_map(is_static).collect()).map_err(|why| failed(WHAT, connection.node(), why))
}

/// Puts the rows together; `without_clustering` are the compact tables that are static.
fn together(keyspace: &Keyspace, rows: &[Described], without_clustering: &BTreeSet<String>) -> Result<String, String> {
    let mut missing: BTreeSet<(&str, &str)> = keyspace.tables.iter().map(|table| (word(table.kind), table.name.as_str())).collect();
    let mut text = String::new();
    for (_, kind, name, described) in rows {
        let name = bare(name);
        let statement = out_of_comment(described).ok_or_else(|| format!("it describes the {kind} `{name}` in a comment only"))?;
        if let Some(table) = keyspace.tables.iter().find(|table| word(table.kind) == kind && table.name == name) {
            if !statement.contains(&table.id.with_dashes()) {
                return Err(format!("its description of the {kind} `{name}` does not hold the id {}", table.id));
            }
            missing.remove(&(kind.as_str(), table.name.as_str()));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        if kind == word(Kind::Table) && without_clustering.contains(&name) {
            text.push_str(&without_order(statement));
        } else {
            text.push_str(statement);
        }
        text.push('\n');
        if text.len() > DDL_MAX {
            return Err(format!("`{}` takes more than {} MiB to describe", keyspace.name, DDL_MAX >> 20));
        }
    }
    match missing.first() {
        Some((kind, name)) => Err(format!("it does not describe the {kind} `{name}` of `{}`, which it lists", keyspace.name)),
        None => Ok(text),
    }
}

/// A name without the quotes that it may be in.
pub(super) fn bare(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// The kind, as Cassandra 4.1 and 5.0 write it in `DESCRIBE` (`SchemaElement.SchemaElementType`).
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Table => "table",
        Kind::View => "materialized_view",
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Table;
    use super::*;

    const ID: &str = "ad7e80a0e98411f0a7f65d5e5ba3d8b6";
    const DASHED: &str = "ad7e80a0-e984-11f0-a7f6-5d5e5ba3d8b6";

    fn keyspace(tables: &[(&str, Kind)]) -> Keyspace {
        let table = |(name, kind): &(&str, Kind)| Table {
            name: (*name).to_owned(),
            id: ID.parse().unwrap(),
            kind: *kind,
            base: None,
            gc_grace_seconds: 0,
            indexes: Vec::new(),
        };
        Keyspace { name: "k".into(), tables: tables.iter().map(table).collect() }
    }

    fn row(kind: &str, name: &str, statement: &str) -> Described {
        ("k".into(), kind.into(), name.into(), statement.into())
    }

    #[test]
    fn statements_come_in_order_and_out_of_comments() {
        let compact = format!(
            "/*\nWarning: Table k.c omitted because it has constructs not compatible with CQL (was created via legacy API).\nApproximate \
             structure, for reference:\n(this should not be used to reproduce this schema)\n\nCREATE TABLE k.c (a int) WITH COMPACT STORAGE AND ID = {DASHED};\n*/"
        );
        let rows = [row("keyspace", "k", "CREATE KEYSPACE k;"), row("table", "c", &compact)];
        let text = together(&keyspace(&[("c", Kind::Table)]), &rows, &BTreeSet::new()).unwrap();
        assert_eq!(text, format!("CREATE KEYSPACE k;\n\nCREATE TABLE k.c (a int) WITH COMPACT STORAGE AND ID = {DASHED};\n"));
    }

    #[test]
    fn a_name_may_be_in_quotes() {
        let rows = [row("table", "\"Mixed\"", &format!("CREATE TABLE k.\"Mixed\" (a int) WITH ID = {DASHED};"))];
        assert!(together(&keyspace(&[("Mixed", Kind::Table)]), &rows, &BTreeSet::new()).is_ok());
    }

    #[test]
    fn what_is_listed_and_not_described_is_an_error() {
        let keyspace = keyspace(&[("t", Kind::Table), ("v", Kind::View)]);
        let table = row("table", "t", &format!("CREATE TABLE k.t WITH ID = {DASHED};"));
        let lacks = together(&keyspace, std::slice::from_ref(&table), &BTreeSet::new()).unwrap_err();
        assert_eq!(lacks, "it does not describe the materialized_view `v` of `k`, which it lists");
        let other = row("materialized_view", "v", "CREATE MATERIALIZED VIEW k.v;");
        assert!(together(&keyspace, &[table.clone(), other], &BTreeSet::new()).unwrap_err().contains("does not hold the id"));
        let hidden = row("materialized_view", "v", "/* gone */");
        assert!(together(&keyspace, &[table, hidden], &BTreeSet::new()).unwrap_err().contains("in a comment only"));
    }
}
