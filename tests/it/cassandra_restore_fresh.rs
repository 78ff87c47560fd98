//! A machine on which Cassandra has never run becomes the node that a snapshot is of, from the bucket and nothing else of the old one.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cassandra::configuration;
use crate::support::program::{Machine, Run, finish, text, until};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{ADMINISTRATOR, Spec, Version};

/// The keyspace that is backed up.
const KEYSPACE: &str = "Everything";

/// The role that asks, where the node asks who it is.
const ROLE: [&str; 2] = ["windlass", "role's secret"];

/// A role of somebody else.
const ANOTHER_ROLE: [&str; 2] = ["homer", "homers"];

/// What a node is, and what it holds.
#[derive(Debug, PartialEq)]
struct Picture {
    /// Cluster, data centre, rack and tokens.
    identity: Vec<String>,
    ids: Vec<String>,
    schema: Vec<String>,
    rows: Vec<String>,
    answers: Vec<String>,
}

fn identity(server: &Cassandra) -> Vec<String> {
    server.cql().lines("SELECT cluster_name, data_center, rack, tokens FROM system.local")
}

fn picture(server: &Cassandra) -> Picture {
    let cql = server.cql();
    let mut ids = Vec::new();
    for (name, from) in [("table_name", "tables"), ("view_name", "views")] {
        ids.extend(cql.lines(&format!("SELECT {name}, id FROM system_schema.{from} WHERE keyspace_name = '{KEYSPACE}'")));
    }
    Picture {
        identity: identity(server),
        ids,
        schema: cql.described(KEYSPACE),
        rows: cql.dump(KEYSPACE),
        answers: server.answers_of(KEYSPACE),
    }
}

/// The section of a source with these commands, as a role where the node asks.
fn section(server: &Cassandra, start: &[String], [name, password]: [&str; 2]) -> String {
    let words = |words: &[String]| serde_json::to_string(words).unwrap();
    // Where there are roles, they are among what is backed up.
    let keyspaces = [KEYSPACE, "system_auth"];
    let mut section = configuration(server, "homestead", &keyspaces[..1 + usize::from(server.spec.password)]);
    section += &format!("stop = {}\nstart = {}\n", words(&server.command("stop")), words(start));
    if server.spec.password {
        let secret = server.home.join("conf/windlass.pw");
        fs::write(&secret, password).unwrap();
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        section += &format!("user = \"{name}\"\npassword_file = \"{}\"\n", secret.display());
    }
    section
}

/// A node that was backed up and is lost; what is left is the bucket, and the key where it needs one.
struct Lost {
    machine: Machine,
    then: Picture,
}

impl Lost {
    fn new(spec: &Spec, encrypted: bool) -> Self {
        let server = Cassandra::start_new(spec);
        server.fill(KEYSPACE);
        if spec.password {
            make_role(&server);
            let [name, password] = ANOTHER_ROLE;
            server.cql().run(&format!("CREATE ROLE {name} WITH PASSWORD = '{password}' AND LOGIN = true"));
        }
        let section = section(&server, &server.command("start"), ROLE);
        let machine = Machine::new();
        let machine = if encrypted { machine.encrypted(&section) } else { machine.configured(&section) };
        machine.run(&["init"]).expect(0);
        machine.run(&["backup", "homestead"]).expect(0);
        let then = picture(&server);
        fs::remove_dir_all(machine.path("local")).unwrap();
        Self { machine, then }
    }

    /// What the configuration says of the repository.
    fn repository(&self) -> String {
        let text = fs::read_to_string(self.machine.path("windlass.toml")).unwrap();
        let from = text.split_once("[repository]\n").unwrap().1;
        from.split_once("[directory.tree]").unwrap().0.to_owned()
    }
}

fn make_role(server: &Cassandra) {
    let [name, password] = ROLE;
    let cql = server.cql();
    cql.run(&format!("CREATE ROLE {name} WITH PASSWORD = '{}' AND LOGIN = true", password.replace('\'', "''")));
    cql.run(&format!("GRANT ALL PERMISSIONS ON ALL KEYSPACES TO {name}"));
    cql.run(&format!("GRANT ALL PERMISSIONS ON ALL FUNCTIONS TO {name}"));
}

/// A new machine with a server that was never started, and the program on it.
struct New {
    server: Cassandra,
    machine: Machine,
    yaml: String,
}

impl New {
    fn of(lost: &Lost, spec: &Spec) -> Self {
        let server = Cassandra::prepare(spec);
        // As the packages have it: tokens would be chosen, and the node would look for others to fill it.
        let yaml = fs::read_to_string(server.config_file()).unwrap();
        let packaged = "allocate_tokens_for_local_replication_factor: 3\n# initial_token:\n";
        let yaml = yaml.replace("auto_bootstrap: false\n", packaged);
        assert!(yaml.contains(packaged));
        fs::write(server.config_file(), &yaml).unwrap();
        let new = Self { server, machine: Machine::new(), yaml };
        new.configure(lost, &new.server.command("start"), ROLE);
        new.machine.run(&["init", "--adopt"]).expect(0);
        new
    }

    fn configure(&self, lost: &Lost, start: &[String], role: [&str; 2]) {
        self.machine.configure(&lost.repository(), &section(&self.server, start, role));
    }

    fn restore(&self, more: &[&str]) -> Run {
        self.machine.run(&[&["restore", "homestead", "--yes"], more].concat())
    }

    fn plan(&self) -> Value {
        self.machine.json(&["restore", "homestead", "--dry-run"], 0)["plan"].clone()
    }

    fn yaml_now(&self) -> String {
        fs::read_to_string(self.server.config_file()).unwrap()
    }

    /// From an empty machine to the node that was, in one run that nothing breaks off.
    fn becomes(&self, lost: &Lost) {
        let run = self.restore(&[]);
        run.expect(0);
        assert_eq!(picture(&self.server), lost.then, "{run:#?}");
        self.machine.run(&["snapshot", "homestead"]).expect(0);
    }

    /// Where the node's file cannot be written, it is not started, and what belongs into it is told.
    fn cannot_write_its_file(&self) {
        let fails_from = |at: usize| {
            let inject = format!("inject=rename:error=EROFS:when={at}+");
            let run = self.machine.alone_under_strace(&["-e", "trace=rename", "-e", &inject], &["restore", "homestead", "--yes"]);
            run.expect(1);
            assert!(run.stderr.contains("Read-only file system"), "{run:#?}");
            assert_eq!(self.yaml_now(), self.yaml);
            assert!(self.server.pid().is_none() && !self.server.home.join("data").exists(), "{run:#?}");
            run.stderr
        };
        // Before it other files are written, of ours.
        let said = (1..10).map(fails_from).find(|said| said.contains("cassandra.yaml: it cannot be written")).unwrap();
        for told in ["it is as it was", "write into it by hand `cluster_name: 'It''s a cluster'`, `num_tokens: 8`, `initial_token: "] {
            assert!(said.contains(told), "{told}: {said}");
        }
        let beside = fs::read_dir(self.server.home.join("conf")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let beside: Vec<String> = beside.filter(|name| name.starts_with('.') || name.contains("windlass")).collect();
        assert_eq!(beside, ["cassandra.yaml.before-windlass"]);
        assert!(!self.machine.path("local/.windlass/restore/homestead/fresh.json").exists(), "nothing has begun");
    }

    fn snapshot_is_refused(&self) {
        let run = self.machine.run(&["snapshot", "homestead"]);
        run.expect(1);
        assert!(run.stderr.contains("is empty until `homestead` is restored"), "{run:#?}");
        for (verb, code) in [("status", 7), ("list", 0)] {
            let run = self.machine.run(&[verb]);
            run.expect(code);
            assert!((run.stdout + &run.stderr).contains("until then no snapshot of it is taken"), "{verb}");
        }
    }
}

#[test]
fn a_machine_of_5_0_that_is_empty_becomes_the_node_that_was_also_when_the_program_is_killed_on_the_way() {
    let of = |cluster: &str, num_tokens| Spec { cluster: cluster.into(), num_tokens, ..Spec::new(Version::V50) };
    let lost = Lost::new(&of("It's a cluster", 8), false);
    let new = New::of(&lost, &of("Test Cluster", 16));
    let (conf, home) = (new.server.home.join("conf"), &new.server.home);

    // In another data centre than the one that the keyspace names it could not be made.
    fs::write(conf.join("cassandra-rackdc.properties"), "dc=elsewhere\nrack=rack1\n").unwrap();
    let run = new.restore(&["--dry-run"]);
    run.expect(1);
    assert!(run.stderr.contains("Everything could not be made") && run.stderr.contains("write `dc=dc1`"), "{run:#?}");
    fs::write(conf.join("cassandra-rackdc.properties"), "dc=dc1\nrack=rack1\n").unwrap();

    let plan = new.plan();
    assert_eq!(plan["estimate_seconds"], 61, "nothing was measured yet: {plan:#}");
    let fresh = &plan["node"]["fresh"];
    let diff: Vec<String> = fresh["diff"].as_array().unwrap().iter().map(text).collect();
    let has = |line: &str| diff.iter().any(|found| found == line);
    assert!(has("+cluster_name: 'It''s a cluster'") && has("-num_tokens: 16") && has("+num_tokens: 8"), "{plan:#}");
    assert_eq!(fresh["tokens"].as_array().map(Vec::len), Some(8), "{plan:#}");
    assert!(plan["node"]["makes"].to_string().contains("Everything") && plan["aside"].is_null(), "{plan:#}");
    let run = new.machine.run(&["restore", "homestead", "--dry-run"]);
    assert!(run.stdout.contains("node       has never run") && run.stdout.contains("           +num_tokens: 8"), "{run:#?}");
    assert_eq!(new.yaml_now(), new.yaml);
    assert!(new.server.pid().is_none() && !home.join("data").exists());
    new.cannot_write_its_file();

    // A first start fails at the server's own checks; then the program is killed when the file is written, before the node is started; then when it was
    // started; then when it was started with its rows.
    let count = new.machine.path("starts");
    let start = new.server.command("start").remove(0);
    let strange = home.join("data/x");
    let fails = format!(
        "mkdir -p {0}/t-0123456789abcdef0123456789abcdef; touch {0}/t-0123456789abcdef0123456789abcdef/zz-1-big-Data.db; {start}; \
         for _ in $(seq 600); do (. {1}/bin/running; running >/dev/null) || break; sleep 0.1; done; \
         rm -r {0}; exit 3",
        strange.display(),
        home.display()
    );
    let script = format!(
        "echo >>{0}; case $(wc -l <{0}) in 1) {fails};; 2) kill -9 $PPID;; 3|4) {start}; kill -9 $PPID;; *) exec {start};; esac",
        count.display()
    );
    let script = new.machine.script("start.sh", &script);
    new.configure(&lost, &[script.to_str().unwrap().to_owned()], ROLE);
    let run = new.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("`start` command ended with"), "{run:#?}");
    let segments = fs::read_dir(home.join("commitlog")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert!(segments > 0 && !home.join("data/system").exists());
    assert_eq!(new.restore(&[]).code, None);
    let written = new.yaml_now();
    assert_ne!(written, new.yaml);
    assert_eq!(fs::read_to_string(conf.join("cassandra.yaml.before-windlass")).unwrap(), new.yaml);
    assert!(new.server.pid().is_none() && !home.join("data/system").exists());
    new.snapshot_is_refused();
    assert_eq!(new.plan()["node"]["fresh"]["diff"], serde_json::json!([]));
    assert_eq!(new.restore(&[]).code, None);
    new.server.wait();
    new.snapshot_is_refused();

    assert_eq!(identity(&new.server), lost.then.identity);

    assert!(new.plan()["warnings"].to_string().contains("this one goes on from there"));
    assert_eq!(new.restore(&[]).code, None);
    let run = new.machine.run(&["backup", "homestead"]);
    run.expect(0);
    assert!(run.stderr.contains("was finished: the node runs with it"), "{run:#?}");
    assert_eq!(picture(&new.server), lost.then, "{run:#?}");
    assert_eq!(new.yaml_now(), written);
    assert!(!conf.join("cassandra.yaml.before-windlass-2").exists());
    drop(new);

    // Files in a format of 5.0 on a machine that may have 4.1: told while nothing is written.
    let old = New::of(&lost, &Spec { num_tokens: 16, ..Spec::new(Version::V41) });
    let warnings = old.plan()["warnings"].to_string();
    assert!(warnings.contains("which Cassandra 4.1 does not read yet") && warnings.contains("nobody could be asked"), "{warnings}");
}

#[test]
fn a_machine_of_4_1_that_asks_for_a_login_becomes_the_node_that_was_once_it_knows_the_role() {
    let spec = Spec { password: true, data_directories: 2, system_apart: true, ..Spec::new(Version::V41) };
    let lost = Lost::new(&Spec { cluster: "clearwater".into(), num_tokens: 5, ..spec.clone() }, true);
    let new = New::of(&lost, &spec);
    // A password that a new node does not have is refused for good, and not waited for.
    new.configure(&lost, &new.server.command("start"), ["cassandra", "another"]);
    let run = new.machine.start(&["restore", "homestead", "--yes"]);
    until("the node takes connections", || std::net::TcpStream::connect(new.server.cql_address()).is_ok());
    let since = Instant::now();
    let run = finish(run);
    run.expect(1);
    assert!(since.elapsed() < Duration::from_secs(50), "{:?}: {run:#?}", since.elapsed());
    assert!(run.stderr.contains("the role with the password `cassandra` alone"), "the plan has said so: {run:#?}");
    assert!(run.stderr.contains("ALTER ROLE cassandra WITH PASSWORD") && run.stderr.contains("it goes on from here"), "{run:#?}");
    // Nor is another role.
    new.configure(&lost, &new.server.command("start"), ROLE);
    let run = new.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("CREATE ROLE windlass WITH PASSWORD") && run.stderr.contains("it goes on from here"), "{run:#?}");
    assert!(new.yaml_now().contains("cluster_name: 'clearwater'\nnum_tokens: 5\n"), "{}", new.yaml_now());
    // Whoever does not do as it says is told again.
    let run = new.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("CREATE ROLE windlass WITH PASSWORD"), "{run:#?}");
    make_role(&new.server);
    assert!(new.server.cql_as(ANOTHER_ROLE).is_err());
    let run = new.restore(&[]);
    run.expect(0);
    assert_eq!(picture(&new.server), lost.then, "{run:#?}");
    assert!(new.server.cql_as(ANOTHER_ROLE).is_ok(), "roles come back where they are asked for");
    // What was there before are the tables without their rows.
    let undone = new.restore(&["--undo"]);
    undone.expect(0);
    let found = picture(&new.server);
    assert!(new.server.cql_as(ANOTHER_ROLE).is_err());
    assert_eq!((&found.identity, &found.schema), (&lost.then.identity, &lost.then.schema));
    assert!(found.rows.iter().all(|line| line.starts_with("table ")), "{:?}", found.rows);
    drop(new);
    // As the role that a new node has, with the password that it has.
    let new = New::of(&lost, &spec);
    new.configure(&lost, &new.server.command("start"), ADMINISTRATOR);
    new.becomes(&lost);
}
