use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::source::placement::crash::strike;
use crate::sys::random::{Random, SeededRandom};

/// What a folder holds, path by path; nothing where there is none.
type Picture = BTreeMap<String, String>;

fn picture(folder: &Path) -> Picture {
    fn look(folder: &Path, below: &str, found: &mut Picture) {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                look(&entry.path(), &path, found);
            } else {
                found.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut found = Picture::new();
    look(folder, "", &mut found);
    found
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Folders beside tables whose files are of the state that goes.
const OTHERS: [&str; 3] = ["commitlog", "hints", "cdc_raw"];

/// A node's folders, as a plain model knows them: what is live, and what lies ready.
struct Bench {
    temp: tempfile::TempDir,
    exchange: Exchange,
    /// What is never moved.
    kept: Picture,
    old: Picture,
    new: Picture,
    old_logs: Picture,
}

impl Bench {
    /// Data directories and tables of random content.
    fn new(random: &SeededRandom) -> Self {
        // In memory where the system has a folder for that: there are thousands of kills, each with its flushes.
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = |below: &str| temp.path().join(below);
        let number = |below: u64| {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            u64::from_le_bytes(bytes) % below
        };
        let (mut kept, mut old, mut new, mut old_logs) = (Picture::new(), Picture::new(), Picture::new(), Picture::new());
        let mut exchange = Exchange { roots: Vec::new(), tables: Vec::new(), others: Vec::new(), caches: vec![path("caches")] };
        let tables = 1 + number(3);
        for table in 0..tables {
            let live = format!("t{table}-a");
            let incoming = [None, Some(live.clone()), Some(format!("t{table}-b"))][usize::try_from(number(3)).unwrap()].clone();
            exchange.tables.push(Change { keyspace: format!("k{}", table % 2), live, incoming });
        }
        for root in 0..=number(2) {
            let data = path(&format!("data{root}"));
            fs::create_dir(&data).unwrap();
            let ours = data.join(".windlass/backups/homestead");
            for table in &exchange.tables {
                let below = |folder: &str| format!("/{}/{folder}", table.keyspace);
                let folder = format!("/data{root}{}", below(&table.live));
                for file in 0..number(4) {
                    let name = format!("nb-{file}-big-Data.db");
                    write(data.join(format!(".{}", below(&table.live))).join(&name), "old");
                    old.insert(format!("{folder}/{name}"), "old".into());
                }
                if number(2) == 0 {
                    write(data.join(format!(".{}/.idx/nb-1-big-Data.db", below(&table.live))), "old");
                    old.insert(format!("{folder}/.idx/nb-1-big-Data.db"), "old".into());
                }
                if number(2) == 0 {
                    for stays in ["snapshots/tag/nb-1-big-Data.db", "backups/nb-1-big-Data.db"] {
                        write(data.join(format!(".{}/{stays}", below(&table.live))), "kept");
                        kept.insert(format!("{folder}/{stays}"), "kept".into());
                    }
                }
                if let Some(incoming) = &table.incoming {
                    // Also of a table that comes without rows there is a folder.
                    fs::create_dir_all(ours.join(format!("staged{}", below(incoming)))).unwrap();
                }
                for file in 0..number(4) {
                    let Some(incoming) = &table.incoming else { continue };
                    let name = format!("nb-{file}-big-Data.db");
                    write(ours.join(format!("staged{}", below(incoming))).join(&name), "new");
                    new.insert(format!("{folder}/{name}"), "new".into());
                }
            }
            write(data.join("other/t-a/nb-1-big-Data.db"), "kept");
            kept.insert(format!("/data{root}/other/t-a/nb-1-big-Data.db"), "kept".into());
            exchange.roots.push(Root { incoming: ours.join("staged"), outgoing: ours.join("aside"), data });
        }
        write(path("caches/KeyCache.db"), "stale");
        for folder in OTHERS {
            fs::create_dir_all(path(folder)).unwrap();
            for file in 0..number(3) {
                let name = format!("/{folder}/CommitLog-7-{file}.log");
                write(path(&name[1..]), "old");
                old_logs.insert(name, "old".into());
            }
            let outgoing = Some(path(&format!("{folder}/.windlass-undo/homestead")));
            exchange.others.push(Other { live: path(folder), incoming: None, outgoing, coming: Vec::new(), returning: None });
        }
        Self { exchange, kept, old, new, old_logs, temp }
    }

    /// What is live of tables, without what is never moved.
    fn live(&self) -> Picture {
        let mut found = picture(self.temp.path());
        found.retain(|path, _| path.starts_with("/data") && !path.contains("/.windlass/"));
        for (path, text) in &self.kept {
            assert_eq!(found.remove(path).as_ref(), Some(text), "{path} is never moved");
        }
        found
    }

    /// What those folders hold below this path.
    fn others(&self, below: &str) -> Picture {
        let of = |folder: &str| {
            let files = picture(&self.temp.path().join(folder).join(below));
            files.into_iter().map(move |(path, text)| (format!("/{folder}{path}"), text)).collect::<Picture>()
        };
        OTHERS.into_iter().flat_map(of).collect()
    }

    fn logs(&self) -> Picture {
        let mut found = self.others("");
        found.retain(|path, _| !path.contains(".windlass"));
        found
    }

    /// What lies in a place of ours, as if it were live.
    fn place(&self, name: &str) -> Picture {
        let mut found = Picture::new();
        for root in &self.exchange.roots {
            let at = root.data.file_name().unwrap().to_str().unwrap();
            let place = root.data.join(".windlass/backups/homestead").join(name);
            found.extend(picture(&place).into_iter().map(|(path, text)| (format!("/{at}{path}"), text)));
        }
        found
    }

    fn is_old(&self) {
        assert_eq!((self.live(), self.logs()), (self.old.clone(), self.old_logs.clone()));
        assert_eq!(self.place("aside"), Picture::new());
        assert_eq!(self.place("staged").len(), self.new.len(), "what lies ready stays");
    }

    fn is_new(&self) {
        assert_eq!((self.live(), self.logs()), (self.new.clone(), Picture::new()));
        assert_eq!(self.place("aside"), self.old);
        assert_eq!(self.others(".windlass-undo/homestead"), self.old_logs);
        assert_eq!(picture(&self.temp.path().join("caches")), Picture::new());
    }
}

/// What a caller writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    Out,
    In,
    Done,
}

/// Carries an exchange out as far as it comes, as a caller does; `noted` is what is on the disk of it.
fn carry_out(exchange: &Exchange, noted: &std::cell::Cell<Noted>) {
    noted.set(Noted::Out);
    crash::point();
    exchange.set_aside().unwrap();
    noted.set(Noted::In);
    crash::point();
    exchange.place().unwrap();
    noted.set(Noted::Done);
}

/// What the next command does, killed each time a little later until it comes through.
fn recover(exchange: &Exchange, noted: &std::cell::Cell<Noted>) {
    for after in 0.. {
        let done = strike(after, || match noted.get() {
            Noted::Out => exchange.take_back().unwrap(),
            Noted::In | Noted::Done => exchange.place().unwrap(),
        });
        if done.is_some() {
            return;
        }
    }
}

#[test]
fn a_kill_anywhere_leaves_the_old_files_or_the_new_ones() {
    for seed in 0..16 {
        let mut steps = 0;
        loop {
            let random = SeededRandom::new(seed);
            let bench = Bench::new(&random);
            bench.exchange.check().unwrap();
            let noted = std::cell::Cell::new(Noted::Out);
            let done = strike(steps, || carry_out(&bench.exchange, &noted));
            if done.is_some() {
                bench.is_new();
                break;
            }
            let was = noted.get();
            recover(&bench.exchange, &noted);
            if was == Noted::Out {
                bench.is_old()
            } else {
                bench.is_new()
            }
            steps += 1;
        }
        assert!(steps > 3, "there are that many steps in any exchange");
    }
}

#[test]
fn an_exchange_is_reversed_and_reversed_again() {
    for seed in 0..20 {
        let bench = Bench::new(&SeededRandom::new(seed));
        let noted = std::cell::Cell::new(Noted::Out);
        carry_out(&bench.exchange, &noted);
        write(bench.temp.path().join("commitlog/CommitLog-7-99.log"), "later");
        let mut new = bench.new.clone();
        for (root, table) in bench.exchange.roots.iter().flat_map(|root| bench.exchange.tables.iter().map(move |table| (root, table))) {
            write(root.live(table).join("nb-99-big-Data.db"), "later");
            let at = root.data.file_name().unwrap().to_str().unwrap();
            new.insert(format!("/{at}/{}/{}/nb-99-big-Data.db", table.keyspace, table.live), "later".into());
        }
        let back = bench.exchange.reversed(true);
        carry_out(&back, &noted);
        assert_eq!((bench.live(), bench.logs()), (bench.old.clone(), bench.old_logs.clone()));
        assert_eq!(bench.place("staged"), new, "what was live lies where it had lain ready");
        assert_eq!((bench.exchange.late(), back.late()), (Vec::new(), Vec::new()));
        let once_more = bench.exchange.reversed(false);
        assert!(once_more.others.iter().all(|other| other.outgoing.is_none()), "without a drain the commit log stays");
    }
}

#[test]
fn what_a_node_wrote_meanwhile_is_set_apart_whole_and_nothing_is_replaced() {
    for after in 0.. {
        let bench = Bench::new(&SeededRandom::new(3));
        let root = &bench.exchange.roots[0];
        let live = root.live(&bench.exchange.tables[0]);
        let own = ["nb-7-big-Data.db", "nb-7-big-CompressionInfo.db", ".idx/nb-9-big-Data.db", "snapshots/one/nb-7-big-Data.db"];
        own.iter().for_each(|name| write(live.join(name), "old"));
        bench.exchange.set_aside().unwrap();
        let others = ["nb-7-big-Data.db", "nb-7-big-CRC.db", ".idx/nb-9-big-Data.db", "snapshots/two/nb-7-big-Data.db"];
        others.iter().for_each(|name| write(live.join(name), "written meanwhile"));
        let done = strike(after, || bench.exchange.take_back().unwrap());
        if done.is_none() {
            bench.exchange.take_back().unwrap();
        }
        let read = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        own.iter().for_each(|name| assert_eq!(read(&live, name), "old", "{name}"));
        assert!(!live.join("nb-7-big-CRC.db").exists());
        assert_eq!(read(&live, others[3]), "written meanwhile", "a snapshot that was made meanwhile stays");
        let late = bench.exchange.late();
        assert_eq!(late.len(), 1);
        let late = late[0].join(&bench.exchange.tables[0].keyspace).join(&bench.exchange.tables[0].live);
        others[..3].iter().for_each(|name| assert_eq!(read(&late, name), "written meanwhile", "{name}"));
        if done.is_some() {
            return;
        }
    }
}

#[test]
fn at_no_moment_a_live_folder_holds_a_part_of_an_sstable() {
    for after in 0.. {
        let bench = Bench::new(&SeededRandom::new(11));
        let mut whole = Vec::new();
        for (root, place) in [("data0", ""), ("data0", ".windlass/backups/homestead/staged/")] {
            let table = &bench.exchange.tables[0];
            let folder = bench.temp.path().join(root).join(format!("{place}{}/{}", table.keyspace, table.live));
            whole = ["Data.db", "Index.db", "Statistics.db"].map(|name| format!("nb-50-big-{name}")).to_vec();
            whole.iter().for_each(|name| write(folder.join(name), "x"));
        }
        let noted = std::cell::Cell::new(Noted::Out);
        let done = strike(after, || carry_out(&bench.exchange, &noted));
        let live = bench.exchange.roots[0].live(&bench.exchange.tables[0]);
        let there = whole.iter().filter(|name| live.join(name).exists()).count();
        assert!(there == 0 || there == whole.len(), "{there} files after {after} steps");
        if done.is_some() {
            return;
        }
    }
}

#[test]
fn folders_of_indexes_that_the_node_has_no_more_do_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let id = "0123456789abcdef0123456789abcdef";
    let (data, incoming) = (folder.path().join("data"), folder.path().join("aside"));
    for file in [".kept/nb-1-big-Data.db", ".dropped/nb-1-big-Data.db", "nb-1-big-Data.db"] {
        write(incoming.join(format!("k/t-{id}")).join(file), "rows");
    }
    write(incoming.join("k/gone-1/.dropped/nb-1-big-Data.db"), "of a table that the node does not know");
    let change = |live: &str| Change { keyspace: "k".into(), live: live.into(), incoming: Some(live.into()) };
    let exchange = Exchange {
        roots: vec![Root { outgoing: data.join("out"), data, incoming: incoming.clone() }],
        tables: vec![change(&format!("t-{id}")), change("gone-1")],
        others: Vec::new(),
        caches: Vec::new(),
    };
    let indexes = vec!["kept".to_owned()];
    let (kind, gc_grace_seconds) = (crate::source::cassandra::Kind::Table, 0);
    let table = crate::source::cassandra::Table { name: "t".into(), id: id.parse().unwrap(), kind, base: None, gc_grace_seconds, indexes };
    let schema = Schema { keyspaces: vec![crate::source::cassandra::Keyspace { name: "k".into(), tables: vec![table] }] };
    exchange.leave_indexes_out(&schema).unwrap();
    let there = picture(&incoming);
    let of_table = format!("/k/t-{id}");
    let expected = [
        "/k/gone-1/.dropped/nb-1-big-Data.db".to_owned(),
        format!("{of_table}/.kept/nb-1-big-Data.db"),
        format!("{of_table}/nb-1-big-Data.db"),
    ];
    assert!(there.keys().eq(expected.iter()), "{there:?}");
}

#[test]
fn places_that_are_taken_and_tables_of_one_folder_are_refused() {
    let mut bench = Bench::new(&SeededRandom::new(5));
    let again = bench.exchange.tables[0].clone();
    bench.exchange.tables.push(again);
    assert!(matches!(bench.exchange.check(), Err(Error::Refused { why }) if why.contains("two tables")));
    bench.exchange.tables.pop();
    fs::create_dir_all(&bench.exchange.roots[0].outgoing).unwrap();
    assert!(matches!(bench.exchange.check(), Err(Error::Refused { why }) if why.contains("nobody remembers")));
}

#[test]
fn folders_of_ours_are_their_owners_alone_and_those_of_tables_are_as_the_data_directory() {
    let bench = Bench::new(&SeededRandom::new(7));
    let root = &bench.exchange.roots[0];
    fs::set_permissions(&root.data, fs::Permissions::from_mode(0o750)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    make_own_folder(&root.data, &root.outgoing.join("k/t")).unwrap();
    assert_eq!(mode(&root.outgoing.join("k")), 0o700);
    folders::make_like(&root.data, &root.data.join("fresh/t-1")).unwrap();
    assert_eq!(mode(&root.data.join("fresh/t-1")), 0o750);
}
