//! A restore into a running Cassandra, and its undo, are killed once the node has done any one of the statements that change it: the next command
//! says so and settles it.

use crate::cassandra::configuration;
use crate::cassandra_restore_running::Case;
use crate::cassandra_restore_running_faults::{SINCE, is_settled, nothing_is_kept};
use crate::support::forward::Forward;
use crate::support::program::finish;
use crate::support::servers::cassandra::spec::Version;

/// A view, whose rows are made anew.
const VIEW: &str =
    "CREATE MATERIALIZED VIEW KEYSPACE.w AS SELECT * FROM KEYSPACE.t WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)";

/// Kills a command at every statement that changes the node, until it comes through, and looks what the next one makes of it. Gives the statements.
fn killed(case: &Case, arguments: &[&str], states: &[Vec<String>]) -> Vec<String> {
    let names: Vec<&str> = case.keyspaces.iter().map(String::as_str).collect();
    let honest = configuration(case.server, &case.source, &names);
    let forward = Forward::to(case.server.cql_address());
    let led = honest.replace(&format!("cql = \"{}\"", case.server.cql_address()), &format!("cql = \"{}\"", forward.address));
    assert_ne!(led, honest);
    let mut statements = Vec::new();
    loop {
        case.machine.configure_again(&led);
        let mut code = None;
        let start = || case.machine.start(&[arguments, &["--yes"]].concat());
        let struck = forward.kills(statements.len(), start, |child| code = finish(child).code);
        case.be_honest();
        let Some(statement) = struck else {
            assert_eq!(code, Some(0));
            return statements;
        };
        assert_eq!(code, None, "{statement}");
        is_settled(case, &format!("killed when this was done: {statement}"), states);
        statements.push(statement);
    }
}

fn count(statements: &[String], of: &str) -> usize {
    statements.iter().filter(|statement| statement.starts_with(of)).count()
}

/// With a table, another, and a view, and changed since its snapshot.
fn changed(version: Version) -> (Case, [Vec<String>; 2], String) {
    let case = Case::small(version, 1);
    case.run(&[VIEW]);
    case.backup();
    let (id, then) = (case.id(), case.dump(0));
    case.run(&SINCE);
    let now = case.dump(0);
    (case, [now, then], id)
}

fn all_were_met(statements: &[String]) {
    for (of, least) in [("TRUNCATE TABLE", 2), ("INSERT INTO system.built_views", 1), ("DELETE FROM system.", 1), ("DROP TYPE", 1)] {
        assert!(count(statements, of) >= least, "{of}: {statements:#?}");
    }
}

#[test]
fn a_restore_that_is_killed_once_a_statement_has_changed_the_node_is_settled_by_the_next_command() {
    let (case, states, id) = changed(Version::V50);
    all_were_met(&killed(&case, &["restore", &id, "--running"], &states));
    nothing_is_kept(&case);
}

#[test]
fn an_undo_that_is_killed_once_a_statement_has_changed_the_node_is_settled_by_the_next_command() {
    let (case, [now, then], id) = changed(Version::V41);
    case.machine.run(&["restore", &id, "--running", "--yes"]).expect(0);
    all_were_met(&killed(&case, &["restore", &case.source, "--undo"], &[then, now]));
    nothing_is_kept(&case);
}
