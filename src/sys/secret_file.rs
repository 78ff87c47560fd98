//! A file that holds one secret: its first line, or all of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::secret::Secret;

/// Most bytes of a file that holds one secret: keys, tokens and passphrases are far shorter, so a larger file is the wrong one.
const SECRET_MAX: u64 = 64 << 10;

/// What a file of one secret holds.
#[derive(Debug)]
pub struct SecretFile {
    /// The first line, without its end; what follows is for people. Or all that it holds.
    pub secret: Secret,
    /// Whether every user of the machine can read the file.
    pub is_open: bool,
}

impl SecretFile {
    /// Reads a file. Every file of a secret is read here, so that the same file always means the same secret.
    ///
    /// # Errors
    /// What the file system gives; a file of more than 64 KiB; a first line that is not UTF-8.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::read_part(path, |bytes| {
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            line.strip_suffix(b"\r").unwrap_or(line)
        })
    }

    /// Reads a file that is a secret as a whole, such as a key of a service account, which is a document of many lines.
    ///
    /// # Errors
    /// As [`SecretFile::read`].
    pub fn read_whole(path: &Path) -> io::Result<Self> {
        Self::read_part(path, |bytes| bytes)
    }

    fn read_part(path: &Path, part: fn(&[u8]) -> &[u8]) -> io::Result<Self> {
        let file = File::open(path)?;
        let is_open = file.metadata()?.permissions().mode() & 0o007 != 0;
        let mut bytes = Vec::new();
        file.take(SECRET_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > SECRET_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long to hold one secret"));
        }
        let text = std::str::from_utf8(part(&bytes)).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its text is not UTF-8"))?;
        let secret = Secret::new(text);
        bytes.fill(0);
        Ok(Self { secret, is_open })
    }

    /// What to say where every user can read it.
    pub fn warning(&self, path: &Path) -> Option<String> {
        self.is_open.then(|| format!("{} holds a secret and can be read by every user of this machine: chmod 600 it", path.display()))
    }
}
