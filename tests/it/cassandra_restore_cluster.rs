//! A node that is one of two: what it holds is one replica, and the other node has a say in what is read afterwards.

use std::fs;

use crate::cassandra::configuration;
use crate::cassandra_restore_room::is_refused;
use crate::support::program::{Machine, until};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// Another node of the cluster of a server.
fn another_node(first: &Cassandra) -> Cassandra {
    let server = Cassandra::prepare(&first.spec);
    let (path, of_first) = (server.config_file(), fs::read_to_string(first.config_file()).unwrap());
    let line = |text: &str, key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    let own = fs::read_to_string(&path).unwrap();
    let seed = format!("- seeds: '{}:{}'", line(&of_first, "listen_address:"), line(&of_first, "storage_port:"));
    fs::write(&path, own.replace(&format!("- seeds: '{}'", line(&own, "listen_address:")), &seed)).unwrap();
    // One that is no seed gives up where it meets none within this time.
    let options = server.home.join("server.options");
    let text = fs::read_to_string(&options).unwrap();
    let patient = text.replace("-Dcassandra.ring_delay_ms=4000", "-Dcassandra.ring_delay_ms=30000");
    assert_ne!(patient, text);
    fs::write(&options, patient).unwrap();
    server.start();
    server
}

/// Files come from where `jmx` leads, and the id and the tokens from where `cql` does.
fn no_snapshot_is_taken_of_two_nodes(machine: &Machine, first: &Cassandra, second: &Cassandra) {
    let plain = configuration(first, "homestead", &["small"]);
    let id = |node: &Cassandra| node.cql().lines("SELECT host_id FROM system.local").remove(0);
    let copies = || fs::read_dir(machine.path("local/homestead")).unwrap().count();
    let before = copies();
    machine.configure_again(&plain.replace(&first.cql_address().to_string(), &second.cql_address().to_string()));
    let run = machine.run(&["backup", "homestead"]);
    machine.configure_again(&plain);
    run.expect(1);
    for words in [format!("`cql` leads to the node {}, and", id(second)), format!("(`jmx`) to {}:", id(first))] {
        assert!(run.said().contains(&words), "{words}: {run:#?}");
    }
    let held = [first, second].map(|node| node.nodetool(&["listsnapshots"]).contains("small"));
    assert_eq!((copies(), held), (before, [false; 2]), "{run:#?}");
}

#[test]
fn tables_of_a_cluster_of_two_are_not_emptied_and_can_be_merged_into() {
    let spec = Spec { cluster: "Two".into(), ..Spec::new(Version::V41) };
    let first = Cassandra::start_new(&spec);
    let machine = Machine::new().configured(&configuration(&first, "homestead", &["small"]));
    machine.run(&["init"]).expect(0);
    let cql = first.cql();
    for statement in [
        "CREATE KEYSPACE small WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE small.t (id int PRIMARY KEY, v text) WITH gc_grace_seconds = 1",
        "INSERT INTO small.t (id, v) VALUES (1, 'then')",
    ] {
        cql.run(statement);
    }
    machine.run(&["backup", "homestead"]).expect(0);
    let second = another_node(&first);
    until("the two know each other", || cql.lines("SELECT peer FROM system.peers_v2").len() == 1);
    until("the other one has learnt of the keyspace", || second.cql().try_rows("SELECT id FROM small.t").is_ok());
    no_snapshot_is_taken_of_two_nodes(&machine, &first, &second);
    let run = machine.run(&["restore", "homestead", "--running", "--yes"]);
    run.expect(1);
    assert!(run.said().contains("--merge"), "{}", run.said());
    // With the node stopped, one replica comes back, and the plan says what that means.
    let commands = "stop = [\"true\"]\nstart = [\"true\"]\n";
    let own = configuration(&first, "homestead", &["small"]);
    machine.configure_again(&(own.clone() + commands));
    let plan = machine.json(&["restore", "homestead", "--dry-run"], 0)["plan"].clone();
    machine.configure_again(&own);
    let warnings = plan["warnings"].to_string();
    for words in [
        "the node knows 1 others: this restores one replica",
        "repair these tables at once (`nodetool repair --full`",
        "restore every node of the cluster",
    ] {
        assert!(warnings.contains(words), "{words}: {plan:#}");
    }
    assert_eq!(plan["node"]["gc_grace_seconds"], 1, "{plan:#}");
    // So that the node owns every row, whichever the tokens of the other one are.
    cql.run("ALTER KEYSPACE small WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}");
    // The other node refuses as long as it has not learnt of the table.
    until("the table is emptied", || cql.try_rows("TRUNCATE small.t").is_ok());
    // What would come with the node stopped does not fit; its commands are not called.
    fs::remove_dir_all(machine.path("local/homestead")).unwrap();
    first.nodetool(&["clearsnapshot", "--all", "--", "small"]);
    machine.configure_again(&(own.clone() + commands));
    let data = first.spec.directories(&first.home).remove(0);
    is_refused(&machine, &["restore", "homestead"], &[data.to_str().unwrap()]);
    machine.configure_again(&own);
    let merged = machine.run(&["restore", "homestead", "--merge", "--yes"]);
    merged.expect(0);
    assert!(merged.said().contains("old, and gc_grace_seconds of small.t is less (the least is 1 second)"), "{}", merged.said());
    assert_eq!(cql.lines("SELECT id, v FROM small.t"), ["1 | then"]);
    assert!(merged.said().contains("the node knows 1 others"), "{}", merged.said());
    one_replica_is_restored(&first, &second, &machine);
}

/// The node is stopped and holds what it held; what the other one has learnt since wins wherever the two are made equal, as the plan says.
fn one_replica_is_restored(first: &Cassandra, second: &Cassandra, machine: &Machine) {
    let words = |name: &str| serde_json::to_string(&first.command(name)).unwrap();
    let own = configuration(first, "homestead", &["small"]);
    machine.configure_again(&format!("{own}stop = {}\nstart = {}\n", words("stop"), words("start")));
    machine.run(&["backup", "homestead"]).expect(0);
    let cql = first.cql();
    cql.run("DELETE FROM small.t WHERE id = 1");
    cql.run("INSERT INTO small.t (id, v) VALUES (2, 'since')");
    let ids = || [first, second].map(|node| node.cql().lines("SELECT host_id, tokens FROM system.local"));
    let before = ids();
    let run = machine.run(&["restore", "homestead", "--yes"]);
    run.expect(0);
    assert!(run.said().contains("the node knows 1 others: this restores one replica"), "{run:#?}");
    assert_eq!(ids(), before, "nobody is somebody else afterwards");
    // Alone it answers with its own rows.
    second.stop();
    let rows = || first.cql().of_one_replica().lines("SELECT id, v FROM small.t");
    assert_eq!(rows(), ["1 | then"]);
    second.start();
    until("the two see each other", || first.nodetool(&["status"]).matches("\nUN ").count() == 2);
    first.nodetool(&["repair", "--full", "small"]);
    assert_eq!(rows(), ["2 | since"]);
    // And an undo finds its way back too.
    machine.run(&["restore", "homestead", "--undo", "--yes"]).expect(0);
    assert_eq!((rows(), ids()), (vec!["2 | since".to_owned()], before));
}
