//! What work on a Cassandra node needs beside it.

use crate::ops::scratch::Scratch;
use crate::ops::spec::CassandraSettings;
use crate::ops::{Context, Error};
use crate::source::cassandra::{Control, NodeConfig};
use crate::sys::stop::Stop;

/// The node's configuration, and a folder for the file of a password.
pub(crate) struct Ground {
    /// What `cassandra.yaml` says.
    pub(crate) config: NodeConfig,
    scratch: Scratch,
}

impl Ground {
    /// Reads the node's configuration.
    ///
    /// # Errors
    /// [`Error::Source`]; [`Error::File`].
    pub(crate) fn new(ctx: &Context, settings: &CassandraSettings) -> Result<Self, Error> {
        let config = NodeConfig::read(&settings.config_file)?;
        Ok(Self { config, scratch: Scratch::new(&ctx.state()?.work()?, &*ctx.random)? })
    }

    /// The node as a service.
    pub(crate) fn control<'a>(&'a self, ctx: &'a Context, settings: &'a CassandraSettings, stop: &'a Stop) -> Control<'a> {
        Control { settings, config: &self.config, folder: self.folder(), clock: &*ctx.clock, stop }
    }

    /// The folder for the file of a password, which nobody else can enter.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.scratch.path()
    }
}
