//! `windlass config recover`: the configuration of a node whose disk is gone, as its snapshots remember it.

use serde::Serialize;

use super::context::{Program, Reading};
use super::exit::Exit;
use super::failure::Failure;
use crate::format::names::NodeName;
use crate::ops::configuration::{self, Remembered};

/// What stands above all.
const HEAD: &str = "\
# The sources as their newest snapshots remember them. What was a secret in the file itself is not among it: add it, best as `…_file`.
# Read it before it is used: paths and addresses are those of the machine that was.
";

/// The tables before the sources, of which snapshots know nothing.
#[derive(Serialize)]
struct Beginning<'a> {
    node: NodeTable<'a>,
    repository: RepositoryTable<'a>,
}

#[derive(Serialize)]
struct NodeTable<'a> {
    name: &'a NodeName,
}

#[derive(Serialize)]
struct RepositoryTable<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_http: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    encrypt_to: &'a [String],
}

#[derive(Serialize)]
struct Document<'a> {
    toml: &'a str,
    sources: &'a [Remembered],
}

/// Prints a whole file where `--repository` stands in for one, else the sources that the file lacks.
pub(super) fn recover(program: &Program, node: Option<&NodeName>) -> Result<Exit, Failure> {
    let reading = program.reading(node)?;
    let mut sources = configuration::run(&reading.ctx, reading.node.as_ref())?;
    sources.retain(|remembered| reading.ctx.source(&remembered.source).is_err());
    let mut text = HEAD.to_owned();
    if let Some(url) = &program.globals.repository {
        text += &beginning(program, &reading, url, &sources);
    }
    for remembered in &sources {
        text.push('\n');
        text += &section(remembered);
    }
    let output = &program.output;
    if output.json {
        output.document("config-recover", &Document { toml: &text, sources: &sources });
    } else if sources.is_empty() && program.globals.repository.is_none() {
        output.note("the configuration has every source that there are snapshots of");
    } else {
        output.bytes(text.as_bytes());
    }
    for remembered in &sources {
        if let Some(problem) = &remembered.problem {
            let Remembered { source, snapshot, .. } = remembered;
            output.warning(format!("{source}: what {snapshot} remembers of its configuration cannot be told: {problem}"));
        }
    }
    Ok(if sources.iter().any(|remembered| remembered.damaged) { Exit::Damage } else { Exit::Done })
}

fn beginning(program: &Program, reading: &Reading, url: &str, sources: &[Remembered]) -> String {
    let endpoint = program.globals.endpoint.as_deref();
    let newest = sources.iter().max_by_key(|remembered| remembered.snapshot);
    let tables = Beginning {
        node: NodeTable { name: reading.node.as_ref().unwrap_or(&reading.ctx.node) },
        repository: RepositoryTable {
            url,
            endpoint,
            allow_http: endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")),
            encrypt_to: newest.map(|remembered| remembered.recipients.as_slice()).unwrap_or_default(),
        },
    };
    format!("\n{}", to_toml(&tables))
}

/// The section of a source, or why there is none.
fn section(remembered: &Remembered) -> String {
    let Remembered { source, kind, snapshot, section, problem, .. } = remembered;
    let Some(section) = section else {
        let why = problem.as_deref().unwrap_or_default();
        return format!("# [{kind}.{source}] is to be written by hand: of {snapshot} {why}\n");
    };
    format!("# As of {snapshot}.\n{}", to_toml(&serde_json::json!({ kind: { source.as_str(): section } })))
}

fn to_toml(tables: &impl Serialize) -> String {
    toml::to_string(tables).expect("tables of texts, numbers and lists are TOML")
}
