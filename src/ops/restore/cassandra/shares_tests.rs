use super::super::survey::Survey;
use super::*;

#[path = "shares_near_tests.rs"]
mod near;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Lines of a snapshot.
struct Fixed(std::vec::IntoIter<Line>);

impl Lines for Fixed {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        Ok(self.0.next())
    }
}

fn entry(path: &str, kind: Kind, size: u64) -> Line {
    let path = if path.is_empty() { RelPath::root() } else { RelPath::new(path.as_bytes()).unwrap() };
    Line::Entry(Entry { size, mode: 0o644, uid: 4711, gid: 4711, ..Entry::new(path, kind) })
}

/// A snapshot of two tables: SSTables of 100, 50 and 30 bytes, one of an index, texts, and a stranger.
fn snapshot() -> Fixed {
    let (t, u) = (format!("k/t-{ID}"), format!("k/u-{ID}"));
    let file = |path: String, size| entry(&path, Kind::File, size);
    let folder = |path: &str| entry(path, Kind::Directory, 0);
    let lines = vec![
        folder(""),
        folder("k"),
        file("k/schema.cql".into(), 9),
        folder(&t),
        folder(&format!("{t}/.by_v")),
        file(format!("{t}/.by_v/nb-1-big-Data.db"), 5),
        file(format!("{t}/nb-1-big-Data.db"), 90),
        file(format!("{t}/nb-1-big-Index.db"), 10),
        file(format!("{t}/nb-2-big-Data.db"), 40),
        file(format!("{t}/nb-2-big-Index.db"), 10),
        file(format!("{t}/schema.cql"), 9),
        file(format!("{t}/notes.txt"), 9),
        folder(&u),
        file(format!("{u}/da-3h5r_1lxh_0dae82olptsc52z4nx-bti-Data.db"), 30),
        file(format!("{u}/da-3h5r_1lxh_0dae82olptsc52z4nx-bti-Rows.db"), 0),
    ];
    Fixed(lines.into_iter())
}

fn roots(free: &[u64]) -> Vec<Root> {
    let root = |(at, free): (usize, &u64)| Root {
        path: format!("/data{at}").into(),
        device: at as u64,
        owner: (at as u32, 7),
        mode: 0o750,
        free: *free,
    };
    free.iter().enumerate().map(root).collect()
}

fn shares(wanted: &Wanted, roots: &[Root]) -> Shares {
    Shares::of(&mut snapshot(), wanted, roots, &[]).unwrap()
}

fn of_root(wanted: &Wanted, roots: &[Root], at: usize) -> Vec<Entry> {
    let mut lines = OfRoot::new(Box::new(snapshot()), wanted, &shares(wanted, roots), &roots[at], at);
    let mut found = Vec::new();
    while let Some(Line::Entry(entry)) = lines.next_line().unwrap() {
        found.push(entry);
    }
    found
}

#[test]
fn each_sstable_goes_whole_to_one_directory_and_all_of_them_go_somewhere() {
    for free in [&[1000, 1000][..], &[120, 100], &[90, 200, 60], &[1000]] {
        let roots = roots(free);
        let survey = Survey::of(&mut snapshot(), &Wanted::All, &shares(&Wanted::All, &roots)).unwrap();
        assert_eq!((survey.files(), survey.bytes(), survey.strangers), (6, 180, 1));
        assert_eq!(survey.indexes.iter().collect::<Vec<_>>(), ["k.by_v"]);
        let mut files = Vec::new();
        for (at, root) in roots.iter().enumerate() {
            let here: Vec<Entry> = of_root(&Wanted::All, &roots, at);
            let own: Vec<&Entry> = here.iter().filter(|entry| entry.kind == Kind::File).collect();
            assert_eq!(own.iter().map(|entry| entry.size).sum::<u64>(), survey.shares[at], "the survey tells what comes");
            assert!(here.iter().all(|entry| (entry.uid, entry.gid) == root.owner), "all of it is the directory's owner's");
            assert!(here.iter().all(|entry| entry.mode == if entry.kind == Kind::File { 0o644 } else { 0o750 }));
            files.extend(own.iter().map(|entry| (entry.path.to_string(), at)));
        }
        files.sort();
        let place = |end: &str| files.iter().find(|(path, _)| path.ends_with(end)).unwrap().1;
        assert_eq!(files.len(), 6, "{files:?}");
        assert_eq!(place("t-0123456789abcdef0123456789abcdef/nb-1-big-Data.db"), place("nb-1-big-Index.db"));
        assert_eq!(place("nb-2-big-Data.db"), place("nb-2-big-Index.db"));
    }
}

#[test]
fn what_does_not_fit_is_told_with_the_directory() {
    let roots = roots(&[60, 110]);
    let survey = Survey::of(&mut snapshot(), &Wanted::All, &shares(&Wanted::All, &roots)).unwrap();
    assert!(survey.lack_of_room(&roots).unwrap().contains("/data"), "{survey:?}");
}

#[test]
fn only_wanted_tables_come() {
    let roots = roots(&[1000]);
    let wanted = Wanted::Some(Arc::new([("k".to_owned(), format!("u-{ID}"))].into()));
    let survey = Survey::of(&mut snapshot(), &wanted, &shares(&wanted, &roots)).unwrap();
    assert_eq!((survey.tables.len(), survey.files()), (1, 2));
    let paths: Vec<String> = of_root(&wanted, &roots, 0).iter().map(|entry| entry.path.to_string()).collect();
    assert!(paths.iter().all(|path| !path.contains("/t-")) && paths.len() == 5, "{paths:?}");
}

#[test]
fn what_is_no_plain_file_is_refused() {
    let link = entry(&format!("k/t-{ID}/nb-1-big-Data.db"), Kind::Symlink, 0);
    let (lines, roots) = (|| Fixed(vec![link.clone()].into_iter()), roots(&[1]));
    let shares = Shares::of(&mut lines(), &Wanted::All, &roots, &[]).unwrap();
    let mut lines = OfRoot::new(Box::new(lines()), &Wanted::All, &shares, &roots[0], 0);
    assert!(matches!(lines.next_line(), Err(Error::Refused(_))));
}
