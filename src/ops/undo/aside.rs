//! Where what is not live lies.

use serde::{Deserialize, Serialize};

use crate::source::mysql::State;
use crate::source::placement::Placement;

/// What has changed places, and where what is not live lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Placed {
    /// Files.
    Files(Placement),
    /// Databases of a server.
    Databases(Aside),
}

/// Databases that are not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aside {
    /// Each with the live one that it belongs to.
    pub(crate) databases: Vec<AsideDatabase>,
}

/// A database that is not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsideDatabase {
    /// The live one that it belongs to.
    pub(crate) live: String,
    /// Only this table of it.
    pub(crate) table: Option<String>,
    /// Where it lies.
    pub(crate) state: State,
}

impl Aside {
    /// Where they are, for a person.
    pub(crate) fn told(&self) -> String {
        let names: Vec<String> =
            self.databases.iter().filter(|one| one.state.exists).map(|one| format!("`{}`", one.state.database)).collect();
        match &names[..] {
            [] => "nothing: there was no such database".to_owned(),
            [one] => format!("the database {one} on the same server"),
            several => format!("the databases {} on the same server", several.join(", ")),
        }
    }

    /// Whether there is anything.
    pub(crate) fn exists(&self) -> bool {
        self.databases.iter().any(|one| one.state.exists)
    }
}
