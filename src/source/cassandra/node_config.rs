//! What a node's `cassandra.yaml` or `scylla.yaml` says: where its files lie and how it is reached.
//!
//! Only what is used here is read, as Cassandra 4.1 and 5.0 read it (`Config`, `DatabaseDescriptor`): of a key that stands there twice the
//! last one counts, an empty value is the default. What a start script gives the server past its file (`-Dcassandra.…`) nobody can see here.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::settings::Settings;
use crate::source::Error;
use crate::sys::machine::host_name;

/// Most that is read of the file; Cassandra's own, with all its comments, has less than 100 KiB.
const SIZE_MAX: u64 = 1 << 20;

/// Where the folders lie that the file does not name: `cassandra.storagedir`, as the packages for Debian and Red Hat set it.
pub const STORAGE_DIRECTORY: &str = "/var/lib/cassandra";

/// The same of ScyllaDB, where the file has no `workdir`.
const WORK_DIRECTORY: &str = "/var/lib/scylla";

/// What ScyllaDB assumes of a partitioner; it has no other (`db::config`).
const MURMUR3: &str = "org.apache.cassandra.dht.Murmur3Partitioner";

/// What the file says, with Cassandra's own defaults for what it does not.
///
/// All paths are absolute. `None` is what has no default, or none that the file could tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The file itself.
    pub path: PathBuf,
    /// `data_file_directories`, at least one; assumed below [`STORAGE_DIRECTORY`] where it is not written, as the next ones.
    pub data_directories: Vec<PathBuf>,
    /// `local_system_data_file_directory`: where the tables of `system` and `system_schema` lie when it is not the first of the others.
    pub local_system_data_directory: Option<PathBuf>,
    /// `commitlog_directory`.
    pub commitlog_directory: PathBuf,
    /// `hints_directory`.
    pub hints_directory: PathBuf,
    /// `saved_caches_directory`.
    pub saved_caches_directory: PathBuf,
    /// `cdc_raw_directory`.
    pub cdc_raw_directory: PathBuf,
    /// `cluster_name`; `Test Cluster` where it is not written.
    pub cluster_name: String,
    /// `partitioner`, as a whole Java class name.
    pub partitioner: String,
    /// `num_tokens`; where it is not written, the number of `initial_token`, or 1.
    pub num_tokens: Option<u32>,
    /// `initial_token`, one by one.
    pub initial_tokens: Vec<String>,
    /// `endpoint_snitch`.
    pub endpoint_snitch: Option<String>,
    /// `listen_address`; neither this nor the next: the address that the host's own name has.
    pub listen_address: Option<String>,
    /// `listen_interface`, in place of an address.
    pub listen_interface: Option<String>,
    /// `broadcast_address`.
    pub broadcast_address: Option<String>,
    /// `rpc_address`; neither this nor the next: the address that the host's own name has.
    pub rpc_address: Option<String>,
    /// `rpc_interface`, in place of an address.
    pub rpc_interface: Option<String>,
    /// `native_transport_port`; 9042 where it is not written.
    pub native_transport_port: u16,
    /// `native_transport_port_ssl`: where encrypted connections are taken when it is another port.
    pub native_transport_port_ssl: Option<u16>,
    /// `storage_port`; 7000 where it is not written.
    pub storage_port: u16,
    /// `client_encryption_options: enabled`: whether CQL is encrypted; false where it is not written.
    pub client_encryption: bool,
    /// The keys of folders that are not written, so that what stands here is assumed.
    pub assumed: Vec<&'static str>,
}

/// The file as it is written, as far as it is used. All scalars are texts, so that what is wrong with one can be told with its key and line.
#[derive(Deserialize)]
struct Written {
    workdir: Option<Spanned<String>>,
    data_file_directories: Option<Vec<Spanned<String>>>,
    local_system_data_file_directory: Option<Spanned<String>>,
    commitlog_directory: Option<Spanned<String>>,
    hints_directory: Option<Spanned<String>>,
    saved_caches_directory: Option<Spanned<String>>,
    cdc_raw_directory: Option<Spanned<String>>,
    cluster_name: Option<String>,
    partitioner: Option<Spanned<String>>,
    num_tokens: Option<Spanned<String>>,
    initial_token: Option<Spanned<String>>,
    endpoint_snitch: Option<String>,
    listen_address: Option<String>,
    listen_interface: Option<String>,
    broadcast_address: Option<String>,
    rpc_address: Option<String>,
    rpc_interface: Option<String>,
    native_transport_port: Option<Spanned<String>>,
    native_transport_port_ssl: Option<Spanned<String>>,
    storage_port: Option<Spanned<String>>,
    client_encryption_options: Option<Encryption>,
}

#[derive(Deserialize)]
struct Encryption {
    enabled: Option<Spanned<String>>,
}

impl NodeConfig {
    /// Reads the file of a source, as its server reads it.
    ///
    /// # Errors
    /// As [`NodeConfig::read`].
    pub fn of(settings: &Settings) -> Result<Self, Error> {
        Self::read_as(&settings.config_file, settings.is_scylla())
    }

    /// Reads the file as Cassandra reads it.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::NodeConfig`] with line and key, when it is no YAML, or what it says cannot be used. No line of the file is
    /// ever repeated: it holds the passwords of key stores.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_as(path, false)
    }

    fn read_as(path: &Path, is_scylla: bool) -> Result<Self, Error> {
        let text = read_text(path)?;
        let reading = Reading { path, is_scylla };
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins, with_snippet: false };
        let written = serde_saphyr::from_str_with_options(&text, options).map_err(|cause| {
            let line = cause.location().map(|location| location.line());
            reading.wrong(line, format!("it cannot be read: {}", cause.without_snippet()))
        })?;
        reading.finish(written)
    }

    /// The node's data directories, the one of its system tables with them: where folders of keyspaces can be.
    pub fn all_data_directories(&self) -> impl Iterator<Item = &Path> {
        self.data_directories.iter().chain(&self.local_system_data_directory).map(PathBuf::as_path)
    }

    /// Host and port that CQL is answered on, for a client on the node itself.
    ///
    /// # Errors
    /// [`Error::NodeConfig`] when only the name of a network interface is written.
    pub fn cql_address(&self, encrypted: bool) -> Result<(String, u16), Error> {
        let host = match (self.rpc_address.as_deref(), &self.rpc_interface) {
            (Some("0.0.0.0"), _) => "127.0.0.1".to_owned(),
            (Some("::" | "0:0:0:0:0:0:0:0"), _) => "::1".to_owned(),
            (Some(address), _) => address.to_owned(),
            (None, Some(interface)) => {
                let why =
                    format!("`rpc_interface` names the interface {interface}, not an address: say `cql = \"HOST:PORT\"` for the source");
                return Err(Error::NodeConfig { path: self.path.clone(), line: None, why });
            }
            (None, None) => host_name(),
        };
        let port = self.native_transport_port_ssl.filter(|_| encrypted).unwrap_or(self.native_transport_port);
        Ok((host, port))
    }
}

/// The text of a file of a node's configuration.
///
/// # Errors
/// [`Error::File`]; [`Error::NodeConfig`] when it is too large to be one.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(Error::file("read", path))?;
    file.take(SIZE_MAX + 1).read_to_string(&mut text).map_err(Error::file("read", path))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(
            Reading { path, is_scylla: false }.wrong(None, format!("has more than {SIZE_MAX} bytes: is this the configuration of a node?"))
        );
    }
    Ok(text)
}

/// The file that is being read.
struct Reading<'a> {
    path: &'a Path,
    is_scylla: bool,
}

impl Reading<'_> {
    fn wrong(&self, line: Option<u64>, why: String) -> Error {
        Error::NodeConfig { path: self.path.to_owned(), line, why }
    }

    fn wrong_value(&self, key: &str, value: &Spanned<String>, why: &str) -> Error {
        self.wrong(Some(value.referenced.line()), format!("`{key}` {why}"))
    }

    fn finish(&self, written: Written) -> Result<NodeConfig, Error> {
        let mut assumed = Vec::new();
        let storage = match &written.workdir {
            Some(workdir) if self.is_scylla => self.folder("workdir", workdir)?,
            _ => PathBuf::from(if self.is_scylla { WORK_DIRECTORY } else { STORAGE_DIRECTORY }),
        };
        let mut folder = |key, value: Option<Spanned<String>>, name: &str| match value {
            Some(value) => self.folder(key, &value),
            None => {
                assumed.push(key);
                Ok(storage.join(name))
            }
        };
        let commitlog_directory = folder("commitlog_directory", written.commitlog_directory, "commitlog")?;
        let hints_directory = folder("hints_directory", written.hints_directory, "hints")?;
        let saved_caches_directory = folder("saved_caches_directory", written.saved_caches_directory, "saved_caches")?;
        let cdc_raw_directory = folder("cdc_raw_directory", written.cdc_raw_directory, "cdc_raw")?;
        let data = written.data_file_directories.unwrap_or_default();
        let data_directories = if data.is_empty() {
            vec![folder("data_file_directories", None, "data")?]
        } else {
            data.iter().map(|value| self.folder("data_file_directories", value)).collect::<Result<_, _>>()?
        };
        let local = written.local_system_data_file_directory;
        let local = local.map(|value| self.folder("local_system_data_file_directory", &value)).transpose()?;
        let partitioner = match written.partitioner {
            Some(partitioner) => whole_name(&partitioner.value),
            None if self.is_scylla => MURMUR3.to_owned(),
            None => {
                let why = "`partitioner` is missing, and Cassandra does not start without: is this the node's own file?";
                return Err(self.wrong(None, why.into()));
            }
        };
        // Where nothing is said, Cassandra listens at the address of the host's name, and ScyllaDB at that of `localhost`.
        let anywhere = written.rpc_address.is_none() && written.rpc_interface.is_none();
        let rpc_address = if anywhere && self.is_scylla { Some("localhost".to_owned()) } else { written.rpc_address };
        let port = |key, value: Option<Spanned<String>>, default| value.map_or(Ok(default), |value| self.number(key, &value, "no port"));
        let encryption = written.client_encryption_options.and_then(|options| options.enabled);
        let ssl = written.native_transport_port_ssl.map(|value| self.number("native_transport_port_ssl", &value, "no port"));
        Ok(NodeConfig {
            path: self.path.to_owned(),
            data_directories,
            local_system_data_directory: local,
            commitlog_directory,
            hints_directory,
            saved_caches_directory,
            cdc_raw_directory,
            cluster_name: written.cluster_name.unwrap_or_else(|| "Test Cluster".to_owned()),
            partitioner,
            num_tokens: written.num_tokens.map(|value| self.number("num_tokens", &value, "no number of tokens")).transpose()?,
            initial_tokens: written.initial_token.map(|tokens| tokens_of(&tokens.value)).unwrap_or_default(),
            endpoint_snitch: written.endpoint_snitch,
            listen_address: written.listen_address,
            listen_interface: written.listen_interface,
            broadcast_address: written.broadcast_address,
            rpc_address,
            rpc_interface: written.rpc_interface,
            native_transport_port: port("native_transport_port", written.native_transport_port, 9042)?,
            native_transport_port_ssl: ssl.transpose()?,
            storage_port: port("storage_port", written.storage_port, 7000)?,
            client_encryption: encryption.map_or(Ok(false), |value| self.truth("client_encryption_options: enabled", &value))?,
            assumed,
        })
    }

    /// A folder. Cassandra takes a relative one from where it was started, which is nothing that can be known here.
    fn folder(&self, key: &'static str, value: &Spanned<String>) -> Result<PathBuf, Error> {
        match value.value.as_str() {
            "" => Err(self.wrong_value(key, value, "names no folder")),
            path if path.starts_with('/') => Ok(PathBuf::from(path)),
            path => Err(self.wrong_value(
                key,
                value,
                &format!("is `{path}`, which depends on where the server was started: write the whole path"),
            )),
        }
    }

    fn number<T: std::str::FromStr>(&self, key: &str, value: &Spanned<String>, what: &str) -> Result<T, Error> {
        value.value.parse().map_err(|_| self.wrong_value(key, value, &format!("is `{}`, which is {what}", value.value)))
    }

    /// Whether something is so, in the words of YAML 1.1, which Cassandra reads.
    fn truth(&self, key: &str, value: &Spanned<String>) -> Result<bool, Error> {
        match value.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(self.wrong_value(key, value, &format!("is `{}`, which is neither true nor false", value.value))),
        }
    }
}

/// A class name as Cassandra completes it.
fn whole_name(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("org.apache.cassandra.dht.{name}") }
}

fn tokens_of(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "node_config_tests.rs"]
mod tests;
