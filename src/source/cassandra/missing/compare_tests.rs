//! What a comparison finds.

use super::*;

const ID: &str = "ad7e80a0-e984-11f0-a7f6-5d5e5ba3d8b6";
const OTHER: &str = "11111111-e984-11f0-a7f6-5d5e5ba3d8b6";

fn definitions(text: &str) -> Definitions {
    Definitions::read(&[("k".into(), text.into())]).unwrap()
}

const KEYSPACE: &str =
    "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'} AND durable_writes = true;\n";

fn compare_with(recorded: &str, live: &str, part: &Part) -> Comparison {
    Comparison::of(&definitions(&format!("{KEYSPACE}{recorded}")), &definitions(&format!("{KEYSPACE}{live}")), part).unwrap()
}

fn compare(recorded: &str, live: &str) -> Comparison {
    compare_with(recorded, live, &Part::All)
}

/// The one thing that differs, whether it makes files unreadable, and in what.
fn difference(recorded: &str, live: &str) -> (bool, String) {
    let compared = compare(recorded, live);
    let found: Vec<_> = compared.differing().collect();
    assert_eq!(found.len(), 1, "{compared:?}");
    let differences = found[0].1;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(compared.unreadable().is_some(), differences[0].is_unreadable);
    (differences[0].is_unreadable, differences[0].what.clone())
}

fn table(columns: &str) -> String {
    format!("CREATE TABLE k.t ({columns}) WITH ID = {ID};\n")
}

fn told(comparison: &Comparison) -> Vec<String> {
    comparison.missing().map(Compared::told).collect()
}

#[test]
fn what_is_the_same_needs_nothing() {
    let text = table("id int PRIMARY KEY, v text");
    let compared = compare(&text, &text.replace(", ", ",\n    "));
    assert!(compared.compared.iter().all(|one| one.standing == Standing::Equal), "{compared:?}");
    assert_eq!(compared.compared[1].live_id, Some(ID.parse().unwrap()));
}

#[test]
fn a_dropped_keyspace_is_missing_with_all_that_is_in_it() {
    let recorded =
        definitions(&format!("{KEYSPACE}CREATE TYPE k.a (x int);\n{}CREATE INDEX i ON k.t (v);", table("id int PRIMARY KEY, v text")));
    let compared = Comparison::of(&recorded, &Definitions::default(), &Part::All).unwrap();
    assert_eq!(told(&compared), ["keyspace k", "type k.a", "table k.t", "index k.i"]);
    let said: Vec<&String> = compared.missing().flat_map(|one| &one.statements).collect();
    assert!(said.len() == 4 && said[2].contains(ID), "{said:?}");
}

#[test]
fn a_table_that_was_begun_is_finished_with_what_is_left_of_it() {
    let drops = "ALTER TABLE k.t DROP goes USING TIMESTAMP 1795693988255999;\nALTER TABLE k.t DROP back USING TIMESTAMP 5000;\n\
                 ALTER TABLE k.t ADD back text;";
    let created = table("id int PRIMARY KEY, goes text, back text");
    let recorded = format!("{created}{drops}");
    let lines: Vec<&str> = drops.lines().collect();
    for done in 0..3 {
        let live = match done {
            0 => created.clone(),
            1 => format!("{created}{}", lines[0]),
            _ => format!("{created}{}\n{}", lines[0], lines[1]),
        };
        let compared = compare(&recorded, &live);
        assert_eq!(compared.compared[1].standing, Standing::Unfinished, "{done}: {compared:?}");
        assert_eq!(compared.compared[1].statements, lines[done..], "{done}");
    }
    let kept = recorded.replace("255999", "255000");
    assert!(compare(&recorded, &kept).missing().next().is_none(), "a node keeps no more than milliseconds");
    let another = created.replace(ID, OTHER);
    assert!(compare(&recorded, &another).missing().next().is_none(), "a table with another id is somebody's own");
    assert!(compare(&recorded, &another).differing().next().is_some());
}

#[test]
fn differences_that_files_can_be_read_with_are_told() {
    let was = table("id int PRIMARY KEY, v text");
    assert_eq!(difference(&was, &was.replace(ID, OTHER)), (false, "it was made anew since then, with another id".into()));
    let gone = format!("{was}ALTER TABLE k.t DROP v USING TIMESTAMP 5000;");
    assert_eq!(difference(&was, &gone), (false, "the column `v` was dropped since then: what it held does not come back".into()));
    let again = format!("{gone}\nALTER TABLE k.t ADD v text;");
    let (_, what) = difference(&was, &again);
    assert_eq!(what, "the column `v` was dropped and added again since then: what it held does not come back");
    let (_, what) = difference(&was, &table("id int PRIMARY KEY, v text, w int"));
    assert_eq!(what, "the column `w` was added since then");
    let (_, what) = difference(&was, &table("key int PRIMARY KEY, v text"));
    assert_eq!(what, "the column `id` of its key is called `key`");
    let option = |seconds| was.replace(';', &format!(" AND gc_grace_seconds = {seconds};"));
    assert_eq!(difference(&option(1), &option(2)), (false, "gc_grace_seconds is 2 and was 1".into()));
    assert!(compare(&was, &option(1)).differing().next().is_none(), "an option that the other version does not know");
    assert_eq!(
        difference("CREATE TYPE k.a (x int);", "CREATE TYPE k.a (x int, y int);"),
        (false, "the field `y` was added since then".into())
    );
}

#[test]
fn differences_that_files_cannot_be_read_with_are_refused() {
    let was = table("id int, c text, v text, s int static, PRIMARY KEY (id, c)");
    let with = |from: &str, to: &str| difference(&was, &was.replace(from, to));
    assert_eq!(with("v text", "v blob"), (true, "the column `v` has the type blob and had text".into()));
    assert_eq!(with("v text, ", ""), (true, "the column `v` is not there, and nothing tells that it was dropped".into()));
    assert_eq!(with(" static", ""), (true, "the column `s` is not static and was it".into()));
    assert_eq!(with("id int", "id bigint"), (true, "its partition key is (bigint) and was (int)".into()));
    assert_eq!(with("c text", "c int"), (true, "its clustering is (int) and was (text)".into()));
    let descending = was.replace(';', " AND CLUSTERING ORDER BY (c DESC);");
    assert_eq!(difference(&was, &descending), (true, "its clustering is (text DESC) and was (text)".into()));
    let dropped = format!("{was}ALTER TABLE k.t DROP v USING TIMESTAMP 5000;").replace(ID, OTHER);
    let compared = compare(&dropped, &was.replace("v text, ", ""));
    assert!(compared.unreadable().unwrap().contains("nothing tells that the column `v` was dropped"), "{compared:?}");
    assert!(difference("CREATE TYPE k.a (x int, y int);", "CREATE TYPE k.a (x int);").0);
    assert!(difference("CREATE TYPE k.a (x int);", "CREATE TYPE k.a (x text);").0);
    let view = format!("{was}CREATE MATERIALIZED VIEW k.w AS SELECT * FROM k.t WHERE c IS NOT NULL PRIMARY KEY (c, id) WITH ID = {OTHER};");
    assert!(difference(&view, &view.replace("(c, id)", "((c, id))")).0);
    assert!(difference(&view, &view.replace("SELECT *", "SELECT c, id")).0);
}

#[test]
fn a_table_comes_with_what_it_needs_and_what_belongs_to_it() {
    let recorded = format!(
        "CREATE TYPE k.inner (x int);\nCREATE TYPE k.outer (i frozen<inner>);\nCREATE TYPE k.other (x int);\nCREATE FUNCTION k.f(a int) AS $$ $$;\n\
         {}CREATE TABLE k.u (id int PRIMARY KEY) WITH ID = {OTHER};\nCREATE INDEX i ON k.t (v);\nCREATE INDEX iu ON k.u (v);\n\
         CREATE MATERIALIZED VIEW k.w AS SELECT * FROM k.t WHERE v IS NOT NULL PRIMARY KEY (v, id) WITH ID = {OTHER};",
        table("id int PRIMARY KEY, v map<text, frozen<outer>>")
    );
    let part = Part::Table("k".into(), "t".into());
    assert_eq!(told(&compare_with(&recorded, "", &part)), ["type k.inner", "type k.outer", "table k.t", "index k.i", "view k.w"]);
    let only = "CREATE INDEX j ON k.t (v);\nCREATE TABLE k.z (id int PRIMARY KEY);";
    let live = format!("{recorded}\n{only}");
    let compared = compare_with(&recorded, &live, &part);
    assert_eq!(compared.only_live().map(Compared::told).collect::<Vec<_>>(), ["index k.j"]);
    assert_eq!(compare(&recorded, &live).only_live().count(), 2);
    for (part, why) in [
        (Part::Table("k".into(), "w".into()), "`k.w` is a view: restore `k.t`"),
        (Part::Table("k".into(), "..".into()), "the snapshot has no table `..` in `k`"),
        (Part::Table("x".into(), "t".into()), "the snapshot has no keyspace `x`; it has `k`"),
        (Part::Keyspace("../k".into()), "the snapshot has no keyspace `../k`"),
    ] {
        let error = Comparison::of(&definitions(&recorded), &Definitions::default(), &part).unwrap_err();
        assert!(matches!(&error, Error::Refused { why: told } | Error::Absent { why: told } if told.starts_with(why)), "{error:?}");
    }
}
