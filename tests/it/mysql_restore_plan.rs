//! What the plan of a restore says of size and time; and a disk of the node that is too small for the dumps, or fills while they are fetched.

use std::fs;
use std::time::Instant;

use crate::support::program::{Machine, Run};
use crate::support::restored::{Holder, count, prepared};
use crate::support::servers::mariadb::MariaDb;

/// What is taken for a server's speed before any restore was measured, in bytes per second.
const GUESS: u64 = 14 << 20;

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "ellis"]).expect(0);
    machine
}

#[test]
fn the_plan_tells_how_much_comes_and_how_long_it_takes_at_the_rate_of_the_restore_before() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(
        Some(&base),
        b"CREATE TABLE big (id INT PRIMARY KEY, pad TEXT); INSERT INTO big SELECT seq, REPEAT(MD5(seq), 64) FROM seq_1_to_21000; ANALYZE TABLE big;",
    );
    let machine = machine(&server.configuration("ellis", &[&base]));
    let row = machine.json(&["list"], 0)["snapshots"][0].clone();
    let bytes = row["bytes"].as_u64().unwrap();
    let dump = machine.path(format!("local/ellis/{}/data/{base}/db_backup.sql", row["id"].as_str().unwrap()));
    assert!(bytes > 2 * GUESS && bytes == fs::metadata(dump).unwrap().len(), "{row:#}");
    let plan = |more: &[&str]| machine.json(&[&["restore", "ellis", "--dry-run"], more].concat(), 0)["plan"].clone();

    let first = plan(&[]);
    assert_eq!((&first["files"], &first["bytes"]), (&1.into(), &bytes.into()), "{first:#}");
    assert_eq!(first["estimate_seconds"], bytes.div_ceil(GUESS), "by a cautious guess: {first:#}");
    assert_eq!(first["download_bytes"], 0, "the copy is here: {first:#}");
    assert!(first["free_bytes"].as_u64().unwrap() > 0 && first["server"]["free_bytes"].as_u64().unwrap() > 0, "{first:#}");
    let there = &first["server"]["databases"][0];
    assert!(there["tables"] == 1 && there["bytes"].as_u64().unwrap() > 30 << 20, "{there:#}");
    let far = plan(&["--from", "repository"]);
    let download = far["download_bytes"].as_u64().unwrap();
    assert!(download > 0 && download <= row["stored_bytes"].as_u64().unwrap(), "{far:#} of {row:#}");
    let said = machine.run(&["restore", "ellis", "--dry-run"]);
    for line in ["files      1, 4", "download   at most 0 ", "there now  `", "time       about 3 s"] {
        assert!(said.expect(0).stdout.contains(line), "{line}: {said:#?}");
    }
    assert!(!said.stdout.contains("connected  "), "{said:#?}");
    let holder = Holder::by(server, &base, &format!("USE {base}; SELECT id FROM big LIMIT 1"));
    let sessions = plan(&[])["server"]["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions:#}");
    assert_eq!([&sessions[0]["user"], &sessions[0]["host"], &sessions[0]["database"]], ["root", "localhost", &base], "{sessions:#}");
    assert!(sessions[0]["count"] == 1 && sessions[0]["longest_seconds"].is_u64(), "{sessions:#}");
    let said = machine.run(&["restore", "ellis", "--dry-run"]);
    assert!(said.expect(0).stdout.contains(&format!("connected  root from localhost to `{base}`: 1 session")), "{said:#?}");
    holder.lets_go();

    let begun = Instant::now();
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let slowest = bytes as f64 / begun.elapsed().as_secs_f64();
    let rate = machine.path("local/.windlass/restore-rate-databases.json");
    let measured = serde_json::from_slice::<serde_json::Value>(&fs::read(&rate).unwrap()).unwrap()["bytes_per_second"].as_u64().unwrap();
    assert!(measured as f64 >= slowest && measured < 100 * GUESS, "{measured} and {slowest}");
    assert_eq!(plan(&[])["estimate_seconds"], bytes.div_ceil(measured));
    fs::write(&rate, "{\"bytes_per_second\":1000000}").unwrap();
    assert_eq!(plan(&[])["estimate_seconds"], bytes.div_ceil(1_000_000));
    // What cannot be read is no rate.
    fs::write(&rate, "{\"bytes_per_second\":0}").unwrap();
    assert_eq!(plan(&[])["estimate_seconds"], bytes.div_ceil(GUESS));
}

/// A database that was shipped and is another one since, on a machine whose local copy is gone: dumps come from the repository.
struct Case {
    machine: Machine,
    base: String,
    configuration: String,
    old: Vec<String>,
    new: Vec<String>,
}

impl Case {
    fn new(server: &MariaDb) -> Self {
        let base = server.database();
        // Nine megabytes that do not get smaller, and more than eighteen in hexadecimal digits.
        server.load(
            Some(&base),
            b"CREATE TABLE big (id INT PRIMARY KEY, bytes LONGBLOB); INSERT INTO big SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_9000;",
        );
        let configuration = server.configuration("ellis", &[&base]);
        let machine = machine(&configuration);
        let old = server.everything(&base);
        server.sql(&format!("DELETE FROM {base}.big WHERE id > 10; CREATE TABLE {base}.later (id INT)"));
        let new = server.everything(&base);
        fs::remove_dir_all(machine.path("local/ellis")).unwrap();
        Self { machine, base, configuration, old, new }
    }

    /// Runs a script that finds the node's folder on a small disk of its own.
    fn on_a_disk_of(&self, size: &str, script: &str) -> Run {
        self.machine.on_a_disk_of(size, "local", script)
    }

    fn check_untouched(&self, server: &MariaDb) {
        assert_eq!(server.everything(&self.base), self.new);
        assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{}%'", self.base)), self.base);
    }

    fn restores(&self, server: &MariaDb) {
        self.machine.configure_again(&self.configuration);
        self.machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(server.everything(&self.base), self.old);
    }
}

#[test]
fn a_disk_that_is_too_small_for_the_dumps_is_told_in_the_plan_and_refused_before_anything_is_fetched() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let run = case.on_a_disk_of(
        "12m",
        "windlass restore ellis --dry-run || exit 9; windlass restore ellis --yes; code=$?; find local/.windlass/restore -type f; exit $code",
    );
    assert!(run.expect(1).stdout.contains("they may not fit"), "{run:#?}");
    assert!(run.stderr.contains("are free; nothing was changed"), "{run:#?}");
    assert!(!run.stdout.lines().any(|line| line.starts_with("local/")), "nothing is left: {run:#?}");
    case.check_untouched(server);
    case.restores(server);
}

#[test]
fn a_disk_that_fills_while_a_dump_is_fetched_is_told_and_changes_nothing() {
    let server = MariaDb::running();
    let case = Case::new(server);
    // Slow enough that somebody else can fill the disk meanwhile.
    let url = format!("url = \"file://{}\"\ndownload_limit = \"2MiB/s\"", case.machine.path("bucket").display());
    case.machine.configure(&url, &case.configuration);
    let run = case.on_a_disk_of(
        "32m",
        "windlass restore ellis --yes & restore=$!
         until [ -e local/.windlass/restore/ellis/staging/*/db_backup.sql ] || ! kill -0 $restore; do sleep 0.01; done
         cat /dev/zero >local/filler; wait $restore; code=$?
         rm local/filler; find local/.windlass/restore local/.windlass/work -type f
         windlass restore ellis --undo --yes; echo undo: $?; exit $code",
    );
    assert!(run.expect(1).stderr.matches("No space left on device").count() >= 2, "the filler's and the program's: {run:#?}");
    assert_eq!(run.stdout.trim(), "undo: 6", "nothing is left, and there is nothing to undo: {run:#?}");
    case.check_untouched(server);
    case.restores(server);
}

#[test]
fn a_live_table_that_the_server_cannot_open_is_named_before_anything_is_loaded() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let folder = std::path::PathBuf::from(server.ask(None, "SELECT @@datadir")).join(&base);
    // What is left of a table whose rows are gone.
    fs::copy(folder.join("t.frm"), folder.join("lost.frm")).unwrap();
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    for arguments in [&["--dry-run"][..], &["--yes"], &["--table", "t", "--yes"]] {
        let refused = machine.run(&[&["restore", "ellis"], arguments].concat());
        let way_out = format!("the server cannot open `{base}`.`lost`");
        assert!(refused.expect(1).stderr.contains(&way_out) && refused.stderr.contains("nothing was changed"), "{refused:#?}");
        assert!(refused.stderr.contains(&format!("(DROP TABLE `{base}`.`lost`)")), "{refused:#?}");
    }
    assert_eq!(count(server, &base), "2");
    server.sql(&format!("DROP TABLE `{base}`.`lost`"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(count(server, &base), "1");
}
