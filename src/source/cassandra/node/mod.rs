//! A node as a service: relieved of what it owes, drained, stopped, proven to be down, started again, and looked at.
//!
//! What a command says is never enough. A node is up when it takes CQL; it is down when nothing listens where it takes CQL and JMX, and no process
//! holds a file of its data, commit log or hints.

mod batches;
mod builds;
mod check;
mod down;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

pub use builds::Unbuilt;
pub use check::Expected;

use super::cql::{Connection, cql_place};
use super::exchange::Unindexed;
use super::node_config::NodeConfig;
use super::nodetool::{Nodetool, environment};
use super::refused;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::clock::Clock;
use crate::sys::command;
use crate::sys::stop::Stop;

/// How long the command that stops the node may take: what is in memory was written before, and a service manager gives up earlier.
const STOP_TIME: Duration = Duration::from_secs(10 * 60);

/// How long after that command the node may still be ending.
const DOWN_TIME: Duration = Duration::from_secs(30);

/// How long the command that starts the node may take: some wait until it answers.
const START_TIME: Duration = Duration::from_secs(30 * 60);

/// How long a node that was started may take until it answers: it opens every SSTable and reads its commit log first.
const UP_TIME: Duration = Duration::from_secs(60 * 60);

/// How long nothing may hold the node's files, while it is waited for, until it counts as ended.
const GONE_TIME: Duration = Duration::from_secs(60);

/// How often it is looked whether the node is up or down.
const TICK: Duration = Duration::from_millis(250);

/// How often it is looked who holds the node's files while it is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a connection to a port of this machine may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// How long something that listens may not answer until that is an error: a node that is killed is gone within a second.
const SETTLE_TIME: Duration = Duration::from_secs(10);

/// How long a node that takes connections may refuse the login: it reads its roles a moment later.
const LOGIN_TIME: Duration = Duration::from_secs(60);

/// How long an index may take to be built: nothing is said meanwhile.
const INDEX_TIME: Duration = Duration::from_secs(12 * 3600);

/// What the node says of an index that is being built (`SecondaryIndexManager.markIndexesBuilding` of 4.1 and 5.0).
const IS_BUILT: &str = "another index build for the same index is currently in progress";

/// How often an index is asked for that is being built: each time a Java program is started.
const BUILD_TICK: Duration = Duration::from_secs(5);

/// How long a drain may say nothing: every memtable of the node is written out first.
const DRAIN_TIME: Duration = Duration::from_secs(2 * 3600);

/// Whether the node is there and lets us not in: it does not know the role, or its password, or there should be one.
pub fn is_refused_login(error: &Error) -> bool {
    matches!(error, Error::Cassandra { why, .. } if refused::is_refused_login(why))
}

/// What is done with a node.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// The source.
    pub settings: &'a Settings,
    /// Its node's configuration.
    pub config: &'a NodeConfig,
    /// A folder that nobody else can enter and that is cleared after a kill: the JMX password is there while `nodetool` runs.
    pub folder: &'a Path,
    /// Tells how long something takes.
    pub clock: &'a dyn Clock,
    /// Whether to stop waiting.
    pub stop: &'a Stop,
}

impl Control<'_> {
    /// Whether it takes CQL, and from us.
    ///
    /// # Errors
    /// [`Error::NodeConfig`]; [`Error::Cassandra`] when something listens there and does not let us in; [`Error::Stopped`].
    pub fn is_up(&self) -> Result<bool, Error> {
        self.lets_us_in(&|_| true)
    }

    /// The same of one that was started for the first time: a role that it does not know, it will not know a moment later either.
    ///
    /// # Errors
    /// As [`Control::is_up`].
    pub fn is_up_and_knows_us(&self) -> Result<bool, Error> {
        self.lets_us_in(&|error| !is_refused_login(error))
    }

    fn lets_us_in(&self, may_pass: &dyn Fn(&Error) -> bool) -> Result<bool, Error> {
        let since = self.clock.monotonic();
        while self.takes_connections()? {
            match Connection::open(self.settings, self.config, self.stop) {
                Ok(_) => return Ok(true),
                // One that ends or begins takes connections for a moment, and nothing comes of them.
                Err(error @ Error::Cassandra { .. }) if may_pass(&error) && self.clock.monotonic().saturating_sub(since) < SETTLE_TIME => {
                    std::thread::sleep(TICK);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Whether something listens where it takes CQL.
    ///
    /// # Errors
    /// [`Error::NodeConfig`]; [`Error::Cassandra`] when the name of its address cannot be resolved.
    pub fn takes_connections(&self) -> Result<bool, Error> {
        let (host, port) = cql_place(self.settings, self.config)?;
        self.listens(&host, port)
    }

    /// Has it write out all that it has in memory, of all keyspaces; it takes nothing afterwards.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what nodetool said; [`Error::Stopped`].
    pub fn drain(&self) -> Result<(), Error> {
        self.nodetool().run("drain", &["drain".to_owned()], DRAIN_TIME).map(drop)
    }

    fn nodetool(&self) -> Nodetool<'_> {
        Nodetool::new(self.settings, self.folder, self.stop)
    }

    /// Has it build an index anew whose files have not come. A build of it that is under way, which a killed run may have begun, is waited for.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what nodetool said; [`Error::Stopped`].
    pub fn rebuild_index(&self, index: &Unindexed) -> Result<(), Error> {
        let words = ["rebuild_index", "--", &index.keyspace, &index.table, &index.index].map(str::to_owned);
        let started = self.clock.monotonic();
        loop {
            match self.nodetool().run("build an index of", &words, INDEX_TIME).map(drop) {
                Err(Error::Cassandra { why, .. }) if why.contains(IS_BUILT) && self.clock.monotonic() - started < INDEX_TIME => {
                    self.stop.check()?;
                    self.clock.sleep(BUILD_TICK);
                }
                ended => return ended,
            }
        }
    }

    /// Stops it by the configured command and proves that it is down. Gives what could not be looked at.
    ///
    /// # Errors
    /// [`Error::Cassandra`] when the command fails, or the node is not down afterwards; [`Error::Stopped`].
    pub fn halt(&self) -> Result<Vec<String>, Error> {
        let was_up = self.signs_of_life()?.is_some();
        let ran = self.command("stop", self.settings.stop.as_deref(), STOP_TIME)?;
        // Where nothing ran, there was nothing to stop, and some commands complain of that.
        if was_up && !ran.is_well() && self.signs_of_life()?.is_some() {
            return Err(self.failed("stop", format!("the `stop` command ended with {}", ran.how())));
        }
        self.prove_down().map_err(|error| match error {
            Error::Cassandra { what, node, why } if ran.is_well() => {
                Error::Cassandra { what, node, why: format!("the `stop` command ended well, and {why}") }
            }
            error => error,
        })
    }

    /// Starts it by the configured command and waits until it answers.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what the command said, also when the node ends again or does not answer in time; [`Error::Stopped`].
    pub fn start(&self) -> Result<(), Error> {
        self.start_and(&|| self.log_in(&|_| true))
    }

    /// Starts one that has never run. It makes one role a moment later, with one password, so any other login that it refuses is refused for good.
    ///
    /// # Errors
    /// As [`Control::start`]; [`is_refused_login`] tells where it runs and does not know the role.
    pub fn start_first(&self) -> Result<(), Error> {
        let may_come = self.settings.cql.is_first_login();
        self.start_and(&|| self.log_in(&|error| may_come || !is_refused_login(error)))
    }

    fn start_and(&self, log_in: &dyn Fn() -> Result<(), Error>) -> Result<(), Error> {
        let ran = self.command("start", self.settings.start.as_deref(), START_TIME)?;
        // Some fail where the node runs or is coming up already, as after a kill of the run that has started it: then it is waited for.
        if !ran.is_well() && self.signs_of_life()?.is_none() {
            return Err(self.failed("start", format!("the `start` command ended with {}", ran.how())));
        }
        self.wait_until_up().and_then(|()| log_in()).map_err(|error| match error {
            // Its log has nothing to say of a login.
            error if is_refused_login(&error) => error,
            Error::Cassandra { what, node, mut why } => {
                let _ = write!(why, "; the `start` command ended with {}; the node's own log (system.log) tells more", ran.how());
                Error::Cassandra { what, node, why }
            }
            error => error,
        })
    }

    fn wait_until_up(&self) -> Result<(), Error> {
        let since = self.clock.monotonic();
        let waited = |since: Duration| self.clock.monotonic().saturating_sub(since);
        let (mut seen, mut looked) = (since, since);
        while !self.takes_connections()? {
            self.stop.check()?;
            std::thread::sleep(TICK);
            if waited(looked) >= LOOK_EVERY {
                looked = self.clock.monotonic();
                let held = self.held()?;
                if !held.holders.is_empty() || !down::told_unseen(&held).is_empty() {
                    seen = looked;
                }
            }
            if waited(seen) > GONE_TIME {
                return Err(
                    self.failed("start", format!("no process has held its files for {} seconds: it has ended again", GONE_TIME.as_secs()))
                );
            }
            if waited(since) > UP_TIME {
                return Err(self.failed("start", format!("it does not take CQL after {} minutes", UP_TIME.as_secs() / 60)));
            }
        }
        Ok(())
    }

    /// Waits until it lets us in, for as long as what it says `may_pass`.
    fn log_in(&self, may_pass: &dyn Fn(&Error) -> bool) -> Result<(), Error> {
        let since = self.clock.monotonic();
        loop {
            match Connection::open(self.settings, self.config, self.stop) {
                Err(error @ Error::Cassandra { .. }) if !may_pass(&error) || self.clock.monotonic().saturating_sub(since) > LOGIN_TIME => {
                    return Err(error);
                }
                Err(Error::Cassandra { .. }) => std::thread::sleep(TICK),
                opened => return opened.map(drop),
            }
        }
    }

    /// Looks, before the node is stopped, whether the programs that stop and start it are there.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the one that is not.
    pub fn check_commands(&self) -> Result<(), Error> {
        for (what, words) in [("stop", &self.settings.stop), ("start", &self.settings.start)] {
            if let Some(program) = words.iter().flatten().next()
                && !command::is_program(program, &environment())
            {
                let why = format!("`{program}`, which the `{what}` of the source begins with, is no program that can be run: mend it");
                return Err(Error::Refused { why });
            }
        }
        Ok(())
    }

    fn command(&self, what: &'static str, words: Option<&[String]>, time: Duration) -> Result<command::Ran, Error> {
        let Some(words) = words else {
            let why = format!("no `{what}` command is configured for the source");
            return Err(self.failed(what, why));
        };
        command::run(words, &environment(), time, self.stop).map_err(|error| match error {
            crate::sys::Error::Program { what: doing, program, cause } => self.failed(what, format!("cannot {doing} `{program}`: {cause}")),
            error => error.into(),
        })
    }

    fn listens(&self, host: &str, port: u16) -> Result<bool, Error> {
        let addresses =
            (host, port).to_socket_addrs().map_err(|cause| self.failed("find", format!("the name {host} cannot be resolved: {cause}")))?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        Ok(addresses.iter().any(|address| TcpStream::connect_timeout(address, CONNECT_TIME).is_ok()))
    }

    fn failed(&self, what: &'static str, why: String) -> Error {
        Error::Cassandra { what, node: self.settings.place(), why }
    }
}
