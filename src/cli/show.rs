//! `windlass show`.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::args::Node;
use super::context::{Program, Reading};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, schema};
use super::{human, list};
use crate::format::entry::{Entry, Kind};
use crate::format::escape::escape;
use crate::format::line::Line;
use crate::ops::Error;
use crate::ops::name::SnapshotName;
use crate::ops::show::{self, Outcome};

/// Show all that is known of a snapshot.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    /// Its files as well.
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    node: Node,
}

/// A file of a snapshot, as JSON.
#[derive(Serialize)]
struct File<'a> {
    path: String,
    kind: &'static str,
    size: u64,
    mode: String,
    uid: u32,
    gid: u32,
    user: Option<&'a str>,
    group: Option<&'a str>,
    /// RFC 3339; `null` for a time that a calendar cannot hold.
    mtime: Option<Timestamp>,
    target: Option<String>,
    link: Option<String>,
    xattrs: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let output = &program.output;
        let outcome = show::run(&reading.ctx, &self.snapshot, reading.node.as_ref())?;
        let exit = if outcome.known_damage.is_empty() && outcome.facts_damage.is_none() { Exit::Done } else { Exit::Damage };
        if output.json && self.files {
            return output.streamed(self.stream_json(&reading, output, &outcome)).map(|_| exit);
        }
        if output.json {
            output.document("show", &outcome);
            return Ok(exit);
        }
        lines(&reading, &outcome).iter().for_each(|line| output.line(line));
        if self.files {
            output.line("");
            output.streamed(self.each_entry(&reading, &mut |entry| {
                output.line(entry_line(&reading, entry));
                output.check()
            }))?;
        }
        Ok(exit)
    }

    fn each_entry(&self, reading: &Reading, visit: &mut dyn FnMut(&Entry) -> Result<(), Error>) -> Result<(), Error> {
        show::files(&reading.ctx, &self.snapshot, reading.node.as_ref(), &mut |line| match line {
            Line::Entry(entry) => visit(&entry),
            Line::More(_) => Ok(()),
        })
    }

    /// One document that is written while the files are read, because they may be many.
    fn stream_json(&self, reading: &Reading, output: &Output, outcome: &Outcome) -> Result<(), Error> {
        let failed = |cause: std::io::Error| Error::file("write to", "standard output")(cause);
        let mut out = output.stream();
        let text = serde_json::to_string(outcome).expect("what is shown is plain JSON");
        let head = text.strip_suffix('}').unwrap_or(&text).strip_prefix('{').unwrap_or_default();
        write!(out, "{{\"schema\":\"{}\",{head},\"file_list\":[", schema("show")).map_err(failed)?;
        let mut first = true;
        self.each_entry(reading, &mut |entry| {
            let text = serde_json::to_string(&File::of(entry)).expect("a file is plain JSON");
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            write!(out, "{comma}\n{text}").map_err(failed)
        })?;
        writeln!(out, "]}}").map_err(failed)
    }
}

impl<'a> File<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            path: entry.path.to_escaped(),
            kind: word(entry.kind),
            size: entry.size,
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.as_deref(),
            group: entry.group.as_deref(),
            mtime: mtime(entry),
            target: entry.target.as_deref().map(escape),
            link: entry.link.as_ref().map(ToString::to_string),
            xattrs: entry.xattrs.iter().map(|xattr| escape(&xattr.name)).collect(),
        }
    }
}

fn mtime(entry: &Entry) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(entry.mtime.nanoseconds).ok()?;
    let whole = Timestamp::from_second(entry.mtime.seconds).ok()?;
    whole.checked_add(jiff::SignedDuration::from_nanos(i64::from(nanoseconds))).ok()
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "dir",
        Kind::Symlink => "symlink",
        Kind::HardLink => "hardlink",
        Kind::Fifo => "fifo",
    }
}

/// A file as `ls -l` would show it, with its path escaped.
fn entry_line(reading: &Reading, entry: &Entry) -> String {
    let owner = |name: &Option<String>, id: u32| name.clone().unwrap_or_else(|| id.to_string());
    let time = mtime(entry).map_or_else(|| "-".into(), |mtime| human::time(mtime, &reading.ctx.clock.zone()));
    let points = match (&entry.target, &entry.link) {
        (Some(target), _) => format!(" -> {}", escape(target)),
        (None, Some(link)) => format!(" = {link}"),
        (None, None) => String::new(),
    };
    let (user, group) = (owner(&entry.user, entry.uid), owner(&entry.group, entry.gid));
    format!(
        "{:<8} {:04o} {user:<8} {group:<8} {:>14} {time:<19} {}{points}",
        word(entry.kind),
        entry.mode,
        human::number(entry.size),
        entry.path
    )
}

fn pinned(outcome: &Outcome) -> String {
    match (outcome.pinned, outcome.pinned_why.as_deref().unwrap_or_default()) {
        (false, _) => "no".into(),
        (true, "") => "yes".into(),
        (true, why) => format!("yes: {why}"),
    }
}

fn lines(reading: &Reading, outcome: &Outcome) -> Vec<String> {
    let (row, zone, now) = (&outcome.row, reading.ctx.clock.zone(), reading.ctx.clock.now());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let wrong = list::wrong(row);
    let reused = row.stored_bytes.zip(row.added_bytes).map(|(stored, added)| stored.saturating_sub(added));
    let age = human::age(now.duration_since(row.time));
    let pairs = [
        ("snapshot", format!("{}/{}", row.source, row.id)),
        ("node", row.node.to_string()),
        ("kind", row.kind.clone()),
        ("time", format!("{} ({age} ago, on {} at the node)", human::time(row.time, &zone), outcome.local_date)),
        ("where", list::place(row.place).into()),
        ("problems", if wrong.is_empty() { "none".into() } else { wrong }),
        ("files", format!("{} ({} with directories and links)", human::number(row.files), human::number(outcome.entries))),
        ("size", human::bytes(row.bytes)),
        ("stored", human::bytes_or_dash(row.stored_bytes)),
        ("added", human::bytes_or_dash(row.added_bytes)),
        ("reused", human::bytes_or_dash(reused)),
        ("packs", or_none(outcome.packs.map(human::number))),
        ("file lists", or_none(outcome.lists.map(human::number))),
        ("manifest", or_none(outcome.manifest.map(|n| format!("number {n}")))),
        ("encrypted", if outcome.recipients.is_empty() { "no".into() } else { format!("to {}", outcome.recipients.join(", ")) }),
        ("pinned", pinned(outcome)),
        ("previous", or_none(outcome.previous.map(|id| id.to_string()))),
        ("local copy", or_none(outcome.folder.as_ref().map(|folder| folder.display().to_string()))),
        ("taken by", outcome.agent.clone()),
    ];
    let mut lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name:<12}{value}")).collect();
    lines.extend(outcome.known_damage.iter().map(|object| format!("{:<12}{object}", "damaged")));
    lines.extend(outcome.facts_damage.iter().map(|problem| format!("{:<12}{problem}", "no facts")));
    let facts = serde_json::to_string_pretty(&outcome.facts).expect("facts are plain JSON");
    lines.push("facts".into());
    lines.extend(facts.lines().map(|line| format!("  {line}")));
    lines
}
