use std::fs;

use super::super::connection::{Access, Connection};
use super::super::take;
use super::super::take::tests::bank;
use super::*;
use crate::source::placement::{crash::strike, recover};

const WAL: &str = "PRAGMA journal_mode = WAL";
const DELETE: &str = "PRAGMA journal_mode = DELETE";

struct Bench {
    place: tempfile::TempDir,
    placement: Placement,
}

impl Bench {
    /// A live database at version 7 of which a copy is staged; then the live one moved on to version 8.
    fn new(journal_mode: &'static str) -> Self {
        let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = place.path().canonicalize().unwrap().join("live.db");
        let mut connection = bank(&path, journal_mode);
        let placement = plan("s", &path).unwrap();
        take(&path, &placement.staged, &Stop::new()).unwrap();
        connection.run("", "PRAGMA user_version = 8").unwrap();
        connection.close().unwrap();
        Self { place, placement }
    }

    fn journal(&self) -> PathBuf {
        self.place.path().join("journal")
    }

    fn place(&self, journal_mode: &str) -> Result<(), Error> {
        place(&self.placement, journal_mode, &self.journal(), &Stop::new())
    }

    fn undo(&self) -> Result<(), Error> {
        undo(&self.placement, &self.journal())
    }

    fn live(&self) -> (i64, String) {
        ask(&self.placement.target)
    }

    /// Names in the folder.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Version and journal mode of a database.
fn ask(path: &Path) -> (i64, String) {
    let mut connection = Connection::open(path, Access::Write, std::time::Duration::ZERO, &Stop::new()).unwrap();
    assert_eq!(connection.value::<i64>("", "SELECT sum(amount) FROM accounts").unwrap(), 1000);
    let answer = (connection.value("", "PRAGMA user_version").unwrap(), connection.value("", "PRAGMA journal_mode").unwrap());
    connection.close().unwrap();
    answer
}

fn mode(version: i64, journal_mode: &str) -> (i64, String) {
    (version, journal_mode.to_owned())
}

#[test]
fn a_database_is_exchanged_and_back_with_its_log_and_looks() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let bench = Bench::new(WAL);
    fs::set_permissions(&bench.placement.target, fs::Permissions::from_mode(0o640)).unwrap();
    bench.place("wal").unwrap();
    assert_eq!(bench.live(), mode(7, "wal"));
    assert_eq!(fs::metadata(&bench.placement.target).unwrap().mode() & 0o777, 0o640);
    assert_eq!(bench.names(), [".live.db.windlass-undo", "live.db"]);
    bench.undo().unwrap();
    assert_eq!(bench.live(), mode(8, "wal"));
    bench.undo().unwrap();
    assert_eq!(bench.live(), mode(7, "wal"));
    assert_eq!(bench.names(), [".live.db.windlass-undo", "live.db"]);
}

#[test]
fn a_log_that_a_crash_has_left_is_written_back_before_the_database_is_set_aside() {
    let bench = Bench::new(DELETE);
    // The files of a database with a log, as a program that is killed leaves them.
    let other = bench.place.path().join("other.db");
    let mut connection = bank(&other, WAL);
    connection.run("", "PRAGMA user_version = 9").unwrap();
    let target = &bench.placement.target;
    fs::copy(&other, target).unwrap();
    fs::copy(sidecars::path(&other, "-wal"), sidecars::path(target, "-wal")).unwrap();
    connection.close().unwrap();
    fs::remove_file(other).unwrap();
    bench.place("delete").unwrap();
    assert_eq!(bench.live(), mode(7, "delete"));
    assert_eq!(bench.names(), [".live.db.windlass-undo", "live.db"]);
    assert_eq!(ask(&bench.placement.aside), mode(9, "wal"));
}

#[test]
fn a_database_that_someone_has_open_is_refused_and_unchanged() {
    let bench = Bench::new(WAL);
    let mut reader = Connection::open(&bench.placement.target, Access::Read, std::time::Duration::ZERO, &Stop::new()).unwrap();
    assert_eq!(reader.value::<i64>("", "PRAGMA user_version").unwrap(), 8);
    let error = bench.place("wal").unwrap_err();
    assert!(matches!(&error, Error::Busy { .. }), "{error:?}");
    assert!(!bench.journal().exists() && bench.placement.staged.exists());
    reader.close().unwrap();
    assert_eq!(bench.live(), mode(8, "wal"));
    bench.place("wal").unwrap();

    let bench = Bench::new(DELETE);
    let mut writer = Connection::open(&bench.placement.target, Access::Write, std::time::Duration::ZERO, &Stop::new()).unwrap();
    writer
        .run("", "BEGIN; UPDATE accounts SET amount = amount + 1 WHERE id = 1; UPDATE accounts SET amount = amount - 1 WHERE id = 2")
        .unwrap();
    assert!(matches!(bench.place("delete"), Err(Error::Busy { .. })));
    writer.run("", "COMMIT").unwrap();
    writer.close().unwrap();
    assert_eq!(bench.live(), mode(8, "delete"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a program that has the database open and holds no lock must be another process")]
fn a_program_that_has_the_database_open_without_a_lock_is_found() {
    let bench = Bench::new(DELETE);
    let file = File::open(&bench.placement.target).unwrap();
    let mut program = std::process::Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
    let outcome = bench.place("delete");
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(matches!(&outcome, Err(Error::Busy { by, .. }) if by.contains("sleep")), "{outcome:?}");
    assert_eq!(bench.live(), mode(8, "delete"));
    bench.place("delete").unwrap();
    assert_eq!(bench.live(), mode(7, "delete"));
}

#[test]
fn a_damaged_database_can_be_replaced_and_lies_aside_with_all_that_was_beside_it() {
    let bench = Bench::new(DELETE);
    let target = &bench.placement.target;
    fs::write(target, b"this was a database").unwrap();
    fs::write(sidecars::path(target, "-wal"), b"its log").unwrap();
    bench.place("delete").unwrap();
    assert_eq!(bench.live(), mode(7, "delete"));
    assert_eq!(fs::read(&bench.placement.aside).unwrap(), b"this was a database");
    assert_eq!(fs::read(sidecars::path(&bench.placement.aside, "-wal")).unwrap(), b"its log");
    bench.undo().unwrap();
    assert_eq!(fs::read(target).unwrap(), b"this was a database");
    assert_eq!(fs::read(sidecars::path(target, "-wal")).unwrap(), b"its log");
    assert_eq!(bench.names(), [".live.db.windlass-undo", "live.db", "live.db-wal"]);
    bench.undo().unwrap();
    assert_eq!(bench.live(), mode(7, "delete"));
}

#[test]
fn a_database_that_is_not_there_is_made_and_a_stray_log_does_not_get_into_it() {
    let place_at = tempfile::tempdir().unwrap();
    let at = |name: &str| place_at.path().canonicalize().unwrap().join(name);
    bank(&at("from.db"), DELETE).close().unwrap();
    let placement = plan("s", &at("new.db")).unwrap();
    take(&at("from.db"), &placement.staged, &Stop::new()).unwrap();
    fs::write(at("new.db-wal"), b"of a database that is gone").unwrap();
    place(&placement, "delete", &at("journal"), &Stop::new()).unwrap();
    assert_eq!(ask(&at("new.db")), mode(7, "delete"));
    assert!(!at("new.db-wal").exists());
    undo(&placement, &at("journal")).unwrap();
    assert!(!at("new.db").exists());
    undo(&placement, &at("journal")).unwrap();
    assert_eq!(ask(&at("new.db")), mode(7, "delete"));
}

fn recover_under_fire(journal: &Path) {
    let mut after = 0;
    while strike(after, || recover(journal).unwrap()).is_none() {
        after += 1;
    }
    assert!(!journal.exists() && recover(journal).unwrap().is_none());
}

/// Kills an operation at each of its points; after recovery the live database must be one of the two.
fn survives_kills(make: &dyn Fn() -> Bench, live: &dyn Fn(&Bench) -> String, old: &str, new: &str) {
    let (mut after, mut outcomes) = (0, [0, 0]);
    loop {
        let bench = make();
        if strike(after, || bench.place("wal").unwrap()).is_some() {
            break;
        }
        recover_under_fire(&bench.journal());
        let found = live(&bench);
        assert!(found == old || found == new, "killed at {after}: {found}");
        outcomes[usize::from(found == new)] += 1;
        if found == old {
            bench.place("wal").unwrap();
        }
        assert_eq!(live(&bench), new, "killed at {after}");
        bench.undo().unwrap();
        assert_eq!(live(&bench), old, "killed at {after}");
        let mut again = 0;
        loop {
            let before = live(&bench);
            if strike(again, || bench.undo().unwrap()).is_some() {
                break;
            }
            recover_under_fire(&bench.journal());
            let found = live(&bench);
            assert!(found == old || found == new, "undo killed at {again} from {before}: {found}");
            again += 1;
        }
        after += 1;
    }
    assert!(outcomes[0] >= 2 && outcomes[1] >= 2, "{outcomes:?}");
}

#[test]
fn a_kill_at_any_point_leaves_the_old_or_the_new_database() {
    survives_kills(&|| Bench::new(WAL), &|bench| format!("{:?}", bench.live()), "(8, \"wal\")", "(7, \"wal\")");
}

#[test]
fn a_kill_at_any_point_loses_nothing_of_a_damaged_database() {
    let make = || {
        let bench = Bench::new(DELETE);
        fs::write(&bench.placement.target, b"damaged").unwrap();
        fs::write(sidecars::path(&bench.placement.target, "-wal"), b"its log").unwrap();
        bench
    };
    let live = |bench: &Bench| {
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).chars().take(7).collect::<String>();
        format!("{}, {}", read(&bench.placement.target), read(&sidecars::path(&bench.placement.target, "-wal")))
    };
    survives_kills(&make, &live, "damaged, its log", "SQLite , ");
}
