//! Restores while applications write: every snapshot is of one instant, and an exchange cuts no transaction in two.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::program::{Machine, until};
use crate::support::restored::Holder;
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Two tables between which money goes, 10,000 in all, and one of which a trigger keeps a log.
const BANK: &str = "
CREATE TABLE here (id INT PRIMARY KEY, n INT NOT NULL); CREATE TABLE there (id INT PRIMARY KEY, n INT NOT NULL);
INSERT INTO here VALUES (1, 1000), (2, 1000), (3, 1000), (4, 1000), (5, 1000); INSERT INTO there SELECT * FROM here;
CREATE TABLE opened (id INT AUTO_INCREMENT PRIMARY KEY, pad TEXT); CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what INT);
CREATE TRIGGER logged AFTER INSERT ON opened FOR EACH ROW INSERT INTO log (what) VALUES (NEW.id);
CREATE VIEW total AS SELECT (SELECT SUM(n) FROM here) + (SELECT SUM(n) FROM there) AS sum;
";

/// One writer: it sends transactions over one connection until the first error, which ends the connection and so takes back the transaction
/// that is open; then it begins anew.
fn write(server: &MariaDb, transaction: &(dyn Fn(u64) -> String + Sync), over: &AtomicBool, done: &AtomicU64) {
    while !over.load(Ordering::SeqCst) {
        let batch: String = (0..20).map(|_| transaction(done.fetch_add(1, Ordering::SeqCst))).collect();
        let mut client = server.client();
        client.args(["-e", &batch]).stdout(Stdio::null()).stderr(Stdio::null());
        client.status().unwrap();
        // As applications do, they leave instants in which nobody holds a table, for an exchange to come in.
        thread::sleep(Duration::from_millis(60));
    }
}

fn transfers(server: &MariaDb) {
    let base = server.database();
    server.load(Some(&base), BANK.as_bytes());
    let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    let over = AtomicBool::new(false);
    let done = [const { AtomicU64::new(0) }; 3];
    // Both directions, in different orders, so that writers wait for each other too.
    let to = |count: u64| {
        let (from, to, n) = (count % 5 + 1, count * 3 % 5 + 1, count % 7);
        format!(
            "START TRANSACTION; UPDATE {base}.here SET n = n - {n} WHERE id = {from}; UPDATE {base}.there SET n = n + {n} WHERE id = {to}; COMMIT;"
        )
    };
    let back = |count: u64| {
        let (from, to, n) = (count * 2 % 5 + 1, count % 5 + 1, count % 11);
        format!(
            "START TRANSACTION; UPDATE {base}.there SET n = n - {n} WHERE id = {from}; UPDATE {base}.here SET n = n + {n} WHERE id = {to}; COMMIT;"
        )
    };
    let open = |count: u64| format!("INSERT INTO {base}.opened (pad) VALUES (REPEAT('x', {}));", count % 500);
    let writers: [&(dyn Fn(u64) -> String + Sync); 3] = [&to, &back, &open];
    let sum = |database: &str| {
        let sql = format!("SELECT (SELECT SUM(n) FROM {database}.here) + (SELECT SUM(n) FROM {database}.there)");
        server.ask(None, &sql)
    };
    let goes_on = |what: &str| {
        let before = done.each_ref().map(|done| done.load(Ordering::SeqCst));
        until(what, || done.iter().zip(before).all(|(done, before)| done.load(Ordering::SeqCst) > before + 40));
    };
    thread::scope(|scope| {
        for (transaction, done) in writers.into_iter().zip(&done) {
            let over = &over;
            scope.spawn(move || write(server, transaction, over, done));
        }
        let work = || {
            for _ in 0..3 {
                goes_on("all write before a snapshot");
                machine.run(&["snapshot", "ellis"]).expect(0);
            }
            let listed = machine.json(&["list"], 0);
            let ids: Vec<String> =
                listed["snapshots"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(ids.len(), 3);
            for id in ids {
                let look = server.name();
                machine.run(&["restore", &format!("ellis/{id}"), "--as", &look, "--yes"]).expect(0);
                assert_eq!(sum(&look), "10000", "{id}");
                let logged = format!("SELECT (SELECT COUNT(*) FROM {look}.opened) - (SELECT COUNT(*) FROM {look}.log)");
                assert_eq!(server.ask(None, &logged), "0", "{id}");
            }
            for arguments in
                [&["restore", "ellis", "--yes"][..], &["restore", "ellis", "--undo", "--yes"], &["restore", "ellis", "--undo", "--yes"]]
            {
                goes_on("all write before an exchange");
                machine.run(arguments).expect(0);
                goes_on("all write after it");
                let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{base}\\_windlass\\_undo%'");
                // Nobody writes to it any more.
                assert_eq!(sum(&server.ask(None, &sql)), "10000", "{arguments:?}");
                assert_eq!(server.ask(Some(&base), "SELECT sum FROM total"), "10000", "{arguments:?}");
            }
        };
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::SeqCst);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(sum(&base), "10000");
}

#[test]
fn no_snapshot_and_no_exchange_cuts_a_transfer_in_two() {
    transfers(MariaDb::running());
}

#[test]
fn no_snapshot_and_no_exchange_cuts_a_transfer_in_two_on_mysql_8() {
    transfers(Make::Mysql80.running());
}

#[test]
fn transactions_that_wait_for_each_other_behind_an_exchange_come_to_their_ends() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE here (id INT PRIMARY KEY, n INT); CREATE TABLE there (id INT PRIMARY KEY, n INT); INSERT INTO here VALUES (1, 0), (2, 0); INSERT INTO there VALUES (1, 0);");
    let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    let begin = |statements: &str| {
        let mut client = server.client();
        client.args(["-e", &format!("START TRANSACTION; {statements}; COMMIT")]).stdout(Stdio::null()).spawn().unwrap()
    };
    let runs = |what: &str| {
        let sql = format!("SELECT 1 FROM information_schema.PROCESSLIST WHERE info LIKE '{what}%' LIMIT 1");
        until(what, || !server.ask(None, &sql).is_empty());
    };
    let change = |table: &str, id: u32| format!("UPDATE {base}.{table} SET n = n + 1 WHERE id = {id}");
    // One has a row and will want the other table, the first that is locked; the other has that table and wants the row.
    let go = Holder::by(server, &format!("go_{base}"), &format!("DO GET_LOCK('go_{base}', 0)"));
    let mut one = begin(&format!("{}; DO GET_LOCK('go_{base}', 60); {}", change("there", 1), change("here", 1)));
    runs(&format!("DO GET_LOCK(\\'go_{base}"));
    let mut other = begin(&format!("{}; {}", change("here", 2), change("there", 1)));
    runs(&change("there", 1));
    thread::scope(|scope| {
        let restore = scope.spawn(|| machine.run(&["restore", "ellis", "--yes"]));
        runs(&format!("LOCK TABLES `{base}`"));
        go.lets_go();
        assert!(one.wait().unwrap().success() && other.wait().unwrap().success());
        restore.join().unwrap().expect(0);
    });
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT (SELECT SUM(n) FROM here) + (SELECT SUM(n) FROM there)"), "4");
}

/// Whoever reads while a restore, its undo and a redo let tables change places sees all tables of one state, and never none or a half.
fn readers(server: &MariaDb) {
    let base = server.database();
    let tables: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    let each = |statement: &str| tables.iter().map(|table| statement.replace("ONE", table)).collect::<String>();
    server.load(Some(&base), each("CREATE TABLE ONE (id INT PRIMARY KEY, v INT); INSERT INTO ONE VALUES (1, 1), (2, 1);").as_bytes());
    let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    server.load(Some(&base), each("UPDATE ONE SET v = 2; INSERT INTO ONE VALUES (3, 2);").as_bytes());
    // Rows and values of all tables in one statement, and so of one instant.
    let sums: Vec<String> = tables.iter().map(|table| format!("(SELECT CONCAT(COUNT(*), MIN(v), MAX(v)) FROM {base}.{table})")).collect();
    let question = format!("SELECT CONCAT_WS(' ', {})", sums.join(", "));
    let [old, new] = ["211", "322"].map(|sum| vec![sum; tables.len()].join(" "));
    assert_eq!(server.ask(None, &question), new);
    let over = AtomicBool::new(false);
    let (was_old, was_new) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let many = format!("{question};").repeat(20);
                while !over.load(Ordering::SeqCst) {
                    let seen = server.ask(None, &many);
                    for line in seen.lines() {
                        assert!(line == old || line == new, "{line}");
                        (if line == old { &was_old } else { &was_new }).fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let work = || {
            for arguments in [&["restore", "ellis", "--yes"][..], &UNDO, &UNDO, &UNDO] {
                let before = [&was_old, &was_new].map(|seen| seen.load(Ordering::SeqCst));
                machine.run(arguments).expect(0);
                until("both states are read again", || {
                    [&was_old, &was_new].iter().zip(before).any(|(seen, before)| seen.load(Ordering::SeqCst) > before + 40)
                });
            }
        };
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::SeqCst);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert!(was_old.into_inner() > 40 && was_new.into_inner() > 40);
    assert_eq!(server.ask(None, &question), new);
}

const UNDO: [&str; 4] = ["restore", "ellis", "--undo", "--yes"];

#[test]
fn whoever_reads_while_tables_change_places_sees_one_state_whole_and_never_none() {
    readers(MariaDb::running());
}

#[test]
fn whoever_reads_while_tables_change_places_sees_one_state_whole_and_never_none_on_mysql_8() {
    readers(Make::Mysql80.running());
}
