//! Reading the identity file, when something encrypted is to be opened.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::Output;
use crate::ops::Error;
use crate::ops::keys::{IDENTITY_FILE_MAX, Identities, OpenIdentities};
use crate::sys::secret::Secret;
use crate::sys::stop::Stop;
use crate::sys::terminal;

/// The file name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The passphrase that the configuration gives, or why it cannot be had.
pub(super) type Passphrase = Option<Result<Secret, String>>;

/// How the identities of a run are read; `None` where there is no file.
pub(super) fn opener(file: Option<PathBuf>, passphrase: Passphrase, output: &Arc<Output>, stop: &Stop) -> OpenIdentities {
    let (output, stop) = (Arc::clone(output), stop.clone());
    Box::new(move || match &file {
        Some(file) => open(file, passphrase.as_ref(), &output, &stop).map(Some),
        None => Ok(None),
    })
}

fn open(file: &Path, passphrase: Option<&Result<Secret, String>>, output: &Output, stop: &Stop) -> Result<Identities, Error> {
    let name = if file.as_os_str() == STANDARD_INPUT { "standard input".to_owned() } else { file.display().to_string() };
    let wrong = |what: String| Error::Usage(format!("the identity file ({name}): {what}"));
    let mut text = Vec::new();
    let read = if file.as_os_str() == STANDARD_INPUT {
        io::stdin().take(IDENTITY_FILE_MAX + 1).read_to_end(&mut text)
    } else {
        File::open(file).and_then(|opened| {
            if opened.metadata()?.permissions().mode() & 0o077 != 0 {
                output.warning(format!("{name} holds a secret identity and can be read by others: chmod 600 it"));
            }
            opened.take(IDENTITY_FILE_MAX + 1).read_to_end(&mut text)
        })
    };
    read.map_err(|cause| wrong(format!("it cannot be read: {cause}")))?;
    if text.len() as u64 > IDENTITY_FILE_MAX {
        return Err(wrong(format!("it is larger than {IDENTITY_FILE_MAX} bytes, so it is no identity file")));
    }
    let is_protected = Identities::is_protected(&text);
    let passphrase = match passphrase {
        Some(Err(why)) if is_protected => return Err(Error::Usage(why.clone())),
        given => given.and_then(|given| given.as_ref().ok()),
    };
    let asked = match passphrase {
        None if is_protected => Some(ask(&format!("Passphrase of {name}: "), stop)?),
        _ => None,
    };
    let identities = Identities::read(&text, passphrase.or(asked.as_ref())).map_err(|cause| wrong(cause.to_string()));
    text.fill(0);
    identities
}

/// Asks for a passphrase at the terminal.
pub(super) fn ask(question: &str, stop: &Stop) -> Result<Secret, Error> {
    terminal::ask_secret(question, stop).map_err(|cause| match cause.kind() {
        io::ErrorKind::Interrupted => Error::Stopped,
        io::ErrorKind::NotFound => {
            Error::Usage("a passphrase is needed, and there is no terminal to ask at: set identity_passphrase_file in [repository]".into())
        }
        _ => Error::file("read the passphrase from", "the terminal")(cause),
    })
}
