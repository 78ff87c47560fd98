//! What a restore will do to a Cassandra node, line by line.

use jiff::SignedDuration;

use super::human;
use crate::ops::restore::{FreshPlan, NodePlan, Way};

/// How a Cassandra node takes the files; `undrained` where it is down and is not started before.
pub(super) fn way_line(node: &NodePlan, undrained: bool) -> String {
    match node.way {
        Way::Stopped if undrained && !node.is_up => {
            "way        the node is down and not drained: files change places, its commit log too, and it is started and checked".to_owned()
        }
        Way::Stopped => "way        the node is drained and stopped, files change places, the node is started and checked".to_owned(),
        Way::Running => "way        the node runs and takes the files in (nodetool import)".to_owned(),
    }
}

/// What becomes of a Cassandra node.
pub(super) fn node_lines(node: &NodePlan, undrained: bool) -> Vec<String> {
    let mut lines = match &node.fresh {
        Some(fresh) => fresh_lines(node, fresh),
        None => vec![
            format!(
                "node       Cassandra {} of the cluster `{}`, {}",
                node.version,
                node.cluster_name,
                if node.is_up { "up" } else { "down" }
            ),
            way_line(node, undrained),
            format!(
                "there now  {} in {}, {}",
                human::count(node.live_tables, "table"),
                human::count(node.live_files, "file"),
                human::bytes(node.live_bytes)
            ),
        ],
    };
    if let Some(age) = node.age_seconds {
        let grace = node.gc_grace_seconds.map(|least| format!("; the least gc_grace_seconds of its tables is {least} ({})", age_of(least)));
        lines.push(format!("age        {}{}", age_of(age), grace.unwrap_or_default()));
    }
    if node.linked_bytes > 0 {
        lines.push(format!("linked     {} of it lie here as they are to be: they are read, and linked", human::bytes(node.linked_bytes)));
    }
    for (label, tables) in [("makes", &node.makes), ("empties", &node.empties), ("differs", &node.differs)] {
        lines.extend(tables.iter().map(|table| format!("{label:<10} {table}")));
    }
    lines.extend(node.never.iter().map(|never| format!("never      {never}")));
    lines
}

fn age_of(seconds: i64) -> String {
    human::age(SignedDuration::from_secs(seconds))
}

/// What a node becomes that has never run.
fn fresh_lines(node: &NodePlan, fresh: &FreshPlan) -> Vec<String> {
    let folders: Vec<String> = fresh.empty.iter().map(|path| path.display().to_string()).collect();
    let file = fresh.config_file.display();
    let mut lines = vec![
        "node       has never run".to_owned(),
        format!(
            "becomes    the node of the cluster `{}` that the snapshot is of: data centre `{}`, rack `{}`, {}; it was Cassandra {}",
            fresh.cluster_name,
            fresh.data_center,
            fresh.rack,
            human::count(fresh.tokens.len() as u64, "token"),
            node.version
        ),
        format!("empty      {}; if a disk of these is not mounted, say no", folders.join(", ")),
    ];
    if fresh.diff.is_empty() {
        lines.push(format!("writes     nothing: {file} says all that is needed"));
    } else {
        lines.push(format!("writes     {file}, and keeps the old one beside it as *.before-windlass"));
        lines.extend(fresh.diff.iter().map(|line| format!("           {line}")));
    }
    lines.push(
        "way        the node is started, its schema is made; then it is drained and stopped, files come in, it is started and checked"
            .to_owned(),
    );
    lines
}
