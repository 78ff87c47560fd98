//! A Cassandra node whose tables are not those of the snapshot any more is restored all the same, or refused, as the plan says.

use std::fs;

use crate::cassandra_restore_stopped::Bench;
use crate::support::program::until;
use crate::support::servers::cassandra::spec::Version;

fn names(plan: &serde_json::Value, key: &str) -> Vec<String> {
    plan["node"][key].as_array().unwrap().iter().map(crate::support::program::text).collect()
}

#[test]
fn a_table_that_was_made_anew_takes_the_files_of_the_one_before_it() {
    let bench = Bench::small(Version::V50);
    let then = bench.dump("small");
    bench.backup();
    bench.run(&[
        "DROP TABLE small.t",
        "CREATE TABLE small.t (id int PRIMARY KEY, v text)",
        "INSERT INTO small.t (id, v) VALUES (9, 'of the new table')",
    ]);
    bench.server.nodetool(&["flush", "small"]);
    let now = bench.dump("small");
    let folders = bench.server.folders_of("small", "t");
    assert_eq!(folders.len(), 2, "the folder of the dropped table stays");
    let held =
        |path: &std::path::PathBuf| fs::read_dir(path).unwrap().any(|entry| entry.unwrap().path().to_str().unwrap().ends_with("-Data.db"));
    let old = folders.iter().find(|path| !held(path)).unwrap();
    let plan = bench.plan(&[]);
    assert!(names(&plan, "differs")[0].contains("table small.t: it was made anew since then"), "{plan:#}");
    bench.restore(&[]).expect(0);
    assert_eq!(bench.dump("small"), then);
    assert!(!held(old), "a folder that the schema does not know is left as it is");
    bench.restore(&["--undo"]).expect(0);
    assert_eq!(bench.dump("small"), now);

    // A snapshot of such a table is of the folder that the schema knows, and comes back whichever way.
    bench.backup();
    let copies = fs::read_dir(bench.machine.path("local/homestead")).unwrap().map(|entry| entry.unwrap().path());
    let taken = fs::read_dir(copies.max().unwrap().join("data/small")).unwrap().map(|entry| entry.unwrap().file_name());
    let taken: Vec<_> = taken.filter(|name| name.to_str().unwrap().starts_with("t-")).collect();
    let live = folders.iter().find(|path| *path != old).unwrap();
    assert_eq!(taken, [live.file_name().unwrap()]);
    bench.run(&["DELETE FROM small.t WHERE id = 9", "DROP TABLE small.u"]);
    bench.restore(&["--running"]).expect(0);
    assert_eq!(bench.dump("small"), now);
    assert_eq!(bench.server.folders_of("small", "t").len(), 2);
}

#[test]
fn what_the_node_lacks_is_made() {
    let bench = Bench::small(Version::V41);
    let then = bench.dump("small");
    bench.backup();
    bench.run(&["DROP TABLE small.u", "CREATE TABLE small.w (id int PRIMARY KEY, v text)", "INSERT INTO small.w (id, v) VALUES (1, 'w')"]);
    let plan = bench.plan(&[]);
    assert_eq!(
        (names(&plan, "makes"), names(&plan, "empties")),
        (vec!["table small.u".to_owned()], vec!["small.w".to_owned()]),
        "{plan:#}"
    );
    bench.restore(&[]).expect(0);
    let mut after = bench.dump("small");
    assert_eq!(after.pop().as_deref(), Some("table w"), "it is there, and empty");
    assert_eq!(after, then);

    bench.run(&["DROP KEYSPACE small"]);
    let run = bench.restore(&[]);
    run.expect(0);
    assert_eq!(bench.dump("small"), then, "{run:#?}");
}

#[test]
fn a_table_whose_files_could_not_be_read_is_refused() {
    let bench = Bench::small(Version::V50);
    bench.backup();
    bench.run(&["DROP TABLE small.t", "CREATE TABLE small.t (id int PRIMARY KEY, v int)", "INSERT INTO small.t (id, v) VALUES (1, 1)"]);
    let (now, pid) = (bench.dump("small"), bench.server.pid());
    let run = bench.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("the column `v` has the type int and had text") && run.stderr.contains("nothing was changed"), "{run:#?}");
    assert_eq!((bench.dump("small"), bench.server.pid()), (now, pid));
}

/// What makes the index of a small table, and what makes another one under its name.
const INDEXES: [&str; 2] = ["CREATE INDEX by_x ON small.x (a)", "CREATE INDEX by_x ON small.x (b)"];

const VIEW: &str = "CREATE MATERIALIZED VIEW small.w AS SELECT * FROM small.t WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)";

/// Makes a view, and makes the index anew on another column: both are refused until they are dropped, and the node goes on.
fn is_refused_until_dropped(bench: &Bench, arguments: &[&str]) {
    bench.run(&[VIEW, "DROP INDEX small.by_x", INDEXES[1]]);
    let (now, pid) = (bench.dump("small"), bench.server.pid());
    for (why, drop) in [("view small.w", "DROP MATERIALIZED VIEW small.w"), ("index small.by_x", "DROP INDEX small.by_x")] {
        for how in ["--dry-run", "--yes"] {
            let run = bench.machine.run(&[&["restore", "homestead", how], arguments].concat());
            run.expect(1);
            assert!(run.stderr.contains(why) && run.stderr.contains("drop it"), "{run:#?}");
        }
        assert_eq!(bench.server.pid(), pid);
        if why.starts_with("view") {
            assert_eq!(bench.dump("small"), now);
        }
        bench.run(&[drop]);
    }
}

#[test]
fn indexes_answer_for_the_rows_that_come_and_what_would_not_is_refused() {
    let bench = Bench::small(Version::V41);
    bench.run(&["CREATE TABLE small.x (id int PRIMARY KEY, a text, b text)", INDEXES[0]]);
    bench.run(&["INSERT INTO small.x (id, a, b) VALUES (1, 'one', 'two')"]);
    let then = bench.dump("small");
    bench.backup();
    bench.run(&["CREATE INDEX by_v ON small.t (v)", "INSERT INTO small.t (id, v) VALUES (3, 'since')"]);
    let built = "SELECT index_name FROM system.\"IndexInfo\" WHERE table_name = 'small' AND index_name = 'by_v'";
    until("the index is built", || bench.server.cql().lines(built).len() == 1);
    bench.server.nodetool(&["flush", "small"]);
    let asked = |v: &str| bench.server.cql().lines(&format!("SELECT id FROM small.t WHERE v = '{v}'"));
    assert_eq!(asked("since"), ["3"]);
    is_refused_until_dropped(&bench, &[]);
    bench.restore(&[]).expect(0);
    assert_eq!(bench.dump("small"), then);
    assert_eq!((asked("then"), asked("deleted since"), asked("since")), (vec!["1".into()], vec!["2".into()], Vec::<String>::new()));
    assert_eq!(bench.server.cql().lines("SELECT id FROM small.x WHERE a = 'one'"), ["1"], "the index is made as it was, and has its files");
    is_refused_until_dropped(&bench, &["--undo"]);
    bench.restore(&["--undo"]).expect(0);
    assert_eq!((asked("since"), asked("then")), (vec!["3".to_owned()], vec!["1".to_owned()]));
}
