//! What else of a node's files matters to its first start: where it says that it stands, who else there is, and whether it asks for a login.

use std::path::PathBuf;

use super::document::Value;
use crate::source::Error;
use crate::source::cassandra::neighbours::host_and_port;
use crate::source::cassandra::node_config::{NodeConfig, read_text};
use crate::sys::machine::host_name;

/// The file in which `GossipingPropertyFileSnitch` finds data centre and rack.
const PROPERTIES: &str = "cassandra-rackdc.properties";

/// Names that are this machine's own, whatever its address.
const OWN: [&str; 4] = ["127.0.0.1", "localhost", "::1", "0:0:0:0:0:0:0:1"];

/// Where a node says that it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its data centre.
    pub data_center: String,
    /// Its rack.
    pub rack: String,
    /// The file that says so; nothing where the snitch itself does.
    pub file: Option<PathBuf>,
}

/// What is known before a node is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Where it stands; nothing where a snitch says it that asks elsewhere.
    pub place: Option<Place>,
    /// The seeds that are not this machine, as far as its addresses are known.
    pub other_seeds: Vec<String>,
    /// The class that asks for a login; nothing where everybody is let in.
    pub authenticator: Option<String>,
}

impl Surroundings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::NodeConfig`] when a file cannot be read.
    pub fn read(config: &NodeConfig) -> Result<Self, Error> {
        let document =
            Value::read(&read_text(&config.path)?).map_err(|why| Error::NodeConfig { path: config.path.clone(), line: None, why })?;
        let own: Vec<String> =
            [&config.listen_address, &config.broadcast_address, &config.rpc_address].into_iter().flatten().cloned().collect();
        let is_other = |seed: &String| {
            let (host, _) = host_and_port(seed, config.storage_port);
            !OWN.contains(&host) && host != host_name() && !own.iter().any(|own| own == host)
        };
        let other_seeds = seeds(&document).into_iter().filter(is_other).collect();
        Ok(Self { place: place(config)?, other_seeds, authenticator: authenticator(&document) })
    }
}

/// All seeds of a document.
fn seeds(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    document.all("seed_provider").for_each(|provider| collect(provider, &mut found));
    found
}

/// What stands under `seeds`, however deep: 4.1 and 5.0 have it in a list of parameters, and a mapping is understood too.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Map(entries) => entries.iter().for_each(|(key, value)| match (key, value) {
            (Value::Text(key), Value::Text(list)) if key == "seeds" => {
                found.extend(list.split(',').map(|seed| seed.trim().to_owned()).filter(|seed| !seed.is_empty()));
            }
            _ => collect(value, found),
        }),
        Value::List(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Nothing | Value::Text(_) => {}
    }
}

/// The class of the authenticator, which 5.0 may have with parameters, unless it lets everybody in.
fn authenticator(document: &Value) -> Option<String> {
    let written = document.all("authenticator").last()?;
    let class = match written {
        Value::Text(class) => class.as_str(),
        value => value.text("class_name")?,
    };
    let class = class.rsplit('.').next().unwrap_or(class);
    (class != "AllowAllAuthenticator").then(|| class.to_owned())
}

/// Where the node says that it stands, of those snitches that say it on this machine.
fn place(config: &NodeConfig) -> Result<Option<Place>, Error> {
    let snitch = config.endpoint_snitch.as_deref().unwrap_or_default();
    match snitch.rsplit('.').next().unwrap_or_default() {
        "SimpleSnitch" => Ok(Some(Place { data_center: "datacenter1".to_owned(), rack: "rack1".to_owned(), file: None })),
        "GossipingPropertyFileSnitch" => {
            let file = config.path.with_file_name(PROPERTIES);
            // The server can be told of another one.
            if !file.exists() {
                return Ok(None);
            }
            let text = read_text(&file)?;
            let of = |key: &str, else_: &str| property(&text, key).unwrap_or_else(|| else_.to_owned());
            Ok(Some(Place { data_center: of("dc", "UNKNOWN_DC"), rack: of("rack", "UNKNOWN_RACK"), file: Some(file) }))
        }
        _ => Ok(None),
    }
}

/// A value of a file of properties; of several the last.
fn property(text: &str, key: &str) -> Option<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', '!']));
    let of_key = |line: &str| {
        let (name, value) = line.split_once(['=', ':'])?;
        (name.trim() == key).then(|| value.trim().to_owned())
    };
    lines.filter_map(of_key).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str, properties: Option<&str>) -> Surroundings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cassandra.yaml");
        std::fs::write(&path, format!("partitioner: Murmur3Partitioner\n{yaml}")).unwrap();
        if let Some(text) = properties {
            std::fs::write(folder.path().join(PROPERTIES), text).unwrap();
        }
        Surroundings::read(&NodeConfig::read(&path).unwrap()).unwrap()
    }

    #[test]
    fn seeds_that_are_another_machine_are_told_with_or_without_a_port() {
        let yaml = |seeds: &str| {
            format!("listen_address: 10.0.0.7\nseed_provider:\n  - class_name: S\n    parameters:\n      - seeds: \"{seeds}\"\n")
        };
        assert!(read(&yaml("10.0.0.7:7000, 127.0.0.1"), None).other_seeds.is_empty());
        assert_eq!(read(&yaml("10.0.0.7,10.0.0.8:7000, [fe80::1]:7000"), None).other_seeds, ["10.0.0.8:7000", "[fe80::1]:7000"]);
        assert_eq!(read("seed_provider:\n  class_name: S\n  parameters:\n    seeds: fe80::2\n", None).other_seeds, ["fe80::2"]);
        assert!(read("", None).other_seeds.is_empty());
    }

    #[test]
    fn where_a_node_stands_is_read_where_its_snitch_says_it_on_this_machine() {
        let gossiping = "endpoint_snitch: GossipingPropertyFileSnitch\n";
        let place = read(gossiping, Some("# dc=no\n dc = west \nrack:r1\n")).place.unwrap();
        assert_eq!((place.data_center.as_str(), place.rack.as_str()), ("west", "r1"));
        assert_eq!(read(gossiping, None).place, None);
        assert_eq!(read(gossiping, Some("")).place.unwrap().data_center, "UNKNOWN_DC");
        assert_eq!(read("endpoint_snitch: SimpleSnitch\n", None).place.unwrap().data_center, "datacenter1");
        assert_eq!(read("endpoint_snitch: org.apache.cassandra.locator.Ec2Snitch\n", Some("dc=x\n")).place, None);
    }

    #[test]
    fn who_asks_for_a_login_is_told_in_both_forms_that_cassandra_takes() {
        assert_eq!(read("", None).authenticator, None);
        assert_eq!(read("authenticator: org.apache.cassandra.auth.AllowAllAuthenticator\n", None).authenticator, None);
        assert_eq!(read("authenticator: PasswordAuthenticator\n", None).authenticator.as_deref(), Some("PasswordAuthenticator"));
        let with_parameters = "authenticator:\n  class_name: a.b.MutualTlsAuthenticator\n  parameters: {}\n";
        assert_eq!(read(with_parameters, None).authenticator.as_deref(), Some("MutualTlsAuthenticator"));
    }
}
