//! Secrets: written as `KEY`, or better kept elsewhere and pointed to by `KEY_file` or `KEY_env`.

use std::io;
use std::path::{Path, PathBuf};

use super::mistake::Gatherer;
use super::section::{Section, Written};
use crate::sys::environment::Environment;
use crate::sys::secret::Secret;
use crate::sys::secret_file::SecretFile;

/// Where a secret is.
#[derive(Debug)]
enum Place {
    Here(Secret),
    File(PathBuf),
    /// All of a file.
    Document(PathBuf),
    Variable(String),
}

/// A secret as it was written, not looked up yet.
#[derive(Debug)]
pub(super) struct WrittenSecret {
    at: usize,
    key: String,
    place: Place,
}

impl WrittenSecret {
    /// Reads the one of the three keys that is there; more than one is a mistake.
    pub(super) fn read(section: &Section<'_, '_>, gather: &Gatherer<'_>, [plain, file, variable]: [&'static str; 3]) -> Option<Self> {
        let mut written: Vec<Self> = Vec::new();
        written.extend(section.secret(plain).map(|text| Self::new(text, |text| Place::Here(Secret::new(text)))));
        written.extend(section.path(file).map(|path| Self::new(path, Place::File)));
        written.extend(section.text(variable).map(|name| Self::new(name, Place::Variable)));
        written.sort_by_key(|secret| secret.at);
        for extra in written.iter().skip(1) {
            gather.mistake(extra.at, &extra.key, format!("this secret is already given by `{}`: keep one of them", written[0].key));
        }
        written.into_iter().next()
    }

    fn new<T>(written: Written<T>, place: impl FnOnce(T) -> Place) -> Self {
        Self { at: written.at, key: written.key, place: place(written.value) }
    }

    /// The same secret where its file is a secret as a whole, rather than its first line.
    pub(super) fn of_many_lines(self) -> Self {
        match self.place {
            Place::File(path) => Self { place: Place::Document(path), ..self },
            place => Self { place, ..self },
        }
    }

    /// Where its key stands in the text, and the key.
    pub(super) fn place(&self) -> (usize, &str) {
        (self.at, &self.key)
    }

    /// Whether the configuration file itself holds it.
    pub(super) fn is_in_the_text(&self) -> bool {
        matches!(self.place, Place::Here(_))
    }

    /// Looks it up; what is wrong goes to the gatherer.
    pub(super) fn look_up(&self, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<Secret> {
        self.look_up_now(environment, gather).map_err(|message| gather.mistake(self.at, &self.key, message)).ok()
    }

    /// The same for a secret that most runs do without: what is wrong is told, with its key, to whoever needs it.
    pub(super) fn look_up_for_later(&self, environment: &dyn Environment, gather: &Gatherer<'_>) -> Result<Secret, String> {
        self.look_up_now(environment, gather).map_err(|message| format!("{}: {message}", self.key))
    }

    fn look_up_now(&self, environment: &dyn Environment, gather: &Gatherer<'_>) -> Result<Secret, String> {
        let found = match &self.place {
            Place::Here(secret) => secret.clone(),
            Place::Variable(name) => match environment.var(name) {
                Some(value) => Secret::new(value),
                None if looks_like_a_name(name) => return Err(format!("the environment variable {name} is not set")),
                None => {
                    return Err(
                        "this should be the name of an environment variable, such as WINDLASS_SECRET, and none of this name is set".into(),
                    );
                }
            },
            Place::File(path) => self.read_file(path, SecretFile::read(path), gather)?,
            Place::Document(path) => self.read_file(path, SecretFile::read_whole(path), gather)?,
        };
        if found.expose().is_empty() { Err("the secret is empty".into()) } else { Ok(found) }
    }

    fn read_file(&self, path: &Path, read: io::Result<SecretFile>, gather: &Gatherer<'_>) -> Result<Secret, String> {
        let file = read.map_err(|cause| format!("{} cannot be read: {cause}", path.display()))?;
        if file.is_open {
            gather.warning(format!("{} ({}) can be read by every user of this machine: chmod 600 it", path.display(), self.key));
        }
        Ok(file.secret)
    }
}

/// Whether a text is surely the name of a variable. Anything else is not shown: somebody may have written the secret itself in its place.
fn looks_like_a_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') && text.contains('_')
}
