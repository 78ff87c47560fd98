//! A Cassandra node that runs takes back what it was, whatever was done to its definitions since, also one keyspace or one table of it; and a merge
//! that is killed is told and done again.

use crate::cassandra_restore_running::Case;
use crate::support::servers::cassandra::spec::Version;

/// Makes a table that loses and gains columns.
const TABLE: [&str; 5] = [
    "CREATE TYPE KEYSPACE.place (street text, number int)",
    "CREATE TABLE KEYSPACE.altered (id int, at int, keeps text, goes text, gone map<text, int>, home frozen<place>, homes list<frozen<place>>, \
     PRIMARY KEY (id, at))",
    "INSERT INTO KEYSPACE.altered (id, at, keeps, goes, gone, home, homes) VALUES (1, 1, 'then', 'x', {'a': 1}, {street: 'Hill', number: 1}, \
     [{street: 'Dale', number: 2}])",
    "INSERT INTO KEYSPACE.altered (id, at, goes, gone) VALUES (1, 2, 'of nothing else', {'b': 2})",
    "INSERT INTO KEYSPACE.altered (id, at, keeps, home) VALUES (2, 1, 'deleted since', {street: 'Mill', number: 3})",
];

/// What is done to it since.
const SINCE: [&str; 7] = [
    "ALTER TABLE KEYSPACE.altered ADD came int",
    "ALTER TABLE KEYSPACE.altered DROP goes",
    "ALTER TABLE KEYSPACE.altered DROP gone",
    "ALTER TYPE KEYSPACE.place ADD zip text",
    "INSERT INTO KEYSPACE.altered (id, at, keeps, came, home) VALUES (3, 1, 'since', 7, {street: 'New', number: 4, zip: 'Z'})",
    "DELETE FROM KEYSPACE.altered WHERE id = 2",
    "UPDATE KEYSPACE.altered SET keeps = 'since', came = 8 WHERE id = 1 AND at = 1",
];

fn rows_come_back_over_what_was_altered(version: Version) {
    let case = Case::small(version, 1);
    case.run(&TABLE);
    case.backup();
    case.run(&SINCE);
    let now = case.dump(0);
    let plan = case.plan(&["--running"]);
    let differs = plan["node"]["differs"].to_string();
    for word in ["`came`", "`goes`", "`gone`", "place"] {
        assert!(differs.contains(word), "{word}: {differs}");
    }
    case.restore(&["--running"]).expect(0);
    let table = format!("\"{}\".altered", case.keyspaces[0]);
    let columns = "id, at, keeps, came, home.street, home.number, home.zip";
    let rows = case.server.cql().lines(&format!("SELECT {columns} FROM {table}"));
    assert_eq!(
        rows,
        [
            "1 | 1 | then | null | Hill | 1 | null",
            "1 | 2 | null | null | null | null | null",
            "2 | 1 | deleted since | null | Mill | 3 | null"
        ]
    );
    let homes = case.server.cql().lines(&format!("SELECT homes FROM {table} WHERE id = 1 AND at = 1"));
    assert!(homes.len() == 1 && homes[0].contains("Dale"), "{homes:?}");
    case.undo().expect(0);
    assert_eq!(case.dump(0), now);
}

#[test]
fn rows_of_4_1_come_back_over_columns_and_fields_that_came_and_went_since() {
    rows_come_back_over_what_was_altered(Version::V41);
}

#[test]
fn rows_of_5_0_come_back_over_columns_and_fields_that_came_and_went_since() {
    rows_come_back_over_what_was_altered(Version::V50);
}

#[test]
fn one_keyspace_takes_the_place_of_what_it_holds_and_an_undo_gives_that_back() {
    let case = Case::small(Version::V50, 2);
    let (then, others_then) = (case.dump(0), case.dump(1));
    let since = ["DELETE FROM KEYSPACE.t WHERE id = 2", "INSERT INTO KEYSPACE.u (id, v) VALUES (3, 'since')"];
    [0, 1].into_iter().for_each(|at| case.run_in(at, &since));
    let (now, others) = (case.dump(0), case.dump(1));
    assert!(now != then && others != others_then);
    let database = ["--database", &case.keyspaces[0]];
    let plan = case.plan(&database);
    assert!(plan["node"]["age_seconds"].as_i64().unwrap() >= 0 && plan["node"]["gc_grace_seconds"] == 864_000, "{plan:#}");
    case.restore(&database).expect(0);
    assert_eq!((case.dump(0), case.dump(1)), (then.clone(), others.clone()));
    case.undo().expect(0);
    assert_eq!((case.dump(0), case.dump(1)), (now, others));
    // A table alone, that is not there any more.
    case.run(&["DROP TABLE KEYSPACE.t"]);
    let plan = case.plan(&["--table", &case.table("t")]);
    assert!(plan["node"]["makes"].to_string().contains(&case.table("t")), "{plan:#}");
    case.restore(&["--table", &case.table("t")]).expect(0);
    assert!(case.rows("t").iter().all(|row| then.iter().any(|then| then.contains(row))), "{:?} of {then:?}", case.rows("t"));
    assert_eq!((case.rows("t").len(), case.rows("u").len(), case.dump(1).len()), (2, 2, 5));
}

#[test]
fn a_merge_that_is_killed_is_told_by_the_next_command_and_done_by_the_same_once_more() {
    let case = Case::small(Version::V50, 1);
    let (id, then) = (case.id(), case.dump(0));
    case.run(&["TRUNCATE KEYSPACE.t", "TRUNCATE KEYSPACE.u", "INSERT INTO KEYSPACE.u (id, v) VALUES (7, 'since')"]);
    let since = case.rows("u");
    // The import goes on in the node, or does not: of the second table it does not.
    for act in ["kill -KILL $PPID", "kill -KILL $PPID; exit 1"] {
        case.act("*' import '*", act);
        let run = case.machine.run(&["restore", &id, "--merge", "--yes"]);
        case.be_honest();
        assert_eq!(run.code, None, "{run:#?}");
        let next = case.machine.run(&["snapshot", &case.source]);
        next.expect(0);
        assert!(next.said().contains("was ended: what had come in by then stays"), "{}", next.said());
        assert!(since.iter().all(|row| case.rows("u").contains(row)), "{:?}", case.rows("u"));
        case.compacts();
        assert_eq!(case.ours(), Vec::<String>::new());
    }
    case.machine.run(&["restore", &id, "--merge", "--yes"]).expect(0);
    let merged = case.dump(0);
    assert!(then.iter().all(|row| merged.contains(row)) && merged.len() == then.len() + 1, "{merged:?} of {then:?}");
    case.compacts();
}
