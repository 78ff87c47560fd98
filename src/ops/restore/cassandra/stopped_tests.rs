use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::ops::context::{LocalSettings, Parts};
use crate::ops::keys::Keys;
use crate::ops::spec::SourceKind;
use crate::ops::undo::{AsideTables, Way};
use crate::source::cassandra;
use crate::source::cassandra::{Change, Exchange, Expected, Jmx, Other};
use crate::sys::clock::SystemClock;
use crate::sys::meter::Meter;
use crate::sys::random::SystemRandom;
use crate::sys::space::SystemSpace;
use crate::sys::stop::Stop;

const TABLE: &str = "t-0123456789abcdef0123456789abcdef";

/// A node that is down and cannot be started, and whose directories hold one table and one that lies ready.
struct Dead {
    temp: tempfile::TempDir,
    ctx: Context,
    spec: SourceSpec,
    settings: CassandraSettings,
    ground: Ground,
    folder: PathBuf,
    told: Arc<Mutex<Vec<String>>>,
}

impl Dead {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let path = |below: &str| temp.path().join(below);
        for folder in ["local", "data", "commitlog", "hints", "cdc_raw", "caches"] {
            fs::create_dir(path(folder)).unwrap();
        }
        let text = format!(
            "partitioner: Murmur3Partitioner\ndata_file_directories: [{0}/data]\ncommitlog_directory: {0}/commitlog\nhints_directory: \
             {0}/hints\ncdc_raw_directory: {0}/cdc_raw\nsaved_caches_directory: {0}/caches\n",
            temp.path().display()
        );
        fs::write(path("cassandra.yaml"), text).unwrap();
        // Nothing listens at the first port.
        let jmx = Jmx { host: None, port: 1, user: None, password: None, nodetool: vec!["false".to_owned()] };
        let mut settings = CassandraSettings::new(vec!["k".to_owned()], path("cassandra.yaml"));
        settings.cql.address = Some(("127.0.0.1".to_owned(), 1));
        (settings.jmx, settings.stop, settings.start) = (jmx, Some(vec!["true".to_owned()]), Some(vec!["false".to_owned()]));
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let ctx = Context::new(Parts {
            node: "here".parse().unwrap(),
            local: Some(LocalSettings { dir: path("local"), tight: false, undo_for: Duration::from_secs(3600) }),
            sources: Vec::new(),
            repository: Arc::new(|| panic!("nothing is asked of a repository")),
            keys: Arc::new(Keys::default()),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            space: Arc::new(SystemSpace),
            stop: Stop::new(),
            meter: Arc::new(Meter::default()),
            events: Arc::new(move |event| heard.lock().unwrap().push(format!("{event:?}"))),
            memory: 1 << 28,
            threads: 1,
        });
        let kind = SourceKind::Cassandra(Box::new(settings.clone()));
        let spec = SourceSpec {
            name: "homestead".parse().unwrap(),
            kind,
            objective: Duration::from_secs(3600),
            keep: 1,
            level: 3,
            hooks: crate::ops::hooks::Hooks::default(),
            written: serde_json::Value::Null,
        };
        let ground = Ground::new(&ctx, &settings).unwrap();
        let folder = site::folder(&ctx, &spec).unwrap();
        let dead = Self { ctx, spec, settings, ground, folder, told, temp };
        dead.write(&format!("data/k/{TABLE}/nb-1-big-Data.db"), "old");
        dead.write(&format!("data/.windlass/backups/homestead/staged/k/{TABLE}/nb-1-big-Data.db"), "new");
        dead
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join(below)
    }

    fn write(&self, below: &str, text: &str) {
        fs::create_dir_all(self.path(below).parent().unwrap()).unwrap();
        fs::write(self.path(below), text).unwrap();
    }

    fn live(&self) -> String {
        self.read(&format!("data/k/{TABLE}"))
    }

    fn read(&self, folder: &str) -> String {
        fs::read_to_string(self.path(folder).join("nb-1-big-Data.db")).unwrap_or_default()
    }

    fn site(&self) -> Site<'_> {
        Site { ctx: &self.ctx, spec: &self.spec, settings: &self.settings, folder: &self.folder, ground: &self.ground }
    }

    /// A restore that begins.
    fn pending(&self) -> PendingStopped {
        let ours = self.path("data/.windlass/backups/homestead");
        let other = |name: &str| Other {
            live: self.path(name),
            incoming: None,
            outgoing: Some(self.path(name).join(".windlass-undo/homestead").join(format!("{name}-1"))),
            coming: Vec::new(),
            returning: None,
        };
        let exchange = Exchange {
            roots: vec![cassandra::Root { data: self.path("data"), incoming: ours.join("staged"), outgoing: ours.join("aside-1") }],
            tables: vec![Change { keyspace: "k".to_owned(), live: TABLE.to_owned(), incoming: Some(TABLE.to_owned()) }],
            others: ["commitlog", "hints"].map(other).into(),
            caches: Vec::new(),
        };
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let expected = vec![Expected { keyspace: "k".to_owned(), name: "t".to_owned(), id, has_rows: true }];
        PendingStopped::new(exchange, expected, self.undo(&["aside-1"]), false)
    }

    fn undo(&self, places: &[&str]) -> UndoRecord {
        let places = places.iter().map(|place| self.path("data/.windlass/backups/homestead").join(place)).collect();
        let aside = AsideTables {
            cassandra: Way::Stopped,
            host_id: String::new(),
            places,
            tables: Vec::new(),
            others: Vec::new(),
            indexes: Default::default(),
            unbuilt: Default::default(),
        };
        UndoRecord::new(Placed::Cassandra(aside), "20261101T000000000Z".parse().unwrap(), "2026-11-26T00:00:00Z".parse().unwrap())
    }
}

#[test]
fn a_node_that_has_ended_meanwhile_keeps_its_commit_log() {
    let dead = Dead::new();
    dead.write("commitlog/CommitLog-7-1.log", "writes of other keyspaces");
    let (site, no_stop) = (dead.site(), Stop::new());
    let control = dead.ground.control(&dead.ctx, &dead.settings, &no_stop);
    let mut pending = dead.pending();
    pending.write(Stage::Staging, &dead.folder).unwrap();
    let error = stop_and_exchange(&site, &mut pending, &control, false).unwrap_err().to_string();
    assert!(error.contains("has ended meanwhile") && error.contains("--undrained"), "{error}");
    assert_eq!(dead.live(), "old");
    assert!(dead.path("commitlog/CommitLog-7-1.log").exists() && PendingStopped::read(&dead.folder).unwrap().is_none());
    // Also in the moment after that was looked at.
    let mut pending = dead.pending();
    assert!(site.bring_down(&mut pending, false).is_err(), "it cannot be drained");
    site.bring_down(&mut pending, true).unwrap();
    assert!(!pending.is_drained);
}

#[test]
fn what_was_put_in_place_and_written_to_is_kept_when_the_old_files_come_back() {
    let dead = Dead::new();
    let mut pending = dead.pending();
    pending.exchange.set_aside().unwrap();
    pending.exchange.place().unwrap();
    assert_eq!(dead.live(), "new");
    // A machine has started the node after a kill, clients have written for a day, and now it does not start any more.
    dead.write(&format!("data/k/{TABLE}/nb-1-big-Data.db"), "new, and of a day");
    // A drain that was before the kill says nothing of what came since.
    pending.is_drained = true;
    dead.write("commitlog/CommitLog-7-2.log", "of that day");
    dead.write("hints/2.hints", "of that day");
    pending.write(Stage::Starting, &dead.folder).unwrap();
    let error = dead.site().recover().unwrap_err().to_string();
    assert!(error.contains("not yet back"), "{error}");
    let pending = PendingStopped::read(&dead.folder).unwrap().unwrap();
    assert_eq!((pending.stage, pending.is_written, pending.is_drained), (Stage::BackStarting, true, false));
    assert_eq!(dead.live(), "old");
    dead.site().forget_taken_back(&pending).unwrap();
    assert_eq!(dead.live(), "old");
    assert_eq!(dead.read(&format!("data/.windlass/backups/homestead/aside-1.written/k/{TABLE}")), "new, and of a day");
    assert!(dead.path("commitlog/CommitLog-7-2.log").exists() && dead.path("hints/2.hints").exists());
    assert!(dead.told.lock().unwrap().iter().any(|event| event.contains("aside-1.written")));
}

#[test]
fn hints_that_came_meanwhile_are_kept_and_a_drained_commit_log_is_not() {
    let dead = Dead::new();
    let pending = dead.pending();
    let late = ["commitlog", "hints"].map(|name| format!("{name}/.windlass-undo/homestead/{name}-1.late/1"));
    late.iter().for_each(|file| dead.write(file, "x"));
    dead.site().forget_taken_back(&pending).unwrap();
    assert!(!dead.path(&late[0]).exists() && dead.path(&late[1]).exists());
    assert!(dead.told.lock().unwrap().iter().any(|event| event.contains("hints-1.late")));
    assert!(!dead.path("data/.windlass/backups/homestead/staged").exists(), "nobody has written to what was never in place");
}

#[test]
fn an_undo_is_forgotten_only_when_the_next_one_is_remembered() {
    let dead = Dead::new();
    let earlier = "data/.windlass/backups/homestead/aside-0";
    dead.write(&format!("{earlier}/k/{TABLE}/nb-1-big-Data.db"), "earlier");
    dead.undo(&["aside-0"]).write(&dead.folder).unwrap();
    let mut pending = dead.pending();
    pending.exchange.set_aside().unwrap();
    pending.exchange.place().unwrap();
    // Killed when what is spent is written down, and nothing else.
    pending.spent = vec![dead.path(earlier)];
    pending.write(Stage::Ending, &dead.folder).unwrap();
    dead.site().recover().unwrap();
    assert_eq!(UndoRecord::read(&dead.folder).unwrap(), Some(pending.undo));
    assert!(!dead.path(earlier).exists() && dead.live() == "new");
    // One that comes to nothing leaves the earlier one as it is.
    let dead = Dead::new();
    dead.write(&format!("{earlier}/k/{TABLE}/nb-1-big-Data.db"), "earlier");
    dead.undo(&["aside-0"]).write(&dead.folder).unwrap();
    let mut pending = dead.pending();
    pending.write(Stage::Starting, &dead.folder).unwrap();
    dead.site().forget_taken_back(&pending).unwrap();
    assert!(dead.path(earlier).exists() && UndoRecord::read(&dead.folder).unwrap().is_some());
}

#[test]
fn a_node_that_cannot_be_asked_is_compared_by_its_configuration() {
    let dead = Dead::new();
    let facts = |partitioner: &str| {
        let facts = cassandra::Facts { partitioner: format!("org.apache.cassandra.dht.{partitioner}"), ..cassandra::Facts::default() };
        serde_json::to_value(facts).unwrap()
    };
    let recorded = |partitioner| Recorded::new("20261101T000000000Z".parse().unwrap(), &facts(partitioner), &[]).unwrap();
    unasked(&dead.ground, &recorded("Murmur3Partitioner"), &Survey::default()).unwrap();
    let Err(Error::Refused(why)) = unasked(&dead.ground, &recorded("RandomPartitioner"), &Survey::default()) else { panic!() };
    assert!(why.contains("RandomPartitioner") && why.contains("cassandra.yaml"), "{why}");
}

#[test]
fn which_of_two_folders_of_a_table_is_live_is_not_guessed_of_a_node_that_is_down() {
    let dead = Dead::new();
    let recorded = Recorded::new("20261101T000000000Z".parse().unwrap(), &serde_json::Value::Null, &[]).unwrap();
    let mut survey = Survey::default();
    survey.tables.insert(("k".into(), TABLE.into()), super::super::survey::Coming { sstables: 1, files: 8, bytes: 4096 });
    // One that was dropped and is empty is none.
    let other = "t-fedcba9876543210fedcba9876543210";
    fs::create_dir(dead.path(&format!("data/k/{other}"))).unwrap();
    let matched = unasked(&dead.ground, &recorded, &survey).unwrap();
    assert_eq!((matched.changes.len(), matched.empties.len()), (1, 0));
    dead.write(&format!("data/k/{other}/nb-1-big-Data.db"), "of whichever");
    let Err(Error::Refused(why)) = unasked(&dead.ground, &recorded, &survey) else { panic!() };
    assert!(why.contains("k.t has more than one folder with files") && why.contains("start it"), "{why}");
}

#[test]
fn keyspaces_that_every_node_has_are_not_told_as_made_on_a_new_one() {
    let ddl = ["k", "system_auth"].map(|name| {
        let keyspace = format!(
            "CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': '1'}} AND durable_writes = true;"
        );
        (name.to_owned(), keyspace)
    });
    let comparison = Comparison::of(&Definitions::read(&ddl).unwrap(), &Definitions::read(&[]).unwrap(), &Part::All).unwrap();
    assert_eq!(comparison.missing().count(), 2);
    assert_eq!(made_of_new(&comparison), ["keyspace k"]);
}
