//! The process environment.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// Where environment variables come from.
pub trait Environment: Send + Sync + Debug {
    /// The value of a variable; `None` when it is not set or is not UTF-8.
    fn var(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Debug, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment enters the program")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// An environment that holds just these variables.
#[derive(Debug, Default, Clone)]
pub struct FixedEnvironment(pub BTreeMap<String, String>);

impl Environment for FixedEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// The system's folder for temporary files: what `TMPDIR` says, else `/tmp`.
pub fn temporary_folder() -> std::path::PathBuf {
    std::env::temp_dir()
}
