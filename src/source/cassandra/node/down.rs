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
                let why = format!("{why} after {} seconds", DOWN_TIME.as_secs());
                return Err(self.failed("stop", why));
            }
            self.stop.check()?;
            self.clock.sleep(TICK);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::source::cassandra::{NodeConfig, Settings};
    use crate::sys::child::Child;
    use crate::sys::clock::{Clock, FixedClock};
    use crate::sys::stop::Stop;

    /// The folders that hold what only a node writes.
    const FOLDERS: [&str; 3] = ["data", "commitlog", "hints"];

    /// A machine with the folders of a node, and ports that it would listen at.
    struct Machine {
        temp: tempfile::TempDir,
        settings: Settings,
        clock: Hurried,
        stop: Stop,
    }

    /// A clock for which all the time that a node has to end goes by in one moment of waiting.
    #[derive(Debug)]
    struct Hurried(FixedClock);

    impl Clock for Hurried {
        fn now(&self) -> Timestamp {
            self.0.now()
        }

        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }

        fn sleep(&self, _: Duration) {
            self.0.advance(DOWN_TIME);
        }

        fn zone(&self) -> TimeZone {
            self.0.zone()
        }
    }

    impl Machine {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            let path = |below: &str| temp.path().join(below);
            FOLDERS.iter().for_each(|folder| fs::create_dir(path(folder)).unwrap());
            let text = format!(
                "partitioner: Murmur3Partitioner\ndata_file_directories: [{0}/data]\ncommitlog_directory: {0}/commitlog\nhints_directory: {0}/hints\n",
                temp.path().display()
            );
            fs::write(path("cassandra.yaml"), text).unwrap();
            let mut settings = Settings::new(vec!["k".to_owned()], path("cassandra.yaml"));
            // Nothing listens at the first port.
            (settings.cql.address, settings.jmx.port) = (Some(("127.0.0.1".to_owned(), 1)), 1);
            Self { temp, settings, clock: Hurried(FixedClock::at("2026-11-26T00:00:00Z".parse().unwrap())), stop: Stop::new() }
        }

        fn with<T>(&self, act: impl FnOnce(&Control<'_>) -> T) -> T {
            let config = NodeConfig::of(&self.settings).unwrap();
            let (settings, folder) = (&self.settings, self.temp.path());
            act(&Control { settings, config: &config, folder, clock: &self.clock, stop: &self.stop })
        }

        /// What says that the node runs, which keeps it from being proven that it is down.
        fn sign(&self) -> Option<String> {
            let sign = self.with(|control| control.signs_of_life().unwrap());
            let since = self.clock.monotonic();
            let proven = self.with(|control| control.prove_down()).map_err(|error| error.to_string());
            match (&sign, proven) {
                (None, Ok(_)) => assert_eq!(self.clock.monotonic(), since, "what is down is not waited for"),
                (Some(sign), Err(why)) => {
                    assert!(why.contains(sign) && why.ends_with(" after 30 seconds"), "{why}");
                    assert!(self.clock.monotonic() - since > DOWN_TIME, "it has its time to end");
                }
                (sign, proven) => panic!("{sign:?} and {proven:?}"),
            }
            sign
        }
    }

    /// A process that holds a file until it is dropped.
    fn hold(file: &Path) -> Child {
        // It says so once it is the program that it stays: while one takes the place of another, nobody sees what it holds.
        let script = format!("exec 3>'{}'; (exec 3>&-; sleep 0.2; echo on) & exec sleep 60", file.display());
        let words = ["sh".to_owned(), "-c".to_owned(), script];
        let mut child =
            Child::start(&words, &[("PATH", "/usr/bin:/bin".to_owned())], false, Duration::from_secs(60), &Stop::new()).unwrap();
        child.read(&mut [0; 2]).unwrap();
        child
    }

    #[test]
    fn each_sign_of_life_alone_says_that_the_node_runs() {
        let mut machine = Machine::new();
        assert_eq!(machine.sign(), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        machine.settings.cql.address = Some(("127.0.0.1".to_owned(), port));
        assert_eq!(machine.sign(), Some(format!("it still takes CQL at 127.0.0.1:{port}")));
        // As a node that has closed it and goes on otherwise (`nodetool disablebinary`).
        machine.settings.cql.address = Some(("127.0.0.1".to_owned(), 1));
        machine.settings.jmx.port = port;
        assert_eq!(machine.sign(), Some(format!("something still listens at 127.0.0.1:{port}, where its JMX is")));
        machine.settings.jmx.port = 1;
        for folder in FOLDERS {
            let file = machine.temp.path().canonicalize().unwrap().join(folder).join("held");
            let child = hold(&file);
            let sign = machine.sign().unwrap();
            assert!(sign.starts_with(&format!("process {} (", child.id())), "{sign}");
            assert!(sign.ends_with(&format!(") still holds {}", file.display())), "{sign}");
            drop(child);
            assert_eq!(machine.sign(), None);
        }
    }
}
