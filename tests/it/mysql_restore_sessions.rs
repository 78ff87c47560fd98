//! What a server has every session of an ordinary account begin with (`init_connect`) leads no restore astray.

use crate::support::program::Machine;
use crate::support::restored::{beside, filled};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// A restore, one under another name, and an undo while each session is sent into the live database, with settings that end it at each commit and
/// let no statement stand for itself.
fn led_astray(server: &MariaDb, rights: &str) {
    let base = filled(server);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2), (3); CREATE PROCEDURE {base}.p() SELECT 1"));
    let rights = format!("GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; {rights}");
    let account = server.account("BY SECRET", &rights);
    // What is made again is to be of an account that its maker may name.
    server.sql(&format!("CREATE OR REPLACE DEFINER = {account}@'%' SQL SECURITY INVOKER VIEW {base}.v AS SELECT id FROM {base}.t"));
    server.sql(&format!("DROP PROCEDURE {base}.p; CREATE DEFINER = {account}@'%' PROCEDURE {base}.p() SELECT 1"));
    let machine = Machine::in_memory();
    let configuration =
        format!("{}ca_file = \"{}\"\n", server.over_tcp("ellis", &[&base], &account, &machine.path("")), server.ca_file.display());
    let machine = machine.configured(&configuration);
    machine.run(&["init"]).expect(0);
    // Some servers run one statement of it alone.
    let beginnings = [format!("USE {base}"), "SET autocommit = 0, completion_type = 2, NAMES latin1".to_owned()];
    for begin in &beginnings {
        server.sql(&format!("SET GLOBAL init_connect = '{begin}'"));
        machine.run(&["snapshot", "ellis"]).expect(0);
    }
    let then = server.everything(&base);
    server.sql(&format!("DELETE FROM {base}.t WHERE id > 1; INSERT INTO {base}.t VALUES (9); CREATE TABLE {base}.u (id INT PRIMARY KEY)"));
    let now = server.everything(&base);
    for begin in &beginnings {
        server.sql(&format!("SET GLOBAL init_connect = '{begin}'"));
        let other = format!("{base}_windlass_look");
        machine.run(&["restore", "ellis", "--as", &other, "--yes"]).expect(0);
        assert_eq!(server.everything(&base), now, "{begin}");
        assert_eq!(server.ask(None, &format!("SELECT COUNT(*) FROM {other}.t")), "3", "{begin}");
        server.sql(&format!("DROP DATABASE {other}"));
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), then, "{begin}");
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), now, "{begin}");
        assert!(beside(server, &base).len() <= 1, "{begin}: {:?}", beside(server, &base));
    }
}

#[test]
fn a_session_that_begins_in_another_database_or_with_odd_settings_restores_into_its_own_on_mariadb() {
    led_astray(&MariaDb::start(&[]), "GRANT SELECT ON mysql.proc TO ACCOUNT;");
}

#[test]
fn a_session_that_begins_in_another_database_or_with_odd_settings_restores_into_its_own_on_mysql_8() {
    led_astray(
        &Make::Mysql80.start(&[]),
        "GRANT SHOW_ROUTINE, SET_USER_ID, PROCESS ON *.* TO ACCOUNT; SET GLOBAL log_bin_trust_function_creators = 1;",
    );
}
