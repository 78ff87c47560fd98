//! A keyspace with everything in it, and what it answers: `everything.cql`, and for 5.0 `everything_of_5_0.cql` too.

use super::Cassandra;
use super::cql::quoted;
use super::spec::Version;

/// What parts a script from its questions.
const ASK: &str = "-- ask\n";
/// What parts the statements that go into one SSTable of each table from the next.
const FLUSH: &str = "-- flush\n";

impl Cassandra {
    fn scripts(&self) -> Vec<&'static str> {
        let mut scripts = vec![include_str!("everything.cql")];
        if self.spec.version == Version::V50 {
            scripts.push(include_str!("everything_of_5_0.cql"));
        }
        scripts
    }

    /// Makes this keyspace, with everything in it. The newest rows are in the commit log only.
    pub fn fill(&self, keyspace: &str) {
        let cql = self.cql();
        let mut parts: Vec<String> = Vec::new();
        for script in self.scripts() {
            let made = script.split_once(ASK).unwrap().0;
            for (at, part) in made.split(FLUSH).enumerate() {
                if parts.len() == at {
                    parts.push(String::new());
                }
                parts[at].push_str(part);
            }
        }
        let count = parts.len();
        for (at, part) in parts.iter().enumerate() {
            for statement in statements(part, keyspace) {
                cql.run(&statement);
            }
            if at + 1 < count {
                self.nodetool(&["flush", keyspace]);
            }
        }
    }

    /// What the keyspace answers to questions that hang on indexes, views, functions and dropped columns.
    pub fn answers_of(&self, keyspace: &str) -> Vec<String> {
        let cql = self.cql();
        let asked = self.scripts().into_iter().flat_map(|script| statements(script.split_once(ASK).unwrap().1, keyspace));
        asked.map(|question| format!("{question}: {}", cql.lines(&question).join(", "))).collect()
    }
}

/// The statements of a script, about this keyspace. None has a semicolon at the end of a line of its own.
fn statements(script: &str, keyspace: &str) -> Vec<String> {
    let lines: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
    let script = lines.join("\n").replace("KEYSPACE.", &format!("{}.", quoted(keyspace)));
    let script = script.replace("CREATE KEYSPACE KEYSPACE", &format!("CREATE KEYSPACE {}", quoted(keyspace)));
    script
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}
