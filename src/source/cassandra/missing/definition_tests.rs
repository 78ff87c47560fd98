//! What Cassandra writes of each kind of thing, as 4.1.10 and 5.0.9 do.

use super::super::shape::{Column, Shape};
use super::*;

const ID: &str = "ad7e80a0-e984-11f0-a7f6-5d5e5ba3d8b6";

fn read(text: &str) -> Definitions {
    Definitions::read(&[("k".into(), text.into())]).unwrap()
}

fn only(text: &str) -> Definition {
    let mut all = read(text).keyspaces.remove("k").unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn shape(definition: &Definition) -> Shape {
    match &definition.body {
        Body::Table(table) => table.shape(),
        other => panic!("no table: {other:?}"),
    }
}

fn column(of: &str) -> Column {
    Column { of: of.into(), is_static: false }
}

#[test]
fn a_table_is_read_with_columns_key_and_options() {
    let table = only(&format!(
        "CREATE TABLE k.wide (\n    p text,\n    c int,\n    d timestamp,\n    both map<text, int> static,\n    \"A, b\" frozen<list<frozen<\"Person\">>>,\n    \
         masked text MASKED WITH system.mask_inner(1, null),\n    PRIMARY KEY (p, c, d)\n) WITH ID = {ID}\n    AND CLUSTERING ORDER BY (c DESC, d ASC)\n    \
         AND compaction = {{'class': 'LeveledCompactionStrategy', 'max_threshold': '32'}}\n    AND comment = 'it''s; AND \"x\"'\n    AND gc_grace_seconds = 7200;"
    ));
    assert_eq!((table.element, table.name.as_str(), table.statements.len()), (Element::Table, "wide", 1));
    let of = shape(&table);
    assert_eq!(of.key.partition, ["p"]);
    assert_eq!(of.key.clustering, [("c".to_owned(), true), ("d".to_owned(), false)]);
    assert_eq!(of.columns["both"], Column { of: "map<text, int>".into(), is_static: true });
    assert_eq!(of.columns["A, b"], column("frozen<list<frozen<\"Person\">>>"));
    assert_eq!(of.columns["masked"], column("text"));
    let Body::Table(table) = table.body else { unreachable!() };
    assert_eq!(table.id.unwrap().with_dashes(), ID);
    assert_eq!(table.options["compaction"], "{'class':'LeveledCompactionStrategy', 'max_threshold':'32'}");
    assert_eq!(table.options["comment"], "'it''s; AND \"x\"'");
    assert_eq!(table.options["gc_grace_seconds"], "7200");
}

#[test]
fn keys_of_all_forms_are_read() {
    let key = |columns: &str| shape(&only(&format!("CREATE TABLE k.t ({columns}) WITH COMPACT STORAGE AND ID = {ID};"))).key;
    assert_eq!(key("id int PRIMARY KEY, v text").partition, ["id"]);
    assert_eq!(key("a int, b int, PRIMARY KEY (a)").partition, ["a"]);
    let both = key("a int, \"B\" int, c int, PRIMARY KEY ((a, \"B\"), c)");
    assert_eq!((both.partition, both.clustering), (vec!["a".to_owned(), "B".into()], vec![("c".to_owned(), false)]));
    assert!(shape(&only(&format!("CREATE TABLE k.t (a int PRIMARY KEY) WITH COMPACT STORAGE AND ID = {ID};"))).is_compact);
}

#[test]
fn columns_that_were_dropped_are_told_by_what_follows() {
    let table = only(&format!(
        "CREATE TABLE k.dropped (\n    id int PRIMARY KEY,\n    stays text,\n    back text,\n    goes text\n) WITH ID = {ID};\n\
         ALTER TABLE k.dropped DROP back USING TIMESTAMP 1795693988254001;\nALTER TABLE k.dropped ADD back text;\n\
         ALTER TABLE k.dropped DROP goes USING TIMESTAMP 1795693988255999;"
    ));
    assert_eq!(table.statements.len(), 4);
    let of = shape(&table);
    assert_eq!(of.columns.keys().collect::<Vec<_>>(), ["back", "id", "stays"]);
    assert_eq!(
        of.dropped.iter().map(|(name, at)| (name.as_str(), *at)).collect::<Vec<_>>(),
        [("back", 1_795_693_988_254), ("goes", 1_795_693_988_255)]
    );
}

#[test]
fn everything_else_of_a_keyspace_is_read() {
    let all = read(&format!(
        "CREATE KEYSPACE k WITH replication = {{'class': 'NetworkTopologyStrategy', 'dc1': '1'}}  AND durable_writes = true;\n\n\
         CREATE TYPE k.\"Person\" (\n    name text,\n    home frozen<address>,\n    \"Born\" date\n);\n\n\
         CREATE FUNCTION k.twice(n int, m frozen<map<text, int>>)\n    RETURNS NULL ON NULL INPUT\n    RETURNS int\n    LANGUAGE java\n    AS $$ return n * 2; $$;\n\n\
         CREATE AGGREGATE k.total(int)\n    SFUNC added\n    STYPE int\n    INITCOND 0;\n\nCREATE FUNCTION k.none()\n    AS $$;$$;\n\n\
         CREATE TABLE k.users (id int PRIMARY KEY, city text) WITH ID = {ID};\n\nCREATE INDEX by_city ON k.users (city);\n\n\
         CREATE CUSTOM INDEX by_tag ON k.users (values(tags)) USING 'sai' WITH OPTIONS = {{'a': 'b'}};\n\n\
         CREATE MATERIALIZED VIEW k.by_email AS\n    SELECT *\n    FROM k.users\n    WHERE email IS NOT NULL AND id > 0 AND id IS NOT NULL\n    \
         PRIMARY KEY (email, id)\n WITH ID = {ID}\n    AND CLUSTERING ORDER BY (id DESC)\n    AND comment = '';"
    ));
    let names: Vec<(Element, &str)> = all.keyspaces["k"].iter().map(|one| (one.element, one.name.as_str())).collect();
    assert_eq!(
        names,
        [
            (Element::Keyspace, "k"),
            (Element::Type, "Person"),
            (Element::Function, "twice(int, frozen<map<text, int>>)"),
            (Element::Aggregate, "total(int)"),
            (Element::Function, "none()"),
            (Element::Table, "users"),
            (Element::Index, "by_city"),
            (Element::Index, "by_tag"),
            (Element::View, "by_email"),
        ]
    );
    let Body::Type(fields) = &all.keyspaces["k"][1].body else { unreachable!() };
    assert_eq!(fields[2], ("Born".to_owned(), "date".to_owned()));
    let Body::View(view) = &all.keyspaces["k"][8].body else { unreachable!() };
    assert_eq!((view.base.as_str(), view.selected.as_str()), ("users", "*"));
    assert_eq!(view.key.clustering, [("id".to_owned(), true)]);
    assert_eq!(view.filter, "email IS NOT NULL AND id>0 AND id IS NOT NULL");
}

#[test]
fn what_is_not_understood_is_not_made() {
    assert_eq!(read("DROP KEYSPACE k; GRANT ALL ON KEYSPACE k TO x;").unknown, ["`DROP KEYSPACE k;`", "`GRANT ALL ON KEYSPACE k TO x;`"]);
    for text in [
        "CREATE TABLE other.t (a int PRIMARY KEY);",
        "CREATE TABLE k.t (a int);",
        "CREATE TABLE k.t a;",
        "CREATE KEYSPACE other WITH x = 1;",
        "CREATE INDEX i ON other.t (a);",
        "ALTER TABLE k.t DROP a USING TIMESTAMP 1;",
        "CREATE TABLE k.t (a int PRIMARY KEY); ALTER TABLE k.t DROP a;",
        "CREATE TABLE k.t (a int PRIMARY KEY); ALTER TABLE k.t WITH gc_grace_seconds = 1;",
        "CREATE MATERIALIZED VIEW k.v AS SELECT * FROM other.t WHERE a IS NOT NULL PRIMARY KEY (a);",
    ] {
        let error = Definitions::read(&[("k".into(), text.into())]).unwrap_err();
        assert!(matches!(&error, Error::Refused { why } if why.contains("of the schema of `k` cannot be read")), "{text}: {error:?}");
    }
}
