use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::format::entry::Entry;
use crate::format::entry::Kind;
use crate::source::Problem;
use crate::source::directory::Exclude;
use crate::sys::clock::FixedClock;

/// What a test sees of a file's bytes: `#n;` for a hole, and the bytes.
#[derive(Default)]
struct Seen(Vec<u8>);

impl Content for Seen {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn hole(&mut self, length: u64) {
        self.0.extend_from_slice(format!("#{length};").as_bytes());
    }
}

type Hook<'a> = Box<dyn FnMut(&RelPath) + 'a>;

#[derive(Default)]
struct Keeper<'a> {
    before: BTreeMap<RelPath, Entry>,
    entries: BTreeMap<RelPath, Entry>,
    contents: BTreeMap<String, Vec<u8>>,
    unchanged: Vec<String>,
    problems: Vec<Problem>,
    /// Called with each file's path before it is copied.
    hook: Option<Hook<'a>>,
}

impl<C: Into<Vec<u8>>> Taker<C> for Keeper<'_> {
    type Error = Error;

    fn previous(&mut self, path: &RelPath) -> Result<Option<Entry>, Error> {
        if let Some(hook) = &mut self.hook {
            hook(path);
        }
        Ok(self.before.get(path).cloned())
    }

    fn copied(&mut self, entry: Entry, content: Option<C>) -> Result<(), Error> {
        assert_eq!(content.is_some(), entry.kind == Kind::File);
        assert!(self.entries.last_key_value().is_none_or(|(last, _)| *last < entry.path));
        if let Some(content) = content {
            self.contents.insert(entry.path.to_escaped(), content.into());
        }
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    fn unchanged(&mut self, entry: Entry) -> Result<(), Error> {
        self.unchanged.push(entry.path.to_escaped());
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<(), Error> {
        self.problems.push(problem);
        Ok(())
    }
}

impl From<Seen> for Vec<u8> {
    fn from(seen: Seen) -> Self {
        seen.0
    }
}

struct Bench {
    place: tempfile::TempDir,
    clock: FixedClock,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        for folder in ["root", "work", "one", "two"] {
            fs::create_dir(place.path().join(folder)).unwrap();
        }
        // A clock far ahead: whatever the test has just written is settled.
        Self { place, clock: FixedClock::at("2100-01-01T00:00:00Z".parse().unwrap()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("root").join(name), bytes).unwrap();
    }

    fn copy_with<C: Content + Into<Vec<u8>>>(
        &self,
        to: &str,
        previous: Option<&str>,
        content: &(dyn Fn(u64) -> C + Sync),
        keeper: &mut Keeper<'_>,
    ) -> Result<(), Error> {
        let directory = Directory { root: self.path("root"), exclude: Exclude::default(), cross_filesystems: false };
        let (data, previous, work) = (self.path(to), previous.map(|name| self.path(name)), self.path("work"));
        let settings =
            CopySettings { bringing: Bringing::Copy, data: &data, previous: previous.as_deref(), work: &work, threads: 2, in_flight: 4 };
        copy(&directory, &settings, &Stop::new(), &Meter::default(), &self.clock, content, keeper)
    }

    fn copy<'a>(&self, to: &str, previous: Option<&str>, mut keeper: Keeper<'a>) -> Keeper<'a> {
        self.copy_with(to, previous, &|_| Seen::default(), &mut keeper).unwrap();
        keeper
    }
}

fn path(text: &str) -> RelPath {
    RelPath::from_escaped(text).unwrap()
}

#[test]
fn the_copy_holds_every_byte_and_keeps_holes() {
    let bench = Bench::new();
    fs::create_dir(bench.path("root/d")).unwrap();
    bench.write("empty", b"");
    bench.write("d/small", b"hello");
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    bench.write("d/large", &large);
    let sparse = File::create(bench.path("root/sparse")).unwrap();
    sparse.write_all_at(b"end", 5 << 20).unwrap();
    sparse.set_len(9 << 20).unwrap();
    for n in 0..100 {
        bench.write(&format!("f{n}"), format!("{n}").as_bytes());
    }
    let keeper = bench.copy("one", None, Keeper::default());
    assert_eq!((keeper.entries.len(), keeper.problems.len()), (106, 0));
    for (name, bytes) in [("empty", &b""[..]), ("d/small", b"hello"), ("d/large", &large), ("f77", b"77")] {
        assert_eq!(keeper.contents[name], bytes, "{name}");
        assert_eq!(fs::read(bench.path("one").join(name)).unwrap(), bytes, "{name}");
        assert!(keeper.entries[&path(name)].size == bytes.len() as u64 && keeper.entries[&path(name)].identity.unwrap().trusted);
    }
    let (copied, original) = (fs::metadata(bench.path("one/sparse")).unwrap(), fs::metadata(bench.path("root/sparse")).unwrap());
    assert_eq!(fs::read(bench.path("one/sparse")).unwrap(), fs::read(bench.path("root/sparse")).unwrap());
    assert_eq!((copied.size(), copied.mode() & 0o7777), (9 << 20, 0o600));
    if original.blocks() < 1000 {
        assert!(copied.blocks() < 1000);
        assert!(keeper.contents["sparse"].starts_with(b"#5242880;end"), "the hole before the data is reported");
    }
}

#[test]
fn what_did_not_change_is_shared_with_the_copy_before_and_never_with_the_source() {
    let bench = Bench::new();
    for (name, bytes) in [("same", "same"), ("changed", "then"), ("touched", "x"), ("damaged", "12345")] {
        bench.write(name, bytes.as_bytes());
    }
    let first = bench.copy("one", None, Keeper::default());
    bench.write("changed", b"now!");
    fs::set_permissions(bench.path("root/touched"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(bench.path("one/damaged"), b"cut").unwrap();
    let second = bench.copy("two", Some("one"), Keeper { before: first.entries, ..Keeper::default() });
    assert_eq!(second.unchanged, ["same"]);
    for (name, bytes) in [("same", "same"), ("changed", "now!"), ("touched", "x"), ("damaged", "12345")] {
        assert_eq!(fs::read_to_string(bench.path("two").join(name)).unwrap(), bytes);
    }
    assert_eq!(fs::read_to_string(bench.path("one/changed")).unwrap(), "then");
    let inode = |name: &str| fs::metadata(bench.path(name)).unwrap().ino();
    assert_ne!(inode("two/same"), inode("root/same"));
    // Writing to the source in place reaches neither copy.
    File::options().write(true).open(bench.path("root/same")).unwrap().write_all_at(b"S", 0).unwrap();
    assert_eq!(fs::read_to_string(bench.path("two/same")).unwrap(), "same");
}

#[test]
fn a_file_written_moments_ago_is_not_trusted_next_time() {
    let bench = Bench::new();
    bench.write("f", b"one");
    let written = fs::metadata(bench.path("root/f")).unwrap();
    let stand = |ahead: i64| bench.clock.set(jiff::Timestamp::from_second(written.ctime() + ahead).unwrap());
    stand(1);
    let first = bench.copy("one", None, Keeper::default());
    assert!(!first.entries[&path("f")].identity.unwrap().trusted);
    // Another write within the same tick of the file system leaves all times as they were; it must be read all the same.
    let second = bench.copy("two", Some("one"), Keeper { before: first.entries, ..Keeper::default() });
    assert_eq!(second.unchanged, [""; 0]);
    stand(4);
    fs::create_dir(bench.path("three")).unwrap();
    assert!(bench.copy("three", None, Keeper::default()).entries[&path("f")].identity.unwrap().trusted);
}

/// Writes to the source while it is read, the first `times` times.
struct Meddler<'a> {
    seen: Vec<u8>,
    file: PathBuf,
    times: &'a AtomicUsize,
}

impl Content for Meddler<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.seen.extend_from_slice(bytes);
        if self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            // A longer and then a shorter file, so that its size changes whatever the clock's steps are.
            let length = fs::metadata(&self.file).unwrap().len();
            File::options().write(true).open(&self.file).unwrap().set_len(length + 1).unwrap();
        }
    }

    fn hole(&mut self, length: u64) {
        self.seen.resize(self.seen.len() + usize::try_from(length).unwrap(), 0);
    }
}

impl From<Meddler<'_>> for Vec<u8> {
    fn from(meddler: Meddler<'_>) -> Self {
        meddler.seen
    }
}

fn meddle(times: usize) -> (Bench, Keeper<'static>) {
    let bench = Bench::new();
    bench.write("f", &[7; 1000]);
    let (times, mut keeper) = (AtomicUsize::new(times), Keeper::default());
    let file = bench.path("root/f");
    bench.copy_with("one", None, &|_| Meddler { seen: Vec::new(), file: file.clone(), times: &times }, &mut keeper).unwrap();
    let (entry, copied) = (&keeper.entries[&path("f")], fs::read(bench.path("one/f")).unwrap());
    assert_eq!(entry.size, copied.len() as u64);
    assert_eq!(keeper.contents["f"], copied);
    (bench, keeper)
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let (bench, keeper) = meddle(2);
    assert_eq!(keeper.problems, []);
    assert_eq!(fs::read(bench.path("one/f")).unwrap(), fs::read(bench.path("root/f")).unwrap());
}

#[test]
fn a_file_that_never_rests_is_kept_and_reported_and_not_trusted() {
    let (_bench, keeper) = meddle(usize::MAX);
    assert_eq!(
        keeper.problems.iter().map(|problem| (problem.kind, problem.path.to_escaped())).collect::<Vec<_>>(),
        [(Problem::CHANGED, "f".to_owned())]
    );
    assert!(!keeper.entries[&path("f")].identity.unwrap().trusted);
}

#[test]
fn a_file_that_vanishes_is_reported_and_has_no_entry() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.write(name, name.as_bytes());
    }
    let hook = |path: &RelPath| {
        if path.as_bytes() == b"b" {
            fs::remove_file(bench.path("root/b")).unwrap();
        }
    };
    let keeper = bench.copy("two", Some("one"), Keeper { hook: Some(Box::new(hook)), ..Keeper::default() });
    assert_eq!(keeper.problems.len(), 1);
    assert_eq!((keeper.problems[0].kind, &keeper.problems[0].path), (Problem::VANISHED, &path("b")));
    assert!(!keeper.entries.contains_key(&path("b")) && !bench.path("two/b").exists());
    assert_eq!(keeper.contents["c"], b"c");
}

#[test]
fn a_hard_link_whose_first_name_vanishes_still_brings_the_bytes() {
    let bench = Bench::new();
    bench.write("a", b"bytes");
    for name in ["b", "c"] {
        fs::hard_link(bench.path("root/a"), bench.path("root").join(name)).unwrap();
    }
    let hook = |path: &RelPath| {
        if path.as_bytes() == b"a" {
            fs::remove_file(bench.path("root/a")).unwrap();
        }
    };
    let keeper = bench.copy("two", Some("one"), Keeper { hook: Some(Box::new(hook)), ..Keeper::default() });
    assert_eq!((keeper.problems.len(), keeper.contents["b"].as_slice()), (1, &b"bytes"[..]));
    assert_eq!((keeper.entries[&path("b")].kind, keeper.entries[&path("c")].kind), (Kind::File, Kind::HardLink));
    assert_eq!(keeper.entries[&path("c")].link, Some(path("b")));
}

#[test]
fn a_file_that_takes_a_shared_name_does_not_lend_its_bytes_to_the_other_names() {
    let bench = Bench::new();
    bench.write("a", b"shared");
    fs::hard_link(bench.path("root/a"), bench.path("root/b")).unwrap();
    let hook = |path: &RelPath| {
        if path.as_bytes() == b"a" {
            bench.write("new", b"another");
            fs::rename(bench.path("root/new"), bench.path("root/a")).unwrap();
        }
    };
    let keeper = bench.copy("two", Some("one"), Keeper { hook: Some(Box::new(hook)), ..Keeper::default() });
    assert_eq!((keeper.contents["a"].as_slice(), keeper.contents["b"].as_slice()), (&b"another"[..], &b"shared"[..]));
}

#[test]
fn what_may_not_be_read_is_reported_and_has_no_entry() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let bench = Bench::new();
    bench.write("f", b"x");
    fs::create_dir(bench.path("root/d")).unwrap();
    for name in ["root/f", "root/d"] {
        fs::set_permissions(bench.path(name), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    }
    let keeper = bench.copy("one", None, Keeper::default());
    assert_eq!((keeper.entries.len(), keeper.problems.len()), (1, 2));
    assert!(keeper.problems.iter().all(|problem| problem.kind == Problem::UNREADABLE));
}

#[test]
fn a_failure_to_write_the_copy_is_an_error_and_not_a_problem_of_the_file() {
    let bench = Bench::new();
    bench.write("f", b"x");
    fs::write(bench.path("one/f"), b"in the way").unwrap();
    let outcome = bench.copy_with("one", None, &|_| Seen::default(), &mut Keeper::default());
    assert!(matches!(outcome, Err(Error::File { what: "create", .. })), "{outcome:?}");
}

#[test]
fn a_tree_of_links_is_read_once_and_never_again_while_it_is_the_same_file() {
    let bench = Bench::new();
    for (name, bytes) in [("written-once", "rows"), ("rewritten", "level 0"), ("taken-again", "old rows")] {
        bench.write(name, bytes.as_bytes());
    }
    let link = |to: &str| {
        for name in ["written-once", "rewritten", "taken-again"] {
            fs::hard_link(bench.path("root").join(name), bench.path(to).join(name)).unwrap();
        }
    };
    let read = |to: &str, previous: Option<&str>, before| {
        let (data, previous, work) = (bench.path(to), previous.map(|name| bench.path(name)), bench.path("work"));
        let tree = Directory { root: data.clone(), exclude: Exclude::default(), cross_filesystems: false };
        let settings =
            CopySettings { bringing: Bringing::Links, data: &data, previous: previous.as_deref(), work: &work, threads: 2, in_flight: 4 };
        let mut keeper = Keeper { before, ..Keeper::default() };
        copy(&tree, &settings, &Stop::new(), &Meter::default(), &bench.clock, &|_| Seen::default(), &mut keeper).unwrap();
        keeper
    };
    link("one");
    let first = read("one", None, BTreeMap::new());
    assert_eq!((first.contents.len(), &first.contents["rewritten"][..]), (3, &b"level 0"[..]));

    // As Cassandra does it: a file is made beside and takes the name; a name that is free again is given to other rows.
    bench.write("beside", b"level 1");
    fs::rename(bench.path("root/beside"), bench.path("root/rewritten")).unwrap();
    fs::remove_file(bench.path("root/taken-again")).unwrap();
    bench.write("taken-again", b"new rows");
    let then = fs::metadata(bench.path("one/taken-again")).unwrap().modified().unwrap();
    File::options().write(true).open(bench.path("root/taken-again")).unwrap().set_modified(then).unwrap();
    link("two");
    let second = read("two", Some("one"), first.entries);
    assert_eq!(second.unchanged, ["written-once"], "another link to a file moves its ctime, and is no change");
    assert_eq!(second.contents["rewritten"], b"level 1");
    assert_eq!(second.contents["taken-again"], b"new rows", "the same name, size and time are not the same file");
    assert!(second.entries.values().all(|entry| entry.kind != Kind::HardLink));
    assert_eq!(fs::read(bench.path("one/taken-again")).unwrap(), b"old rows");
}
