//! Where a new node stands: keyspaces name data centres, and in another one they have no replicas.

use crate::ops::Error;
use crate::source::cassandra::{Facts, Place};

/// Compares where the node will say that it stands with where the one of the snapshot stood.
///
/// # Errors
/// [`Error::Refused`] when keyspaces could not be made there: a node that was started once cannot change its data centre.
pub(super) fn judge(facts: &Facts, place: Option<&Place>) -> Result<Option<String>, Error> {
    let (data_center, rack) = (&facts.data_center, &facts.rack);
    let Some(place) = place else {
        return Ok(Some(format!(
            "the node of the snapshot stood in the data centre `{data_center}`, rack `{rack}`, and what this one will say cannot be read beside its file: see \
             that its snitch says the same, for keyspaces name the data centre"
        )));
    };
    if place.data_center == *data_center && place.rack == *rack {
        return Ok(None);
    }
    let write = match &place.file {
        Some(file) => format!("write `dc={data_center}` and `rack={rack}` into {}", file.display()),
        None => format!(
            "SimpleSnitch knows no other: write `endpoint_snitch: GossipingPropertyFileSnitch` into its file, and `dc={data_center}` and `rack={rack}` into \
             cassandra-rackdc.properties beside it"
        ),
    };
    let told = format!(
        "the node of the snapshot stood in the data centre `{data_center}`, rack `{rack}`, and this one stands in `{}`, rack `{}`",
        place.data_center, place.rack
    );
    let named: Vec<&str> = facts
        .keyspaces
        .iter()
        .filter(|keyspace| keyspace.replication.contains_key(data_center))
        .map(|keyspace| keyspace.name.as_str())
        .collect();
    if place.data_center != *data_center && !named.is_empty() {
        return Err(Error::Refused(format!(
            "{told}, where {} could not be made, for its replicas are in `{data_center}`; a node that was started once cannot change it: {write}, and \
             restore again; nothing was changed",
            named.join(", ")
        )));
    }
    Ok(Some(format!("{told}: {write} before you say yes, if it is to be the same")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cassandra::KeyspaceFacts;

    #[test]
    fn a_data_centre_that_keyspaces_name_must_be_the_same_and_other_differences_are_told() {
        let keyspace = |replication: &[(&str, &str)]| KeyspaceFacts {
            name: "homestead".into(),
            replication: replication.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..KeyspaceFacts::default()
        };
        let facts = |keyspace| Facts { data_center: "west".into(), rack: "r1".into(), keyspaces: vec![keyspace], ..Facts::default() };
        let named = facts(keyspace(&[("class", "org.apache.cassandra.locator.NetworkTopologyStrategy"), ("west", "1")]));
        let simple = facts(keyspace(&[("class", "SimpleStrategy"), ("replication_factor", "1")]));
        let place = |data_center: &str, rack: &str, file: Option<&str>| Place {
            data_center: data_center.into(),
            rack: rack.into(),
            file: file.map(Into::into),
        };
        assert_eq!(judge(&named, Some(&place("west", "r1", None))).unwrap(), None);
        let error = judge(&named, Some(&place("dc1", "r1", Some("/etc/cassandra/cassandra-rackdc.properties")))).unwrap_err().to_string();
        assert!(error.contains("homestead could not be made") && error.contains("`dc=west` and `rack=r1` into /etc/cassandra/"), "{error}");
        assert!(judge(&simple, Some(&place("dc1", "r1", Some("/f")))).unwrap().unwrap().contains("stands in `dc1`"));
        assert!(judge(&named, Some(&place("west", "r2", Some("/f")))).unwrap().unwrap().contains("rack `r2`"));
        assert!(judge(&simple, Some(&place("dc1", "r1", None))).unwrap().unwrap().contains("GossipingPropertyFileSnitch"));
        assert!(judge(&named, None).unwrap().unwrap().contains("data centre `west`"));
    }
}
