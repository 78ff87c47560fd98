//! Views that stay behind: rows that come into a table as files do not come into its views, each of which needs files of its own.

use std::collections::BTreeSet;

use super::super::cql::Connection;
use super::super::look;
use super::super::schema::{Keyspace, Kind, Schema};
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;

/// A view of a schema, as a person calls it, whose table is among these that files come into, and which is not.
pub fn left_out(schema: &Schema, tables: &[Fill]) -> Option<String> {
    schema.keyspaces.iter().find_map(|keyspace| {
        let of_this = || tables.iter().filter(|table| table.keyspace == keyspace.name);
        let is_left_out = |view: &&super::super::schema::Table| {
            view.kind == Kind::View
                && of_this().any(|table| Some(&table.name) == view.base.as_ref())
                && !of_this().any(|table| table.id == view.id)
        };
        let view = keyspace.tables.iter().find(is_left_out)?;
        Some(format!("view {}.{}", keyspace.name, view.name))
    })
}

/// Proves that files come into all views of these tables: somebody may have made one since that was decided.
///
/// # Errors
/// [`Error::Refused`] naming one; [`Error::Cassandra`]; [`Error::Stopped`].
pub fn check_views(job: &Job<'_>, tables: &[Fill]) -> Result<(), Error> {
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    let names: BTreeSet<&String> = tables.iter().map(|table| &table.keyspace).collect();
    let keyspace = |name: &String| Ok(Keyspace { tables: look::tables(&connection, name)?, name: name.clone() });
    let keyspaces = names.into_iter().map(keyspace).collect::<Result<_, Error>>()?;
    left_out(&Schema { keyspaces }, tables).map_or(Ok(()), |view| {
        let why = format!(
            "the {view} was made since, and rows that come into its table as files do not come into it: drop it, try again, and make it again then"
        );
        Err(Error::Refused { why })
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::schema::{Table, TableId};
    use super::*;

    fn id(digit: char) -> TableId {
        digit.to_string().repeat(32).parse().unwrap()
    }

    fn fill(name: &str, digit: char) -> Fill {
        Fill { keyspace: "k".into(), name: name.into(), id: id(digit), kind: Kind::Table, folder: String::new(), at_least: 0 }
    }

    #[test]
    fn a_view_is_left_out_where_files_come_into_its_table_and_not_into_itself() {
        let table = |name: &str, digit, base: Option<&str>| Table {
            name: name.into(),
            id: id(digit),
            kind: if base.is_some() { Kind::View } else { Kind::Table },
            base: base.map(str::to_owned),
            gc_grace_seconds: 0,
            indexes: Vec::new(),
        };
        let tables = vec![table("t", '1', None), table("u", '2', None), table("w", '3', Some("t"))];
        let schema = Schema { keyspaces: vec![Keyspace { name: "k".into(), tables }] };
        let told = |tables: &[Fill]| left_out(&schema, tables);
        assert_eq!(told(&[fill("t", '1')]).as_deref(), Some("view k.w"));
        assert_eq!(told(&[fill("t", '1'), fill("w", '3')]), None);
        assert_eq!(told(&[fill("t", '1'), fill("w", '4')]).as_deref(), Some("view k.w"), "one that was made anew is another");
        assert_eq!(told(&[fill("u", '2')]), None);
        let elsewhere = Fill { keyspace: "l".into(), ..fill("t", '1') };
        assert_eq!(told(&[elsewhere]), None);
    }
}
