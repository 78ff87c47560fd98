use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::source::placement::{crash::strike, recover};

type Look = BTreeMap<String, String>;

/// All files with their bytes, all folders with their modes.
fn look(root: &Path) -> Look {
    fn visit(folder: &Path, name: &str, seen: &mut Look) {
        seen.insert(format!("{name}/"), format!("{:o}", fs::metadata(folder).unwrap().mode() & 0o7777));
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let below = format!("{name}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                visit(&entry.path(), &below, seen);
            } else {
                seen.insert(below, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut seen = Look::new();
    if root.exists() {
        visit(root, "", &mut seen);
    }
    seen
}

/// As [`look`], without the names that a restore inside the tree uses.
fn look_live(root: &Path) -> Look {
    look(root).into_iter().filter(|(name, _)| !name.starts_with("/.windlass-")).collect()
}

fn fill(root: &Path, mode: u32, files: &[(&str, &str)]) {
    fs::create_dir(root).unwrap();
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::set_permissions(root, fs::Permissions::from_mode(mode)).unwrap();
    File::open(root).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(mode))).unwrap();
}

const OLD: &[(&str, &str)] = &[
    ("a", "old"),
    ("same", "same"),
    ("d/x", "old"),
    ("d/cache/c", "cached"),
    ("stranger/s", "mine"),
    ("top.keep", "kept"),
    ("gone/deep/y.keep", "kept too"),
    ("m/above", "old"),
    ("m/mnt/inside", "mounted"),
];
const NEW: &[(&str, &str)] =
    &[("a", "new"), ("same", "same"), ("d/x2", "new"), ("n/f", "new"), ("m/above2", "new"), ("snap.keep", "of the snapshot")];

struct Bench {
    place: tempfile::TempDir,
    placement: Placement,
    old: Look,
}

impl Bench {
    fn new(way: Way) -> Self {
        // In memory where that is possible: hundreds of kills would wait for the disk.
        let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let root = place.path().canonicalize().unwrap().join("data");
        fill(&root, 0o751, OLD);
        let exclude = Exclude::new(&["cache/".to_owned(), "*.keep".to_owned()]).unwrap();
        let mut placement = plan("s", &Directory { root: root.clone(), exclude, cross_filesystems: false }, None).unwrap();
        assert_eq!((placement.way, placement.fresh), (Way::Whole, false));
        if way == Way::Entries {
            placement.way = way;
            placement.staged = root.join(".windlass-staging");
            placement.aside = root.join(".windlass-undo");
            placement.mounts = vec![RelPath::new(&b"m/mnt"[..]).unwrap()];
        }
        let old = look_live(&root);
        fill(&placement.staged, 0o710, NEW);
        Self { place, placement, old }
    }

    fn journal(&self) -> PathBuf {
        self.place.path().join("journal")
    }

    fn live(&self) -> Look {
        look_live(&self.placement.target)
    }

    fn place(&self) -> Result<Placed, Error> {
        place(&self.placement, &self.journal(), &Stop::new())
    }

    fn undo(&self) -> Result<Placed, Error> {
        undo(&self.placement, &self.journal())
    }

    /// The new tree, with what survives.
    fn new_look(&self) -> Look {
        let mut look = Look::new();
        let kept = ["d/cache/c", "top.keep", "gone/deep/y.keep", "m/mnt/inside"];
        let survives = |name: &str| kept.contains(&name) && (name != "m/mnt/inside" || self.placement.way == Way::Entries);
        let files = NEW.iter().filter(|(name, _)| *name != "snap.keep").chain(OLD.iter().filter(|(name, _)| survives(name)));
        for (name, text) in files {
            look.insert(format!("/{name}"), (*text).to_owned());
            for (at, _) in name.match_indices('/') {
                look.insert(format!("/{}/", &name[..at]), "755".to_owned());
            }
        }
        look.insert("/".to_owned(), "710".to_owned());
        look
    }
}

fn places_and_undoes(way: Way) {
    let bench = Bench::new(way);
    let modified = |path: &Path| fs::metadata(path).unwrap().mtime();
    let placed = bench.place().unwrap();
    let carried = if way == Way::Whole { 3 } else { 2 };
    assert_eq!(placed, Placed { carried, left: Vec::new() });
    assert_eq!(bench.live(), bench.new_look());
    assert_eq!(modified(&bench.placement.target), 0o710);
    let aside = look(&bench.placement.aside);
    assert_eq!((aside["/a"].as_str(), aside["/stranger/s"].as_str(), aside["/"].as_str()), ("old", "mine", "751"));
    assert!(!aside.contains_key("/d/cache/c") && !bench.placement.staged.exists() && !bench.journal().exists());

    bench.undo().unwrap();
    assert_eq!(bench.live(), bench.old);
    if way == Way::Whole {
        assert_eq!(modified(&bench.placement.target), 0o751);
    }
    assert_eq!(look(&bench.placement.aside)["/n/f"], "new");

    bench.undo().unwrap();
    assert_eq!(bench.live(), bench.new_look());
    bench.undo().unwrap();
    assert_eq!(bench.live(), bench.old);
}

#[test]
fn a_tree_is_exchanged_whole_and_back_and_what_is_excluded_stays_live() {
    places_and_undoes(Way::Whole);
}

#[test]
fn a_tree_that_holds_a_mount_is_exchanged_entry_by_entry_and_back() {
    places_and_undoes(Way::Entries);
}

/// Recovers, and is killed at each point of doing so, too.
fn recover_under_fire(journal: &Path) -> Option<bool> {
    let (mut after, mut finished) = (0, None);
    loop {
        match strike(after, || recover(journal)) {
            None => after += 1,
            Some(recovered) => {
                if let Some(recovered) = recovered.unwrap() {
                    finished = Some(recovered.is_finished);
                }
                return finished;
            }
        }
    }
}

fn survives_kills(way: Way) {
    let (mut after, mut outcomes) = (0, [0, 0]);
    loop {
        let bench = Bench::new(way);
        if strike(after, || bench.place().unwrap()).is_some() {
            break;
        }
        let finished = recover_under_fire(&bench.journal());
        assert!(!bench.journal().exists() && recover(&bench.journal()).unwrap().is_none());
        let is_new = bench.live() == bench.new_look();
        assert!(is_new || bench.live() == bench.old, "killed at {after}: {:#?}", bench.live());
        assert!(finished.is_none_or(|finished| finished == is_new), "killed at {after}");
        outcomes[usize::from(is_new)] += 1;
        if is_new {
            bench.undo().unwrap();
            assert_eq!(bench.live(), bench.old, "killed at {after}");
        } else {
            bench.place().unwrap();
            assert_eq!(bench.live(), bench.new_look(), "killed at {after}");
        }
        after += 1;
    }
    assert!(outcomes[0] >= 2 && outcomes[1] >= 3, "{outcomes:?}");
    let mut after = 0;
    loop {
        let bench = Bench::new(way);
        bench.place().unwrap();
        if strike(after, || bench.undo().unwrap()).is_some() {
            break;
        }
        recover_under_fire(&bench.journal());
        let is_old = bench.live() == bench.old;
        assert!(is_old || bench.live() == bench.new_look(), "undo killed at {after}: {:#?}", bench.live());
        bench.undo().unwrap();
        assert_eq!(bench.live(), if is_old { bench.new_look() } else { bench.old.clone() }, "undo killed at {after}");
        after += 1;
    }
    assert!(after >= 3);
}

#[test]
fn a_kill_at_any_point_of_an_exchange_leaves_the_old_or_the_new_tree() {
    survives_kills(Way::Whole);
}

#[test]
fn a_kill_at_any_point_of_the_way_entry_by_entry_leaves_the_old_or_the_new_tree() {
    survives_kills(Way::Entries);
}

#[test]
fn a_target_that_is_not_there_is_made_and_its_undo_leaves_none() {
    let place_at = tempfile::tempdir().unwrap();
    let root = place_at.path().canonicalize().unwrap().join("not/yet/data");
    let directory = Directory { root: root.clone(), exclude: Exclude::default(), cross_filesystems: false };
    let placement = plan("s", &directory, None).unwrap();
    assert!(placement.fresh && placement.way == Way::Whole && !root.parent().unwrap().exists());
    fs::create_dir_all(placement.staged.parent().unwrap()).unwrap();
    fill(&placement.staged, 0o700, NEW);
    let (journal, new) = (place_at.path().join("journal"), look(&placement.staged));
    place(&placement, &journal, &Stop::new()).unwrap();
    assert_eq!(look(&root), new);
    undo(&placement, &journal).unwrap();
    assert!(!root.exists());
    undo(&placement, &journal).unwrap();
    assert_eq!(look(&root), new);
}

#[test]
fn nothing_is_put_over_what_should_not_be_there() {
    let bench = Bench::new(Way::Whole);
    fs::create_dir(&bench.placement.aside).unwrap();
    assert!(matches!(bench.place(), Err(Error::Refused { .. })));
    fs::remove_dir(&bench.placement.aside).unwrap();
    assert!(matches!(bench.undo(), Err(Error::NotThere { .. })));
    let stop = Stop::new();
    stop.request(2);
    assert!(matches!(place(&bench.placement, &bench.journal(), &stop), Err(Error::Stopped(_))));
    fs::write(bench.journal(), b"{\"format\":9}").unwrap();
    assert!(matches!(bench.place(), Err(Error::Refused { .. })));
    assert!(matches!(recover(&bench.journal()), Err(Error::Unclear { .. })));
    fs::write(bench.journal(), b"x").unwrap();
    assert!(matches!(recover(&bench.journal()), Err(Error::Journal { .. })));
    assert_eq!(bench.live(), bench.old);
}

#[test]
fn a_snapshot_that_holds_files_under_a_mount_point_is_refused() {
    let bench = Bench::new(Way::Entries);
    fs::create_dir(bench.placement.staged.join("m/mnt")).unwrap();
    fs::write(bench.placement.staged.join("m/mnt/file"), b"x").unwrap();
    assert!(matches!(bench.place(), Err(Error::Refused { .. })));
    fs::remove_file(bench.placement.staged.join("m/mnt/file")).unwrap();
    bench.place().unwrap();
    assert_eq!(bench.live(), bench.new_look());
}

#[test]
fn what_cannot_be_carried_over_is_named_and_lies_with_the_old_tree() {
    let bench = Bench::new(Way::Whole);
    fs::write(bench.placement.staged.join("gone"), b"a file now").unwrap();
    assert_eq!(bench.place().unwrap().left, ["gone/deep/y.keep"]);
    assert_eq!(look(&bench.placement.aside)["/gone/deep/y.keep"], "kept too");
    bench.undo().unwrap();
    assert_eq!(bench.live(), bench.old);
}

#[test]
fn a_placement_comes_back_from_its_text() {
    let mut placement = Bench::new(Way::Entries).placement;
    placement.target = PathBuf::from(std::ffi::OsString::from_vec(b"/x/\xff\n".to_vec()));
    let text = serde_json::to_string(&placement).unwrap();
    assert_eq!(serde_json::from_str::<Placement>(&text).unwrap(), placement);
}

/// Set for the process that a test starts in a mount namespace of its own.
const IN_NAMESPACE: &str = "WINDLASS_TEST_IN_MOUNT_NAMESPACE";

/// Runs itself again in a mount namespace, where it may mount things without anybody seeing them; fails where that is not allowed.
#[test]
#[expect(clippy::disallowed_methods, reason = "a mount namespace belongs to a process")]
fn a_real_mount_survives() {
    if std::env::var_os(IN_NAMESPACE).is_some() {
        return put_back_around_real_mounts();
    }
    let test = concat!(module_path!(), "::a_real_mount_survives").split_once("::").unwrap().1;
    let user = if rustix::process::geteuid().is_root() { &[][..] } else { &["--map-root-user"] };
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(user).arg("--mount").arg(std::env::current_exe().unwrap()).args(["--exact", test]).env(IN_NAMESPACE, "1");
    let output = unshare.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[expect(clippy::disallowed_methods, reason = "mounting takes the system's own program")]
fn put_back_around_real_mounts() {
    let place_at = tempfile::tempdir().unwrap();
    let root = place_at.path().canonicalize().unwrap().join("data");
    fill(&root, 0o751, OLD);
    let mount = |at: &Path| assert!(std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(at).status().unwrap().success());
    let directory = Directory { root: root.clone(), exclude: Exclude::default(), cross_filesystems: false };
    let whole = plan("s", &directory, None).unwrap();
    mount(&root.join("m/mnt"));
    fs::write(root.join("m/mnt/inside"), b"mounted").unwrap();
    fs::create_dir(&whole.staged).unwrap();
    let journal = place_at.path().join("journal");
    assert!(matches!(place(&whole, &journal, &Stop::new()), Err(Error::Refused { .. })));
    for is_root in [false, true] {
        if is_root {
            mount(&root);
            fs::write(root.join("a"), b"old").unwrap();
        }
        let placement = plan("s", &directory, None).unwrap();
        assert_eq!((placement.way, placement.mounts.len()), (Way::Entries, usize::from(!is_root)));
        fill(&placement.staged, 0o710, NEW);
        place(&placement, &journal, &Stop::new()).unwrap();
        let live = look_live(&root);
        assert_eq!((live["/a"].as_str(), live["/m/above2"].as_str()), ("new", "new"));
        assert_eq!(live.get("/m/mnt/inside").map(String::as_str), (!is_root).then_some("mounted"));
        undo(&placement, &journal).unwrap();
        let live = look_live(&root);
        assert_eq!((live["/a"].as_str(), live.get("/n/f")), ("old", None));
        assert_eq!(live.get("/m/mnt/inside").map(String::as_str), (!is_root).then_some("mounted"));
    }
}
