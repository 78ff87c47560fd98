//! What a Cassandra node says of itself and its keyspaces: all of it, of this very node, and good enough to make them again.

use std::fs;
use std::path::PathBuf;

use windlass::source::Error;
use windlass::source::cassandra::{Cql, Kind, Looked, NodeConfig, Settings, look, statements};
use windlass::sys::secret::Secret;
use windlass::sys::stop::Stop;

use crate::cassandra::configuration;
use crate::support::authority;
use crate::support::forward::forward;
use crate::support::program::Machine;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// Compact tables of all shapes; one whose own comment looks like the end of the one that it is described in, and a table whose comment looks like the
/// beginning of one.
const TRAPS: [&str; 8] = [
    "CREATE TABLE KEYSPACE.static1 (\"Key\" text, k2 int, column1 text, \"Odd )\" text, PRIMARY KEY ((\"Key\", k2))) WITH COMPACT STORAGE",
    "CREATE TABLE KEYSPACE.static2 (k text PRIMARY KEY, n counter, m counter) WITH COMPACT STORAGE",
    "CREATE TABLE KEYSPACE.dense1 (k text, c text, PRIMARY KEY (k, c)) WITH COMPACT STORAGE",
    "CREATE TABLE KEYSPACE.dense2 (k text, a int, b timeuuid, v blob, PRIMARY KEY (k, a, b)) WITH COMPACT STORAGE AND CLUSTERING ORDER BY (a \
     DESC, b ASC)",
    "CREATE TABLE KEYSPACE.dense3 (k text, c int, n counter, PRIMARY KEY (k, c)) WITH COMPACT STORAGE",
    "CREATE INDEX ON KEYSPACE.impi (digest_ha1)",
    "CREATE TABLE KEYSPACE.trap (k text PRIMARY KEY, v text) WITH COMPACT STORAGE AND comment = '*/ it''s; (this should not be used to \
     reproduce this schema)\n\nCREATE TABLE x.y (z int PRIMARY KEY); /*'",
    "CREATE TABLE KEYSPACE.\"Trap2\" (k text PRIMARY KEY) WITH comment = '/* $$ -- \"; Warning: Table'",
];

fn settings(server: &Cassandra, keyspaces: &[&str]) -> Settings {
    Settings::new(keyspaces.iter().map(|name| (*name).to_owned()).collect(), server.config_file())
}

fn try_look(settings: &Settings) -> Result<Looked, Error> {
    look(settings, &NodeConfig::read(&settings.config_file)?, &Stop::new())
}

/// Why there is no answer.
fn refusal(settings: &Settings) -> String {
    match try_look(settings) {
        Ok(looked) => panic!("this was answered: {:?}", looked.facts),
        Err(error) => error.to_string(),
    }
}

fn makes_again(version: Version) {
    let server = Cassandra::running(version);
    let name = format!("Every_{}", server.name());
    server.fill(&name);
    let cql = server.cql();
    for trap in TRAPS {
        cql.run(&trap.replace("KEYSPACE", &quoted(&name)));
    }
    let before = try_look(&settings(server, &[&name])).unwrap();
    let [(of, ddl)] = before.ddl.as_slice() else { panic!("{:?}", before.ddl) };
    assert_eq!(*of, name);
    for table in &before.schema.keyspaces[0].tables {
        let word = if table.kind == Kind::View { "MATERIALIZED VIEW" } else { "TABLE" };
        let begins = |statement: &&str| {
            let rest = statement.strip_prefix(&format!("CREATE {word} {}.", quoted(&name)));
            rest.is_some_and(|rest| rest.trim_start_matches('"').starts_with(&table.name))
        };
        let found = statements(ddl).into_iter().filter(begins).any(|statement| statement.contains(&table.id.with_dashes()));
        assert!(found, "{word} {} with its id is not in\n{ddl}", table.name);
        let folders = server.folders_of(&name, &table.name);
        assert!(folders.iter().any(|folder| folder.file_name().unwrap().to_str() == Some(&table.folder())), "{folders:?}");
    }
    assert!(ddl.contains("WITH COMPACT STORAGE") && !ddl.contains("\n*/"), "{ddl}");

    cql.run(&format!("DROP KEYSPACE {}", quoted(&name)));
    assert!(refusal(&settings(server, &[&name])).contains(&format!("there is no keyspace `{name}`; it has ")));
    for statement in statements(ddl) {
        cql.run(statement.trim_end_matches(';'));
    }
    let after = try_look(&settings(server, &[&name])).unwrap();
    assert_eq!(after.schema, before.schema);
    assert_eq!(after.ddl[0].1, *ddl);
    assert_eq!(after.facts.keyspaces, before.facts.keyspaces);
    cql.run(&format!("DROP KEYSPACE {}", quoted(&name)));
}

#[test]
fn what_version_4_1_describes_makes_the_same_again() {
    makes_again(Version::V41);
}

#[test]
fn what_version_5_0_describes_makes_the_same_again() {
    makes_again(Version::V50);
}

fn owned<const N: usize>(names: [&str; N]) -> [String; N] {
    names.map(str::to_owned)
}

#[test]
fn facts_are_those_of_the_node() {
    for version in Version::ALL {
        let server = Cassandra::running(version);
        let name = server.name();
        let cql = server.cql();
        cql.run(&format!(
            "CREATE KEYSPACE {name} WITH replication = {{'class': 'NetworkTopologyStrategy', 'dc1': 1}} AND durable_writes = false"
        ));
        cql.run(&format!("CREATE TABLE {name}.a (k int PRIMARY KEY, v int, w int) WITH gc_grace_seconds = 7"));
        cql.run(&format!("CREATE INDEX by_v ON {name}.a (v)"));
        cql.run(&format!("ALTER TABLE {name}.a DROP w"));
        for made in [
            "TYPE KEYSPACE.\"Two\" (a int)",
            "TYPE KEYSPACE.one (a int)",
            "FUNCTION KEYSPACE.twice(n int) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$ return n * 2; $$",
            "FUNCTION KEYSPACE.added(s int, n int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$ return s + n; $$",
            "AGGREGATE KEYSPACE.total(int) SFUNC added STYPE int INITCOND 0",
        ] {
            cql.run(&format!("CREATE {}", made.replace("KEYSPACE", &name)));
        }
        cql.run(&format!(
            "CREATE MATERIALIZED VIEW {name}.b AS SELECT * FROM {name}.a WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)"
        ));
        let looked = try_look(&settings(server, &[&name])).unwrap();
        let facts = &looked.facts;
        assert_eq!((facts.version.as_str(), facts.cluster_name.as_str()), (version.number(), server.spec.cluster.as_str()));
        assert_eq!((facts.data_center.as_str(), facts.rack.as_str()), ("dc1", "rack1"));
        assert_eq!(facts.partitioner, "org.apache.cassandra.dht.Murmur3Partitioner");
        assert_eq!(facts.rpc_address, Some(server.cql_address().ip().to_string()));
        assert_eq!(
            facts.data_directories,
            server.spec.directories(&server.home).iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        );
        let info = server.nodetool(&["info", "-T"]);
        assert!(info.contains(&facts.host_id), "{info}");
        assert_eq!(facts.tokens.len(), server.spec.num_tokens);
        assert!(facts.tokens.iter().all(|token| info.contains(&format!(": {token}\n"))), "{info} {:?}", facts.tokens);
        let keyspace = &facts.keyspaces[0];
        assert_eq!((keyspace.name.as_str(), keyspace.durable_writes, keyspace.table_count), (name.as_str(), false, 2));
        assert_eq!(keyspace.replication["dc1"], "1");
        assert_eq!(keyspace.dropped_columns, ["a.w"]);
        let [types, functions, aggregates] = [&keyspace.types, &keyspace.functions, &keyspace.aggregates];
        assert_eq!(
            (&types[..], &functions[..], &aggregates[..]),
            (&owned(["Two", "one"])[..], &owned(["added", "twice"])[..], &owned(["total"])[..])
        );
        assert_eq!(keyspace.tables, looked.schema.keyspaces[0].tables);
        let [a, b] = keyspace.tables.as_slice() else { panic!("{:?}", keyspace.tables) };
        assert_eq!((a.gc_grace_seconds, a.indexes.as_slice(), a.base.as_deref()), (7, &["by_v".to_owned()][..], None));
        assert_eq!((b.kind, b.base.as_deref()), (Kind::View, Some("a")));
        cql.run(&format!("DROP KEYSPACE {name}"));
    }
}

#[test]
fn a_star_is_every_keyspace_but_cassandras_own_and_names_keep_their_case() {
    // A server of its own: every other test's keyspace would be among all.
    let server = &Cassandra::start_new(&Spec::new(Version::V50));
    let name = format!("Star_{}", server.name());
    server
        .cql()
        .run(&format!("CREATE KEYSPACE {} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}", quoted(&name)));
    let found = try_look(&settings(server, &["*", "system_auth"])).unwrap();
    let names: Vec<&str> = found.schema.keyspaces.iter().map(|keyspace| keyspace.name.as_str()).collect();
    assert!(names.contains(&name.as_str()) && names.contains(&"system_auth") && names.is_sorted(), "{names:?}");
    assert!(names.iter().all(|name| *name == "system_auth" || !name.starts_with("system")), "{names:?}");
    assert!(refusal(&settings(server, &[&name.to_lowercase()])).contains(&name), "the name in its own case is told");

    // A keyspace without tables is in a snapshot of all by how it is made, and is made again by one of nothing else.
    let machine = Machine::new().configured(&configuration(server, "all", &["*"]));
    machine.run(&["init"]).expect(0);
    server.cql().run("CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    server.cql().run("CREATE TABLE other.t (id int PRIMARY KEY)");
    machine.run(&["backup", "all"]).expect(0);
    let fetched = machine.path("fetched");
    machine.run(&["fetch", "all/latest", "--to", fetched.to_str().unwrap()]).expect(0);
    assert!(fs::read_to_string(fetched.join(&name).join("schema.cql")).unwrap().contains(&quoted(&name)));
    assert!(fs::read_to_string(fetched.join("other/schema.cql")).unwrap().contains("CREATE TABLE other.t"));
    machine.configure_again(&configuration(server, "none", &[&name]));
    machine.run(&["backup", "none"]).expect(0);
    server.cql().run(&format!("DROP KEYSPACE {}", quoted(&name)));
    machine.run(&["restore", "none", "--running", "--yes"]).expect(0);
    assert_eq!(server.cql().tables(&name), [""; 0]);
    assert!(server.cql().described(&name)[0].contains(&quoted(&name)));
}

fn secured(version: Version) {
    let server = Cassandra::start_new(&Spec { password: true, tls: true, ..Spec::new(version) });
    let admin = server.cql();
    admin.run("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    admin.run("CREATE TABLE k.t (k int PRIMARY KEY)");
    admin.run("CREATE ROLE readers");
    admin.run("CREATE ROLE windlass WITH PASSWORD = 'hunter2' AND LOGIN = true");
    admin.run("GRANT readers TO windlass");
    let as_role = |user: &str, password: &str, ca_file: Option<PathBuf>| {
        let cql = Cql { user: Some(user.into()), password: Some(Secret::new(password)), ca_file, ..Cql::default() };
        Settings { cql, ..settings(&server, &["k"]) }
    };
    let ca = || Some(server.ca_file());

    // A role without any right sees the schema, and not the roles.
    let looked = try_look(&as_role("windlass", "hunter2", ca())).unwrap();
    assert_eq!(looked.schema.keyspaces[0].tables[0].name, "t");
    assert!(looked.facts.roles.is_none() && looked.facts.permissions.is_none());
    assert_eq!(looked.facts.left_out.len(), 2);
    assert!(looked.facts.left_out[0].starts_with("roles: the role has no right to it"), "{:?}", looked.facts.left_out);

    admin.run("GRANT SELECT ON system_auth.roles TO readers");
    admin.run("GRANT SELECT ON system_auth.role_permissions TO readers");
    // Rights that a node has looked up are believed for two seconds.
    let since = std::time::Instant::now();
    let facts = loop {
        let facts = try_look(&as_role("windlass", "hunter2", ca())).unwrap().facts;
        if facts.permissions.is_some() && facts.roles.is_some() || since.elapsed().as_secs() > 30 {
            break facts;
        }
    };
    let roles = facts.roles.clone().unwrap();
    let names: Vec<(&str, bool, bool)> = roles.iter().map(|role| (role.name.as_str(), role.superuser, role.login)).collect();
    assert_eq!(names, [("cassandra", true, true), ("readers", false, false), ("windlass", false, true)]);
    assert_eq!(roles[2].member_of, ["readers"]);
    let granted = facts.permissions.clone().unwrap();
    let found = granted.iter().any(|of| of.role == "readers" && of.resource == "data/system_auth/roles" && of.permissions == ["SELECT"]);
    assert!(found, "{granted:?}");
    let json = serde_json::to_string(&facts).unwrap();
    assert!(!json.contains("hunter2") && !json.contains("salted") && !json.contains("$2a$"), "{json}");

    let wrong = refusal(&as_role("windlass", "another", ca()));
    assert!(
        wrong.contains("cannot connect to the Cassandra at ") && wrong.contains("the password is wrong, or there is no such role"),
        "{wrong}"
    );
    assert!(!wrong.contains("another"), "{wrong}");
    let nobody = Settings { cql: Cql { ca_file: ca(), ..Cql::default() }, ..settings(&server, &["k"]) };
    assert!(refusal(&nobody).contains("it asks for a login: give `user` and `password_file`"), "{}", refusal(&nobody));
    let plain = refusal(&as_role("windlass", "hunter2", None));
    assert!(plain.contains("it may take encrypted connections only: give `ca_file`"), "{plain}");

    let other = tempfile::tempdir().unwrap();
    authority::issue(other.path());
    let unknown = refusal(&as_role("windlass", "hunter2", Some(other.path().join("ca.pem"))));
    assert!(unknown.contains("its certificate does not come from the one of `ca_file`"), "{unknown}");
    let no_pem = refusal(&as_role("windlass", "hunter2", Some(server.config_file())));
    assert!(no_pem.contains("holds no certificate in PEM form"), "{no_pem}");
    names_of_the_certificate(&server, as_role("windlass", "hunter2", ca()));

    server.stop();
    let dead = refusal(&as_role("windlass", "hunter2", ca()));
    assert!(dead.contains("nothing listens there; is the node up"), "{dead}");
}

/// The certificate must be for the host that is written: its address is in it, and `localhost`, but no other name of the machine.
fn names_of_the_certificate(server: &Cassandra, settings: Settings) {
    let at = |host: &str, port: u16| Settings {
        cql: Cql { address: Some((host.to_owned(), port)), ..settings.cql.clone() },
        ..settings.clone()
    };
    let address = server.cql_address();
    try_look(&at(&address.ip().to_string(), address.port())).unwrap();
    let elsewhere = forward(address);
    try_look(&at("localhost", elsewhere.port())).unwrap();
    let wrong = refusal(&at("127.0.0.1", elsewhere.port()));
    assert!(wrong.contains("must hold the name or address of `cql` among its alternative names"), "{wrong}");
}

#[test]
fn version_4_1_is_asked_with_a_password_and_over_tls() {
    secured(Version::V41);
}

#[test]
fn version_5_0_is_asked_with_a_password_and_over_tls() {
    secured(Version::V50);
}

#[test]
fn a_node_behind_another_address_is_asked_there_whatever_it_advertises() {
    let server = Cassandra::running(Version::V41);
    let name = server.name();
    server.cql().run(&format!("CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"));
    let there = forward(server.cql_address());
    let cql = Cql { address: Some((there.ip().to_string(), there.port())), ..Cql::default() };
    let looked = try_look(&Settings { cql, ..settings(server, &[&name]) }).unwrap();
    assert_eq!(looked.facts.rpc_address, Some(server.cql_address().ip().to_string()));
    let folder = tempfile::tempdir().unwrap();
    authority::issue(folder.path());
    let tls = Cql { ca_file: Some(folder.path().join("ca.pem")), ..Cql::default() };
    let plain = refusal(&Settings { cql: tls, ..settings(server, &[&name]) });
    assert!(plain.contains("it does not speak TLS at this port: take `ca_file` out"), "{plain}");
}

#[test]
fn a_node_that_is_silent_is_given_up_when_the_run_is_stopped() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Cassandra::running(Version::V41);
    let cql = Cql { address: Some(("127.0.0.1".into(), listener.local_addr().unwrap().port())), ..Cql::default() };
    let settings = Settings { cql, ..settings(server, &["k"]) };
    let config = NodeConfig::read(&settings.config_file).unwrap();
    let stop = Stop::new();
    let asked = {
        let stop = stop.clone();
        std::thread::spawn(move || look(&settings, &config, &stop))
    };
    let (_near, _) = listener.accept().unwrap();
    stop.request(15);
    let error = asked.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Stopped(_)), "{error}");
}
