//! A Cassandra node that runs holds a snapshot again: all of it, one keyspace, one table, beside the live one, or merged into it; row by row what
//! it was, and what was there instead comes back by an undo.

use std::fs;

use serde_json::Value;

use crate::cassandra::configuration;
use crate::support::program::{Machine, Run, text, until};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::Version;

/// Keyspaces of the test's own on a server that runs and is not stopped, and a machine that backs them up.
pub struct Case {
    pub server: &'static Cassandra,
    pub keyspaces: Vec<String>,
    pub machine: Machine,
    /// The name of the source, which no other test of the same server uses: what is put together lies in a folder of this name.
    pub source: String,
}

/// What a keyspace holds, what makes it, and what it answers.
type Picture = (Vec<String>, Vec<String>, Vec<String>);

impl Case {
    /// With a keyspace that has everything in it.
    pub fn filled(version: Version) -> Self {
        let case = Self::new(version, 1);
        case.server.fill(&case.keyspaces[0]);
        case.backup();
        case
    }

    /// With keyspaces of two small tables each.
    pub fn small(version: Version, keyspaces: usize) -> Self {
        let case = Self::new(version, keyspaces);
        case.fill_small();
        case.backup();
        case
    }

    pub fn fill_small(&self) {
        for at in 0..self.keyspaces.len() {
            self.run_in(
                at,
                &[
                    "CREATE KEYSPACE KEYSPACE WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
                    "CREATE TABLE KEYSPACE.t (id int PRIMARY KEY, v text)",
                    "CREATE TABLE KEYSPACE.u (id int PRIMARY KEY, v text)",
                    "INSERT INTO KEYSPACE.t (id, v) VALUES (1, 'then')",
                    "INSERT INTO KEYSPACE.t (id, v) VALUES (2, 'deleted since')",
                    "INSERT INTO KEYSPACE.u (id, v) VALUES (1, 'then')",
                ],
            );
        }
    }

    fn new(version: Version, keyspaces: usize) -> Self {
        Self::on(Cassandra::running(version), keyspaces)
    }

    pub fn on(server: &'static Cassandra, keyspaces: usize) -> Self {
        let keyspaces: Vec<String> = (0..keyspaces).map(|_| format!("Back_{}", server.name())).collect();
        let names: Vec<&str> = keyspaces.iter().map(String::as_str).collect();
        let source = keyspaces[0].to_lowercase();
        let machine = Machine::new().configured(&configuration(server, &source, &names));
        machine.run(&["init"]).expect(0);
        Self { server, keyspaces, machine, source }
    }

    pub fn run_in(&self, at: usize, statements: &[&str]) {
        let cql = self.server.cql();
        for statement in statements {
            let name = quoted(&self.keyspaces[at]);
            cql.run(&statement.replace("KEYSPACE KEYSPACE", &format!("KEYSPACE {name}")).replace("KEYSPACE.", &format!("{name}.")));
        }
    }

    pub fn run(&self, statements: &[&str]) {
        self.run_in(0, statements);
    }

    pub fn backup(&self) {
        self.machine.run(&["backup", &self.source]).expect(0);
    }

    pub fn restore(&self, more: &[&str]) -> Run {
        self.machine.run(&[&["restore", &self.source, "--yes"], more].concat())
    }

    pub fn undo(&self) -> Run {
        self.machine.run(&["restore", &self.source, "--undo", "--yes"])
    }

    pub fn plan(&self, more: &[&str]) -> Value {
        self.machine.json(&[&["restore", &self.source, "--dry-run"], more].concat(), 0)["plan"].clone()
    }

    pub fn dump(&self, at: usize) -> Vec<String> {
        self.server.cql().dump(&self.keyspaces[at])
    }

    pub fn rows(&self, table: &str) -> Vec<String> {
        self.server.cql().dump_table(&self.keyspaces[0], table)
    }

    fn picture(&self) -> Picture {
        let (cql, name) = (self.server.cql(), &self.keyspaces[0]);
        (cql.dump(name), cql.described(name), self.server.answers_of(name))
    }

    /// The name of a table for the command line.
    pub fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.keyspaces[0])
    }

    /// The folders of ours in the data directories, by their names.
    pub fn ours(&self) -> Vec<String> {
        let mut found = Vec::new();
        for data in self.server.spec.directories(&self.server.home) {
            for entry in fs::read_dir(data.join(".windlass/backups").join(&self.source)).into_iter().flatten() {
                found.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        found.sort();
        found
    }

    /// The node keeps no snapshot of ours, only those that TRUNCATE and DROP leave.
    pub fn keeps_nothing(&self) {
        assert_eq!(self.keeps(), Vec::<String>::new());
    }

    /// The snapshots that the node keeps of the keyspace besides those that TRUNCATE and DROP leave.
    pub fn keeps(&self) -> Vec<String> {
        let listed = self.server.nodetool(&["listsnapshots"]);
        let is_ours = |line: &&str| line.contains(&self.keyspaces[0]) && !line.starts_with("truncated-") && !line.starts_with("dropped-");
        listed.lines().filter(is_ours).map(str::to_owned).collect()
    }
}

/// What a test does to a keyspace with everything in it: rows go, rows come, tables are emptied.
const CHANGES: [&str; 10] = [
    "DELETE FROM KEYSPACE.users WHERE id = 1",
    "INSERT INTO KEYSPACE.users (id, email, city, score, tags) VALUES (99, 'late@example.com', 'Bath', 1, {'role': 'guest'})",
    "UPDATE KEYSPACE.users SET city = 'Wells', email = 'other@example.com' WHERE id = 2",
    "TRUNCATE KEYSPACE.scalars",
    "INSERT INTO KEYSPACE.empty (id, v) VALUES (1, 'was empty')",
    "UPDATE KEYSPACE.counters SET hits = hits + 100 WHERE id = 'a' AND day = '2026-01-01'",
    "DELETE FROM KEYSPACE.wide WHERE p = 'one'",
    "UPDATE KEYSPACE.collections SET l = [], m['new'] = 7, home.number = 1 WHERE id = 1",
    "INSERT INTO KEYSPACE.impi (private_id, digest_ha1) VALUES ('late@example.com', 'ha')",
    "DELETE FROM KEYSPACE.expiring WHERE id = 2",
];

fn everything_comes_back(version: Version) {
    let case = Case::filled(version);
    let then = case.picture();
    case.run(&CHANGES);
    if version == Version::V50 {
        case.run(&["DELETE FROM KEYSPACE.things WHERE id = 1", "INSERT INTO KEYSPACE.things (id, name, price) VALUES (9, 'anchor', 9)"]);
    }
    let now = case.picture();
    assert_ne!(then.0, now.0);
    assert_ne!(then.2, now.2);

    let plan = case.plan(&["--running"]);
    assert_eq!(plan["estimate_seconds"], 21, "nothing was measured yet: {plan:#}");
    assert_eq!(text(&plan["node"]["way"]), "running");
    assert!(plan["warnings"].to_string().contains("truncated-"), "{plan}");
    assert_eq!(case.picture(), now, "a plan changes nothing");

    case.restore(&["--running"]).expect(0);
    assert_eq!(case.picture(), then);
    case.keeps_nothing();
    let ours = case.ours();
    assert!(ours.len() == 1 && ours[0].starts_with("aside-"), "{ours:?}");
    let listed = case.machine.json(&["list"], 0);
    assert_eq!(listed["undo"].as_array().unwrap().len(), 1, "{listed}");

    case.undo().expect(0);
    assert_eq!(case.picture(), now);
    assert_eq!(case.ours().len(), 1);
    if version == Version::V41 {
        case.undo().expect(0);
        assert_eq!(case.picture(), then);
        assert_eq!(case.ours().len(), 1);
    }
    case.keeps_nothing();
}

#[test]
fn everything_of_4_1_comes_back_into_a_node_that_runs() {
    everything_comes_back(Version::V41);
}

#[test]
fn everything_of_5_0_comes_back_into_a_node_that_runs() {
    everything_comes_back(Version::V50);
}

#[test]
fn one_table_of_4_1_comes_back_with_its_views_and_indexes_and_others_stay() {
    one_table_comes_back(Version::V41);
}

#[test]
fn one_table_of_5_0_comes_back_with_its_views_and_indexes_and_others_stay() {
    one_table_comes_back(Version::V50);
}

fn one_table_comes_back(version: Version) {
    let case = Case::filled(version);
    let (users, by_email, answers) = (case.rows("users"), case.rows("users_by_email"), case.server.answers_of(&case.keyspaces[0]));
    case.run(&CHANGES);
    let others: Vec<String> = ["scalars", "wide", "impi", "empty"].iter().flat_map(|table| case.rows(table)).collect();
    assert_ne!(case.rows("users"), users);
    let warned = |table: &str| case.plan(&["--table", &case.table(table)])["warnings"].to_string();
    let view = format!("until that is done rows are lacking in them: {}", case.table("users_by_email"));
    assert!(warned("users").contains(&view) && !warned("wide").contains("views anew"), "{}", warned("users"));
    case.restore(&["--table", &case.table("users")]).expect(0);
    assert_eq!((case.rows("users"), case.rows("users_by_email")), (users, by_email));
    assert_eq!(case.server.answers_of(&case.keyspaces[0])[..6], answers[..6]);
    assert_eq!(["scalars", "wide", "impi", "empty"].iter().flat_map(|table| case.rows(table)).collect::<Vec<_>>(), others);
}

#[test]
fn a_table_of_4_1_comes_back_beside_the_live_one_under_another_name() {
    comes_back_beside(Version::V41, &["wide", "dropped", "impi", "counters", "collections", "MixedCase"]);
}

#[test]
fn a_table_of_5_0_comes_back_beside_the_live_one_under_another_name() {
    comes_back_beside(Version::V50, &["users", "things", "impi", "dropped"]);
}

fn comes_back_beside(version: Version, tables: &[&str]) {
    let case = Case::filled(version);
    let then: Vec<Vec<String>> = tables.iter().map(|table| case.rows(table)).collect();
    case.run(&CHANGES);
    let now = case.dump(0);
    for (table, then) in tables.iter().zip(&then) {
        let (of, name) = (case.table(table), format!("Then_{table}"));
        let plan = case.plan(&["--table", &of, "--as", &name]);
        assert!(plan["aside"].is_null() && text(&plan["target"]).contains("a new table"), "{plan}");
        case.restore(&["--table", &of, "--as", &name]).expect(0);
        assert_eq!(case.rows(&name), *then, "{table}");
        let again = case.restore(&["--table", &of, "--as", &name]);
        again.expect(1);
        assert!(again.said().contains("already"), "{}", again.said());
        case.run(&[&format!("DROP TABLE KEYSPACE.{}", quoted(&name))]);
    }
    assert_eq!(case.dump(0), now);
    case.undo().expect(6);
    assert_eq!(case.ours(), Vec::<String>::new());
    for (arguments, code, why) in [
        (vec!["--as", "x"], 2, "--as is for one table"),
        (vec!["--database", "x", "--table", "y.z"], 2, "are of two keyspaces"),
        (vec!["--table", "..", "--as", "x"], 6, "the snapshot has no keyspace ``"),
        (vec!["--table", "users", "--as", "../x"], 2, "is no name of a table"),
        (vec!["--table", "users", "--as", "x", "--merge"], 2, "leave one of them out"),
    ] {
        let run = case.restore(&arguments);
        run.expect(code);
        assert!(run.said().contains(why), "{arguments:?}: {}", run.said());
    }
    assert_eq!(case.dump(0), now);
}

#[test]
fn a_keyspace_of_4_1_that_was_dropped_comes_back_with_its_ids_and_others_stay() {
    a_keyspace_comes_back(Version::V41);
}

#[test]
fn a_keyspace_of_5_0_that_was_dropped_comes_back_with_its_ids_and_others_stay() {
    a_keyspace_comes_back(Version::V50);
}

fn a_keyspace_comes_back(version: Version) {
    let case = Case::small(version, 2);
    let ids = |at: usize| {
        let name = &case.keyspaces[at];
        case.server.cql().lines(&format!("SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = '{name}'"))
    };
    let (then, then_ids) = (case.dump(0), ids(0));
    case.run(&["DROP KEYSPACE KEYSPACE"]);
    case.run_in(1, &["INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')"]);
    let others = case.dump(1);
    let plan = case.plan(&["--database", &case.keyspaces[0]]);
    assert_eq!(plan["node"]["makes"].as_array().unwrap().len(), 3, "{plan}");
    case.restore(&["--database", &case.keyspaces[0]]).expect(0);
    assert_eq!((case.dump(0), ids(0)), (then.clone(), then_ids.clone()));
    assert_eq!(case.dump(1), others);
    // What the undo of that would leave, which nothing lay aside of.
    let undo = case.machine.run(&["restore", &case.source, "--undo", "--dry-run"]);
    assert!(undo.expect(0).stdout.contains(&format!("empties    {}", case.table("t"))), "{undo:#?}");

    case.run(&["DROP TABLE KEYSPACE.t"]);
    case.restore(&["--running"]).expect(0);
    assert_eq!((case.dump(0), ids(0)), (then, then_ids));
    assert_ne!(case.dump(1), others);
}

#[test]
fn what_is_merged_is_added_and_newer_cells_and_deletions_win() {
    let case = Case::small(Version::V50, 1);
    case.run(&[
        "UPDATE KEYSPACE.t SET v = 'newer' WHERE id = 1",
        "DELETE FROM KEYSPACE.t WHERE id = 2",
        "INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')",
        "TRUNCATE KEYSPACE.u",
    ]);
    let t = case.rows("t");
    let plan = case.plan(&["--merge"]);
    assert!(plan["aside"].is_null() && plan["warnings"].to_string().contains("this cannot be undone"), "{plan}");
    case.restore(&["--merge"]).expect(0);
    assert_eq!(case.rows("t"), t);
    assert_eq!(case.rows("u").len(), 1, "what was lost is back");
    assert_eq!(case.ours(), Vec::<String>::new());
    case.undo().expect(6);
    // A node that may have forgotten deletions lets rows come back that they are of, and the plan says so of the tables that are meant.
    assert!(!plan["warnings"].to_string().contains("gc_grace_seconds"), "{plan}");
    case.run(&["ALTER TABLE KEYSPACE.t WITH gc_grace_seconds = 1"]);
    let warned = |arguments: &[&str]| {
        let warnings = case.plan(arguments)["warnings"].to_string();
        warnings.contains(&format!("gc_grace_seconds of {} is less (the least is 1 second): the node may have forgotten", case.table("t")))
    };
    until("the snapshot is older than that", || warned(&["--merge"]));
    assert!(!warned(&["--merge", "--table", "u"]) && !warned(&["--running"]));
}

#[test]
fn what_cannot_be_restored_is_refused_and_nothing_is_touched() {
    let case = Case::small(Version::V41, 1);
    case.run(&[
        "CREATE TABLE KEYSPACE.only (id int PRIMARY KEY)",
        "DROP TABLE KEYSPACE.u",
        "CREATE TABLE KEYSPACE.u (id int PRIMARY KEY, v int)",
        "INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')",
    ]);
    let (now, described) = (case.dump(0), case.server.cql().described(&case.keyspaces[0]));
    for (arguments, why) in [
        (vec!["--running"], "the column `v` has the type int and had text"),
        (vec!["--database", "nowhere"], "the snapshot has no keyspace `nowhere`"),
        (vec!["--database", "../.."], "the snapshot has no keyspace `../..`"),
        (vec!["--table", "nowhere"], "the snapshot has no table `nowhere`"),
        (vec!["--table", "only"], "the snapshot has no table `only`"),
        (vec!["--table", "../../t"], "the snapshot has no "),
    ] {
        let run = case.restore(&arguments);
        run.expect(if why.starts_with("the snapshot has no") { 6 } else { 1 });
        assert!(run.said().contains(why), "{arguments:?}: {}", run.said());
    }
    case.machine.run(&["restore", &format!("{}/../../x", case.source), "--running", "--yes"]).expect(2);
    // A table that has come since the snapshot is emptied with the rest, and stays.
    case.run(&[
        "DROP TABLE KEYSPACE.u",
        "CREATE TABLE KEYSPACE.u (id int PRIMARY KEY, v text)",
        "INSERT INTO KEYSPACE.only (id) VALUES (1)",
    ]);
    assert_ne!(case.server.cql().described(&case.keyspaces[0]), described);
    assert_eq!(now.len() + 1, case.dump(0).len());
    let plan = case.plan(&["--running"]);
    assert!(plan["node"]["empties"].to_string().contains(".only") && plan["node"]["differs"].to_string().contains("another id"), "{plan}");
    let before = case.dump(0);
    case.restore(&["--running"]).expect(0);
    assert_eq!((case.rows("t").len(), case.rows("u").len(), case.rows("only").len()), (2, 1, 0));
    case.undo().expect(0);
    assert_eq!(case.dump(0), before);
}

#[test]
fn roles_are_not_emptied_while_the_node_runs() {
    let server = Cassandra::running(Version::V50);
    let source = server.name();
    let machine = Machine::new().configured(&configuration(server, &source, &["system_auth"]));
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", &source]).expect(0);
    let dump = || server.cql().dump_table("system_auth", "roles");
    let roles = dump();
    let run = machine.run(&["restore", &source, "--running", "--yes"]);
    run.expect(1);
    assert!(run.said().contains("nobody can log in"), "{}", run.said());
    machine.run(&["restore", &source, "--merge", "--yes"]).expect(0);
    assert_eq!(dump(), roles);
}
