use std::io::Write;

use zstd::stream::write::Encoder;
use zstd::zstd_safe::CParameter;

use super::*;
use crate::archive::codec::Codec;
use crate::format::limits::FRAME_MAX;

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    Codec::new(3).unwrap().seal(plain, &mut stored).unwrap();
    stored
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"INSERT INTO t VALUES (1, 'x');\n"[at % 31] ^ u8::from(at % 1009 == 0)).collect()
}

fn refused(stored: &[u8]) -> String {
    match FrameDecoder::new().decode(stored) {
        Err(Error::Damaged(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(plain) => panic!("decoded to {} bytes", plain.len()),
    }
}

/// A frame as the streaming encoder makes it, with these settings.
fn streamed(plain: &[u8], says_size: bool, window_log: u32) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(CParameter::WindowLog(window_log)).unwrap();
    if says_size {
        encoder.set_pledged_src_size(Some(plain.len() as u64)).unwrap();
    }
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn one_decoder_decodes_frames_of_any_size_one_after_another() {
    let mut decoder = FrameDecoder::new();
    for size in [FRAME_MAX, 1, 0, 1 << 20, FRAME_MAX, 512] {
        let plain = text(size);
        assert_eq!(decoder.decode(&sealed(&plain)).unwrap(), plain);
    }
}

#[test]
fn a_truncated_frame_is_refused() {
    let stored = sealed(&text(300_000));
    for length in (0..stored.len()).step_by(97).chain([1, 4, 5, 6, 7, 8, stored.len() - 1]) {
        refused(&stored[..length]);
    }
}

#[test]
fn a_flipped_bit_never_yields_more_than_a_frame_may_hold() {
    let plain = text(40_000);
    let stored = sealed(&plain);
    let mut decoder = FrameDecoder::new();
    for at in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        // Frames carry no checksum: a flip may decode, and the blobs' digests then tell.
        if let Ok(decoded) = decoder.decode(&flipped) {
            assert!(decoded.len() <= FRAME_MAX);
        }
    }
    assert_eq!(decoder.decode(&stored).unwrap(), plain);
}

#[test]
fn bytes_after_a_frame_and_a_second_frame_are_refused() {
    let stored = sealed(b"one");
    refused(&[stored.as_slice(), b"\0"].concat());
    refused(&[stored.as_slice(), &stored].concat());
    refused(&[stored.as_slice(), &[0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0]].concat());
}

#[test]
fn skippable_frames_and_other_bytes_are_refused() {
    for bytes in [&b""[..], b"\x28\xB5\x2F\xFD", &[0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0], b"PK\x03\x04", &[0; 64], &[0xff; 64]] {
        refused(bytes);
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_before_it_is_decoded() {
    let mut stored = Vec::new();
    Codec::new(1).unwrap().seal(&text(FRAME_MAX), &mut stored).unwrap();
    let five = zstd::bulk::compress(&vec![0; 5 << 20], 1).unwrap();
    assert!(refused(&five).contains("5242880 plain bytes"));
    let mut decoder = FrameDecoder::new();
    decoder.decode(&five).unwrap_err();
    assert_eq!(decoder.plain.len(), 0);
}

#[test]
fn a_frame_that_does_not_say_its_size_is_refused() {
    assert!(refused(&streamed(&text(100_000), false, 19)).contains("does not say its size"));
    assert_eq!(FrameDecoder::new().decode(&streamed(&text(100_000), true, 19)).unwrap(), text(100_000));
}

#[test]
fn a_frame_that_lies_about_its_size_is_refused() {
    let stored = sealed(&text(3 << 20));
    // Descriptor, window, then four bytes of size.
    assert_eq!(stored[4] >> 6, 2);
    let at = if stored[4] & 0x20 == 0 { 6 } else { 5 };
    for lie in [0u32, 1, (3 << 20) - 1, (3 << 20) + 1, 4 << 20, u32::MAX] {
        let mut lying = stored.clone();
        lying[at..at + 4].copy_from_slice(&lie.to_le_bytes());
        refused(&lying);
    }
}

#[test]
fn a_window_above_eight_mebibytes_is_refused() {
    let mut stored = streamed(&text(1 << 20), true, 19);
    assert_eq!(stored[4] & 0x20, 0, "this test needs a frame with a window byte");
    for (window, fits) in [(13 << 3, true), (13 << 3 | 1, false), (14 << 3, false), (31 << 3 | 7, false)] {
        stored[5] = window;
        assert_eq!(FrameDecoder::new().decode(&stored).is_ok(), fits, "{window}");
    }
}

#[test]
fn dictionaries_and_reserved_bits_are_refused() {
    let stored = sealed(&text(100_000));
    for bit in [0x01, 0x02, 0x03, 0x08] {
        let mut other = stored.clone();
        other[4] |= bit;
        refused(&other);
    }
}

#[test]
fn noise_is_stored_as_raw_blocks_without_growing() {
    let mut noise = vec![0; FRAME_MAX];
    crate::sys::random::Random::fill(&crate::sys::random::SeededRandom::new(3), &mut noise);
    let stored = sealed(&noise);
    assert!(stored.len() <= FRAME_MAX + 200);
    assert_eq!(FrameDecoder::new().decode(&stored).unwrap(), noise);
}
