//! Options that several commands share, and how their values are read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use crate::config::units;
use crate::format::names::{NodeName, SourceName};
use crate::format::path::RelPath;
use crate::ops::name::SnapshotName;
use crate::ops::{self, Context, origin::Origin};

/// How long `--wait` alone waits: a first backup of a large node may take most of a day, and what takes longer is stuck.
const WAIT_DEFAULT: &str = "24h";

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Globals {
    /// The configuration file [default: $WINDLASS_CONFIG, else /etc/windlass/windlass.toml].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(super) config: Option<PathBuf>,
    /// Print one JSON document, and events as lines of JSON to standard error.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(super) json: bool,
    /// Say nothing of what was done: only data that was asked for, warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    pub(super) quiet: bool,
    /// Say each step.
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(super) verbose: bool,
    /// Read this repository without a configuration file (list, show, fetch, cat, diff, verify, stats, status --cluster, config recover).
    #[arg(long, global = true, value_name = "URL", conflicts_with = "config", help_heading = "Everywhere")]
    pub(super) repository: Option<String>,
    /// The identity that opens an encrypted repository, in place of the configuration's; `-` = standard input.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(super) identity_file: Option<PathBuf>,
    /// The S3 server of --repository, where it is not AWS.
    #[arg(long, global = true, value_name = "URL", requires = "repository", help_heading = "Everywhere")]
    pub(super) endpoint: Option<String>,
}

/// Sources by name, or all of them.
#[derive(Args, Clone, Debug)]
pub(super) struct Sources {
    /// The sources.
    #[arg(value_name = "SOURCE")]
    pub(super) sources: Vec<SourceName>,
    /// Every source of the configuration.
    #[arg(long, conflicts_with = "sources")]
    pub(super) all: bool,
}

impl Sources {
    /// The sources that are meant, each once. All of them only where that was said: a slip must not begin a night's work.
    pub(super) fn choose(&self, ctx: &Context) -> Result<Vec<SourceName>, Failure> {
        if self.sources.is_empty() && !self.all {
            let configured = match ctx.sources.as_slice() {
                [] => "; the configuration names none".to_owned(),
                some => format!(": {}", some.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ")),
            };
            return Err(Failure::Usage(format!("name sources, or say --all for all of them{configured}")));
        }
        choose_sources(ctx, &self.sources)
    }
}

/// These sources, or all where none is named; one that is not configured is an error before anything is done.
pub(super) fn choose_sources(ctx: &Context, named: &[SourceName]) -> Result<Vec<SourceName>, Failure> {
    if named.is_empty() {
        if ctx.sources.is_empty() {
            return Err(ops::Error::Absent("the configuration names no source".into()).into());
        }
        return Ok(ctx.sources.iter().map(|spec| spec.name.clone()).collect());
    }
    let mut chosen: Vec<SourceName> = Vec::new();
    for name in named {
        if !chosen.contains(&ctx.source(name)?.name) {
            chosen.push(name.clone());
        }
    }
    Ok(chosen)
}

/// What to do while another run holds a lock.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Wait for another run that holds the lock, at most this long [without a value: 24h].
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = WAIT_DEFAULT, value_parser = duration)]
    pub(super) wait: Option<Duration>,
}

/// Whether something is really done.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct DryRun {
    /// Only say what would be done.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Whose snapshots.
#[derive(Args, Clone, Debug)]
pub(super) struct Node {
    /// Another node's part of the repository.
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<NodeName>,
}

/// A duration such as `10m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text)
}

/// `SOURCE` (its latest snapshot) or `SOURCE/ID`.
pub(super) fn source_or_snapshot(text: &str) -> Result<SnapshotName, ops::Error> {
    if !text.contains('/')
        && let Ok(source) = text.parse()
    {
        return Ok(SnapshotName::latest(source));
    }
    text.parse()
}

/// `local`, `repository` or a folder.
pub(super) fn origin(text: &str) -> Result<Origin, String> {
    match text {
        "" => Err("say local, repository or a folder".into()),
        "local" => Ok(Origin::Local),
        "repository" => Ok(Origin::Repository),
        folder => Ok(Origin::Folder(folder.into())),
    }
}

/// A path inside a snapshot: as `show --files` prints it, or its bytes as they are where those cannot be meant as an escape.
pub(super) fn inner_path(text: &OsStr) -> Result<RelPath, ops::Error> {
    let mut bytes = text.as_bytes();
    while let Some(rest) = bytes.strip_prefix(b"./") {
        bytes = rest;
    }
    let bytes = match bytes {
        b"." => b"",
        bytes => bytes.strip_suffix(b"/").unwrap_or(bytes),
    };
    let refused = |cause| ops::Error::Usage(format!("`{}` is no path inside a snapshot: {cause}", text.display()));
    match std::str::from_utf8(bytes).ok().and_then(|text| crate::format::escape::unescape(text).ok()) {
        Some(unescaped) => RelPath::new(unescaped).map_err(refused),
        None => RelPath::new(bytes).map_err(refused),
    }
}

/// For clap: reads a path inside a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct InnerPath;

impl clap::builder::TypedValueParser for InnerPath {
    type Value = RelPath;

    fn parse_ref(&self, command: &clap::Command, _: Option<&clap::Arg>, value: &OsStr) -> Result<RelPath, clap::Error> {
        inner_path(value).map_err(|error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{error}\n")).with_cmd(command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is_shown_or_as_it_is() {
        let read =
            |bytes: &[u8]| inner_path(OsStr::from_bytes(bytes)).map(|path| path.as_bytes().to_vec()).map_err(|error| error.to_string());
        assert_eq!(read(b"./etc/passwd").unwrap(), b"etc/passwd");
        assert_eq!(read(b"etc/").unwrap(), b"etc");
        assert_eq!(read(b"a%0Ab%25").unwrap(), b"a\nb%");
        assert_eq!(read(b"100%").unwrap(), b"100%");
        assert_eq!(read(b"\xff\n").unwrap(), b"\xff\n");
        assert_eq!(read(b".").unwrap(), b"");
        for bytes in [b"/etc".as_slice(), b"../x", b"a/../b"] {
            assert!(read(bytes).unwrap_err().contains("is no path inside a snapshot"));
        }
    }

    #[test]
    fn restore_takes_a_source_or_one_of_its_snapshots() {
        assert_eq!(source_or_snapshot("ellis").unwrap().to_string(), "ellis/latest");
        assert_eq!(source_or_snapshot("ellis/20261123T").unwrap().to_string(), "ellis/20261123T");
        assert_eq!(source_or_snapshot("20261123T000000123Z").unwrap().source, None);
        assert!(source_or_snapshot("Ellis").is_err());
    }
}
