//! The repositories that this node has been made known in, and what their stores could do.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::node::Remote;
use super::{Context, Error};
use crate::repository::Probe;
use crate::sys::file;

/// The folder of these documents below the state folder.
const FOLDER: &str = "repositories";

#[derive(Serialize)]
struct Document<'a> {
    location: String,
    repository: &'a str,
    probe: &'a Probe,
}

/// A repository that this node was made known in.
#[derive(Debug, Deserialize)]
pub(super) struct Remembered {
    location: String,
    repository: String,
    #[serde(skip)]
    path: PathBuf,
}

/// Remembers a repository, and what the probe found of its store. What lay at the same place before is forgotten.
pub(super) fn remember(ctx: &Context, remote: &Remote, probe: &Probe) -> Result<(), Error> {
    let location = remote.store.describe();
    let path = ctx.state()?.folder(&[FOLDER])?.join(format!("{}.json", remote.marker.repository));
    for before in Remembered::all_at(ctx, &location)?.into_iter().filter(|known| known.path != path) {
        fs::remove_file(&before.path).map_err(Error::file("remove", &before.path))?;
    }
    let document = Document { location, repository: &remote.marker.repository, probe };
    Ok(file::replace(&path, &serde_json::to_vec_pretty(&document).expect("plain JSON"))?)
}

impl Remembered {
    /// The repository that lay at this place when the node was made known in it; a document that cannot be read is passed over.
    pub(super) fn at(ctx: &Context, location: &str) -> Result<Option<Self>, Error> {
        Ok(Self::all_at(ctx, location)?.into_iter().next())
    }

    /// Every document of this place; there is one, unless somebody else has put more there.
    fn all_at(ctx: &Context, location: &str) -> Result<Vec<Self>, Error> {
        if ctx.local.is_none() {
            return Ok(Vec::new());
        }
        let Ok(entries) = fs::read_dir(ctx.state()?.path(&[FOLDER])) else { return Ok(Vec::new()) };
        let read = |path: PathBuf| Some(Self { path: path.clone(), ..serde_json::from_slice(&fs::read(path).ok()?).ok()? });
        Ok(entries.filter_map(|entry| read(entry.ok()?.path())).filter(|known| known.location == location).collect())
    }

    /// Whether the repository that lies there now is this one.
    pub(super) fn check_same(&self, repository: &str) -> Result<(), Error> {
        if self.repository == repository {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "at {} lies the repository {repository} now, and {} was there when this node last set it up: is it the right bucket, is its disk \
             mounted? If it was replaced on purpose, run `windlass init`",
            self.location, self.repository
        )))
    }

    /// Why nothing is done at a place where this repository should be and nothing is.
    pub(super) fn is_gone(&self) -> Error {
        Error::Absent(format!(
            "there is no repository at {}, and the repository {} was there when this node last set it up: is its disk mounted, is it the \
             right bucket? If it is gone for good, remove {} and run `windlass init`",
            self.location,
            self.repository,
            self.path.display()
        ))
    }
}
