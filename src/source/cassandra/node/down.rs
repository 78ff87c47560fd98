//! Proof that a node is down.

use std::path::Path;

use super::{Control, DOWN_TIME, TICK};
use crate::source::Error;
use crate::sys::holders::{Held, Holder, holders};

/// Most processes that are told.
const TOLD_MAX: usize = 4;

impl Control<'_> {
    /// Proves that it is down, for which it has half a minute. Gives what could not be looked at.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what speaks against it; [`Error::Stopped`].
    pub fn prove_down(&self) -> Result<Vec<String>, Error> {
        let since = self.clock.monotonic();
        loop {
            let Some(why) = self.signs_of_life()? else { break };
            if self.clock.monotonic().saturating_sub(since) > DOWN_TIME {
                let why = format!("{why} after {} seconds: nothing was moved", DOWN_TIME.as_secs());
                return Err(self.failed("stop", why));
            }
            self.stop.check()?;
            std::thread::sleep(TICK);
        }
        Ok(told_unseen(&self.held()?))
    }

    /// What says that the node runs, if something does.
    ///
    /// # Errors
    /// [`Error::NodeConfig`]; [`Error::System`].
    pub fn signs_of_life(&self) -> Result<Option<String>, Error> {
        let (host, port) = super::cql_place(self.settings, self.config)?;
        if self.listens(&host, port)? {
            return Ok(Some(format!("it still takes CQL at {host}:{port}")));
        }
        let (host, port) = (self.settings.jmx.host.as_deref().unwrap_or("127.0.0.1"), self.settings.jmx.port);
        if self.listens(host, port)? {
            return Ok(Some(format!("something still listens at {host}:{port}, where its JMX is")));
        }
        let told = |holder: &Holder| format!("process {} ({}) still holds {}", holder.process, holder.name, holder.file.display());
        let all: Vec<String> = self.held()?.holders.iter().take(TOLD_MAX).map(told).collect();
        Ok((!all.is_empty()).then(|| all.join(", ")))
    }

    /// Who holds its files.
    pub(super) fn held(&self) -> Result<Held, Error> {
        let config = self.config;
        let more = [&config.commitlog_directory, &config.hints_directory].map(|path| path.as_path());
        let folders: Vec<&Path> = config.all_data_directories().chain(more).collect();
        Ok(holders(&folders)?)
    }
}

/// Processes that may be the node and could not be looked at, which only root can. The kernel's own and most others are told by their names.
pub(super) fn told_unseen(held: &Held) -> Vec<String> {
    let java: Vec<String> = held.unseen.iter().filter(|(_, name)| name == "java").map(|(process, _)| process.to_string()).collect();
    if java.is_empty() {
        return Vec::new();
    }
    let more = if java.len() > TOLD_MAX { ", …" } else { "" };
    let some = java[..java.len().min(TOLD_MAX)].join(", ");
    vec![format!(
        "what the Java processes {some}{more} hold cannot be seen, for they are another user's: whether one is the node is not known"
    )]
}
