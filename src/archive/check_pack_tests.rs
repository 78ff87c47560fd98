use super::super::codec::Codec;
use super::super::raw_frame::END;
use super::super::tar_member::header;
use super::super::{pack::tests::Files, raw_frame};
use super::*;
use crate::sys::random::SeededRandom;

/// A pack of these frames, as a writer with bad intentions would make it.
fn forged(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut pack = skippable::random(&SeededRandom::new(1)).to_vec();
    let mut stored = Vec::new();
    for plain in frames {
        raw_frame::write(plain, &mut stored);
        pack.extend_from_slice(&stored);
    }
    pack.extend_from_slice(&END);
    pack
}

fn member_of(blob: &[u8], claimed: &[u8], size: u32) -> Vec<u8> {
    let mut plain = header(&Digest::of(claimed), size).to_vec();
    plain.extend_from_slice(blob);
    plain.resize(plain.len().next_multiple_of(BLOCK), 0);
    plain
}

fn refused(pack: &[u8]) -> String {
    match check_pack(pack, &mut |_, _, _, _| {}) {
        Err(Error::Damaged(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_pack_is_told_member_by_member() {
    let mut found = Vec::new();
    let pack = forged(&[[member_of(b"one", b"one", 3), member_of(&[7; 600], &[7; 600], 600)].concat(), member_of(b"x", b"x", 1)]);
    check_pack(&pack, &mut |digest, length, frame, offset| found.push((digest, length, frame.0, offset))).unwrap();
    let second = 24 + raw_frame::length(1024 + 1536) as u64;
    assert_eq!(found, [(Digest::of(b"one"), 3, 24, 512), (Digest::of(&[7; 600]), 600, 24, 1536), (Digest::of(b"x"), 1, second, 512)]);
}

#[test]
fn a_flipped_bit_is_found_unless_everything_decodes_to_the_same_bytes() {
    let pack = Files::of([("a", b"a few bytes that are not random at all, not at all".to_vec()), ("b", vec![7; 3000])]).packs().remove(0);
    let sound: Vec<Digest> = pack.blobs.iter().map(|blob| blob.0).collect();
    for at in 0..pack.bytes.len() * 8 {
        let mut flipped = pack.bytes.to_vec();
        flipped[at / 8] ^= 1 << (at % 8);
        let mut found = Vec::new();
        match check_pack(&flipped, &mut |digest, _, _, _| found.push(digest)) {
            // The random bytes mean nothing, and neither do a few bits of the framing.
            Ok(()) => assert_eq!(found, sound, "bit {at}"),
            Err(_) => assert!(!(8..24).contains(&(at / 8))),
        }
    }
}

#[test]
fn a_truncated_pack_is_refused() {
    let pack = Files::of([("a", vec![7; 3000])]).packs().remove(0).bytes;
    for length in 0..pack.len() {
        refused(&pack[..length]);
    }
    refused(&[&pack, &b"\0"[..]].concat());
    refused(&[&pack[..], &END].concat());
}

#[test]
fn members_that_are_not_what_their_headers_say_are_refused() {
    assert!(refused(&forged(&[member_of(b"one", b"two", 3)])).contains("its bytes have the SHA-256"));
    assert!(refused(&forged(&[member_of(b"one", b"one", 2)])).contains("its bytes have the SHA-256"));
    assert!(refused(&forged(&[member_of(b"one", b"one", 600)])).contains("does not lie in its frame"));
    assert!(refused(&forged(&[vec![0; 512]])).contains("tar header"));
    assert!(refused(&forged(&[vec![7; 100]])).contains("does not lie in its frame"));
    let mut padded = member_of(b"one", b"one", 3);
    *padded.last_mut().unwrap() = 1;
    assert!(refused(&forged(&[padded])).contains("padding"));
}

#[test]
fn a_pack_that_goes_on_after_its_end_or_begins_otherwise_is_refused() {
    let sound = member_of(b"one", b"one", 3);
    refused(&forged(&[vec![0; 1024], sound.clone()]));
    let mut frame = Vec::new();
    Codec::new(3).unwrap().seal(&sound, &mut frame).unwrap();
    refused(&[frame.as_slice(), &END].concat());
    refused(&vec![0; PACK_MAX + 1]);
}
