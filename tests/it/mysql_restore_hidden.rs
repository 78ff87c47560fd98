//! Foreign keys of tables that the account does not see: they go along with the table that they refer to when it is set aside, and it is not removed
//! from under them.

use crate::support::program::Machine;
use crate::support::restored::{beside, warned};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

const RESTORE: [&str; 3] = ["restore", "ellis", "--yes"];

/// Parents, one of a name that no file has as it is, and their children in a database of somebody else.
const FAMILY: &str = "
CREATE TABLE BASE.p (id INT PRIMARY KEY); INSERT INTO BASE.p VALUES (1);
CREATE TABLE BASE.`q é/$.` (id INT PRIMARY KEY); INSERT INTO BASE.`q é/$.` VALUES (1);
CREATE TABLE BASE.own (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES BASE.p (id)); INSERT INTO BASE.own VALUES (1);
CREATE TABLE OTHER.`c Ü-1` (id INT PRIMARY KEY, CONSTRAINT of_p FOREIGN KEY (id) REFERENCES BASE.p (id));
CREATE TABLE OTHER.d (id INT PRIMARY KEY, CONSTRAINT of_q FOREIGN KEY (id) REFERENCES BASE.`q é/$.` (id));
INSERT INTO OTHER.`c Ü-1` VALUES (1); INSERT INTO OTHER.d VALUES (1);
";

struct Case<'a> {
    server: &'a MariaDb,
    machine: Machine,
    base: String,
    other: String,
    account: String,
}

impl<'a> Case<'a> {
    /// A machine with a snapshot of the parents, by an account that sees nothing of their children.
    fn new(server: &'a MariaDb, ca: bool, right: &str) -> Self {
        let (base, other) = (server.database(), server.database());
        server.sql(&FAMILY.replace("BASE", &base).replace("OTHER", &other));
        let rights = format!("GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; {right} TO ACCOUNT");
        let account = server.account("BY SECRET", &rights);
        let machine = Machine::in_memory();
        let mut configuration = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
        if ca {
            configuration += &format!("ca_file = \"{}\"\n", server.ca_file.display());
        }
        let machine = machine.configured(&configuration);
        machine.run(&["init"]).expect(0);
        machine.run(&["snapshot", "ellis"]).expect(0);
        Self { server, machine, base, other, account }
    }

    /// Every child has its parent, wherever that is.
    fn no_child_is_alone(&self) {
        for child in ["c Ü-1", "d"] {
            let refused = self.server.client().args(["-e", &format!("INSERT INTO {}.`{child}` VALUES (2)", self.other)]).output().unwrap();
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(said.contains("a foreign key constraint fails"), "{child}: {said}");
            // And one that gets a parent there may come.
            let (parents, parent) = (self.parents_of(child), if child == "d" { "`q é/$.`" } else { "p" });
            self.server.sql(&format!(
                "INSERT INTO {parents}.{parent} VALUES (3); INSERT INTO {0}.`{child}` VALUES (3); DELETE FROM {0}.`{child}` WHERE id = 3; \
                 DELETE FROM {parents}.{parent} WHERE id = 3",
                self.other
            ));
        }
    }

    /// The database that a child refers to.
    fn parents_of(&self, child: &str) -> String {
        let sql = format!(
            "SELECT referenced_table_schema FROM information_schema.KEY_COLUMN_USAGE WHERE table_schema = '{}' AND table_name = '{child}' AND \
             referenced_table_name IS NOT NULL",
            self.other
        );
        self.server.ask(None, &sql)
    }

    /// As somebody does who has been told.
    fn keys_are_turned(&self) {
        let (base, other) = (&self.base, &self.other);
        self.server.sql(&format!(
            "ALTER TABLE {other}.`c Ü-1` DROP FOREIGN KEY of_p, ADD CONSTRAINT to_p FOREIGN KEY (id) REFERENCES {base}.p (id); \
             ALTER TABLE {other}.d DROP FOREIGN KEY of_q, ADD CONSTRAINT to_q FOREIGN KEY (id) REFERENCES {base}.`q é/$.` (id)"
        ));
    }
}

/// To an account with PROCESS they are named before and after, and nothing is removed from under them.
fn hidden_children_are_named(server: &MariaDb, ca: bool, right: &str) {
    let case = Case::new(server, ca, right);
    let (base, other, account) = (&case.base, &case.other, &case.account);
    let keys = [format!("`of_p` of `{other}`.`c Ü-1`"), format!("`of_q` of `{other}`.`d`")];
    server.sql(&format!("GRANT PROCESS ON *.* TO {account}"));
    let plan = case.machine.run(&["restore", "ellis", "--dry-run"]);
    assert!(keys.iter().all(|key| plan.expect(0).said().contains(key)), "{plan:#?}");
    let restored = case.machine.run(&RESTORE);
    assert!(keys.iter().all(|key| restored.expect(0).said().contains(key)), "{restored:#?}");
    let aside = beside(server, base).remove(0);
    for _ in 0..2 {
        let again = case.machine.run(&RESTORE);
        warned(&again, &[&format!("`{aside}` is needed no more, and stays"), &keys[0], &keys[1]]);
        let tables = server.ask(None, &format!("SHOW TABLES IN {aside}"));
        assert_eq!(tables.lines().count(), 3, "nothing of it is gone: {tables} {again:#?}");
        case.no_child_is_alone();
    }
    assert!(case.machine.run(&["status"]).expect(7).said().contains(&aside));
    case.keys_are_turned();
    case.machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(beside(server, base).len(), 1, "the last undo alone");
    assert!(!case.machine.run(&["status"]).said().contains(&aside));
}

/// To one without, or where no server tells how files are named, the server says that something refers to a parent, and that stays.
fn what_hidden_children_refer_to_stays(server: &MariaDb, ca: bool, right: &str) {
    let case = Case::new(server, ca, right);
    let base = &case.base;
    case.machine.run(&RESTORE).expect(0);
    let aside = beside(server, base).remove(0);
    let again = case.machine.run(&RESTORE);
    warned(&again, &[&format!("`{aside}` is needed no more")]);
    // MySQL 8.0.31 names them to such an account too.
    let is_named = again.stderr.contains("`of_p` of `");
    assert!(is_named || again.stderr.contains("which this account does not see"), "{again:#?}");
    case.no_child_is_alone();
    case.keys_are_turned();
    case.machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(beside(server, base).len(), 1, "the last undo alone");
    case.no_child_is_alone();
}

#[test]
fn a_parent_of_children_that_the_account_does_not_see_stays_on_mariadb_10_11() {
    hidden_children_are_named(MariaDb::running(), true, "GRANT SELECT ON mysql.proc");
    what_hidden_children_refer_to_stays(MariaDb::running(), true, "GRANT SELECT ON mysql.proc");
}

#[test]
fn a_parent_of_children_that_the_account_does_not_see_stays_on_mariadb_11_4() {
    hidden_children_are_named(Make::Mariadb114.running(), true, Make::Mariadb114.right_to_see_routines());
    what_hidden_children_refer_to_stays(Make::Mariadb114.running(), true, Make::Mariadb114.right_to_see_routines());
}

#[test]
fn a_parent_of_children_that_the_account_does_not_see_stays_on_mariadb_10_2() {
    hidden_children_are_named(Make::Mariadb102.running(), false, Make::Mariadb102.right_to_see_routines());
    what_hidden_children_refer_to_stays(Make::Mariadb102.running(), false, Make::Mariadb102.right_to_see_routines());
}

#[test]
fn a_parent_of_children_that_the_account_does_not_see_stays_on_mysql_8_0() {
    hidden_children_are_named(Make::Mysql80.running(), true, Make::Mysql80.right_to_see_routines());
    what_hidden_children_refer_to_stays(Make::Mysql80.running(), true, Make::Mysql80.right_to_see_routines());
}

#[test]
fn a_parent_of_children_that_the_account_does_not_see_stays_on_mysql_5_7() {
    let right = Make::Mysql57.right_to_see_routines();
    // PROCESS helps nothing there.
    for right in [right.to_owned(), format!("GRANT PROCESS ON *.* TO ACCOUNT; {right}")] {
        what_hidden_children_refer_to_stays(Make::Mysql57.running(), false, &right);
    }
}
