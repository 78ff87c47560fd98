//! The header of a zstd frame (RFC 8878, section 3.1.1.1): what a frame claims before it is decoded.
//!
//! The one-call decoder of libzstd does not look at the window limit, so it is looked at here.

use crate::format::limits::{FRAME_MAX, WINDOW_LOG_MAX};

use super::Error;

/// The first four bytes of a frame.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Reads the content size and checks everything else that the format asks of a frame.
///
/// # Errors
/// [`Error::Damaged`] for no zstd frame, one with a dictionary, one that does not say its size, one above [`FRAME_MAX`] plain bytes,
/// a window above 2^[`WINDOW_LOG_MAX`].
pub(super) fn content_size(frame: &[u8]) -> Result<usize, Error> {
    let cut = || Error::damaged("a frame ends in its header");
    let wrong = |what: &str| Err(Error::damaged(what));
    let Some(rest) = frame.strip_prefix(&MAGIC) else { return wrong("no zstd frame where one must be") };
    let (descriptor, mut rest) = rest.split_first().ok_or_else(cut)?;
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 0x08 != 0 || descriptor & 0x03 != 0 {
        return wrong("a frame with a dictionary or a reserved bit");
    }
    if !single_segment {
        let (window, after) = rest.split_first().ok_or_else(cut)?;
        rest = after;
        let base = 1u64 << (10 + (window >> 3));
        if base + base / 8 * u64::from(window & 7) > 1 << WINDOW_LOG_MAX {
            return wrong("a frame with a window above 8 MiB");
        }
    }
    let field = |length: usize| rest.get(..length).ok_or_else(cut);
    let size = match descriptor >> 6 {
        0 if single_segment => u64::from(field(1)?[0]),
        0 => return wrong("a frame that does not say its size"),
        1 => 256 + number(field(2)?),
        2 => number(field(4)?),
        _ => number(field(8)?),
    };
    match usize::try_from(size) {
        Ok(size) if size <= FRAME_MAX => Ok(size),
        _ => Err(Error::damaged(format!("a frame of {size} plain bytes, {FRAME_MAX} are allowed"))),
    }
}

fn number(little_endian: &[u8]) -> u64 {
    little_endian.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
