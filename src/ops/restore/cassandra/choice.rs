//! Where an SSTable lies already, and which data directory it is to go to.

use super::linked::homes;
use super::shares::Root;
use crate::format::entry::Entry;
use crate::ops::data_folder::DataFolder;
use crate::source::cassandra::Member;

/// Gives one SSTable after another to the directory on whose filesystem its rows lie already, where they can be linked: first to the one that has
/// them live, because Cassandra divides tokens among its directories. Where there is none, or the rest of it has no room there, it goes to the
/// directory that has most room by then.
pub(super) struct Choice<'a> {
    roots: &'a [Root],
    left: Vec<u64>,
    /// What was chosen brings these bytes near.
    pub(super) near: Vec<u64>,
    /// Bytes of the SSTable that is being looked at.
    bytes: u64,
    beside: Vec<Beside>,
}

/// What of an SSTable lies on the filesystem of a directory.
#[derive(Clone, Copy, Default)]
struct Beside {
    bytes: u64,
    has_rows: bool,
    has_them_live: bool,
}

impl<'a> Choice<'a> {
    /// With all the room that there is.
    pub(super) fn new(roots: &'a [Root]) -> Self {
        let left = roots.iter().map(|root| root.free).collect();
        Self { roots, left, near: vec![0; roots.len()], bytes: 0, beside: vec![Beside::default(); roots.len()] }
    }

    /// Looks where a file of the SSTable lies.
    pub(super) fn add(&mut self, entry: &Entry, member: &Member<'_>, places: &[&DataFolder]) {
        self.bytes += entry.size;
        let homes = homes(entry, places);
        for (root, beside) in self.roots.iter().zip(&mut self.beside) {
            let mut here = homes.iter().filter(|home| home.is_for(root.device, root.owner)).peekable();
            if here.peek().is_none() {
                continue;
            }
            beside.bytes += entry.size;
            beside.has_rows |= member.is_data;
            beside.has_them_live |= member.is_data && here.any(|home| !home.place.is_copy() && home.place.path() == root.path);
        }
    }

    /// Which directory the SSTable goes to whose files were looked at since the last choice.
    pub(super) fn make(&mut self) -> u16 {
        let rest = |at: usize| self.bytes.saturating_sub(self.beside[at].bytes);
        let near = (0..self.roots.len()).rev().filter(|at| self.beside[*at].has_rows && self.left[*at] >= rest(*at));
        let nearest = near.max_by_key(|at| (self.beside[*at].has_them_live, self.left[*at]));
        let roomiest = || (0..self.roots.len()).rev().max_by_key(|at| self.left[*at]).unwrap_or(0);
        let at = nearest.unwrap_or_else(roomiest);
        if let (Some(left), Some(near)) = (self.left.get_mut(at), self.near.get_mut(at)) {
            *left = left.saturating_sub(self.bytes.saturating_sub(self.beside[at].bytes));
            *near += self.beside[at].bytes;
        }
        self.bytes = 0;
        self.beside.fill(Beside::default());
        u16::try_from(at).unwrap_or_default()
    }
}
