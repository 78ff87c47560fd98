//! A schema that changes while a snapshot of a Cassandra node is taken.

use std::fs;
use std::thread;

use crate::cassandra::configuration;
use crate::cassandra_restore_running::Case;
use crate::support::program::until;
use crate::support::servers::cassandra::spec::Version;

#[test]
fn a_column_that_comes_between_the_look_and_the_snapshot_is_in_the_statements_of_the_copy() {
    let case = Case::small(Version::V50, 1);
    let (asked, altered) = (case.machine.path("asked"), case.machine.path("altered"));
    let wait = format!("[ -e {0} ] || {{ touch {0}; until [ -e {1} ]; do sleep 0.05; done; }}", asked.display(), altered.display());
    case.act("*\" snapshot \"*", &wait);
    let run = thread::scope(|scope| {
        let run = scope.spawn(|| case.machine.run(&["snapshot", &case.source]));
        until("the node is asked for a snapshot", || asked.exists());
        case.run(&["ALTER TABLE KEYSPACE.t ADD later text", "INSERT INTO KEYSPACE.t (id, v, later) VALUES (9, 'since', 'a column')"]);
        fs::write(&altered, "").unwrap();
        run.join().unwrap()
    });
    run.expect(0);
    let copies = fs::read_dir(case.machine.path("local").join(&case.source)).unwrap().map(|entry| entry.unwrap().path());
    let statements = fs::read_to_string(copies.max().unwrap().join("data").join(&case.keyspaces[0]).join("schema.cql")).unwrap();
    assert!(statements.contains("later text"), "{statements}");
    let told = format!("a definition of the keyspace {} was changed", case.keyspaces[0]);
    assert!(run.stderr.contains(&told) && run.stderr.contains("it is taken once more"), "{run:#?}");
    case.keeps_nothing();
}

#[test]
fn what_a_killed_run_has_left_goes_also_where_the_keyspace_was_dropped_since() {
    let case = Case::small(Version::V41, 2);
    case.act("*\" snapshot \"*", "\"$(sed -n 's/^exec \\([^ ]*\\) .*/\\1/p' \"$0\")\" \"$@\"; kill -KILL $PPID; exit");
    assert_eq!(case.machine.run(&["snapshot", &case.source]).code, None, "it is killed");
    let left = |keyspace: &str| {
        let folders = case.server.folders_of(keyspace, "t").into_iter().filter_map(|folder| fs::read_dir(folder.join("snapshots")).ok());
        let names = folders.flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("20")).collect::<Vec<String>>()
    };
    assert_eq!([left(&case.keyspaces[0]).len(), left(&case.keyspaces[1]).len()], [1, 1]);
    case.run_in(1, &[&format!("DROP KEYSPACE \"{}\"", case.keyspaces[1])]);
    case.machine.configure_again(&configuration(case.server, &case.source, &[&case.keyspaces[0]]));
    case.machine.run(&["snapshot", &case.source]).expect(0);
    assert_eq!([left(&case.keyspaces[0]), left(&case.keyspaces[1])], [Vec::<String>::new(), Vec::new()]);
}
