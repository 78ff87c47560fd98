//! Verification verdicts: what was found of each object when it was last looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;

/// How deep a verification looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The listing was compared with the manifests: presence and size.
    Quick,
    /// Every stored byte was read and compared with the object's name.
    Stored,
    /// Every blob was decoded and compared with its digest as well.
    Full,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is what the manifest says.
    Sound,
    /// It is there, with other bytes than it should have.
    Damaged,
    /// It is not there.
    Missing,
}

impl Verdict {
    /// The verdict in one word, as it stands in check files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

/// One line of a check file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The object's key, from the repository's root.
    pub object: String,
    /// What was found.
    pub verdict: Verdict,
    /// How deep it was looked at.
    pub level: Level,
    /// When, by the clock of the machine that looked.
    pub time: Timestamp,
    /// What was wrong, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether no manifest that counts needs the object any more: it is as damaged as before, and nothing is lost by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
}

/// The text of a check file: a line for each verdict.
pub fn write(checks: &[Check]) -> Vec<u8> {
    let mut text = Vec::new();
    for check in checks {
        serde_json::to_writer(&mut text, check).expect("a verdict is plain JSON");
        text.push(b'\n');
    }
    text
}

/// Reads a check file.
///
/// # Errors
/// A line that is not a verdict, or an end inside a line; nobody writes an empty one.
pub fn read(text: &[u8]) -> Result<Vec<Check>, FormatError> {
    if text.last() != Some(&b'\n') {
        return Err(FormatError::invalid("the check file ends inside a line, or is empty"));
    }
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| Ok(serde_json::from_slice(line)?)).collect()
}

/// The objects that are known to be damaged or missing: for each object the latest verdict counts.
///
/// A quick look that finds an object present does not take back what a deeper one found in its bytes.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<String, Check>);

impl Known {
    /// Takes the next verdict, in order of time.
    pub fn take(&mut self, check: Check) {
        let level = self.0.get(&check.object).map_or(check.level, |known| known.level);
        if check.verdict != Verdict::Sound {
            // The deeper of the two findings says how deep a look must be to take it back.
            let level = level.max(check.level);
            self.0.insert(check.object.clone(), Check { level, ..check });
        } else if check.level >= level {
            self.0.remove(&check.object);
        }
    }

    /// The verdict on an object that is not sound.
    pub fn get(&self, object: &str) -> Option<&Check> {
        self.0.get(object)
    }

    /// All that is not sound.
    pub fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_look_takes_back_nothing_that_a_full_one_found_whatever_came_between() {
        let check =
            |verdict, level| Check { object: "x".into(), verdict, level, time: Timestamp::UNIX_EPOCH, problem: None, superseded: false };
        let mut known = Known::default();
        known.take(check(Verdict::Damaged, Level::Full));
        known.take(check(Verdict::Missing, Level::Quick));
        known.take(check(Verdict::Sound, Level::Quick));
        assert!(known.get("x").is_some(), "it was out of reach for a while, and its bytes are as damaged as before");
        known.take(check(Verdict::Sound, Level::Full));
        assert!(known.get("x").is_none());
    }
}
