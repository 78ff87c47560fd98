//! The configuration as it is in force, every default filled in and no secret shown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::http::OFF;
use super::schedule::NEVER;
use super::units::{duration_text, size_text};
use super::{Config, repository};
use crate::agent::pattern::Pattern;
use crate::ops::hooks::Hooks;
use crate::ops::retention::Retention;
use crate::ops::rolling::Rules;
use crate::ops::spec::{Address, CassandraSettings, Engine, MysqlSettings, SOCKET, SourceKind, SourceSpec};

/// What `config show` prints; the same tables and keys as in the file.
#[derive(Debug, Serialize)]
pub struct Shown {
    node: BTreeMap<&'static str, String>,
    local: Local,
    repository: BTreeMap<&'static str, toml::Value>,
    limits: Limits,
    agent: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<BTreeMap<&'static str, toml::Value>>,
    verify: BTreeMap<&'static str, toml::Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    directory: BTreeMap<String, Source>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sqlite: BTreeMap<String, Source>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mysql: BTreeMap<String, Source>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cassandra: BTreeMap<String, Source>,
}

#[derive(Debug, Serialize)]
struct Local {
    dir: String,
    tight: bool,
    undo_for: String,
}

#[derive(Debug, Serialize)]
struct Limits {
    memory: String,
    threads: usize,
}

#[derive(Debug, Serialize)]
struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The keys of its kind, where what it is is kept by a server.
    #[serde(flatten)]
    of_server: BTreeMap<&'static str, toml::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_filesystems: Option<bool>,
    objective: String,
    schedule: toml::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    jitter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<&'static str>,
    keep: usize,
    level: i32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    hooks: BTreeMap<&'static str, toml::Value>,
}

/// What stands in place of a secret.
const HIDDEN: &str = "(secret)";

impl Shown {
    /// What is in force.
    pub fn of(config: &Config) -> Self {
        let of_kind = |word: &str| {
            let sources = config.sources.iter().filter(|source| source.kind.word() == word);
            sources.map(|source| (source.name.to_string(), Source::of(source, config))).collect()
        };
        Self {
            node: [("name", config.node.to_string())].into(),
            local: Local {
                dir: config.local.dir.display().to_string(),
                tight: config.local.tight,
                undo_for: duration_text(config.local.undo_for),
            },
            repository: shown_repository(config),
            limits: Limits { memory: size_text(config.memory), threads: config.threads },
            agent: shown_agent(config),
            retention: config.retention.as_ref().map(shown_retention),
            verify: shown_verify(config.verify.as_ref()),
            directory: of_kind("directory"),
            sqlite: of_kind("sqlite"),
            mysql: of_kind("mysql"),
            cassandra: of_kind("cassandra"),
        }
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("tables of texts, numbers and lists are TOML")
    }
}

impl Source {
    fn of(source: &SourceSpec, config: &Config) -> Self {
        let (_, timetable) = config.timetables.iter().find(|(name, _)| *name == source.name).expect("every source has one");
        let (exclude, cross_filesystems) = match &source.kind {
            SourceKind::Directory { exclude, cross_filesystems, .. } => (Some(exclude.clone()), Some(*cross_filesystems)),
            _ => (None, None),
        };
        Self {
            path: source.kind.path().map(|path| path.display().to_string()),
            of_server: match &source.kind {
                SourceKind::Mysql(settings) => shown_mysql(settings),
                SourceKind::Cassandra(settings) => shown_cassandra(settings),
                _ => BTreeMap::new(),
            },
            exclude,
            cross_filesystems,
            objective: duration_text(source.objective),
            schedule: shown_patterns(&timetable.patterns),
            time_zone: timetable.zone.as_ref().and_then(|zone| zone.iana_name().map(str::to_owned)),
            jitter: duration_text(timetable.jitter),
            heartbeat: config.notices.heartbeats.get(&source.name).map(|_| HIDDEN),
            keep: source.keep,
            level: source.level,
            hooks: shown_hooks(&source.hooks),
        }
    }
}

fn shown_verify(rules: Option<&Rules>) -> BTreeMap<&'static str, toml::Value> {
    let Some(rules) = rules else { return [("every", NEVER.into())].into() };
    let mut shown: BTreeMap<&'static str, toml::Value> =
        [("every", duration_text(rules.every).into()), ("local", rules.local.into())].into();
    shown.extend(rules.bytes.map(|bytes| ("bytes", size_text(bytes).into())));
    shown.extend(rules.time.map(|time| ("time", duration_text(time).into())));
    shown
}

/// Those that there are, and how long they may take.
fn shown_hooks(hooks: &Hooks) -> BTreeMap<&'static str, toml::Value> {
    let all = [("before", &hooks.before), ("after", &hooks.after), ("failed", &hooks.failed)];
    let given = all.into_iter().filter(|(_, words)| !words.is_empty());
    let mut shown: BTreeMap<&'static str, toml::Value> = given.map(|(hook, words)| (hook, words.clone().into())).collect();
    if !shown.is_empty() {
        shown.insert("timeout", duration_text(hooks.timeout).into());
    }
    shown
}

/// As it can be written: one text, or a list of several.
fn shown_patterns(patterns: &[Pattern]) -> toml::Value {
    match patterns {
        [] => NEVER.into(),
        [one] => one.to_string().into(),
        several => several.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
    }
}

fn shown_mysql(settings: &MysqlSettings) -> BTreeMap<&'static str, toml::Value> {
    let mut shown: BTreeMap<&'static str, toml::Value> = BTreeMap::new();
    shown.insert("databases", settings.databases.clone().into());
    match &settings.address {
        Some(Address::Socket(path)) => drop(shown.insert("socket", path.display().to_string().into())),
        Some(Address::Tcp { host, port }) => {
            shown.insert("host", host.clone().into());
            shown.insert("port", i64::from(*port).into());
        }
        None if settings.defaults_file.is_none() => drop(shown.insert("socket", SOCKET.into())),
        None => {}
    }
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| toml::Value::from(path.display().to_string()));
    let given = [
        ("user", settings.user.clone().map(toml::Value::from)),
        ("password", settings.password.as_ref().map(|_| HIDDEN.into())),
        ("tls", settings.tls.map(toml::Value::from)),
        ("ca_file", path(&settings.ca_file)),
        ("defaults_file", path(&settings.defaults_file)),
        ("dump", settings.dump.clone().map(toml::Value::from)),
        ("client", settings.client.clone().map(toml::Value::from)),
        ("accounts", Some(settings.accounts.into())),
        ("order_by_primary", Some(settings.order_by_primary.into())),
        ("lock_tables", Some(settings.lock_tables.into())),
        ("lock_wait", Some(duration_text(settings.lock_wait).into())),
    ];
    shown.extend(given.into_iter().filter_map(|(key, value)| Some((key, value?))));
    shown
}

fn shown_cassandra(settings: &CassandraSettings) -> BTreeMap<&'static str, toml::Value> {
    let (cql, jmx) = (&settings.cql, &settings.jmx);
    let told = |host: &str, port: u16| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let (engine, api) = match &settings.engine {
        Engine::Cassandra => ("cassandra", None),
        Engine::Scylla { api: (host, port) } => ("scylla", Some(format!("http://{}", told(host, *port)))),
    };
    let nodetool = api.is_none().then(|| jmx.nodetool.clone());
    let given = [
        ("engine", Some(engine.into())),
        ("api", api.map(toml::Value::from)),
        ("keyspaces", Some(settings.keyspaces.clone().into())),
        ("config_file", Some(settings.config_file.display().to_string().into())),
        ("cql", cql.address.as_ref().map(|(host, port)| told(host, *port).into())),
        ("user", cql.user.clone().map(toml::Value::from)),
        ("password", cql.password.as_ref().map(|_| HIDDEN.into())),
        ("tls", cql.tls.map(toml::Value::from)),
        ("ca_file", cql.ca_file.as_ref().map(|path| path.display().to_string().into())),
        ("jmx", jmx.host.as_ref().map(|host| told(host, jmx.port).into())),
        ("jmx_user", jmx.user.clone().map(toml::Value::from)),
        ("jmx_password", jmx.password.as_ref().map(|_| HIDDEN.into())),
        ("nodetool", nodetool.map(toml::Value::from)),
        ("stop", settings.stop.clone().map(toml::Value::from)),
        ("start", settings.start.clone().map(toml::Value::from)),
    ];
    given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn shown_repository(config: &Config) -> BTreeMap<&'static str, toml::Value> {
    let settings = &config.repository;
    let mut shown: BTreeMap<&'static str, toml::Value> = BTreeMap::new();
    shown.insert("url", settings.url.clone().into());
    shown.insert("allow_http", settings.allow_http.into());
    // What has a default is shown where it means something.
    for (key, value) in [("virtual_host", settings.virtual_host), ("request_payer", settings.keeping.request_payer)] {
        if value || settings.url.starts_with("s3://") {
            shown.insert(key, value.into());
        }
    }
    if !settings.keeping.tags.is_empty() {
        let tags = settings.keeping.tags.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        shown.insert("tags", toml::Value::Table(tags.collect()));
    }
    let ca_file = settings.ca_file.as_ref().map(|path| path.display().to_string());
    let rate = |limit: Option<u64>| limit.map(|limit| format!("{}/s", size_text(limit)));
    let given = [
        ("endpoint", settings.endpoint.clone()),
        ("region", settings.region.clone()),
        ("ca_file", ca_file),
        ("profile", settings.profile.clone()),
        ("account", settings.account.clone()),
        ("upload_limit", rate(settings.upload_limit)),
        ("download_limit", rate(settings.download_limit)),
        ("storage_class", settings.keeping.storage_class.clone()),
        ("sse", settings.keeping.sse.clone()),
        ("sse_kms_key_id", settings.keeping.sse_kms_key_id.clone()),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            shown.insert(key, value.into());
        }
    }
    let encryption = &config.encryption;
    if !encryption.recipients.is_empty() {
        shown.insert("encrypt_to", encryption.recipients.texts().to_vec().into());
    }
    if let Some(file) = &encryption.identity_file {
        shown.insert("identity_file", file.display().to_string().into());
    }
    if encryption.identity_passphrase.is_some() {
        shown.insert("identity_passphrase", HIDDEN.into());
    }
    for key in repository::secrets(settings) {
        shown.insert(key, HIDDEN.into());
    }
    shown
}

fn shown_agent(config: &Config) -> BTreeMap<&'static str, String> {
    let listen = config.http.as_ref().map_or_else(|| OFF.to_owned(), |http| http.listen.to_string());
    let token = config.http.as_ref().and_then(|http| http.token.as_ref()).map(|_| ("token", HIDDEN.to_owned()));
    let webhook = config.notices.webhook.as_ref().map(|_| ("webhook", HIDDEN.to_owned()));
    [("listen", listen)].into_iter().chain(token).chain(webhook).collect()
}

fn shown_retention(retention: &Retention) -> BTreeMap<&'static str, toml::Value> {
    let counts = [
        ("last", retention.last),
        ("hourly", retention.hourly),
        ("daily", retention.daily),
        ("weekly", retention.weekly),
        ("monthly", retention.monthly),
        ("yearly", retention.yearly),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0).map(|(rule, count)| (rule, i64::from(count).into()));
    counts.chain(retention.within.map(|within| ("within", duration_text(within).into()))).collect()
}
