//! What can still be read of a damaged snapshot: its file lists, from the manifest that counts or a lower number, and its local copy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::scan::Patient;
use super::stock::Stock;
use crate::archive::ListReader;
use crate::format::body::{Body, ListRef, Role};
use crate::format::digest::{Digest, Hasher};
use crate::format::entry::{Location, Piece};
use crate::format::file_list::{OrderCheck, check_located};
use crate::format::limits::FILE_LIST_MAX;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::copies::{Copies, Copy, Record};
use crate::ops::damage::settle;
use crate::ops::error::chain;
use crate::ops::facts::Facts;
use crate::ops::lists::{Lines, ShippedLines, read_own_body};
use crate::ops::node::Remote;
use crate::ops::ship::{Facet, KnownLists, Object};
use crate::ops::{Context, Error};

/// zstd level where the configuration no longer has the source: what `[SOURCE] level` is by default.
const LEVEL: i32 = 3;

/// All that is known of a damaged snapshot and can be used.
#[derive(Debug)]
pub(super) struct Chart {
    /// What it is.
    pub(super) record: Record,
    pub(super) objective: Duration,
    pub(super) level: i32,
    /// Its local copy, when its lines are sound.
    pub(super) copy: Option<Copy>,
    files: Part,
    facts: Part,
    /// The one blob of its facts: path, digest, length.
    pub(super) fact: (RelPath, Digest, u32),
    /// Where that lies, as far as it is known.
    pub(super) fact_at: Option<Location>,
    /// Sound lists by the digests of their plain texts.
    pub(super) lists: KnownLists,
    /// Packs of its readable lists that can be referred to, with their stored sizes.
    pub(super) packs: BTreeMap<Digest, u64>,
}

/// The lists of one role.
#[derive(Debug, Default)]
struct Part {
    /// A body all of whose lists are readable.
    whole: Option<Body>,
    /// The lists that are readable of the first body of which some are.
    readable: Body,
}

/// What was read of one body's lists of one role.
struct Read {
    lists: Vec<ListRef>,
    is_whole: bool,
}

impl Chart {
    /// Reads what can be read; `Err` in words when nobody knows any more what the snapshot held.
    pub(super) fn of(ctx: &Context, remote: &Remote, stock: &mut Stock<'_>, patient: &Patient) -> Result<Result<Self, String>, Error> {
        let copy = Copies::read(ctx, &patient.source)?.find(patient.id).cloned();
        let copy = copy.filter(|copy| crate::ops::assemble::copy_lines(copy).is_ok());
        let heads = patient.heads(ctx, remote);
        let head = heads.first();
        let mut chart = Reading { ctx, remote, stock, lists: KnownLists::new(), packs: BTreeMap::new(), why: None };
        let mut files = Part::default();
        let mut own_facts = Part::default();
        let mut counts = None;
        let own = ctx.keys.recipients().texts();
        for head in &heads {
            let body = match read_own_body(remote, head) {
                Err(error) if error.is_of_one_object() => continue,
                body => body?,
            };
            for (part, role) in [(&mut files, Role::Files), (&mut own_facts, Role::Facts)] {
                // What is sealed to others than today's recipients is read, and not referred to.
                let is_own = head.recipients == own;
                let read = chart.role(&body, role, is_own)?;
                if part.readable.lists.is_empty() && is_own {
                    part.readable = Body { lists: read.lists, counts: body.counts };
                }
                if read.is_whole && part.whole.is_none() {
                    part.whole = Some(body.clone());
                    counts.get_or_insert(body.counts);
                }
            }
        }
        let Reading { lists, packs, why, .. } = chart;
        let spec = ctx.sources.iter().find(|spec| spec.name == patient.source);
        let record = match (&copy, head) {
            (Some(copy), _) => copy.record.clone(),
            (None, Some(head)) if files.whole.is_some() && own_facts.whole.is_some() => {
                // It is never written to the disk, so the facts need not be in it.
                Record::of_shipped(head, counts.unwrap_or_default().entries, serde_json::Value::Null)
            }
            (None, Some(_)) => return Ok(Err(why.unwrap_or_else(|| "no body of its manifest is left".to_owned()))),
            (None, None) => return Ok(Err("the head of its manifest is lost, and this node remembers none".to_owned())),
        };
        let objective = match (spec, head) {
            (_, Some(head)) => Duration::from_secs(head.objective_seconds),
            (Some(spec), None) => spec.objective,
            (None, None) => return Ok(Err("the configuration no longer has the source".to_owned())),
        };
        let level = spec.map_or(LEVEL, |spec| spec.level);
        let (fact, fact_at) = match &copy {
            Some(copy) => {
                let facts = Facts::new(&copy.record.facts)?;
                let at = fact_of(&mut *located(ctx, remote, Some(&own_facts.readable), Role::Facts))?;
                let at = at.filter(|(_, digest, ..)| *digest == facts.digest).and_then(|(.., at)| at);
                ((Facts::path(), facts.digest, facts.length()), at)
            }
            None => match fact_of(&mut *located(ctx, remote, own_facts.whole.as_ref(), Role::Facts))? {
                Some((path, digest, length, at)) => ((path, digest, length), at),
                None => return Ok(Err("the facts of its source cannot be told from its lists".to_owned())),
            },
        };
        Ok(Ok(Self { record, objective, level, copy, files, facts: own_facts, fact, fact_at, lists, packs }))
    }

    /// Its files, to be written again.
    pub(super) fn files<'c>(&'c self, ctx: &'c Context, remote: &'c Remote) -> Facet<'c> {
        let lines = move || match &self.copy {
            Some(copy) => Ok(Box::new(copy.lines()?) as Box<dyn Lines>),
            None => Ok(whole(ctx, remote, &self.files, Role::Files)),
        };
        Facet { lines: Box::new(lines), located: Box::new(move || Ok(located(ctx, remote, Some(&self.files.readable), Role::Files))) }
    }

    /// Its facts, to be written again.
    pub(super) fn facts<'c>(&'c self, ctx: &'c Context, remote: &'c Remote) -> Facet<'c> {
        let lines = move || match &self.copy {
            Some(copy) => Ok(Box::new(Facts::new(&copy.record.facts)?.lines()) as Box<dyn Lines>),
            None => Ok(whole(ctx, remote, &self.facts, Role::Facts)),
        };
        Facet { lines: Box::new(lines), located: Box::new(move || Ok(located(ctx, remote, Some(&self.facts.readable), Role::Facts))) }
    }
}

fn whole(ctx: &Context, remote: &Remote, part: &Part, role: Role) -> Box<dyn Lines> {
    let body = part.whole.clone().unwrap_or_default();
    Box::new(ShippedLines::open(remote, &ctx.node, &body, role))
}

fn located(ctx: &Context, remote: &Remote, body: Option<&Body>, role: Role) -> Box<dyn Lines> {
    let body = body.cloned().unwrap_or_default();
    Box::new(ShippedLines::open_some(remote, &ctx.node, &body, role))
}

/// The blob of the facts: path, digest, length, place.
type Fact = (RelPath, Digest, u32, Option<Location>);

/// The blob of the facts, and where it lies.
fn fact_of(lines: &mut dyn Lines) -> Result<Option<Fact>, Error> {
    let mut found = None;
    while let Some(line) = lines.next_line()? {
        if let [Piece::Blob { digest, length, at }] = line.content() {
            found = Some((line.path().clone(), *digest, *length, *at));
        }
    }
    Ok(found)
}

/// Reads the lists of bodies.
struct Reading<'r, 's> {
    ctx: &'r Context,
    remote: &'r Remote,
    stock: &'r mut Stock<'s>,
    lists: KnownLists,
    packs: BTreeMap<Digest, u64>,
    /// Why the first list that cannot be read cannot.
    why: Option<String>,
}

impl Reading<'_, '_> {
    /// Reads the lists of a role; `refers`: what is written anew may refer to them and to what they name.
    fn role(&mut self, body: &Body, role: Role, refers: bool) -> Result<Read, Error> {
        let mut order = Some(OrderCheck::new());
        let mut read = Read { lists: Vec::new(), is_whole: true };
        for list in body.lists.iter().filter(|list| list.role == role) {
            self.ctx.stop.check()?;
            let key = self.remote.objects(&self.ctx.node).file_list(list.list).to_string();
            match self.list(list, &key, &mut order)? {
                Ok((plain, packs)) => {
                    // A list that lies about where blobs are still tells what the files are.
                    if self.stock.problem(Object::List(list.list), list.stored)?.is_none() {
                        read.lists.push(*list);
                        if refers {
                            self.use_list(list, plain, packs)?;
                        }
                    }
                }
                Err(problem) => {
                    self.why.get_or_insert(format!("{key}: {problem}"));
                    read.is_whole = false;
                    order = None;
                }
            }
        }
        if let Some(Err(cause)) = order.map(OrderCheck::finish) {
            self.why.get_or_insert(format!("its file lists do not fit together: {}", chain(&cause)));
            read.is_whole = false;
        }
        Ok(read)
    }

    /// The digest of a list's plain text and the packs that it names, when it is readable.
    fn list(
        &mut self,
        list: &ListRef,
        key: &str,
        order: &mut Option<OrderCheck>,
    ) -> Result<Result<(Digest, BTreeSet<Digest>), String>, Error> {
        let stored = match settle(self.remote.store.get(key, 2 * FILE_LIST_MAX as u64))? {
            Ok(stored) if Digest::of(&stored) == list.list => stored,
            Ok(_) => {
                self.stock.is_damaged(key, "its bytes do not match its name");
                return Ok(Err("its bytes do not match its name".to_owned()));
            }
            Err(problem) => return Ok(Err(problem.text)),
        };
        let plain = match self.remote.opened_if_mine(key, stored) {
            Ok(Ok(Some(plain))) => plain,
            Ok(Ok(None)) => return Ok(Err("it is sealed to recipients whose identities are not at hand".to_owned())),
            Ok(Err(problem)) => return Ok(Err(problem.text)),
            Err(Error::Usage(why)) => return Ok(Err(why)),
            Err(error) => return Err(error),
        };
        let (mut hasher, mut packs) = (Hasher::new(), BTreeSet::new());
        let mut reader = match ListReader::new(plain) {
            Ok(reader) => reader,
            Err(cause) => return Ok(Err(chain(&cause))),
        };
        loop {
            let line = match reader.next_line() {
                Ok(None) => break,
                Ok(Some(text)) => {
                    hasher.update(text);
                    hasher.update(b"\n");
                    Line::from_json(text).and_then(|line| check_located(&line).map(|()| line))
                }
                Err(cause) => return Ok(Err(chain(&cause))),
            };
            let ordered = line.and_then(|line| {
                packs.extend(line.content().iter().filter_map(|piece| match piece {
                    Piece::Blob { at: Some(at), .. } => Some(at.pack),
                    _ => None,
                }));
                order.as_mut().map_or(Ok(()), |order| order.line(&line))
            });
            if let Err(cause) = ordered {
                return Ok(Err(chain(&cause)));
            }
        }
        Ok(Ok((hasher.finish(), packs)))
    }

    /// Takes what a readable list is good for.
    fn use_list(&mut self, list: &ListRef, plain: Digest, packs: BTreeSet<Digest>) -> Result<(), Error> {
        // Without its pack list nobody knows what it protects, so it cannot be used again; what it says of places is right all the same.
        if self.stock.pack_list(list)?.is_ok() {
            self.lists.insert(plain, *list);
        }
        for pack in packs {
            if let Some(stored) = self.stock.usable_pack(pack)? {
                self.packs.insert(pack, stored);
            }
        }
        Ok(())
    }
}
