//! `windlass ship`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Wait, choose_sources};
use super::context::Program;
use super::each::{Failed, Made, each, exit_of};
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::copies::Copies;
use crate::ops::name::{SnapshotName, Which};
use crate::ops::ship::{self, Options, Shipment};
use crate::ops::snapshots::{Place, Row};
use crate::ops::{Context, Error};

/// Bring local copies into the repository; a broken run is taken up where it stopped.
#[derive(Args, Debug)]
pub(super) struct Ship {
    /// The sources [default: all].
    #[arg(value_name = "SOURCE")]
    sources: Vec<SourceName>,
    /// Only this local copy.
    #[arg(long, value_name = "ID")]
    snapshot: Option<SnapshotName>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document {
    dry_run: bool,
    snapshots: Vec<Row>,
    planned: Vec<Shipment>,
    failed: Vec<Failed>,
}

impl Ship {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let ctx = program.context()?;
        let mut sources = choose_sources(&ctx, &self.sources)?;
        let mut snapshot = None;
        if let Some(name) = &self.snapshot {
            let (source, id) = local_copy(&ctx, &sources, name)?;
            (sources, snapshot) = (vec![source], Some(id));
        }
        let options = Options { snapshot, wait: self.wait.wait, dry_run: self.dry_run.dry_run };
        let mut passed_over = Vec::new();
        let progress = program.progress();
        let work = each(program, &sources, |source| {
            let outcome = ship::run(&ctx, source, &options)?;
            let shipped = outcome.shipped;
            tell(program, &shipped, options.dry_run);
            if shipped.is_empty() && outcome.failed.is_empty() {
                tell_why_nothing(program, &ctx, source, self.sources.contains(source))?;
            }
            let mut exits: Vec<Exit> = shipped.iter().map(|shipment| exit_of(&shipment.problems)).collect();
            for (id, error) in &outcome.failed {
                let (copy, exit) = Failed::copy(program, source, *id, error);
                passed_over.push(copy);
                exits.push(exit);
            }
            Ok((shipped, Exit::of_all(&exits)))
        });
        drop(progress);
        if program.output.json {
            let shipments: Vec<Shipment> = work.done.into_iter().flatten().collect();
            let (snapshots, planned) = match options.dry_run {
                true => (Vec::new(), shipments),
                false => (shipments.iter().map(|shipment| row(&ctx, shipment)).collect::<Result<_, _>>()?, Vec::new()),
            };
            let document =
                Document { dry_run: options.dry_run, snapshots, planned, failed: passed_over.into_iter().chain(work.failed).collect() };
            program.output.document("ship", &document);
        }
        Ok(work.exit)
    }
}

/// Tells what was shipped, or in a dry run would be.
pub(super) fn tell(program: &Program, shipped: &[Shipment], dry_run: bool) {
    let lines = shipped.iter().map(|shipment| sentence(shipment, dry_run));
    lines.for_each(|line| if dry_run { program.output.plan(line) } else { program.output.done(line) });
}

/// Says why nothing of a source was shipped; that a source which was `named` has no copy at all is an error.
fn tell_why_nothing(program: &Program, ctx: &Context, source: &SourceName, named: bool) -> Result<(), Error> {
    if !Copies::read(ctx, source)?.complete.is_empty() {
        program.output.note(format!("{source}: everything is in the repository already"));
        return Ok(());
    }
    let nothing = format!("there is no local copy of `{source}` to ship: `windlass backup {source}` takes one and ships it");
    if named {
        return Err(Error::Absent(nothing));
    }
    program.output.note(nothing);
    Ok(())
}

/// The one local copy that a name means.
fn local_copy(ctx: &Context, sources: &[SourceName], name: &SnapshotName) -> Result<(SourceName, SnapshotId), Failure> {
    let sources = match &name.source {
        Some(source) => vec![ctx.source(source)?.name.clone()],
        None => sources.to_vec(),
    };
    let mut found = Vec::new();
    for source in sources {
        let copies = Copies::read(ctx, &source)?;
        match &name.which {
            Which::Latest => found.extend(copies.latest().map(|copy| (source.clone(), copy.id()))),
            Which::Prefix(prefix) => {
                let ids = copies.complete.iter().chain(&copies.future).map(|copy| copy.id());
                found.extend(ids.filter(|id| id.to_string().starts_with(prefix)).map(|id| (source.clone(), id)));
            }
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::Absent(format!("there is no local copy `{name}`: `windlass list` shows what there is")).into()),
        _ => Err(Error::Absent(format!("`{name}` fits more than one local copy: write SOURCE/ID")).into()),
    }
}

/// The shipped snapshot as a line of `list`.
pub(super) fn row(ctx: &Context, shipment: &Shipment) -> Result<Row, Error> {
    let made = Made {
        source: &shipment.source,
        id: shipment.id,
        place: Place::Both,
        files: shipment.files,
        bytes: shipment.bytes,
        stored: Some((shipment.stored_bytes, shipment.added_bytes)),
        problems: &shipment.problems,
    };
    made.row(ctx)
}

/// What was done, or would be.
fn sentence(shipment: &Shipment, dry_run: bool) -> String {
    let bytes = human::bytes(shipment.bytes);
    if dry_run {
        return format!("{}/{}: would ship {bytes} (what the repository has already is not sent)", shipment.source, shipment.id);
    }
    let (added, stored) = (human::bytes(shipment.added_bytes), human::bytes(shipment.stored_bytes));
    format!("{}/{}  shipped: {bytes}, {added} added, {stored} stored in all", shipment.source, shipment.id)
}
