//! What an undo of databases says and does when what lies aside cannot be seen, when what was remembered of it was changed, and what is said of
//! what is left.

use std::fs;

use serde_json::Value;
use windlass::sys::clock::SystemClock;
use windlass::sys::lock::Lock;
use windlass::sys::stop::Stop;

use crate::support::program::{Machine, text};
use crate::support::restored::{beside, count, document, filled, grow_old, keep_long, prepared, snapshotted, warned};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

const UNDO: [&str; 4] = ["restore", "ellis", "--undo", "--yes"];

/// Changes a document of the machine.
fn change(machine: &Machine, name: &str, change: impl FnOnce(&mut Value)) {
    let path = document(machine, name);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(&path, value.to_string()).unwrap();
}

/// The server, as the machine tells it from others.
fn server_of(machine: &Machine) -> String {
    let undo: Value = serde_json::from_slice(&fs::read(document(machine, "undo.json")).unwrap()).unwrap();
    text(&undo["placement"]["server"])
}

#[test]
fn an_undo_that_the_account_does_not_see_is_kept_and_put_back_once_it_does() {
    let server = MariaDb::running();
    let base = filled(server);
    let on_beside = format!("ON `{}\\_windlass\\_%`.*", base.replace('_', "\\_"));
    // By an account that is asked for nothing but what it has there.
    let rights = format!("GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL {on_beside} TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT");
    let account = server.account("BY SECRET", &rights);
    server.sql(&format!("CREATE OR REPLACE DEFINER = {account}@'%' SQL SECURITY INVOKER VIEW {base}.v AS SELECT id FROM {base}.t"));
    let folder = tempfile::tempdir().unwrap();
    let machine = snapshotted(&server.over_tcp("ellis", &[&base], &account, folder.path()));
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    server.sql(&format!("REVOKE ALL {on_beside} FROM {account}"));
    let hidden = format!("gone, or not to be seen by this account: GRANT ALL {on_beside} TO '{account}'@'%'");
    let refused = machine.run(&UNDO);
    assert!(refused.expect(1).stderr.contains(&hidden), "{hidden}: {refused:#?}");
    server.sql(&format!("GRANT ALL {on_beside} TO {account}"));
    machine.run(&UNDO).expect(0);
    assert_eq!(count(server, &base), "2");

    // It is too old, and stays written down as what is to be removed until it is seen.
    let other = beside(server, &base).remove(0);
    assert_ne!(aside, other);
    server.sql(&format!("REVOKE ALL {on_beside} FROM {account}"));
    grow_old(&machine);
    for _ in 0..2 {
        warned(&machine.run(&["snapshot", "ellis"]), &[&other, "gone or not to be seen by this account: GRANT ALL", "tried again"]);
    }
    assert_eq!(beside(server, &base), [other]);
    server.sql(&format!("GRANT ALL {on_beside} TO {account}"));
    let last = machine.run(&["snapshot", "ellis"]);
    assert!(!last.expect(0).stderr.contains("needed no more"), "{last:#?}");
    assert_eq!(beside(server, &base), Vec::<String>::new());

    // What somebody has put there or taken away is seen by the plan too.
    keep_long(&machine);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    for (change, says) in [("CREATE TABLE {}.u (id INT)", "and would become live"), ("DROP TABLE {}.u, {}.t", "and is not there any more")]
    {
        server.sql(&change.replace("{}", &aside));
        for how in ["--dry-run", "--yes"] {
            let refused = machine.run(&["restore", "ellis", "--undo", how]);
            assert!(refused.expect(1).stderr.contains(says) && refused.stderr.contains("nothing was changed"), "{how}: {refused:#?}");
        }
    }

    // What is gone, and would be seen if it were there, is gone.
    server.sql(&format!("DROP DATABASE {aside}"));
    for how in ["--dry-run", "--yes"] {
        let gone = machine.run(&["restore", "ellis", "--undo", how]);
        assert!(gone.expect(6).stderr.contains("had set it aside, is gone"), "{how}: {gone:#?}");
    }
}

#[test]
fn nothing_is_removed_or_put_back_that_has_no_name_of_a_restore_whatever_was_written_down() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let stranger = filled(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base);
    change(&machine, "undo.json", |undo| undo["placement"]["databases"][0]["state"]["database"] = stranger.as_str().into());
    for arguments in [&UNDO[..3], &UNDO] {
        let refused = machine.run(arguments);
        assert!(refused.expect(1).stderr.contains("no restore gives such a name"), "{refused:#?}");
    }
    let again = machine.run(&["restore", "ellis", "--dry-run"]);
    assert!(again.expect(0).stdout.contains("no restore gives such a name"), "{again:#?}");
    grow_old(&machine);
    for _ in 0..2 {
        warned(&machine.run(&["snapshot", "ellis"]), &[&stranger, "no restore gives such a name", "undo.json"]);
    }
    assert_eq!((count(server, &stranger).as_str(), beside(server, &base)), ("1", aside));

    keep_long(&machine);

    // Nor does a restore that takes its place remove it, or one of another database.
    fs::remove_file(document(&machine, "undo.json")).unwrap();
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let other = beside(server, &base).pop().unwrap().replace(&base, &stranger);
    server.sql(&format!("CREATE DATABASE {other}; CREATE TABLE {other}.t (id INT)"));
    change(&machine, "undo.json", |undo| undo["placement"]["databases"][0]["state"]["database"] = other.as_str().into());
    // Whoever does as he is told, and removes the strange document, removes no undo that is good.
    let kept = || {
        let entries = fs::read_dir(document(&machine, "")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.filter(|name| name.starts_with("undo.strange.")).collect::<Vec<_>>()
    };
    change(&machine, "undo.json", |undo| {
        let more = undo["placement"]["databases"][0].clone();
        undo["placement"]["databases"].as_array_mut().unwrap().push(more);
        undo["placement"]["databases"][1]["state"]["database"] = "second_of_it".into();
    });
    let restored = machine.run(&["restore", "ellis", "--yes"]);
    let strange = kept();
    warned(&restored, &[&other, "second_of_it", "is not removed", strange.first().expect("it was set apart")]);
    assert!(restored.stderr.contains("the next restore sets it apart itself") && strange.len() == 1, "{restored:#?} {strange:?}");
    assert!(fs::read_to_string(document(&machine, &strange[0])).unwrap().contains(&other));
    fs::remove_file(document(&machine, &strange[0])).unwrap();
    machine.run(&UNDO).expect(0);
    assert_eq!(count(server, &other), "0");

    // The same of what is written down as needed no more; files that lie elsewhere too.
    let precious = machine.path("precious");
    fs::create_dir_all(precious.join("below")).unwrap();
    let folder = document(&machine, "");
    let left = serde_json::json!({
        "format": 1,
        "databases": [{"database": stranger, "server": server_of(&machine), "if_empty": false}],
        "files": [precious, folder.join("../../../../precious"), folder],
    });
    fs::write(document(&machine, "leftovers.json"), left.to_string()).unwrap();
    let settled = machine.run(&["snapshot", "ellis"]);
    warned(&settled, &["taken for somebody else's", "precious"]);
    assert!(precious.join("below").exists() && document(&machine, "undo.json").exists());
    assert_eq!(count(server, &stranger), "1");
}

#[test]
fn each_undo_of_a_database_that_was_not_there_says_what_is_there_after_it() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    server.sql(&format!("DROP DATABASE {base}"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    for turn in 1..=4 {
        let undone = machine.run(&UNDO);
        let is_there = !server.ask(None, &format!("SHOW DATABASES LIKE '{base}'")).is_empty();
        assert_eq!(is_there, turn % 2 == 0, "undo {turn}: {undone:#?}");
        let wanted = if is_there { " again" } else { "is as it was before the restore" };
        assert!(undone.expect(0).said().contains(wanted), "undo {turn}: {undone:#?}");
    }
}

#[test]
fn what_could_not_be_removed_is_told_once_by_each_command_and_by_status_and_list() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    let gone = format!("`{aside}` is needed no more");
    assert!(!machine.run(&["list"]).expect(0).said().contains(&gone));
    let left = serde_json::json!({
        "format": 1,
        "databases": [{"database": aside, "server": format!("elsewhere{}", server_of(&machine)), "if_empty": false}],
        "files": [],
    });
    fs::write(document(&machine, "leftovers.json"), left.to_string()).unwrap();
    for arguments in [&["snapshot", "ellis"][..], &UNDO, &["restore", "ellis", "--yes"]] {
        let run = machine.run(arguments);
        assert_eq!(run.expect(0).stderr.matches(&gone).count(), 1, "{arguments:?}: {run:#?}");
    }
    let status = machine.json(&["status"], 7);
    let told = |list: &Value| list.as_array().unwrap().iter().any(|line| text(line).contains(&gone));
    let source = |status: &Value| status["sources"].as_array().unwrap().iter().find(|one| one["source"] == "ellis").unwrap().clone();
    let is_told = |status: &Value| told(&source(status)["wrong"]) && !told(&status["wrong"]);
    assert!(is_told(&status), "{status:#}");
    let listed = machine.json(&["list"], 0);
    assert!(told(&listed["strange"]), "{listed:#}");
    // A run that is at work may have written it down a moment ago, and be about it.
    fs::write(document(&machine, "journal.json"), "").unwrap();
    let lock = machine.path("local/.windlass/locks/ellis.lock");
    let hold = |what: &str| Lock::exclusive(&lock, what, &SystemClock::new(), None, &Stop::new()).unwrap();
    let held = hold("snapshot ellis");
    let status = machine.json(&["status"], 7);
    assert!(!told(&status["wrong"]) && source(&status)["wrong"] == serde_json::json!([]), "{status:#}");
    assert!(text(&source(&status)["under_way"]).starts_with("`snapshot ellis`, process "), "{status:#}");
    for command in ["status", "list"] {
        let said = machine.run(&[command]).said();
        assert!(said.contains("ellis: under way is `snapshot ellis`") && !said.contains(&gone), "{said}");
    }
    drop(held);
    // Of those who settle nothing and remove nothing it is not.
    for held in [None, Some("heal ellis")] {
        let lock = held.map(hold);
        let status = machine.json(&["status"], 7);
        assert!(is_told(&status) && source(&status)["wrong"].to_string().contains("was broken off"), "{held:?}: {status:#}");
        assert!(source(&status).get("under_way").is_none(), "{held:?}: {status:#}");
        drop(lock);
    }

    fs::remove_file(document(&machine, "journal.json")).unwrap();
    fs::write(document(&machine, "leftovers.json"), "{").unwrap();
    assert!(machine.run(&["list"]).expect(0).said().contains("leftovers.json"));
    machine.run(&["status"]).expect(7);
}

#[test]
fn no_empty_folder_stays_of_an_undo_that_is_over() {
    let server = MariaDb::running();
    let (_, machine) = prepared(server);
    let folders = || {
        let entries = fs::read_dir(document(&machine, "")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.filter(|name| name.starts_with("undo_")).count()
    };
    for _ in 0..2 {
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        machine.run(&UNDO).expect(0);
    }
    assert_eq!(folders(), 1, "that of the one that can be undone");
    grow_old(&machine);
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(folders(), 0);
}

#[test]
fn the_last_words_tell_what_was_restored_and_that_what_is_live_was_not_touched() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let look = server.name();
    let said = machine.run(&["restore", "ellis", "--as", &look, "--yes"]).expect(0).said();
    assert!(said.contains(&format!("`{look}` at ")) && said.contains("nothing that is live was touched"), "{said}");
    assert!(!said.contains("ellis holds") && !said.contains("ellis: holds"), "{said}");
    let said = machine.run(&["restore", "ellis", "--table", "t", "--yes"]).expect(0).said();
    assert!(said.contains(&format!("table `t` of `{base}` at ")) && !said.contains("ellis holds"), "{said}");
    let said = machine.run(&UNDO).expect(0).said();
    assert!(said.contains(&format!("table `t` of `{base}` at ")) && said.contains("as it was before the restore"), "{said}");
    let said = machine.run(&["restore", "ellis", "--yes"]).expect(0).said();
    assert!(said.contains("ellis holds "), "{said}");
}

#[test]
fn a_mysql_server_is_told_from_a_copy_by_the_identifier_that_it_keeps() {
    let server = Make::Mysql80.running();
    let (_, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let uuid = server.ask(None, "SELECT @@global.server_uuid");
    assert!(server_of(&machine).ends_with(&format!(" ({uuid})")), "{}", server_of(&machine));
    change(&machine, "undo.json", |undo| {
        let other = text(&undo["placement"]["server"]).replace(&uuid, "00000000-0000-0000-0000-000000000000");
        undo["placement"]["server"] = other.into();
    });
    let refused = machine.run(&UNDO);
    assert!(refused.expect(1).stderr.contains("was set aside on the server"), "{refused:#?}");
}
