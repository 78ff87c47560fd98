//! Restores of databases by an account that does not see, or may not use, all that they have to do with; and what others see meanwhile.

use crate::support::program::Machine;
use crate::support::restored::{Holder, beside, count, document, filled, killed_late, prepared, snapshotted, warned};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// The rights that the manual asks for.
fn rights(base: &str) -> String {
    format!(
        "GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT; \
         GRANT SUPER ON *.* TO ACCOUNT;"
    )
}

/// An account with these rights, and a configuration that uses it.
fn of_account(server: &MariaDb, base: &str, rights: &str, folder: &tempfile::TempDir) -> (String, String) {
    let account = server.account("BY SECRET", rights);
    let configuration = server.over_tcp("ellis", &[base], &account, folder.path());
    let configuration = configuration + &format!("ca_file = \"{}\"\n", server.ca_file.display());
    (account, configuration)
}

#[test]
fn an_exchange_whose_databases_the_account_does_not_see_any_more_is_kept_until_it_does() {
    let server = MariaDb::running();
    let (base, folder) = (filled(server), tempfile::tempdir().unwrap());
    let (account, configuration) = of_account(server, &base, &rights(&base), &folder);
    let machine = snapshotted(&configuration);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    let lost = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}@'%'");
    let given = rights(&base).replace("ACCOUNT", &format!("{account}@'%'"));

    // In the middle of a restore that goes on living.
    let root = format!("mariadb --no-defaults -uroot -S {} -e \"{lost}\"", server.socket.display());
    let script = "echo >>COUNT; [ \"$(wc -l <COUNT)\" = 2 ] && ROOT && exit 9; exec mariadb \"$@\"".replace("ROOT", &root);
    let line = machine.client(&script.replace("COUNT", &machine.path("lines").display().to_string()));
    machine.configure_again(&format!("{configuration}{line}"));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    assert!(failed.expect(1).stderr.contains("has to settle what is half done"), "{failed:#?}");
    machine.configure_again(&configuration);
    for _ in 0..2 {
        let refused = machine.run(&["snapshot", "ellis"]);
        assert!(refused.expect(1).stderr.contains("GRANT ALL ON"), "{refused:#?}");
        assert!(document(&machine, "exchange.json").exists(), "{refused:#?}");
    }
    server.sql(&given);
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert!(!document(&machine, "exchange.json").exists());
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(count(server, &base), "2");

    // And after a kill, with a right to the live database alone.
    killed_late(&machine, &configuration);
    server.sql(&format!("REVOKE ALL ON `{base}\\_windlass\\_%`.* FROM {account}@'%'"));
    let refused = machine.run(&["snapshot", "ellis"]);
    assert!(refused.expect(1).stderr.contains("\\_windlass\\_%`.* TO"), "{refused:#?}");
    assert!(document(&machine, "exchange.json").exists());
    server.sql(&given);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(count(server, &base), "2");
}

/// A view into a database to which the account has no right: the plan says which one it takes.
fn a_view_into_another_database_is_asked_for(server: &MariaDb, rights: &str, speaks_tls: bool) {
    let (base, other, folder) = (server.database(), server.database(), tempfile::tempdir().unwrap());
    server.sql(&format!(
        "CREATE TABLE {other}.regions (id INT PRIMARY KEY); INSERT INTO {other}.regions VALUES (1); CREATE TABLE {base}.t (id INT PRIMARY \
         KEY); INSERT INTO {base}.t VALUES (1); CREATE VIEW {base}.v AS SELECT regions.id FROM {other}.regions JOIN {base}.t USING (id); CREATE \
         VIEW {base}.w AS SELECT id FROM {base}.v"
    ));
    let account = server.account("BY SECRET", &rights.replace("BASE", &base));
    let mut configuration = server.over_tcp("ellis", &[&base], &account, folder.path());
    if speaks_tls {
        configuration += &format!("ca_file = \"{}\"\n", server.ca_file.display());
    }
    let machine = snapshotted(&configuration);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    let grant = format!("GRANT SELECT ON `{other}`.`regions` TO '{account}'@'%'");
    for how in ["--dry-run", "--yes"] {
        let refused = machine.run(&["restore", "ellis", how]);
        assert!(refused.expect(1).stderr.contains(&grant), "{refused:#?}");
    }
    assert_eq!((count(server, &base), server.ask(Some(&base), "SELECT COUNT(*) FROM w")), ("2".into(), "1".into()));
    // Where it is not live, what comes is asked about before anything is changed.
    server.sql(&format!("DROP VIEW {base}.v; DROP VIEW {base}.w"));
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains(&grant) && refused.stderr.contains("nothing was changed"), "{refused:#?}");
    assert_eq!((count(server, &base), beside(server, &base)), ("2".into(), Vec::new()));
    server.sql(&grant);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM w"), "1");
}

#[test]
fn a_view_into_another_database_is_asked_for_in_the_plan_on_mariadb() {
    let rights = rights("BASE");
    a_view_into_another_database_is_asked_for(MariaDb::running(), &rights, true);
}

#[test]
fn a_view_into_another_database_is_asked_for_in_the_plan_on_mysql_8() {
    let make = Make::Mysql80;
    let rights = format!(
        "GRANT ALL ON BASE.* TO ACCOUNT; GRANT ALL ON `BASE\\_windlass\\_%`.* TO ACCOUNT; GRANT SUPER, SET_USER_ID, SYSTEM_USER ON *.* TO ACCOUNT; {} TO ACCOUNT",
        make.right_to_see_routines()
    );
    a_view_into_another_database_is_asked_for(make.running(), &rights, true);
}

#[test]
fn a_view_that_cannot_be_made_all_the_same_names_the_right_that_is_lacking() {
    let server = MariaDb::running();
    let (base, other, folder) = (filled(server), server.database(), tempfile::tempdir().unwrap());
    server.sql(&format!(
        "CREATE TABLE {other}.regions (id INT PRIMARY KEY); CREATE VIEW {base}.far AS SELECT id FROM {other}.regions; CREATE VIEW {base}.zone \
         AS SELECT COUNT(*) AS n FROM {other}.regions; CREATE VIEW {base}.zones AS SELECT COUNT(*) AS n FROM {other}.regions; CREATE VIEW {base}.w AS SELECT id FROM {base}.v WHERE id > 0 WITH CHECK OPTION; CREATE \
         FUNCTION {base}.two() RETURNS INT DETERMINISTIC RETURN 2"
    ));
    let (account, configuration) = of_account(server, &base, &rights(&base), &folder);
    let machine = snapshotted(&configuration);
    let grant = format!("GRANT SELECT ON `{other}`.`regions` TO ");
    let given = format!("{grant}{account}@'%'");
    server.sql(&format!("{given}; INSERT INTO {base}.t VALUES (2)"));
    let lost = format!("REVOKE SELECT ON {other}.regions FROM {account}@'%'");
    let root = format!("mariadb --no-defaults -uroot -S {} -e \"{lost}\"", server.socket.display());
    let script = "echo >>COUNT; [ \"$(wc -l <COUNT)\" = 2 ] && ROOT; exec mariadb \"$@\"".replace("ROOT", &root);
    let line = machine.client(&script.replace("COUNT", &machine.path("lines").display().to_string()));
    machine.configure_again(&format!("{configuration}{line}"));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    assert!(failed.expect(1).stderr.contains(&grant), "{failed:#?}");
    assert_eq!(count(server, &base), "2", "the tables are back");
    // So are the views that can be made, and nothing stands in for the others, which are all named.
    let of = |view: &str| server.client().args(["-N", "-B", "-e", &format!("SELECT COUNT(*) FROM {base}.{view}")]).output().unwrap().stdout;
    assert_eq!(["v", "w", "far", "zone"].map(|view| String::from_utf8(of(view)).unwrap()), ["2\n", "2\n", "", ""], "{failed:#?}");
    assert_eq!(server.ask(Some(&base), "SELECT two()"), "2");
    let unchecked = server.client().args(["-e", &format!("INSERT INTO {base}.w VALUES (-1)")]).output().unwrap();
    assert!(!unchecked.status.success(), "it checks what is written through it");
    let said = machine.path("said").display().to_string();
    let told = format!("nor could be made: view `{base}`.`zone` (ERROR 1142");
    assert!(failed.stderr.contains("settle what is half done") && failed.stderr.contains(&told), "{told}: {failed:#?}");
    assert!(failed.stderr.contains(&format!("view `{base}`.`far`, /*!50001 CREATE")), "{failed:#?}");
    let state = "the tables that were live before are live again, and some of their views, triggers, routines and events are missing";
    assert!(failed.stderr.contains(state) && failed.stderr.contains("`windlass snapshot ellis`"), "{failed:#?}");
    let again = machine.run(&["snapshot", "ellis"]);
    assert!(again.expect(1).stderr.contains(&grant) && again.stderr.contains(&told), "{again:#?}");

    // What somebody has made meanwhile stays, the missing view too, whoever holds a table; and nothing stands in for one that the client
    // does not tell of.
    server.sql(&format!(
        "USE {base}; CREATE VIEW far AS SELECT 4711 AS id; CREATE VIEW more AS SELECT id FROM t; CREATE PROCEDURE three() SELECT 3; CREATE EVENT \
         yearly ON SCHEDULE EVERY 1 YEAR DO SELECT 1; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id"
    ));
    let made = server.everything(&base);
    let holder = Holder::of(server, &base);
    let says_little = machine.client("mariadb \"$@\" 2>said; code=$?; head -n 1 said >&2; exit $code".replace("said", &said).as_str());
    for client in ["", &says_little] {
        machine.configure_again(&format!("{configuration}{client}"));
        let again = machine.run(&["snapshot", "ellis"]);
        let is_told =
            again.expect(1).stderr.contains(&grant) && ["zone", "zones"].iter().all(|view| again.stderr.contains(&format!("`{view}`")));
        assert!(is_told && !again.stderr.contains("`far`"), "{again:#?}");
        assert_eq!(server.everything(&base), made, "{client}");
    }
    machine.configure_again(&configuration);
    holder.lets_go();
    server.sql(&given);
    warned(&machine.run(&["snapshot", "ellis"]), &["was taken back"]);
    assert_eq!((count(server, &base), server.ask(Some(&base), "SELECT COUNT(*) FROM v")), ("2".into(), "2".into()));
    assert_eq!(server.ask(Some(&base), "SELECT far.id, n FROM far JOIN zones"), "4711\t0");
    assert!(made.iter().all(|line| server.everything(&base).contains(line)));
}

#[test]
fn a_snapshot_of_another_source_takes_no_half_state() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    let other = Machine::in_memory().configured(&server.configuration("other", &[&base]));
    other.run(&["init"]).expect(0);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    let refused = |what: &str| {
        let run = other.run(&["snapshot", "other"]);
        assert!(run.expect(1).stderr.contains("does not remember"), "{what}: {run:#?}");
        assert!(other.json(&["list"], 0)["snapshots"].as_array().unwrap().is_empty());
    };
    crate::support::restored::killed_by(&machine, &configuration, "client", &["restore", "ellis", "--yes"]);
    refused("while it loads");
    machine.run(&["snapshot", "ellis"]).expect(0);
    killed_late(&machine, &configuration);
    refused("while it exchanges");
    machine.run(&["snapshot", "ellis"]).expect(0);
    crate::support::restored::killed_by(&machine, &configuration, "client", &["restore", "ellis", "--undo", "--yes"]);
    refused("while it undoes");
    machine.run(&["snapshot", "ellis"]).expect(0);
    other.run(&["snapshot", "other"]).expect(0);
}

#[test]
fn a_redo_of_what_is_gone_is_refused_and_removes_nothing() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    server.sql(&format!("DROP DATABASE {base}"));
    let undone = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    undone.expect(0);
    assert!(!undone.said().contains("once more"), "{undone:#?}");
    assert_eq!(count(server, &base), "2");
    for how in ["--dry-run", "--yes"] {
        let refused = machine.run(&["restore", "ellis", "--undo", how]);
        assert!(refused.expect(6).stderr.contains("nothing was changed"), "{refused:#?}");
    }
    assert_eq!(count(server, &base), "2");
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
}

#[test]
fn the_plan_says_that_rights_on_single_routines_will_be_lost() {
    let server = MariaDb::running();
    let (base, folder) = (filled(server), tempfile::tempdir().unwrap());
    server.sql(&format!("CREATE PROCEDURE {base}.p() SELECT 1"));
    let (account, configuration) = of_account(server, &base, &rights(&base), &folder);
    let machine = snapshotted(&configuration);
    let plan = |more: &[&str]| machine.run(&[&["restore", "ellis", "--dry-run"], more].concat()).expect(0).said();
    let says = |said: &str| said.contains("rights on single routines") && said.contains("GRANT SELECT ON mysql.procs_priv");
    assert!(says(&plan(&[])), "{}", plan(&[]));
    let look = server.name();
    server.sql(&rights(&look).replace("ACCOUNT", &format!("{account}@'%'")));
    assert!(!says(&plan(&["--table", "t"])) && !says(&plan(&["--as", &look])));
    server.sql(&format!("GRANT SELECT ON mysql.procs_priv TO {account}@'%'"));
    assert!(!says(&plan(&[])));
}
