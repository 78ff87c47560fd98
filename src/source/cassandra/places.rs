//! Where a node keeps its commit log, hints, saved caches and change data: its file may say nothing of it, and a start script something else
//! (`-Dcassandra.storagedir`). Whoever takes another folder for it loses writes, or takes those of another node.

use std::fs;
use std::path::{Path, PathBuf};

use super::cql::Connection;
use super::node_config::{NodeConfig, STORAGE_DIRECTORY};
use super::settings::Settings;
use super::statements::literal;
use crate::source::Error;
use crate::sys::stop::Stop;

/// Proves that the folders which a restore clears are those of the node. One that runs is asked (`system_views.settings`, since 4.0). Of one that does
/// not, or may not be asked, those that its file does not name are believed where its data directories lie where the packages put them.
///
/// # Errors
/// [`Error::Refused`] with the lines that the file lacks; [`Error::Stopped`].
pub fn check_places(settings: &Settings, config: &NodeConfig, is_up: bool, stop: &Stop) -> Result<(), Error> {
    let connection = if is_up { Some(Connection::open(settings, config, stop)?) } else { None };
    let ask = |key: &str| -> Result<Option<PathBuf>, Error> {
        let Some(connection) = &connection else { return Ok(None) };
        let cql = format!("SELECT value FROM system_views.settings WHERE name = {}", literal(key));
        match connection.rows::<(Option<String>,)>("ask for the folders of", &cql) {
            // A role may not read it.
            Err(Error::Cassandra { .. }) => Ok(None),
            rows => Ok(rows?.into_iter().next().and_then(|(value,)| value).filter(|value| value.starts_with('/')).map(PathBuf::from)),
        }
    };
    let is_of_packages = config.data_directories.iter().all(|data| data.starts_with(STORAGE_DIRECTORY));
    let mut lacking = Vec::new();
    for (key, path) in folders(config) {
        match ask(key)? {
            Some(real) if is_same(&real, path) => {}
            Some(real) => lacking.push(format!("{key}: {} (the node has it there, and not in {})", real.display(), path.display())),
            None if config.assumed.contains(&key) && !is_of_packages => lacking.push(format!("{key}: …")),
            None => {}
        }
    }
    if !lacking.is_empty() {
        return Err(Error::Refused {
            why: format!(
                "{} does not say where the node keeps what has to be cleared with its tables; write there, as it is, which changes nothing for the node: \
                 {}; nothing was changed",
                config.path.display(),
                lacking.join("; ")
            ),
        });
    }
    if !is_up && !config.commitlog_directory.is_dir() {
        let why = format!(
            "there is no commit log in {} (`commitlog_directory` of {}), and what it holds would be lost: let the file name the folder; nothing was changed",
            config.commitlog_directory.display(),
            config.path.display()
        );
        return Err(Error::Refused { why });
    }
    Ok(())
}

fn folders(config: &NodeConfig) -> [(&'static str, &Path); 4] {
    [
        ("commitlog_directory", &config.commitlog_directory),
        ("hints_directory", &config.hints_directory),
        ("saved_caches_directory", &config.saved_caches_directory),
        ("cdc_raw_directory", &config.cdc_raw_directory),
    ]
}

/// Whether two paths are one folder; of those that are not there, by their names.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}
