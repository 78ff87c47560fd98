//! What an earlier copy holds already, where the node's files cannot be linked.

use std::fs::{File, FileTimes, Metadata};

use super::*;
use crate::source::cassandra::component::WRITTEN_ONCE;
use crate::source::cassandra::live_size::live_size;

/// A node, and copies of it on another filesystem.
struct Copies {
    node: Node,
    elsewhere: tempfile::TempDir,
}

impl Copies {
    /// With a first copy.
    fn of(node: Node) -> Self {
        let copies = Self { node, elsewhere: tempfile::tempdir_in("/dev/shm").unwrap() };
        fs::create_dir(copies.copy("first")).unwrap();
        copies.take("first", None);
        copies
    }

    fn copy(&self, name: &str) -> PathBuf {
        self.elsewhere.path().join(name)
    }

    fn take(&self, name: &str, earlier: Option<&Earlier<'_>>) -> Taken {
        let node = &self.node;
        let taken = node.with_job(|job| take(job, &node.looked(), &self.copy(name), earlier, &mut || Ok(node.looked())));
        node.clear().unwrap();
        taken.unwrap()
    }

    /// Takes a second copy beside the first, which is relied on but for what ends so.
    fn again(&self, doubtful: &str) -> Taken {
        let _ = fs::remove_dir_all(self.copy("second"));
        fs::create_dir(self.copy("second")).unwrap();
        let (first, has_doubts) = (self.copy("first"), |path: &str| Ok(!doubtful.is_empty() && path.ends_with(doubtful)));
        self.take("second", Some(&Earlier::new(&first, &has_doubts)))
    }

    /// The paths of all files of a table below a copy.
    fn files(&self, table: &str) -> Vec<PathBuf> {
        let live = self.node.live(0, table);
        let below = live.strip_prefix(self.node.path("data0")).unwrap();
        let mut files: Vec<PathBuf> = names(&live).into_iter().filter(|name| name != "snapshots").map(|name| below.join(name)).collect();
        let indexes: Vec<PathBuf> = files.iter().filter(|path| live.join(path.file_name().unwrap()).is_dir()).cloned().collect();
        files.retain(|path| !indexes.contains(path));
        for index in indexes {
            files.extend(names(&self.node.path("data0").join(&index)).into_iter().map(|name| index.join(name)));
        }
        files
    }

    /// Which files of `ks/users` the second copy shares with the first; all of them hold what the node has.
    fn shared(&self) -> Vec<String> {
        let mut shared = Vec::new();
        for path in self.files("ks/users") {
            let (first, second, live) =
                (self.copy("first").join(&path), self.copy("second").join(&path), self.node.path("data0").join(&path));
            assert_eq!(fs::read(&second).unwrap(), fs::read(&live).unwrap(), "{}", path.display());
            if first.exists() && inode(&first) == inode(&second) {
                shared.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        shared
    }

    fn live(&self, file: &str) -> PathBuf {
        self.node.live(0, "ks/users").join(file)
    }
}

/// Writes a file in place, for the snapshot to come as well, and has it keep its times.
fn rewrite(path: &Path, text: &str) {
    let times = times(&fs::metadata(path).unwrap());
    fs::write(path, text).unwrap();
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

fn times(stat: &Metadata) -> FileTimes {
    FileTimes::new().set_modified(stat.modified().unwrap())
}

#[test]
fn what_is_the_same_is_linked_from_the_earlier_copy_and_what_may_change_is_copied() {
    let copies = Copies::of(varied());
    copies.node.sstable(0, "ks/users", "", "nb-11-big", &BIG);
    copies.node.write_manifest("ks/users", |_| {});
    let taken = copies.again("");
    let mut copied = 0;
    for table in ["ks/MixedCase", "ks/users", "other/users"] {
        for path in copies.files(table) {
            let (first, second) = (copies.copy("first").join(&path), copies.copy("second").join(&path));
            let (name, size) = (path.to_str().unwrap(), fs::metadata(&second).unwrap().len());
            let is_held = !name.contains("nb-11-") && WRITTEN_ONCE.iter().any(|component| name.ends_with(&format!("-{component}")));
            assert_eq!(first.exists() && inode(&first) == inode(&second), is_held, "{name}");
            copied += if is_held || name.ends_with("TOC.txt") { 0 } else { size };
        }
    }
    let texts = 4 * fs::metadata(copies.node.made(0, "ks/empty").join("schema.cql")).unwrap().len();
    assert_eq!(taken.copied_bytes, copied + texts, "only what was copied counts");
    let shared = copies.shared();
    assert!(shared.contains(&"nb-10-big-Data.db".to_owned()), "{shared:?}");
    // The first one goes, and the second is none the worse.
    fs::remove_dir_all(copies.copy("first")).unwrap();
    copies.shared();
}

#[test]
fn a_name_that_another_sstable_has_now_is_not_believed() {
    let copies = Copies::of(Node::simple());
    copies.again("");
    assert_eq!(copies.shared().len(), 4);
    // The ids have restarted: other rows of the same size, at the very same time, and so another checksum.
    let (data, digest) = (copies.live("nb-1-big-Data.db"), copies.live("nb-1-big-Digest.crc32"));
    let (rows, number) = (fs::read_to_string(&data).unwrap(), fs::read_to_string(&digest).unwrap());
    rewrite(&data, &rows.to_uppercase());
    rewrite(&digest, &number.bytes().map(|digit| char::from(b'0' + b'9' - digit)).collect::<String>());
    copies.again("");
    assert_eq!(copies.shared(), [""; 0], "nothing of the SSTable is");
}

#[test]
fn what_differs_in_anything_or_is_in_doubt_is_copied() {
    let copies = Copies::of(Node::simple());
    let first = |file: &str| copies.copy("first").join(copies.live(file).strip_prefix(copies.node.path("data0")).unwrap());
    let all = ["nb-1-big-CompressionInfo.db", "nb-1-big-Data.db", "nb-1-big-Digest.crc32", "nb-1-big-Index.db"];
    copies.again("");
    assert_eq!(copies.shared(), all);
    for component in ["Data.db", "Digest.crc32"] {
        copies.again(component);
        assert_eq!(copies.shared(), [""; 0], "a doubt of {component} is one of the whole SSTable");
    }
    copies.again("Index.db");
    assert_eq!(copies.shared(), all[..3]);

    let (data, index) = (first("nb-1-big-Data.db"), first("nb-1-big-Index.db"));
    let stat = fs::metadata(&data).unwrap();
    let set = |path: &Path, times| File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    set(&data, FileTimes::new().set_modified(stat.modified().unwrap() + std::time::Duration::from_nanos(1)));
    copies.again("");
    assert_eq!(copies.shared(), [""; 0], "written a nanosecond later");
    set(&data, times(&stat));
    fs::set_permissions(&data, fs::Permissions::from_mode(0o600)).unwrap();
    copies.again("");
    assert_eq!(copies.shared(), [""; 0], "other rights");
    fs::set_permissions(&data, fs::Permissions::from_mode(stat.mode())).unwrap();
    copies.again("");
    assert_eq!(copies.shared(), all);
    // Damage that shows: one file is shorter, and another is a link now.
    rewrite(&index, "short");
    copies.again("");
    assert_eq!(copies.shared(), all[..3]);
    fs::rename(&data, copies.copy("moved")).unwrap();
    std::os::unix::fs::symlink(copies.copy("moved"), &data).unwrap();
    copies.again("");
    assert_eq!(copies.shared(), [""; 0]);
}

#[test]
fn an_sstable_without_a_checksum_is_copied() {
    let node = Node::simple();
    node.sstable(0, "ks/users", "", "nb-2-big", &["Data.db", "Index.db", "Statistics.db", "TOC.txt"]);
    node.sstable(0, "ks/users", "", "nb-3-big", &["Data.db", "Digest.crc32", "Index.db", "Statistics.db", "TOC.txt"]);
    for digest in [node.live(0, "ks/users"), node.made(0, "ks/users")] {
        fs::write(digest.join("nb-3-big-Digest.crc32"), "").unwrap();
    }
    node.write_manifest("ks/users", |_| {});
    let copies = Copies::of(node);
    copies.again("");
    assert!(copies.shared().iter().all(|name| name.starts_with("nb-1-")), "{:?}", copies.shared());
}

#[test]
fn room_is_asked_for_what_has_to_be_copied_alone() {
    let copies = Copies::of(varied());
    let (config, first) = (NodeConfig::read(&copies.node.settings.config_file).unwrap(), copies.copy("first"));
    let unlinkable = |earlier: Option<&Earlier<'_>>| {
        live_size(&config, &copies.node.schema, copies.elsewhere.path(), earlier, &Stop::new()).unwrap().unlinkable_bytes
    };
    let held: u64 = ["ks/MixedCase", "ks/users", "other/users"]
        .iter()
        .flat_map(|table| copies.files(table))
        .filter(|path| WRITTEN_ONCE.iter().any(|component| path.to_str().unwrap().ends_with(&format!("-{component}"))))
        .map(|path| fs::metadata(copies.node.path("data0").join(path)).unwrap().len())
        .sum();
    let (all, no_doubts) = (unlinkable(None), |_: &str| Ok(false));
    assert!(held > 0);
    assert_eq!(unlinkable(Some(&Earlier::new(&first, &no_doubts))), all - held);
    assert_eq!(unlinkable(Some(&Earlier::new(&first, &|_| Ok(true)))), all);
    assert_eq!(unlinkable(Some(&Earlier::new(&copies.copy("none"), &no_doubts))), all, "a copy that is not there holds nothing");
}
