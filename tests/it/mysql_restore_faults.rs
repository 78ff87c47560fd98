//! What goes wrong in a restore of databases leaves the old state there, or the next command puts it back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::between::Between;
use crate::support::program::{Machine, Run, until};
use crate::support::restored::{killed_after, killed_moved, sent};
use crate::support::servers::mariadb::MariaDb;

/// A database with everything that an exchange has to do with, small enough to be exchanged often.
const SMALL: &str = "
CREATE TABLE parent (id INT PRIMARY KEY, note VARCHAR(20)); CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id));
INSERT INTO parent VALUES (1, 'x'); INSERT INTO child VALUES (1, 1);
CREATE SEQUENCE numbers; CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(numbers), n INT); INSERT INTO numbered (n) VALUES (1);
CREATE TRIGGER noted BEFORE INSERT ON parent FOR EACH ROW SET NEW.note = 'noted';
CREATE VIEW both_of AS SELECT parent.note FROM parent JOIN child ON child.parent = parent.id;
CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR DO SELECT 1; CREATE PROCEDURE one() SELECT 1; CREATE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 2;
";

const CHANGES: &str = "
DROP VIEW both_of; CREATE TABLE both_of (id INT PRIMARY KEY); DROP TABLE child; CREATE VIEW child AS SELECT 1 AS one;
CREATE TABLE more (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id)); INSERT INTO more VALUES (1, 1);
DROP TRIGGER noted; CREATE TRIGGER other AFTER DELETE ON parent FOR EACH ROW DELETE FROM more; UPDATE parent SET note = 'new';
DROP EVENT yearly; DROP PROCEDURE one; CREATE PROCEDURE three() SELECT 3;
";

struct Case<'a> {
    server: &'a MariaDb,
    machine: Machine,
    base: String,
    old: Vec<String>,
    new: Vec<String>,
}

impl<'a> Case<'a> {
    /// A machine with a snapshot of a database that has become another one since.
    fn new(server: &'a MariaDb, content: &str) -> Self {
        let base = server.database();
        server.load(Some(&base), content.as_bytes());
        let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
        machine.run(&["init"]).expect(0);
        machine.run(&["snapshot", "ellis"]).expect(0);
        let old = server.everything(&base);
        server.load(Some(&base), CHANGES.as_bytes());
        let new = server.everything(&base);
        Self { server, machine, base, old, new }
    }

    fn with(self, more: &str) -> Self {
        let machine = self.machine.configured(&format!("{}{more}", self.server.configuration("ellis", &[&self.base])));
        Self { machine, ..self }
    }

    /// A program of the test's own in place of the vendor's client; `"$@"` are the arguments.
    fn with_client(self, script: &str) -> Self {
        let line = self.machine.client(script);
        self.with(&line)
    }

    fn beside(&self) -> Vec<String> {
        let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{}\\_%'", self.base);
        self.server.ask(None, &sql).lines().map(str::to_owned).collect()
    }

    /// A restore that fails leaves what was there, nothing beside it, and no undo.
    fn fails(&self, arguments: &[&str], code: i32, because: &str) -> Run {
        let run = self.machine.run(&[&["restore", "ellis", "--yes"], arguments].concat());
        run.expect(code);
        assert!(run.stderr.contains(because), "{because}: {run:#?}");
        self.check_untouched();
        run
    }

    fn check_untouched(&self) {
        assert_eq!(self.server.everything(&self.base), self.new);
        assert_eq!(self.beside(), Vec::<String>::new());
        self.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(6);
        assert!(!self.machine.path("local/.windlass/restore/ellis/staging").exists());
    }

    fn is_killed_once_tables_have_moved(&self) {
        killed_moved(self.server, &self.machine, &self.server.configuration("ellis", &[&self.base]));
    }

    /// The restore goes well once nothing is in the way.
    fn restores(&self) {
        self.machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(self.server.everything(&self.base), self.old);
    }
}

#[test]
fn what_fails_before_the_exchange_changes_nothing() {
    let server = MariaDb::running();
    let case = Case::new(server, SMALL);
    let refused = case.machine.run(&["restore", "ellis"]);
    assert!(refused.expect(2).stderr.contains("--yes"), "{refused:#?}");
    case.check_untouched();

    let case = case.with("client = [\"no-such-client\"]\n");
    case.fails(&[], 1, "no-such-client");
    let case = case.with_client("exit 7");
    case.fails(&[], 1, "exit code 7");
    // It dies with half of what it was given.
    let case = case.with_client("head -c 900 | mariadb \"$@\" 2>/dev/null; kill -KILL $$");
    case.fails(&[], 1, "signal 9");
    // It takes everything, says that all is well and has done nothing.
    let case = case.with_client("cat >/dev/null");
    case.fails(&[], 1, "did not come");
    let case = case.with("");
    case.restores();
}

#[test]
fn what_fails_in_the_exchange_puts_the_old_state_back() {
    let server = MariaDb::running();
    // The tables come, and then the first definition does not.
    let case = Case::new(server, SMALL);
    let late = case.machine.client_that_fails_late();
    let case = case.with(&late);
    let failed = case.fails(&[], 1, "exit code 9");
    assert!(failed.stderr.contains("the exchange was taken back, and what was live before it is live again"), "{failed:#?}");
    case.with("").restores();
}

#[test]
fn a_restore_waits_for_whoever_holds_a_table_and_a_plan_does_not() {
    let server = MariaDb::running();
    let case = Case::new(server, SMALL);
    let hold = |seconds: u32| {
        let mut holder = server.client();
        holder.args(["-e", &format!("START TRANSACTION; SELECT * FROM {}.parent; SELECT SLEEP({seconds})", case.base)]);
        holder.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let is_held = || server.ask(None, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'SELECT SLEEP(%'") == "1";
    let mut holder = hold(3);
    until("somebody holds a table", is_held);
    let plan = case.machine.json(&["restore", "ellis", "--dry-run"], 0);
    assert!(plan["plan"]["server"].is_object(), "{plan:#}");
    case.restores();
    assert!(holder.wait().unwrap().success());
}

#[test]
fn a_broken_dump_is_told_with_its_line_and_the_head_of_the_statement() {
    let server = MariaDb::running();
    let case = Case::new(server, SMALL);
    let folder = case.machine.path("1388534400");
    fs::create_dir(&folder).unwrap();
    let dump = "CREATE TABLE a (id INT PRIMARY KEY);\n\nINSERT INTO a VALUES (1),(4711, 1);\nCREATE TABLE b (id INT);\n-- Dump completed\n";
    fs::write(folder.join("db_backup.sql"), dump).unwrap();
    let run = case.fails(&["--from", folder.to_str().unwrap()], 1, "line 3");
    assert!(run.stderr.contains("INSERT INTO a") && run.stderr.contains("Column count"), "{run:#?}");
    assert!(!run.stderr.contains("4711"), "rows are nobody's business: {run:#?}");
    case.restores();
}

/// The number of the last statement of each kind that changes something, among all that the program sends in a restore.
fn changing(case: &Case<'_>) -> BTreeSet<usize> {
    let changes = ["GET_LOCK", "CREATE DATABASE", "DROP ", "UNLOCK TABLES", "LOCK TABLES", "RENAME", "ALTER "];
    let mut kinds = BTreeMap::new();
    for (at, line) in sent(&case.machine, &["restore", "ellis", "--yes"]) {
        let Some(change) = changes.iter().find_map(|change| line.find(change)) else { continue };
        // As far as the first name.
        let kind = line[change..].split(['`', '\'']).next().unwrap().to_owned();
        kinds.insert(kind, at);
    }
    assert!(["DROP TRIGGER", "DROP VIEW", "RENAME TABLE"].iter().all(|kind| kinds.keys().any(|key| key.starts_with(kind))), "{kinds:?}");
    kinds.into_values().collect()
}

#[test]
fn a_restore_that_is_killed_after_any_kind_of_statement_is_taken_back_or_finished_by_the_next_command() {
    let server = MariaDb::running();
    let (mut taken_back, mut finished) = (0, 0);
    let statements = changing(&Case::new(server, SMALL));
    assert!(statements.len() > 9, "{statements:?}");
    for at in statements {
        let case = Case::new(server, SMALL);
        let kill = format!("inject=sendto:signal=KILL:when={at}");
        let killed = case.machine.alone_under_strace(&["-e", "trace=sendto", "-e", &kill], &["restore", "ellis", "--yes"]);
        assert_ne!(killed.code, Some(0), "it was killed at {at}");
        // Whatever the kill has left: either the restore never was, or it is undone.
        let next = case.machine.run(&["restore", "ellis", "--undo", "--yes"]);
        next.expect(0);
        let is_finished = !["taken back", "was removed"].iter().any(|how| next.stderr.contains(how));
        *(if is_finished { &mut finished } else { &mut taken_back }) += 1;
        assert_eq!(server.everything(&case.base), case.new, "after the kill at {at}: {next:#?}");
        assert_eq!(case.beside().len(), usize::from(is_finished), "after the kill at {at}: {next:#?}");
    }
    assert!(taken_back > 3 && finished > 0, "{taken_back} {finished}");
}

#[test]
fn triggers_act_in_the_order_in_which_they_did_when_a_kill_between_them_is_taken_back() {
    let server = MariaDb::running();
    let case = || {
        let mut case = Case::new(server, SMALL);
        let trigger = |name: &str, place: &str| {
            format!("CREATE TRIGGER {name} BEFORE INSERT ON parent FOR EACH ROW {place} SET NEW.note = '{name}';")
        };
        let all = [("m", ""), ("z", "FOLLOWS m"), ("a", "FOLLOWS z"), ("f", "PRECEDES m")].map(|(name, place)| trigger(name, place));
        server.load(Some(&case.base), all.concat().as_bytes());
        case.new = server.everything(&case.base);
        case
    };
    let order = |case: &Case<'_>| {
        let order = "event_object_table, action_timing, event_manipulation, action_order, trigger_name";
        let sql = format!("SELECT {order} FROM information_schema.TRIGGERS WHERE trigger_schema = DATABASE() ORDER BY {order}");
        server.ask(Some(&case.base), &sql)
    };
    let drops: Vec<usize> = sent(&case().machine, &["restore", "ellis", "--yes"])
        .into_iter()
        .filter(|(_, line)| line.contains("DROP TRIGGER"))
        .map(|(at, _)| at)
        .collect();
    assert!(drops.len() > 4, "{drops:?}");
    for at in [drops[1], drops[3]] {
        let case = case();
        let before = order(&case);
        let kill = format!("inject=sendto:signal=KILL:when={at}");
        let killed = case.machine.alone_under_strace(&["-e", "trace=sendto", "-e", &kill], &["restore", "ellis", "--yes"]);
        assert_ne!(killed.code, Some(0), "it was killed at {at}");
        let next = case.machine.run(&["restore", "ellis", "--undo", "--yes"]);
        assert!(next.expect(0).stderr.contains("was taken back"), "{next:#?}");
        assert_eq!((server.everything(&case.base), order(&case)), (case.new.clone(), before), "{next:#?}");
    }
}

/// A server that is started again whenever it ends, as a service is.
fn service() -> MariaDb {
    MariaDb::service(&[])
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_load_has_its_old_database_when_it_is_back() {
    let server = service();
    let rows = "CREATE TABLE big (id INT PRIMARY KEY, pad TEXT); INSERT INTO big SELECT seq, REPEAT(MD5(seq), 64) FROM seq_1_to_30000;";
    let case = Case::new(&server, &format!("{SMALL}{rows}"));
    let run = std::thread::scope(|scope| {
        let restore = scope.spawn(|| case.machine.run(&["restore", "ellis", "--yes"]));
        until("rows are loaded", || {
            let sql = format!(
                "SELECT COUNT(*) FROM information_schema.TABLES WHERE table_schema = '{}_windlass_new' AND table_name = 'big'",
                case.base
            );
            server.ask(None, &sql) == "1"
        });
        server.kill();
        restore.join().unwrap()
    });
    assert!(run.expect(1).stderr.contains("line") && run.stderr.contains("nothing that is live was changed"), "{run:#?}");
    server.wait();
    // The server could not be told to remove what was loaded; the next command does.
    assert_eq!(case.beside(), [format!("{}_windlass_new", case.base)]);
    case.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(6);
    case.check_untouched();
    case.restores();
}

#[test]
fn a_server_that_is_killed_in_the_exchange_has_the_old_or_the_new_state_after_the_next_command() {
    let server = service();
    // Once the tables have moved, somebody may have written to the new ones: then it is finished, and undone by the command. What is only
    // tried before the exchange is written otherwise.
    for (statement, has_moved) in [("DROP TRIGGER", false), ("CREATE DEFINER=", true)] {
        let case = Case::new(&server, SMALL);
        let real = case.server.configuration("ellis", &[&case.base]);
        let die = || server.kill();
        let between = Between::start(&server.socket, &case.machine.path("between"), statement, &die);
        case.machine.configure_again(&real.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
        let run = std::thread::scope(|scope| between.serve(scope, || case.machine.run(&["restore", "ellis", "--yes"])));
        run.expect(1);
        server.wait();
        case.machine.configure_again(&real);
        // A server that is back soon enough has the old state already.
        let is_settled = !run.stderr.contains("the next command has to settle");
        let status = case.machine.run(&["status"]);
        assert_eq!(status.expect(7).said().contains("was broken off"), !is_settled, "{status:#?}");
        let next = case.machine.run(&["restore", "ellis", "--undo", "--yes"]);
        next.expect(if is_settled { 6 } else { 0 });
        assert_eq!(server.everything(&case.base), case.new, "{statement}: {next:#?}");
        assert_eq!(case.beside().len(), usize::from(has_moved && !is_settled));
        case.restores();
    }
}

#[test]
fn a_definition_that_somebody_drops_before_the_exchange_is_not_made_again() {
    let server = MariaDb::running();
    let case = Case::new(server, SMALL);
    let real = server.configuration("ellis", &[&case.base]);
    let drop = || server.sql(&format!("DROP PROCEDURE {}.three", case.base));
    let between = Between::start(&server.socket, &case.machine.path("between"), "LOCK TABLES `", &drop);
    case.machine.configure_again(&real.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    let run = std::thread::scope(|scope| between.serve(scope, || case.machine.run(&["restore", "ellis", "--yes"])));
    assert!(run.expect(1).stderr.contains("`three` was made, changed or removed"), "{run:#?}");
    assert!(run.stderr.contains("nothing was changed"), "{run:#?}");
    let routines = format!("SELECT routine_name FROM information_schema.ROUTINES WHERE routine_schema = '{}'", case.base);
    assert_eq!(server.ask(None, &routines), "two");
    assert_eq!(case.beside(), [""; 0]);
    case.machine.configure_again(&real);
    case.restores();
}

#[test]
fn what_was_written_after_a_kill_to_tables_that_had_come_is_not_lost() {
    let server = service();
    let case = Case::new(&server, SMALL);
    case.is_killed_once_tables_have_moved();
    server.sql(&format!("INSERT INTO {}.parent VALUES (99, 'since')", case.base));
    let next = case.machine.run(&["snapshot", "ellis"]);
    assert!(next.expect(0).stderr.contains("was finished"), "{next:#?}");
    assert_eq!(server.ask(Some(&case.base), "SELECT COUNT(*) FROM parent WHERE id = 99"), "1");
    assert_eq!(server.ask(Some(&case.base), "SELECT COUNT(*) FROM both_of"), "1");
}

#[test]
fn what_others_did_to_tables_that_had_come_before_a_kill_is_settled_is_kept() {
    let server = MariaDb::running();
    let made = ["what somebody has made since"].as_slice();
    for (what, rows_in, told) in [
        ("CREATE TABLE BASE.more (id INT)", "parent", &[][..]),
        ("CREATE VIEW BASE.mine AS SELECT 1", "parent", made),
        ("DROP TABLE BASE.numbered", "parent", &["`numbered`"]),
        // With a view on it, and with a trigger and the view.
        ("DROP TABLE BASE.child", "parent", &["stays so: ", "`child`", "was not made", "`both_of`"]),
        ("RENAME TABLE BASE.parent TO BASE.parents", "parents", &["stays so: ", "`parent`", "was not made", "`noted`", "`both_of`"]),
    ] {
        let case = Case::new(server, SMALL);
        case.is_killed_once_tables_have_moved();
        server.sql(&format!("INSERT INTO {}.parent VALUES (99, 'since')", case.base));
        server.sql(&what.replace("BASE", &case.base));
        let next = case.machine.run(&["snapshot", "ellis"]);
        assert!(next.expect(0).stderr.contains("was finished"), "{what}: {next:#?}");
        assert!(told.iter().all(|word| next.stderr.contains(word)), "{what}: {next:#?}");
        assert_eq!(server.ask(Some(&case.base), &format!("SELECT COUNT(*) FROM {rows_in} WHERE id = 99")), "1", "{what}");
        assert_eq!(server.ask(Some(&case.base), "SELECT two()"), "2", "{what}: what stands on nothing that is gone is there");
        case.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(server.everything(&case.base), case.new, "{what}");
    }
}

#[test]
fn a_table_of_the_old_state_that_somebody_drops_before_a_kill_is_settled_takes_nothing_back() {
    let server = MariaDb::running();
    let case = Case::new(server, SMALL);
    case.is_killed_once_tables_have_moved();
    let aside = case.beside().into_iter().find(|name| name.contains("_windlass_undo_")).unwrap();
    server.sql(&format!("DROP TABLE {aside}.numbered"));
    let next = case.machine.run(&["snapshot", "ellis"]);
    assert!(next.expect(0).stderr.contains("was finished"), "{next:#?}");
    assert_eq!(server.everything(&case.base), case.old);
}

#[test]
fn definitions_that_an_undo_could_not_make_for_want_of_a_table_stay_in_their_file() {
    let server = MariaDb::running();
    let case = Case::new(server, SMALL);
    case.restores();
    killed_after(
        server,
        &case.machine,
        &server.configuration("ellis", &[&case.base]),
        "RENAME TABLE ",
        &["restore", "ellis", "--undo", "--yes"],
    );
    server.sql(&format!("SET foreign_key_checks = 0; DROP TABLE {}.parent", case.base));
    let next = case.machine.run(&["snapshot", "ellis"]);
    assert!(next.expect(0).stderr.contains("was finished"), "{next:#?}");
    let file = next.stderr.split_once("the definitions that were not made are in ").unwrap().1.split(", which stays").next().unwrap();
    assert!(fs::read_to_string(file).unwrap().contains("AFTER DELETE ON"), "{next:#?}");
    case.machine.run(&["snapshot", "ellis"]).expect(0);
    assert!(fs::exists(file).unwrap());
}

#[test]
fn a_broken_off_restore_is_settled_on_the_server_where_it_was_begun_and_on_no_other() {
    let (server, other) = (MariaDb::running(), MariaDb::start(&[]));
    let case = Case::new(server, SMALL);
    other.sql(&format!("CREATE DATABASE {0}; CREATE TABLE {0}.child (id INT)", case.base));
    case.is_killed_once_tables_have_moved();
    case.machine.configure_again(&other.configuration("ellis", &[&case.base]));
    let refused = case.machine.run(&["snapshot", "ellis"]);
    assert!(refused.expect(1).stderr.contains("a restore was begun on the server"), "{refused:#?}");
    assert_eq!(other.ask(None, &format!("SHOW TABLES IN {}", case.base)), "child");
    case.machine.configure_again(&server.configuration("ellis", &[&case.base]));
    case.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&case.base), case.new);
}

/// What the client does when it is used for the so-many-th time: the journal of the exchange cannot be written any more, as on a full disk.
fn with_a_full_disk(case: Case<'_>, at: u32) -> (Case<'_>, impl Fn()) {
    let path = case.machine.path("local/.windlass/restore/ellis/exchange.json").display().to_string();
    let script = format!("echo >>COUNT; [ \"$(wc -l <COUNT)\" = {at} ] && mv {path} {path}.kept && mkdir {path}; exec mariadb \"$@\"",);
    let script = script.replace("COUNT", &case.machine.path("count").display().to_string());
    let has_room = move || {
        fs::remove_dir(&path).unwrap();
        fs::rename(format!("{path}.kept"), &path).unwrap();
    };
    (case.with_client(&script), has_room)
}

#[test]
fn a_journal_that_cannot_be_written_hides_neither_that_nothing_was_changed_nor_that_all_has_come() {
    let server = MariaDb::running();
    let (case, has_room) = with_a_full_disk(Case::new(server, SMALL), 1);
    let failed = case.machine.run(&["restore", "ellis", "--yes"]);
    assert!(failed.expect(1).stderr.contains("exchange.json"), "{failed:#?}");
    assert!(failed.stderr.contains("nothing that is live was changed"), "{failed:#?}");
    assert_eq!(server.everything(&case.base), case.new);
    has_room();
    let next = case.machine.run(&["restore", "ellis", "--undo", "--yes"]);
    assert!(next.expect(0).stderr.contains("had changed nothing"), "{next:#?}");
    case.with("").restores();

    let (case, has_room) = with_a_full_disk(Case::new(server, SMALL), 2);
    let restored = case.machine.run(&["restore", "ellis", "--yes"]);
    assert!(restored.expect(0).stderr.contains("has come through, and that cannot be written down"), "{restored:#?}");
    assert!(restored.said().contains("_windlass_undo_"), "where the old state lies is told: {restored:#?}");
    assert_eq!(server.everything(&case.base), case.old);
    // What people make until the next command comes stays, also under names that were live before the restore.
    let mine = "CREATE PROCEDURE three() SELECT 33; CREATE OR REPLACE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 22; \
         CREATE OR REPLACE VIEW both_of AS SELECT 1 AS mine";
    server.load(Some(&case.base), mine.as_bytes());
    let with_mine = server.everything(&case.base);
    has_room();
    let next = case.machine.run(&["snapshot", "ellis"]);
    assert!(next.expect(0).stderr.contains("was finished"), "{next:#?}");
    assert_eq!(server.everything(&case.base), with_mine);
    case.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&case.base), case.new);
}
