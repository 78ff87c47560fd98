//! What a restore of databases sets aside is tied to nothing that is live: rows of other databases change and go, and it stays as it was; and
//! its foreign keys are there again when it is, whatever was killed in between.

use crate::support::between::Between;
use crate::support::program::Machine;
use crate::support::restored::{Holder, sent};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Children in `BASE` of parents in `OTHER`, with keys of every sort: one that takes rows along, one that keeps them, one with two columns,
/// whose index the server makes, and one of a name as long as can be.
const FAMILY: &str = "
CREATE TABLE OTHER.p (id INT PRIMARY KEY, n INT); INSERT INTO OTHER.p VALUES (1, 1), (2, 2);
CREATE TABLE OTHER.`q ``.` (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO OTHER.`q ``.` VALUES (1, 1);
CREATE TABLE BASE.c (id INT PRIMARY KEY, p INT, KEY of_p (p), CONSTRAINT `to p.1` FOREIGN KEY (p) REFERENCES OTHER.p (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE BASE.r (id INT PRIMARY KEY, p INT, a INT, b INT, CONSTRAINT LONG1 FOREIGN KEY (p) REFERENCES OTHER.p (id),
  FOREIGN KEY (a, b) REFERENCES OTHER.`q ``.` (a, b) ON DELETE SET NULL, CONSTRAINT own FOREIGN KEY (p) REFERENCES BASE.c (id));
INSERT INTO BASE.c VALUES (1, 1), (2, 2); INSERT INTO BASE.r VALUES (1, 2, 1, 1);
";

/// Keys of one's own to another database, and what becomes of it.
struct Case<'a> {
    server: &'a MariaDb,
    machine: Machine,
    base: String,
    other: String,
    old: Vec<String>,
    new: Vec<String>,
}

impl<'a> Case<'a> {
    /// A machine with a snapshot of the children, of whom there is one more since.
    fn new(server: &'a MariaDb) -> Self {
        let (base, other) = (server.database(), server.database());
        server.sql(&FAMILY.replace("BASE", &base).replace("OTHER", &other).replace("LONG1", &"l".repeat(64)));
        let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
        machine.run(&["init"]).expect(0);
        machine.run(&["snapshot", "ellis"]).expect(0);
        let old = all(server, &base);
        server.sql(&format!("INSERT INTO {base}.c VALUES (3, 1)"));
        let new = all(server, &base);
        Self { server, machine, base, other, old, new }
    }

    fn children(&self) -> String {
        self.server.ask(Some(&self.base), "SELECT GROUP_CONCAT(id ORDER BY id) FROM c")
    }

    fn is_refused(&self, sql: &str) {
        let refused = self.server.client().args(["-e", sql]).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("foreign key constraint fails"), "{sql}: {refused:?}");
    }

    /// Every key holds against what is live.
    fn keys_hold(&self) {
        let (base, other) = (&self.base, &self.other);
        self.is_refused(&format!("INSERT INTO {base}.c VALUES (90, 4711)"));
        self.is_refused(&format!("INSERT INTO {base}.r VALUES (90, 4711, 1, 1)"));
        self.is_refused(&format!("INSERT INTO {base}.r VALUES (90, NULL, 4711, 1)"));
        self.server.sql(&format!(
            "INSERT INTO {other}.p VALUES (80, 80); INSERT INTO {base}.c VALUES (80, 80); INSERT INTO {base}.r VALUES (80, 80, 1, 1);"
        ));
        self.is_refused(&format!("DELETE FROM {other}.p WHERE id = 80"));
        self.server.sql(&format!("DELETE FROM {base}.r WHERE id = 80; DELETE FROM {other}.p WHERE id = 80"));
        assert_eq!(self.server.ask(Some(base), "SELECT COUNT(*) FROM c WHERE id = 80"), "0", "the child goes with its parent");
    }

    /// No table beside the live ones is tied to what is live.
    fn nothing_aside_is_tied(&self) {
        let sql = format!(
            "SELECT table_schema, table_name, constraint_name FROM information_schema.KEY_COLUMN_USAGE WHERE table_schema LIKE \
             '{}\\_windlass\\_%' AND referenced_table_schema IN ('{}', '{}')",
            self.base, self.base, self.other
        );
        assert_eq!(self.server.ask(None, &sql), "");
    }

    fn undo(&self) {
        self.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    }
}

/// Everything in a database. An index that the server makes for a foreign key may come in another place among the indexes, and on MariaDB
/// before 10.5, which renames no index, under another name.
fn all(server: &MariaDb, database: &str) -> Vec<String> {
    let is_old = server.ask(None, "SELECT VERSION()").starts_with("10.2.");
    let sorted = |text: String| {
        let without_name = |line: &str| {
            let index = line.trim_start().strip_prefix("KEY `").filter(|_| is_old);
            index.and_then(|index| index.split_once("` (")).map_or_else(|| line.to_owned(), |(_, columns)| format!("KEY ({columns}"))
        };
        let mut lines: Vec<String> = text.lines().map(|line| without_name(line.trim_end_matches(','))).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    server.everything(database).into_iter().map(sorted).collect()
}

fn what_lies_aside_stays_as_it_was(server: &MariaDb) {
    let case = Case::new(server);
    let (base, other) = (&case.base, &case.other);
    case.machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(all(server, base), case.old);
    case.nothing_aside_is_tied();
    case.keys_hold();
    // Parents go: the live children go with them, and those aside neither go nor keep them.
    server.sql(&format!("DELETE FROM {base}.r; REPLACE INTO {other}.p VALUES (1, 11)"));
    assert_eq!(case.children(), "2");
    server.sql(&format!("DELETE FROM {other}.p WHERE id = 2; DELETE FROM {other}.`q ``.`"));
    let between = all(server, base);
    case.undo();
    assert_eq!(all(server, base), case.new, "rows that were set aside are all there");
    case.nothing_aside_is_tied();
    server.sql(&format!("INSERT INTO {other}.p VALUES (2, 2); INSERT INTO {other}.`q ``.` VALUES (1, 1)"));
    case.keys_hold();
    // The same the other way round.
    server.sql(&format!("REPLACE INTO {other}.p VALUES (1, 12)"));
    assert_eq!(case.children(), "2");
    let last = all(server, base);
    case.undo();
    assert_eq!(all(server, base), between);
    case.keys_hold();
    case.undo();
    assert_eq!(all(server, base), last);
    case.keys_hold();
    // A table alone.
    case.machine.run(&["restore", "ellis", "--table", "c", "--yes"]).expect(0);
    assert_eq!(case.children(), "1,2");
    case.nothing_aside_is_tied();
    case.undo();
    assert_eq!(all(server, base), last);
    case.keys_hold();
}

#[test]
fn rows_of_other_databases_change_and_go_and_what_lies_aside_stays_on_mariadb_10_11() {
    what_lies_aside_stays_as_it_was(MariaDb::running());
}

#[test]
fn rows_of_other_databases_change_and_go_and_what_lies_aside_stays_on_mariadb_11_4() {
    what_lies_aside_stays_as_it_was(Make::Mariadb114.running());
}

#[test]
fn rows_of_other_databases_change_and_go_and_what_lies_aside_stays_on_mariadb_10_2() {
    what_lies_aside_stays_as_it_was(Make::Mariadb102.running());
}

#[test]
fn rows_of_other_databases_change_and_go_and_what_lies_aside_stays_on_mysql_8_0() {
    what_lies_aside_stays_as_it_was(Make::Mysql80.running());
}

#[test]
fn rows_of_other_databases_change_and_go_and_what_lies_aside_stays_on_mysql_5_7() {
    what_lies_aside_stays_as_it_was(Make::Mysql57.running());
}

/// The numbers of the statements from the exchange on that change tables, among all that the program sends.
fn exchanging(case: &Case<'_>, arguments: &[&str]) -> Vec<usize> {
    let sent = sent(&case.machine, arguments);
    let first = sent.iter().position(|(_, line)| line.contains("RENAME TABLE")).expect("tables are moved");
    sent[first..].iter().filter(|(_, line)| ["RENAME", "ALTER "].iter().any(|word| line.contains(word))).map(|(at, _)| *at).collect()
}

const RESTORE: [&str; 3] = ["restore", "ellis", "--yes"];
const UNDO: [&str; 4] = ["restore", "ellis", "--undo", "--yes"];

#[test]
fn a_kill_of_a_restore_or_an_undo_between_statements_leaves_no_key_out_and_none_tied() {
    let server = MariaDb::running();
    let (mut taken_back, mut finished) = (0, 0);
    for is_undo in [false, true] {
        let begun = || {
            let case = Case::new(server);
            if is_undo {
                case.machine.run(&RESTORE).expect(0);
            }
            case
        };
        let what: &[&str] = if is_undo { &UNDO } else { &RESTORE };
        let statements = exchanging(&begun(), what);
        assert!(statements.len() > 2, "{statements:?}");
        // Every other one of a restore from the first on, and those between of an undo.
        for at in statements.into_iter().skip(usize::from(is_undo)).step_by(2) {
            let case = begun();
            let (was, comes) = if is_undo { (&case.old, &case.new) } else { (&case.new, &case.old) };
            let kill = format!("inject=sendto:signal=KILL:when={at}");
            let killed = case.machine.alone_under_strace(&["-e", "trace=sendto", "-e", &kill], what);
            assert_ne!(killed.code, Some(0), "it was killed at {at}");
            let next = case.machine.run(&["snapshot", "ellis"]);
            let is_finished = next.expect(0).stderr.contains("was finished");
            assert_eq!(all(server, &case.base), *if is_finished { comes } else { was }, "after the kill at {at}: {next:#?}");
            case.nothing_aside_is_tied();
            case.keys_hold();
            if is_finished || is_undo {
                case.undo();
                assert_eq!(all(server, &case.base), *if is_finished { was } else { comes }, "after the kill at {at}: {next:#?}");
                case.nothing_aside_is_tied();
                case.keys_hold();
            }
            *(if is_finished { &mut finished } else { &mut taken_back }) += 1;
        }
    }
    assert!(taken_back > 0 && finished > 2, "{taken_back} {finished}");
}

#[test]
fn a_restore_or_an_undo_that_fails_once_tables_have_moved_leaves_no_key_out_and_none_tied() {
    let server = MariaDb::running();
    for is_undo in [false, true] {
        let case = Case::new(server);
        if is_undo {
            case.machine.run(&RESTORE).expect(0);
        }
        let (what, was): (&[&str], _) = if is_undo { (&UNDO, &case.old) } else { (&RESTORE, &case.new) };
        let late = if is_undo { case.machine.client("exit 9\n") } else { case.machine.client_that_fails_late() };
        let real = server.configuration("ellis", &[&case.base]);
        case.machine.configure_again(&format!("{real}{late}"));
        let failed = case.machine.run(what);
        case.machine.configure_again(&real);
        assert!(failed.expect(1).stderr.contains("exit code 9"), "{failed:#?}");
        // What could not be put back because of the same client is settled now.
        let next = case.machine.run(&["snapshot", "ellis"]);
        next.expect(0);
        assert_eq!(all(server, &case.base), *was, "{failed:#?} {next:#?}");
        case.nothing_aside_is_tied();
        case.keys_hold();
        if is_undo {
            case.undo();
            assert_eq!(all(server, &case.base), case.new);
            case.keys_hold();
        }
    }
}

#[test]
fn a_key_that_can_be_made_no_more_is_told_with_the_statement_that_makes_it() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let (base, other) = (&case.base, &case.other);
    case.machine.run(&RESTORE).expect(0);
    server
        .sql(&format!("DROP TABLE {base}.r; SET foreign_key_checks = 0; DROP TABLE {other}.`q ``.`; CREATE TABLE {other}.`q ``.` (a INT)"));
    let undone = case.machine.json(&UNDO, 3);
    let notes = undone["outcome"]["notes"].to_string();
    let makes = format!("ALTER TABLE `{base}`.`r` ADD CONSTRAINT `r_ibfk_1` FOREIGN KEY (`a`, `b`)");
    assert!(notes.contains(&makes) && undone["outcome"]["owed"][0].as_str().unwrap().contains(&makes), "{undone:#}");
    case.is_refused(&format!("INSERT INTO {base}.c VALUES (90, 4711)"));
    case.is_refused(&format!("INSERT INTO {base}.r VALUES (90, 4711, 1, 1)"));
    server.sql(&format!("INSERT INTO {base}.r VALUES (91, 1, 4711, 4711)"));
    // It is not forgotten, and said until it is there.
    for _ in 0..2 {
        assert!(case.machine.run(&["snapshot", "ellis"]).expect(0).stderr.contains(&makes));
        assert!(case.machine.run(&["status"]).expect(7).said().contains(&makes));
    }
    // What takes its place owes nothing, and what goes aside with the key owed has it when it is back.
    case.machine.run(&["restore", "ellis", "--table", "r", "--yes"]).expect(0);
    assert!(!case.machine.run(&["snapshot", "ellis"]).expect(0).stderr.contains(&makes));
    server.sql(&format!("DROP TABLE {other}.`q ``.`; CREATE TABLE {other}.`q ``.` (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO {other}.`q ``.` VALUES (1, 1)"));
    case.undo();
    case.is_refused(&format!("INSERT INTO {base}.r VALUES (92, 1, 4712, 4712)"));
    assert!(!case.machine.run(&["status"]).said().contains(&makes));
}

/// Somebody changes a parent in a long transaction from when the tables have moved: the exchange stands with all that is written to it since, and
/// keys that could not be made or dropped are once the parent is free.
fn a_parent_that_is_held_takes_nothing_back(server: &MariaDb, with_child: bool) {
    for is_undo in [false, true] {
        let case = Case::new(server);
        if is_undo {
            case.machine.run(&RESTORE).expect(0);
        }
        let what: &[&str] = if is_undo { &UNDO } else { &RESTORE };
        let (base, other) = (&case.base, &case.other);
        let configuration = server.configuration("ellis", &[base]);
        // Once is enough: he also holds a child of what moves, in a database that stays.
        let has_child = with_child && !is_undo;
        let mut held = format!("INSERT INTO {other}.p VALUES (77, 77)");
        if has_child {
            server.sql(&format!("CREATE TABLE {other}.k (id INT PRIMARY KEY, CONSTRAINT of_c FOREIGN KEY (id) REFERENCES {base}.c (id))"));
            held += &format!("; SELECT * FROM {other}.k");
        }
        let points_into = || {
            let sql = format!(
                "SELECT referenced_table_schema FROM information_schema.KEY_COLUMN_USAGE WHERE constraint_name = 'of_c' AND table_schema = '{other}'"
            );
            server.ask(None, &sql)
        };
        let holder = std::sync::Mutex::new(None);
        let hold = || {
            *holder.lock().unwrap() = Some(Holder::by(server, other, &held));
            server.sql(&format!("SET foreign_key_checks = 0; INSERT INTO {base}.c VALUES (50, 2)"));
        };
        let between = Between::start(&server.socket, &case.machine.path("between"), "RENAME TABLE", &hold);
        case.machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
        let run = std::thread::scope(|scope| between.serve(scope, || case.machine.run(what)));
        assert!(run.expect(3).stderr.contains("the next command on the source tries again"), "{run:#?}");
        if has_child {
            assert!(run.expect(3).stderr.contains(&format!("does not point to `{base}`.`c` yet: `of_c` of `{other}`.`k`")), "{run:#?}");
            assert!(points_into().contains("_windlass_undo_"), "{run:#?}");
        }
        assert!(case.children().contains("50"), "what was written since is there: {run:#?}");
        case.machine.configure_again(&configuration);
        let next = case.machine.run(&["snapshot", "ellis"]);
        assert!(next.expect(0).stderr.contains("the next command on the source tries again"), "{next:#?}");
        assert!(case.machine.run(&["status"]).expect(7).said().contains("ALTER TABLE"));
        holder.into_inner().unwrap().unwrap().lets_go();
        let next = case.machine.run(&["snapshot", "ellis"]);
        assert!(!next.expect(0).stderr.contains("tries again"), "{next:#?}");
        if has_child {
            assert_eq!(points_into(), *base);
            server.sql(&format!("DROP TABLE {other}.k"));
        }
        case.nothing_aside_is_tied();
        case.keys_hold();
        server.sql(&format!("DELETE FROM {base}.c WHERE id = 50"));
        assert_eq!(all(server, base), *if is_undo { &case.new } else { &case.old });
        case.undo();
        assert_eq!(all(server, base), *if is_undo { &case.old } else { &case.new });
        case.keys_hold();
    }
}

#[test]
fn a_parent_or_a_child_that_is_held_once_tables_have_moved_takes_nothing_back_on_mariadb() {
    a_parent_that_is_held_takes_nothing_back(MariaDb::running(), true);
}

#[test]
fn a_parent_that_is_held_once_tables_have_moved_takes_nothing_back_on_mysql_8() {
    // There a table does not move while somebody holds its child, and who of the two comes first is no test's to say.
    a_parent_that_is_held_takes_nothing_back(Make::Mysql80.running(), false);
}

/// What MariaDB moves no parent of is told before others have waited for long, and nothing has changed.
#[test]
fn a_child_with_rows_that_somebody_changes_ends_a_restore_soon_and_is_named() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let (base, other) = (&case.base, &case.other);
    server.sql(&format!(
        "CREATE TABLE {other}.k (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES {base}.c (id)); INSERT INTO {other}.k VALUES (1)"
    ));
    let holder = Holder::by(server, other, &format!("DELETE FROM {other}.k"));
    let begun = std::time::Instant::now();
    let run = case.machine.run(&RESTORE);
    let took = begun.elapsed();
    assert!(run.expect(1).stderr.contains(&format!("refers to them, and not committed: `{other}`.`k` (")), "{run:#?}");
    assert!(run.stderr.contains(" of root@localhost, open since "), "{run:#?}");
    assert!(took.as_secs() < 40, "InnoDB alone waits for 50 seconds: {took:?}");
    assert_eq!(all(server, base), case.new);
    holder.lets_go();
    case.machine.run(&RESTORE).expect(0);
    case.is_refused(&format!("INSERT INTO {other}.k VALUES (4711)"));
}

#[test]
fn a_copy_under_another_name_keeps_no_row_of_another_database_and_says_which_keys_it_is_without() {
    for server in [MariaDb::running(), Make::Mysql80.running()] {
        let case = Case::new(server);
        let (base, other, look) = (&case.base, &case.other, server.name());
        let plan = case.machine.run(&["restore", "ellis", "--as", &look, "--dry-run"]);
        assert!(plan.expect(0).stdout.contains("error 1451") && plan.stdout.contains(&format!("`{other}`.`p`")), "{plan:#?}");
        let made = case.machine.run(&["restore", "ellis", "--as", &look, "--yes"]);
        assert!(made.expect(0).stderr.contains(&format!("tables of `{look}` are without their foreign keys")), "{made:#?}");
        server.sql(&format!("DROP TABLE {base}.r; DELETE FROM {other}.p"));
        assert_eq!(server.ask(Some(&look), "SELECT GROUP_CONCAT(id ORDER BY id) FROM c"), "1,2");
        let own = server.client().args(["-e", &format!("INSERT INTO {look}.r VALUES (9, 4711, 1, 1)")]).output().unwrap();
        assert!(!own.status.success(), "keys within it are there");
    }
}

#[test]
fn an_undo_that_could_not_make_a_key_again_is_refused_by_its_plan() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let (base, other) = (&case.base, &case.other);
    case.machine.run(&RESTORE).expect(0);
    let rights = format!(
        "GRANT SUPER ON *.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT; GRANT ALL ON {base}.* TO ACCOUNT; \
         GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT"
    );
    let account = server.account("BY SECRET", &rights);
    let folder = tempfile::tempdir().unwrap();
    case.machine.configure_again(&server.over_tcp("ellis", &[base], &account, folder.path()));
    for how in ["--dry-run", "--yes"] {
        let refused = case.machine.run(&["restore", "ellis", "--undo", how]);
        assert!(refused.expect(1).stderr.contains(&format!("GRANT REFERENCES ON `{other}`.`p`")), "{how}: {refused:#?}");
    }
}

#[test]
fn an_account_that_could_not_make_a_key_again_is_told_so_by_the_plan() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let (base, other) = (&case.base, &case.other);
    let rights = format!(
        "GRANT SUPER ON *.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT; GRANT ALL ON {base}.* TO ACCOUNT; \
         GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT"
    );
    let account = server.account("BY SECRET", &rights);
    let folder = tempfile::tempdir().unwrap();
    case.machine.configure_again(&server.over_tcp("ellis", &[base], &account, folder.path()));
    for how in ["--dry-run", "--yes"] {
        let refused = case.machine.run(&["restore", "ellis", how]);
        let said = &refused.expect(1).stderr;
        assert!(said.contains(&format!("GRANT REFERENCES ON `{other}`.`p`")) && said.contains("`q ``.`"), "{refused:#?}");
    }
    assert_eq!(all(server, base), case.new);
    // What it lacks is said, where rights by roles leave open whether it does.
    let role = server.name();
    server.sql(&format!("CREATE ROLE {role}; GRANT {role} TO {account}; REVOKE CREATE ON {base}.* FROM {account}"));
    let refused = case.machine.run(&["restore", "ellis", "--dry-run"]);
    let said = &refused.expect(1).stderr;
    assert!(said.contains(&format!("GRANT CREATE ON `{base}`.*")) && !said.contains("GRANT REFERENCES"), "{refused:#?}");
    server.sql(&format!("REVOKE {role} FROM {account}; GRANT CREATE ON {base}.* TO {account}"));
    server.sql(&format!("GRANT REFERENCES ON {other}.p TO {account}; GRANT REFERENCES ON {other}.`q ``.` TO {account}"));
    case.machine.run(&RESTORE).expect(0);
    case.undo();
    assert_eq!(all(server, base), case.new);
    case.keys_hold();
}
