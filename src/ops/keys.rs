//! The keys of an encrypted repository: to whom a run seals, and with what it opens.

use std::fmt;
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;

use super::Error;
use super::error::chain;
use crate::archive;
pub use crate::archive::{IDENTITY_FILE_MAX, Identities, NewIdentity, Recipients};
use crate::format::head::Head;
use crate::format::marker::Encryption;

/// How a verb comes by its identities, at their first use; `None` = this run was given none.
pub type OpenIdentities = Box<dyn Fn() -> Result<Option<Identities>, Error> + Send + Sync>;

/// What to do where an identity is missing.
const GIVE_ONE: &str = "say --identity-file FILE, or set identity_file in [repository], where the identity is kept";

/// The keys of one run.
pub struct Keys {
    recipients: Recipients,
    source: Mutex<OpenIdentities>,
    /// What came of it, failures too: a person who could not be asked, or mistook the passphrase, is not asked for every object.
    opened: OnceLock<Result<Option<Identities>, String>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("recipients", &self.recipients).finish_non_exhaustive()
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(Recipients::default(), Box::new(|| Ok(None)))
    }
}

impl Keys {
    /// Keys that seal to these recipients; nothing is opened yet.
    pub fn new(recipients: Recipients, open: OpenIdentities) -> Self {
        Self { recipients, source: Mutex::new(open), opened: OnceLock::new() }
    }

    /// To whom this run seals; nobody = the repository must not be encrypted.
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }

    /// What the marker of a repository must say for this run to store anything in it.
    pub fn encryption(&self) -> Encryption {
        if self.recipients.is_empty() { Encryption::None } else { Encryption::Age }
    }

    /// The identities, read (and asked for a passphrase) at the first call; `None` when this run was given none.
    ///
    /// # Errors
    /// What reading them gives; the same in words, as [`Error::Usage`], at every later call.
    pub fn identities(&self) -> Result<Option<&Identities>, Error> {
        // Held while they are read, so that a person is asked for a passphrase once.
        let open = self.source.lock().expect("nothing panics while it holds this lock");
        match self.opened.get() {
            Some(Ok(opened)) => return Ok(opened.as_ref()),
            Some(Err(problem)) => return Err(Error::Usage(problem.clone())),
            None => {}
        }
        match open() {
            Ok(identities) => Ok(self.opened.get_or_init(|| Ok(identities)).as_ref().ok().and_then(Option::as_ref)),
            Err(error) => {
                if !error.is_stopped() {
                    self.opened.get_or_init(|| Err(chain(&error)));
                }
                Err(error)
            }
        }
    }

    /// Whether an identity at hand opens what this snapshot needs.
    ///
    /// # Errors
    /// What reading the identities gives; that there is none, or only those of others, is an answer.
    pub fn open(&self, head: &Head) -> Result<bool, Error> {
        if head.recipients.is_empty() {
            return Ok(true);
        }
        let Some(identities) = self.identities()? else { return Ok(false) };
        Ok(identities.recipients().iter().any(|own| head.recipients.contains(own)))
    }

    /// Whether what this snapshot needs can be opened; asked before anything is fetched, so that the answer can say who can.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the recipients of the snapshot; what reading the identities gives.
    pub fn check_readable(&self, head: &Head) -> Result<(), Error> {
        if self.open(head)? {
            return Ok(());
        }
        let (snapshot, sealed_to) = (format!("{}/{}", head.source, head.id), head.recipients.join(", "));
        let Some(identities) = self.identities()? else {
            return Err(Error::Usage(format!(
                "{snapshot} is encrypted to {sealed_to}, and this run has no identity that opens it: {GIVE_ONE}"
            )));
        };
        let own = identities.recipients();
        Err(Error::Usage(format!(
            "{snapshot} is encrypted to {sealed_to}, and the identity file holds the identity of {}, which does not open it: use the \
             identity of one of its recipients",
            own.join(", ")
        )))
    }

    /// What an object opens to; its name has matched its stored bytes. A plain one is given back as it is.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it does not open; [`Error::Usage`] without an identity, and [`archive::Error::NoIdentity`] when it is sealed to
    /// others although its snapshot's manifest says otherwise.
    pub fn opened(&self, encryption: Encryption, key: &str, stored: Bytes) -> Result<Bytes, Error> {
        if encryption == Encryption::None {
            return Ok(stored);
        }
        let Some(identities) = self.identities()? else {
            return Err(Error::Usage(format!("{key} is encrypted, and this run has no identity that opens it: {GIVE_ONE}")));
        };
        archive::unseal(&stored, identities).map_err(|cause| match cause {
            archive::Error::NoIdentity => cause.into(),
            cause => Error::damaged(key, cause),
        })
    }

    /// Whether the marker and the configuration agree, which whoever stores something must know first.
    ///
    /// # Errors
    /// [`Error::Usage`] saying what to change.
    pub fn check_agreement(&self, encryption: Encryption) -> Result<(), Error> {
        match (encryption, self.recipients.is_empty()) {
            (Encryption::None, true) | (Encryption::Age, false) => Ok(()),
            (Encryption::Age, true) => Err(Error::Usage(
                "the repository is encrypted, and the configuration says to nobody: nothing is stored in plain there. Set encrypt_to in \
                 [repository] to its recipients; `windlass show` names them"
                    .into(),
            )),
            (Encryption::None, false) => Err(Error::Usage(
                "the configuration has encrypt_to, and the repository is not encrypted, which cannot be changed afterwards: choose an empty \
                 prefix for an encrypted one, or take encrypt_to out"
                    .into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_person_who_could_not_answer_is_not_asked_again() {
        let asked = Arc::new(AtomicUsize::new(0));
        let open = {
            let asked = asked.clone();
            move || match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::Stopped),
                _ => Err(Error::Refused("the passphrase is wrong".into())),
            }
        };
        let keys = Keys::new(Recipients::default(), Box::new(open));
        assert!(keys.identities().unwrap_err().is_stopped());
        for _ in 0..3 {
            assert!(keys.identities().unwrap_err().to_string().contains("the passphrase is wrong"));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "only what was stopped is begun anew");
    }
}
