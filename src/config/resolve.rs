//! From what was written to what is meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mistake::Gatherer;
use super::section::Written;
use super::units::duration_text;
use super::{Config, Encryption, Machine, file, mysql, notices, places, repository, retention};
use crate::agent::schedule::Timetable;
use crate::format::names::{NodeName, SourceName};
use crate::ops::context::LocalSettings;
use crate::ops::spec::{SourceKind, SourceSpec, check_exclude};
use crate::sys::environment::Environment;

/// Where local copies lie when nothing else is said.
const LOCAL_DIR: &str = "/var/lib/windlass";
/// Local copies of each source.
const KEEP: u32 = 4;
/// How long an undo is kept.
const UNDO_FOR: Duration = Duration::from_secs(7 * 86_400);
/// How old the newest snapshot may get: a day, and two hours to take and ship it.
const OBJECTIVE: Duration = Duration::from_secs(26 * 3_600);
/// zstd's own default: most of the gain at a rate that keeps up with a disk.
const LEVEL: u32 = 3;
/// That of SSTables, which Cassandra has compressed already: level 3 takes twice the time for the same size (docs/PERFORMANCE.md).
const LEVEL_SSTABLES: u32 = 2;
/// Most resident bytes of the program.
const MEMORY: u64 = 128 << 20;
/// Below this there is no room for the program itself, one pack that is filled and one that travels.
const MEMORY_MIN: u64 = 64 << 20;

/// Resolves the file; what is wrong goes to the gatherer, and `None` comes back when something essential is missing.
pub(super) fn resolve(
    file: &file::File,
    path: &Path,
    machine: &Machine,
    environment: &dyn Environment,
    gather: &Gatherer<'_>,
) -> Option<Config> {
    let node = node(&file.node, path, machine, gather);
    let local = LocalSettings {
        dir: file.local.dir.as_ref().map_or_else(|| PathBuf::from(LOCAL_DIR), |dir| dir.value.clone()),
        tight: file.local.tight.as_ref().is_some_and(|tight| tight.value),
        undo_for: value_or(file.local.undo_for.as_ref(), UNDO_FOR),
    };
    let keep = value_or(file.local.keep.as_ref(), KEEP);
    let sources = sources(file, keep, environment, gather);
    let timetables = timetables(file, &sources, gather);
    let http = file.agent.http.resolve(environment, gather);
    let notices = notices::resolve(file, &sources, environment, gather);
    let repository = repository::resolve(&file.repository, environment, gather);
    let encryption = Encryption::resolve(&file.repository, environment, gather);
    let retention = file.retention.as_ref().map(|written| retention::resolve(written, gather));
    let verify = file.verify.resolve(gather);
    let memory = value_or(file.limits.memory.as_ref(), MEMORY);
    if let Some(written) = file.limits.memory.as_ref().filter(|written| written.value < MEMORY_MIN) {
        gather.mistake(written.at, &written.key, "this is too little to work with: give at least 64MiB");
    }
    places::check(file, &local.dir, gather);
    Some(Config {
        file: path.to_owned(),
        node: node?,
        local,
        sources,
        timetables,
        http,
        notices,
        repository: repository?,
        encryption,
        retention,
        verify,
        memory,
        threads: file.limits.threads.as_ref().map_or(machine.cores, |threads| threads.value as usize),
        warnings: Vec::new(),
    })
}

fn value_or<T: Clone>(written: Option<&Written<T>>, default: T) -> T {
    written.map_or(default, |written| written.value.clone())
}

fn node(written: &file::Node, path: &Path, machine: &Machine, gather: &Gatherer<'_>) -> Option<NodeName> {
    if let Some(name) = &written.name {
        return name.value.parse().map_err(|cause| gather.mistake(name.at, &name.key, format!("{cause}"))).ok();
    }
    let host = &machine.host_name;
    match host.parse() {
        Ok(name) => Some(name),
        Err(_) => {
            let message = format!(
                "the host name `{host}` cannot be the node's name. Add to {}:\n\n[node]\nname = \"{}\"\n",
                path.display(),
                fitting(host)
            );
            gather.missing(written.at, "node.name", message);
            None
        }
    }
}

/// The nearest name that fits.
pub(super) fn fitting(host: &str) -> String {
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c) { c } else { '-' };
    let name: String = host.to_lowercase().chars().map(allowed).collect();
    let name: String = name.trim_start_matches(['.', '_', '-']).chars().take(crate::format::names::NAME_MAX).collect();
    if name.parse::<NodeName>().is_ok() { name } else { "node-1".into() }
}

fn sources(file: &file::File, keep: u32, environment: &dyn Environment, gather: &Gatherer<'_>) -> Vec<SourceSpec> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut sources = Vec::new();
    for source in &file.sources {
        let name = &source.name;
        if let Some(first) = names.get(name.value.as_str()) {
            gather.mistake(name.at, &name.key, format!("the name is taken by [{first}]: names are unique across kinds"));
            continue;
        }
        names.insert(&name.value, &name.key);
        let parsed = name.value.parse::<SourceName>().map_err(|cause| gather.mistake(name.at, &name.key, format!("{cause}")));
        if let (Ok(name), Some(kind)) = (parsed, kind(source, environment, gather)) {
            let level = if matches!(kind, SourceKind::Cassandra(_)) { LEVEL_SSTABLES } else { LEVEL };
            sources.push(SourceSpec {
                name,
                kind,
                objective: objective(source, gather),
                keep: value_or(source.keep.as_ref(), keep) as usize,
                level: i32::try_from(value_or(source.level.as_ref(), level)).expect("levels go to 19"),
                hooks: source.hooks.resolve(&file.agent.hooks, gather),
                written: source.all.clone(),
            });
        }
    }
    mysql::check_apart(&file.sources, &sources, gather);
    sources
}

fn timetables(file: &file::File, sources: &[SourceSpec], gather: &Gatherer<'_>) -> Vec<(SourceName, Timetable)> {
    let resolve = |source: &file::Source| {
        let timetable = source.schedule.resolve(&file.agent.schedule, gather);
        let spec = sources.iter().find(|spec| spec.name.as_str() == source.name.value)?;
        let is_agents = source.schedule.is_written() || file.agent.schedule.is_written();
        if let Some(gap) = timetable.longest_gap().filter(|gap| is_agents && *gap > spec.objective) {
            gather.warning(format!(
                "{}: its schedule leaves up to {} between two runs, and with an objective of {} it is late then: give an `objective` of some \
                 hours more",
                source.name.key,
                duration_text(gap),
                duration_text(spec.objective)
            ));
        }
        Some((spec.name.clone(), timetable))
    };
    file.sources.iter().filter_map(resolve).collect()
}

fn kind(source: &file::Source, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<SourceKind> {
    if let Some(mysql) = &source.mysql {
        return mysql.resolve(source, environment, gather).map(|settings| SourceKind::Mysql(Box::new(settings)));
    }
    if let Some(cassandra) = &source.cassandra {
        return cassandra.resolve(source, environment, gather).map(|settings| SourceKind::Cassandra(Box::new(settings)));
    }
    let Some(path) = &source.path else {
        gather.missing(source.name.at, format!("{}.path", source.name.key), "this is missing: say what is to be backed up");
        return None;
    };
    let path = path.value.clone();
    Some(match source.kind {
        file::Kind::Sqlite => SourceKind::Sqlite { path },
        _ => SourceKind::Directory {
            path,
            exclude: exclude(source, gather),
            cross_filesystems: source.cross_filesystems.as_ref().is_some_and(|cross| cross.value),
        },
    })
}

fn exclude(source: &file::Source, gather: &Gatherer<'_>) -> Vec<String> {
    let Some(written) = &source.exclude else { return Vec::new() };
    for error in written.value.iter().filter_map(|pattern| check_exclude(pattern).err()) {
        gather.mistake(written.at, &written.key, error.to_string());
    }
    written.value.clone()
}

fn objective(source: &file::Source, gather: &Gatherer<'_>) -> Duration {
    if let Some(written) = source.objective.as_ref().filter(|written| written.value.is_zero()) {
        gather.mistake(written.at, &written.key, "a snapshot is never that young: give at least one second, usually hours");
    }
    value_or(source.objective.as_ref(), OBJECTIVE)
}
