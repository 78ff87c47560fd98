//! Small documents that prove themselves: the last field is the SHA-256 of everything before it.
//!
//! Packs and file lists are named by their digest, a body's digest stands in its head; the marker, node files and heads have nobody to
//! vouch for them, so a flipped digit in a number would go unnoticed without this.

use super::FormatError;
use super::digest::Digest;

/// What stands before and after the digest at the end of a document.
const BEFORE: &[u8] = b",\"sha256\":\"";
const AFTER: &[u8] = b"\"}\n";

/// Length of the digest in text.
const HEX: usize = 64;

/// Adds the field and the newline to the JSON of an object that is not empty.
pub(crate) fn with_own_digest(mut json: Vec<u8>) -> Vec<u8> {
    json.push(b'\n');
    let digest = Digest::of(&json).to_string();
    json.truncate(json.len() - b"}\n".len());
    [json.as_slice(), BEFORE, digest.as_bytes(), AFTER].concat()
}

/// Checks the field of a document.
///
/// # Errors
/// [`FormatError::Invalid`] when it is missing or does not match.
pub(crate) fn check_own_digest(text: &[u8]) -> Result<(), FormatError> {
    let missing = || FormatError::invalid("the document does not end with its SHA-256");
    let rest = text.strip_suffix(AFTER).ok_or_else(missing)?;
    let (rest, digest) = rest.split_at_checked(rest.len().wrapping_sub(HEX)).ok_or_else(missing)?;
    let rest = rest.strip_suffix(BEFORE).ok_or_else(missing)?;
    let digest: Digest = std::str::from_utf8(digest).map_err(|_| missing())?.parse()?;
    if Digest::of(&[rest, b"}\n"].concat()) == digest {
        Ok(())
    } else {
        Err(FormatError::invalid("the document does not match the SHA-256 that it ends with"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let text = with_own_digest(br#"{"format":1,"size":"12"}"#.to_vec());
        check_own_digest(&text).unwrap();
        for at in 0..text.len() {
            assert!(check_own_digest(&text[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = text.clone();
                other[at] ^= 1 << bit;
                assert!(check_own_digest(&other).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(check_own_digest(&[text.as_slice(), b"\n"].concat()).is_err());
    }
}
