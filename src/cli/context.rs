//! The composition root: makes what the verbs need of configuration, clock, environment and signals.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Globals;
use super::events;
use super::failure::Failure;
use super::identity;
use super::output::Output;
use super::progress::Progress;
use crate::config::{Config, Machine, find};
use crate::format::names::NodeName;
use crate::ops::context::{OpenRepository, Parts};
use crate::ops::keys::{Keys, Recipients};
use crate::ops::retention::Retention;
use crate::ops::rolling::Rules;
use crate::ops::{self, Context};
use crate::repository::{Repository, Settings, Tools};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::environment::{Environment, SystemEnvironment};
use crate::sys::meter::Meter;
use crate::sys::random::{Random, SystemRandom};
use crate::sys::space::SystemSpace;
use crate::sys::stop::Stop;

/// Memory of a run without a configuration: the same as the configuration's default.
const MEMORY: u64 = 128 << 20;

/// One run of the program: what it was told on the command line, and the world it runs in.
pub(super) struct Program {
    pub(super) globals: Globals,
    pub(super) output: Arc<Output>,
    pub(super) environment: Arc<dyn Environment>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) stop: Stop,
    pub(super) meter: Arc<Meter>,
}

/// A context for commands that only read, and whose part of the repository they read; `None` = this node's.
pub(super) struct Reading {
    pub(super) ctx: Context,
    pub(super) node: Option<NodeName>,
}

impl Program {
    /// A run in the real world.
    pub(super) fn new(globals: Globals, output: Arc<Output>, stop: Stop) -> Self {
        Self {
            globals,
            output,
            environment: Arc::new(SystemEnvironment),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            stop,
            meter: Arc::new(Meter::default()),
        }
    }

    /// The configuration file that counts.
    pub(super) fn config_file(&self) -> std::path::PathBuf {
        find::find(self.globals.config.as_deref(), &*self.environment)
    }

    /// The configuration.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        self.load(&self.config_file())
    }

    fn load(&self, file: &Path) -> Result<Config, Failure> {
        let config = Config::load(file, &Machine::this(), &*self.environment)?;
        config.warnings.iter().for_each(|warning| self.output.warning(warning));
        Ok(config)
    }

    /// A context of the configuration, for commands that need one.
    pub(super) fn context(&self) -> Result<Context, Failure> {
        Ok(self.context_of(self.config_alone()?))
    }

    /// A context of the configuration, and which shipped snapshots are to stay.
    pub(super) fn context_and_retention(&self) -> Result<(Context, Option<Retention>), Failure> {
        let config = self.config_alone()?;
        let retention = config.retention;
        Ok((self.context_of(config), retention))
    }

    /// A context of the configuration, and how much of what is stored is read again by itself.
    pub(super) fn context_and_rules(&self) -> Result<(Context, Option<Rules>), Failure> {
        let config = self.config_alone()?;
        let rules = config.verify;
        Ok((self.context_of(config), rules))
    }

    /// The configuration, for commands for which nothing stands in for one.
    pub(super) fn config_alone(&self) -> Result<Config, Failure> {
        self.refuse_without_config()?;
        self.config()
    }

    /// Ends commands that change something where `--repository` stands in for a configuration.
    fn refuse_without_config(&self) -> Result<(), Failure> {
        if self.globals.repository.is_none() {
            return Ok(());
        }
        let readers = "--repository stands in for a configuration only where something is read: list, show, fetch, cat, diff, verify, stats, status --cluster, key check, config recover";
        Err(Failure::Usage(readers.into()))
    }

    /// A context of this configuration.
    pub(super) fn context_of(&self, config: Config) -> Context {
        let repository = self.opener(config.repository);
        let encryption = config.encryption;
        let keys = self.keys(encryption.recipients, encryption.identity_file, encryption.identity_passphrase);
        Context::new(Parts {
            node: config.node,
            keys,
            local: Some(config.local),
            sources: config.sources,
            repository,
            memory: config.memory,
            threads: config.threads,
            ..self.parts()
        })
    }

    /// A context for reading: of the configuration, or of `--repository` alone.
    pub(super) fn reading(&self, node: Option<&NodeName>) -> Result<Reading, Failure> {
        let Some(url) = &self.globals.repository else {
            return Ok(Reading { ctx: self.context()?, node: node.cloned() });
        };
        let node = match node {
            Some(node) => node.clone(),
            None => {
                let host_name = Machine::this().host_name;
                host_name.parse().map_err(|_| {
                    Failure::Usage(format!("the host name `{host_name}` is no node's name: say whose snapshots with --node NAME"))
                })?
            }
        };
        let ctx = self.reading_of(url, Some(&node));
        Ok(Reading { ctx, node: Some(node) })
    }

    /// A context for reading the repository as a whole: of the configuration, or of `--repository` alone, whatever this machine is called.
    pub(super) fn reading_whole(&self) -> Result<Context, Failure> {
        match &self.globals.repository {
            Some(url) => Ok(self.reading_of(url, None)),
            None => self.context(),
        }
    }

    /// A context for reading the repository at this URL.
    fn reading_of(&self, url: &str, node: Option<&NodeName>) -> Context {
        let endpoint = self.globals.endpoint.clone();
        // Somebody who types an endpoint without TLS means it.
        let allow_http = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let settings = Settings { endpoint, allow_http, ..Settings::new(url) };
        let (repository, keys, parts) = (self.opener(settings), self.keys(Recipients::default(), None, None), self.parts());
        let node = node.cloned().unwrap_or_else(|| parts.node.clone());
        Context::new(Parts { node, repository, keys, threads: Machine::this().cores, ..parts })
    }

    /// The parts that do not depend on a configuration.
    fn parts(&self) -> Parts {
        Parts {
            node: "unnamed".parse().expect("this is a name"),
            local: None,
            sources: Vec::new(),
            repository: Arc::new(|| unreachable!("every context says how its repository is opened")),
            keys: Arc::default(),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            space: Arc::new(SystemSpace),
            stop: self.stop.clone(),
            meter: Arc::clone(&self.meter),
            events: events::listener(&self.output),
            memory: MEMORY,
            threads: 1,
        }
    }

    /// Keys with the identity of the command line, else of the configuration.
    fn keys(&self, recipients: Recipients, file: Option<PathBuf>, passphrase: identity::Passphrase) -> Arc<Keys> {
        let open = identity::opener(self.globals.identity_file.clone().or(file), passphrase, &self.output, &self.stop);
        Arc::new(Keys::new(recipients, open))
    }

    fn opener(&self, settings: Settings) -> OpenRepository {
        let environment = Arc::clone(&self.environment);
        let tools = Tools {
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            stop: self.stop.clone(),
            meter: Arc::clone(&self.meter),
        };
        Arc::new(move || Repository::open(&settings, &*environment, tools.clone()))
    }

    /// Shows progress until the value is dropped.
    pub(super) fn progress(&self) -> Progress {
        Progress::show(&self.output, &self.meter, &self.clock)
    }

    /// Fails when the run was asked to stop.
    pub(super) fn check_stop(&self) -> Result<(), ops::Error> {
        Ok(self.stop.check()?)
    }
}
