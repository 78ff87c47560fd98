//! What goes wrong while a Cassandra node is restored with the node stopped: the old rows are there, or the new ones, and it is said.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cassandra::configuration;
use crate::cassandra_restore_stopped::Bench;
use crate::support::program::Run;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// What the keyspace held when it was backed up, and what it holds since.
struct Changed {
    bench: Bench,
    then: Vec<String>,
    now: Vec<String>,
}

impl Changed {
    fn new(version: Version) -> Self {
        Self::of(Bench::small(version), &["DELETE FROM small.t WHERE id = 2", "INSERT INTO small.t (id, v) VALUES (3, 'since')"])
    }

    fn of(bench: Bench, statements: &[&str]) -> Self {
        let then = bench.dump("small");
        bench.backup();
        bench.run(statements);
        let now = bench.dump("small");
        assert_ne!(then, now);
        Self { bench, then, now }
    }

    fn is_as_now(&self) {
        assert_eq!(self.bench.dump("small"), self.now);
    }

    fn is_as_then(&self) {
        assert_eq!(self.bench.dump("small"), self.then);
    }

    /// A restore that is refused or fails before the node is touched: it goes on running, with its rows, and nothing is left beside them.
    fn is_left_alone(&self, run: &Run, code: i32, because: &str) {
        run.expect(code);
        assert!(run.stderr.contains(because), "{because}: {run:#?}");
        self.is_as_now();
        assert_eq!(self.bench.ours(), Vec::<PathBuf>::new());
    }

    fn folders(&self, table: &str) -> Vec<PathBuf> {
        self.bench.server.folders_of("small", table)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_disk_that_fills_while_files_come_and_a_stop_command_that_stops_nothing_leave_the_node_alone() {
    let changed = Changed::new(Version::V41);
    let bench = &changed.bench;
    // The disk fills while files are put together: nothing was stopped by then, and nothing is left.
    let ours = bench.server.home.join("data/.windlass");
    let script = format!("windlass restore homestead --yes; code=$?; find {} local/.windlass/restore -type f; exit $code", ours.display());
    let run = bench.machine.on_a_disk_of("16k", ours.to_str().unwrap(), &script);
    changed.is_left_alone(&run, 1, "No space left on device");
    assert_eq!(run.stdout, "", "{run:#?}");
    let before = files_below(&bench.server.home.join("data/small"));
    bench.configure("small", &words(&["true"]), &bench.server.command("start"));
    let run = bench.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("the `stop` command ended well, and"), "{run:#?}");
    assert!(run.stderr.contains("no file was moved") && run.stderr.contains("stop and start it by hand"), "{run:#?}");
    let after = files_below(&bench.server.home.join("data/small"));
    assert!(before.iter().all(|file| after.contains(file)), "what the drain has written has come, and nothing has gone");
    // Until somebody has started it anew, the next command says what is the matter.
    let run = bench.machine.run(&["snapshot", "homestead"]);
    run.expect(1);
    assert!(run.stderr.contains("is not settled"), "{run:#?}");
    bench.server.restart();
    let run = bench.machine.run(&["snapshot", "homestead"]);
    run.expect(0);
    assert!(run.stderr.contains("was taken back"), "{run:#?}");
    changed.is_as_now();
    assert_eq!(bench.ours(), Vec::<PathBuf>::new());
}

#[test]
fn a_node_that_does_not_start_with_the_new_files_gets_the_old_ones_back() {
    let changed = Changed::new(Version::V50);
    let bench = &changed.bench;
    // It fails once: with the files of the snapshot.
    let mark = bench.machine.path("failed");
    let start = bench.server.command("start").remove(0);
    let script = format!("[ -e {0} ] && exec {start}; touch {0}; echo 'no memory for the heap' >&2; exit 7", mark.display());
    let script = bench.machine.script("start.sh", &script);
    bench.configure("small", &bench.server.command("stop"), &words(&[script.to_str().unwrap()]));
    let run = bench.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("exit code 7; it said: no memory for the heap"), "{run:#?}");
    assert!(run.stderr.contains("was put back, and the node runs with it"), "{run:#?}");
    changed.is_as_now();
    assert_eq!(bench.ours(), Vec::<PathBuf>::new());
    bench.restore(&[]).expect(0);
    changed.is_as_then();
    // The same with an undo: what was restored stays.
    fs::remove_file(&mark).unwrap();
    let run = bench.restore(&["--undo"]);
    run.expect(1);
    assert!(run.stderr.contains("was put back, and the node runs with it"), "{run:#?}");
    changed.is_as_then();
    bench.restore(&["--undo"]).expect(0);
    changed.is_as_now();
}

#[test]
fn files_that_the_node_cannot_read_are_found_by_the_check_and_the_old_ones_come_back() {
    let bench = Bench::small(Version::V50);
    bench.server.nodetool(&["flush", "small"]);
    let live = &bench.server.folders_of("small", "t")[0];
    let data = fs::read_dir(live).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.to_str().unwrap().ends_with("-Data.db"));
    let data = data.unwrap();
    let mut bytes = fs::read(&data).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&data, bytes).unwrap();
    // A backup of a damaged file is one with a problem.
    bench.machine.run(&["backup", "homestead"]).expect(3);
    bench.run(&["TRUNCATE small.t", "INSERT INTO small.t (id, v) VALUES (5, 'now')"]);
    let now = bench.dump("small");
    let run = bench.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("small.t") && run.stderr.contains("was put back"), "{run:#?}");
    assert_eq!(bench.dump("small"), now);
    // Clients may have written to the files of the snapshot until the check has failed.
    let kept = bench.ours();
    assert!(kept.len() == 1 && kept[0].to_str().unwrap().ends_with(".written"), "{kept:?}");
    assert!(run.stderr.contains(kept[0].to_str().unwrap()), "{run:#?}");
}

#[test]
fn what_was_written_since_a_kill_stays_whatever_the_check_says() {
    let changed = Changed::new(Version::V50);
    let bench = &changed.bench;
    // The program is killed when it starts the node with the files of the snapshot, and the machine starts the node later.
    let mark = bench.machine.path("killed");
    let start = bench.server.command("start").remove(0);
    let script = format!("[ -e {0} ] && exec {start}; touch {0}; kill -9 $PPID", mark.display());
    let script = bench.machine.script("start.sh", &script);
    bench.configure("small", &bench.server.command("stop"), &words(&[script.to_str().unwrap()]));
    let run = bench.restore(&[]);
    assert!(run.code != Some(0) && mark.exists(), "{run:#?}");
    bench.server.start();
    changed.is_as_then();
    bench.run(&["INSERT INTO small.t (id, v) VALUES (8, 'acknowledged since')", "DROP TABLE small.u"]);
    let run = bench.machine.run(&["snapshot", "homestead"]);
    run.expect(0);
    assert!(run.stderr.contains("no table small.u") && run.stderr.contains("was finished"), "{run:#?}");
    let found = bench.dump("small");
    assert!(found.iter().any(|line| line.contains("acknowledged since")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("deleted since")), "what was restored stays: {found:?}");
    let listed = bench.machine.json(&["list"], 0);
    assert_eq!(listed["undo"].as_array().map(Vec::len), Some(1), "{listed:#}");
}

#[test]
fn a_copy_that_fails_midway_or_is_damaged_everywhere_touches_nothing() {
    let changed = Changed::new(Version::V50);
    let (bench, pid) = (&changed.bench, changed.bench.server.pid());
    // The disk is full when some of it is there.
    let full = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=3+"];
    let run = bench.machine.under_strace(&full, &["restore", "homestead", "--yes"]);
    changed.is_left_alone(&run, 1, "No space left on device");
    assert_eq!(bench.server.pid(), pid);
    for file in files_below(&bench.machine.path("bucket")).into_iter().filter(|path| path.to_str().unwrap().ends_with(".tar.zst")) {
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    for file in files_below(&bench.machine.path("local/homestead")).into_iter().filter(|path| path.to_str().unwrap().contains("-Index.db"))
    {
        fs::remove_file(&file).unwrap();
        fs::write(&file, "no index").unwrap();
    }
    for folder in ["t", "u"].into_iter().flat_map(|table| changed.folders(table)) {
        for path in files_below(&folder).into_iter().filter(|path| path.to_str().unwrap().contains("-Index.db")) {
            assert!(fs::metadata(path).unwrap().len() > 0, "the node's own are other files now");
        }
    }
    bench.run(&["TRUNCATE small.t"]);
    bench.server.nodetool(&["clearsnapshot", "--all"]);
    let run = bench.restore(&[]);
    run.expect(4);
    assert!(run.stderr.contains("damaged"), "{run:#?}");
    assert_eq!(bench.server.pid(), pid, "the node was not even stopped");
    assert_eq!(bench.ours(), Vec::<PathBuf>::new());
}

#[test]
fn a_node_that_is_down_and_cannot_be_started_is_refused_or_restored_undrained() {
    let changed = Changed::new(Version::V50);
    let bench = &changed.bench;
    bench.run(&["CREATE TABLE other.t (id int PRIMARY KEY, v text)", "INSERT INTO other.t (id, v) VALUES (1, 'only in the commit log')"]);
    let other = bench.dump("other");
    // The commit log is written out every ten seconds; what is to be lost or kept is to be on the disk.
    bench.server.nodetool(&["flush", "system_schema"]);
    std::thread::sleep(std::time::Duration::from_secs(11));
    bench.server.kill();
    bench.configure("small", &bench.server.command("stop"), &words(&["false"]));
    let run = bench.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("--undrained") && run.stderr.contains("exit code 1"), "{run:#?}");
    assert!(bench.server.pid().is_none());
    // Neither when that fails nor when it is killed is the node more broken than before.
    let run = bench.restore(&["--undrained"]);
    run.expect(1);
    assert!(run.stderr.contains("the node is left down, as it was before"), "{run:#?}");
    assert_eq!(bench.ours(), Vec::<PathBuf>::new());
    let script = bench.machine.script("start.sh", "kill -9 $PPID");
    bench.configure("small", &bench.server.command("stop"), &words(&[script.to_str().unwrap()]));
    assert_ne!(bench.restore(&["--undrained"]).code, Some(0));
    bench.configure("small", &bench.server.command("stop"), &words(&["false"]));
    let run = bench.machine.run(&["snapshot", "homestead"]);
    run.expect(1);
    assert!(run.stderr.contains("was taken back: its files are those that it had before, and the node is left down"), "{run:#?}");
    assert!(bench.ours().iter().all(|place| place.to_str().unwrap().ends_with(".written")), "{:?}", bench.ours());
    bench.configure("small", &bench.server.command("stop"), &bench.server.command("start"));
    let plan = bench.plan(&["--undrained"]);
    let warned = plan["warnings"].to_string();
    assert!(warned.contains("of every other keyspace of the node"), "{plan:#}");
    bench.restore(&["--undrained"]).expect(0);
    changed.is_as_then();
    assert_eq!(bench.dump("other"), ["table t"], "as the plan said");
    // An undo at which the node does not start: the commit log that came back with it goes aside again, and is not read into what was restored.
    let mark = bench.machine.path("failed");
    let start = bench.server.command("start").remove(0);
    let script = bench.machine.script("start-later.sh", &format!("[ -e {0} ] && exec {start}; touch {0}; exit 7", mark.display()));
    bench.configure("small", &bench.server.command("stop"), &words(&[script.to_str().unwrap()]));
    let run = bench.restore(&["--undo"]);
    run.expect(1);
    assert!(run.stderr.contains("was put back, and the node runs with it"), "{run:#?}");
    changed.is_as_then();
    assert_eq!(bench.dump("other"), ["table t"]);
    bench.restore(&["--undo"]).expect(0);
    changed.is_as_now();
    assert_eq!(bench.dump("other"), other, "the commit log came back with the rest");
}

#[test]
fn a_data_directory_that_is_not_the_node_s_is_refused() {
    let changed = Changed::new(Version::V50);
    let bench = &changed.bench;
    let pid = bench.server.pid();
    let yaml = fs::read_to_string(bench.server.config_file()).unwrap();
    let data = bench.server.home.join("data").display().to_string();
    let elsewhere = bench.machine.path("cassandra.yaml");
    let config = fs::read_to_string(bench.machine.path("windlass.toml")).unwrap();
    let wrong = config.replace(&bench.server.config_file().display().to_string(), &elsewhere.display().to_string());
    for (folder, because) in [("empty", "no folder"), ("absent", "is not there")] {
        let place = bench.machine.path(folder);
        if folder == "empty" {
            fs::create_dir(&place).unwrap();
        }
        fs::write(&elsewhere, yaml.replace(&data, &place.display().to_string())).unwrap();
        fs::write(bench.machine.path("windlass.toml"), &wrong).unwrap();
        let run = bench.restore(&[]);
        run.expect(1);
        assert!(run.stderr.contains(because) && run.stderr.contains(place.to_str().unwrap()), "{run:#?}");
        assert!(folder == "absent" || fs::read_dir(&place).unwrap().count() == 0);
    }
    fs::write(bench.machine.path("windlass.toml"), config).unwrap();
    is_not_guessed(bench, &yaml);
    assert_eq!(bench.server.pid(), pid);
    changed.is_as_now();
}

/// Where the node keeps what goes with its tables is asked for where its file does not say it, and not taken for what packages have.
fn is_not_guessed(bench: &Bench, yaml: &str) {
    let file = bench.server.config_file();
    for key in ["commitlog_directory", "hints_directory", "saved_caches_directory", "cdc_raw_directory"] {
        fs::write(&file, yaml.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let real = bench.server.home.join(key.trim_end_matches("_directory"));
        let run = bench.machine.run(&["restore", "homestead", "--dry-run"]);
        assert!(run.expect(1).stderr.contains(&format!("{key}: {}", real.display())), "{run:#?}");
    }
    fs::write(&file, yaml).unwrap();
}

#[test]
fn a_node_that_its_package_has_started_and_nobody_has_used_is_told_what_to_do() {
    let bench = Bench::small(Version::V50);
    bench.backup();
    // As the packages do it: with tokens of its own, and nothing of anybody's.
    let other = Cassandra::start_new(&Spec::new(Version::V50));
    let config = fs::read_to_string(bench.machine.path("windlass.toml")).unwrap();
    let config = config.replace(&bench.server.home.display().to_string(), &other.home.display().to_string());
    let config = config.replace(&bench.server.cql_address().to_string(), &other.cql_address().to_string());
    let config = config.replace(&bench.server.jmx_address().to_string(), &other.jmx_address().to_string());
    fs::write(bench.machine.path("windlass.toml"), config).unwrap();
    let (pid, yaml) = (other.pid(), fs::read(other.config_file()).unwrap());
    let run = bench.restore(&[]);
    run.expect(1);
    assert!(run.stderr.contains("it has other tokens") && run.stderr.contains("Nothing was changed"), "{run:#?}");
    for folder in ["data", "commitlog", "hints", "saved_caches", "cdc_raw"] {
        assert!(run.stderr.contains(other.home.join(folder).to_str().unwrap()), "{folder}: {run:#?}");
    }
    assert_eq!((other.pid(), fs::read(other.config_file()).unwrap()), (pid, yaml));
    assert!(other.cql().tables("small").is_empty());
    drop(other);
    a_living_cluster_that_knows_the_tokens_is_not_joined(&bench);
}

/// The node of the snapshot runs still, and is the seed of a new one that is to become it: started, that one would take its ranges from it.
fn a_living_cluster_that_knows_the_tokens_is_not_joined(bench: &Bench) {
    let (old, new) = (&bench.server, Cassandra::prepare(&Spec::new(Version::V50)));
    let yaml = |of: &Cassandra| fs::read_to_string(of.config_file()).unwrap();
    let value = |of: &Cassandra, key: &str| yaml(of).lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    let seed = format!("{}:{}", value(old, "listen_address:"), value(old, "storage_port:"));
    let own = value(&new, "listen_address:");
    let changed = yaml(&new).replace(&format!("seeds: '{own}'"), &format!("seeds: '{own}, {seed}'"));
    assert!(changed.contains(&seed));
    fs::write(new.config_file(), &changed).unwrap();
    let refused = |port: u16, because: &str| {
        let more = format!("stop = [\"true\"]\nstart = [\"true\"]\ncql = \"{own}:{port}\"\n");
        let section = configuration(&new, "homestead", &["small"]).replace(&format!("cql = \"{}\"\n", new.cql_address()), "") + &more;
        bench.machine.configure_again(&section);
        let run = bench.restore(&[]);
        run.expect(1);
        assert!(run.stderr.contains(because), "{run:#?}");
        assert_eq!(yaml(&new), changed);
    };
    // It is asked where this node takes CQL.
    refused(new.cql_address().port(), "could not be asked");
    refused(old.cql_address().port(), &format!("-Dcassandra.replace_address_first_boot={}", old.cql_address().ip()));
}

#[test]
fn a_stop_or_a_start_that_is_no_program_is_told_before_the_node_is_touched() {
    let bench = Bench::small(Version::V50);
    bench.backup();
    let (now, pid) = (bench.dump("small"), bench.server.pid());
    let none = || vec!["/nowhere/stop".to_owned()];
    for (what, stop, start) in [("stop", none(), bench.server.command("start")), ("start", bench.server.command("stop"), none())] {
        bench.configure("small", &stop, &start);
        let run = bench.restore(&[]);
        assert!(run.expect(1).stderr.contains(&format!("`/nowhere/stop`, which the `{what}` of the source begins with")), "{run:#?}");
        assert_eq!((bench.dump("small"), bench.server.pid()), (now.clone(), pid));
    }
}

#[test]
fn two_restores_of_one_node_wait_for_each_other() {
    let bench = Bench::small(Version::V41);
    bench.backup();
    let lock = fs::File::create(bench.machine.path("local/.windlass/locks/@cassandra.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    bench.restore(&[]).expect(5);
    drop(lock);
    // One of a configuration that keeps its state elsewhere has the data directory, which is the same.
    let data = fs::File::open(bench.server.spec.directories(&bench.server.home)[0].clone()).unwrap();
    rustix::fs::flock(&data, rustix::fs::FlockOperation::LockShared).unwrap();
    bench.machine.run(&["snapshot", "homestead"]).expect(0);
    let run = bench.restore(&[]);
    run.expect(5);
    assert!(run.stderr.contains("one of another configuration"), "{}", run.stderr);
    rustix::fs::flock(&data, rustix::fs::FlockOperation::LockExclusive).unwrap();
    bench.machine.run(&["snapshot", "homestead"]).expect(5);
    drop(data);
    bench.restore(&[]).expect(0);
}

#[test]
fn names_that_are_no_snapshot_of_the_source_are_refused() {
    let changed = Changed::new(Version::V50);
    let pid = changed.bench.server.pid();
    for (name, code, because) in [
        ("homestead/..", 2, "homestead/.."),
        ("homestead/../..", 2, "homestead/../.."),
        ("homestead/../../etc", 2, "homestead/../../etc"),
        ("../homestead", 2, "../homestead"),
        ("homestead/20990101T000000000Z", 6, "20990101T000000000Z"),
        ("nobodys", 6, "nobodys"),
    ] {
        let run = changed.bench.machine.run(&["restore", name, "--yes"]);
        changed.is_left_alone(&run, code, because);
    }
    // Folders of a person's: one in which nothing of the snapshot lies, and one that is not there.
    let folder = |name: &str| changed.bench.machine.path(name);
    fs::create_dir(folder("empty")).unwrap();
    for (name, code) in [("empty", 4), ("absent", 1)] {
        let run = changed.bench.restore(&["--from", folder(name).to_str().unwrap()]);
        changed.is_left_alone(&run, code, folder(name).to_str().unwrap());
    }
    assert_eq!(changed.bench.server.pid(), pid);
    let run = changed.bench.restore(&["--undo"]);
    changed.is_left_alone(&run, 6, "nothing to undo");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
