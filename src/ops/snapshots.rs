//! Both tiers seen together: which snapshots there are, and where each one is.

use std::collections::BTreeMap;

use super::catalogue::{self, Catalogue, Finding, Shipped};
use super::copies::{BrokenCopy, Copies, Copy, FUTURE, sources_with_copies};
use super::error::chain;
use super::event::Event;
use super::listed::Id;
use super::manifests::Manifests;
use super::name::{SnapshotName, Which};
use super::node::Remote;
use super::origin::Origin;
use super::rows::RowsWriter;
pub use super::rows::{Place, Row, Rows};
use super::undo::{self, Remains, Undo};
use super::work::folder_to_look;
use super::{Context, Error, lost, verify};
use crate::format::head::{Head, ProblemCount};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// The kind of problem of a snapshot whose local copy is known to be damaged.
pub const DAMAGED_COPY: &str = "damaged local copy";

/// Most snapshots that are named when a name fits more than one.
const FITTING_NAMED: usize = 8;

/// The kind of problem of a snapshot whose manifest in the repository is known to be damaged.
pub const DAMAGED_MANIFEST: &str = "damaged manifest";

/// All snapshots of a node in both tiers.
#[derive(Debug, Default)]
pub struct View {
    /// The snapshots, by source, oldest first.
    pub rows: Rows,
    /// Undos of this node.
    pub undo: Vec<Undo>,
    /// What is not as it should be in the repository.
    pub findings: Vec<Finding>,
    /// What lies in the local folder and was not recognised, or is a copy that counts for nothing because its record is damaged; a repository
    /// that is not the one that was here before.
    pub strange: Vec<String>,
    /// What restores of each source of this node have left.
    pub remains: BTreeMap<SourceName, Remains>,
    /// Why the repository was not read, when it was not.
    pub unreachable: Option<Error>,
    /// The repository that was read.
    pub(crate) read: Option<Remote>,
}

/// One snapshot that was looked up, with both places it may be in.
#[derive(Debug)]
pub struct Found {
    /// The node that took it.
    pub node: NodeName,
    /// Its source.
    pub source: SourceName,
    /// Its id.
    pub id: SnapshotId,
    /// The local copy.
    pub local: Option<Copy>,
    /// The shipped one, with the repository it is in.
    pub shipped: Option<(Remote, Shipped)>,
    /// Why the repository was not asked, when it was not.
    pub unreachable: Option<Error>,
}

impl View {
    /// Reads both tiers; `node` = another node's part of the repository, where there is no local tier.
    ///
    /// Where there is one, a store that does not answer is given up soon: what lies here is shown without it.
    ///
    /// # Errors
    /// What the local tier gives. A repository that cannot be reached is in the view.
    pub fn read(ctx: &Context, node: Option<&NodeName>, source: Option<&SourceName>) -> Result<Self, Error> {
        Self::read_with(ctx, node, source, if has_local_tier(ctx, node) { Remote::open_briefly } else { Remote::open })
    }

    fn read_with(
        ctx: &Context,
        node: Option<&NodeName>,
        source: Option<&SourceName>,
        open: fn(&Context) -> Result<Remote, Error>,
    ) -> Result<Self, Error> {
        let is_local = has_local_tier(ctx, node);
        let (mut view, local) = if is_local { Self::local(ctx, source)? } else { Default::default() };
        let node = node.unwrap_or(&ctx.node);
        let read = open(ctx).and_then(|remote| Ok((both_tiers(ctx, &remote, node, source, local.clone())?, remote)));
        match read {
            Ok(((rows, findings), remote)) => {
                if is_local {
                    view.strange.extend(remote.check_same(ctx).err().map(|error| chain(&error)));
                }
                (view.rows, view.findings, view.read) = (rows, findings, Some(remote));
            }
            Err(error) if error.is_stopped() || !is_local => return Err(error),
            Err(error) => (view.rows, view.unreachable) = (Rows::from(local), Some(error)),
        }
        if view.rows.is_empty() && !is_local {
            Remote::open(ctx)?.check_node(node)?;
        }
        Ok(view)
    }

    /// Adds to each snapshot that its manifest is known to be damaged: what verifications have recorded and a listing does not show. What
    /// is known of packs and file lists is told by `show`, because it takes reading the body.
    ///
    /// # Errors
    /// What the store gives.
    pub fn mark_known_damage(&mut self, node: &NodeName) -> Result<(), Error> {
        let Some(remote) = &self.read else { return Ok(()) };
        self.rows.mark(verify::damaged_manifests(remote, node)?);
        Ok(())
    }

    /// The local tier alone.
    fn read_local(ctx: &Context, source: Option<&SourceName>) -> Result<Self, Error> {
        let (view, rows) = Self::local(ctx, source)?;
        Ok(Self { rows: Rows::from(rows), ..view })
    }

    /// What lies here, and the rows of it, which are a few for each source.
    fn local(ctx: &Context, source: Option<&SourceName>) -> Result<(Self, BTreeMap<Id, Row>), Error> {
        let (mut view, mut rows) = (Self::default(), BTreeMap::new());
        let mut sources = sources_with_copies(ctx)?;
        sources.extend(ctx.sources.iter().map(|spec| spec.name.clone()));
        sources.retain(|name| source.is_none_or(|wanted| wanted == name));
        sources.sort();
        sources.dedup();
        for name in sources {
            let copies = Copies::read(ctx, &name)?;
            for copy in copies.complete.iter().chain(&copies.future) {
                rows.insert((name.clone(), copy.id()), local_row(ctx, copy));
            }
            view.strange.extend(copies.strange);
            view.strange.extend(copies.broken.iter().map(|copy| broken(&name, copy)));
            view.undo.extend(undo::undo_of(ctx, &name)?);
            let remains = undo::remains_of(ctx, &name)?;
            view.remains.insert(name, remains);
        }
        Ok((view, rows))
    }
}

/// The rows of what is in the repository with those of the local copies, and what is not as it should be in the repository.
fn both_tiers(
    ctx: &Context,
    remote: &Remote,
    node: &NodeName,
    source: Option<&SourceName>,
    local: BTreeMap<Id, Row>,
) -> Result<(Rows, Vec<Finding>), Error> {
    let mut rows = RowsWriter::new(&folder_to_look(ctx), local);
    let mut findings = Vec::new();
    let unknown = Manifests { ctx, remote, node, source, keeps: true }.each(&mut |judged| {
        findings.extend(judged.findings.iter().filter(|finding| !judged.is_superseded(finding)).cloned());
        let Some(shipped) = &judged.shipped else { return Ok(()) };
        let local = rows.take_local(&judged.id);
        rows.push(shipped_row(ctx, local, &shipped.head))
    })?;
    findings.extend(unknown);
    Finding::sort(&mut findings);
    Ok((rows.finish()?, findings))
}

/// What is wrong with a copy that counts for nothing, and what to do.
fn broken(source: &SourceName, copy: &BrokenCopy) -> String {
    let (dir, problem, name) = (copy.dir.display(), &copy.problem, format!("{source}/{}", copy.id));
    format!("{dir}: {problem}; `windlass heal {name}` fetches it again, `windlass forget {name} --local` removes it")
}

/// Whether the local copies on this machine are that node's.
fn has_local_tier(ctx: &Context, node: Option<&NodeName>) -> bool {
    ctx.local.is_some() && node.is_none_or(|node| *node == ctx.node)
}

fn is_future(ctx: &Context, id: SnapshotId) -> bool {
    id.to_timestamp() > ctx.clock.now() + FUTURE
}

fn local_row(ctx: &Context, copy: &Copy) -> Row {
    let record = &copy.record;
    let mut problems = record.problems.clone();
    problems.extend(copy.damage.as_ref().map(|_| ProblemCount { kind: DAMAGED_COPY.to_owned(), count: 1 }));
    Row {
        id: record.id,
        node: record.node.clone(),
        source: record.source.clone(),
        kind: record.kind.clone(),
        time: record.id.to_timestamp(),
        place: Place::Local,
        files: record.files,
        bytes: record.bytes,
        stored_bytes: None,
        added_bytes: None,
        problems,
        future: is_future(ctx, record.id),
        manifest: None,
    }
}

/// The row of a shipped snapshot; `local` = that of its local copy.
fn shipped_row(ctx: &Context, local: Option<Row>, head: &Head) -> Row {
    let place = if local.is_some() { Place::Both } else { Place::Shipped };
    let row = local.unwrap_or_else(|| Row {
        id: head.id,
        node: head.node.clone(),
        source: head.source.clone(),
        kind: head.kind.clone(),
        time: head.time,
        place: Place::Shipped,
        files: head.files,
        bytes: head.bytes,
        stored_bytes: None,
        added_bytes: None,
        problems: head.problems.clone(),
        future: is_future(ctx, head.id),
        manifest: None,
    });
    Row { place, stored_bytes: Some(head.stored_bytes), added_bytes: Some(head.added_bytes), manifest: Some(head.n), ..row }
}

impl Found {
    /// Looks a snapshot up where bytes may come from these places (none = both tiers). Where the repository is not one of them, a local
    /// copy that the name means is enough, and no store is asked; the latest one is only known of both tiers together.
    ///
    /// # Errors
    /// As [`Found::look_up`].
    pub fn look_up_in(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName, from: &[Origin]) -> Result<Self, Error> {
        if from.contains(&Origin::Local)
            && !from.contains(&Origin::Repository)
            && let Some(found) = Self::here(ctx, node, name)?
        {
            return Ok(found);
        }
        Self::look_up(ctx, node, name)
    }

    /// The local copy of a snapshot that is named by its whole id: as long as its bytes are intact, no store need be asked.
    ///
    /// # Errors
    /// What the local tier gives.
    pub fn near(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName) -> Result<Option<Self>, Error> {
        match &name.which {
            Which::Prefix(id) if id.parse::<SnapshotId>().is_ok() => Self::here(ctx, node, name),
            _ => Ok(None),
        }
    }

    /// The only local copy whose id begins like this.
    fn here(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName) -> Result<Option<Self>, Error> {
        if name.which == Which::Latest || !has_local_tier(ctx, node) {
            return Ok(None);
        }
        let view = View::read_local(ctx, name.source.as_ref())?;
        let Ok([row]) = <[Row; 1]>::try_from(fitting(name, &view)?) else { return Ok(None) };
        let local = Copies::read(ctx, &row.source)?.find(row.id).cloned();
        let Row { node, source, id, .. } = row;
        Ok(local.map(|copy| Self { node, source, id, local: Some(copy), shipped: None, unreachable: None }))
    }

    /// Looks a snapshot up in both tiers. A store that does not answer is given up soon where the name means a local copy.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none, or when the name fits more than one (then it names them).
    pub fn look_up(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName) -> Result<Self, Error> {
        let source = name.source.as_ref();
        let is_here = has_local_tier(ctx, node) && !fitting(name, &View::read_local(ctx, source)?)?.is_empty();
        let view = View::read_with(ctx, node, source, if is_here { Remote::open_briefly } else { Remote::open })?;
        let row = choose(name, &view)?;
        if name.which == Which::Latest {
            tell_of_newer(ctx, node.unwrap_or(&ctx.node), name, &view, &row)?;
        }
        let node = node.unwrap_or(&ctx.node).clone();
        let local = match row.place {
            Place::Shipped => None,
            Place::Local | Place::Both => Copies::read(ctx, &row.source)?.find(row.id).cloned(),
        };
        let shipped = match row.place {
            Place::Local => None,
            Place::Shipped | Place::Both => {
                let remote = Remote::open(ctx)?;
                catalogue::find(ctx, &remote, &node, &(row.source.clone(), row.id))?.map(|shipped| (remote, shipped))
            }
        };
        let Row { source, id, .. } = row;
        Ok(Self { node, source, id, local, shipped, unreachable: view.unreachable })
    }

    /// The snapshot as `SOURCE/ID`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.source, self.id)
    }
}

/// Tells of snapshots that are newer than the one which is taken for the latest, because their manifests are damaged or gone: what is taken
/// is older than a person thinks.
fn tell_of_newer(ctx: &Context, node: &NodeName, name: &SnapshotName, view: &View, row: &Row) -> Result<(), Error> {
    let tell = |newer: &str, object: &str, problem: &str| {
        let message = format!("{newer} is newer than {} and cannot be used: {object}: {problem}", row.id);
        ctx.tell(Event::Damage { source: row.source.clone(), object: object.to_owned(), message });
    };
    let source = format!("{}/", row.source);
    let is_newer = |snapshot: &&str| snapshot.strip_prefix(&source).is_some_and(|id| *id > *row.id.to_string());
    for finding in hidden(name, view) {
        let Some(newer) = finding.snapshot.as_deref().filter(is_newer) else { continue };
        if finding.unknown {
            // A later version of this program has written it: no damage, but no latest either.
            let problem = format!("{newer} is newer than {} and cannot be used: {}: {}", row.id, finding.object, finding.problem);
            ctx.warn(Some(&row.source), problem);
        } else {
            tell(newer, &finding.object, &finding.problem);
        }
    }
    let Some(remote) = &view.read else { return Ok(()) };
    // Heads of other sources remember the newest one of this source, so the whole node is looked at.
    let catalogue = Catalogue::read(ctx, remote, node, None)?;
    for lost in lost::find(ctx, remote, &catalogue, node)? {
        if lost.id.0 == row.source && lost.id.1 > row.id {
            tell(&format!("{}/{}", lost.id.0, lost.id.1), &lost.object, &lost.problem);
        }
    }
    Ok(())
}

/// The rows that a name fits; where they are more than are named, one more than that.
fn fitting(name: &SnapshotName, view: &View) -> Result<Vec<Row>, Error> {
    let mut fitting: Vec<Row> = Vec::new();
    for row in &view.rows {
        let row = row?;
        match &name.which {
            Which::Prefix(prefix) if fitting.len() > FITTING_NAMED || !row.id.to_string().starts_with(prefix) => {}
            Which::Latest if row.future => {}
            // Rows of a source come together and ascend by id, so the last one stays.
            Which::Latest if fitting.last().is_some_and(|last| last.source == row.source) => {
                *fitting.last_mut().expect("there is one") = row
            }
            _ => fitting.push(row),
        }
    }
    Ok(fitting)
}

/// The one row that a name means.
fn choose(name: &SnapshotName, view: &View) -> Result<Row, Error> {
    let absent = |what: String| {
        let hint = match &view.unreachable {
            Some(error) => format!(" (the repository could not be read: {})", super::error::chain(error)),
            None => String::new(),
        };
        Err(Error::Absent(format!("{what}{hint}")))
    };
    let mut fitting = fitting(name, view)?;
    if fitting.len() == 1 {
        return Ok(fitting.remove(0));
    }
    match fitting.as_slice() {
        [] => match (hidden(name, view).next(), &view.unreachable) {
            (Some(finding), _) if finding.unknown => Err(Error::Refused(format!("{}: {}", finding.object, finding.problem))),
            (Some(finding), _) => Err(Error::damaged(&finding.object, &finding.problem)),
            (None, Some(error @ Error::Unreadable { object, cause })) => {
                let problem = super::error::chain(cause);
                Err(if error.is_damage() { Error::damaged(object, problem) } else { Error::Refused(format!("{object}: {problem}")) })
            }
            (None, _) => absent(format!("there is no snapshot `{name}`: `windlass list` shows what there is")),
        },
        some => {
            let names: Vec<String> = some.iter().take(FITTING_NAMED).map(|row| format!("{}/{}", row.source, row.id)).collect();
            absent(format!(
                "`{name}` fits more than one snapshot: {}{}",
                names.join(", "),
                if some.len() > FITTING_NAMED { ", …" } else { "" }
            ))
        }
    }
}

/// Manifests of snapshots that a name fits, which are damaged or of an unknown version.
fn hidden<'v>(name: &'v SnapshotName, view: &'v View) -> impl Iterator<Item = &'v Finding> {
    view.findings.iter().filter(|finding| {
        finding.snapshot.as_ref().and_then(|snapshot| snapshot.split_once('/')).is_some_and(|(source, id)| {
            name.source.as_ref().is_none_or(|wanted| wanted.as_str() == source)
                && match &name.which {
                    Which::Latest => true,
                    Which::Prefix(prefix) => id.starts_with(prefix),
                }
        })
    })
}
