//! The frame that packs and file lists begin with: 16 random bytes that `zstd` and `tar` pass over, so that no name ever recurs.

use crate::sys::random::Random;

use super::Error;

/// How many random bytes it holds.
const RANDOM: usize = 16;
/// The magic number of a skippable frame, little endian, and the length of what follows.
const HEAD: [u8; 8] = [0x50, 0x2A, 0x4D, 0x18, RANDOM as u8, 0, 0, 0];

/// Its length.
pub(super) const LENGTH: usize = HEAD.len() + RANDOM;

/// A new one.
pub(super) fn random(random: &dyn Random) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    frame[..HEAD.len()].copy_from_slice(&HEAD);
    random.fill(&mut frame[HEAD.len()..]);
    frame
}

/// What follows it.
pub(super) fn strip(stored: &[u8]) -> Result<&[u8], Error> {
    match stored.strip_prefix(&HEAD).and_then(|rest| rest.get(RANDOM..)) {
        Some(rest) => Ok(rest),
        None => Err(Error::damaged("it does not begin with a skippable frame of 16 bytes")),
    }
}
