//! What a dump leaves out because it is the default of its server stays what it was where another server has another default.

use crate::support::program::Machine;
use crate::support::restored::snapshotted;
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// A snapshot of this content on one server, restored on another one: the database there, and what was said.
fn moved(from: &MariaDb, to: &MariaDb, content: &str) -> (String, String) {
    let base = from.database();
    from.load(Some(&base), content.as_bytes());
    let machine: Machine = snapshotted(&from.configuration("ellis", &[&base]));
    machine.configure_again(&to.configuration("ellis", &[&base]));
    let run = machine.run(&["restore", "ellis", "--yes"]);
    run.expect(0);
    (base, run.stderr)
}

/// A column that has no default, and rows that know when they were made.
const MADE_ON: &str = "CREATE TABLE t (id INT PRIMARY KEY, made_on TIMESTAMP NOT NULL, n INT);
    INSERT INTO t VALUES (1, '2020-02-02 02:02:02', 0);";

#[test]
fn a_timestamp_without_a_default_is_not_given_the_time_of_each_change() {
    let off = MariaDb::start(&["--explicit-defaults-for-timestamp=OFF"]);
    for to in [&off, Make::Mysql57.running(), Make::Mysql80.running(), Make::Mariadb114.running()] {
        let (base, said) = moved(MariaDb::running(), to, MADE_ON);
        assert!(!said.contains("TIMESTAMP"), "{said}");
        assert_eq!(to.ask(Some(&base), "UPDATE t SET n = n + 1; SELECT made_on FROM t"), "2020-02-02 02:02:02");
        let sql = "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE table_schema = DATABASE() AND column_name = 'made_on' AND (extra <> '' OR \
                   column_default IS NOT NULL)";
        assert_eq!(to.ask(Some(&base), sql), "0");
    }
}

#[test]
fn a_server_that_gives_timestamps_a_default_whatever_is_asked_is_told_of_by_the_restore() {
    let to = Make::Mariadb102.running();
    let (base, said) = moved(MariaDb::running(), to, MADE_ON);
    assert!(said.contains("`t`.`made_on`") && said.contains("explicit_defaults_for_timestamp"), "{said}");
    assert_eq!(to.ask(Some(&base), "SELECT made_on FROM t"), "2020-02-02 02:02:02");
    let (_, said) = moved(MariaDb::running(), to, "CREATE TABLE t (id INT PRIMARY KEY, made_on TIMESTAMP NULL);");
    assert!(!said.contains("TIMESTAMP"), "{said}");
}

#[test]
fn a_collation_that_a_server_leaves_out_is_the_same_one_where_another_is_the_default() {
    let content = "CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(10), UNIQUE KEY (word)) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;
        INSERT INTO t VALUES (1, 'ss'), (2, 'ß');
        CREATE TABLE u (id INT PRIMARY KEY, word VARCHAR(10) COLLATE utf8mb4_general_ci, old VARCHAR(10) CHARACTER SET utf8, exact VARCHAR(10))
        DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;";
    let told = Make::Mariadb114.start(&["--character-set-collations=utf8mb4=uca1400_ai_ci,utf8mb3=uca1400_ai_ci"]);
    for from in [Make::Mysql57.running(), Make::Mariadb102.running()] {
        for to in [Make::Mysql80.running(), &told] {
            let (base, _) = moved(from, to, content);
            let sql = "SELECT GROUP_CONCAT(collation_name ORDER BY table_name, ordinal_position) FROM information_schema.COLUMNS WHERE table_schema = \
                       DATABASE() AND data_type = 'varchar'";
            let collations = to.ask(Some(&base), sql).replace("utf8mb3_", "utf8_");
            assert_eq!(collations, "utf8mb4_general_ci,utf8mb4_general_ci,utf8_general_ci,utf8mb4_bin");
            let sql = "SELECT table_collation FROM information_schema.TABLES WHERE table_schema = DATABASE() AND table_name = 't'";
            assert_eq!(to.ask(Some(&base), sql), "utf8mb4_general_ci");
            assert_eq!(to.ask(Some(&base), "SELECT COUNT(*) FROM t"), "2");
        }
    }
}
