//! `[mysql.NAME]`: which databases of which server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::file::Source;
use super::mistake::Gatherer;
use super::secret::WrittenSecret;
use super::section::{Section, Written};
use crate::ops::spec::{Address, DATABASES_MAX, LOCK_WAIT, MysqlSettings, PORT, SILENCE, SourceKind, SourceSpec, is_beside};
use crate::sys::environment::Environment;

/// The least time that a dump waits for a table that somebody holds.
const LOCK_WAIT_MIN: Duration = Duration::from_secs(1);

/// Longest name of a database, in characters.
const NAME_MAX: usize = 64;

/// Databases of the server itself.
const SYSTEM: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];

/// What was written.
#[derive(Debug)]
pub(super) struct Mysql {
    databases: Option<Written<Vec<String>>>,
    socket: Option<Written<PathBuf>>,
    host: Option<Written<String>>,
    port: Option<Written<u32>>,
    user: Option<Written<String>>,
    pub(super) password: Option<WrittenSecret>,
    tls: Option<Written<bool>>,
    ca_file: Option<Written<PathBuf>>,
    defaults_file: Option<Written<PathBuf>>,
    dump: Option<Written<Vec<String>>>,
    client: Option<Written<Vec<String>>>,
    accounts: Option<Written<bool>>,
    order_by_primary: Option<Written<bool>>,
    lock_tables: Option<Written<bool>>,
    lock_wait: Option<Written<Duration>>,
}

impl Mysql {
    /// Reads the keys of this kind.
    pub(super) fn read(table: &Section<'_, '_>, gather: &Gatherer<'_>) -> Self {
        Self {
            databases: table.texts("databases"),
            socket: table.path("socket"),
            host: table.text("host"),
            port: table.number("port", 1, 65_535),
            user: table.text("user"),
            password: WrittenSecret::read(table, gather, ["password", "password_file", "password_env"]),
            tls: table.flag("tls"),
            ca_file: table.path("ca_file"),
            defaults_file: table.path("defaults_file"),
            dump: table.texts("dump"),
            client: table.texts("client"),
            accounts: table.flag("accounts"),
            order_by_primary: table.flag("order_by_primary"),
            lock_tables: table.flag("lock_tables"),
            lock_wait: table.duration("lock_wait"),
        }
    }

    /// What is meant; what is wrong goes to the gatherer.
    pub(super) fn resolve(&self, source: &Source, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<MysqlSettings> {
        let databases = self.databases(source, gather);
        let address = self.address(gather);
        self.check_tls(source, address.as_ref(), gather);
        for words in [&self.dump, &self.client].into_iter().flatten() {
            if words.value.first().is_none_or(String::is_empty) {
                gather.mistake(words.at, &words.key, "this must be a program and its first arguments, such as [\"mariadb-dump\"]");
            }
        }
        if let Some(time) = self.lock_wait.as_ref().filter(|time| !(LOCK_WAIT_MIN..=SILENCE).contains(&time.value)) {
            gather.mistake(time.at, &time.key, "this must be from 1s to 4h: a dump program that gives nothing for longer is ended anyway");
        }
        if let Some(user) = self.user.as_ref().filter(|user| user.value.is_empty()) {
            gather.mistake(user.at, &user.key, "the account of nobody: name one, or take this out");
        }
        let password = match &self.password {
            Some(written) => Some(written.look_up(environment, gather)?),
            None => None,
        };
        let flag = |written: &Option<Written<bool>>, default| written.as_ref().map_or(default, |written| written.value);
        Some(MysqlSettings {
            address,
            user: self.user.as_ref().map(|user| user.value.clone()),
            password,
            tls: self.tls.as_ref().map(|tls| tls.value),
            ca_file: self.ca_file.as_ref().map(|path| path.value.clone()),
            defaults_file: self.defaults_file.as_ref().map(|path| path.value.clone()),
            dump: self.dump.as_ref().map(|words| words.value.clone()),
            client: self.client.as_ref().map(|words| words.value.clone()),
            accounts: flag(&self.accounts, false),
            order_by_primary: flag(&self.order_by_primary, true),
            lock_tables: flag(&self.lock_tables, true),
            lock_wait: self.lock_wait.as_ref().map_or(LOCK_WAIT, |time| time.value),
            ..MysqlSettings::new(databases?)
        })
    }

    fn databases(&self, source: &Source, gather: &Gatherer<'_>) -> Option<Vec<String>> {
        let Some(written) = &self.databases else {
            let message = "this is missing: say which databases, such as [\"ellis\"]";
            gather.missing(source.name.at, format!("{}.databases", source.name.key), message);
            return None;
        };
        let names = &written.value;
        let mistake = |message: String| gather.mistake(written.at, &written.key, message);
        if names.is_empty() || names.len() > DATABASES_MAX {
            mistake(format!("a source has from 1 to {DATABASES_MAX} databases"));
        }
        for (at, name) in names.iter().enumerate() {
            if SYSTEM.iter().any(|system| system.eq_ignore_ascii_case(name)) {
                mistake(format!(
                    "`{name}` is the server's own, and no dump of it makes another server alike: `accounts = true` keeps its accounts"
                ));
            } else if name.is_empty() || name.chars().count() > NAME_MAX || name.ends_with(' ') || name.contains('\0') {
                mistake(format!("{name:?} is no name of a database"));
            } else if is_beside(name) {
                mistake(format!("`{name}`: names like that are those which restores give to what they load and set aside"));
            } else if names[..at].contains(name) {
                mistake(format!("`{name}` is named twice"));
            }
        }
        Some(names.clone())
    }

    fn address(&self, gather: &Gatherer<'_>) -> Option<Address> {
        let port = self.port.as_ref().and_then(|port| u16::try_from(port.value).ok());
        if let Some(socket) = &self.socket {
            let keys = [self.host.as_ref().map(|host| (host.at, &host.key)), self.port.as_ref().map(|port| (port.at, &port.key))];
            for (at, key) in keys.into_iter().flatten() {
                gather.mistake(at, key, format!("the server is reached either by its socket ({}) or by host and port", socket.key));
            }
            return Some(Address::Socket(socket.value.clone()));
        }
        match (&self.host, port) {
            (None, None) => None,
            (host, port) => {
                let host = host.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |host| host.value.clone());
                Some(Address::Tcp { host, port: port.unwrap_or(PORT) })
            }
        }
    }

    fn check_tls(&self, source: &Source, address: Option<&Address>, gather: &Gatherer<'_>) {
        let tls = self.tls.as_ref();
        if let (Some(tls), None) = (tls.filter(|tls| tls.value), &self.ca_file)
            && self.defaults_file.is_none()
        {
            gather.mistake(tls.at, &tls.key, "this needs `ca_file`, the certificate that the server's own must come from");
        }
        if let (Some(tls), Some(ca_file)) = (tls.filter(|tls| !tls.value), &self.ca_file) {
            gather.mistake(ca_file.at, &ca_file.key, format!("this goes with `{} = true`", tls.key));
        }
        match address {
            Some(Address::Socket(_)) => {
                let keys = [tls.map(|tls| (tls.at, &tls.key)), self.ca_file.as_ref().map(|path| (path.at, &path.key))];
                for (at, key) in keys.into_iter().flatten() {
                    gather.mistake(at, key, "this goes with `host`: what goes through a socket does not leave the machine");
                }
            }
            Some(Address::Tcp { host, .. }) if self.ca_file.is_none() && self.defaults_file.is_none() && !is_loopback(host) => {
                gather.warning(format!(
                    "[{}] sends the rows, and what proves its account, over the network in plain: give `ca_file`",
                    source.name.key
                ));
            }
            _ => {}
        }
    }
}

/// That no database belongs to two sources, as far as the file tells which server each has: a restore of one would meet that of the other in what
/// it makes beside it.
pub(super) fn check_apart(written: &[Source], sources: &[SourceSpec], gather: &Gatherer<'_>) {
    let mut seen: BTreeMap<(String, &str), &str> = BTreeMap::new();
    for spec in sources {
        let SourceKind::Mysql(settings) = &spec.kind else { continue };
        let source = spec.name.as_str();
        let databases =
            written.iter().find(|written| written.name.value == source).and_then(|source| source.mysql.as_ref()?.databases.as_ref());
        for name in &settings.databases {
            match (seen.get(&(server(settings), name.as_str())), databases) {
                (Some(first), Some(databases)) if *first != source => gather.mistake(
                    databases.at,
                    &databases.key,
                    format!(
                        "`{name}` of {} belongs to the source `{first}` already, and two restores of it would meet: take it out of one",
                        settings.place()
                    ),
                ),
                (Some(_), _) => {}
                (None, _) => drop(seen.insert((server(settings), name), source)),
            }
        }
    }
}

/// The server, so that two spellings of one are the same.
fn server(settings: &MysqlSettings) -> String {
    match &settings.address {
        Some(Address::Tcp { host, port }) => {
            let host = host.to_lowercase();
            format!("{}:{port}", if host == "localhost" { "127.0.0.1" } else { &host })
        }
        _ => settings.place(),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[path = "mysql_tests.rs"]
mod tests;
