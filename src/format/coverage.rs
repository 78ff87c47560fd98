//! Coverage: when the stored bytes of a node were last read again and compared with their names.
//!
//! Packs and file lists are named by the SHA-256 of their bytes, so the first two hexadecimal digits of the names cut what is stored into 256
//! parts of about one size. When a part was read is all that must be kept to know what is to be read next: 256 instants, whatever is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::head::check_version;
use super::limits::FORMAT_VERSION;
use super::self_digest::{check_own_digest, with_own_digest};
use super::{FormatError, number};

/// Parts that names are cut into: one for each value of their first byte.
pub const PARTS: usize = 256;

/// `coverage/<utc>-<random>.json`; the one with the highest name counts, and each says everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Format version.
    pub format: u32,
    /// Within how many seconds each part is to be read again; 0 = none is any more.
    #[serde(with = "number")]
    pub every_seconds: u64,
    /// The parts, from `00` to `ff`.
    pub parts: Vec<Part>,
}

/// One part: the packs and file lists whose names begin with the same byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// Each object of it was read and compared with its name.
    Read {
        /// When that began, by the clock of the machine that read.
        read: Timestamp,
        /// Stored bytes that were read.
        #[serde(with = "number")]
        bytes: u64,
        /// How many seconds that took.
        #[serde(with = "number")]
        seconds: u64,
    },
    /// It was never read.
    Waits {
        /// Since when it is to be.
        waits_since: Timestamp,
    },
}

impl Part {
    /// When it was read, or since when it waits for that.
    pub fn since(&self) -> Timestamp {
        match self {
            Self::Read { read, .. } => *read,
            Self::Waits { waits_since } => *waits_since,
        }
    }
}

impl Coverage {
    /// Nothing was read yet.
    pub fn begun(now: Timestamp, every_seconds: u64) -> Self {
        Self { format: FORMAT_VERSION, every_seconds, parts: vec![Part::Waits { waits_since: now }; PARTS] }
    }

    /// The JSON text.
    pub fn to_text(&self) -> Vec<u8> {
        with_own_digest(serde_json::to_vec(self).expect("coverage is plain JSON"))
    }

    /// Reads it; the version is looked at before anything else.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        check_version(text)?;
        check_own_digest(text)?;
        let coverage: Self = serde_json::from_slice(text)?;
        match coverage.parts.len() {
            PARTS => Ok(coverage),
            other => Err(FormatError::invalid(format!("it has {other} parts and should have {PARTS}"))),
        }
    }

    /// How many parts were read within the time that it names.
    pub fn covered(&self, now: Timestamp) -> usize {
        let is_covered = |part: &&Part| matches!(part, Part::Read { .. }) && !self.is_behind(part, now);
        self.parts.iter().filter(is_covered).count()
    }

    /// How many parts were not read for longer than that.
    pub fn behind(&self, now: Timestamp) -> usize {
        self.parts.iter().filter(|part| self.is_behind(part, now)).count()
    }

    fn is_behind(&self, part: &Part, now: Timestamp) -> bool {
        self.every_seconds > 0 && u64::try_from(now.duration_since(part.since()).as_secs()).is_ok_and(|age| age > self.every_seconds)
    }

    /// Since when all that was stored has been read; `None` while some part never was.
    pub fn whole_since(&self) -> Option<Timestamp> {
        let read = |part: &Part| if let Part::Read { read, .. } = part { Some(*read) } else { None };
        self.parts.iter().map(read).min().flatten()
    }

    /// The instant of the part that has waited longest, for its first or its next time.
    pub fn oldest(&self) -> Timestamp {
        self.parts.iter().map(Part::since).min().expect("there are 256 parts")
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::limits::SMALL_MAX;
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn coverage_comes_back_fits_a_small_document_and_every_change_is_noticed() {
        let mut coverage = Coverage::begun("2026-11-28T00:00:00.123456789Z".parse().unwrap(), 30 * DAY);
        for part in coverage.parts.iter_mut().skip(1) {
            *part = Part::Read { read: Timestamp::MAX, bytes: u64::MAX, seconds: u64::MAX };
        }
        let text = coverage.to_text();
        assert_eq!(Coverage::from_text(&text).unwrap(), coverage);
        assert!(text.len() < SMALL_MAX, "{}", text.len());
        for at in (0..text.len()).step_by(97) {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(Coverage::from_text(&changed).is_err(), "{at}");
        }
        coverage.parts.pop();
        assert!(Coverage::from_text(&coverage.to_text()).is_err());
    }

    #[test]
    fn a_part_is_covered_from_when_it_was_read_until_it_is_due_again() {
        let begun: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let after = |days: i64| begun + SignedDuration::from_hours(24 * days);
        let mut coverage = Coverage::begun(begun, 30 * DAY);
        assert_eq!((coverage.covered(begun), coverage.behind(after(30)), coverage.behind(after(31))), (0, 0, 256));
        coverage.parts[7] = Part::Read { read: after(10), bytes: 1, seconds: 1 };
        assert_eq!((coverage.covered(after(31)), coverage.behind(after(31)), coverage.covered(after(41))), (1, 255, 0));
        assert_eq!((coverage.whole_since(), coverage.oldest()), (None, begun));
        coverage.parts = (0..256).map(|n| Part::Read { read: after(n % 20), bytes: 1, seconds: 1 }).collect();
        assert_eq!(coverage.whole_since(), Some(begun));
    }
}
