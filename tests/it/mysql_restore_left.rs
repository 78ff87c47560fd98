//! What a restore of databases leaves beside them: that it cannot be removed stops no snapshot, it is removed on its own server alone, and an
//! undo that meets what was broken off says what became of that.

use crate::support::restored::{CONTENT, Holder, beside, filled, grow_old, killed_by, prepared, snapshotted, warned};
use crate::support::servers::mariadb::MariaDb;

#[test]
fn an_undo_that_the_account_may_not_remove_stops_no_snapshot_and_goes_when_it_may() {
    let server = MariaDb::running();
    let base = filled(server);
    let rights =
        format!("GRANT ALL ON *.* TO ACCOUNT; GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT");
    let account = server.account("BY SECRET", &rights);
    let folder = tempfile::tempdir().unwrap();
    let machine = snapshotted(&server.over_tcp("ellis", &[&base], &account, folder.path()));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    server.sql(&format!("REVOKE DROP ON *.* FROM {account}; REVOKE DROP ON `{base}\\_windlass\\_%`.* FROM {account}"));
    grow_old(&machine);
    for _ in 0..2 {
        warned(&machine.run(&["snapshot", "ellis"]), &["warning", &aside, "has no right to it", "is tried again", "DROP DATABASE"]);
        assert_eq!(beside(server, &base), [aside.as_str()]);
    }
    server.sql(&format!("GRANT ALL ON `{base}\\_windlass\\_%`.* TO {account}"));
    let last = machine.run(&["snapshot", "ellis"]);
    assert!(!last.expect(0).stderr.contains(&aside), "{last:#?}");
    assert_eq!(beside(server, &base), Vec::<String>::new(), "{last:#?}");
}

#[test]
fn an_undo_that_somebody_holds_stops_no_snapshot_and_goes_when_it_is_free() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    let holder = Holder::of(server, &aside);
    grow_old(&machine);
    warned(&machine.run(&["snapshot", "ellis"]), &["warning", &aside, "Lock wait timeout", "is tried again"]);
    assert_eq!(beside(server, &base), [aside]);
    holder.lets_go();
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(beside(server, &base), Vec::<String>::new());
}

#[test]
fn a_server_that_dies_under_a_load_and_comes_back_keeps_no_restore_from_going_well() {
    let server = MariaDb::service(&[]);
    let (base, machine) = prepared(&server);
    // The server goes away under the client, and is not back when what was loaded is to be removed.
    let pid = server.ask(None, "SELECT @@global.pid_file");
    let kills = machine.client(&format!("kill -KILL $(cat {pid}); exit 7"));
    machine.configure_again(&format!("{}{kills}", server.configuration("ellis", &[&base])));
    machine.run(&["restore", "ellis", "--yes"]).expect(1);
    server.wait();
    machine.configure_again(&server.configuration("ellis", &[&base]));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(beside(&server, &base).len(), 1, "the undo alone");
}

#[test]
fn what_is_left_is_removed_and_put_back_on_its_own_server_alone() {
    let (server, other) = (MariaDb::running(), MariaDb::start(&[]));
    let (base, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    // As on a server that was copied from the first one, and whose undo is of use to another node.
    for name in [&base, &aside] {
        other.sql(&format!("CREATE DATABASE {name}; USE {name}; {CONTENT} INSERT INTO t VALUES (4711)"));
    }
    machine.configure_again(&other.configuration("ellis", &[&base]));
    let refused = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    assert!(refused.expect(1).stderr.contains("set aside on the server"), "{refused:#?}");
    grow_old(&machine);
    warned(&machine.run(&["snapshot", "ellis"]), &["warning", &aside, "on the server", "leftovers.json"]);
    assert_eq!(other.ask(Some(&aside), "SELECT MAX(id) FROM t"), "4711");
    machine.configure_again(&server.configuration("ellis", &[&base]));
    grow_old(&machine);
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(beside(server, &base), Vec::<String>::new());
}

#[test]
fn an_undo_that_meets_a_broken_off_look_or_undo_says_what_it_settled_and_what_it_did_not_do() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let rows = || server.ask(Some(&base), "SELECT COUNT(*) FROM t");
    let undo = ["restore", "ellis", "--undo", "--yes"];
    let again = "run it again to undo";

    let look = server.name();
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--as", &look, "--yes"]);
    assert_eq!(beside(server, &look).len(), 1);
    let settled = machine.run(&undo);
    assert!(settled.expect(3).said().contains(again), "{settled:#?}");
    assert!(settled.said().contains("under another name") && !settled.said().contains("as it was before"), "{settled:#?}");
    assert_eq!((rows().as_str(), beside(server, &look).len()), ("1", 0));

    killed_by(&machine, &configuration, "dump", &undo);
    let settled = machine.run(&undo);
    assert!(settled.expect(3).said().contains(again), "{settled:#?}");
    assert!(!settled.said().contains("as it was before the restore") && !settled.stderr.contains("loaded"), "{settled:#?}");
    assert_eq!(rows(), "1");

    // Its tables have moved: it is finished, and not undone in turn.
    killed_by(&machine, &configuration, "client", &undo);
    let document = machine.json(&undo, 0);
    assert_eq!((document["settled"]["work"].as_str(), document["settled"]["outcome"].as_str()), (Some("undo"), Some("finished")));
    assert_eq!(rows(), "2");
    machine.run(&undo).expect(0);
    assert_eq!(rows(), "1");

    // A restore that had not come through: nothing of it is left, and the undo of the one before is another matter.
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--yes"]);
    let settled = machine.run(&undo);
    assert!(settled.expect(0).said().contains("as it was before the restore that was broken off"), "{settled:#?}");
    assert!(settled.said().contains("undo the restore before it"), "{settled:#?}");
    assert_eq!(rows(), "1");
    machine.run(&undo).expect(0);
    assert_eq!(rows(), "2");
}
