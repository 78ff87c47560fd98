use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use super::*;
use crate::source::cassandra::facts::Facts;
use crate::source::cassandra::schema::{Keyspace, Kind, Table};

#[path = "take_damage_tests.rs"]
mod damage;
#[path = "take_earlier_tests.rs"]
mod earlier;
#[path = "take_foreign_tests.rs"]
mod foreign;
#[path = "take_unopened_tests.rs"]
mod unopened;

const TAG: &str = "20261123T000000123Z";

/// The id of the node.
const HOST_ID: &str = "5d7a11f0-0000-4000-8000-000000000001";

const BIG: [&str; 9] = [
    "Data.db",
    "Index.db",
    "Summary.db",
    "Filter.db",
    "Statistics.db",
    "CompressionInfo.db",
    "Digest.crc32",
    "SAI+aa+GroupComplete.db",
    "TOC.txt",
];

const BTI: [&str; 7] = ["Data.db", "Partitions.db", "Rows.db", "Filter.db", "Statistics.db", "Digest.crc32", "TOC.txt"];

/// A node in a folder: data directories, and what its `nodetool` will put there.
///
/// A snapshot is made in advance, beside the data directories, so that a test can harm it; the stand-in for `nodetool` links it into its place.
struct Node {
    folder: tempfile::TempDir,
    roots: usize,
    schema: Schema,
    ddl: Vec<(String, String)>,
    settings: Settings,
}

impl Node {
    fn new(roots: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let mut yaml = "partitioner: Murmur3Partitioner\ndata_file_directories:\n".to_owned();
        for root in 0..roots {
            fs::create_dir_all(path(&format!("data{root}"))).unwrap();
            fs::create_dir_all(path(&format!("made{root}"))).unwrap();
            yaml += &format!("  - {}\n", path(&format!("data{root}")));
        }
        for name in ["copy", "private", "work"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("cassandra.yaml"), yaml).unwrap();
        let home = folder.path().display();
        let script = format!(
            "cd {home} || exit 9\necho \"$@\" >> asked\n[ \"$3\" = info ] && echo \"ID : {HOST_ID}\" && exit\n[ \"$3\" = flush ] && exit\nwhile [ \"$1\" != -t ]; do command=$1; shift; done\ncase $command in\n\
             snapshot) for root in made*; do cp -al $root/. data${{root#made}}/ || exit 9; done;;\n\
             clearsnapshot) rm -rf data*/*/*/snapshots/$2;;\nesac\n"
        );
        fs::write(path("nodetool"), script).unwrap();
        let mut settings = Settings::new(vec!["ks".into()], path("cassandra.yaml").into());
        settings.jmx.nodetool = vec!["sh".into(), path("nodetool")];
        Self { folder, roots, schema: Schema { keyspaces: Vec::new() }, ddl: Vec::new(), settings }
    }

    /// A node with one table of one SSTable, in one data directory.
    fn simple() -> Self {
        let mut node = Self::new(1);
        node.table("ks", "users");
        node.sstable(0, "ks/users", "", "nb-1-big", &BIG);
        node.finish("ks/users");
        node
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn table(&mut self, keyspace: &str, name: &str) {
        if !self.schema.keyspaces.iter().any(|known| known.name == keyspace) {
            self.schema.keyspaces.push(Keyspace { name: keyspace.into(), tables: Vec::new() });
            self.ddl.push((keyspace.into(), format!("CREATE KEYSPACE {keyspace};\n")));
        }
        let known = self.schema.keyspaces.iter_mut().find(|known| known.name == keyspace).unwrap();
        let id = format!("{:032x}", known.tables.len() + 1).parse().unwrap();
        let table = Table { name: name.into(), id, kind: Kind::Table, base: None, gc_grace_seconds: 864_000, indexes: Vec::new() };
        let folder = format!("{keyspace}/{}", table.folder());
        known.tables.push(table);
        for root in 0..self.roots {
            fs::create_dir_all(self.path(&format!("data{root}/{folder}"))).unwrap();
        }
    }

    /// The folder of a table, `keyspace/name`, in a data directory.
    fn live(&self, root: usize, table: &str) -> PathBuf {
        let (keyspace, name) = table.split_once('/').unwrap();
        let known = self.schema.keyspaces.iter().find(|known| known.name == keyspace).unwrap();
        let folder = known.tables.iter().find(|known| known.name == name).unwrap().folder();
        self.path(&format!("data{root}/{keyspace}/{folder}"))
    }

    /// The folder of the snapshot of a table that `nodetool` will make.
    fn made(&self, root: usize, table: &str) -> PathBuf {
        let live = self.live(root, table);
        let below = live.strip_prefix(self.path(&format!("data{root}"))).unwrap();
        self.path(&format!("made{root}")).join(below).join("snapshots").join(TAG)
    }

    /// An SSTable, in the table's folder and in the snapshot to come. `index` is `.NAME/` or nothing.
    fn sstable(&self, root: usize, table: &str, index: &str, name: &str, components: &[&str]) {
        let (live, made) = (self.live(root, table).join(index), self.made(root, table).join(index));
        fs::create_dir_all(&live).unwrap();
        fs::create_dir_all(&made).unwrap();
        for component in components {
            let text = match *component {
                "TOC.txt" => components.join("\n") + "\n",
                "Rows.db" => String::new(),
                marker if marker.ends_with("Complete.db") => String::new(),
                "Digest.crc32" => crc32fast::hash(format!("{table} {root} {index} {name} Data.db").as_bytes()).to_string(),
                other => format!("{table} {root} {index} {name} {other}"),
            };
            let file = format!("{name}-{component}");
            fs::write(live.join(&file), text).unwrap();
            fs::hard_link(live.join(&file), made.join(&file)).unwrap();
        }
    }

    /// Writes the documents of a table's snapshot into its first data directory, as the server does.
    fn finish(&self, table: &str) {
        self.write_manifest(table, |_| {});
        fs::write(self.made(0, table).join("schema.cql"), "CREATE TABLE IF NOT EXISTS …;\n").unwrap();
    }

    fn write_manifest(&self, table: &str, change: impl FnOnce(&mut Vec<String>)) {
        let mut files = Vec::new();
        for root in 0..self.roots {
            let made = self.made(root, table);
            for folder in fs::read_dir(&made).into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
                files.extend(names(&folder).into_iter().map(|name| format!("{}/{name}", folder.file_name().unwrap().to_str().unwrap())));
            }
            files.extend(names(&made));
        }
        files.retain(|name| name.ends_with("-Data.db"));
        change(&mut files);
        fs::create_dir_all(self.made(0, table)).unwrap();
        let manifest = serde_json::json!({ "files": files, "created_at": "2026-11-26T09:00:00.000Z", "expires_at": null });
        fs::write(self.made(0, table).join("manifest.json"), manifest.to_string()).unwrap();
    }

    fn job<'a>(&'a self, config: &'a NodeConfig, places: &'a [PathBuf; 2], stop: &'a Stop, meter: &'a Meter) -> Job<'a> {
        Job { settings: &self.settings, config, tag: TAG, folder: &places[0], work: &places[1], stop, meter }
    }

    fn with_job<T>(&self, act: impl FnOnce(&Job<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let config = NodeConfig::read(&self.settings.config_file)?;
        let (places, stop, meter) = ([self.path("private"), self.path("work")], Stop::new(), Meter::default());
        act(&self.job(&config, &places, &stop, &meter))
    }

    fn take(&self) -> Result<Taken, Error> {
        self.take_before(&self.looked())
    }

    /// Takes it, and afterwards the server says this.
    fn take_before(&self, after: &Looked) -> Result<Taken, Error> {
        self.with_job(|job| take(job, &self.looked(), &self.path("copy"), None, &mut || Ok(after.clone())))
    }

    /// What the server says.
    fn looked(&self) -> Looked {
        Looked { facts: Facts { host_id: HOST_ID.into(), ..Facts::default() }, schema: self.schema.clone(), ddl: self.ddl.clone() }
    }

    fn clear(&self) -> Result<(), Error> {
        let keyspaces: Vec<String> = self.schema.keyspaces.iter().map(|keyspace| keyspace.name.clone()).collect();
        self.with_job(|job| clear(job, &keyspaces))
    }

    /// Why the snapshot is not whole.
    #[track_caller]
    fn why(&self) -> String {
        match self.take() {
            Err(Error::NotWhole { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    /// What `nodetool` was asked, one line each.
    fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap_or_default()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display())).ino()
}

/// A node with tables of all kinds: both formats, ids of both forms, indexes of both kinds, an empty table, capitals, two keyspaces.
fn varied() -> Node {
    let mut node = Node::new(1);
    node.table("ks", "MixedCase");
    node.table("ks", "empty");
    node.table("ks", "users");
    node.table("other", "users");
    node.sstable(0, "ks/MixedCase", "", "da-3h5r_1lxh_0dae82olptsc52z4nx-bti", &BTI);
    node.sstable(0, "ks/users", "", "nb-1-big", &BIG);
    node.sstable(0, "ks/users", "", "nb-10-big", &BIG);
    node.sstable(0, "ks/users", ".by_profile/", "nb-1-big", &BIG[..7]);
    fs::write(node.live(0, "ks/users").join(".by_profile/nb-1-big-TOC.txt"), "Data.db\nTOC.txt\n").unwrap();
    fs::hard_link(
        node.live(0, "ks/users").join(".by_profile/nb-1-big-TOC.txt"),
        node.made(0, "ks/users").join(".by_profile/nb-1-big-TOC.txt"),
    )
    .unwrap();
    node.sstable(0, "other/users", "", "nb-1-big", &BIG);
    for table in ["ks/MixedCase", "ks/empty", "ks/users", "other/users"] {
        node.finish(table);
    }
    node
}

#[test]
fn all_keyspaces_are_asked_for_at_once_and_every_file_is_linked() {
    let node = varied();
    let taken = node.take().unwrap();
    let asked = format!("-p 7199 info\n-p 7199 flush -- ks\n-p 7199 flush -- other\n-p 7199 snapshot -t {TAG} -- ks other\n");
    assert_eq!(node.asked(), asked, "what is being written out when it comes is waited for");
    let counts: Vec<(&str, &str, u64, u64)> =
        taken.tables.iter().map(|table| (table.keyspace.as_str(), table.name.as_str(), table.sstables, table.files)).collect();
    let wanted = [("ks", "MixedCase", 1, 8), ("ks", "empty", 0, 1), ("ks", "users", 3, 27), ("other", "users", 1, 10)];
    assert_eq!(counts, wanted);
    assert_eq!((taken.problems.len(), taken.copied_bytes), (0, 0));
    for table in ["ks/MixedCase", "ks/users", "other/users"] {
        let (live, copy) = (node.live(0, table), node.path("copy").join(node.live(0, table).strip_prefix(node.path("data0")).unwrap()));
        let mut files: Vec<String> = names(&live).into_iter().filter(|name| name != "snapshots").collect();
        files.extend(names(&live.join(".by_profile")).into_iter().map(|name| format!(".by_profile/{name}")));
        for file in files.iter().filter(|name| *name != ".by_profile") {
            let (from, to) = (live.join(file), copy.join(file));
            assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap(), "{file}");
            assert_eq!(inode(&from) == inode(&to), !file.ends_with("TOC.txt"), "{file}");
            assert_eq!(fs::metadata(&from).unwrap().modified().unwrap(), fs::metadata(&to).unwrap().modified().unwrap(), "{file}");
        }
        assert!(!copy.join("manifest.json").exists(), "its date would make every night's copy another");
        assert!(copy.join("schema.cql").is_file());
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(fs::read_to_string(node.path("copy/other/schema.cql")).unwrap(), "CREATE KEYSPACE other;\n");
    let bytes: u64 = names(&node.made(0, "other/users"))
        .iter()
        .filter(|name| *name != "manifest.json")
        .map(|name| fs::metadata(node.made(0, "other/users").join(name)).unwrap().len())
        .sum();
    assert_eq!(taken.tables[3].bytes, bytes);
}

#[test]
fn files_without_bytes_are_in_the_copy() {
    let node = varied();
    node.take().unwrap();
    let copy = |table: &str, file: &str| node.path("copy").join(node.live(0, table).strip_prefix(node.path("data0")).unwrap()).join(file);
    for path in [copy("ks/MixedCase", "da-3h5r_1lxh_0dae82olptsc52z4nx-bti-Rows.db"), copy("ks/users", "nb-1-big-SAI+aa+GroupComplete.db")]
    {
        assert_eq!(fs::metadata(path).unwrap().len(), 0);
    }
}

#[test]
fn an_index_that_is_made_after_the_snapshot_leaves_the_copy_as_it_is() {
    let node = Node::simple();
    let toc = node.live(0, "ks/users").join("nb-1-big-TOC.txt");
    let before = fs::read(&toc).unwrap();
    node.take().unwrap();
    // As Cassandra writes it: in place, so through every hard link.
    fs::write(&toc, "Data.db\nSAI+aa+later+TermsData.db\n").unwrap();
    let copy = node.path("copy").join(toc.strip_prefix(node.path("data0")).unwrap());
    assert_eq!(fs::read(copy).unwrap(), before);
}

#[test]
fn the_servers_snapshot_stays_until_it_is_cleared_and_clearing_twice_asks_once() {
    let node = Node::simple();
    node.take().unwrap();
    let there = node.live(0, "ks/users").join("snapshots").join(TAG);
    assert!(there.is_dir());
    node.clear().unwrap();
    assert!(!there.exists());
    node.clear().unwrap();
    assert_eq!(node.asked().lines().filter(|line| line.contains("clearsnapshot")).count(), 1);
    assert!(node.asked().ends_with(&format!("clearsnapshot -t {TAG} -- ks\n")));
}

#[test]
fn a_snapshot_that_is_still_there_after_clearing_is_an_error() {
    let node = Node::simple();
    node.take().unwrap();
    fs::write(node.path("nodetool"), "exit 0\n").unwrap();
    let error = node.clear().unwrap_err().to_string();
    assert!(error.contains(&format!("nodetool went well, and the snapshot {TAG} is still there in ")), "{error}");
}

#[test]
fn a_table_over_two_data_directories_comes_together_under_one_manifest() {
    let mut node = Node::new(2);
    node.table("ks", "users");
    node.sstable(0, "ks/users", "", "nb-1-big", &BIG);
    node.sstable(1, "ks/users", "", "nb-2-big", &BIG);
    node.sstable(1, "ks/users", ".by_name/", "nb-1-big", &BIG);
    node.finish("ks/users");
    // The server writes each document where there is room, not both into one folder.
    fs::rename(node.made(0, "ks/users").join("schema.cql"), node.made(1, "ks/users").join("schema.cql")).unwrap();
    let taken = node.take().unwrap();
    assert_eq!((taken.tables[0].sstables, taken.tables[0].files), (3, 28));
}

#[test]
fn a_server_that_writes_its_documents_into_every_data_directory_is_read_too() {
    let mut node = Node::new(2);
    node.table("ks", "users");
    node.sstable(0, "ks/users", "", "nb-1-big", &BIG);
    node.sstable(1, "ks/users", "", "nb-2-big", &BIG);
    node.finish("ks/users");
    for document in ["manifest.json", "schema.cql"] {
        fs::copy(node.made(0, "ks/users").join(document), node.made(1, "ks/users").join(document)).unwrap();
    }
    assert_eq!(node.take().unwrap().tables[0].sstables, 2);
}

#[test]
fn files_that_cannot_be_linked_are_copied_with_mode_and_times() {
    let node = Node::simple();
    // Another filesystem than that of the folders for temporary files, on every machine that Linux runs on.
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = node.live(0, "ks/users").join("nb-1-big-Data.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let taken = node.with_job(|job| take(job, &node.looked(), elsewhere.path(), None, &mut || Ok(node.looked()))).unwrap();
    let copy = elsewhere.path().join(file.strip_prefix(node.path("data0")).unwrap());
    let (one, other) = (fs::metadata(&file).unwrap(), fs::metadata(&copy).unwrap());
    assert_ne!(one.dev(), other.dev());
    assert_eq!(fs::read(&file).unwrap(), fs::read(&copy).unwrap());
    assert_eq!((other.mode() & 0o777, one.modified().unwrap()), (0o640, other.modified().unwrap()));
    let toc = fs::metadata(node.live(0, "ks/users").join("nb-1-big-TOC.txt")).unwrap().len();
    assert_eq!(taken.copied_bytes, taken.tables[0].bytes - toc, "what is always written anew needs no room of its own kind");
}
