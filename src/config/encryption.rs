//! The part of `[repository]` that is about encryption.

use std::path::PathBuf;

use super::file;
use super::mistake::Gatherer;
use crate::ops::keys::Recipients;
use crate::sys::environment::Environment;
use crate::sys::secret::Secret;

/// To whom a repository is encrypted, and what opens it.
#[derive(Debug, Default)]
pub struct Encryption {
    /// Public recipients; none = not encrypted.
    pub recipients: Recipients,
    /// The file with the identity; only where encrypted snapshots are read.
    pub identity_file: Option<PathBuf>,
    /// The passphrase that protects it, or the one that is given with `--identity-file`, or why it cannot be had, which only matters where something is opened; without one a person is asked.
    pub identity_passphrase: Option<Result<Secret, String>>,
}

impl Encryption {
    /// Resolves it; what is wrong goes to the gatherer.
    pub(super) fn resolve(written: &file::Repository, environment: &dyn Environment, gather: &Gatherer<'_>) -> Self {
        let mut recipients = Recipients::default();
        if let Some(list) = &written.encrypt_to {
            let texts = list.value.iter().map(String::as_str);
            match Recipients::read(texts) {
                // What was meant by an empty list nobody knows, and storing in plain cannot be taken back.
                Ok(read) if read.is_empty() => {
                    gather.mistake(list.at, &list.key, "this names nobody: write age1… recipients, or take it out to store in plain");
                }
                Ok(read) => recipients = read,
                Err(cause) => gather.mistake(list.at, &list.key, cause.to_string()),
            }
        }
        Self {
            recipients,
            identity_file: written.identity_file.as_ref().map(|file| file.value.clone()),
            identity_passphrase: written.identity_passphrase.as_ref().map(|secret| secret.look_up_for_later(environment, gather)),
        }
    }
}
