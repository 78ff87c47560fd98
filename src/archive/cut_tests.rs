use proptest::prelude::*;

use super::super::gear::{AVERAGE, LEVEL, MAX, MIN};
use super::*;
use crate::format::digest::Digest;
use crate::sys::random::{Random, SeededRandom};

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

/// Cuts `bytes` that arrive in runs of these lengths, over and over.
fn cut(method: Method, hint: u64, bytes: &[u8], runs: &[usize]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut cutter = Cutter::new(method, hint);
    let mut rest = bytes;
    for run in runs.iter().cycle() {
        let (now, later) = rest.split_at((*run).min(rest.len()));
        cutter.push(now, &mut |piece| pieces.push(piece));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    cutter.finish(&mut |piece| pieces.push(piece));
    pieces
}

/// Every blob's digest is that of the bytes it stands for, every hole stands for zero bytes, and together they are the file.
fn assert_covers(pieces: &[Piece], bytes: &[u8]) {
    let mut at = 0usize;
    for piece in pieces {
        let end = at + usize::try_from(piece.length()).unwrap();
        match piece {
            Piece::Blob { digest, length, at: None } => {
                assert!(*length > 0 && *length as usize <= BLOB_MAX);
                assert_eq!(*digest, Digest::of(&bytes[at..end]));
            }
            Piece::Hole { length } => assert!(*length > 0 && bytes[at..end].iter().all(|byte| *byte == 0)),
            Piece::Blob { .. } => panic!("a cutter knows no packs"),
        }
        at = end;
    }
    assert_eq!(at, bytes.len());
}

fn lengths(pieces: &[Piece]) -> Vec<usize> {
    pieces.iter().map(|piece| usize::try_from(piece.length()).unwrap()).collect()
}

#[test]
fn cut_points_are_those_of_the_crate_whatever_the_reads() {
    for seed in 0..4 {
        let mut bytes = noise(6 << 20, seed);
        // A stretch without any cut point, so that the longest piece occurs.
        bytes[2 << 20..4 << 20].fill(7);
        let expected: Vec<usize> =
            fastcdc::v2020::FastCDC::with_level(&bytes, MIN, AVERAGE, MAX, LEVEL).map(|chunk| chunk.length).collect();
        assert!(expected.len() > 10 && expected.contains(&MAX));
        for runs in [&[6 << 20][..], &[1 << 20], &[65_537], &[1, 4096, 77_777], &[131_072]] {
            let pieces = cut(Method::ContentDefined, bytes.len() as u64, &bytes, runs);
            assert_eq!(lengths(&pieces), expected, "{runs:?}");
            assert_covers(&pieces, &bytes);
        }
    }
}

#[test]
fn a_file_of_at_most_a_blob_is_one_blob_whatever_was_expected() {
    for method in [Method::ContentDefined, Method::Fixed] {
        for length in [1, 70_000, 900_000, BLOB_MAX] {
            let bytes = noise(length, 5);
            for hint in [0, length as u64, u64::MAX] {
                for runs in [&[length][..], &[1000]] {
                    let pieces = cut(method, hint, &bytes, runs);
                    assert_eq!(lengths(&pieces), [length]);
                    assert_covers(&pieces, &bytes);
                }
            }
        }
        assert!(cut(method, 0, b"", &[1]).is_empty() && cut(method, u64::MAX, b"", &[1]).is_empty());
    }
}

#[test]
fn an_inserted_row_moves_few_pieces() {
    let old = noise(8 << 20, 9);
    let mut new = old.clone();
    new.splice(3_000_000..3_000_000, *b"one more row");
    let cut = |bytes: &[u8]| cut(Method::ContentDefined, u64::MAX, bytes, &[128 << 10]);
    let (old, new) = (cut(&old), cut(&new));
    let fresh = new.iter().filter(|piece| !old.contains(piece)).count();
    assert!(new.len() > 15 && fresh <= 3, "{fresh} of {}", new.len());
}

#[test]
fn fixed_pieces_are_a_blob_long() {
    let bytes = noise((3 << 20) + 5, 1);
    let pieces = cut(Method::Fixed, bytes.len() as u64, &bytes, &[100_000]);
    assert_eq!(lengths(&pieces), [BLOB_MAX, BLOB_MAX, BLOB_MAX, 5]);
    assert_covers(&pieces, &bytes);
}

#[test]
fn a_file_that_grew_while_it_was_read_is_cut_on() {
    let bytes = noise(4 << 20, 2);
    let pieces = cut(Method::ContentDefined, 10, &bytes, &[50_000]);
    assert_eq!(lengths(&pieces)[0], BLOB_MAX);
    assert!(pieces.len() > 5);
    assert_covers(&pieces, &bytes);
}

#[test]
fn neighbouring_holes_are_one_and_end_a_piece() {
    let mut pieces = Vec::new();
    let mut cutter = Cutter::new(Method::ContentDefined, u64::MAX);
    let emit = &mut |piece| pieces.push(piece);
    cutter.hole(10, emit);
    cutter.hole(0, emit);
    cutter.push(b"", emit);
    cutter.hole(1 << 40, emit);
    cutter.push(b"abc", emit);
    cutter.hole(5, emit);
    cutter.push(b"d", emit);
    cutter.hole(7, emit);
    cutter.finish(emit);
    let blob = |bytes: &[u8]| Piece::Blob { digest: Digest::of(bytes), length: bytes.len() as u32, at: None };
    let hole = |length| Piece::Hole { length };
    assert_eq!(pieces, [hole((1 << 40) + 10), blob(b"abc"), hole(5), blob(b"d"), hole(7)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn pieces_are_the_file(
        parts in prop::collection::vec((any::<bool>(), 1usize..900_000), 0..8),
        hint in prop_oneof![Just(0u64), Just(u64::MAX)],
        fixed in any::<bool>(),
        run in 1usize..300_000,
        seed in any::<u64>(),
    ) {
        let mut bytes = Vec::new();
        let mut pieces = Vec::new();
        let mut cutter = Cutter::new(if fixed { Method::Fixed } else { Method::ContentDefined }, hint);
        for (hole, length) in parts {
            if hole {
                cutter.hole(length as u64, &mut |piece| pieces.push(piece));
                bytes.resize(bytes.len() + length, 0);
            } else {
                let data = noise(length, seed);
                data.chunks(run).for_each(|data| cutter.push(data, &mut |piece| pieces.push(piece)));
                bytes.extend_from_slice(&data);
            }
        }
        cutter.finish(&mut |piece| pieces.push(piece));
        assert_covers(&pieces, &bytes);
        let holes_touch = pieces.windows(2).any(|pair| matches!(pair, [Piece::Hole { .. }, Piece::Hole { .. }]));
        prop_assert!(!holes_touch);
    }
}
