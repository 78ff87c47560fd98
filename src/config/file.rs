//! The configuration as it was written: every table and key that this version knows, with its place in the text.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeTable;

use super::cassandra::Cassandra;
use super::hooks::Hooks;
use super::http::Http;
use super::mistake::Gatherer;
use super::mysql::Mysql;
use super::notices;
use super::schedule::Schedule;
use super::secret::WrittenSecret;
use super::section::{Section, Written, unknown};
use super::verify::Verify;

/// Tables of the file.
const TABLES: [&str; 11] =
    ["node", "local", "repository", "limits", "retention", "verify", "agent", "directory", "sqlite", "mysql", "cassandra"];

/// What a later version has.
const LATER: &str = "this version does not have this yet: take it out";

/// Most of a count of snapshots to keep: far above any use, and below what could overflow.
const COUNT_MAX: u32 = 100_000;

/// The whole file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) node: Node,
    pub(super) local: Local,
    pub(super) repository: Repository,
    pub(super) limits: Limits,
    pub(super) retention: Option<Retention>,
    pub(super) verify: Verify,
    pub(super) agent: Agent,
    pub(super) sources: Vec<Source>,
}

/// What stands for all sources that have none of their own.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) schedule: Schedule,
    pub(super) http: Http,
    pub(super) hooks: Hooks,
    pub(super) heartbeat: Option<WrittenSecret>,
    /// Of all sources.
    pub(super) webhook: Option<WrittenSecret>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Option<Written<String>>,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) struct Local {
    pub(super) dir: Option<Written<PathBuf>>,
    pub(super) keep: Option<Written<u32>>,
    pub(super) tight: Option<Written<bool>>,
    pub(super) undo_for: Option<Written<Duration>>,
}

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) at: usize,
    pub(super) url: Option<Written<String>>,
    pub(super) endpoint: Option<Written<String>>,
    pub(super) region: Option<Written<String>>,
    pub(super) allow_http: Option<Written<bool>>,
    pub(super) virtual_host: Option<Written<bool>>,
    pub(super) ca_file: Option<Written<PathBuf>>,
    pub(super) profile: Option<Written<String>>,
    pub(super) access_key_id: Option<WrittenSecret>,
    pub(super) secret_access_key: Option<WrittenSecret>,
    pub(super) session_token: Option<WrittenSecret>,
    pub(super) account: Option<Written<String>>,
    pub(super) account_key: Option<WrittenSecret>,
    pub(super) sas_token: Option<WrittenSecret>,
    pub(super) service_account: Option<WrittenSecret>,
    pub(super) encrypt_to: Option<Written<Vec<String>>>,
    pub(super) identity_file: Option<Written<PathBuf>>,
    pub(super) identity_passphrase: Option<WrittenSecret>,
    pub(super) upload_limit: Option<Written<u64>>,
    pub(super) download_limit: Option<Written<u64>>,
    pub(super) storage_class: Option<Written<String>>,
    pub(super) sse: Option<Written<String>>,
    pub(super) sse_kms_key_id: Option<Written<String>>,
    pub(super) tags: Option<Written<Vec<(String, String)>>>,
    pub(super) request_payer: Option<Written<bool>>,
}

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) memory: Option<Written<u64>>,
    pub(super) threads: Option<Written<u32>>,
}

/// Retention of the repository, by rule.
#[derive(Debug)]
pub(super) struct Retention {
    pub(super) at: usize,
    pub(super) counts: Vec<(&'static str, Option<Written<u32>>)>,
    pub(super) within: Option<Written<Duration>>,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: Written<String>,
    pub(super) kind: Kind,
    pub(super) path: Option<Written<PathBuf>>,
    pub(super) exclude: Option<Written<Vec<String>>>,
    pub(super) cross_filesystems: Option<Written<bool>>,
    pub(super) objective: Option<Written<Duration>>,
    pub(super) keep: Option<Written<u32>>,
    pub(super) level: Option<Written<u32>>,
    pub(super) schedule: Schedule,
    pub(super) hooks: Hooks,
    pub(super) heartbeat: Option<WrittenSecret>,
    /// All of it that is no secret.
    pub(super) all: serde_json::Value,
    /// The keys of its kind, where that is MySQL.
    pub(super) mysql: Option<Mysql>,
    /// The keys of its kind, where that is Cassandra.
    pub(super) cassandra: Option<Cassandra>,
}

impl Source {
    /// The secrets that it has.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &WrittenSecret> {
        let of_cassandra = self.cassandra.iter().flat_map(|of| [&of.password, &of.jmx_password]);
        self.mysql.iter().map(|of| &of.password).chain(of_cassandra).chain([&self.heartbeat]).flatten()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Sqlite,
    Mysql,
    Cassandra,
}

impl File {
    /// Reads the text; what is wrong goes to the gatherer.
    pub(super) fn read(text: &str, gather: &Gatherer<'_>) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            gather.broken(error.span().map_or(0, |span| span.start), error.message());
        }
        let document = document.get_ref();
        for (key, _) in document {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            match name {
                known if TABLES.contains(&known) => {}
                _ => gather.mistake(at, name, unknown(name, &TABLES, "table")),
            }
        }
        let section = |name: &str| Section::of(document, name, gather);
        let mut sources = read_sources(&section("directory"), Kind::Directory, gather);
        sources.extend(read_sources(&section("sqlite"), Kind::Sqlite, gather));
        sources.extend(read_sources(&section("mysql"), Kind::Mysql, gather));
        sources.extend(read_sources(&section("cassandra"), Kind::Cassandra, gather));
        // In the order of the text, so that of two sources with one name the second one is the mistake.
        sources.sort_by_key(|source| source.name.at);
        Self {
            node: Node::read(&section("node")),
            local: Local::read(&section("local")),
            repository: Repository::read(&section("repository"), gather),
            limits: Limits::read(&section("limits")),
            retention: Retention::read(&section("retention")),
            verify: Verify::read(&section("verify")),
            agent: Agent::read(&section("agent"), gather),
            sources,
        }
    }
}

impl Node {
    fn read(section: &Section<'_, '_>) -> Self {
        let node = Self { name: section.text("name"), at: section.at() };
        section.finish();
        node
    }
}

impl Local {
    fn read(section: &Section<'_, '_>) -> Self {
        let local = Self {
            dir: section.path("dir"),
            keep: section.number("keep", 1, COUNT_MAX),
            tight: section.flag("tight"),
            undo_for: section.duration("undo_for"),
        };
        section.finish();
        local
    }
}

impl Repository {
    fn read(section: &Section<'_, '_>, gather: &Gatherer<'_>) -> Self {
        let secret = |plain, file, variable| WrittenSecret::read(section, gather, [plain, file, variable]);
        let repository = Self {
            at: section.at(),
            url: section.text("url"),
            endpoint: section.text("endpoint"),
            region: section.text("region"),
            allow_http: section.flag("allow_http"),
            virtual_host: section.flag("virtual_host"),
            ca_file: section.path("ca_file"),
            profile: section.text("profile"),
            access_key_id: secret("access_key_id", "access_key_id_file", "access_key_id_env"),
            secret_access_key: secret("secret_access_key", "secret_access_key_file", "secret_access_key_env"),
            session_token: secret("session_token", "session_token_file", "session_token_env"),
            account: section.text("account"),
            account_key: secret("account_key", "account_key_file", "account_key_env"),
            sas_token: secret("sas_token", "sas_token_file", "sas_token_env"),
            service_account: secret("service_account", "service_account_file", "service_account_env").map(WrittenSecret::of_many_lines),
            encrypt_to: section.texts("encrypt_to"),
            identity_file: section.path("identity_file"),
            identity_passphrase: secret("identity_passphrase", "identity_passphrase_file", "identity_passphrase_env"),
            upload_limit: section.rate("upload_limit"),
            download_limit: section.rate("download_limit"),
            storage_class: section.text("storage_class"),
            sse: section.text("sse"),
            sse_kms_key_id: section.text("sse_kms_key_id"),
            tags: section.named_texts("tags"),
            request_payer: section.flag("request_payer"),
        };
        section.finish();
        repository
    }
}

impl Agent {
    fn read(section: &Section<'_, '_>, gather: &Gatherer<'_>) -> Self {
        let agent = Self {
            schedule: Schedule::read(section),
            http: Http::read(section, gather),
            hooks: Hooks::read(section),
            heartbeat: notices::heartbeat(section, gather),
            webhook: notices::webhook(section, gather),
        };
        section.finish();
        agent
    }
}

impl Limits {
    fn read(section: &Section<'_, '_>) -> Self {
        let limits = Self { memory: section.size("memory"), threads: section.number("threads", 1, 1024) };
        section.finish();
        limits
    }
}

impl Retention {
    fn read(section: &Section<'_, '_>) -> Option<Self> {
        let rules = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
        let counts = rules.map(|rule| (rule, section.number(rule, 0, COUNT_MAX))).into();
        let retention = Self { at: section.at(), counts, within: section.duration("within") };
        section.finish();
        section.is_there().then_some(retention)
    }
}

fn read_sources(section: &Section<'_, '_>, kind: Kind, gather: &Gatherer<'_>) -> Vec<Source> {
    let read = |(name, table): (Written<String>, Section<'_, '_>)| {
        let directory = kind == Kind::Directory;
        let mut source = Source {
            all: serde_json::Value::Null,
            name,
            kind,
            path: if matches!(kind, Kind::Mysql | Kind::Cassandra) { None } else { table.path("path") },
            exclude: if directory { table.texts("exclude") } else { None },
            cross_filesystems: if directory { table.flag("cross_filesystems") } else { None },
            objective: table.duration("objective"),
            keep: table.number("keep", 1, COUNT_MAX),
            level: table.number("level", 1, 19),
            schedule: Schedule::read(&table),
            hooks: Hooks::read(&table),
            heartbeat: notices::heartbeat(&table, gather),
            mysql: (kind == Kind::Mysql).then(|| Mysql::read(&table, gather)),
            cassandra: (kind == Kind::Cassandra).then(|| Cassandra::read(&table, gather)),
        };
        table.later("group", LATER);
        table.finish();
        // What is a secret is known once all keys were asked for.
        source.all = table.without_secrets();
        source
    };
    section.entries().into_iter().map(read).collect()
}
