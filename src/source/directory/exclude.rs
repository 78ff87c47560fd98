//! Which files of a directory are left out.

use std::fmt;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::format::path::RelPath;
use crate::source::Error;

/// Names at the root that are the restore's own: never part of a snapshot, never replaced by one.
pub const OWN_NAMES: [&[u8]; 2] = [b".windlass-staging", b".windlass-undo"];

/// Patterns of paths that are left out.
///
/// The rules are those of `.gitignore`, but for negation:
/// - a pattern without a `/` (or with one at its end only) matches the name of anything at any depth;
/// - a pattern with a `/` matches from the root of the source; a `/` at its beginning changes nothing else;
/// - a `/` at the end matches directories only;
/// - `*` and `?` do not match a `/`; `**` does; `[a-z]` and `{a,b}` work as in a shell; `\` takes the next character as it is;
/// - what is below an excluded directory is excluded: the directory is not entered.
///
/// The two names in [`OWN_NAMES`] are always excluded at the root, and at any depth what a restore of something else keeps beside it:
/// `.NAME.windlass-staging` and `.NAME.windlass-undo`.
#[derive(Clone, Default)]
pub struct Exclude {
    patterns: Vec<String>,
    names: GlobSet,
    names_of_directories: GlobSet,
    paths: GlobSet,
    paths_of_directories: GlobSet,
}

impl Exclude {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`Error::Pattern`] for one that is empty, negated or malformed.
    pub fn new(patterns: &[String]) -> Result<Self, Error> {
        let mut builders = [(); 4].map(|()| GlobSetBuilder::new());
        for pattern in patterns {
            let refused = |why: String| Error::Pattern { pattern: pattern.clone(), why };
            let (text, directories) = pattern.strip_suffix('/').map_or((pattern.as_str(), false), |text| (text, true));
            let from_root = text.contains('/');
            let text = text.strip_prefix('/').unwrap_or(text);
            if text.is_empty() {
                return Err(refused("it matches nothing or everything".to_owned()));
            }
            if text.starts_with('!') {
                return Err(refused("negation is not supported; write `\\!` for a name that begins with it".to_owned()));
            }
            let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|error| refused(error.kind().to_string()))?;
            builders[usize::from(from_root) * 2 + usize::from(directories)].add(glob);
        }
        let built = |builder: &GlobSetBuilder| {
            builder.build().map_err(|error| Error::Pattern { pattern: patterns.join(" "), why: error.kind().to_string() })
        };
        let [names, names_of_directories, paths, paths_of_directories] = &builders;
        Ok(Self {
            patterns: patterns.to_vec(),
            names: built(names)?,
            names_of_directories: built(names_of_directories)?,
            paths: built(paths)?,
            paths_of_directories: built(paths_of_directories)?,
        })
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether this very path is left out; its parents are not looked at. The root never is.
    pub fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        if path.is_empty() {
            return false;
        }
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        if (name.len() == path.len() && OWN_NAMES.contains(&name)) || is_kept_beside(name) {
            return true;
        }
        if self.patterns.is_empty() {
            return false;
        }
        let (name, path) = (Candidate::from_bytes(name), Candidate::from_bytes(path));
        self.names.is_match_candidate(&name)
            || self.paths.is_match_candidate(&path)
            || (is_directory
                && (self.names_of_directories.is_match_candidate(&name) || self.paths_of_directories.is_match_candidate(&path)))
    }

    /// Whether this path or a directory above it is left out.
    pub fn covers(&self, path: &RelPath, is_directory: bool) -> bool {
        let bytes = path.as_bytes();
        let above = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').any(|(at, _)| self.matches(&bytes[..at], true));
        above || self.matches(bytes, is_directory)
    }
}

/// Whether a restore keeps something under this name beside its target.
fn is_kept_beside(name: &[u8]) -> bool {
    name.first() == Some(&b'.') && OWN_NAMES.iter().any(|own| name.len() > own.len() + 1 && name.ends_with(own))
}

impl fmt::Debug for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exclude").field(&self.patterns).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclude(patterns: &[&str]) -> Exclude {
        Exclude::new(&patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_pattern_without_a_slash_matches_a_name_at_any_depth() {
        let rules = exclude(&["*.tmp", "core"]);
        assert!(rules.matches(b"a.tmp", false) && rules.matches(b"x/y/a.tmp", false) && rules.matches(b"x/core", true));
        assert!(!rules.matches(b"a.tmp.gz", false) && !rules.matches(b"score", false));
    }

    #[test]
    fn a_pattern_with_a_slash_matches_from_the_root() {
        let rules = exclude(&["/cache", "var/*.log", "logs/**/old"]);
        assert!(rules.matches(b"cache", true) && !rules.matches(b"x/cache", true));
        assert!(rules.matches(b"var/a.log", false) && !rules.matches(b"var/b/a.log", false) && !rules.matches(b"x/var/a.log", false));
        assert!(rules.matches(b"logs/a/b/old", false));
    }

    #[test]
    fn a_slash_at_the_end_matches_directories_only() {
        let rules = exclude(&["tmp/", "a/b/"]);
        assert!(rules.matches(b"x/tmp", true) && !rules.matches(b"x/tmp", false));
        assert!(rules.matches(b"a/b", true) && !rules.matches(b"a/b", false) && !rules.matches(b"x/a/b", true));
    }

    #[test]
    fn what_is_below_an_excluded_directory_is_covered() {
        let rules = exclude(&["tmp/"]);
        assert!(rules.covers(&RelPath::new(&b"x/tmp/y/z"[..]).unwrap(), false));
        assert!(!rules.covers(&RelPath::new(&b"x/tmpfile/y"[..]).unwrap(), false));
    }

    #[test]
    fn names_that_are_not_utf_8_are_matched_and_patterns_that_mean_nothing_are_refused() {
        assert!(exclude(&["*.bak"]).matches(b"\xff\xfe.bak", false));
        for pattern in ["", "/", "!keep", "a[", "{a"] {
            assert!(Exclude::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_restores_own_names_are_left_out_at_the_root_only() {
        let rules = Exclude::default();
        assert!(rules.matches(b".windlass-undo", true) && !rules.matches(b"x/.windlass-undo", true) && !rules.matches(b"", true));
        assert!(rules.matches(b"x/.data.windlass-undo", true) && !rules.matches(b"x/data.windlass-undo", true));
    }
}
