use std::fs;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::faulty_tests::tools;
use super::*;
use crate::sys::environment::FixedEnvironment;

fn open(path: &std::path::Path) -> Result<Repository, Error> {
    let url = format!("file://{}", path.display());
    Repository::open(&Settings::new(url), &FixedEnvironment::default(), tools())
}

fn keys(repository: &Repository, prefix: &str) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    repository.list(prefix, &mut |object| {
        keys.push(object.key);
        ControlFlow::Continue(())
    })?;
    keys.sort();
    Ok(keys)
}

#[test]
fn a_folder_that_is_not_there_is_told_and_not_made() {
    let parent = tempfile::tempdir().unwrap();
    let missing = parent.path().join("gone");
    let error = open(&missing).unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("mount its disk"), "{error}");
    assert!(!missing.exists());
    fs::write(&missing, "a file").unwrap();
    assert!(open(&missing).unwrap_err().to_string().contains("is not a folder"));
}

#[test]
fn a_folder_that_vanishes_is_not_taken_for_an_empty_repository() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("repository");
    fs::create_dir(&folder).unwrap();
    let repository = open(&folder).unwrap();
    repository.create("n/a", Bytes::from_static(b"x")).unwrap();
    fs::rename(&folder, parent.path().join("elsewhere")).unwrap();
    for again in [false, true] {
        if again {
            // As an unmounted disk leaves its mount point.
            fs::create_dir(&folder).unwrap();
        }
        assert!(matches!(repository.get("n/a", 9), Err(Error::FolderMissing { .. })));
        assert!(matches!(repository.stat("n/a"), Err(Error::FolderMissing { .. })));
        assert!(matches!(repository.delete("n/a"), Err(Error::FolderMissing { .. })));
        assert!(matches!(keys(&repository, "n/"), Err(Error::FolderMissing { .. })));
        assert!(matches!(repository.create("n/b", Bytes::from_static(b"x")), Err(Error::FolderMissing { .. })));
    }
    assert!(fs::read_dir(&folder).unwrap().next().is_none(), "nothing was written where the disk was");
}

#[test]
fn a_write_that_was_killed_leaves_nothing_that_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).unwrap();
    repository.create("n/packs/a.tar.zst", Bytes::from_static(b"whole")).unwrap();
    let names: Vec<_> = fs::read_dir(folder.path().join("n/packs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.tar.zst"], "no temporary name stays behind");
    // What a write that was killed leaves: its temporary name.
    fs::write(folder.path().join("n/packs/b.tar.zst#1"), b"stu").unwrap();
    assert_eq!(keys(&repository, "").unwrap(), ["n/packs/a.tar.zst"]);
    assert!(repository.stat("n/packs/b.tar.zst").unwrap().is_none());
    repository.create("n/packs/b.tar.zst", Bytes::from_static(b"whole")).unwrap();
    assert_eq!(&repository.get("n/packs/b.tar.zst", 9).unwrap()[..], b"whole");
}

#[test]
fn a_folder_of_the_repository_that_cannot_be_read_is_an_error_and_not_empty() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).unwrap();
    repository.create("n/a", Bytes::from_static(b"x")).unwrap();
    // A loop of links is unreadable for any user, root too.
    symlink(folder.path(), folder.path().join("n/loop")).unwrap();
    assert!(keys(&repository, "n/").is_err());
}

#[test]
fn the_probe_takes_what_killed_probes_left_and_nothing_newer() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).unwrap();
    for (key, hours) in [("probe/old/0", 25), ("probe/other/0", 23), ("node/packs/a", 1000)] {
        repository.create(key, Bytes::from_static(b"x")).unwrap();
        let file = fs::File::options().write(true).open(folder.path().join(key)).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - std::time::Duration::from_secs(hours * 3600)).unwrap();
    }
    assert_eq!(repository.probe().unwrap().delete.verdict, Verdict::Works);
    assert_eq!(keys(&repository, "").unwrap(), ["node/packs/a", "probe/other/0"]);
}

#[test]
fn what_killed_writes_left_goes_once_it_is_old_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).unwrap();
    let pack = |name: &str| format!("n/packs/{}/{name}.tar.zst", &name[..2]);
    let (a, b) = (pack(&"a".repeat(64)), pack(&"b".repeat(64)));
    repository.create(&a, Bytes::from_static(b"whole")).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let now = fs::metadata(folder.path().join(&a)).unwrap().modified().unwrap();
    for (name, hours) in [(a.clone(), 100), (format!("{a}#1"), 100), (format!("{a}#2"), 1), (format!("{b}#12"), 100)] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::options().create(true).append(true).open(path).unwrap();
        file.set_modified(now - hour * hours).unwrap();
    }
    // None of these is a name that this program gives.
    let others = ["n/notes#1".to_owned(), format!("{a}#"), format!("{a}#1x"), format!("m/{}#1", &b[2..])];
    for name in &others {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"x").unwrap();
        fs::File::open(&path).unwrap().set_modified(now - hour * 100).unwrap();
    }
    let before = jiff::Timestamp::try_from(now - hour * 72).unwrap();
    let counted = repository.remove_remnants("n/", before, true).unwrap();
    assert_eq!((counted.files, counted.removed), (2, false));
    assert_eq!(repository.remove_remnants("n/", before, false).unwrap().files, 2);
    assert_eq!(repository.remove_remnants("n/", before, false).unwrap().files, 0);
    for name in others.iter().chain([&a, &format!("{a}#2")]) {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    assert!(!folder.path().join(format!("{a}#1")).exists() && !folder.path().join(format!("{b}#12")).exists());
    let memory = Repository::memory(tools());
    assert_eq!(memory.remove_remnants("n/", before, false).unwrap().files, 0);
}
