//! Where the configuration file is.

use std::path::{Path, PathBuf};

use crate::sys::environment::Environment;

/// The file that is read when nothing else is said.
pub const DEFAULT_FILE: &str = "/etc/windlass/windlass.toml";

/// The variable that names another file.
pub const VARIABLE: &str = "WINDLASS_CONFIG";

/// The file that counts: `--config`, else `WINDLASS_CONFIG`, else [`DEFAULT_FILE`].
pub fn find(option: Option<&Path>, environment: &dyn Environment) -> PathBuf {
    match (option, environment.var(VARIABLE).filter(|path| !path.is_empty())) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => path.into(),
        (None, None) => DEFAULT_FILE.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::environment::FixedEnvironment;

    #[test]
    fn the_option_goes_before_the_variable_and_that_before_the_default() {
        let set = FixedEnvironment([(VARIABLE.to_owned(), "/b".to_owned())].into());
        let unset = FixedEnvironment::default();
        assert_eq!(find(Some(Path::new("/a")), &set), Path::new("/a"));
        assert_eq!(find(None, &set), Path::new("/b"));
        assert_eq!(find(None, &unset), Path::new(DEFAULT_FILE));
    }
}
