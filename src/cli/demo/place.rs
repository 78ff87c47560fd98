//! Where the demo happens: a folder that is kept, or one that is removed at the end.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::context::Program;
use crate::cli::failure::Failure;
use crate::format::escape::escape;
use crate::ops::Error;
use crate::sys::random::hex;
use crate::sys::tree::remove_tree;

/// The folder of the demo.
#[derive(Debug)]
pub(super) struct Place {
    /// Its absolute path.
    pub(super) root: PathBuf,
    kept: bool,
}

impl Place {
    /// A folder that is kept, which must be new or empty, or a temporary one.
    pub(super) fn new(keep: Option<&Path>, program: &Program) -> Result<Self, Failure> {
        let name = format!("windlass-demo-{}", hex(&*program.random, 4));
        let temporary = PathBuf::from(program.environment.var("TMPDIR").unwrap_or_else(|| "/tmp".into()));
        let root = keep.map_or_else(|| temporary.join(name), Path::to_owned);
        fs::create_dir_all(&root).map_err(Error::file("create the folder", &root))?;
        // Symbolic links on the way are resolved, so that the configuration says where things really lie.
        let root = fs::canonicalize(&root).map_err(Error::file("find", &root))?;
        if fs::read_dir(&root).map_err(Error::file("read the folder", &root))?.next().is_some() {
            return Err(Failure::Usage(format!("{} is not empty: the demo needs a new or an empty folder", root.display())));
        }
        let place = Self { root, kept: keep.is_some() };
        for folder in [place.live(), place.repository()] {
            fs::create_dir_all(&folder).map_err(Error::file("create the folder", &folder))?;
        }
        Ok(place)
    }

    /// What is backed up.
    pub(super) fn live(&self) -> PathBuf {
        self.root.join("live")
    }

    /// The repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// The configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.root.join("windlass.toml")
    }

    /// Writes the configuration.
    pub(super) fn configure(&self, database: &Path, settings: &Path) -> Result<(), Failure> {
        let text = format!(
            "# Made by `windlass demo`, to play on with.\n\n[node]\nname = \"demo\"\n\n[local]\ndir = {}\nkeep = 4\n\n[repository]\nurl = {}\n\n\
             [sqlite.ellis]\npath = {}\n\n[directory.clearwater]\npath = {}\n",
            quoted(&self.root.join("local"))?,
            url(&self.repository())?,
            quoted(database)?,
            quoted(settings)?
        );
        let path = self.config();
        Ok(fs::write(&path, text).map_err(Error::file("write", path))?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed from a folder of temporary files is removed with them.
            let _ = remove_tree(&self.root);
        }
    }
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| Failure::Usage(format!("{} is not UTF-8, and a configuration is", path.display())))
}

fn quoted(path: &Path) -> Result<String, Failure> {
    Ok(toml::Value::String(text(path)?.to_owned()).to_string())
}

/// The URL of a folder, in which `%` stands for itself only as `%25`.
fn url(path: &Path) -> Result<String, Failure> {
    Ok(toml::Value::String(format!("file://{}", escape(text(path)?.as_bytes()))).to_string())
}
