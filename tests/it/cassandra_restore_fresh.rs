//! A machine on which Cassandra has never run becomes the node that a snapshot is of, from the bucket and nothing else of the old one.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cassandra::configuration;
use crate::support::bucket::Bucket;
use crate::support::kill::kill;
use crate::support::program::{Machine, Run, finish, text, until};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::{ADMINISTRATOR, Spec, Version};
use crate::support::servers::{ACCESS_KEY, Make, REGION, SECRET_KEY, Server};

/// The keyspace that is backed up.
const KEYSPACE: &str = "Everything";

/// The role that asks, where the node asks who it is.
const ROLE: [&str; 2] = ["windlass", "role's secret"];

/// A role of somebody else.
const ANOTHER_ROLE: [&str; 2] = ["homer", "homers"];

/// What a restore is in while it makes the schema.
const PHASE: &str = "making the schema";

/// How many tables have been made when that is broken off.
const MADE: usize = 3;

/// How often it is tried to break it off in time.
const ATTEMPTS: usize = 3;

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

/// The tables and views that are there, with their ids.
fn ids(server: &Cassandra) -> Vec<String> {
    let cql = server.cql();
    let of = |(name, from)| cql.lines(&format!("SELECT {name}, id FROM system_schema.{from} WHERE keyspace_name = '{KEYSPACE}'"));
    [("table_name", "tables"), ("view_name", "views")].into_iter().flat_map(of).collect()
}

fn picture(server: &Cassandra) -> Picture {
    let cql = server.cql();
    Picture {
        identity: identity(server),
        ids: ids(server),
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
    /// With a repository in a folder, or in a bucket of a server, sealed to a key.
    fn new(spec: &Spec, bucket: Option<&Bucket>) -> Self {
        let server = Cassandra::start_new(spec);
        server.fill(KEYSPACE);
        if spec.password {
            make_role(&server);
            let [name, password] = ANOTHER_ROLE;
            server.cql().run(&format!("CREATE ROLE {name} WITH PASSWORD = '{password}' AND LOGIN = true"));
        }
        let section = section(&server, &server.command("start"), ROLE);
        let machine = Machine::new();
        let machine = match bucket {
            Some(bucket) => machine.encrypted_in(&bucket.of_administrator(), &section),
            None => machine.configured(&section),
        };
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

    /// What lies in the bucket can be had with the credential alone, and opened with the key alone; without one of them the node is not touched.
    fn needs_credential_and_key(&self, lost: &Lost, bucket: &Bucket) {
        let listed = bucket.done(reqwest::Method::GET, "", &[("list-type", "2")], &[], "");
        assert!(listed.contains(".tar.zst.age</Key>") && !listed.contains(".tar.zst</Key>"), "{listed}");
        let repository = lost.repository();
        let without =
            |key: &str| repository.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect::<String>();
        let section = section(&self.server, &self.server.command("start"), ROLE);
        let wrong = format!("{}secret_access_key = \"another\"\n", without("secret_access_key"));
        for (repository, because) in [(wrong, "SignatureDoesNotMatch"), (without("identity_file"), "identity")] {
            self.machine.configure(&repository, &section);
            let run = self.restore(&[]);
            assert!(run.code != Some(0) && run.stderr.contains(because), "{because}: {run:#?}");
            assert!(self.yaml_now() == self.yaml && self.server.pid().is_none() && !self.server.home.join("data").exists(), "{run:#?}");
        }
        self.configure(lost, &self.server.command("start"), ROLE);
        // And with these two, nobody need remember what the configuration said of the source.
        let key = lost.machine.path("windlass.key");
        let url = format!("s3://{}/some/prefix", bucket.name);
        let from = ["--repository", &url, "--endpoint", &bucket.server.endpoint, "--identity-file", key.to_str().unwrap()];
        let mut bare = Command::new(env!("CARGO_BIN_EXE_windlass"));
        bare.args(from).args(["--json", "config", "recover", "--node", "node-1"]);
        bare.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).env("AWS_REGION", REGION);
        let run = Run::of(bare.output().unwrap());
        run.expect(0);
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let remembered = &document["sources"][0]["section"];
        assert_eq!(
            (&remembered["keyspaces"], &remembered["user"]),
            (&serde_json::json!([KEYSPACE, "system_auth"]), &ROLE[0].into()),
            "{document:#}"
        );
        assert!(text(&remembered["password_file"]).ends_with("/windlass.pw") && remembered["start"].is_array(), "{document:#}");
        assert!(!run.stdout.contains(ROLE[1]), "{document:#}");
        // With where copies are to lie, that is a whole configuration, which lacks the file with the role's password and nothing else.
        let new = Machine::new();
        let local = format!("\n[local]\ndir = \"{}\"\n", new.path("local").display());
        fs::write(new.path("windlass.toml"), text(&document["toml"]) + &local).unwrap();
        let checked = new.run(&["config", "check"]);
        assert!(checked.expect(2).stdout.contains("password_file") && checked.stderr == "1 mistake\n", "{checked:#?}");
    }

    /// Kills a restore when it has made some of the tables and not all; gives how many.
    fn is_killed_while_the_schema_is_made(&self, lost: &Lost) -> usize {
        let folders = self.server.spec.directories(&self.server.home).remove(0).join(KEYSPACE);
        let mut some_are_made = || fs::read_dir(&folders).is_ok_and(|folders| folders.count() >= MADE);
        for _ in 0..ATTEMPTS {
            let killed = kill(&self.machine, &["restore", "homestead", "--yes"], PHASE, Duration::ZERO, &mut some_are_made);
            let made = ids(&self.server);
            assert!(made.iter().all(|one| lost.then.ids.contains(one)), "{made:?}");
            if killed.was_in(PHASE) && !made.is_empty() && made.len() < lost.then.ids.len() {
                return made.len();
            }
            // It came too late: there is to be a schema to make again.
            self.server.cql().run(&format!("DROP KEYSPACE IF EXISTS {}", quoted(KEYSPACE)));
        }
        panic!("no kill came while the schema was made");
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
    let lost = Lost::new(&of("It's a cluster", 8), None);
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
    // started; then when some of its tables are made; then when it was started with its rows.
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

    // Once more, when it has some of its tables: the next one makes the others.
    let made = new.is_killed_while_the_schema_is_made(&lost);
    new.snapshot_is_refused();
    let lacks = new.plan()["node"]["makes"].as_array().unwrap().iter().map(text).filter(|one| one.starts_with("table ")).count();
    assert!(lacks > 0 && lacks + made <= lost.then.ids.len(), "{lacks} and {made} of {:?}", lost.then.ids);

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
    let bucket = Bucket::new(Server::running(Make::Versitygw, false));
    let lost = Lost::new(&Spec { cluster: "clearwater".into(), num_tokens: 5, ..spec.clone() }, Some(&bucket));
    let new = New::of(&lost, &spec);
    new.needs_credential_and_key(&lost, &bucket);
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
