//! A view or an index agrees with its table after a restore, also where the snapshot has the two of different moments, as it is when somebody wrote meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cassandra::configuration;
use crate::cassandra_restore_stopped::Bench;
use crate::support::kill::kill;
use crate::support::program::Machine;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{ADMINISTRATOR, Spec, Version};

const TABLE: &str = "CREATE TABLE small.t (id int PRIMARY KEY, v text)";
const VIEW: &str = "CREATE MATERIALIZED VIEW small.w AS SELECT * FROM small.t WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)";

/// Copies the SSTables of a table to where an import takes them from: 5.0 wants them below names of keyspace and table.
fn kept(server: &Cassandra, name: &str, place: PathBuf) -> PathBuf {
    server.nodetool(&["flush", "small", name]);
    let place = place.join("small").join(name);
    fs::create_dir_all(&place).unwrap();
    for folder in server.folders_of("small", name) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
    place
}

/// Has the table hold `1: then`, and its view the row of `2: of another moment` alone.
fn disagree(server: &Cassandra, machine: &Machine) {
    let cql = server.cql();
    cql.run("INSERT INTO small.t (id, v) VALUES (1, 'then')");
    let of_table = kept(server, "t", machine.path("apart"));
    cql.run("TRUNCATE small.t");
    cql.run("INSERT INTO small.t (id, v) VALUES (2, 'of another moment')");
    let of_view = kept(server, "w", machine.path("apart"));
    cql.run("TRUNCATE small.t");
    for (name, place) in [("t", of_table), ("w", of_view)] {
        server.nodetool(&["import", "--copy-data", "small", name, place.to_str().unwrap()]);
    }
    assert_eq!(both(server), (rows(&[(1, "then")]), rows(&[(2, "of another moment")])));
}

fn rows(of: &[(i32, &str)]) -> Vec<String> {
    of.iter().map(|(id, v)| format!("{id} {v}")).collect()
}

/// What the table and what the view holds.
fn both(server: &Cassandra) -> (Vec<String>, Vec<String>) {
    let [table, view] = ["t", "w"].map(|name| {
        let rows = server.cql().rows(&format!("SELECT id, v FROM small.{name}"));
        let plain = |value: &Option<_>| value.as_ref().map_or_else(String::new, crate::support::servers::cassandra::cql::plain);
        let mut lines: Vec<String> = rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join(" ")).collect();
        lines.sort();
        lines
    });
    (table, view)
}

/// The same rows in both.
fn agree(of: &[(i32, &str)]) -> (Vec<String>, Vec<String>) {
    (rows(of), rows(of))
}

/// Backs up, changes all, restores and undoes; what was restored is looked at also by the caller.
fn comes_back(server: &Cassandra, machine: &Machine, how: &[&str], restored: &dyn Fn()) {
    disagree(server, machine);
    machine.run(&["backup", "homestead"]).expect(0);
    let cql = server.cql();
    cql.run("TRUNCATE small.t");
    cql.run("INSERT INTO small.t (id, v) VALUES (3, 'since')");
    let now = agree(&[(3, "since")]);
    assert_eq!(both(server), now);

    let plan = machine.run(&[&["restore", "homestead", "--dry-run"], how].concat());
    assert!(plan.expect(0).said().contains("the node makes views anew from their tables"), "{plan:#?}");
    let run = machine.run(&[&["restore", "homestead", "--yes"], how].concat());
    assert!(!run.expect(0).stderr.contains("could not be made anew"), "{run:#?}");
    assert_eq!(both(server), agree(&[(1, "then")]));
    restored();
    machine.run(&["restore", "homestead", "--undo", "--yes"]).expect(0);
    assert_eq!(both(server), now);
    // What is written afterwards comes into the view as ever.
    server.cql().run("UPDATE small.t SET v = 'later' WHERE id = 3");
    assert_eq!(both(server), agree(&[(3, "later")]));
}

#[test]
fn a_view_and_an_index_agree_with_their_table_after_a_restore_with_the_node_stopped() {
    let bench = Bench::small(Version::V41);
    let server = &bench.server;
    bench.run(&["DROP TABLE small.t", TABLE, VIEW, "CREATE INDEX by_v ON small.u (v)"]);
    let found = || server.cql().lines("SELECT id FROM small.u WHERE v = 'then'").len();
    server.nodetool(&["flush", "small", "u"]);
    bench.run(&["INSERT INTO small.u (id, v) VALUES (2, 'then')"]);
    server.nodetool(&["flush", "small", "u"]);
    assert_eq!(found(), 2);
    // As it is while it is built, or when a table is written out between the links of the index and those of the table.
    server.stop();
    half_remove(&server.folders_of("small", "u")[0].join(".by_v"));
    server.start();
    assert_eq!(found(), 1);
    comes_back(server, &bench.machine, &[], &|| assert_eq!(found(), 2));
    // Killed while the one is built anew and the other is yet to be, or both are: the next command sees to it.
    let killed = kill(&bench.machine, &["restore", "homestead", "--yes", "-v"], "checking", Duration::ZERO, &mut || true);
    let settled = bench.machine.run(&["snapshot", "homestead"]);
    assert!(settled.expect(0).stderr.contains("was finished"), "{killed:?} {settled:#?}");
    assert_eq!((both(server), found()), (agree(&[(1, "then")]), 2), "{killed:?} {settled:#?}");
}

/// Removes one of two SSTables.
fn half_remove(index: &Path) {
    let files: Vec<PathBuf> = fs::read_dir(index).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of = |path: &Path| path.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
    let sstables: BTreeSet<String> = files.iter().map(|path| of(path)).collect();
    assert_eq!(sstables.len(), 2, "{files:?}");
    for path in files.iter().filter(|path| Some(&of(path)) == sstables.last()) {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_view_agrees_with_its_table_after_a_restore_into_a_node_that_runs_where_the_role_may_have_it_made() {
    let server = Cassandra::start_new(&Spec { password: true, ..Spec::new(Version::V50) });
    let machine = Machine::new();
    let login = |user: &str, password: &str| {
        let (own, secret) = (configuration(&server, "homestead", &["small"]), machine.path("cql.pw"));
        fs::write(&secret, password).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        machine.configure_again(&format!("{own}user = \"{user}\"\npassword_file = \"{}\"\n", secret.display()));
    };
    let [user, password] = ADMINISTRATOR;
    login(user, password);
    machine.run(&["init"]).expect(0);
    let cql = server.cql();
    cql.run("CREATE KEYSPACE small WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    for statement in [TABLE, VIEW, "CREATE INDEX by_v ON small.t (v)", "CREATE TABLE small.second (id int PRIMARY KEY)"] {
        cql.run(statement);
    }
    comes_back(&server, &machine, &["--running"], &|| {});
    let id = format!("homestead/{}", machine.listed()[0].0);

    // A role that may not empty tables has touched none, and keeps nothing from being backed up.
    let as_role = |name: &str, rights: &[&str]| {
        cql.run(&format!("CREATE ROLE {name} WITH PASSWORD = 'hunter2' AND LOGIN = true"));
        rights.iter().for_each(|right| cql.run(&format!("GRANT {right} ON KEYSPACE small TO {name}")));
        login(name, "hunter2");
        machine.run(&["restore", &id, "--yes", "--running"])
    };
    let now = both(&server);
    let run = as_role("reader", &["SELECT", "CREATE", "ALTER"]);
    assert!(run.expect(1).stderr.contains("no row was touched"), "{run:#?}");
    assert_eq!(both(&server), now);
    machine.run(&["backup", "homestead"]).expect(0);
    // Nor one that may empty some of them alone.
    cql.run("CREATE ROLE partial WITH PASSWORD = 'hunter2' AND LOGIN = true");
    ["SELECT", "CREATE", "ALTER"].iter().for_each(|right| cql.run(&format!("GRANT {right} ON KEYSPACE small TO partial")));
    cql.run("GRANT MODIFY ON small.second TO partial");
    login("partial", "hunter2");
    let run = machine.run(&["restore", &id, "--yes", "--running"]);
    let said = &run.expect(1).stderr;
    assert!(
        said.contains("small.t are not to be emptied by the role partial: GRANT MODIFY ON KEYSPACE") && said.contains("no row was touched"),
        "{said}"
    );
    assert_eq!(both(&server), now);
    // What a kill has left of our making views anew goes with the next look, and is in no snapshot.
    cql.run("CREATE TYPE small.windlass_makes_views_anew (change int)");
    login(user, password);
    machine.run(&["backup", "homestead"]).expect(0);
    let schema = machine.run(&["cat", "homestead/latest", "small/schema.cql"]);
    assert!(schema.expect(0).stdout.contains("CREATE TABLE") && !schema.stdout.contains("windlass_makes"), "{schema:#?}");
    assert!(cql.rows("SELECT type_name FROM system_schema.types WHERE keyspace_name = 'small'").is_empty());

    // One that may, and has no right to the rest, gets the view that the snapshot has, and is told.
    let run = as_role("least", &["ALL PERMISSIONS"]);
    assert!(run.expect(0).stderr.contains("only a superuser may"), "{run:#?}");
    assert!(run.stderr.contains("could not be seen, for the role has no right to SELECT on system."), "{run:#?}");
    assert_eq!(both(&server), (rows(&[(1, "then")]), rows(&[(2, "of another moment")])));
    assert!(cql.rows("SELECT type_name FROM system_schema.types WHERE keyspace_name = 'small'").is_empty());
}
