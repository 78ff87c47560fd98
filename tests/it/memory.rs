//! Memory is bounded by configuration, not by data. `benches/memory DIR` measures the same at full size.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use windlass::sys::random::{Random, SeededRandom};
use windlass::sys::tree::remove_tree;

use crate::support::program::{Machine, finish};
use crate::support::tree::{flip, noise};

/// How much more memory many times as many files may take: noise of the allocator, and nothing that grows.
const GROWTH_MAX: u64 = 8 << 20;

/// Length of each of many files. The smaller tree fills six packs with them, so that every buffer has been as full as it gets.
const SMALL: usize = 16_000;

/// `limits.memory` where the configuration says nothing.
const LIMIT: u64 = 128 << 20;

/// Number of files in the smaller and in the larger tree.
const FILES: [u64; 2] = [6000, 10_000];

/// Length of the large file in MiB: four times the limit.
const MEBIBYTES: u64 = 512;

/// The same of an encrypted repository, where packs are read whole and opened into a second buffer: still more than the limit.
const MEBIBYTES_SEALED: u64 = 192;

/// Highest resident memory of a run in bytes, as the kernel kept it. Read while it runs, since it is gone with the process: growth in the
/// very last millisecond is not seen, and a program grows while it works.
pub fn peak_of(child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = peak_in(Path::new(&status)) {
            peak = peak.max(now);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    });
    finish(child).expect(0);
    watcher.join().unwrap()
}

/// What a release build has of its own file in memory at most; a debug build, which is several times as large, has more of it, and those pages are
/// the kernel's to drop.
const PROGRAM: u64 = 20 << 20;

/// `None` once the process has ended.
fn peak_in(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
    };
    Some(value("VmHWM:")? - value("RssFile:")?.saturating_sub(PROGRAM))
}

/// Names of what is measured, in the order of [`peaks`].
const MEASURED: [&str; 4] = ["first backup", "unchanged backup", "verification", "fetch"];

/// The lowest and the highest peak of each thing that is measured. How full buffers are at one time is chance, so each is done
/// twice.
fn peaks(machine: &Machine, what: &str) -> [(u64, u64); 4] {
    let several = |run: &dyn Fn() -> u64| {
        let peaks = [run(), run()];
        (peaks.into_iter().min().unwrap(), peaks.into_iter().max().unwrap())
    };
    let to = machine.path("to");
    let first = several(&|| {
        for made in ["local", "bucket"] {
            remove_tree(&machine.path(made)).unwrap();
        }
        fs::create_dir(machine.path("bucket")).unwrap();
        machine.run(&["init"]).expect(0);
        peak_of(machine.start(&["backup", "tree"]))
    });
    let again = several(&|| peak_of(machine.start(&["backup", "tree"])));
    fs::rename(machine.path("local/tree"), machine.path("local copies")).unwrap();
    let verify = several(&|| peak_of(machine.start(&["verify", "--full"])));
    let fetch = several(&|| {
        let peak = peak_of(machine.start(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]));
        fs::remove_dir_all(&to).unwrap();
        peak
    });
    let peaks = [first, again, verify, fetch];
    for (name, (low, high)) in MEASURED.iter().zip(peaks) {
        println!("{what}: {name}: {:.1} to {:.1} MiB", mib(low), mib(high));
        assert!(low > 1 << 20, "the peak of the {name} was not seen");
        assert!(high < LIMIT, "the {name} took {:.1} MiB", mib(high));
    }
    peaks
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Names of what [`mending_peaks`] measures.
const MENDING: [&str; 3] = ["heal of the repository", "heal of a copy", "prune"];

/// The peaks of healing and of prune, in a repository whose local copies are there.
fn mending_peaks(machine: &Machine, what: &str) -> [u64; 3] {
    let packs = files_below(&machine.path("bucket/node-1/packs"));
    let largest = packs.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    let mend = |damaged: &Path| {
        flip(damaged);
        machine.run(&["verify", "--full"]).expect(4);
        peak_of(machine.start(&["heal"]))
    };
    let (id, _) = machine.listed().pop().unwrap();
    let file = files_below(&machine.path(format!("local/tree/{id}/data"))).pop().unwrap();
    let peaks = [mend(largest), mend(&file), peak_of(machine.start(&["prune", "--yes"]))];
    for (name, peak) in MENDING.iter().zip(peaks) {
        println!("{what}: {name}: {:.1} MiB", mib(peak));
        assert!(peak > 1 << 20, "the peak of the {name} was not seen");
        assert!(peak < LIMIT, "the {name} took {:.1} MiB", mib(peak));
    }
    peaks
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn many_times_as_many_files_take_no_more_memory() {
    let [few, many] = FILES.map(|count| {
        let machine = Machine::new();
        for n in 0..count {
            let folder = machine.path(format!("tree/{}/{}", n % 31, n % 17));
            if n < 31 * 17 {
                fs::create_dir_all(&folder).unwrap();
            }
            fs::write(folder.join(format!("a file with a name of usual length {n}")), noise(n, SMALL)).unwrap();
        }
        let what = format!("{count} files");
        let peaks = peaks(&machine, &what);
        fs::rename(machine.path("local copies"), machine.path("local/tree")).unwrap();
        (peaks, mending_peaks(&machine, &what))
    });
    let grown = MEASURED.iter().zip(few.0.into_iter().zip(many.0)).map(|(name, ((_, few), (many, _)))| (name, few, many));
    let mending = MENDING.iter().zip(few.1.into_iter().zip(many.1)).map(|(name, (few, many))| (name, few, many));
    for (name, few, many) in grown.chain(mending) {
        assert!(many < few + GROWTH_MAX, "the {name} took {:.1} MiB and now takes {:.1}", mib(few), mib(many));
    }
}

/// Writes a file of the source that neither compresses nor repeats itself.
fn write_large(machine: &Machine, mebibytes: u64) {
    let mut file = File::create(machine.path("tree/large")).unwrap();
    let random = SeededRandom::new(1);
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        random.fill(&mut buffer);
        file.write_all(&buffer).unwrap();
    }
}

#[test]
fn a_large_file_stays_within_the_limit() {
    let machine = Machine::new();
    write_large(&machine, MEBIBYTES);
    peaks(&machine, &format!("a file of {MEBIBYTES} MiB"));
}

#[test]
fn a_large_file_stays_within_the_limit_when_it_is_encrypted() {
    let machine = Machine::new().encrypted("");
    write_large(&machine, MEBIBYTES_SEALED);
    peaks(&machine, &format!("an encrypted file of {MEBIBYTES_SEALED} MiB"));
}
