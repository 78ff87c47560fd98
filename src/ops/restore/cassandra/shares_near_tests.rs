//! Where SSTables lie already decides where they go.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;
use crate::format::digest::Digest;

/// Where the rows of an SSTable lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    Live(usize),
    /// In the local copy, which is on the filesystem of the second directory.
    Copy,
    Both(usize),
    Nowhere,
}

/// A node with a data directory on each of two filesystems, a copy on the second one, and a snapshot of so many SSTables.
struct Node {
    folders: [tempfile::TempDir; 2],
    roots: Vec<Root>,
    lines: Vec<Line>,
}

/// Bytes of an SSTable's rows, and of its statistics, which are always written.
const ROWS: u64 = 90;
const REST: u64 = 10;

impl Node {
    fn new(free: [u64; 2], sstables: &[Lies]) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()];
        let root = |at: usize| {
            let path = folders[at].path().join("data");
            fs::create_dir(&path).unwrap();
            let stat = fs::metadata(&path).unwrap();
            Root { path, device: stat.dev(), owner: (stat.uid(), stat.gid()), mode: 0o755, free: free[at] }
        };
        let roots: Vec<Root> = (0..2).map(root).collect();
        assert_ne!(roots[0].device, roots[1].device);
        let mut node = Self { folders, roots, lines: Vec::new() };
        fs::create_dir(node.copy()).unwrap();
        for (number, lies) in sstables.iter().enumerate() {
            let path = |component: &str| format!("k/t-{ID}/nb-{:03}-big-{component}", number + 1);
            // What comes first in the order of lines says nothing of where the SSTable goes.
            node.lines.extend([entry(&path("CompressionInfo.db"), Kind::File, 0), entry(&path("Data.db"), Kind::File, ROWS)]);
            node.lines.push(entry(&path("Statistics.db"), Kind::File, REST));
            let places = match lies {
                Lies::Live(at) => vec![node.roots[*at].path.clone()],
                Lies::Copy => vec![node.copy()],
                Lies::Both(at) => vec![node.roots[*at].path.clone(), node.copy()],
                Lies::Nowhere => Vec::new(),
            };
            places.iter().for_each(|place| put(&place.join(path("Data.db"))));
            // The copy has all that the snapshot has, but of what it is not asked for.
            if !matches!(lies, Lies::Copy | Lies::Both(_)) {
                continue;
            }
            fs::write(node.copy().join(path("CompressionInfo.db")), "").unwrap();
        }
        node
    }

    fn copy(&self) -> PathBuf {
        self.folders[1].path().join("copy")
    }

    fn fixed(&self) -> Fixed {
        Fixed(self.lines.clone().into_iter())
    }

    /// The places that are shared with, the copy where there is one.
    fn shares(&self, with_copy: bool) -> Shares {
        let live = self.roots.iter().map(|root| DataFolder::of_live_files(&root.path).unwrap());
        let copy = with_copy.then(|| DataFolder::of_copy(&self.copy()).unwrap());
        let places: Vec<DataFolder> = copy.into_iter().chain(live).collect();
        Shares::of(&mut self.fixed(), &Wanted::All, &self.roots, &places.iter().collect::<Vec<_>>()).unwrap()
    }

    /// Which directory each SSTable goes to; all readers of the lines agree, and each SSTable stays whole.
    fn chosen(&self, shares: &Shares) -> Vec<usize> {
        let mut chosen = vec![Vec::new(); self.lines.len() / 3];
        let survey = Survey::of(&mut self.fixed(), &Wanted::All, shares).unwrap();
        for (at, root) in self.roots.iter().enumerate() {
            let (mut lines, mut bytes) = (OfRoot::new(Box::new(self.fixed()), &Wanted::All, shares, root, at), 0);
            while let Some(Line::Entry(entry)) = lines.next_line().unwrap() {
                let path = entry.path.to_string();
                let number: usize = path.rsplit_once("nb-").unwrap().1[..3].parse().unwrap();
                chosen[number - 1].push(at);
                bytes += entry.size;
            }
            assert_eq!(bytes, survey.shares[at], "the survey tells what comes");
        }
        assert_eq!(survey.linked, shares.near);
        let whole = |files: Vec<usize>| {
            assert!(files.len() == 3 && files.iter().all(|at| *at == files[0]), "{files:?}");
            files[0]
        };
        chosen.into_iter().map(whole).collect()
    }
}

/// Rows as Cassandra writes them.
fn put(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; usize::try_from(ROWS).unwrap()]).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn an_sstable_goes_where_its_rows_lie_live_whatever_room_there_is_elsewhere() {
    let lies = [Lies::Live(1), Lies::Live(0), Lies::Live(1), Lies::Nowhere];
    let node = Node::new([1_000_000, 40], &lies);
    let shares = node.shares(false);
    assert_eq!(node.chosen(&shares), [1, 0, 1, 0]);
    assert_eq!(shares.near, [ROWS, 2 * ROWS], "what is linked takes no room");
}

#[test]
fn what_the_copy_alone_has_goes_to_its_filesystem_and_what_is_live_elsewhere_stays_there() {
    let node = Node::new([1_000_000, 500], &[Lies::Copy, Lies::Both(0), Lies::Both(1)]);
    assert_eq!(node.chosen(&node.shares(true)), [1, 0, 1]);
}

#[test]
fn a_directory_that_has_no_room_for_the_rest_of_it_does_not_get_it() {
    let node = Node::new([1_000_000, 2 * REST], &[Lies::Live(1); 3]);
    assert_eq!(node.chosen(&node.shares(false)), [1, 1, 0]);
}

#[test]
fn rows_of_another_owner_or_size_lie_nowhere() {
    let mut node = Node::new([1_000_000, 500], &[Lies::Live(1), Lies::Live(1)]);
    let of = |number: usize| node.roots[1].path.join(format!("k/t-{ID}/nb-{number:03}-big-Data.db"));
    fs::write(of(1), "short").unwrap();
    fs::set_permissions(of(2), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(node.chosen(&node.shares(false)), [0, 0]);
    put(&of(1));
    node.roots[1].owner.0 += 1;
    assert_eq!(node.chosen(&node.shares(false)), [0, 0]);
}

#[test]
fn every_choice_is_that_of_a_plain_reading_of_the_rule() {
    let kinds = [Lies::Live(0), Lies::Live(1), Lies::Copy, Lies::Both(0), Lies::Both(1), Lies::Nowhere];
    for round in 0..40_u64 {
        // Numbers that look random and are the same in each run.
        let number = |of: u64| Digest::of(&[round.to_le_bytes(), of.to_le_bytes()].concat()).as_bytes()[0];
        let lies: Vec<Lies> = (0..u64::from(number(0) % 20)).map(|at| kinds[usize::from(number(at + 9)) % kinds.len()]).collect();
        let free = [u64::from(number(1)) * 4, u64::from(number(2)) * 4];
        // A copy that lacks a file hides what is live: so only those that it has, or a restore without one.
        let with_copy = lies.iter().all(|lies| matches!(lies, Lies::Copy | Lies::Both(_)));
        let node = Node::new(free, &lies);
        let (mut left, mut expected) = (free.map(i128::from), Vec::new());
        for lies in &lies {
            let (live, copied) = match (lies, with_copy) {
                (Lies::Live(at), _) => (Some(*at), false),
                (Lies::Both(at), has) => (Some(*at), has),
                (Lies::Copy, has) => (None, has),
                (Lies::Nowhere, _) => (None, false),
            };
            let fits = |at: &usize| left[*at] >= i128::from(REST);
            let roomiest = if left[1] > left[0] { 1 } else { 0 };
            let at = live.filter(fits).or(Some(1).filter(|at| copied && fits(at))).unwrap_or(roomiest);
            let is_near = live == Some(at) || (copied && at == 1);
            left[at] = (left[at] - i128::from(if is_near { REST } else { ROWS + REST })).max(0);
            expected.push(at);
        }
        assert_eq!(node.chosen(&node.shares(with_copy)), expected, "{lies:?} with {free:?}");
    }
}
