//! Streams of file-list lines: of a local copy, of the cache, of a shipped snapshot.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::Error;
use super::catalogue::Shipped;
use super::damage::settle;
use super::node::Remote;
use crate::archive::{LineReader, ListReader};
use crate::format::body::{Body, ListRef, Role};
use crate::format::digest::{Digest, Hasher};
use crate::format::entry::{Entry, More};
use crate::format::file_list::{OrderCheck, check_located};
use crate::format::head::Head;
use crate::format::key::{NodeKey, Objects};
use crate::format::limits::{BODY_MAX, FILE_LIST_MAX};
use crate::format::line::Line;
use crate::format::names::NodeName;
use crate::format::path::RelPath;
use crate::repository::{Downloads, Request};

/// Lines in path order, one at a time.
pub trait Lines {
    /// The next line, or `None` at the end of a stream that was complete and in order.
    ///
    /// # Errors
    /// What reading gives; [`Error::Unreadable`] for a line that the format refuses.
    fn next_line(&mut self) -> Result<Option<Line>, Error>;

    /// Under which path a local copy keeps the bytes of the last line's file, where that is not the line's own:
    /// a hard link whose first path was left out of a selection has become the file itself.
    fn stored_as(&self) -> Option<&RelPath> {
        None
    }
}

/// A stream of lines that is read beside another one in the same order.
pub struct Beside {
    lines: Box<dyn Lines>,
    next: Option<Line>,
}

impl Beside {
    /// A stream of which nothing has been read.
    pub fn new(lines: Box<dyn Lines>) -> Self {
        Self { lines, next: None }
    }

    /// The line of the same path and the same first piece, if there is one. Calls must ascend, as lines do.
    ///
    /// # Errors
    /// What reading gives.
    pub fn find(&mut self, line: &Line) -> Result<Option<Line>, Error> {
        self.seek(line.path(), first_piece(line))
    }

    /// The entry of this path, if there is one. Calls must ascend.
    ///
    /// # Errors
    /// What reading gives.
    pub fn find_entry(&mut self, path: &RelPath) -> Result<Option<Entry>, Error> {
        match self.seek(path, 0)? {
            Some(Line::Entry(entry)) => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    /// The continuation of this path that begins at this piece, if there is one. Calls must ascend.
    ///
    /// # Errors
    /// What reading gives.
    pub fn find_more(&mut self, path: &RelPath, piece: u64) -> Result<Option<More>, Error> {
        match self.seek(path, piece)? {
            Some(Line::More(more)) => Ok(Some(more)),
            _ => Ok(None),
        }
    }

    fn seek(&mut self, path: &RelPath, piece: u64) -> Result<Option<Line>, Error> {
        loop {
            if self.next.is_none() {
                self.next = self.lines.next_line()?;
            }
            let Some(next) = &self.next else { return Ok(None) };
            match next.path().cmp(path).then_with(|| first_piece(next).cmp(&piece)) {
                Ordering::Less => self.next = None,
                Ordering::Equal => return Ok(self.next.take()),
                Ordering::Greater => return Ok(None),
            }
        }
    }
}

fn first_piece(line: &Line) -> u64 {
    match line {
        Line::Entry(_) => 0,
        Line::More(more) => more.first_piece,
    }
}

/// Lines of a local file.
pub struct LocalLines {
    reader: LineReader<BufReader<File>>,
    order: Option<OrderCheck>,
    name: String,
}

impl LocalLines {
    /// Opens a file of lines after comparing it with its SHA-256.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is another file than it was, [`Error::File`] when it cannot be read.
    pub fn open(path: &Path, expected: &Digest) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(Error::file("open", path))?;
        if digest_of(&mut file).map_err(Error::file("read", path))? != *expected {
            return Err(Error::damaged(path.display(), "it is not what was written (its SHA-256 differs)"));
        }
        file.seek(SeekFrom::Start(0)).map_err(Error::file("read", path))?;
        let reader = LineReader::new(BufReader::new(file))?;
        Ok(Self { reader, order: Some(OrderCheck::new()), name: path.display().to_string() })
    }
}

impl Lines for LocalLines {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        let Some(order) = &mut self.order else { return Ok(None) };
        let refused = Error::unreadable(&self.name);
        match self.reader.next_line()? {
            Some(text) => {
                let line = Line::from_json(text).and_then(|line| order.line(&line).map(|()| line)).map_err(refused)?;
                Ok(Some(line))
            }
            None => {
                self.order.take().map_or(Ok(()), OrderCheck::finish).map_err(refused)?;
                Ok(None)
            }
        }
    }
}

/// SHA-256 of what is left of a file.
pub fn digest_of(file: &mut File) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// How many file lists are fetched ahead: one travels while the one before is read.
const LISTS_AHEAD: usize = 1;

/// Lines of a shipped snapshot, fetched and verified list by list.
pub struct ShippedLines {
    lists: VecDeque<ListRef>,
    requested: usize,
    downloads: Downloads,
    remote: Remote,
    objects: Objects,
    list: Option<ListReader>,
    name: String,
    order: Option<OrderCheck>,
}

/// Reads the body of a shipped snapshot. The highest *complete* number counts: where the body is not the one that its head names, the next
/// lower number takes its place.
///
/// # Errors
/// [`Error::Damaged`] or [`Error::Unreadable`] naming the highest number's body, when that of no number is whole.
pub fn read_body(remote: &Remote, shipped: &Shipped) -> Result<Body, Error> {
    let own = read_own_body(remote, &shipped.head);
    if own.as_ref().is_err_and(Error::is_of_one_object) {
        for head in &shipped.lower {
            match read_own_body(remote, head) {
                Err(error) if error.is_of_one_object() => {}
                lower => return lower,
            }
        }
    }
    own
}

/// Reads the body of this very head and compares it with what that says.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Unreadable`] or [`Error::Unread`] naming the object; what concerns the store as a whole.
pub(super) fn read_own_body(remote: &Remote, head: &Head) -> Result<Body, Error> {
    let key = NodeKey::Body(head.source.clone(), head.id, head.n).of(&head.node).to_string();
    let text = settle(remote.store.get(&key, BODY_MAX as u64))?.map_err(|problem| problem.into_error(&key))?;
    if text.len() as u64 != head.body.length || Digest::of(&text) != head.body.sha256 {
        return Err(Error::damaged(key, "its SHA-256 is not the one in the manifest head"));
    }
    Body::from_text(&text).map_err(Error::unreadable(key))
}

impl ShippedLines {
    /// The lines of one role of a snapshot.
    pub fn open(remote: &Remote, node: &NodeName, body: &Body, role: Role) -> Self {
        Self {
            lists: body.lists.iter().filter(|list| list.role == role).copied().collect(),
            requested: 0,
            downloads: remote.store.downloads(LISTS_AHEAD),
            remote: remote.clone(),
            objects: remote.objects(node),
            list: None,
            name: String::new(),
            order: Some(OrderCheck::new()),
        }
    }

    /// The lines of some lists of a snapshot, in order: what lies between them is missing, and may be.
    pub(super) fn open_some(remote: &Remote, node: &NodeName, body: &Body, role: Role) -> Self {
        Self { order: None, ..Self::open(remote, node, body, role) }
    }

    fn fetch_next_list(&mut self) -> Result<bool, Error> {
        while self.requested < self.lists.len() && self.requested < LISTS_AHEAD {
            let key = self.objects.file_list(self.lists[self.requested].list).to_string();
            self.downloads.request(Request { key, range: None, at_most: (FILE_LIST_MAX as u64) * 2 });
            self.requested += 1;
        }
        let Some(list) = self.lists.pop_front() else { return Ok(false) };
        self.requested -= 1;
        self.name = self.objects.file_list(list.list).to_string();
        let stored = match self.downloads.next() {
            Some(Ok(stored)) => stored,
            Some(Err(error)) if error.is_absent() => return Err(Error::damaged(&self.name, "it is missing")),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Error::damaged(&self.name, "it was not fetched")),
        };
        if Digest::of(&stored) != list.list {
            return Err(Error::damaged(&self.name, "its bytes do not match its name"));
        }
        let stored = self.remote.opened(&self.name, stored)?;
        self.list = Some(ListReader::new(stored).map_err(|cause| Error::damaged(&self.name, cause))?);
        Ok(true)
    }
}

impl Lines for ShippedLines {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        loop {
            if let Some(list) = &mut self.list
                && let Some(text) = list.next_line().map_err(|cause| Error::damaged(&self.name, cause))?
            {
                let refused = Error::unreadable(&self.name);
                let line = Line::from_json(text).and_then(|line| check_located(&line).map(|()| line));
                let line = line.and_then(|line| self.order.as_mut().map_or(Ok(()), |order| order.line(&line)).map(|()| line));
                return line.map(Some).map_err(refused);
            }
            // Before the next list is opened this one's memory goes.
            self.list = None;
            if !self.fetch_next_list()? {
                let name = if self.name.is_empty() { "a snapshot without file lists" } else { &self.name };
                let refused = Error::unreadable(name);
                self.order.take().map_or(Ok(()), OrderCheck::finish).map_err(refused)?;
                return Ok(None);
            }
        }
    }
}
