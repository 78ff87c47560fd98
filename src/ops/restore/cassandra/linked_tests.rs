use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::ops::restore::cassandra::shares::{OfRoot, Shares, Wanted};

const TABLE: &str = "k/t-0123456789abcdef0123456789abcdef";

/// A data directory with a live table, a copy beside it, and the lines of a snapshot.
struct Node {
    temp: tempfile::TempDir,
    root: Root,
    lines: Vec<Line>,
}

struct Fixed(std::vec::IntoIter<Line>);

impl Lines for Fixed {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        Ok(self.0.next())
    }
}

/// Bytes of a file that take several jobs and several lines: 40 blobs, of which a line has 16.
const LARGE: usize = 40;

impl Node {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join("data");
        fs::create_dir(&data).unwrap();
        let stat = fs::metadata(&data).unwrap();
        let root = Root { path: data, device: stat.dev(), owner: (stat.uid(), stat.gid()), mode: 0o755, free: 1 << 30 };
        let mut node = Self { temp, root, lines: Vec::new() };
        for folder in ["", "k", TABLE] {
            let path = if folder.is_empty() { RelPath::root() } else { RelPath::new(folder.as_bytes()).unwrap() };
            node.lines.push(Line::Entry(Entry { mode: 0o755, ..Entry::new(path, Kind::Directory) }));
        }
        fs::create_dir_all(node.live("")).unwrap();
        node
    }

    fn live(&self, file: &str) -> PathBuf {
        self.root.path.join(TABLE).join(file)
    }

    fn copy(&self, file: &str) -> PathBuf {
        self.temp.path().join("copy").join(TABLE).join(file)
    }

    fn staged(&self) -> PathBuf {
        self.root.path.join("staged")
    }

    /// A file of the snapshot, of blobs of a byte each.
    fn file(&mut self, name: &str, bytes: &[u8]) {
        let path = RelPath::new(format!("{TABLE}/{name}").into_bytes()).unwrap();
        let blob = |byte: &u8| Piece::Blob { digest: Digest::of(&[*byte]), length: 1, at: None };
        let mut pieces = bytes.chunks(16).map(|part| part.iter().map(blob).collect::<Vec<_>>());
        let content = pieces.next().unwrap_or_default();
        let (uid, gid) = self.root.owner;
        let entry = Entry { size: bytes.len() as u64, mode: 0o644, uid, gid, content, ..Entry::new(path.clone(), Kind::File) };
        self.lines.push(Line::Entry(entry));
        let mut first_piece = 16;
        for content in pieces {
            self.lines.push(Line::More(crate::format::entry::More { path: path.clone(), first_piece, content }));
            first_piece += 16;
        }
    }

    fn shares(&self) -> Shares {
        let (mut lines, places) = (Fixed(self.lines.clone().into_iter()), self.places());
        Shares::of(&mut lines, &Wanted::All, std::slice::from_ref(&self.root), &places.iter().collect::<Vec<_>>()).unwrap()
    }

    fn of_root(&self) -> Box<dyn Lines> {
        let lines = Box::new(Fixed(self.lines.clone().into_iter()));
        Box::new(OfRoot::new(lines, &Wanted::All, &self.shares(), &self.root, 0))
    }

    fn places(&self) -> Vec<DataFolder> {
        vec![DataFolder::of_live_files(&self.root.path).unwrap()]
    }

    fn linked(&self) -> (Linked, Totals) {
        make_own_folder(&self.root.path, &self.staged()).unwrap();
        let linked = Linked::new(&self.root, &self.staged()).unwrap();
        let totals =
            linked.link(self.of_root(), &self.places().iter().collect::<Vec<_>>(), 2, &Stop::default(), &Meter::default()).unwrap();
        (linked, totals)
    }
}

/// Puts a file there as Cassandra writes it.
fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
}

fn names(lines: &mut dyn Lines) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        names.extend(line.path().to_string().rsplit_once('/').filter(|(_, name)| name.contains("big")).map(|(_, name)| name.to_owned()));
    }
    names
}

#[test]
fn what_lies_here_as_it_is_to_be_is_linked_and_the_rest_is_left_to_be_written() {
    let mut node = Node::new();
    let large: Vec<u8> = (0..LARGE as u8).collect();
    let mut other = large.clone();
    other[LARGE - 1] ^= 1;
    for (name, bytes) in [
        ("nb-1-big-Data.db", &large[..]),
        ("nb-1-big-Digest.crc32", b"1"),
        ("nb-1-big-Statistics.db", b"s"),
        ("nb-2-big-Data.db", &large),
        ("nb-3-big-Data.db", b"ab"),
        ("nb-4-big-Data.db", b"cd"),
        ("nb-5-big-Data.db", b"ef"),
        ("nb-6-big-Data.db", b""),
        ("nb-7-big-Data.db", b"gh"),
    ] {
        node.file(name, bytes);
    }
    put(&node.live("nb-1-big-Data.db"), &large);
    put(&node.live("nb-1-big-Digest.crc32"), b"1");
    // Cassandra makes it anew as it likes.
    put(&node.live("nb-1-big-Statistics.db"), b"s");
    // Damaged in its last blob: what comes before it does not help, and what comes after it is none the worse.
    put(&node.live("nb-2-big-Data.db"), &other);
    put(&node.live("nb-3-big-Data.db"), b"ab");
    fs::set_permissions(node.live("nb-3-big-Data.db"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    put(&node.live("nb-4-big-Data.db"), b"cd");
    std::os::unix::fs::symlink("nb-4-big-Data.db", node.live("nb-5-big-Data.db")).unwrap();
    put(&node.live("nb-6-big-Data.db"), b"");
    put(&node.live("nb-7-big-Data.db"), b"ghi");

    assert_eq!(node.shares().near, [2 * large.len() as u64 + 3], "nothing has been read");
    let (linked, totals) = node.linked();
    assert_eq!((totals.files, totals.bytes), (4, large.len() as u64 + 3));
    let rest = names(&mut linked.rest_of(node.of_root()));
    assert!(rest.iter().filter(|name| *name == "nb-2-big-Data.db").count() == 3, "all its lines: {rest:?}");
    let mut rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    rest.dedup();
    let left = ["nb-1-big-Statistics.db", "nb-2-big-Data.db", "nb-3-big-Data.db", "nb-5-big-Data.db", "nb-7-big-Data.db"];
    assert_eq!(rest, left);

    fs::create_dir_all(node.staged().join(TABLE)).unwrap();
    linked.settle(&mut *node.of_root()).unwrap();
    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    let staged = |name: &str| node.staged().join(TABLE).join(name);
    assert_eq!(inode(staged("nb-1-big-Data.db")), inode(node.live("nb-1-big-Data.db")));
    assert_eq!(inode(staged("nb-4-big-Data.db")), inode(node.live("nb-4-big-Data.db")));
    assert!(!staged("nb-2-big-Data.db").exists() && !node.staged().join(LINKED).exists());
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_not_linked() {
    let mut node = Node::new();
    node.file("nb-1-big-Data.db", b"ab");
    put(&node.live("nb-1-big-Data.db"), b"ab");
    let places = node.places();
    let Some(Line::Entry(entry)) = node.lines.last() else { unreachable!() };
    let known = near(entry, &places.iter().collect::<Vec<_>>(), fs::metadata(&node.root.path).unwrap().dev()).unwrap();
    make_own_folder(&node.root.path, &node.staged()).unwrap();
    let linked = Linked::new(&node.root, &node.staged()).unwrap();
    put(&node.live("new"), b"xy");
    fs::rename(node.live("new"), node.live("nb-1-big-Data.db")).unwrap();
    assert!(!linked.put(&known).unwrap());
    assert_eq!(names(&mut linked.rest_of(node.of_root())), ["nb-1-big-Data.db"]);
}

#[test]
fn the_copy_is_the_first_place_and_what_it_lacks_is_left_to_whoever_tells_of_it() {
    let mut node = Node::new();
    fs::create_dir_all(node.copy("")).unwrap();
    for at in 1..=4 {
        node.file(&format!("nb-{at}-big-Data.db"), b"ab");
        put(&node.live(&format!("nb-{at}-big-Data.db")), b"ab");
    }
    put(&node.copy("nb-1-big-Data.db"), b"ab");
    // Of the second one it has nothing, of the third too little; the fourth is as whoever has copied it can read it.
    put(&node.copy("nb-3-big-Data.db"), b"a");
    put(&node.copy("nb-4-big-Data.db"), b"ab");
    fs::set_permissions(node.copy("nb-4-big-Data.db"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let places = [DataFolder::of_copy(&node.temp.path().join("copy")).unwrap(), node.places().remove(0)];
    let device = fs::metadata(&node.root.path).unwrap().dev();
    let mut from = Vec::new();
    for line in &node.lines {
        let Line::Entry(entry) = line else { continue };
        if let Some(file) = near(entry, &places.iter().collect::<Vec<_>>(), device) {
            from.push((file.path.to_string().rsplit_once('/').unwrap().1.to_owned(), file.place.is_copy()));
        }
    }
    assert_eq!(from, [("nb-1-big-Data.db".to_owned(), true), ("nb-4-big-Data.db".to_owned(), false)]);
}
