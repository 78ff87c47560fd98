//! The bytes of an object on their way into memory: as they are, or sealed as an age file.
//!
//! Sealing streams: what is appended is encrypted in age's chunks of 64 KiB and goes straight into the buffer that is sent, so a sealed
//! pack takes no more memory than a plain one.
//!
//! Before it is handed on, a sealed object is opened again and compared, although this machine holds no identity: the age library lets a
//! recipient see the file key that it wraps, and that key opens the file. What this cannot prove is the wrapping itself, one 32-byte
//! stanza for each recipient: only an identity can.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::iter;

use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use age::{DecryptError, Decryptor, EncryptError, Encryptor, x25519};
use age_core::format::{FileKey, Stanza};
use bytes::Bytes;

use super::identities::Identities;
use super::{Error, Recipients};
use crate::format::digest::{Digest, Hasher};
use crate::sys::buffer::Buffer;

/// Most bytes of the header of an age file: a hundred recipients take less. The library reads a header in time that grows with the square
/// of its length, so a longer one is refused before.
const HEADER_MAX: usize = 64 << 10;

/// What ends a header, but for its code.
const HEADER_END: &[u8] = b"\n--- ";

/// An object that bytes are appended to.
pub(super) enum Sealing {
    /// Stored as it is.
    Plain(Stored),
    /// Stored as an age file.
    Sealed(Box<Sealed>),
}

pub(super) struct Sealed {
    stream: StreamWriter<Stored>,
    /// SHA-256 of what went in.
    plain: Hasher,
    key: FileKey,
}

/// Stored bytes and their SHA-256.
pub(super) struct Stored {
    bytes: Buffer,
    hasher: Hasher,
}

impl Write for Stored {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.bytes.room() {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the object is larger than the format allows"));
        }
        self.hasher.update(bytes);
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sealing {
    /// An object of at most so many stored bytes for these recipients; none = as it is.
    pub(super) fn new(at_most: usize, recipients: &Recipients) -> Result<Self, Error> {
        let stored = Stored { bytes: Buffer::with_capacity(at_most), hasher: Hasher::new() };
        if recipients.is_empty() {
            return Ok(Self::Plain(stored));
        }
        let kept = RefCell::new(None);
        let keys: Vec<Keeping<'_>> = recipients.keys().into_iter().map(|recipient| Keeping { recipient, kept: &kept }).collect();
        let encryptor = Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient));
        let encryptor = encryptor.map_err(|cause| Error::Sealing { cause: io::Error::other(cause) })?;
        drop(keys);
        let key = kept.into_inner().expect("every recipient is asked to wrap the key");
        let stream = encryptor.wrap_output(stored).map_err(|cause| Error::Sealing { cause })?;
        Ok(Self::Sealed(Box::new(Sealed { stream, plain: Hasher::new(), key })))
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = match self {
            Self::Plain(stored) => stored.write_all(bytes),
            Self::Sealed(sealed) => {
                sealed.plain.update(bytes);
                sealed.stream.write_all(bytes)
            }
        };
        written.map_err(|cause| Error::Sealing { cause })
    }

    /// The name and the stored bytes; a sealed object has been opened again and compared.
    pub(super) fn finish(self) -> Result<(Digest, Bytes), Error> {
        match self {
            Self::Plain(Stored { bytes, hasher }) => Ok((hasher.finish(), bytes.freeze())),
            Self::Sealed(sealed) => {
                let Sealed { stream, plain, key } = *sealed;
                let Stored { bytes, hasher } = stream.finish().map_err(|cause| Error::Sealing { cause })?;
                if digest_of_opened(&bytes, &key).ok() != Some(plain.finish()) {
                    return Err(Error::ReadBack { what: "an object that was just sealed does not open" });
                }
                Ok((hasher.finish(), bytes.freeze()))
            }
        }
    }
}

/// A recipient that keeps the file key which it is given to wrap.
struct Keeping<'a> {
    recipient: x25519::Recipient,
    kept: &'a RefCell<Option<FileKey>>,
}

fn copy(key: &FileKey) -> FileKey {
    FileKey::init_with_mut(|copy| copy.copy_from_slice(key.expose_secret()))
}

impl age::Recipient for Keeping<'_> {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        *self.kept.borrow_mut() = Some(copy(key));
        self.recipient.wrap_file_key(key)
    }
}

/// A file key that is known: opens its file without any identity.
struct Known<'a>(&'a FileKey);

impl age::Identity for Known<'_> {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(copy(self.0)))
    }
}

/// SHA-256 of what a sealed object opens to.
fn digest_of_opened(stored: &[u8], key: &FileKey) -> Result<Digest, DecryptError> {
    let mut reader = Decryptor::new_buffered(stored)?.decrypt(iter::once(&Known(key) as &dyn age::Identity))?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 64 << 10]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Opens a sealed object, whose name the caller has compared. The outcome takes as much memory again.
///
/// # Errors
/// [`Error::NoIdentity`] when it is sealed to others; [`Error::Damaged`] when it is no whole age file.
pub fn unseal(stored: &[u8], identities: &Identities) -> Result<Bytes, Error> {
    let damaged = || Error::damaged("it does not open as an age file");
    let head = &stored[..stored.len().min(HEADER_MAX)];
    if !head.windows(HEADER_END.len()).any(|window| window == HEADER_END) {
        return Err(damaged());
    }
    let decryptor = Decryptor::new_buffered(stored).map_err(|_| damaged())?;
    let mut reader = decryptor.decrypt(identities.keys()).map_err(|cause| match cause {
        DecryptError::NoMatchingKeys => Error::NoIdentity,
        _ => damaged(),
    })?;
    // What it opens to is shorter than what is stored, by its header at least.
    let mut plain = Buffer::with_capacity(stored.len());
    loop {
        match reader.read(plain.spare()).map_err(|_| damaged())? {
            0 => return Ok(plain.freeze()),
            read => plain.filled(read),
        }
    }
}

#[cfg(test)]
#[path = "sealing_tests.rs"]
mod tests;
