//! Foreign keys that a restore of databases could not turn, because somebody holds their table or the server does not make them: nothing is lost
//! by it, and nothing that they point to goes.

use serde_json::Value;

use crate::support::between::Between;
use crate::support::program::{Machine, Run};
use crate::support::restored::{Holder, beside, document};
use crate::support::servers::mariadb::MariaDb;

const RESTORE: [&str; 3] = ["restore", "ellis", "--yes"];
const UNDO: [&str; 4] = ["restore", "ellis", "--undo", "--yes"];

/// A source of two databases, `a` with parents and `b` with children of them, and a child `k` in a third one that is of no source.
struct Case<'a> {
    server: &'a MariaDb,
    machine: Machine,
    a: String,
    b: String,
    other: String,
}

impl<'a> Case<'a> {
    /// A machine with a snapshot of what was there before there was a third child.
    fn new(server: &'a MariaDb) -> Self {
        let [a, b, other] = [(); 3].map(|()| server.database());
        server.sql(&format!(
            "CREATE TABLE {a}.parent (id INT PRIMARY KEY); INSERT INTO {a}.parent VALUES (1), (2);
             CREATE TABLE {b}.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {a}.parent (id) ON DELETE CASCADE);
             INSERT INTO {b}.child VALUES (1, 1), (2, 2);
             CREATE TABLE {other}.k (id INT PRIMARY KEY, CONSTRAINT of_parent FOREIGN KEY (id) REFERENCES {a}.parent (id)); INSERT INTO {other}.k VALUES (1);"
        ));
        let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&a, &b]));
        machine.run(&["init"]).expect(0);
        machine.run(&["backup", "ellis"]).expect(0);
        server.sql(&format!("INSERT INTO {a}.parent VALUES (3); INSERT INTO {b}.child VALUES (3, 3)"));
        Self { server, machine, a, b, other }
    }

    /// A restore, since whose exchange somebody holds the child in the third database.
    fn restored_while_held(&self) -> (Run, Holder<'a>) {
        let Self { server, machine, a, b, other } = self;
        let configuration = server.configuration("ellis", &[a, b]);
        let holder = std::sync::Mutex::new(None);
        let hold = || *holder.lock().unwrap() = Some(Holder::by(server, other, &format!("SELECT * FROM {other}.k")));
        let between = Between::start(&server.socket, &machine.path("between"), "RENAME TABLE", &hold);
        machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
        let run = std::thread::scope(|scope| between.serve(scope, || machine.run(&RESTORE)));
        machine.configure_again(&configuration);
        assert!(run.expect(3).stderr.contains(&format!("does not point to `{a}`.`parent` yet: `of_parent` of `{other}`.`k`")), "{run:#?}");
        (run, holder.into_inner().unwrap().unwrap())
    }

    /// Into which database the foreign key of a table points.
    fn points_into(&self, database: &str, table: &str) -> String {
        self.server.ask(
            None,
            &format!(
                "SELECT referenced_table_schema FROM information_schema.KEY_COLUMN_USAGE WHERE table_schema = '{database}' AND \
                 table_name = '{table}' AND referenced_table_name = 'parent'"
            ),
        )
    }

    fn ids(&self, table: &str) -> String {
        self.server.ask(None, &format!("SELECT GROUP_CONCAT(id ORDER BY id) FROM {table}"))
    }

    /// `status` finds nothing wrong with the source; the other one of the machine has no snapshot.
    fn is_well(&self) {
        let said = self.machine.run(&["status"]).said();
        assert!(said.lines().any(|line| line.starts_with("ellis ") && line.ends_with("well")), "{said}");
    }

    /// What `status` says of the source, which is wrong, and of the node, which is not.
    fn told_by_status(&self) -> String {
        let status = self.machine.json(&["status"], 7);
        assert_eq!(status["wrong"], Value::Array(Vec::new()), "{status:#}");
        let said = self.machine.run(&["status"]);
        assert!(said.expect(7).stdout.lines().any(|line| line.starts_with("ellis ") && line.ends_with("wrong")), "{said:#?}");
        let source = status["sources"].as_array().unwrap().iter().find(|source| source["source"] == "ellis").unwrap();
        source["wrong"].to_string()
    }
}

#[test]
fn what_lies_aside_of_several_databases_stays_as_it_was_while_a_key_is_owed_and_what_it_points_to_stays() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let Case { machine, a, b, other, .. } = &case;
    let (_, holder) = case.restored_while_held();
    let aside = beside(server, a).remove(0);
    let told = format!("does not point to `{a}`.`parent` yet");
    assert!(case.told_by_status().contains(&told));
    // It is tried again; what lies aside is nothing to that.
    assert!(machine.run(&["snapshot", "ellis"]).expect(0).stderr.contains(&told));
    assert_eq!((case.points_into(&beside(server, b).remove(0), "child"), case.points_into(other, "k")), (aside.clone(), aside));
    server.sql(&format!("DELETE FROM {a}.parent WHERE id = 2"));
    assert_eq!(case.ids(&format!("{b}.child")), "1");
    // It goes back to where its parent comes to be live again.
    machine.run(&UNDO).expect(0);
    assert_eq!((case.ids(&format!("{a}.parent")), case.ids(&format!("{b}.child"))), ("1,2,3".into(), "1,2,3".into()));
    assert!(!document(machine, "leftovers.json").exists());
    case.is_well();
    holder.lets_go();

    // Another restore leaves alone what the key still points to.
    let (_, holder) = case.restored_while_held();
    let aside = case.points_into(other, "k");
    let again = machine.json(&RESTORE, 3);
    assert!(again["outcome"]["owed"][0].as_str().unwrap().contains("`of_parent`"), "{again:#}");
    assert!(beside(server, a).contains(&aside) && beside(server, a).len() == 2, "{again:#}");
    server.sql(&format!("INSERT INTO {other}.k VALUES (2)"));
    assert!(case.told_by_status().contains(&format!("`{aside}` is needed no more")));
    holder.lets_go();
    // One that is gone altogether is not forgotten: it is told once more, and made then.
    server.sql(&format!("ALTER TABLE {other}.k DROP FOREIGN KEY of_parent"));
    let next = machine.run(&["snapshot", "ellis"]);
    assert!(next.expect(0).stderr.contains("could not be made again: `of_parent` of"), "{next:#?}");
    assert!(!beside(server, a).contains(&aside), "{next:#?}");
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(case.points_into(other, "k"), *a);
    assert!(!document(machine, "leftovers.json").exists());
    machine.run(&UNDO).expect(0);
    assert_eq!(case.points_into(other, "k"), *a);
    case.is_well();
}

#[test]
fn a_child_in_another_database_that_the_server_does_not_make_takes_nothing_back_and_the_told_statement_turns_it() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let Case { machine, a, other, .. } = &case;
    server.sql(&format!(
        "ALTER TABLE {a}.parent ADD extra INT, ADD KEY (extra);
         CREATE TABLE {other}.l (id INT, CONSTRAINT of_extra FOREIGN KEY (id) REFERENCES {a}.parent (extra))"
    ));
    let restored = machine.json(&RESTORE, 3);
    let statement = restored["outcome"]["owed"][0].as_str().unwrap();
    assert!(statement.contains("`of_extra`"), "{restored:#}");
    assert_eq!(case.ids(&format!("{a}.parent")), "1,2");
    assert_eq!((case.points_into(other, "k"), case.points_into(other, "l")), (a.clone(), beside(server, a).remove(0)));
    // As long as the server does not make it, the statement takes the old one from nobody; and rows without a parent are in nobody's way.
    let run = || server.client().args(["-e", statement]).output().unwrap();
    assert!(!run().status.success());
    server.sql(&format!("SET foreign_key_checks = 0; INSERT INTO {other}.l VALUES (4711)"));
    assert_eq!(case.points_into(other, "l"), beside(server, a).remove(0));
    server.sql(&format!("ALTER TABLE {a}.parent ADD extra INT, ADD KEY (extra)"));
    assert!(run().status.success(), "{statement}");
    assert_eq!(case.points_into(other, "l"), *a);
    let next = machine.run(&["snapshot", "ellis"]);
    assert!(!next.expect(0).stderr.contains("tries again"), "{next:#?}");
    assert!(!document(machine, "leftovers.json").exists());
}

#[test]
fn an_undo_that_puts_right_what_was_owed_leaves_nothing_that_status_tells() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let Case { machine, a, b, other, .. } = &case;
    case.is_well();
    // What the server does not make.
    server.sql(&format!(
        "ALTER TABLE {a}.parent ADD extra INT, ADD KEY (extra);
         CREATE TABLE {other}.l (id INT, CONSTRAINT of_extra FOREIGN KEY (id) REFERENCES {a}.parent (extra))"
    ));
    machine.run(&RESTORE).expect(3);
    assert_ne!(case.told_by_status(), "[]");
    machine.run(&UNDO).expect(0);
    assert_eq!(case.points_into(other, "l"), *a);
    assert!(!document(machine, "leftovers.json").exists());
    case.is_well();
    server.sql(&format!("DROP TABLE {other}.l"));

    // What somebody holds: a child of a third database, and the parent of what was set aside alone.
    let (_, holder) = case.restored_while_held();
    assert_ne!(case.told_by_status(), "[]");
    machine.run(&UNDO).expect(0);
    case.is_well();
    holder.lets_go();
    let configuration = server.configuration("ellis", &[a, b]);
    let holder = std::sync::Mutex::new(None);
    let hold = || *holder.lock().unwrap() = Some(Holder::by(server, a, &format!("INSERT INTO {a}.parent (id) VALUES (77)")));
    let between = Between::start(&server.socket, &machine.path("between"), "RENAME TABLE", &hold);
    machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    let part = ["restore", "ellis", "--database", b, "--yes"];
    let run = std::thread::scope(|scope| between.serve(scope, || machine.run(&part)));
    machine.configure_again(&configuration);
    assert!(run.expect(3).stderr.contains("what lies aside still has a foreign key"), "{run:#?}");
    assert_ne!(case.told_by_status(), "[]");
    holder.into_inner().unwrap().unwrap().lets_go();
    machine.run(&UNDO).expect(0);
    case.is_well();
    assert_eq!(case.points_into(b, "child"), *a);
}
