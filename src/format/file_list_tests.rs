use super::*;
use crate::format::entry::{Identity, Location, More, Time, Xattr};

fn path(text: &str) -> RelPath {
    RelPath::from_escaped(text).unwrap()
}

fn dir(text: &str) -> Line {
    Line::Entry(Entry { mode: 0o755, ..Entry::new(path(text), Kind::Directory) })
}

fn blob(length: u32) -> Piece {
    let at = Location { pack: Digest::of(b"pack"), frame_offset: 24, frame_length: 900, offset: 512 };
    Piece::Blob { digest: Digest::of(b"blob"), length, at: Some(at) }
}

fn file(text: &str, size: u64, content: Vec<Piece>) -> Line {
    Line::Entry(Entry { size, content, ..Entry::new(path(text), Kind::File) })
}

fn check(lines: &[Line]) -> Result<(), FormatError> {
    let mut order = OrderCheck::new();
    lines.iter().try_for_each(|line| order.line(line))?;
    order.finish()
}

#[test]
fn every_field_comes_back_from_json() {
    let mut entry = Entry::new(path("a/%FF%0Ab"), Kind::File);
    entry.size = u64::MAX;
    entry.mode = 0o6755;
    (entry.uid, entry.gid) = (u32::MAX, 0);
    (entry.user, entry.group) = (Some("root".into()), None);
    entry.mtime = Time { seconds: i64::MIN, nanoseconds: 999_999_999 };
    entry.xattrs = vec![Xattr { name: b"user.\xff".to_vec(), value: vec![0, 255] }];
    entry.content = vec![blob(7), Piece::Hole { length: 1 << 60 }];
    entry.identity = Some(Identity { device: 1, inode: u64::MAX, ctime: entry.mtime, trusted: false });
    let line = Line::Entry(entry);
    let text = line.to_json().unwrap();
    assert!(!text.contains(&b'\n'));
    assert_eq!(Line::from_json(&text).unwrap(), line);
}

#[test]
fn values_beyond_the_format_are_refused() {
    let good = String::from_utf8(file("a", 7, vec![blob(7)]).to_json().unwrap()).unwrap();
    for (from, to) in [
        (r#""length":"7""#, r#""length":"1048577""#),
        (r#""length":"7""#, r#""length":"0""#),
        (r#""length":"7""#, r#""length":7"#),
        (r#""path":"a""#, r#""path":"../a""#),
        (r#""path":"a""#, r#""path":"/a""#),
        (r#""mode":"0000""#, r#""mode":"17777""#),
        (r#""mtime":["0",0]"#, r#""mtime":["0",1000000000]"#),
        (r#""offset":"512""#, r#""offset":"4194305""#),
        (r#","offset":"512""#, ""),
        (r#""kind":"file""#, r#""kind":"device""#),
        (r#""kind":"file""#, r#""kind":"dir""#),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        assert!(Line::from_json(good.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn a_file_through_a_symlink_is_refused() {
    let link = Line::Entry(Entry { target: Some(b"/etc".to_vec()), ..Entry::new(path("a"), Kind::Symlink) });
    let error = check(&[dir(""), link, file("a/passwd", 0, vec![])]).unwrap_err().to_string();
    assert!(error.contains("lies in no directory"), "{error}");
}

#[test]
fn order_and_sums_are_insisted_on() {
    let more = |first_piece, content| Line::More(More { path: path("a/f"), first_piece, content });
    check(&[dir(""), dir("a"), file("a/f", 9, vec![blob(7)]), more(1, vec![Piece::Hole { length: 2 }]), dir("b")]).unwrap();
    for lines in [
        vec![],
        vec![dir("a")],
        vec![dir(""), file("b", 0, vec![]), file("a", 0, vec![])],
        vec![dir(""), file("a", 0, vec![]), file("a", 0, vec![])],
        vec![dir(""), file("a/f", 0, vec![])],
        vec![dir(""), file("f", 7, vec![])],
        vec![dir(""), file("f", 6, vec![blob(7)])],
        vec![dir(""), dir("a"), file("a/f", 9, vec![blob(7)]), more(2, vec![blob(2)])],
        vec![dir(""), dir("a"), more(0, vec![blob(2)])],
    ] {
        assert!(check(&lines).is_err(), "{lines:?}");
    }
}

#[test]
fn an_unchanged_part_is_cut_into_the_same_lists() {
    let lists = |extra: Option<&str>| {
        let mut names: Vec<String> = (0..40_000).map(|n| format!("f{n:06}")).chain(extra.map(str::to_owned)).collect();
        names.sort();
        let mut gatherer = Gatherer::new();
        let mut lists: Vec<Digest> =
            names.iter().filter_map(|n| gatherer.push(&file(n, 0, vec![])).unwrap()).map(|plain| Digest::of(&plain)).collect();
        lists.extend(gatherer.finish().map(|plain| Digest::of(&plain)));
        lists
    };
    let (before, after) = (lists(None), lists(Some("f020000x")));
    assert!(before.len() > 4);
    assert_eq!(before.len(), after.len());
    assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1);
}

#[test]
fn a_list_never_grows_above_its_limit() {
    let mut gatherer = Gatherer::new();
    let pieces = vec![blob(1 << 20); 2048];
    let mut largest = 0;
    for n in 0..60u64 {
        let line = Line::More(More { path: path("huge"), first_piece: n * 2048, content: pieces.clone() });
        largest = largest.max(gatherer.push(&line).unwrap().map_or(0, |list| list.len()));
    }
    assert!(largest > FILE_LIST_MAX / 2 && largest <= FILE_LIST_MAX);
}
