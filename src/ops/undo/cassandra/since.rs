//! What was made since of the schema and would answer wrongly for what an undo puts back: views and indexes.

use std::collections::BTreeMap;

use super::aside::fills;
use crate::ops::Error;
use crate::ops::undo::AsideTables;
use crate::source::cassandra::Looked;
use crate::source::cassandra::import::left_out;
use crate::source::cassandra::missing::{Definitions, are_of_two_engines};

/// How the indexes of the tables that lie aside are defined, by their names for a person: their files lie aside too.
///
/// # Errors
/// [`Error::Source`] when what the node says cannot be understood.
pub(crate) fn indexes_of(looked: &Looked, aside: &AsideTables) -> Result<BTreeMap<String, String>, Error> {
    let definitions = Definitions::read(&looked.ddl)?;
    let is_aside = |keyspace: &str, table: &str| aside.tables.iter().any(|one| one.keyspace == keyspace && one.name == table);
    let of_these = definitions.indexes().filter(|index| is_aside(index.keyspace, index.table));
    Ok(of_these.map(|index| (format!("{}.{}", index.keyspace, index.name), format!("{} {}", index.table, index.what))).collect())
}

/// Proves that what lies aside can come back as it was: each view of a table comes with it, and no index is another one under the same name.
///
/// # Errors
/// [`Error::Refused`] naming what is to be dropped first; as [`indexes_of`].
pub(crate) fn check_since(looked: &Looked, aside: &AsideTables) -> Result<(), Error> {
    if let Some(view) = left_out(&looked.schema, &fills(aside)) {
        return Err(Error::Refused(format!(
            "the {view} was made since, and rows that come into its table as files do not come into it: drop it, undo, and make it again; nothing \
             was changed"
        )));
    }
    let now = indexes_of(looked, aside)?;
    match aside.indexes.iter().find(|(name, was)| now.get(*name).is_some_and(|now| now != *was && !are_of_two_engines(now, was))) {
        Some((name, was)) => Err(Error::Refused(format!(
            "the index {name} was made anew since, on something else or in another way ({was} before), and the files that would come back are of \
             the one before it, and would be taken for its own: drop it, make the one before again, undo, and only then drop that and make the one that \
             you want (under a name of its own it stays in nobody's way); nothing was changed"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::undo::{AsideTable, Way};
    use crate::source::cassandra::{Facts, Kind, Schema};

    fn looked(index: &str) -> Looked {
        let table = "CREATE TABLE k.t (id int PRIMARY KEY, a text, b text) WITH ID = 01234567-89ab-cdef-0123-456789abcdef;";
        let ddl = format!("CREATE KEYSPACE k WITH replication = {{'class': 'SimpleStrategy'}};\n{table}\n{index}");
        Looked { facts: Facts::default(), schema: Schema { keyspaces: Vec::new() }, ddl: vec![("k".into(), ddl)] }
    }

    #[test]
    fn an_index_that_was_made_anew_on_another_column_is_refused_and_one_that_is_gone_or_as_it_was_is_not() {
        let table = AsideTable {
            keyspace: "k".into(),
            name: "t".into(),
            id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            kind: Kind::Table,
            folder: String::new(),
            has_rows: true,
            sstables: 0,
        };
        let mut aside = AsideTables {
            cassandra: Way::Running,
            host_id: String::new(),
            places: Vec::new(),
            tables: vec![table],
            others: Vec::new(),
            indexes: BTreeMap::new(),
            unbuilt: Default::default(),
        };
        let was = looked("CREATE INDEX by_x ON k.t (a);");
        aside.indexes = indexes_of(&was, &aside).unwrap();
        assert_eq!(aside.indexes.len(), 1);
        check_since(&was, &aside).unwrap();
        check_since(&looked(""), &aside).unwrap();
        check_since(&looked("CREATE INDEX by_y ON k.t (b);"), &aside).unwrap();
        check_since(&looked("CREATE CUSTOM INDEX by_x ON k.t (a) USING 'StorageAttachedIndex';"), &aside).unwrap();
        let error = check_since(&looked("CREATE INDEX by_x ON k.t (b);"), &aside).unwrap_err().to_string();
        assert!(error.contains("index k.by_x was made anew") && error.contains("drop it"), "{error}");
    }
}
