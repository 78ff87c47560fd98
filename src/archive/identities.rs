//! The secret identities that open what was sealed, and the files that hold them.

use std::fmt;
use std::io::{Read, Write};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};
use jiff::Timestamp;

use super::Error;
use crate::sys::secret::Secret;

/// Most bytes of an identity file: hundreds of identities fit.
pub const IDENTITY_FILE_MAX: u64 = 64 << 10;

/// What the work of guessing one passphrase is, as a power of two: the same as `age -p`. Takes about a second and 256 MiB for that time.
const WORK_FACTOR: u8 = 18;

/// Most work that is done for a passphrase, as a power of two: a file that asks for more than 1 GiB is not one that a person made.
const WORK_FACTOR_MAX: u8 = 20;

/// Secret identities; nothing of them is ever printed.
#[derive(Clone)]
pub struct Identities {
    keys: Vec<x25519::Identity>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identities").field(&self.recipients()).finish()
    }
}

impl Identities {
    /// Whether the text of an identity file is protected by a passphrase.
    pub fn is_protected(file: &[u8]) -> bool {
        let text = file.trim_ascii_start();
        text.starts_with(b"age-encryption.org/") || text.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
    }

    /// Reads an identity file as `age-keygen` writes it: identities, one a line, and comments. One that is protected needs its passphrase.
    ///
    /// # Errors
    /// [`Error::Identity`] saying what is wrong with it, and on which line; nothing of the file is shown.
    pub fn read(file: &[u8], passphrase: Option<&Secret>) -> Result<Self, Error> {
        if !Self::is_protected(file) {
            return Self::read_plain(file);
        }
        let passphrase = passphrase.ok_or_else(|| wrong("it is protected by a passphrase, which is missing"))?;
        let mut plain = open_protected(file.trim_ascii_start(), passphrase)?;
        let read = Self::read_plain(&plain);
        plain.fill(0);
        read
    }

    fn read_plain(file: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(file).map_err(|_| wrong("it is no text"))?;
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                keys.push(parse(line).map_err(|what| wrong(format!("line {}: {what}", at + 1)))?);
            }
        }
        if keys.is_empty() {
            return Err(wrong("it holds no identity"));
        }
        Ok(Self { keys })
    }

    /// The public recipients of these identities, in the order of the file.
    pub fn recipients(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.to_public().to_string()).collect()
    }

    /// As age takes them.
    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().map(|key| key as &dyn age::Identity)
    }
}

/// An identity that has just been made.
#[derive(Debug)]
pub struct NewIdentity {
    /// The text of its file, as `age-keygen` writes it.
    pub file: Secret,
    /// Its public recipient.
    pub recipient: String,
}

impl NewIdentity {
    /// Makes one. The randomness is the system's, taken by the age library itself.
    pub fn generate(now: Timestamp) -> Self {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let created = now.strftime("%Y-%m-%dT%H:%M:%SZ");
        let secret = identity.to_string();
        let file = format!("# created: {created}\n# public key: {recipient}\n{}\n", secret.expose_secret());
        Self { file: Secret::new(file), recipient }
    }

    /// The text of its file, protected by a passphrase, as `age -p -a` writes it.
    ///
    /// # Errors
    /// [`Error::Identity`].
    pub fn protected(&self, passphrase: &Secret) -> Result<Vec<u8>, Error> {
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase.expose().to_owned()));
        recipient.set_work_factor(WORK_FACTOR);
        let failed = |cause: std::io::Error| wrong(format!("it cannot be protected: {cause}"));
        let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as _)).map_err(|cause| wrong(cause.to_string()))?;
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).map_err(failed)?;
        let mut writer = encryptor.wrap_output(armor).map_err(failed)?;
        writer.write_all(self.file.expose().as_bytes()).map_err(failed)?;
        writer.finish().and_then(ArmoredWriter::finish).map_err(failed)
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::Identity(what.into())
}

fn open_protected(file: &[u8], passphrase: &Secret) -> Result<Vec<u8>, Error> {
    let decryptor = Decryptor::new(ArmoredReader::new(file)).map_err(|_| wrong("it looks like an age file and is none"))?;
    if !decryptor.is_scrypt() {
        return Err(wrong("it is sealed to recipients and not to a passphrase: open it with `age -d` first"));
    }
    let mut identity = scrypt::Identity::new(SecretString::from(passphrase.expose().to_owned()));
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    let refused = |cause| match cause {
        DecryptError::ExcessiveWork { required, .. } => {
            wrong(format!("its passphrase takes a work factor of {required}; up to {WORK_FACTOR_MAX} is done"))
        }
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys => {
            wrong("the passphrase is not the one that protects it")
        }
        _ => wrong("it is damaged: it does not open as an age file"),
    };
    let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(refused)?;
    let mut plain = Vec::new();
    reader.take(IDENTITY_FILE_MAX).read_to_end(&mut plain).map_err(|_| wrong("it is damaged: it does not open as an age file"))?;
    Ok(plain)
}

fn parse(line: &str) -> Result<x25519::Identity, &'static str> {
    let upper = line.to_uppercase();
    let starts = |with: &str| upper.starts_with(with);
    if starts("AGE-SECRET-KEY-PQ-") {
        Err("post-quantum identities are not supported; supported are X25519 identities, AGE-SECRET-KEY-1…")
    } else if starts("AGE-PLUGIN-") {
        Err("identities of age plugins are not supported; supported are X25519 identities, AGE-SECRET-KEY-1…")
    } else if starts("-----BEGIN") {
        Err("SSH and PGP keys are not supported; supported are X25519 identities, AGE-SECRET-KEY-1…")
    } else if starts("AGE1") {
        Err("this is a public recipient: the identity that belongs to it, AGE-SECRET-KEY-1…, is needed")
    } else {
        line.parse().map_err(|_| "this is no whole identity, AGE-SECRET-KEY-1…: a letter is missing or wrong")
    }
}

#[cfg(test)]
#[path = "identities_tests.rs"]
mod tests;
