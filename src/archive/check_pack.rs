//! Proves a whole pack.

use crate::format::digest::Digest;
use crate::format::limits::PACK_MAX;

use super::tar_member::{BLOCK, check, read_header, space};
use super::{Error, FrameDecoder, skippable};

/// Decodes every frame of a pack and hashes every member. `found` learns of each one: its digest, its length in bytes,
/// offset and stored length of its frame, and where its bytes begin in the decoded frame.
///
/// The name of the pack is for the caller to compare; this proves what is inside.
///
/// # Errors
/// [`Error::Damaged`] for a pack above [`PACK_MAX`], a first frame that is not the 16 random bytes, a frame that does not decode,
/// a member that is not what its header says, bytes that are not zero between members, an end of the archive that is missing
/// or that something follows.
pub fn check_pack(stored: &[u8], found: &mut dyn FnMut(Digest, u32, (u64, u32), u32)) -> Result<(), Error> {
    if stored.len() > PACK_MAX {
        return Err(Error::damaged(format!("a pack of {} bytes, {PACK_MAX} are allowed", stored.len())));
    }
    let mut decoder = FrameDecoder::new();
    let mut rest = skippable::strip(stored)?;
    loop {
        let offset = stored.len() - rest.len();
        let at = |cause: Error| Error::damaged(format!("frame at {offset}: {}", cause));
        if rest.is_empty() {
            return Err(Error::damaged("the pack ends before the end of its tar archive"));
        }
        let (plain, length) = decoder.decode_first(rest).map_err(at)?;
        rest = &rest[length..];
        if plain == [0; 2 * BLOCK] {
            return if rest.is_empty() { Ok(()) } else { Err(Error::damaged("bytes after the end of the tar archive")) };
        }
        let frame = (offset as u64, u32::try_from(length).expect("a pack is far below 4 GiB"));
        members(plain, &mut |digest, length, offset| found(digest, length, frame, offset)).map_err(at)?;
    }
}

/// Walks the members of one decoded frame.
fn members(plain: &[u8], found: &mut dyn FnMut(Digest, u32, u32)) -> Result<(), Error> {
    let mut start = 0;
    while start < plain.len() {
        let cut = || Error::damaged("a member does not lie in its frame");
        let head = plain[start..].first_chunk::<BLOCK>().ok_or_else(cut)?;
        let (digest, length) = read_header(head)?;
        let body = plain.get(start + BLOCK..start + space(length)).ok_or_else(cut)?;
        let (bytes, padding) = body.split_at(length as usize);
        check(bytes, &digest)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Error::damaged(format!("blob {digest}: the padding after it is not zero")));
        }
        found(digest, length, u32::try_from(start + BLOCK).expect("a frame is at most 4 MiB"));
        start += space(length);
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_pack_tests.rs"]
mod tests;
