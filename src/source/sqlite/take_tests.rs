use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

/// A database with ten accounts that hold 1,000 together, whatever moment one looks at it.
pub(crate) fn bank(path: &Path, journal_mode: &'static str) -> Connection {
    fs::write(path, b"").unwrap();
    let mut connection = Connection::open(path, Access::Write, PATIENCE, &Stop::new()).unwrap();
    connection.value::<String>("", journal_mode).unwrap();
    connection
        .run(
            "",
            "PRAGMA user_version = 7; PRAGMA application_id = 99;
             CREATE TABLE accounts(id INTEGER PRIMARY KEY, amount INTEGER);
             CREATE TABLE \"odd \"\" name\"(x); CREATE INDEX by_amount ON accounts(amount);
             CREATE TABLE log(id INTEGER PRIMARY KEY, text);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) INSERT INTO accounts SELECT i, 100 FROM n;",
        )
        .unwrap();
    connection
}

/// Moves amounts about, one transaction after another.
fn hammer(path: &Path, done: &AtomicBool, written: &AtomicU64) {
    let mut connection = Connection::open(path, Access::Write, PATIENCE, &Stop::new()).unwrap();
    while !done.load(Ordering::SeqCst) {
        connection
            .run(
                "",
                "BEGIN IMMEDIATE;
                 UPDATE accounts SET amount = amount - 1 WHERE id = 1 + abs(random() % 10);
                 INSERT INTO log(text) VALUES (hex(randomblob(500)));
                 UPDATE accounts SET amount = amount + 1000 - (SELECT sum(amount) FROM accounts) WHERE id = 1 + abs(random() % 10) ;
                 COMMIT;",
            )
            .unwrap();
        written.fetch_add(1, Ordering::SeqCst);
    }
}

fn sum(path: &Path) -> i64 {
    Connection::open(path, Access::Read, PATIENCE, &Stop::new()).unwrap().value("", "SELECT sum(amount) FROM accounts").unwrap()
}

fn taken_under_fire(journal_mode: &'static str, name: &str) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("live.db");
    bank(&path, journal_mode).close().unwrap();
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| hammer(&path, &done, &written));
        let mut last = 0;
        for n in 0..8 {
            while written.load(Ordering::SeqCst) < last + 5 {
                std::thread::yield_now();
            }
            last = written.load(Ordering::SeqCst);
            let copy = place.path().join(format!("copy{n}"));
            let facts = take(&path, &copy, &Stop::new());
            if facts.is_err() {
                done.store(true, Ordering::SeqCst);
            }
            let facts = facts.unwrap();
            assert_eq!((facts.journal_mode.as_str(), facts.user_version, facts.application_id), (name, 7, 99));
            let tables: Vec<_> = facts.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
            assert_eq!(tables[0], ("accounts", Some(10)));
            assert_eq!(tables[2], ("odd \" name", Some(0)));
            assert!(tables[1].1.unwrap() >= last, "what was committed before is in the copy");
            assert_eq!(sum(&copy), 1000, "the copy is of one moment");
            assert!(!place.path().join(format!("copy{n}-wal")).exists() && !place.path().join(format!("copy{n}-journal")).exists());
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_copy_with_a_log_is_of_one_moment_while_others_write() {
    taken_under_fire("PRAGMA journal_mode = WAL", "wal");
}

#[test]
fn a_copy_with_a_rollback_journal_is_of_one_moment_while_others_write() {
    taken_under_fire("PRAGMA journal_mode = DELETE", "delete");
}

#[test]
fn what_is_still_in_the_log_of_a_program_that_died_is_in_the_copy() {
    let place = tempfile::tempdir().unwrap();
    let (path, dead) = (place.path().join("live.db"), place.path().join("dead.db"));
    let connection = bank(&path, "PRAGMA journal_mode = WAL");
    // The files as they lie on the disk while the program runs are what a crash leaves.
    for ending in ["", "-wal"] {
        let with = |path: &PathBuf| PathBuf::from(format!("{}{ending}", path.display()));
        fs::copy(with(&path), with(&dead)).unwrap();
    }
    connection.close().unwrap();
    take(&dead, &place.path().join("copy"), &Stop::new()).unwrap();
    assert_eq!(sum(&place.path().join("copy")), 1000);
}

#[test]
fn what_is_no_database_is_refused_in_words_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (path, target) = (place.path().join("x"), place.path().join("copy"));
    let refused = |bytes: Option<&[u8]>| {
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let error = take(&path, &target, &Stop::new()).unwrap_err();
        assert!(!target.exists());
        error.to_string()
    };
    assert!(refused(None).starts_with("there is nothing at"));
    assert!(refused(Some(b"")).contains("0 bytes"));
    assert!(refused(Some(b"short")).ends_with("is not an SQLite database"));
    assert!(refused(Some(&[b'x'; 8192])).ends_with("is not an SQLite database"));
    assert!(take(place.path(), &target, &Stop::new()).unwrap_err().to_string().ends_with("is not an SQLite database"));
    let mut broken = MAGIC.to_vec();
    broken.resize(8192, b'x');
    refused(Some(&broken));
}

#[test]
fn a_file_that_is_there_is_never_written_over() {
    let place = tempfile::tempdir().unwrap();
    let (path, target) = (place.path().join("live.db"), place.path().join("copy"));
    bank(&path, "PRAGMA journal_mode = DELETE").close().unwrap();
    fs::write(&target, b"").unwrap();
    assert!(matches!(take(&path, &target, &Stop::new()), Err(Error::File { what: "create", .. })));
    assert!(target.exists());
}

#[test]
fn a_damaged_page_does_not_pass_the_check() {
    use std::os::unix::fs::FileExt;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("live.db");
    let mut connection = bank(&path, "PRAGMA journal_mode = DELETE");
    connection
        .run("", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO log(text) SELECT randomblob(900) FROM n")
        .unwrap();
    connection.close().unwrap();
    check(&path, String::new(), &Stop::new()).unwrap();
    // A cell pointer in the middle of the file now leads nowhere.
    File::options().write(true).open(&path).unwrap().write_all_at(&[0xff; 64], 20 * 4096).unwrap();
    assert!(matches!(check(&path, String::new(), &Stop::new()), Err(Error::Corrupt { .. })));
    take(&path, &place.path().join("copy"), &Stop::new()).unwrap_err();
    assert!(!place.path().join("copy").exists());
}

#[test]
fn a_stop_ends_the_copy_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (path, target) = (place.path().join("live.db"), place.path().join("copy"));
    let mut connection = bank(&path, "PRAGMA journal_mode = DELETE");
    connection
        .run("", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO log(text) SELECT 'x' FROM n")
        .unwrap();
    connection.close().unwrap();
    let stop = Stop::new();
    stop.request(15);
    assert!(matches!(take(&path, &target, &stop), Err(Error::Stopped(_))));
    assert!(!target.exists());
}
