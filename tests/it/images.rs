//! What is deployed in containers: the compose file is valid and careful, the images are small and built of what the Dockerfile says, and the
//! program in them does its work as the demo has it, beside real servers.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::cassandra::files_below;
use crate::support::images::{CASSANDRA, Container};
use crate::support::program::{Machine, Run, text};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{Spec, Version};
use crate::support::servers::mariadb::{MariaDb, PASSWORD};
use crate::support::servers::{ACCESS_KEY, Make, SECRET_KEY, Server};

/// Most that the smaller image takes without the program, MiB: a Debian, certificates, MariaDB's client and dump program.
const SMALL_MIB: u64 = 120;

/// Most that the one for Cassandra takes without the program, MiB: that, a Java and Cassandra's jars.
const CASSANDRA_MIB: u64 = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The services of `docker-compose.yml`, as `docker-compose` understands them.
fn services() -> Vec<(String, Value)> {
    let output = Command::new("docker-compose").args(["-f", "docker-compose.yml", "config"]).current_dir(root()).output();
    let run = Run::of(output.expect("docker-compose cannot be started: install Debian's docker-compose, as tests/run does"));
    let file: Value = serde_saphyr::from_str(&run.expect(0).stdout).unwrap();
    file["services"].as_object().unwrap().iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = String> + 'v {
    value[key].as_array().into_iter().flatten().map(text)
}

#[test]
fn every_service_of_the_compose_file_tells_its_health_or_ends() {
    let services = services();
    let names: BTreeSet<&str> = services.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.is_superset(&BTreeSet::from(["agent", "cassandra", "mariadb", "store"])), "{names:?}");
    for (name, service) in &services {
        let ends = service["restart"] == "no";
        let awaited = services.iter().any(|(_, other)| other["depends_on"][name]["condition"] == "service_completed_successfully");
        let is_healthy = service["healthcheck"]["test"].is_array();
        assert!(if ends { awaited } else { is_healthy }, "{name}: {service:#}");
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert!(names.contains(other.as_str()) && how["condition"] != "service_started", "{name} does not wait until {other} is ready");
        }
    }
}

#[test]
fn the_compose_file_pins_its_images_listens_on_loopback_and_holds_no_password() {
    for (name, service) in services() {
        let image = text(&service["image"]);
        let tag = image.rsplit_once('/').map_or(image.as_str(), |(_, rest)| rest).split_once(':').map_or("", |(_, tag)| tag);
        assert!(tag.split('.').count() >= 3, "{name}: {image} is not pinned to a release");
        assert!(list(&service, "ports").all(|port| port.starts_with("127.0.0.1:")), "{name}: {}", service["ports"]);
        for key in service["environment"].as_object().into_iter().flatten().map(|(key, _)| key) {
            assert!(key.ends_with("_FILE") || !["PASSWORD", "SECRET"].iter().any(|word| key.contains(word)), "{name}: {key}");
        }
        // One that is mounted and is not there would come into being as a folder.
        for mounted in list(&service, "volumes").filter_map(|volume| Some(PathBuf::from(volume.split_once(':')?.0))) {
            assert!(mounted.is_relative() || mounted.is_file(), "{name} mounts {}, which is no file", mounted.display());
        }
    }
    assert!(!read("deploy/demo/windlass.toml").contains("password ="), "passwords are in files");
}

#[test]
fn images_of_the_dockerfile_are_pinned() {
    let dockerfile = read("deploy/Dockerfile");
    let pinned: Vec<&str> =
        dockerfile.lines().filter_map(|line| line.strip_prefix("ARG ")?.split_once('=')).map(|(_, image)| image).collect();
    assert_eq!(pinned.len(), 3, "{pinned:?}");
    assert!(
        pinned.iter().all(|image| image.rsplit_once(':').is_some_and(|(_, tag)| tag.contains(|c: char| c.is_ascii_digit()))),
        "{pinned:?}"
    );
    let from: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let stages: BTreeSet<&str> = from.iter().filter_map(|from| Some(from.split_once(" AS ")?.1)).collect();
    assert!(from.iter().all(|from| from.starts_with("${") || stages.contains(from.split(' ').next().unwrap())), "{from:?}");
    // What Cassandra's node and its nodetool are of one release.
    let cassandra = pinned.iter().find(|image| image.contains("cassandra")).unwrap();
    assert!(services().iter().any(|(name, service)| name == "cassandra" && service["image"] == *cassandra), "{cassandra}");
}

#[test]
fn the_small_image_is_small_and_its_program_does_all_its_work_as_nobody_of_importance() {
    let container = Container::of_stage("runtime");
    let size = container.size_mib();
    println!("the small image: {size} MiB without the program");
    assert!(size <= SMALL_MIB, "{size} MiB");
    let container = container.with_the_program();
    let user = text(&container.config["User"]);
    assert_eq!(user, "10001:10001");
    assert_eq!(container.config["StopSignal"], "SIGTERM");
    assert_eq!(container.config["Healthcheck"]["Test"], json!(["CMD", "windlass", "-q", "status"]));
    let version = container.run(&user, &[], &["windlass", "--version"]);
    assert_eq!(version.expect(0).stdout, format!("windlass {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(container.run(&user, &[], &["id", "-u"]).expect(0).stdout, "10001\n");
    // Five backups, a disaster, the way back, each claim looked at.
    let demo = container.run(&user, &[], &["windlass", "demo"]);
    assert!(demo.expect(0).stdout.contains("Nothing is left of it."), "{demo:#?}");
    for program in ["mariadb-dump", "mariadb", "tini"] {
        container.run(&user, &[], &[program, "--version"]).expect(0);
    }
}

/// The servers of the demo and the folders that its containers share.
struct Demo {
    container: Container,
    mariadb: MariaDb,
    cassandra: Cassandra,
    folder: Machine,
    user: String,
}

impl Demo {
    /// As `docker-compose.yml` has it, each server where it is in this run.
    fn start() -> Self {
        let mariadb = MariaDb::start(&[]);
        // Whoever is not root cannot run a server as somebody else, and then all is one user's.
        let user = rustix::process::geteuid().is_root().then_some(CASSANDRA);
        let cassandra = Cassandra::start_new(&Spec { user, ..Spec::new(Version::V50) });
        let account = format!("CREATE DATABASE ellis; CREATE USER 'windlass'@'%' IDENTIFIED BY '{}'", sql_text(PASSWORD));
        mariadb.sql(&format!("{account}; GRANT ALL PRIVILEGES ON ellis.* TO 'windlass'@'%'"));
        mariadb.load(Some("ellis"), read("deploy/demo/ellis.sql").as_bytes());
        let cql = cassandra.cql();
        statements(&read("deploy/demo/homestead.cql")).iter().for_each(|statement| cql.run(statement));
        let user = user.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        let group = if user == CASSANDRA { CASSANDRA } else { rustix::process::getegid().as_raw() };
        let demo = Self {
            container: Container::of_stage("runtime-cassandra"),
            mariadb,
            cassandra,
            folder: Machine::new(),
            user: format!("{user}:{group}"),
        };
        demo.write(user, group);
        demo
    }

    /// Configuration, secrets, and the folder of local copies on the filesystem of the node's data.
    fn write(&self, user: u32, group: u32) {
        let server = Server::running(Make::Versitygw, false);
        let places = [
            ("/var/lib/cassandra/windlass".to_owned(), self.local().display().to_string()),
            ("s3://backups/".to_owned(), format!("s3://{}/", server.bucket())),
            ("http://store:9000".to_owned(), server.endpoint.clone()),
            ("\"demo\"".to_owned(), format!("\"{ACCESS_KEY}\"")),
            ("127.0.0.1:9042".to_owned(), self.cassandra.cql_address().to_string()),
            ("127.0.0.1:7199".to_owned(), self.cassandra.jmx_address().to_string()),
        ];
        let configuration = places.iter().fold(read("deploy/demo/windlass.toml"), |written, (demo, here)| {
            assert!(written.contains(demo.as_str()), "the demo says nothing of {demo}");
            written.replace(demo.as_str(), here)
        });
        fs::write(self.folder.path("windlass.toml"), configuration).unwrap();
        fs::create_dir(self.local()).unwrap();
        fs::create_dir(self.folder.path("secrets")).unwrap();
        for (path, text) in [("secrets/store", SECRET_KEY), ("secrets/mariadb", PASSWORD)] {
            let secret = self.folder.path(path);
            fs::write(&secret, text).unwrap();
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
            chown(&secret, Some(user), Some(group)).unwrap();
        }
        chown(self.local(), Some(user), Some(group)).unwrap();
    }

    fn local(&self) -> PathBuf {
        self.cassandra.home.join("windlass")
    }

    /// Runs words in a container of the agent.
    fn run(&self, words: &[&str]) -> Run {
        let home = self.cassandra.home.display();
        let mounts = [
            format!("{}:/etc/windlass/windlass.toml:ro", self.folder.path("windlass.toml").display()),
            format!("{}:/secrets:ro", self.folder.path("secrets").display()),
            format!("{}:/run/mysqld/mysqld.sock", self.mariadb.socket.display()),
            format!("{home}/conf:/etc/cassandra:ro"),
            format!("{home}:{home}"),
        ];
        self.container.run(&self.user, &mounts, words)
    }

    /// How many rows there are in both databases.
    fn rows(&self) -> [String; 2] {
        let count = |question: &str| self.cassandra.cql().lines(question).concat();
        [
            self.mariadb.ask(None, "SELECT COUNT(*) FROM ellis.numbers").trim().to_owned(),
            count("SELECT COUNT(*) FROM homestead.subscribers"),
        ]
    }
}

fn sql_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "''")
}

/// The statements of a file that has one a line, or lines that begin with `--`.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    code.join("\n").split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_image_for_cassandra_backs_up_the_demo_and_brings_it_back() {
    let mut demo = Demo::start();
    let size = demo.container.size_mib();
    println!("the image for Cassandra: {size} MiB without the program");
    assert!(size <= CASSANDRA_MIB, "{size} MiB");
    assert_eq!(demo.container.config["User"], format!("{CASSANDRA}:{CASSANDRA}"));
    demo.container = demo.container.with_the_program();
    demo.run(&["windlass", "config", "check"]).expect(0);
    demo.run(&["windlass", "init"]).expect(0);

    // The agent as the image starts it and as its health is asked for, until it has backed up everything; then as it is stopped.
    let entry = ["Entrypoint", "Cmd"].map(|key| list(&demo.container.config, key).collect::<Vec<_>>()).concat().join(" ");
    let health = list(&demo.container.config["Healthcheck"], "Test").skip(1).collect::<Vec<_>>().join(" ");
    // Without an engine it is not process 1.
    let entry = entry.replacen("/tini", "/tini -s", 1);
    let script = format!(
        "{entry} & agent=$!; for ((asked = 0; asked < 240; asked++)); do if {health}; then break; fi; sleep 1; done; \
         kill -TERM $agent; wait $agent; echo \"ended with $?, healthy after $asked s\""
    );
    let run = demo.run(&["bash", "-c", &script]);
    assert!(run.expect(0).stdout.contains("all is well"), "{run:#?}");
    assert!(run.stdout.contains("ended with 143"), "{run:#?}");
    demo.run(&["windlass", "verify", "--full"]).expect(0);
    let listed = demo.run(&["windlass", "--json", "list"]);
    let sources: BTreeSet<String> = listed.expect(0).document()["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|snapshot| snapshot["where"] == "both" && snapshot["problems"] == json!([]))
        .map(|snapshot| text(&snapshot["source"]))
        .collect();
    assert_eq!(sources, ["ellis", "homestead", "settings"].map(str::to_owned).into());
    let links = files_below(&demo.local().join("homestead"));
    let is_data = |path: &&PathBuf| path.to_str().is_some_and(|path| path.ends_with("-Data.db"));
    let data: Vec<u64> = links.iter().filter(is_data).map(|path| fs::metadata(path).unwrap().nlink()).collect();
    assert!(!data.is_empty() && data.iter().all(|links| *links > 1), "the copy shares no file with the node: {links:?}");

    let then = demo.rows();
    assert_eq!(then, ["20000", "3"]);
    demo.mariadb.sql("DELETE FROM ellis.numbers");
    demo.cassandra.cql().run("TRUNCATE homestead.subscribers");
    demo.run(&["windlass", "restore", "ellis", "--yes"]).expect(0);
    demo.run(&["windlass", "restore", "homestead", "--running", "--yes"]).expect(0);
    assert_eq!(demo.rows(), then);
    demo.run(&["windlass", "restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(demo.rows(), ["0".to_owned(), then[1].clone()]);
}
