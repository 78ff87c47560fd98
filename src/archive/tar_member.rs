//! One blob as a member of a tar archive: a 512-byte ustar header, the bytes, and zero bytes up to a multiple of 512.

use std::sync::LazyLock;

use tar::{EntryType, Header};

use crate::format::digest::Digest;
use crate::format::limits::{BLOB_MAX, FRAME_MAX};

use super::Error;

/// The unit of the tar format, in bytes.
pub(super) const BLOCK: usize = 512;

/// Where a header keeps its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Everything of a header but the name, the size and the checksum. All members look the same, so that they compress well.
static TEMPLATE: LazyLock<Header> = LazyLock::new(|| {
    let mut header = Header::new_ustar();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(EntryType::Regular);
    header
});

/// How many bytes of a frame a blob of this length takes, header and padding counted.
pub(super) fn space(length: u32) -> usize {
    BLOCK + (length as usize).next_multiple_of(BLOCK)
}

/// The header of a blob.
pub(super) fn header(digest: &Digest, length: u32) -> [u8; BLOCK] {
    let mut header = TEMPLATE.clone();
    header.set_path(digest.to_string()).expect("64 digits fit a ustar name");
    header.set_size(u64::from(length));
    header.set_cksum();
    *header.as_bytes()
}

/// Reads a header: the blob's digest and its length.
pub(super) fn read_header(bytes: &[u8; BLOCK]) -> Result<(Digest, u32), Error> {
    let wrong = |what: String| Err(Error::damaged(format!("a tar header {what}")));
    let header = Header::from_byte_slice(bytes);
    let sum = |part: &[u8]| part.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let spaces = u32::from(b' ') * CHECKSUM.len() as u32;
    let expected = sum(&bytes[..CHECKSUM.start]) + spaces + sum(&bytes[CHECKSUM.end..]);
    if header.cksum().ok() != Some(expected) {
        return wrong("whose checksum is wrong".into());
    }
    if header.as_ustar().is_none() || header.entry_type() != EntryType::Regular {
        return wrong("of another kind than a plain ustar file".into());
    }
    let name = header.path_bytes();
    let Some(digest) = std::str::from_utf8(&name).ok().and_then(|name| name.parse().ok()) else {
        return wrong(format!("named `{}`, which is not a SHA-256", name.escape_ascii()));
    };
    match header.entry_size().ok().and_then(|size| u32::try_from(size).ok()) {
        Some(length) if length > 0 && length as usize <= BLOB_MAX => Ok((digest, length)),
        _ => wrong(format!("of `{digest}` whose size no blob can have")),
    }
}

/// The bytes of the blob that begins at `offset` of a decoded frame, proven to be those of `digest`.
///
/// # Errors
/// [`Error::Damaged`] when they do not lie in the frame, when the tar header before them says another name or length,
/// or when their SHA-256 is another.
pub fn member<'a>(frame: &'a [u8], offset: u32, length: u32, digest: &Digest) -> Result<&'a [u8], Error> {
    let start = offset as usize;
    let aligned = start >= BLOCK && start.is_multiple_of(BLOCK) && start <= FRAME_MAX;
    let bytes = frame.get(start..start.saturating_add(length as usize)).filter(|_| aligned);
    let head = frame.get(start.saturating_sub(BLOCK)..start).and_then(|head| head.first_chunk::<BLOCK>());
    let (Some(bytes), Some(head)) = (bytes, head) else {
        return Err(Error::damaged(format!("blob {digest}: {length} bytes at {offset} do not lie in a frame of {} bytes", frame.len())));
    };
    let (name, size) = read_header(head)?;
    if (name, size) != (*digest, length) {
        return Err(Error::damaged(format!("blob {digest} of {length} bytes: {name} of {size} bytes lies in its place")));
    }
    check(bytes, digest)?;
    Ok(bytes)
}

/// Proves that `bytes` are those of `digest`.
pub(super) fn check(bytes: &[u8], digest: &Digest) -> Result<(), Error> {
    match Digest::of(bytes) {
        found if found == *digest => Ok(()),
        found => Err(Error::damaged(format!("blob {digest}: its bytes have the SHA-256 {found}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(blob: &[u8]) -> (Vec<u8>, Digest, u32) {
        let (digest, length) = (Digest::of(blob), u32::try_from(blob.len()).unwrap());
        let mut frame = header(&digest, length).to_vec();
        frame.extend_from_slice(blob);
        frame.resize(space(length), 0);
        (frame, digest, length)
    }

    #[test]
    fn a_member_comes_back_whole() {
        let (frame, digest, length) = frame(b"seven bytes of a blob");
        assert_eq!(member(&frame, 512, length, &digest).unwrap(), b"seven bytes of a blob");
    }

    #[test]
    fn places_outside_the_frame_are_refused() {
        let (frame, digest, length) = frame(&[7; 600]);
        for (offset, length) in
            [(0, length), (511, length), (513, length), (1024, length), (512, 2000), (u32::MAX, u32::MAX), (512, u32::MAX)]
        {
            assert!(matches!(member(&frame, offset, length, &digest), Err(Error::Damaged(_))), "{offset} {length}");
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let (good, digest, length) = frame(&[7; 600]);
        let other = Digest::of(b"other");
        let mut renamed = good.clone();
        renamed[..512].copy_from_slice(&header(&other, length));
        assert!(member(&renamed, 512, length, &digest).is_err());
        assert!(member(&renamed, 512, length, &other).is_err());
        let mut resized = good.clone();
        resized[..512].copy_from_slice(&header(&digest, length - 1));
        assert!(member(&resized, 512, length, &digest).is_err());
        let mut flipped = good.clone();
        flipped[600] ^= 1;
        assert!(member(&flipped, 512, length, &digest).is_err());
        let mut unsummed = good;
        unsummed[100] ^= 1;
        assert!(member(&unsummed, 512, length, &digest).is_err());
    }

    #[test]
    fn headers_of_other_kinds_are_refused() {
        let digest = Digest::of(b"x");
        for (kind, size) in [(EntryType::Symlink, 1), (EntryType::Directory, 1), (EntryType::Regular, 0), (EntryType::Regular, 1 << 33)] {
            let mut header = Header::new_ustar();
            header.set_path(digest.to_string()).unwrap();
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            assert!(read_header(header.as_bytes()).is_err(), "{kind:?} {size}");
        }
        assert!(read_header(&[0; 512]).is_err());
    }
}
