//! An account that may see or change only a part of a database is refused, with the statement that gives it the rest: what it may not see
//! would be missing without a word.

use crate::support::program::Machine;
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

const TABLES: &[u8] =
    b"CREATE TABLE a (id INT PRIMARY KEY, secret INT); INSERT INTO a VALUES (1, 2); CREATE TABLE b (id INT PRIMARY KEY, secret INT); \
    INSERT INTO b VALUES (3, 4); CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.secret = 5;";

/// A machine that reaches the server over TCP as this account.
fn machine(server: &MariaDb, base: &str, account: &str, speaks_tls: bool) -> Machine {
    let machine = Machine::new();
    let mut configuration = server.over_tcp("ellis", &[base], account, machine.temp.path());
    if speaks_tls {
        configuration += &format!("ca_file = \"{}\"\n", server.ca_file.display());
    }
    let machine = machine.configured(&configuration);
    machine.run(&["init"]).expect(0);
    machine
}

/// A snapshot is refused, and nothing is there of it.
fn refused(machine: &Machine, statement: &str) {
    let run = machine.run(&["backup", "ellis"]);
    assert!(run.expect(1).stderr.contains(statement), "{statement}: {run:#?}");
    assert!(machine.json(&["list"], 0)["snapshots"].as_array().unwrap().is_empty());
}

/// Rights on single tables and columns, even on all that there are, are none on the database: a table that is made tomorrow would be missing.
fn single_tables_are_not_enough(server: &MariaDb, speaks_tls: bool, routines: &str) {
    let base = server.database();
    server.load(Some(&base), TABLES);
    let rights = format!("GRANT SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON {base}.* TO ACCOUNT; {routines} TO ACCOUNT");
    let account = server.account("BY SECRET", &rights);
    let machine = machine(server, &base, &account, speaks_tls);
    let needed = format!("GRANT SELECT ON `{base}`.*");
    for right in ["SELECT ON BASE.a", "SELECT (id) ON BASE.b", "SELECT (id, secret) ON BASE.b", "SELECT ON BASE.b"] {
        server.sql(&format!("GRANT {} TO {account}@'%'", right.replace("BASE", &base)));
        refused(&machine, &needed);
    }
    server.sql(&format!("{needed} TO {account}@'%'"));
    machine.run(&["backup", "ellis"]).expect(0);
}

#[test]
fn rights_on_single_tables_and_columns_are_not_enough_on_mariadb() {
    single_tables_are_not_enough(MariaDb::running(), true, "GRANT SELECT ON mysql.proc");
}

#[test]
fn rights_on_single_tables_and_columns_are_not_enough_on_mysql_8() {
    single_tables_are_not_enough(Make::Mysql80.running(), true, Make::Mysql80.right_to_see_routines());
}

#[test]
fn rights_on_single_tables_and_columns_are_not_enough_on_an_old_mariadb() {
    single_tables_are_not_enough(Make::Mariadb102.running(), false, Make::Mariadb102.right_to_see_routines());
}

#[test]
fn a_restore_by_an_account_that_may_write_to_one_table_only_is_refused_with_the_statement_that_helps() {
    let server = MariaDb::running();
    let base = server.name();
    server.sql(&format!("CREATE DATABASE {base}"));
    server.load(Some(&base), TABLES);
    let account = server.account(
        "BY SECRET",
        &format!(
            "GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT; \
             GRANT SUPER, SET USER ON *.* TO ACCOUNT; REVOKE INSERT ON {base}.* FROM ACCOUNT; GRANT INSERT ON {base}.a TO ACCOUNT; \
             GRANT INSERT (id) ON {base}.b TO ACCOUNT"
        ),
    );
    let machine = machine(server, &base, &account, true);
    machine.run(&["backup", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.sql(&format!("UPDATE {base}.a SET secret = 7"));
    let new = server.everything(&base);
    for how in ["--dry-run", "--yes"] {
        let run = machine.run(&["restore", "ellis", how]);
        assert!(run.expect(1).stderr.contains("GRANT INSERT ON `"), "{run:#?}");
    }
    let run = machine.run(&["restore", "ellis", "--yes"]);
    let statement = run.stderr.split("needs: ").nth(1).unwrap().lines().next().unwrap().split("; ").find(|part| part.starts_with("GRANT"));
    assert_eq!(server.everything(&base), new);
    assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{base}%'")), base);
    server.sql(statement.unwrap());
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
}

#[test]
fn a_right_that_mysql_8_has_taken_back_for_one_database_is_missed_there_and_nowhere_else() {
    let server = Make::Mysql80.start(&["--partial-revokes=ON"]);
    let (base, other) = (server.database(), server.database());
    server.load(Some(&base), TABLES);
    server.load(Some(&other), TABLES);
    let rights = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, RELOAD ON *.* TO ACCOUNT; GRANT SHOW_ROUTINE ON *.* TO ACCOUNT";
    let account = server.account("BY SECRET", rights);
    let [of_base, of_other] = [&base, &other].map(|base| machine(&server, base, &account, true));
    for right in ["TRIGGER", "EVENT", "SHOW VIEW", "SELECT"] {
        server.sql(&format!("REVOKE {right} ON {base}.* FROM {account}@'%'"));
        let statement = format!("GRANT {right} ON `{base}`.*");
        refused(&of_base, &statement);
        of_other.run(&["backup", "ellis"]).expect(0);
        server.sql(&format!("{statement} TO {account}@'%'"));
    }
    of_base.run(&["backup", "ellis"]).expect(0);
    let dump = of_base.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]);
    assert!(dump.expect(0).stdout.contains("TRIGGER `t`"), "{dump:#?}");
}

#[test]
fn a_table_that_cannot_be_held_still_is_reported_with_the_right_that_is_lacking() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE a (id INT PRIMARY KEY) ENGINE = MyISAM; INSERT INTO a VALUES (1);");
    // All rights on a database are none on the server.
    let account = server.account("BY SECRET", &format!("GRANT ALL ON {base}.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT"));
    let machine = machine(server, &base, &account, true);
    let details = || machine.run(&["-v", "backup", "ellis"]).expect(3).said() + &machine.run(&["show", "ellis/latest"]).said();
    let told = details();
    assert!(told.contains("GRANT RELOAD ON *.*") && !told.contains("others use it"), "{told}");
    server.sql(&format!("GRANT RELOAD ON *.* TO {account}@'%'"));
    machine.run(&["backup", "ellis"]).expect(0);
}

/// A server goes by the most exact pattern that fits a database alone, and what another one gives is not there.
fn a_less_exact_pattern_is_not_enough(server: &MariaDb, speaks_tls: bool, routines: &str) {
    let base = server.database();
    server.load(Some(&base), TABLES);
    let exact = base.replace('_', "\\_");
    let account = server.account(
        "BY SECRET",
        &format!(
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{exact}%`.* TO ACCOUNT; GRANT SELECT, SHOW VIEW, EVENT ON `{exact}`.* TO ACCOUNT; {routines} \
             TO ACCOUNT"
        ),
    );
    let machine = machine(server, &base, &account, speaks_tls);
    let needed = format!("GRANT TRIGGER ON `{exact}`.*");
    refused(&machine, &needed);
    server.sql(&format!("{needed} TO {account}@'%'"));
    machine.run(&["backup", "ellis"]).expect(0);
    let dump = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]).expect(0).stdout.clone();
    assert!(dump.contains("TRIGGER t BEFORE INSERT") || dump.contains("TRIGGER `t` BEFORE INSERT"), "{dump}");
}

#[test]
fn rights_under_a_less_exact_pattern_are_not_enough_on_mariadb() {
    a_less_exact_pattern_is_not_enough(MariaDb::running(), true, "GRANT SELECT ON mysql.proc");
}

#[test]
fn rights_under_a_less_exact_pattern_are_not_enough_on_mysql_8() {
    a_less_exact_pattern_is_not_enough(Make::Mysql80.running(), true, Make::Mysql80.right_to_see_routines());
}
