//! What a node's `cassandra.yaml` must say before the node is started for the first time, so that it becomes a certain node.
//!
//! Of a file that people write nothing changes but the values that are needed: [`edit`] does it line by line, and [`document`] proves that what
//! the file says is the same otherwise; [`write`] puts it in place of the old one, which is kept. [`surroundings`] reads what else of it
//! matters to a first start. Cassandra reads `initial_token` and `auto_bootstrap` only where it has no tokens yet (`StorageService`,
//! `BootStrapper`); `num_tokens` must be their count, and `cluster_name` and `partitioner` can never be changed afterwards.

mod document;
mod edit;
mod surroundings;
mod write;

use std::path::PathBuf;

use self::document::Value;
use self::edit::Setting;
pub use self::surroundings::{Place, Surroundings};
use super::node_config::{NodeConfig, read_text};
use crate::source::Error;

/// Which node it is to become.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The name of its cluster.
    pub cluster_name: &'a str,
    /// The class of its partitioner.
    pub partitioner: &'a str,
    /// Its tokens.
    pub tokens: &'a [String],
}

/// A node's file, and what it must say.
#[derive(Clone, Debug)]
pub struct NodeFile {
    /// The file itself, behind symbolic links.
    pub path: PathBuf,
    /// What would be written, as a unified diff without lines around it, for those hold passwords; empty where the file says it already.
    pub diff: Vec<String>,
    /// The lines to write by hand.
    by_hand: Vec<String>,
    before: String,
    after: String,
}

impl NodeFile {
    /// Reads it and says what must be written; nothing is.
    ///
    /// # Errors
    /// [`Error::Refused`] when what is recorded of the node can be no node's; [`Error::NodeConfig`] with the lines to write by hand, when the file
    /// cannot be changed line by line; [`Error::File`].
    pub fn read(config: &NodeConfig, identity: &Identity<'_>) -> Result<Self, Error> {
        check(identity)?;
        let path = config.path.canonicalize().map_err(Error::file("find", &config.path))?;
        let before = read_text(&path)?;
        let wrong = |line, why: String| Error::NodeConfig { path: path.clone(), line, why };
        let document = Value::read(&before).map_err(|why| wrong(None, why))?;
        let settings = needed(config, identity, &document);
        let by_hand: Vec<String> = settings.iter().map(|setting| format!("{}: {}", setting.key, setting.value)).collect();
        let refused = |line, why: &str| {
            wrong(line, format!("{why}, so it is not changed here: write into it by hand `{}`, and restore again", by_hand.join("`, `")))
        };
        let changes = edit::changes(&before, &document, &settings).map_err(|odd| refused(odd.line, &odd.why))?;
        let after = edit::applied(&before, &changes);
        let says_so = Value::read(&after).is_ok_and(|after| document.became(&after, &settings));
        if !says_so {
            return Err(refused(None, "changed line by line it would not say what it should"));
        }
        Ok(Self { diff: edit::diff(&path, &changes), by_hand, before, after, path })
    }

    /// Whether it says already what it must.
    pub fn is_as_needed(&self) -> bool {
        self.diff.is_empty()
    }
}

/// That what a snapshot says of its node can be written into a file: nothing that a forged one says may do more there than name things.
fn check(identity: &Identity<'_>) -> Result<(), Error> {
    let is_word = |text: &str, more: &[u8]| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
    let why = if identity.tokens.is_empty() {
        "no tokens"
    } else if !identity.tokens.iter().all(|token| is_word(token, b"-")) {
        "tokens that are none"
    } else if !is_word(identity.partitioner, b"._$") {
        "a partitioner that is none"
    } else if identity.cluster_name.is_empty() || identity.cluster_name.chars().any(char::is_control) {
        "no name of a cluster"
    } else {
        return Ok(());
    };
    Err(Error::Refused { why: format!("what the snapshot says of its node has {why}, so that no node can be made what it was") })
}

/// What the file does not say yet.
fn needed(config: &NodeConfig, identity: &Identity<'_>, document: &Value) -> Vec<Setting> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let sorted = |tokens: &[String]| {
        let mut tokens = tokens.to_vec();
        tokens.sort();
        tokens
    };
    let (count, tokens) = (identity.tokens.len(), identity.tokens.join(","));
    let mut needed = Vec::new();
    let mut need = |is_there: bool, key, value: String, means: &str| {
        if !is_there {
            needed.push(Setting { key, value, means: means.to_owned() });
        }
    };
    need(config.cluster_name == identity.cluster_name, "cluster_name", quoted(identity.cluster_name), identity.cluster_name);
    need(config.partitioner == identity.partitioner, "partitioner", identity.partitioner.to_owned(), identity.partitioner);
    need(config.num_tokens.is_some_and(|n| n as usize == count), "num_tokens", count.to_string(), &count.to_string());
    need(sorted(&config.initial_tokens) == sorted(identity.tokens), "initial_token", quoted(&tokens), &tokens);
    need(document.text("auto_bootstrap") == Some("false"), "auto_bootstrap", "false".to_owned(), "false");
    needed
}

#[cfg(test)]
#[path = "node_file_tests.rs"]
mod tests;
