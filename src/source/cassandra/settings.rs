//! Which keyspaces of which node, as whom, and by which programs.

use std::fmt;
use std::path::PathBuf;

use crate::sys::secret::Secret;

/// The port that Cassandra's JMX listens on where nothing else is said.
pub const JMX_PORT: u16 = 7199;

/// The role that a node makes when it is first started; its password is the same word.
pub const FIRST_ROLE: &str = "cassandra";

/// How the node is asked in CQL.
#[derive(Clone, Debug, Default)]
pub struct Cql {
    /// Host and port; `None` = `rpc_address` and `native_transport_port` of the node's configuration.
    pub address: Option<(String, u16)>,
    /// The role; `None` = no login.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The certificate, in PEM form, that the node's must come from; with it the connection is encrypted.
    pub ca_file: Option<PathBuf>,
    /// Whether the connection is encrypted; `None` = where a certificate is given.
    pub tls: Option<bool>,
}

impl Cql {
    /// Whether a node that is started for the first time will know who asks.
    pub fn is_first_login(&self) -> bool {
        self.user.as_deref() == Some(FIRST_ROLE) && self.password.as_ref().is_some_and(|password| password.expose() == FIRST_ROLE)
    }
}

/// How the node is told what to do: `nodetool` speaks JMX.
#[derive(Clone, Debug)]
pub struct Jmx {
    /// Host; `None` leaves it to `nodetool`.
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// The user; `None` = no login.
    pub user: Option<String>,
    /// Its password; it goes to `nodetool` in a file of mode 0600.
    pub password: Option<Secret>,
    /// The words of `nodetool`, prefix words such as `ip netns exec NAME` first.
    pub nodetool: Vec<String>,
}

/// Which server the node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Cassandra, which is told what to do by `nodetool`.
    #[default]
    Cassandra,
    /// ScyllaDB, which is told what to do over its HTTP API.
    Scylla {
        /// Host and port of the API.
        api: (String, u16),
    },
}

/// Where ScyllaDB's API listens where nothing else is said (`api_address` and `api_port` of its configuration).
pub const API: (&str, u16) = ("127.0.0.1", 10_000);

/// A Cassandra source, or one of ScyllaDB.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server.
    pub engine: Engine,
    /// The keyspaces, at least one, always taken together; `*` stands for all but those that Cassandra keeps for itself.
    pub keyspaces: Vec<String>,
    /// The node's `cassandra.yaml`, or `scylla.yaml`.
    pub config_file: PathBuf,
    /// How it is asked.
    pub cql: Cql,
    /// How Cassandra is told.
    pub jmx: Jmx,
    /// The words that stop the node, for a restore with the node stopped.
    pub stop: Option<Vec<String>>,
    /// The words that start it again.
    pub start: Option<Vec<String>>,
}

impl Settings {
    /// These keyspaces of the node with this configuration, at its usual ports on this machine.
    pub fn new(keyspaces: Vec<String>, config_file: PathBuf) -> Self {
        let jmx = Jmx { host: None, port: JMX_PORT, user: None, password: None, nodetool: vec!["nodetool".to_owned()] };
        Self { engine: Engine::Cassandra, keyspaces, config_file, cql: Cql::default(), jmx, stop: None, start: None }
    }

    /// Whether the server is ScyllaDB.
    pub fn is_scylla(&self) -> bool {
        matches!(self.engine, Engine::Scylla { .. })
    }

    /// The server's name, for a person.
    pub(super) fn make(&self) -> &'static str {
        if self.is_scylla() { "ScyllaDB" } else { "Cassandra" }
    }

    /// The node, for a person.
    pub fn place(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the {} of {}", self.keyspaces.join(", "), self.make(), self.config_file.display())
    }
}
