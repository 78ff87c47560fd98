//! Kills in each phase of a backup of a Cassandra node, and each harm to each place that its files come back from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cassandra_restore_running::Case;
use crate::support::kill::{Chance, kill};
use crate::support::servers::cassandra::spec::Version;

/// Phases of a backup, how long a kill waits in each at most, and how many have to hit: while it copies, the node is asked, takes its snapshot,
/// its files are linked and read, and the node is told to let go.
const PHASES: [(&str, Duration, usize); 5] = [
    ("copying", Duration::from_millis(1500), 5),
    ("retention", Duration::ZERO, 1),
    ("packing", Duration::from_millis(5), 1),
    ("lists", Duration::ZERO, 1),
    ("committing", Duration::from_millis(5), 1),
];

/// Runs that may end before the kill comes.
const ATTEMPTS: usize = 30;

/// Kills a backup in this phase; gives whether the kill came in time.
fn strike(case: &Case, phase: &str, delay: Duration) -> bool {
    case.run(&["UPDATE KEYSPACE.t SET v = 'once more' WHERE id = 1"]);
    kill(&case.machine, &["backup", &case.source], phase, delay, &mut || true).was_in(phase)
}

#[test]
fn a_backup_that_is_killed_in_any_phase_leaves_nothing_on_the_node_and_the_next_one_is_whole() {
    let case = Case::small(Version::V41, 1);
    let mut chance = Chance::new();
    for (phase, most, wanted) in PHASES {
        let mut met = 0;
        for _ in 0..ATTEMPTS {
            let delay = if most.is_zero() { most } else { chance.up_to(most) };
            met += usize::from(strike(&case, phase, delay));
            case.backup();
            // The node goes on with what nobody waits for any more, and may be done after the next backup only: then the one after that clears it.
            if !case.keeps().is_empty() {
                case.backup();
            }
            case.keeps_nothing();
            if met == wanted {
                break;
            }
        }
        assert_eq!(met, wanted, "too few kills come in {phase} (seed {})", chance.seed);
    }
    case.machine.run(&["verify", "--full"]).expect(0);
    case.restore(&["--table", &case.table("t"), "--as", "then"]).expect(0);
    assert_eq!(case.rows("then"), case.rows("t"));
    let copies = fs::read_dir(case.machine.path("local").join(&case.source)).unwrap().count();
    assert_eq!(copies, 4, "what was half made is gone");
}

/// The files with rows of a table in the newest local copy.
fn data_of(case: &Case, table: &str) -> Vec<PathBuf> {
    let copies = fs::read_dir(case.machine.path("local").join(&case.source)).unwrap().map(|entry| entry.unwrap().path());
    let keyspace = copies.max().unwrap().join("data").join(&case.keyspaces[0]);
    let tables = fs::read_dir(keyspace).unwrap().map(|entry| entry.unwrap().path());
    let table = tables.filter(|path| path.is_dir()).find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(table)).unwrap();
    let files = fs::read_dir(table).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_str().unwrap().ends_with("-Data.db")).collect()
}

/// Harms that take bytes away, and last one that takes none.
const HARMS: [&str; 5] = ["delete", "empty", "truncate", "flip", "append"];

/// Does harm to a file, which others may have links to: they keep what it was.
fn harm(path: &Path, harm: &str) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    fs::remove_file(path).unwrap();
    match harm {
        "delete" => return,
        "empty" => bytes.clear(),
        "truncate" => bytes.truncate(middle),
        "flip" => bytes[middle] ^= 1,
        "append" => bytes.push(0),
        other => panic!("{other} is no harm"),
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn whatever_is_damaged_the_rows_come_back_from_elsewhere_or_nothing_is_touched() {
    let case = Case::small(Version::V50, 1);
    let (then, rows) = (case.dump(0), case.rows("t"));
    // Gone from the node, so that no live file stands in.
    case.run(&["TRUNCATE KEYSPACE.t", "TRUNCATE KEYSPACE.u", "INSERT INTO KEYSPACE.t (id, v) VALUES (9, 'since')"]);
    let now = case.dump(0);
    // From a folder that a person has fetched, and from one in which nothing of it lies.
    let (fetched, empty) = (case.machine.path("fetched"), case.machine.path("empty"));
    case.machine.run(&["fetch", &format!("{}/latest", case.source), "--to", fetched.to_str().unwrap()]).expect(0);
    fs::create_dir(&empty).unwrap();
    let from = |folder: &Path| case.restore(&["--table", &case.table("t"), "--as", "then_named", "--from", folder.to_str().unwrap()]);
    from(&empty).expect(4);
    assert_eq!(case.dump(0), now);
    from(&fetched).expect(0);
    assert_eq!(case.rows("then_named"), rows);
    case.run(&["DROP TABLE KEYSPACE.then_named"]);

    let data = data_of(&case, "t-").remove(0);
    let saved = fs::read(&data).unwrap();
    for what in HARMS {
        harm(&data, what);
        let run = case.restore(&["--table", &case.table("t"), "--as", &format!("then_{what}")]);
        run.expect(if what == "append" { 0 } else { 4 });
        assert_eq!(case.rows(&format!("then_{what}")), rows, "{what}: {run:#?}");
        fs::write(&data, &saved).unwrap();
        case.run(&[&format!("DROP TABLE KEYSPACE.then_{what}")]);
    }

    // How its tables are made is read first, and from where it is whole.
    let schema = data.parent().unwrap().parent().unwrap().join("schema.cql");
    let saved = fs::read(&schema).unwrap();
    for what in ["delete", "flip"] {
        harm(&schema, what);
        let run = case.restore(&["--table", &case.table("t"), "--as", &format!("then_{what}")]);
        run.expect(0);
        assert_eq!(case.rows(&format!("then_{what}")), rows, "{what}: {run:#?}");
        fs::write(&schema, &saved).unwrap();
        case.run(&[&format!("DROP TABLE KEYSPACE.then_{what}")]);
    }

    // Only the repository is left, and it is damaged.
    fs::remove_dir_all(case.machine.path("local").join(&case.source)).unwrap();
    let packs: Vec<PathBuf> =
        below(&case.machine.path("bucket")).into_iter().filter(|path| path.to_str().unwrap().contains("/packs/")).collect();
    assert!(!packs.is_empty());
    for what in &HARMS[..4] {
        let saved: Vec<Vec<u8>> = packs.iter().map(|pack| fs::read(pack).unwrap()).collect();
        packs.iter().for_each(|pack| harm(pack, what));
        for arguments in [&["--running"][..], &["--table", &case.table("t"), "--as", "then"]] {
            case.restore(arguments).expect(4);
        }
        assert_eq!(case.dump(0), now, "{what}");
        assert_eq!(case.ours(), Vec::<String>::new(), "{what}");
        packs.iter().zip(saved).for_each(|(pack, bytes)| fs::write(pack, bytes).unwrap());
    }
    // Nor is the list of its files believed that is not what it was; that of its facts is smaller, and not needed.
    let lists = below(&case.machine.path("bucket")).into_iter().filter(|path| path.to_str().unwrap().ends_with(".jsonl.zst"));
    let list = lists.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let saved = fs::read(&list).unwrap();
    for what in ["delete", "flip"] {
        harm(&list, what);
        case.restore(&["--running"]).expect(4);
        assert_eq!(case.dump(0), now, "{what}");
        fs::write(&list, &saved).unwrap();
    }
    case.restore(&["--running"]).expect(0);
    assert_eq!(case.dump(0), then);
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found
}
