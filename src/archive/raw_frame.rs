//! Frames made without the compressor: bytes that do not shrink, and the end of a pack.

use super::header::MAGIC;

/// Most bytes of one block of a frame (RFC 8878, section 3.1.1.2.3).
const BLOCK_MAX: usize = 128 << 10;
/// Descriptor: the content size takes four bytes, and there is one segment (the window is the content).
const DESCRIPTOR: u8 = 0xA0;
/// Bytes before the first block.
const HEAD: usize = MAGIC.len() + 1 + 4;

/// The last frame of a pack: 1,024 zero bytes, which end a tar archive. One block that repeats a byte.
pub(super) const END: [u8; 11] = [0x28, 0xB5, 0x2F, 0xFD, 0x60, 0x00, 0x03, 0x03, 0x20, 0x00, 0x00];

/// How many bytes [`write`] takes for so many plain ones.
pub(super) fn length(plain: usize) -> usize {
    HEAD + plain + plain.div_ceil(BLOCK_MAX).max(1) * 3
}

/// Puts a frame of raw blocks that holds `plain` (less than 4 GiB) into `stored`, in place of what it held.
pub(super) fn write(plain: &[u8], stored: &mut Vec<u8>) {
    stored.clear();
    stored.reserve(length(plain.len()));
    stored.extend_from_slice(&MAGIC);
    stored.push(DESCRIPTOR);
    stored.extend_from_slice(&u32::try_from(plain.len()).expect("a frame is far below 4 GiB").to_le_bytes());
    let mut rest = plain;
    loop {
        let (block, after) = rest.split_at(rest.len().min(BLOCK_MAX));
        let last = u32::from(after.is_empty());
        let head = last | u32::try_from(block.len()).expect("at most 128 KiB") << 3;
        stored.extend_from_slice(&head.to_le_bytes()[..3]);
        stored.extend_from_slice(block);
        rest = after;
        if rest.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FrameDecoder;
    use super::*;
    use crate::format::limits::{FRAME_MAX, FRAME_STORED_MAX};

    #[test]
    fn no_frame_of_ours_is_longer_than_a_list_may_say() {
        assert!(length(FRAME_MAX) <= FRAME_STORED_MAX);
        assert_eq!(zstd::zstd_safe::compress_bound(FRAME_MAX), FRAME_STORED_MAX);
    }

    #[test]
    fn raw_frames_decode_to_what_they_were_made_from() {
        for size in [0, 1, 512, BLOCK_MAX, BLOCK_MAX + 1, 4 << 20] {
            let plain: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut stored = Vec::new();
            write(&plain, &mut stored);
            assert_eq!(stored.len(), length(size));
            assert_eq!(FrameDecoder::new().decode(&stored).unwrap(), plain, "{size}");
        }
    }

    #[test]
    fn the_end_of_a_pack_is_the_end_of_a_tar_archive() {
        assert_eq!(FrameDecoder::new().decode(&END).unwrap(), [0; 1024]);
    }
}
