//! Where what is not live lies.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::tables::AsideTables;
use crate::source::mysql::{State, is_beside_of};
use crate::source::placement::Placement;

/// What has changed places, and where what is not live lies. Which of the two it is, its own fields tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Placed {
    /// Files.
    Files(Placement),
    /// Databases of a server.
    Databases(Aside),
    /// Tables of a Cassandra node.
    Cassandra(AsideTables),
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.get("cassandra").is_some() {
            return AsideTables::deserialize(value).map(Self::Cassandra).map_err(D::Error::custom);
        }
        let Some(databases) = value.get("databases") else {
            return Placement::deserialize(value).map(Self::Files).map_err(D::Error::custom);
        };
        // One by one, so that an error tells which of them it is.
        let each = databases.as_array().ok_or_else(|| D::Error::custom("`databases` is not a list"))?;
        let databases = each.iter().map(|one| {
            let said = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
            let table = if one.get("table").is_some_and(Value::is_string) { format!(", table `{}`", said("table")) } else { String::new() };
            part(one).map_err(|cause| D::Error::custom(format!("the database `{}`{table}: {cause}", said("live"))))
        });
        let server = value.get("server").map(part).transpose().map_err(D::Error::custom)?.unwrap_or_default();
        Ok(Self::Databases(Aside { server, databases: databases.collect::<Result<_, _>>()? }))
    }
}

fn part<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}

/// Databases that are not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Aside {
    /// The server that they are on, as `source::mysql` tells one from another; empty where nobody has noted it.
    pub(crate) server: String,
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

    /// Whether they are known to be on this server.
    pub(crate) fn is_on(&self, server: &str) -> bool {
        !self.server.is_empty() && self.server == server
    }

    /// One whose name no restore has given to it: then what was remembered is damaged, or somebody has changed it.
    pub(crate) fn strange(&self) -> Option<&AsideDatabase> {
        self.databases.iter().find(|one| !is_beside_of(&one.state.database, &one.live))
    }

    /// The names of all of them, whatever they are.
    pub(crate) fn names(&self) -> String {
        self.databases.iter().map(|one| format!("`{}`", one.state.database)).collect::<Vec<_>>().join(", ")
    }

    /// Whether there is anything.
    pub(crate) fn exists(&self) -> bool {
        self.databases.iter().any(|one| one.state.exists)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::{AsideOther, AsideTable, Way};
    use super::*;

    fn aside() -> Placed {
        let one = |live: &str, table: Option<&str>| AsideDatabase {
            live: live.into(),
            table: table.map(str::to_owned),
            state: State { database: format!("{live}_windlass_undo_x"), exists: true, ..State::default() },
        };
        Placed::Databases(Aside { server: "here".into(), databases: vec![one("ellis", None), one("homer", Some("users"))] })
    }

    #[test]
    fn what_lies_aside_is_read_as_it_was_written() {
        let text = serde_json::to_string(&aside()).unwrap();
        assert_eq!(serde_json::from_str::<Placed>(&text).unwrap(), aside());
        let unknown = text.replace("\"server\":\"here\",", "");
        assert!(
            matches!(serde_json::from_str::<Placed>(&unknown).unwrap(), Placed::Databases(aside) if !aside.is_on("anywhere") && !aside.is_on(""))
        );
    }

    #[test]
    fn tables_that_lie_aside_are_read_as_they_were_written() {
        let table = AsideTable {
            keyspace: "k".into(),
            name: "t".into(),
            id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            kind: crate::source::cassandra::Kind::Table,
            folder: "t-0123456789abcdef0123456789abcdef".into(),
            has_rows: true,
            sstables: 2,
        };
        let other = AsideOther { live: "/commitlog".into(), place: "/commitlog/.windlass-undo/x".into(), is_needed: false };
        for cassandra in [Way::Stopped, Way::Running] {
            let aside = AsideTables {
                cassandra,
                host_id: "h".into(),
                places: vec!["/data/.windlass/x/aside-1".into()],
                tables: vec![table.clone()],
                others: vec![other.clone()],
                indexes: [("k.by_v".to_owned(), "t (v)".to_owned())].into(),
                unbuilt: crate::source::cassandra::Unbuilt { indexes: Vec::new(), views: vec![("k".into(), "w".into())] },
            };
            let placed = Placed::Cassandra(aside);
            let text = serde_json::to_string(&placed).unwrap();
            assert_eq!(serde_json::from_str::<Placed>(&text).unwrap(), placed);
            let error = serde_json::from_str::<Placed>(&text.replace("\"has_rows\":true", "\"has_rows\":1")).unwrap_err().to_string();
            assert!(error.contains("expected a boolean"), "{error}");
        }
    }

    #[test]
    fn a_document_that_cannot_be_read_says_what_of_it() {
        let text = serde_json::to_string(&aside()).unwrap();
        let error = |text: &str| serde_json::from_str::<Placed>(text).unwrap_err().to_string();
        let spoiled = error(&text.replace("\"homer_windlass_undo_x\"", "7"));
        assert!(spoiled.contains("the database `homer`, table `users`: invalid type: integer `7`"), "{spoiled}");
        for none in ["{\"databases\": null}", "{\"databases\": {}}"] {
            assert!(error(none).contains("`databases` is not a list"), "{}", error(none));
        }
        let files = error("{\"kind\": \"directory\"}");
        assert!(!files.contains("untagged"), "{files}");
    }
}
