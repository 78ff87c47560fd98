//! A node's file put in place of the old one, which is kept beside it.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::NodeFile;
use crate::source::Error;
use crate::source::cassandra::node_config::read_text;
use crate::sys::file;

/// How the name of the old file ends; a number follows where that name is taken.
const KEPT: &str = ".before-windlass";

/// Most old files that lie there, after which one has to go: each is of a time when somebody meant another node.
const KEPT_MAX: usize = 100;

impl NodeFile {
    /// Writes what is needed. Gives where the old file is kept; nothing where the file says all of it already.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file was changed since it was read; [`Error::System`] with the lines to write by hand. Then it is as it was.
    pub fn write(&self) -> Result<Option<PathBuf>, Error> {
        if self.is_as_needed() {
            return Ok(None);
        }
        if read_text(&self.path)? != self.before {
            return Err(Error::Refused { why: format!("{} was changed meanwhile: plan again", self.path.display()) });
        }
        self.put().map(Some).map_err(|error| Error::NodeConfig {
            path: self.path.clone(),
            line: None,
            why: format!(
                "it cannot be written ({}); it is as it was: run this as root, or write into it by hand `{}`, and restore again",
                told(&error),
                self.by_hand.join("`, `")
            ),
        })
    }

    fn put(&self) -> Result<PathBuf, Error> {
        let like = fs::metadata(&self.path).map_err(Error::file("look at", &self.path))?;
        let kept = self.keep(&like)?;
        file::replace_like(&self.path, self.after.as_bytes(), &like)?;
        Ok(kept)
    }

    /// Keeps the old file under a name that no file has, or in one that holds the same already: of a run that was broken off.
    fn keep(&self, like: &fs::Metadata) -> Result<PathBuf, Error> {
        for count in 1..=KEPT_MAX {
            let path = kept_as(&self.path, count);
            match fs::read(&path) {
                Ok(bytes) if bytes == self.before.as_bytes() => return Ok(path),
                Ok(_) => {}
                Err(cause) if cause.kind() == ErrorKind::NotFound => {
                    file::write_new_like(&path, self.before.as_bytes(), like)?;
                    return Ok(path);
                }
                Err(cause) => return Err(Error::file("read", path)(cause)),
            }
        }
        Err(Error::Refused {
            why: format!("{KEPT_MAX} old ones lie beside it already: remove some of {}…", kept_as(&self.path, 1).display()),
        })
    }
}

fn kept_as(path: &Path, count: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(KEPT);
    if count > 1 {
        name.push(format!("-{count}"));
    }
    PathBuf::from(name)
}

/// An error with its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
