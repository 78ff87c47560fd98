//! The configuration: from what was written in one TOML file to what is meant.
//!
//! [`find`](find::find) says which file counts; `file` reads it as it was written, each value with its place, and `resolve` gives the
//! [`Config`] that the rest of the program works with: nothing in it needs parsing any more. All mistakes are gathered and shown at once,
//! each with line, column, key and what to do. No secret is ever shown.

mod belonging;
mod cassandra;
mod encryption;
mod file;
pub mod find;
mod hooks;
mod http;
mod keeping;
mod mistake;
mod mysql;
mod notices;
mod places;
mod repository;
mod resolve;
mod retention;
mod schedule;
mod secret;
mod section;
pub mod show;
pub mod units;
mod verify;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use encryption::Encryption;
pub use mistake::{Mistake, Mistakes};

use crate::agent::http::Settings as HttpSettings;
use crate::agent::notices::Addresses;
use crate::agent::schedule::Timetable;
use crate::format::names::{NodeName, SourceName};
use crate::ops::context::LocalSettings;
use crate::ops::retention::Retention;
use crate::ops::rolling::Rules;
use crate::ops::spec::SourceSpec;
use crate::repository::Settings;
use crate::sys::environment::Environment;
use crate::sys::machine;
use mistake::Gatherer;

/// Most bytes of a configuration file: thousands of sources fit, and a file that is not one is refused before it is read whole.
const FILE_MAX: u64 = 4 << 20;

/// The example with every key: what `config example` prints.
pub const EXAMPLE: &str = include_str!("../../deploy/windlass.example.toml");

/// A configuration as it is meant.
#[derive(Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// This node.
    pub node: NodeName,
    /// The local tier.
    pub local: LocalSettings,
    /// The sources, in the order of the file.
    pub sources: Vec<SourceSpec>,
    /// The repository.
    pub repository: Settings,
    /// To whom it is encrypted, and what opens it.
    pub encryption: Encryption,
    /// When the agent backs each of them up, in the same order.
    pub timetables: Vec<(SourceName, Timetable)>,
    /// Where the agent answers over HTTP; `None` = nowhere.
    pub http: Option<HttpSettings>,
    /// Where the agent tells how runs go.
    pub notices: Addresses,
    /// Which shipped snapshots are to stay; `None` = all.
    pub retention: Option<Retention>,
    /// How much of what is stored is read again, and within what time; `None` = nothing of it by itself.
    pub verify: Option<Rules>,
    /// Most resident bytes of the program.
    pub memory: u64,
    /// Most worker threads, at least 1.
    pub threads: usize,
    /// What should be told although the configuration can be used.
    pub warnings: Vec<String>,
}

/// What the defaults take from the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its host name.
    pub host_name: String,
    /// Its cores.
    pub cores: usize,
}

impl Machine {
    /// The machine that the program runs on.
    pub fn this() -> Self {
        Self { host_name: machine::host_name(), cores: machine::cores() }
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such file.
    #[error("there is no configuration file {}", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Mistakes`] with all of them.
    pub fn load(path: &Path, machine: &Machine, environment: &dyn Environment) -> Result<Self, Error> {
        let failed = |cause: std::io::Error| match cause.kind() {
            std::io::ErrorKind::NotFound => Error::Absent { path: path.to_owned() },
            _ => Error::Unreadable { path: path.to_owned(), cause },
        };
        let status = std::fs::metadata(path).map_err(failed)?;
        if status.len() > FILE_MAX {
            return Err(failed(std::io::Error::other("it is larger than 4 MiB, so it is no configuration file")));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let open = status.permissions().mode() & 0o007 != 0;
        Ok(Self::parse(&text, path, open, machine, environment)?)
    }

    /// Reads a text; `open` = every user of the machine can read it.
    ///
    /// # Errors
    /// All mistakes.
    pub fn parse(text: &str, path: &Path, open: bool, machine: &Machine, environment: &dyn Environment) -> Result<Self, Mistakes> {
        let gather = Gatherer::new(text);
        let file = file::File::read(text, &gather);
        let written = &file.repository;
        // An access key id is a name, and no secret.
        let of_buckets = [&written.secret_access_key, &written.session_token];
        let of_clouds = [&written.account_key, &written.sas_token, &written.service_account];
        let secrets = of_buckets.into_iter().chain(of_clouds).chain([&written.identity_passphrase, &file.agent.http.token]);
        let of_sources = file.sources.iter().flat_map(file::Source::secrets);
        let of_agent = [&file.agent.heartbeat, &file.agent.webhook].into_iter().flatten();
        if open && secrets.flatten().chain(of_sources).chain(of_agent).any(secret::WrittenSecret::is_in_the_text) {
            gather.warning(format!("{} holds a secret and can be read by every user of this machine: chmod 600 it", path.display()));
        }
        let config = resolve::resolve(&file, path, machine, environment, &gather);
        let warnings = gather.finish(path)?;
        let config = config.expect("what is missing in a configuration is a mistake");
        Ok(Self { warnings, ..config })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
