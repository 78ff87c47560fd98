//! Reads every file list once: its bytes against its name and, at the full level, its lines.
//!
//! Lists are read in the order of the snapshots. One that several snapshots share is fetched once and waits in a temporary file,
//! because order and sums of lines are checked over all lists of each snapshot.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::needs::{Named, Needs};
use super::places::Places;
use super::report::Report;
use crate::archive::ListReader;
use crate::format::check::Level;
use crate::format::digest::Digest;
use crate::format::entry::Piece;
use crate::format::file_list::{OrderCheck, check_located};
use crate::format::key::Objects;
use crate::format::limits::{FILE_LIST_MAX, PACK_LIST_MAX};
use crate::format::line::Line;
use crate::format::names::NodeName;
use crate::format::{FormatError, pack_list};
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::repository::{Downloads, Request};
use crate::sys::sorter::Sorted;
use crate::sys::table::{Table, unlinked};

/// Lists that travel at once, each of about 1 MiB and of 16 MiB at most.
const LISTS_AHEAD: usize = 2;

/// Most stored bytes of a list: what does not shrink grows by a few bytes per block.
const STORED_MAX: u64 = FILE_LIST_MAX as u64 + (1 << 20);

/// Looks at all lists of the sequence.
pub(super) fn check(
    ctx: &Context,
    remote: &Remote,
    node: &NodeName,
    needs: &mut Needs,
    places: &mut Places,
    work: &Path,
    report: &mut Report,
) -> Result<(), Error> {
    let mut shelf = Shelf::new(remote, node, needs.take_sequence().sorted()?, work)?;
    let (mut order, objects) = (Order::default(), remote.objects(node));
    while let Some((item, read)) = shelf.next()? {
        ctx.stop.check()?;
        let key = objects.file_list(item.list.name).to_string();
        order.enter(&item, &objects, report);
        let stored = match read {
            Read::Bad => {
                order.give_up();
                continue;
            }
            Read::New(Err(problem)) => {
                report.fault(key, Some(&item.list.snapshot), problem);
                order.give_up();
                continue;
            }
            Read::New(Ok(stored)) => {
                report.count(stored.len() as u64);
                ctx.meter.add_bytes(stored.len() as u64);
                (stored, true)
            }
            Read::Again(stored) => (stored, false),
        };
        if report.level < Level::Full {
            continue;
        }
        let opened = match remote.opened_if_mine(&key, stored.0)? {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                if stored.1 {
                    report.is_closed(&key, &item.list.snapshot);
                }
                order.give_up();
                continue;
            }
            Err(problem) => {
                report.fault(key, Some(&item.list.snapshot), problem);
                order.give_up();
                continue;
            }
        };
        let pack_list = objects.pack_list(item.list.name).to_string();
        let pack_list = Some(pack_list).filter(|key| !report.faults.contains_key(key));
        let mut reading = Reading { remote, pack_list, item: &item, new: stored.1, places, order: &mut order };
        if let Err(problem) = reading.lines(opened)? {
            report.fault(key, Some(&item.list.snapshot), problem);
            order.give_up();
        }
    }
    order.close(&objects, report);
    Ok(())
}

/// A list in its place in a snapshot.
struct Item {
    /// Which snapshot and which role.
    part: [u8; 5],
    list: Named,
}

/// What became of a list.
enum Read {
    /// It was just fetched, or cannot be.
    New(Result<Bytes, Problem>),
    /// It was fetched before for another snapshot.
    Again(Bytes),
    /// It was found to be bad before.
    Bad,
}

/// Fetches lists ahead, each once, and keeps their bytes.
struct Shelf {
    sequence: Sorted,
    waiting: VecDeque<(Item, bool)>,
    downloads: Downloads,
    /// Where a list lies in the file: offset and length; length 0 stands for one that is bad or under way.
    known: Table,
    file: File,
    end: u64,
    work: PathBuf,
    objects: Objects,
}

impl Shelf {
    fn new(remote: &Remote, node: &NodeName, sequence: Sorted, work: &Path) -> Result<Self, Error> {
        Ok(Self {
            sequence,
            waiting: VecDeque::new(),
            downloads: remote.store.downloads(LISTS_AHEAD),
            known: Table::new(work, 16)?,
            file: unlinked(work)?,
            end: 0,
            work: work.to_owned(),
            objects: remote.objects(node),
        })
    }

    fn next(&mut self) -> Result<Option<(Item, Read)>, Error> {
        while self.waiting.len() < LISTS_AHEAD
            && let Some(record) = self.sequence.next()?
        {
            let (order, named) = record.split_first_chunk::<9>().expect("a record begins with its place");
            let part = *order.first_chunk().expect("nine bytes are more than five");
            let item = Item { part, list: Named::from_record(named) };
            let new = !self.known.get(item.list.name.as_bytes(), &mut [0; 16])?;
            if new {
                self.known.put(item.list.name.as_bytes(), &[0; 16])?;
                let key = self.objects.file_list(item.list.name).to_string();
                self.downloads.request(Request { key, range: None, at_most: item.list.stored.min(STORED_MAX) });
            }
            self.waiting.push_back((item, new));
        }
        let Some((item, new)) = self.waiting.pop_front() else { return Ok(None) };
        let read = if new { self.receive(&item.list)? } else { self.again(&item.list.name)? };
        Ok(Some((item, read)))
    }

    fn receive(&mut self, list: &Named) -> Result<Read, Error> {
        let answer = match self.downloads.next() {
            Some(answer) => settle(answer)?,
            None => Err(Problem::damaged("it was not fetched")),
        };
        let checked = answer.and_then(|stored| match Digest::of(&stored) == list.name {
            true => Ok(stored),
            false => Err(Problem::damaged("its bytes do not match its name")),
        });
        if let Ok(stored) = &checked {
            self.file.write_all_at(stored, self.end).map_err(Error::file("write a temporary file in", &self.work))?;
            let place = [self.end.to_be_bytes(), (stored.len() as u64).to_be_bytes()].concat();
            self.known.put(list.name.as_bytes(), &place)?;
            self.end += stored.len() as u64;
        }
        Ok(Read::New(checked))
    }

    fn again(&mut self, name: &Digest) -> Result<Read, Error> {
        let mut place = [0; 16];
        self.known.get(name.as_bytes(), &mut place)?;
        let (offset, length) = place.split_first_chunk::<8>().expect("a place has 16 bytes");
        let length = u64::from_be_bytes(*length.first_chunk().expect("a place has 16 bytes"));
        if length == 0 {
            return Ok(Read::Bad);
        }
        let mut stored = vec![0; usize::try_from(length).expect("a list is far below 4 GiB")];
        let failed = Error::file("read a temporary file in", &self.work);
        self.file.read_exact_at(&mut stored, u64::from_be_bytes(*offset)).map_err(failed)?;
        Ok(Read::Again(stored.into()))
    }
}

/// The order of lines over the lists of one role of one snapshot.
#[derive(Default)]
struct Order {
    part: Option<([u8; 5], Named)>,
    check: Option<OrderCheck>,
}

impl Order {
    fn enter(&mut self, item: &Item, objects: &Objects, report: &mut Report) {
        if self.part.as_ref().is_none_or(|(part, _)| *part != item.part) {
            self.close(objects, report);
            self.check = Some(OrderCheck::new());
        }
        self.part = Some((item.part, item.list.clone()));
    }

    /// After a list that cannot be read, nothing can be said of the order of the others.
    fn give_up(&mut self) {
        self.check = None;
    }

    fn close(&mut self, objects: &Objects, report: &mut Report) {
        if report.level == Level::Full
            && let (Some((_, last)), Some(check)) = (self.part.take(), self.check.take())
            && let Err(cause) = check.finish()
        {
            let key = objects.file_list(last.name).to_string();
            report.fault(key, Some(&last.snapshot), Problem::inside(chain(&cause)));
        }
    }
}

/// One list whose lines are being read.
struct Reading<'a> {
    remote: &'a Remote,
    /// The key of its pack list, unless that is damaged.
    pack_list: Option<String>,
    item: &'a Item,
    /// Whether it is met for the first time: then what it says of packs is looked at too.
    new: bool,
    places: &'a mut Places,
    order: &'a mut Order,
}

impl Reading<'_> {
    fn lines(&mut self, stored: Bytes) -> Result<Result<(), Problem>, Error> {
        let mut list = match ListReader::new(stored) {
            Ok(list) => list,
            Err(cause) => return Ok(Err(Problem::inside(chain(&cause)))),
        };
        let mut packs = BTreeSet::new();
        loop {
            let line = match list.next_line() {
                Ok(Some(text)) => self.line(text),
                Ok(None) => break,
                Err(cause) => return Ok(Err(Problem::inside(chain(&cause)))),
            };
            let line = match line {
                Ok(line) => line,
                Err(cause) => return Ok(Err(Problem::inside(chain(&cause)))),
            };
            if self.new {
                for piece in line.content() {
                    if let Piece::Blob { digest, length, at: Some(at) } = piece {
                        packs.insert(at.pack);
                        self.places.named(at, digest, *length, &self.item.list)?;
                    }
                }
            }
        }
        if self.new { self.compare_packs(&packs) } else { Ok(Ok(())) }
    }

    fn line(&mut self, text: &[u8]) -> Result<Line, FormatError> {
        let line = Line::from_json(text)?;
        check_located(&line)?;
        if let Some(order) = &mut self.order.check {
            order.line(&line)?;
        }
        Ok(line)
    }

    /// The list must name exactly the packs of its pack list, or pruning would delete too much or too little.
    fn compare_packs(&self, named: &BTreeSet<Digest>) -> Result<Result<(), Problem>, Error> {
        let Some(key) = &self.pack_list else { return Ok(Ok(())) };
        let Ok(text) = settle(self.remote.store.get(key, PACK_LIST_MAX as u64))? else { return Ok(Ok(())) };
        let listed = pack_list::read(&text).unwrap_or_default();
        if listed.iter().map(|pack| &pack.pack).eq(named) {
            return Ok(Ok(()));
        }
        Ok(Err(Problem::damaged(format!("it refers to {} packs, and its pack list to {}, not the same ones", named.len(), listed.len()))))
    }
}
