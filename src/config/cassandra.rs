//! `[cassandra.NAME]`: which keyspaces of which node.

use std::path::PathBuf;

use super::file::Source;
use super::mistake::Gatherer;
use super::secret::WrittenSecret;
use super::section::{Section, Written};
use crate::ops::spec::{ALL, API, CassandraSettings, Cql, Engine, JMX_PORT, Jmx, why_not};
use crate::sys::environment::Environment;
use crate::sys::secret::Secret;

/// The node's configuration where nothing else is said: where Debian's package has it.
const CONFIG_FILE: &str = "/etc/cassandra/cassandra.yaml";

/// The same of ScyllaDB.
const SCYLLA_CONFIG_FILE: &str = "/etc/scylla/scylla.yaml";

/// Most keyspaces of one source: their names go to `nodetool` on one command line.
const KEYSPACES_MAX: usize = 1000;

/// What was written.
#[derive(Debug)]
pub(super) struct Cassandra {
    engine: Option<Written<String>>,
    api: Option<Written<String>>,
    keyspaces: Option<Written<Vec<String>>>,
    config_file: Option<Written<PathBuf>>,
    cql: Option<Written<String>>,
    user: Option<Written<String>>,
    pub(super) password: Option<WrittenSecret>,
    tls: Option<Written<bool>>,
    ca_file: Option<Written<PathBuf>>,
    jmx: Option<Written<String>>,
    jmx_user: Option<Written<String>>,
    pub(super) jmx_password: Option<WrittenSecret>,
    nodetool: Option<Written<Vec<String>>>,
    stop: Option<Written<Vec<String>>>,
    start: Option<Written<Vec<String>>>,
}

impl Cassandra {
    /// Reads the keys of this kind.
    pub(super) fn read(table: &Section<'_, '_>, gather: &Gatherer<'_>) -> Self {
        Self {
            engine: table.text("engine"),
            api: table.text("api"),
            keyspaces: table.texts("keyspaces"),
            config_file: table.path("config_file"),
            cql: table.text("cql"),
            user: table.text("user"),
            password: WrittenSecret::read(table, gather, ["password", "password_file", "password_env"]),
            tls: table.flag("tls"),
            ca_file: table.path("ca_file"),
            jmx: table.text("jmx"),
            jmx_user: table.text("jmx_user"),
            jmx_password: WrittenSecret::read(table, gather, ["jmx_password", "jmx_password_file", "jmx_password_env"]),
            nodetool: table.texts("nodetool"),
            stop: table.texts("stop"),
            start: table.texts("start"),
        }
    }

    /// What is meant; what is wrong goes to the gatherer.
    pub(super) fn resolve(&self, source: &Source, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<CassandraSettings> {
        let keyspaces = self.keyspaces(source, gather);
        self.check_tls(gather);
        self.check_programs(gather);
        let engine = self.engine(gather);
        let usual = if engine == Engine::Cassandra { CONFIG_FILE } else { SCYLLA_CONFIG_FILE };
        let config_file = self.config_file.as_ref().map_or_else(|| PathBuf::from(usual), |path| path.value.clone());
        let (user, password) = login(self.user.as_ref(), self.password.as_ref(), "password", environment, gather)?;
        let (jmx_user, jmx_password) = login(self.jmx_user.as_ref(), self.jmx_password.as_ref(), "jmx_password", environment, gather)?;
        let jmx = self.jmx.as_ref().and_then(|written| address(written, "127.0.0.1:7199", gather));
        let nodetool = self.nodetool.as_ref().map_or_else(|| vec!["nodetool".to_owned()], |words| words.value.clone());
        Some(CassandraSettings {
            engine,
            keyspaces: keyspaces?,
            config_file,
            cql: Cql {
                address: self.cql.as_ref().and_then(|written| address(written, "127.0.0.1:9042", gather)),
                user,
                password,
                ca_file: self.ca_file.as_ref().map(|path| path.value.clone()),
                tls: self.tls.as_ref().map(|tls| tls.value),
            },
            jmx: Jmx {
                port: jmx.as_ref().map_or(JMX_PORT, |(_, port)| *port),
                host: jmx.map(|(host, _)| host),
                user: jmx_user,
                password: jmx_password,
                nodetool,
            },
            stop: self.stop.as_ref().map(|words| words.value.clone()),
            start: self.start.as_ref().map(|words| words.value.clone()),
        })
    }

    /// Which server, and that what is said goes with it.
    fn engine(&self, gather: &Gatherer<'_>) -> Engine {
        let is_scylla = match self.engine.as_ref().map(|engine| (engine, engine.value.as_str())) {
            None | Some((_, "cassandra")) => false,
            Some((_, "scylla")) => true,
            Some((engine, _)) => {
                gather.mistake(engine.at, &engine.key, "this must be \"cassandra\" or \"scylla\"");
                return Engine::Cassandra;
            }
        };
        if !is_scylla {
            if let Some(api) = &self.api {
                gather.mistake(api.at, &api.key, "this is for `engine = \"scylla\"`: Cassandra is told what to do by `nodetool`");
            }
            return Engine::Cassandra;
        }
        for (at, key) in self.of_cassandra() {
            gather.mistake(
                at,
                key,
                "this is for Cassandra: ScyllaDB is told what to do over its `api`, and a restore of it is done by hand",
            );
        }
        let usual = || (API.0.to_owned(), API.1);
        Engine::Scylla { api: self.api.as_ref().map_or_else(|| Some(usual()), |written| api(written, gather)).unwrap_or_else(usual) }
    }

    /// Keys that are set and that mean nothing to ScyllaDB.
    fn of_cassandra(&self) -> Vec<(usize, &str)> {
        let texts = [&self.jmx, &self.jmx_user].into_iter().flatten().map(|written| (written.at, written.key.as_str()));
        let words = [&self.nodetool, &self.stop, &self.start].into_iter().flatten().map(|written| (written.at, written.key.as_str()));
        texts.chain(self.jmx_password.iter().map(WrittenSecret::place)).chain(words).collect()
    }

    fn keyspaces(&self, source: &Source, gather: &Gatherer<'_>) -> Option<Vec<String>> {
        let Some(written) = &self.keyspaces else {
            let message =
                "this is missing: say which keyspaces, such as [\"homestead_provisioning\", \"homestead_cache\"], or [\"*\"] for all";
            gather.missing(source.name.at, format!("{}.keyspaces", source.name.key), message);
            return None;
        };
        let names = &written.value;
        let mistake = |message: String| gather.mistake(written.at, &written.key, message);
        if names.is_empty() || names.len() > KEYSPACES_MAX {
            mistake(format!("a source has from 1 to {KEYSPACES_MAX} keyspaces"));
        }
        let has_all = names.iter().any(|name| name == ALL);
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                mistake(format!("`{name}` is named twice"));
            } else if name == ALL {
            } else if let Some(why) = why_not(name) {
                mistake(why);
            } else if has_all && !name.starts_with("system_") {
                mistake(format!("`{ALL}` is every keyspace but Cassandra's own, `{name}` among them: keep one of the two"));
            }
        }
        Some(names.clone())
    }

    fn check_tls(&self, gather: &Gatherer<'_>) {
        if let (Some(tls), None) = (self.tls.as_ref().filter(|tls| tls.value), &self.ca_file) {
            gather.mistake(tls.at, &tls.key, "this needs `ca_file`, the certificate that the node's own must come from");
        }
        if let (Some(tls), Some(ca_file)) = (self.tls.as_ref().filter(|tls| !tls.value), &self.ca_file) {
            gather.mistake(ca_file.at, &ca_file.key, format!("this goes with `{} = true`", tls.key));
        }
    }

    fn check_programs(&self, gather: &Gatherer<'_>) {
        let given = [(&self.nodetool, "[\"nodetool\"]"), (&self.stop, "[\"systemctl\", \"stop\", \"cassandra\"]")];
        for (words, such_as) in given.into_iter().chain([(&self.start, "[\"systemctl\", \"start\", \"cassandra\"]")]) {
            if let Some(words) = words.as_ref().filter(|words| words.value.first().is_none_or(String::is_empty)) {
                gather.mistake(words.at, &words.key, format!("this must be a program and its first arguments, such as {such_as}"));
            }
        }
        let has_password = |word: &String| word == "-pw" || word == "--password" || word.starts_with("--password=");
        if let Some(words) = self.nodetool.as_ref().filter(|words| words.value.iter().any(has_password)) {
            let message = "every user of the machine sees what is on a command line: give the password as `jmx_password_file`";
            gather.mistake(words.at, &words.key, message);
        }
        match (&self.stop, &self.start) {
            (Some(stop), None) => gather.mistake(stop.at, &stop.key, "this goes with `start`: what is stopped must be started again"),
            (None, Some(start)) => gather.mistake(start.at, &start.key, "this goes with `stop`, which says how the node is stopped before"),
            _ => {}
        }
    }
}

/// Who logs in, and with what: both or neither. `None` when a secret is not to be had.
fn login(
    user: Option<&Written<String>>,
    password: Option<&WrittenSecret>,
    key: &str,
    environment: &dyn Environment,
    gather: &Gatherer<'_>,
) -> Option<(Option<String>, Option<Secret>)> {
    match (user, password) {
        (Some(user), None) => gather.mistake(user.at, &user.key, format!("this needs a password: give `{key}_file`")),
        (None, Some(password)) => {
            let (at, name) = password.place();
            gather.mistake(at, name, "this needs a name to go with it: give `user`, or for JMX `jmx_user`");
        }
        (Some(user), _) if user.value.is_empty() => gather.mistake(user.at, &user.key, "the login of nobody: name one, or take this out"),
        _ => {}
    }
    let password = match password {
        Some(written) => Some(written.look_up(environment, gather)?),
        None => None,
    };
    Some((user.map(|user| user.value.clone()), password))
}

/// Where an API is, written `http://HOST:PORT`.
fn api(written: &Written<String>, gather: &Gatherer<'_>) -> Option<(String, u16)> {
    let bare = |text: &str| Some(text.strip_prefix("http://")?.trim_end_matches('/').to_owned());
    let found = bare(&written.value).as_deref().and_then(host_and_port);
    if found.is_none() {
        let message = "this must be a place of plain HTTP, such as \"http://127.0.0.1:10000\": ScyllaDB's API speaks no TLS";
        gather.mistake(written.at, &written.key, message);
    }
    found
}

/// A host and a port, written `HOST:PORT`; an IPv6 address stands in brackets.
fn address(written: &Written<String>, such_as: &str, gather: &Gatherer<'_>) -> Option<(String, u16)> {
    let found = host_and_port(&written.value);
    if found.is_none() {
        gather.mistake(written.at, &written.key, format!("this must be a host and a port, such as \"{such_as}\" or \"[::1]:7199\""));
    }
    found
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<std::net::Ipv6Addr>().ok().map(|_| host)?,
        None if host.is_empty() || host.contains([':', '/', '[', ']', '@']) || host.contains(char::is_whitespace) => return None,
        None => host,
    };
    Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

#[cfg(test)]
#[path = "cassandra_tests.rs"]
mod tests;
