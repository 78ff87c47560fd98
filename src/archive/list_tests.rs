use super::*;
use crate::sys::random::SeededRandom;

fn lines(length: usize) -> Vec<u8> {
    let line = |number: usize| format!("{{\"path\":\"some/folder/{number}\",\"kind\":\"file\"}}\n").into_bytes();
    let mut lines: Vec<u8> = (0..).flat_map(line).take(length).collect();
    if let Some(last) = lines.last_mut() {
        *last = b'\n';
    }
    lines
}

/// The text of a list, line by line.
fn read(stored: &[u8]) -> Result<Vec<u8>, Error> {
    let mut list = ListReader::new(Bytes::copy_from_slice(stored))?;
    let mut plain = Vec::new();
    while let Some(line) = list.next_line()? {
        plain.extend_from_slice(line);
        plain.push(b'\n');
    }
    Ok(plain)
}

#[test]
fn lists_up_to_the_limit_come_back() {
    let random = SeededRandom::new(1);
    for length in [0, 1, 5000, FRAME_MAX, FRAME_MAX + 1, FILE_LIST_MAX] {
        let list = seal_list(&lines(length), &Recipients::default(), &random).unwrap();
        assert_eq!(list.name, Digest::of(&list.bytes));
        assert_eq!(read(&list.bytes).unwrap(), lines(length));
    }
    assert!(matches!(seal_list(&lines(FILE_LIST_MAX + 1), &Recipients::default(), &random), Err(Error::TooLarge { .. })));
}

#[test]
fn the_same_list_never_has_the_same_name_twice() {
    let random = SeededRandom::new(1);
    assert_ne!(
        seal_list(b"x\n", &Recipients::default(), &random).unwrap().name,
        seal_list(b"x\n", &Recipients::default(), &random).unwrap().name
    );
}

#[test]
fn the_real_zstd_decodes_a_list() {
    let plain = lines(6 << 20);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("list.jsonl.zst");
    std::fs::write(&path, seal_list(&plain, &Recipients::default(), &SeededRandom::new(1)).unwrap().bytes).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the promise is about this very program")]
    let zstd = std::process::Command::new("zstd").arg("-dc").arg(&path).output().unwrap();
    assert!(zstd.status.success() && zstd.stdout == plain);
}

#[test]
fn lists_that_are_cut_short_or_followed_by_something_are_refused() {
    let list = seal_list(&lines(5000), &Recipients::default(), &SeededRandom::new(1)).unwrap().bytes;
    for length in (0..list.len()).filter(|length| *length != 24) {
        assert!(read(&list[..length]).is_err(), "{length}");
    }
    assert!(read(&[&list, &b"x"[..]].concat()).is_err());
}

#[test]
fn a_list_that_decodes_to_more_than_the_limit_is_refused() {
    let full = seal_list(&lines(FILE_LIST_MAX), &Recipients::default(), &SeededRandom::new(1)).unwrap().bytes;
    let one_more = seal_list(b"\n", &Recipients::default(), &SeededRandom::new(1)).unwrap().bytes;
    assert!(matches!(read(&[&full, &one_more[24..]].concat()), Err(Error::Damaged(_))));
}

#[test]
fn an_end_inside_a_line_and_a_line_that_is_too_long_are_refused() {
    let refused =
        |plain: &[u8]| read(&seal_list(plain, &Recipients::default(), &SeededRandom::new(1)).unwrap().bytes).unwrap_err().to_string();
    assert!(refused(b"one\ntwo").contains("inside a line"));
    let mut long = vec![b'x'; LINE_MAX + 1];
    long.push(b'\n');
    assert!(refused(&long).contains("a line of more than"));
    assert_eq!(read(&seal_list(&long[1..], &Recipients::default(), &SeededRandom::new(1)).unwrap().bytes).unwrap(), long[1..]);
}
