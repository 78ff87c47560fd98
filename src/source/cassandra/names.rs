//! Names of keyspaces: which are Cassandra's own, which may be asked for, and what `*` stands for.

/// Stands for all keyspaces but Cassandra's own.
pub const ALL: &str = "*";

/// Longest name of a keyspace, in bytes: 48 up to Cassandra 5.0, 222 in what follows.
pub const KEYSPACE_NAME_MAX: usize = 222;

/// Cassandra's own keyspaces that are kept as others are: replicated, and of use on another node. The last two are ScyllaDB's.
const REPLICATED: [&str; 4] = ["system_auth", "system_distributed", "system_distributed_everywhere", "system_replicated_keys"];

/// Keyspaces of this node alone: their rows are its place in the ring, what it knows of others, the schema (which is in the DDL), and what
/// it is doing. Put on a node, they would make it another.
const LOCAL: [&str; 5] = ["system", "system_schema", "system_cluster_metadata", "system_accord", "system_traces"];

/// Keyspaces that are not stored at all.
const VIRTUAL: [&str; 4] = ["system_views", "system_virtual_schema", "system_metrics", "system_accord_debug"];

/// Most names that a message shows.
const TOLD_MAX: usize = 20;

/// Whether a keyspace is one of Cassandra's own.
pub fn is_own(name: &str) -> bool {
    REPLICATED.contains(&name) || LOCAL.contains(&name) || VIRTUAL.contains(&name)
}

/// Why a source cannot have a keyspace of this name, if so.
pub fn why_not(name: &str) -> Option<String> {
    if VIRTUAL.contains(&name) {
        return Some(format!("`{name}` is made up by Cassandra when it is asked for: there are no files of it"));
    }
    if name == "system_traces" {
        return Some(format!("`{name}` holds traces of requests, which Cassandra removes after a day: nobody wants them back"));
    }
    if LOCAL.contains(&name) {
        return Some(format!(
            "`{name}` is what Cassandra keeps of this node for itself, and would make another node a false one; what a fresh node needs of it \
             (tokens, schema, names) is in the facts of every snapshot"
        ));
    }
    let fits = !name.is_empty() && name.len() <= KEYSPACE_NAME_MAX && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (!fits).then(|| format!("{name:?} is no name of a keyspace: letters, digits and _, in the case that it has"))
}

/// The keyspaces that are meant, sorted, of those that are there.
pub(super) fn wanted(asked: &[String], there: &[String]) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for name in asked {
        if name == ALL {
            names.extend(there.iter().filter(|name| !is_own(name)).cloned());
        } else if there.contains(name) {
            names.push(name.clone());
        } else {
            return Err(format!("there is no keyspace `{name}`; {}", told(there)));
        }
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err("there is none but Cassandra's own".into());
    }
    Ok(names)
}

fn told(there: &[String]) -> String {
    let mut names: Vec<&str> = there.iter().filter(|name| !is_own(name)).map(String::as_str).collect();
    names.sort_unstable();
    if names.is_empty() {
        return "it has none but Cassandra's own".into();
    }
    let more = names.len().saturating_sub(TOLD_MAX);
    names.truncate(TOLD_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("it has {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_star_stands_for_all_but_cassandras_own() {
        let there = names(&["system", "homer", "system_auth", "Mixed", "system_traces", "system_mine"]);
        assert_eq!(wanted(&names(&["*"]), &there).unwrap(), names(&["Mixed", "homer", "system_mine"]));
        assert_eq!(
            wanted(&names(&["system_auth", "*", "homer"]), &there).unwrap(),
            names(&["Mixed", "homer", "system_auth", "system_mine"])
        );
        assert_eq!(wanted(&names(&["*"]), &names(&["system"])).unwrap_err(), "there is none but Cassandra's own");
    }

    #[test]
    fn a_keyspace_that_is_not_there_is_told_with_those_that_are() {
        let there = names(&["system", "b", "a"]);
        assert_eq!(wanted(&names(&["a", "A"]), &there).unwrap_err(), "there is no keyspace `A`; it has a, b");
        let many: Vec<String> = (0..30).map(|n| format!("k{n:02}")).collect();
        assert!(wanted(&names(&["x"]), &many).unwrap_err().ends_with("k19 and 10 more"));
        assert!(wanted(&names(&["x"]), &names(&["system"])).unwrap_err().ends_with("it has none but Cassandra's own"));
    }

    #[test]
    fn what_cannot_be_backed_up_is_refused_by_name() {
        for name in
            ["system", "system_schema", "system_views", "system_virtual_schema", "system_traces", "", "..", "a b", "a;b", "ü", "a.b"]
        {
            assert!(why_not(name).is_some(), "{name}");
        }
        for name in ["system_auth", "system_distributed", "homestead_cache", "MixedCase", "_x9", "system_mine"] {
            assert_eq!(why_not(name), None, "{name}");
        }
    }
}
