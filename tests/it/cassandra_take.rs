//! Snapshots of real Cassandra servers as linked copies: whole, held still whatever the server does next, and refused when they are not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use windlass::source::Error;
use windlass::source::cassandra::{Facts, Job, Keyspace, Kind, Looked, NodeConfig, Schema, Settings, Table, Taken, clear, live_size, take};
use windlass::sys::meter::Meter;
use windlass::sys::secret::Secret;
use windlass::sys::stop::Stop;

use crate::support::program::until;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{JMX_ACCOUNT, Spec, Version};

const EVERYTHING: &str = "Everything";
const TAG: &str = "20261123T000000123Z";

/// A server, and a folder beside its data for copies.
struct Source {
    server: Cassandra,
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Source {
    fn new(spec: &Spec) -> Self {
        let server = Cassandra::start_new(spec);
        let folder = tempfile::tempdir_in(&server.home).unwrap();
        for name in ["copy", "private", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut settings = Settings::new(vec![EVERYTHING.into()], server.config_file());
        settings.jmx.nodetool = server.command("nodetool");
        settings.jmx.host = Some(server.jmx_address().ip().to_string());
        settings.jmx.port = server.jmx_address().port();
        if spec.jmx_password {
            settings.jmx.user = Some(JMX_ACCOUNT[0].into());
            settings.jmx.password = Some(Secret::new(JMX_ACCOUNT[1]));
        }
        Self { server, folder, settings }
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    /// What the server says there is.
    fn schema(&self) -> Schema {
        let cql = self.server.cql();
        let ask = |columns: &str, from: &str| {
            cql.lines(&format!("SELECT {columns} FROM system_schema.{from} WHERE keyspace_name = '{EVERYTHING}'"))
        };
        let table = |line: String, kind| {
            let parts: Vec<&str> = line.split(" | ").collect();
            let base = parts.get(3).map(|base| (*base).to_owned());
            let (name, id, gc_grace_seconds) = (parts[0].to_owned(), parts[1].parse().unwrap(), parts[2].parse().unwrap());
            Table { name, id, kind, base, gc_grace_seconds, indexes: Vec::new() }
        };
        let tables = ask("table_name, id, gc_grace_seconds", "tables").into_iter().map(|line| table(line, Kind::Table));
        let views = ask("view_name, id, gc_grace_seconds, base_table_name", "views").into_iter().map(|line| table(line, Kind::View));
        let mut tables: Vec<Table> = tables.chain(views).collect();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        Schema { keyspaces: vec![Keyspace { name: EVERYTHING.into(), tables }] }
    }

    fn with_job<T>(&self, act: impl FnOnce(&Job<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let config = NodeConfig::read(&self.settings.config_file)?;
        let (private, work) = (self.folder.path().join("private"), self.folder.path().join("work"));
        let (stop, meter) = (Stop::new(), Meter::default());
        act(&Job { settings: &self.settings, config: &config, tag: TAG, folder: &private, work: &work, stop: &stop, meter: &meter })
    }

    fn take(&self, schema: &Schema) -> Result<Taken, Error> {
        let looked = |schema: Schema| {
            let ddl = vec![(EVERYTHING.to_owned(), self.server.cql().described(EVERYTHING).join("\n"))];
            Looked { facts: self.facts(), schema, ddl }
        };
        self.with_job(|job| take(job, &looked(schema.clone()), &self.copy(), None, &mut || Ok(looked(self.schema()))))
    }

    /// Which node the server says it is.
    fn facts(&self) -> Facts {
        let [host_id] = &self.server.cql().lines("SELECT host_id FROM system.local")[..] else { panic!("it is one node") };
        Facts { host_id: host_id.clone(), ..Facts::default() }
    }

    fn clear(&self) -> Result<(), Error> {
        self.with_job(|job| clear(job, &[EVERYTHING.to_owned()]))
    }

    /// Every file of a table in the copy, and its bytes, by its path below the table's folder.
    fn files(&self, table: &Table) -> BTreeMap<String, (PathBuf, Vec<u8>)> {
        let folder = self.copy().join(EVERYTHING).join(table.folder());
        let mut files = BTreeMap::new();
        collect(&folder, "", &mut files);
        files
    }

    /// The table's folders in the data directories.
    fn live(&self, table: &Table) -> Vec<PathBuf> {
        self.server.folders_of(EVERYTHING, &table.name)
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, (PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_str().unwrap()));
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(name, (path, bytes));
        }
    }
}

fn table<'a>(schema: &'a Schema, name: &str) -> &'a Table {
    schema.keyspaces[0].tables.iter().find(|table| table.name == name).unwrap()
}

/// What the server says of its snapshots.
fn has_snapshot(source: &Source, tag: &str) -> bool {
    source.server.nodetool(&["listsnapshots"]).lines().any(|line| line.split_whitespace().next() == Some(tag))
}

/// Takes a snapshot of everything; all of it is there, linked, and stays as it is whatever comes next.
fn takes_everything(spec: &Spec) -> (Source, Schema, Taken) {
    let source = Source::new(spec);
    source.server.fill(EVERYTHING);
    source.server.nodetool(&["snapshot", "-t", "medusa-1", EVERYTHING]);
    let schema = source.schema();
    let config = NodeConfig::read(&source.settings.config_file).unwrap();
    let size = live_size(&config, &schema, &source.copy(), None, &Stop::new()).unwrap();
    assert!(size.files > 100 && size.unlinkable_bytes == 0, "{size:?}");
    let taken = source.take(&schema).unwrap();
    assert_eq!((&taken.problems[..], taken.copied_bytes), (&[][..], 0));
    assert!(taken.foreign.others.folders >= schema.keyspaces[0].tables.len() as u64, "{:?}", taken.foreign);
    for (table, taken) in schema.keyspaces[0].tables.iter().zip(&taken.tables) {
        let is_empty = ["empty", "indexed_empty"].contains(&table.name.as_str());
        assert_eq!((&table.name, taken.sstables == 0), (&taken.name, is_empty));
        let files = source.files(table);
        assert_eq!((files.len() as u64, files.values().map(|file| file.1.len() as u64).sum()), (taken.files, taken.bytes));
        for (name, (path, _)) in files.iter().filter(|(name, _)| *name != "schema.cql") {
            let live = source.live(table).into_iter().map(|folder| folder.join(name)).find(|path| path.exists()).unwrap();
            let same = fs::metadata(&live).unwrap().ino() == fs::metadata(path).unwrap().ino();
            assert_eq!(same, !name.ends_with("-TOC.txt"), "{name}");
        }
    }
    assert!(has_snapshot(&source, TAG));
    source.clear().unwrap();
    source.clear().unwrap();
    assert!(!has_snapshot(&source, TAG) && has_snapshot(&source, "medusa-1"));
    assert!(fs::read_to_string(source.copy().join(EVERYTHING).join("schema.cql")).unwrap().contains("CREATE KEYSPACE"));
    (source, schema, taken)
}

/// Whatever the server does with its own files, those of the copy stay as they were.
fn holds_still(source: &Source, schema: &Schema, changes: &[&str]) {
    let before: Vec<_> = schema.keyspaces[0].tables.iter().map(|table| source.files(table)).collect();
    for change in changes {
        source.server.cql().run(change);
    }
    source.server.nodetool(&["compact", EVERYTHING]);
    source.server.cql().run(&format!("TRUNCATE \"{EVERYTHING}\".wide"));
    source.server.cql().run(&format!("DROP TABLE \"{EVERYTHING}\".collections"));
    source.server.restart();
    for (table, before) in schema.keyspaces[0].tables.iter().zip(before) {
        assert!(source.files(table) == before, "{}", table.name);
    }
}

#[test]
fn version_4_1_over_two_data_directories_behind_a_password() {
    let spec = Spec { data_directories: 2, system_apart: true, jmx_password: true, ..Spec::new(Version::V41) };
    let (source, schema, _) = takes_everything(&spec);
    let users = source.files(table(&schema, "users"));
    assert!(users.keys().any(|name| name.starts_with(".users_by_city/nb-") && name.ends_with("-big-Data.db")), "{:?}", users.keys());
    assert_eq!(fs::read_dir(source.folder.path().join("private")).unwrap().count(), 0, "the password is gone");
    holds_still(&source, &schema, &[]);
    refusals(&source);
}

#[test]
fn version_5_0_with_its_newest_format_and_an_index_that_is_made_afterwards() {
    let (source, schema, _) = takes_everything(&Spec::new(Version::V50));
    let things = source.files(table(&schema, "things"));
    for (end, is_empty) in [("GroupComplete.db", true), ("-bti-Rows.db", true), ("-bti-Data.db", false)] {
        assert!(things.iter().any(|(name, (_, bytes))| name.ends_with(end) && bytes.is_empty() == is_empty), "{end}: {:?}", things.keys());
    }
    let toc = |end: &str| {
        let folder = &source.live(table(&schema, "scalars"))[0];
        let path =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.to_str().unwrap().ends_with(end)).unwrap();
        (fs::metadata(&path).unwrap().ino(), fs::read(path).unwrap())
    };
    let before = toc("-TOC.txt");
    let index = format!("CREATE INDEX later ON \"{EVERYTHING}\".scalars (n) USING 'sai'");
    source.server.cql().run(&index);
    until("the index is built", || toc("-TOC.txt").1.len() > before.1.len());
    assert_eq!(toc("-TOC.txt").0, before.0, "the server changes its list in place, which is why it is copied");
    holds_still(&source, &schema, &[]);
}

/// What is refused, on a server that has been taken already, without rows of one table.
fn refusals(source: &Source) {
    let schema = source.schema();
    let fresh = || {
        fs::remove_dir_all(source.copy()).unwrap();
        fs::create_dir(source.copy()).unwrap();
    };
    // The schema that was read before is no more.
    let mut without = schema.clone();
    without.keyspaces[0].tables.retain(|table| table.name != "users");
    fresh();
    let moved = source.take(&without);
    assert!(matches!(&moved, Err(Error::Moved { what }) if what == "Everything.users was made"), "{moved:?}");
    // The name is taken: by the snapshot that was made for nothing.
    let taken = source.take(&schema).unwrap_err().to_string();
    assert!(taken.contains(&format!("Snapshot {TAG} already exists")) && !taken.contains("\tat "), "{taken}");
    source.clear().unwrap();
    let mut unknown = schema.clone();
    unknown.keyspaces.push(Keyspace { name: "nowhere".into(), tables: Vec::new() });
    let told = source.take(&unknown).unwrap_err().to_string();
    assert!(told.contains("nowhere"), "{told}");
    source.clear().unwrap();
    let wrong = Settings {
        jmx: windlass::source::cassandra::Jmx { password: Some(Secret::new("wrong")), ..source.settings.jmx.clone() },
        ..source.settings.clone()
    };
    let facts = source.facts();
    let looked = |ddl| Looked { facts: facts.clone(), schema: schema.clone(), ddl };
    let without_ddl = looked(Vec::new());
    let told =
        source.with_job(|job| take(&Job { settings: &wrong, ..*job }, &without_ddl, &source.copy(), None, &mut || Ok(without_ddl.clone())));
    let told = told.unwrap_err().to_string();
    assert!(told.contains("see `jmx`, its user and its password") && !told.contains("wrong"), "{told}");
    // Auto-snapshots of the TRUNCATE and the DROP before.
    fresh();
    let again = source.take(&schema).unwrap();
    assert!(again.foreign.auto.folders >= 2 && again.foreign.auto.bytes > 0, "{:?}", again.foreign);
    assert_eq!(again.tables.iter().find(|table| table.name == "wide").unwrap().sstables, 0);
    source.clear().unwrap();
    source.server.stop();
    fresh();
    let before = looked(vec![(EVERYTHING.to_owned(), "x".to_owned())]);
    let dead = source.with_job(|job| take(job, &before, &source.copy(), None, &mut || Ok(before.clone()))).unwrap_err().to_string();
    assert!(dead.contains("Failed to connect to '127.0.0.1:") && dead.contains("is Cassandra running"), "{dead}");
}
