//! Rights on single routines outlive a restore, which drops routines and makes them anew.

use crate::support::program::Machine;
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

const ROUTINES: &str = "
CREATE TABLE t (id INT PRIMARY KEY); CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 2;
";

/// What MariaDB alone has.
const PACKAGE: &str = "
SET SESSION sql_mode = ORACLE;
DELIMITER //
CREATE PACKAGE pack AS PROCEDURE q; END//
CREATE PACKAGE BODY pack AS PROCEDURE q AS BEGIN SELECT 4; END; END//
DELIMITER ;
";

/// A routine that is not in the snapshot.
const LATER: &str = "CREATE PROCEDURE later() SELECT 3; INSERT INTO t VALUES (1);";

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    machine
}

/// The rights on single routines of a database.
fn grants(server: &MariaDb, base: &str) -> String {
    let columns = "user, host, routine_name, routine_type, proc_priv";
    server.ask(None, &format!("SELECT {columns} FROM mysql.procs_priv WHERE db = '{base}' ORDER BY 1, 2, 3, 4"))
}

/// Rights on routines are the same after a restore, its undo and a redo, and after a restore that failed.
fn rights_stay(server: &MariaDb, role: bool) {
    let base = server.database();
    server.load(Some(&base), ROUTINES.as_bytes());
    let (one, other) = (server.account("BY SECRET", ""), server.account("BY SECRET", ""));
    server.sql(&format!(
        "GRANT EXECUTE ON PROCEDURE {base}.p TO {one}@'%'; GRANT EXECUTE, ALTER ROUTINE ON FUNCTION {base}.f TO {one}@'%' WITH GRANT OPTION;"
    ));
    if role {
        server.sql(&format!("CREATE ROLE role_{base}; GRANT EXECUTE ON FUNCTION {base}.f TO role_{base}"));
        let rights = format!("GRANT EXECUTE ON PACKAGE pack TO {one}@'%'; GRANT EXECUTE ON PACKAGE BODY pack TO {other}@'%';");
        server.load(Some(&base), format!("{PACKAGE}{rights}").as_bytes());
    }
    let (machine, shared) = (machine(&server.configuration("ellis", &[&base])), grants(server, &base));
    server.load(Some(&base), LATER.as_bytes());
    server.sql(&format!("GRANT EXECUTE ON PROCEDURE {base}.later TO {one}@'%'; GRANT EXECUTE ON PROCEDURE {base}.later TO {other}@'%'"));
    let all = grants(server, &base);
    assert_eq!(all.lines().count(), 4 + 3 * usize::from(role), "{all}");

    let restored = machine.run(&["restore", "ellis", "--yes"]);
    assert!(!restored.expect(0).stderr.contains("GRANT"), "{restored:#?}");
    assert_eq!(grants(server, &base), shared);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(grants(server, &base), all);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(grants(server, &base), shared);

    // An account that is gone is named, and not made anew without a password.
    server.sql(&format!("DROP USER {other}@'%'"));
    let undone = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    assert!(undone.expect(0).stderr.contains(&format!("ON PROCEDURE `{base}`.`later` TO '{other}'@'%'")), "{undone:#?}");
    assert_eq!(server.ask(None, &format!("SELECT COUNT(*) FROM mysql.user WHERE user = '{other}'")), "0");
    assert_eq!(grants(server, &base).lines().count(), 3 + 2 * usize::from(role));
    if role {
        let statement = format!("SET SESSION sql_mode = 'ORACLE'; GRANT EXECUTE ON PACKAGE BODY `{base}`.`pack` TO '{other}'@'%'");
        assert!(undone.stderr.contains(&statement), "{undone:#?}");
        server.sql(&format!("CREATE USER {other}@'%'; {statement}"));
        assert!(grants(server, &base).contains("PACKAGE BODY"), "whoever does as he is told has it again");
    }
}

#[test]
fn rights_on_single_routines_outlive_restore_undo_and_redo_on_mariadb() {
    rights_stay(MariaDb::running(), true);
}

#[test]
fn rights_on_single_routines_outlive_restore_undo_and_redo_on_mysql_8() {
    rights_stay(Make::Mysql80.running(), false);
}

#[test]
fn rights_on_single_routines_outlive_a_restore_that_fails() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), ROUTINES.as_bytes());
    let account = server.account("BY SECRET", "");
    server.sql(&format!("GRANT EXECUTE ON PROCEDURE {base}.p TO {account}@'%'"));
    let (machine, before) = (machine(&server.configuration("ellis", &[&base])), grants(server, &base));
    machine.configure_again(&(server.configuration("ellis", &[&base]) + &machine.client_that_fails_late()));
    machine.run(&["restore", "ellis", "--yes"]).expect(1);
    assert_eq!(grants(server, &base), before);
}

#[test]
fn who_may_not_read_or_give_rights_on_routines_is_told_what_is_to_be_done() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), ROUTINES.as_bytes());
    let other = server.account("BY SECRET", "");
    let grant = |own: &str| server.sql(&format!("GRANT EXECUTE ON PROCEDURE {base}.p TO {other}@'%'; {own}"));
    let rights = format!(
        "GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT; GRANT \
         SUPER, SET USER ON *.* TO ACCOUNT;"
    );
    let own = server.account("BY SECRET", &rights);
    let machine = Machine::new();
    let configuration = server.over_tcp("ellis", &[&base], &own, &machine.path(""));
    let machine = machine.configured(&configuration);
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    grant("");
    let blind = machine.run(&["restore", "ellis", "--yes"]);
    assert!(blind.expect(0).stderr.contains("GRANT SELECT ON mysql.procs_priv"), "{blind:#?}");
    grant(&format!("GRANT SELECT ON mysql.procs_priv TO {own}@'%'"));
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    let statement = format!("GRANT EXECUTE ON PROCEDURE `{base}`.`p` TO '{other}'@'%'");
    assert!(refused.expect(0).stderr.contains(&statement), "{refused:#?}");
    server.sql(&statement);
    server.sql(&format!("GRANT EXECUTE, ALTER ROUTINE ON {base}.* TO {own}@'%' WITH GRANT OPTION"));
    let restored = machine.run(&["restore", "ellis", "--yes"]);
    assert!(!restored.expect(0).stderr.contains("GRANT"), "{restored:#?}");
    assert!(grants(server, &base).contains(&other));
}
