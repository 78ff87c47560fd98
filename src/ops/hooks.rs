//! Commands of an operator around the run of a source: before its snapshot, after it, and when it has failed.
//!
//! `backup` and the agent run them; `snapshot` and `ship`, which are a person's, do not. No lock is held meanwhile.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use thiserror::Error as ThisError;

use super::error::chain;
use super::last_failure::{self, Work};
use super::{Context, Error};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::sys::command;
use crate::sys::environment::{Environment, SystemEnvironment};
use crate::sys::stop::Stop;
use crate::sys::{self, file, machine};

/// How long a hook may take where nothing is said: a service is stopped and started within that.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// Most that may be said: a hook that takes longer would look like a hang of the agent (`sys::service`).
pub const TIMEOUT_MAX: Duration = Duration::from_secs(4 * 3600);

/// What a hook has once the run is to stop: time to start again what `before` has stopped, and well within what a service manager waits.
const LAST: Duration = Duration::from_secs(20);

/// Most bytes of an error that a hook is told: the system has a limit for what is handed to a program.
const ERROR_MAX: usize = 4 << 10;

/// What a hook has of our environment: where programs and a person's files lie, and what prefix words such as `docker exec` need.
const KEPT: [&str; 7] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "DOCKER_HOST", "XDG_RUNTIME_DIR"];

/// The commands around the run of a source, each a program and its arguments; an empty one is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// Has to go well before the snapshot is taken.
    pub before: Vec<String>,
    /// Once the snapshot is complete and its shipment was tried.
    pub after: Vec<String>,
    /// When there is no snapshot.
    pub failed: Vec<String>,
    /// How long each may take.
    pub timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { before: Vec::new(), after: Vec::new(), failed: Vec::new(), timeout: TIMEOUT }
    }
}

/// Why a hook did not go well.
#[derive(Debug, ThisError)]
pub enum HookError {
    /// It ended, and says that it did not.
    #[error("{0}")]
    Ended(String),
    /// It could not be run to its end.
    #[error(transparent)]
    System(#[from] sys::Error),
}

/// Runs the hook that must go well before a snapshot is taken. What went wrong is remembered, as a snapshot that failed is.
///
/// # Errors
/// [`Error::Hook`]; [`Error::Stopped`].
pub fn before(ctx: &Context, source: &SourceName) -> Result<(), Error> {
    let hooks = &ctx.source(source)?.hooks;
    let outcome = run(ctx, source, hooks, ("before", &hooks.before), Vec::new());
    let outcome = outcome.map_err(|cause| match cause {
        HookError::System(sys::Error::Stopped(stopped)) => stopped.into(),
        cause => Error::Hook { hook: "before", cause },
    });
    match &outcome {
        Err(error) => last_failure::remember(ctx, source, Work::Snapshot, Some(error)),
        Ok(()) if hooks.before.is_empty() => {}
        Ok(()) => note_begun(ctx, source),
    }
    outcome
}

/// Notes that `before` has run, and that neither `after` nor `failed` has: where that is found, whoever was to run those was killed.
fn note_begun(ctx: &Context, source: &SourceName) {
    let noted = ctx.state().and_then(|state| {
        let path = state.folder(&["hooks"])?.join(source.as_str());
        Ok(file::replace_private(&path, machine::process().to_string().as_bytes())?)
    });
    if let Err(error) = noted {
        let what = "that the hook `before` has run cannot be kept, so after a kill nobody runs `failed` for it";
        ctx.warn(Some(source), format!("{what}: {}", chain(&error)));
    }
}

/// Runs `failed` for a run that was killed after its `before`, so that what that has stopped is started again. Called before the first run of a
/// process.
pub fn settle(ctx: &Context, source: &SourceName) {
    let Ok(state) = ctx.state() else { return };
    let Ok(text) = fs::read_to_string(state.path(&["hooks"]).join(source.as_str())) else { return };
    // Somebody else may be at work on the source just now. What has this process's own number is of one before it: it has begun no run yet.
    let is_at_work = text.trim().parse().is_ok_and(|process| process != machine::process() && machine::is_running(process));
    if !is_at_work {
        ctx.warn(Some(source), "the run before this was killed after its hook `before`: `failed` is run for it now");
        failed(ctx, source, &Error::Refused("the run was killed".into()));
    }
}

/// Runs the hook of a run whose snapshot is complete; its failure is a warning.
pub fn after(ctx: &Context, source: &SourceName, snapshot: SnapshotId, is_shipped: bool) {
    let told = vec![("WINDLASS_SNAPSHOT", snapshot.to_string()), ("WINDLASS_SHIPPED", is_shipped.to_string())];
    finish(ctx, source, "after", |hooks| &hooks.after, told);
}

/// Runs the hook of a run that has taken no snapshot, also of one that was stopped: what `before` has stopped is to be started again. Its failure is
/// a warning.
pub fn failed(ctx: &Context, source: &SourceName, error: &Error) {
    let mut text = chain(error).replace(['\0', '\n'], " ");
    text.truncate(text.floor_char_boundary(ERROR_MAX));
    finish(ctx, source, "failed", |hooks| &hooks.failed, vec![("WINDLASS_ERROR", text)]);
}

fn finish(ctx: &Context, source: &SourceName, hook: &'static str, of: fn(&Hooks) -> &Vec<String>, told: Vec<(&'static str, String)>) {
    // A source that a changed configuration does not have any more has no hooks.
    let Ok(spec) = ctx.source(source) else { return };
    if let Err(error) = run(ctx, source, &spec.hooks, (hook, of(&spec.hooks)), told) {
        ctx.warn(Some(source), format!("the hook `{hook}` did not go well: {}", chain(&error)));
    }
    if let Ok(state) = ctx.state()
        && let path = state.path(&["hooks"]).join(source.as_str())
        && let Err(cause) = fs::remove_file(&path)
        && !matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    {
        ctx.warn(Some(source), format!("{} cannot be removed, so `failed` will be run once more: {cause}", path.display()));
    }
}

fn run(
    ctx: &Context,
    source: &SourceName,
    hooks: &Hooks,
    (hook, words): (&'static str, &[String]),
    told: Vec<(&'static str, String)>,
) -> Result<(), HookError> {
    if words.is_empty() {
        return Ok(());
    }
    let own = SystemEnvironment;
    let mut variables: Vec<(&str, String)> = KEPT.into_iter().filter_map(|name| Some((name, own.var(name)?))).collect();
    variables.extend([
        ("WINDLASS_HOOK", hook.to_owned()),
        ("WINDLASS_NODE", ctx.node.to_string()),
        ("WINDLASS_SOURCE", source.to_string()),
    ]);
    variables.extend(told);
    let (stop, time) = match (hook, ctx.stop.signal().is_some()) {
        ("before", _) => (ctx.stop.clone(), hooks.timeout),
        // What `before` has stopped is to be started again, whatever else ends.
        (_, true) => (Stop::new(), hooks.timeout.min(LAST)),
        (_, false) => (Stop::new(), hooks.timeout),
    };
    let ran = command::run(words, &variables, time, &stop)?;
    if ran.is_well() { Ok(()) } else { Err(HookError::Ended(ran.how())) }
}
