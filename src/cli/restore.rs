//! `windlass restore`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Node, Wait, origin, source_or_snapshot};
use super::confirm::confirm;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::node_lines::{node_lines, way_line};
use crate::format::names::SourceName;
use crate::ops::name::SnapshotName;
use crate::ops::origin::Origin;
use crate::ops::restore::{self, Ending, Manner, Options, Outcome, Part, Plan, Present, Settled, UndoPlan, Undoable, Work};
use crate::ops::spec::is_beside;
use crate::ops::{Context, Error};

/// Make a source hold a snapshot again; what is there now is set aside, and `--undo` puts it back.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The source (its latest snapshot) or SOURCE/ID.
    #[arg(value_name = "SOURCE[/ID]", value_parser = source_or_snapshot)]
    what: SnapshotName,
    /// Where bytes may come from, best first: local, repository, or a folder that a fetch has filled [default: local,repository].
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    from: Vec<Origin>,
    #[command(flatten)]
    node: Node,
    /// Only this database of a server, or this keyspace.
    #[arg(long, value_name = "NAME", value_parser = database_name)]
    database: Option<String>,
    /// Only this table, with its rows and triggers; DATABASE.TABLE where the source has several databases, KEYSPACE.TABLE of Cassandra.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Into a new database or table of this name, beside the live one, which is not touched.
    #[arg(long = "as", value_name = "NAME", value_parser = database_name)]
    rename: Option<String>,
    /// Views, triggers, events and routines of the first account run as the second one; can be given several times.
    #[arg(long = "definer", value_name = "USER@HOST=USER@HOST", value_parser = definer)]
    definers: Vec<(String, String)>,
    /// Let a Cassandra node run, and take the files in, also where it could be stopped.
    #[arg(long)]
    running: bool,
    /// Into tables of a running Cassandra node that keep what they hold: newer cells and newer deletions win.
    #[arg(long)]
    merge: bool,
    /// Also where a Cassandra node is down and cannot be started: what only its commit log holds, of all keyspaces, is set aside.
    #[arg(long, conflicts_with_all = ["running", "merge"])]
    undrained: bool,
    /// Put back what the last restore of the source has set aside.
    #[arg(long, conflicts_with_all = ["from", "node", "database", "table", "rename", "definers", "running", "merge"])]
    undo: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document<'a, P> {
    dry_run: bool,
    undo: bool,
    plan: P,
    outcome: Option<&'a Outcome>,
    /// What was broken off before and is settled now, so that nothing else was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<&'a Settled>,
}

/// A plan with its time in seconds.
#[derive(Serialize)]
struct ShownPlan<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    estimate_seconds: Option<u64>,
}

impl Restore {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let ctx = program.context()?;
        if self.undo {
            return self.put_back(program, &ctx);
        }
        let part = Part {
            database: self.database.clone(),
            table: self.table.clone(),
            rename: self.rename.clone(),
            definers: self.definers.iter().cloned().collect(),
        };
        let manner = Manner { running: self.running, merge: self.merge, undrained: self.undrained };
        let options = Options { from: self.from.clone(), node: self.node.node.clone(), part, manner };
        // What was broken off is settled before anything is planned: what it has set aside belongs to what the plan says.
        let named = match &self.what.source {
            Some(source) => source.clone(),
            None => restore::plan(&ctx, &self.what, &options)?.source,
        };
        let settled = self.settle(program, &ctx, &named)?;
        let plan = restore::plan(&ctx, &self.what, &options)?;
        if let Some(settled) = &settled
            && let Some((told, exit)) = done_with(&plan, settled)
        {
            self.tell_settled(program, settled, told);
            return Ok(exit);
        }
        let shown = ShownPlan { plan: &plan, estimate_seconds: plan.estimate.map(|estimate| estimate.as_secs()) };
        let first =
            if plan.node.as_ref().is_some_and(|node| node.fresh.is_some()) { "Make the node that it was, and make" } else { "Make" };
        let question = format!("{first} {} hold {}?", plan.target, plan.id);
        let part = (options.part != Part { definers: options.part.definers.clone(), ..Part::default() }).then_some(plan.target.as_str());
        self.carry_out(program, &shown, &plan_lines(&plan), &question, part, &|| restore::run(&ctx, &plan, self.wait.wait))
    }

    fn put_back(&self, program: &Program, ctx: &Context) -> Result<Exit, Failure> {
        let source = self.source()?;
        if let Some(settled) = self.settle(program, ctx, source)?
            && let Some((told, exit)) = ends_with(source, &settled)
        {
            self.tell_settled(program, &settled, told);
            return Ok(exit);
        }
        let mut plan = restore::plan_undo(ctx, source)?;
        plan.undrained = self.undrained;
        let question = format!("Put back what was there before into {}?", plan.target);
        let lines = undo_lines(&plan, &ctx.clock.zone());
        self.carry_out(program, &plan, &lines, &question, plan.part(), &|| restore::undo(ctx, &plan, self.wait.wait))
    }

    /// Settles what was broken off of a source, or says that it will be; a plan alone changes nothing.
    fn settle(&self, program: &Program, ctx: &Context, source: &SourceName) -> Result<Option<Settled>, Failure> {
        let is_under_way = restore::is_under_way(ctx, source)?;
        // An undo that finds nothing to undo removes what is left all the same; a restore does so when it runs.
        if !self.dry_run.dry_run && (self.undo || is_under_way) {
            return Ok(restore::settle(ctx, source, self.wait.wait)?);
        }
        if self.dry_run.dry_run && is_under_way {
            program.output.warning(format!(
                "a restore or an undo of {source} is under way or was broken off: without --dry-run that is settled first, and then this plan may \
                 be another"
            ));
        }
        Ok(None)
    }

    fn tell_settled(&self, program: &Program, settled: &Settled, told: String) {
        if program.output.json {
            let settled = Some(settled);
            program.output.document("restore", &Document::<()> { dry_run: false, undo: self.undo, plan: (), outcome: None, settled });
        } else {
            program.output.done(told);
        }
    }

    fn source(&self) -> Result<&SourceName, Failure> {
        let named = self.what.source.as_ref();
        named.ok_or_else(|| Failure::Usage("--undo needs the name of a source: `windlass restore SOURCE --undo`".into()))
    }

    /// Prints the plan, asks, does it and tells what came of it; `part` is what alone was changed, where it is not the source as a whole.
    fn carry_out<P: Serialize>(
        &self,
        program: &Program,
        plan: &P,
        lines: &[String],
        question: &str,
        part: Option<&str>,
        work: &dyn Fn() -> Result<Outcome, Error>,
    ) -> Result<Exit, Failure> {
        let output = &program.output;
        let document = |outcome| Document { dry_run: self.dry_run.dry_run, undo: self.undo, plan, outcome, settled: None };
        if self.dry_run.dry_run {
            if output.json {
                output.document("restore", &document(None));
            } else {
                lines.iter().for_each(|line| output.line(line));
            }
            return Ok(Exit::Done);
        }
        lines.iter().for_each(|line| output.note(line));
        confirm(output, &program.stop, question, self.yes)?;
        let progress = program.progress();
        let outcome = work();
        drop(progress);
        let outcome = outcome?;
        if output.json {
            output.document("restore", &document(Some(&outcome)));
        } else {
            let touched = if self.rename.is_some() { "; nothing that is live was touched" } else { "" };
            output.done(format!("{}{touched}", sentence(&outcome, part, self.undo)));
        }
        outcome.notes.iter().for_each(|note| output.warning(note));
        // Also where nothing lies aside: then an undo makes that nothing is there again.
        if self.rename.is_none() && !self.merge {
            output.note(way_back(&outcome));
        }
        // What is in place is sound; that something was found damaged on the way, or is still to be done, must not go unseen.
        Ok(match (outcome.damage.is_empty(), outcome.owed.is_empty()) {
            (false, _) => Exit::Damage,
            (true, false) => Exit::Partly,
            (true, true) => Exit::Done,
        })
    }
}

fn sentence(outcome: &Outcome, part: Option<&str>, undo: bool) -> String {
    let source = &outcome.source;
    let holds = part.map_or_else(|| format!("{source} holds"), |part| format!("{part} is as in"));
    match outcome.id {
        Some(id) if undo => format!("{holds} {id} again"),
        Some(id) => format!(
            "{holds} {id}: {}, {}, {} downloaded",
            human::count(outcome.files, "file"),
            human::bytes(outcome.bytes),
            human::bytes(outcome.downloaded_bytes)
        ),
        None => format!("{} is as it was before the restore", part.unwrap_or(source.as_str())),
    }
}

/// What an undo says that has met work that was broken off and settled it, where that is all that it does; and whether what was asked for is
/// reached with that. A restore that came through is then undone, as was asked.
fn ends_with(source: &SourceName, settled: &Settled) -> Option<(String, Exit)> {
    let again = format!("no undo was done; run it again to undo the restore of {source}");
    let now = |undo: &Undoable| match undo.undone {
        true => format!("{source} is as it was before the restore of {}", undo.snapshot),
        false => format!("{source} holds {}", undo.snapshot),
    };
    match (settled.work, settled.ending, &settled.undo) {
        (Work::Restore, Ending::Finished, _) => None,
        (Work::Restore, Ending::TakenBack, undo) => {
            let more = if undo.is_some() { "; run it again to undo the restore before it" } else { "" };
            Some((
                format!("{source} is as it was before the restore that was broken off, as far as no warning says otherwise{more}"),
                Exit::Done,
            ))
        }
        // Without anything to undo that is what is to be said.
        (Work::Look, _, None) => None,
        (Work::Look, ending, Some(_)) => {
            let what = match ending {
                Ending::Finished => "was finished",
                Ending::TakenBack => "was taken back",
            };
            Some((format!("a restore of {source} under another name that was broken off {what}; {again}"), Exit::Partly))
        }
        (Work::Undo, Ending::Finished, undo) => {
            let now = undo.as_ref().map(|undo| format!(": {}", now(undo))).unwrap_or_default();
            Some((format!("the undo of {source} that was broken off is finished{now}; run it again to undo that"), Exit::Done))
        }
        (Work::Undo, Ending::TakenBack, undo) => {
            let now = undo.as_ref().map(|undo| format!(": {}", now(undo))).unwrap_or_default();
            Some((
                format!("the undo of {source} that was broken off was taken back{now}; no undo was done; run it again to undo"),
                Exit::Partly,
            ))
        }
    }
}

/// What a restore says that has finished one that was broken off, and whether that is what was asked for. It goes no further: what that one has
/// set aside is what was there before both, and would be removed.
fn done_with(plan: &Plan, settled: &Settled) -> Option<(String, Exit)> {
    let (Work::Restore, Ending::Finished, Some(undo)) = (settled.work, settled.ending, &settled.undo) else { return None };
    let source = &plan.source;
    let holds = format!("the restore of {source} that was broken off is finished: {source} holds what was restored of {}", undo.snapshot);
    if plan.repeats_earlier() {
        return Some((format!("{holds}; run it again to restore once more"), Exit::Done));
    }
    Some((format!("{holds}; nothing else was restored: run it again, and what that restore has set aside is removed"), Exit::Partly))
}

/// How to take back what was just done.
fn way_back(outcome: &Outcome) -> String {
    let does = match outcome.id {
        Some(_) => "puts back what was there before",
        None if outcome.aside.is_none() => return format!("what was restored of {} was gone, so nothing of it lies aside", outcome.source),
        None => "once more brings back what was restored",
    };
    format!("`windlass restore {} --undo` {does}", outcome.source)
}

/// What will be done, for a person.
pub(super) fn plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines = vec![
        format!("restore    {}/{} ({})", plan.source, plan.id, plan.kind),
        format!("into       {}", plan.target),
        match &plan.aside {
            Some(aside) if plan.server.is_some() => format!("set aside  what is there now, in {aside}"),
            Some(aside) => format!("set aside  what is there now, at {aside}"),
            None if plan.options.part.rename.is_some() || plan.options.manner.merge => "set aside  nothing: what is there stays".into(),
            None => "set aside  nothing: nothing is there".into(),
        },
        format!("files      {}, {}", human::number(plan.files), human::bytes(plan.bytes)),
        format!("download   at most {}", human::bytes(plan.download_bytes)),
        format!("free       {}", human::bytes(plan.free_bytes)),
    ];
    lines.extend(plan.server.iter().flat_map(server_lines));
    lines.extend(plan.node.iter().flat_map(|node| node_lines(node, plan.options.manner.undrained)));
    lines.extend(plan.estimate.map(|estimate| format!("time       about {}", human::duration(estimate))));
    lines.extend(plan.warnings.iter().map(|warning| format!("warning    {warning}")));
    lines
}

/// What is on a server now, and who uses it.
fn server_lines(present: &Present) -> Vec<String> {
    let mut lines = vec![format!("server     {} {}", if present.is_mariadb { "MariaDB" } else { "MySQL" }, present.version)];
    lines.extend(present.databases.iter().map(|database| match database.exists {
        true => {
            format!("there now  `{}`: {}, {}", database.name, human::count(database.tables, "table"), human::bytes(database.bytes))
        }
        false => format!("there now  `{}`: no such database", database.name),
    }));
    lines.extend(present.sessions.iter().map(|session| {
        let busy = match session.longest.as_secs() {
            0 => String::new(),
            _ => format!(", one busy for {}", human::duration(session.longest)),
        };
        let (user, host, database) = (&session.user, &session.host, &session.database);
        format!("connected  {user} from {host} to `{database}`: {}{busy}", human::count(session.count, "session"))
    }));
    if present.more_sessions > 0 {
        lines.push(format!("connected  and {} more", human::number(present.more_sessions)));
    }
    lines.extend(present.free_bytes.map(|free| format!("room       {} where the server keeps its data", human::bytes(free))));
    lines
}

/// A name that a database can have.
fn database_name(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length == 0 || length > 64 || text.ends_with(' ') || text.contains('\0') {
        return Err("a database has a name of 1 to 64 characters that does not end with a blank".to_owned());
    }
    if is_beside(text) {
        return Err("names like that are those which restores give to what they load and set aside: choose another".to_owned());
    }
    Ok(text.to_owned())
}

/// `USER@HOST=USER@HOST`.
fn definer(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` does not say which account takes the place of which: write OLD_USER@HOST=NEW_USER@HOST");
    let (old, new) = text.split_once('=').ok_or_else(wrong)?;
    if [old, new].iter().any(|account| account.rsplit_once('@').is_none_or(|(user, host)| user.is_empty() || host.is_empty())) {
        return Err(wrong());
    }
    Ok((old.to_owned(), new.to_owned()))
}

fn undo_lines(plan: &UndoPlan, zone: &jiff::tz::TimeZone) -> Vec<String> {
    let restored = plan.snapshot.map(|id| format!(" of {id}")).unwrap_or_default();
    let mut lines = vec![
        format!("{}the restore{restored} at {}", if plan.redo { "redo       " } else { "undo       " }, human::time(plan.time, zone)),
        format!("into       {}", plan.target),
        match &plan.aside {
            Some(aside) => format!("put back   {aside}"),
            None => "put back   nothing: nothing was there before".into(),
        },
        "set aside  what is there now: undoing again puts that back".into(),
    ];
    if let Some(node) = &plan.node {
        lines.push(way_line(node, plan.undrained));
        lines.extend(node.empties.iter().map(|table| format!("empties    {table}")));
    }
    lines
}
