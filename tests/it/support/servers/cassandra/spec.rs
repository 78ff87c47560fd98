//! What a Cassandra is to be, and the files that make it so.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::kept::in_cache;
use crate::support::authority;

/// Account and password of the administrator of CQL, where the server asks: the ones that a new server has.
pub const ADMINISTRATOR: [&str; 2] = ["cassandra", "cassandra"];

/// Account and password of JMX, where the server asks.
pub const JMX_ACCOUNT: [&str; 2] = ["operator", "jmx-secret"];

/// What protects the key store, which holds nothing but a key of this run.
const STORE_PASSWORD: &str = "of-this-run";

/// What Cassandra's own example says of the rights of an account of JMX that may do everything.
const JMX_RIGHTS: &str = "readwrite \\\n  create javax.management.monitor.*,javax.management.timer.* \\\n  unregister";

/// A release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 4.1.10.
    V41,
    /// 5.0.9.
    V50,
}

impl Version {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V41, Self::V50];

    /// Its number.
    pub fn number(self) -> &'static str {
        match self {
            Self::V41 => "4.1.10",
            Self::V50 => "5.0.9",
        }
    }

    pub(super) fn folder(self) -> PathBuf {
        in_cache(Path::new(&format!("cassandra-{}", self.number())))
    }

    /// Its jars in the order in which `tests/servers/cassandra/classes` names them too: what Java keeps of them holds for that order only.
    pub(super) fn jars(self) -> Vec<String> {
        let lib = self.folder().join("lib");
        let mut jars: Vec<String> = fs::read_dir(lib).unwrap().map(|jar| jar.unwrap().path().to_str().unwrap().to_owned()).collect();
        jars.sort();
        jars
    }

    /// The options of a Java that runs nodetool from this folder.
    pub(super) fn nodetool_options(self, home: &Path, jars: &[String]) -> String {
        let lines = [
            // What Java has to say, of an archive that does not fit for instance, would stand in nodetool's answer.
            format!("-Xmx128M\n-Xlog:disable\n-XX:SharedArchiveFile={}/nodetool.jsa", self.folder().display()),
            format!("-Dlogback.configurationFile=file://{0}/conf/logback-tools.xml\n-Djava.io.tmpdir={0}/tmp", home.display()),
            format!("-Duser.home={0}/tmp\n-Dcassandra.storagedir={0}\n-Dcassandra.logdir={0}/log", home.display()),
        ];
        format!("{}\n{}\n-cp\n{}\n", java_options(), lines.join("\n"), jars.join(":"))
    }
}

/// What a server is to be; [`Spec::new`] is what a new server of that version is, on this machine alone.
#[derive(Clone, Debug)]
pub struct Spec {
    pub version: Version,
    /// Tables in BTI and with ids that are UUIDs; 5.0 only. Otherwise BIG and numbers.
    pub bti: bool,
    /// How many data directories it has: `data`, `data2`, …
    pub data_directories: usize,
    /// A folder of the caller's that is the last of its data directories: one on another filesystem.
    pub last_directory: Option<PathBuf>,
    /// Whether the tables of the system lie in a folder of their own, `system`.
    pub system_apart: bool,
    /// Whether CQL asks for account and password: [`ADMINISTRATOR`].
    pub password: bool,
    /// Whether CQL speaks TLS, and nothing else.
    pub tls: bool,
    /// Whether JMX asks for account and password: [`JMX_ACCOUNT`].
    pub jmx_password: bool,
    pub cluster: String,
    pub num_tokens: usize,
    /// Fixed tokens, `num_tokens` of them; none lets the server choose.
    pub tokens: Vec<String>,
    /// More lines of `cassandra.yaml`.
    pub more: String,
    /// Whom it runs as, which only root can ask for; all that it has is theirs then, and it reads nothing of root's.
    pub user: Option<u32>,
    /// An empty or absent folder of the caller's, which outlives the server; otherwise one that goes with it.
    pub folder: Option<PathBuf>,
}

impl Spec {
    /// A server of this version; of 5.0 with BTI, which is what differs most from 4.1.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            bti: version == Version::V50,
            data_directories: 1,
            last_directory: None,
            system_apart: false,
            password: false,
            tls: false,
            jmx_password: false,
            cluster: "Test Cluster".into(),
            num_tokens: 4,
            tokens: Vec::new(),
            more: String::new(),
            user: None,
            folder: None,
        }
    }

    /// The data directories of a server in this folder, without the one of the system.
    pub fn directories(&self, home: &Path) -> Vec<PathBuf> {
        let name = |at: usize| if at == 0 { "data".into() } else { format!("data{}", at + 1) };
        let mut directories: Vec<PathBuf> = (0..self.data_directories).map(|at| home.join(name(at))).collect();
        if let (Some(last), Some(other)) = (directories.last_mut(), &self.last_directory) {
            last.clone_from(other);
        }
        directories
    }

    /// Writes everything that the server and its scripts read into its folder.
    pub(super) fn write(&self, home: &Path, places: &Places) {
        for folder in ["bin", "conf", "log", "tmp"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        let scripts = [
            ("running", include_str!("../../../../servers/cassandra/running")),
            ("start", include_str!("../../../../servers/cassandra/start")),
            ("stop", include_str!("../../../../servers/cassandra/stop")),
            ("nodetool", include_str!("../../../../servers/cassandra/nodetool")),
            ("keep", include_str!("../../../../servers/cassandra/keep")),
        ];
        for (name, text) in scripts {
            let script = home.join("bin").join(name);
            fs::write(&script, text).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let conf = home.join("conf");
        fs::write(conf.join("logback.xml"), include_str!("../../../../servers/cassandra/logback.xml")).unwrap();
        fs::write(conf.join("logback-tools.xml"), include_str!("../../../../servers/cassandra/logback-tools.xml")).unwrap();
        fs::write(conf.join("cassandra-rackdc.properties"), "dc=dc1\nrack=rack1\n").unwrap();
        fs::write(conf.join("cassandra.yaml"), self.yaml(home, places)).unwrap();
        if self.tls {
            key_store(&conf, places.address);
        }
        if self.jmx_password {
            let [account, password] = JMX_ACCOUNT;
            secret(&conf.join("jmx.password"), &format!("{account} {password}\n"));
            secret(&conf.join("jmx.access"), &format!("{account} {JMX_RIGHTS}\n"));
        }
        if self.user.is_some() {
            fs::create_dir(home.join("lib")).unwrap();
            for jar in self.version.jars() {
                fs::copy(&jar, home.join("lib").join(Path::new(&jar).file_name().unwrap())).unwrap();
            }
        }
        fs::write(home.join("server.options"), self.server_options(home, places)).unwrap();
        fs::write(home.join("nodetool.options"), self.version.nodetool_options(home, &self.version.jars())).unwrap();
        if let Some(user) = self.user {
            fs::write(home.join("user"), user.to_string()).unwrap();
            let given = Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(home).status().unwrap();
            assert!(given.success(), "only root gives files away");
        }
    }

    fn yaml(&self, home: &Path, places: &Places) -> String {
        let mut yaml = include_str!("../../../../servers/cassandra/cassandra.yaml").to_owned();
        let words = [
            ("@CLUSTER@", self.cluster.replace('\'', "''")),
            ("@NUM_TOKENS@", self.num_tokens.to_string()),
            ("@ADDRESS@", places.address.to_string()),
            ("@STORAGE_PORT@", places.storage.to_string()),
            ("@SSL_STORAGE_PORT@", places.ssl_storage.to_string()),
            ("@CQL_PORT@", places.cql.to_string()),
            ("@HOME@", home.display().to_string()),
        ];
        for (word, value) in words {
            yaml = yaml.replace(word, &value);
        }
        let mut lines = vec!["data_file_directories:".to_owned()];
        lines.extend(self.directories(home).iter().map(|folder| format!("  - {}", folder.display())));
        if self.system_apart {
            lines.push(format!("local_system_data_file_directory: {}", home.join("system").display()));
        }
        if !self.tokens.is_empty() {
            lines.push(format!("initial_token: '{}'", self.tokens.join(",")));
        }
        let who =
            if self.password { ["PasswordAuthenticator", "CassandraAuthorizer"] } else { ["AllowAllAuthenticator", "AllowAllAuthorizer"] };
        lines.push(format!("authenticator: {}\nauthorizer: {}", who[0], who[1]));
        lines.push(format!("uuid_sstable_identifiers_enabled: {}", self.bti));
        if self.version == Version::V50 {
            let (format, mode) = if self.bti { ("bti", "NONE") } else { ("big", "CASSANDRA_4") };
            lines.push(format!("sstable:\n  selected_format: {format}\nstorage_compatibility_mode: {mode}"));
        }
        if self.tls {
            let store = home.join("conf/keys.p12");
            lines.push("client_encryption_options:\n  enabled: true\n  optional: false\n  require_client_auth: false".into());
            lines.push(format!("  keystore: {}\n  keystore_password: {STORE_PASSWORD}\n  store_type: PKCS12", store.display()));
        }
        format!("{yaml}\n{}\n{}\n", lines.join("\n"), self.more)
    }

    fn server_options(&self, home: &Path, places: &Places) -> String {
        let conf = home.join("conf");
        let (home, conf) = (home.display(), conf.display());
        let mut jars = self.version.jars();
        if self.user.is_some() {
            let own = |jar: &String| format!("{home}/lib/{}", Path::new(jar).file_name().unwrap().display());
            jars = jars.iter().map(own).collect();
        }
        let jamm = jars.iter().find(|jar| jar.contains("/jamm-")).unwrap();
        let mut lines = vec![
            // Classes as Java has them in memory, kept by `tests/servers/cassandra/classes`: a third less work for a start.
            format!("-Xlog:disable\n-XX:SharedArchiveFile={}/server.jsa", self.version.folder().display()),
            "-XX:+UnlockDiagnosticVMOptions\n-XX:+AllowArchivingWithJavaAgent".into(),
            "-Xms128M\n-Xmx512M\n-Xss512k\n-XX:+ExitOnOutOfMemoryError".to_owned(),
            format!("-javaagent:{jamm}\n-Djava.io.tmpdir={home}/tmp\n-Djna.tmpdir={home}/tmp\n-Dio.netty.native.workdir={home}/tmp"),
            format!("-XX:ErrorFile={home}/log/crash\n-Dlogback.configurationFile=file://{conf}/logback.xml"),
            format!("-Dcassandra.config=file://{conf}/cassandra.yaml\n-Dcassandra.storagedir={home}\n-Dcassandra.logdir={home}/log"),
            format!("-Dcassandra-rackdc.properties=file://{conf}/cassandra-rackdc.properties\n-Dcassandra-foreground=yes"),
            // It has no peers to wait for, and measures nothing at its start.
            "-Dcassandra.skip_wait_for_gossip_to_settle=0\n-Dcassandra.ring_delay_ms=4000\n-Dcassandra.shutdown_announce_in_ms=0".into(),
            // It looks at the clock five hundred times a second otherwise, and many servers run side by side in the tests.
            "-Dcassandra.approximate_time_precision_ms=20".into(),
            // Its timeouts are for a busy machine; what it owes to views is due at once nevertheless.
            "-Dcassandra.batchlog.replay_timeout_in_ms=100".into(),
            "-Dcassandra.superuser_setup_delay_ms=500\n-Dcassandra.memtable.row_overhead_size=180".into(),
        ];
        let port = places.jmx;
        lines.push(if self.jmx_password {
            format!(
                "-Dcassandra.jmx.remote.port={port}\n-Dcom.sun.management.jmxremote.rmi.port={port}\n-Djava.rmi.server.hostname=127.0.0.1\n\
                 -Dcom.sun.management.jmxremote.authenticate=true\n-Dcom.sun.management.jmxremote.password.file={conf}/jmx.password\n\
                 -Dcom.sun.management.jmxremote.access.file={conf}/jmx.access"
            )
        } else {
            format!("-Dcassandra.jmx.local.port={port}")
        });
        format!("{}\n{}\n-cp\n{}\n", java_options(), lines.join("\n"), jars.join(":"))
    }
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// A loopback address of its own, for CQL and storage.
    pub(super) address: Ipv4Addr,
    pub(super) cql: u16,
    pub(super) storage: u16,
    pub(super) ssl_storage: u16,
    /// On 127.0.0.1, where Cassandra lets JMX listen.
    pub(super) jmx: u16,
}

fn java_options() -> &'static str {
    include_str!("../../../../servers/cassandra/java.options")
}

/// A file that Java reads only if nobody else can.
fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A certificate for the server's address, its authority's as `ca.pem`, and both with the key as a store that Java reads.
fn key_store(conf: &Path, address: Ipv4Addr) {
    authority::issue_for(conf, address);
    let mut openssl = Command::new("openssl");
    openssl.args(["pkcs12", "-export", "-name", "server", "-passout", &format!("pass:{STORE_PASSWORD}")]);
    openssl.arg("-in").arg(conf.join("public.crt")).arg("-inkey").arg(conf.join("private.key")).arg("-out").arg(conf.join("keys.p12"));
    let made = openssl.output().unwrap_or_else(|error| panic!("openssl cannot be started, see the packages in tests/run: {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
