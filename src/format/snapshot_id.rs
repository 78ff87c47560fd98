//! The id of a snapshot: the instant at which it was taken, to the millisecond.

use std::fmt;
use std::str::FromStr;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FormatError;

/// Instant of a snapshot in UTC: `20261123T000000123Z`.
///
/// Ids sort as text as they do in time, and hold only `[0-9A-Z]`, so an id is a legal Cassandra snapshot tag and file name as it stands.
/// Years 0000 to 9999 only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(i64);

/// Length of the text form in bytes.
const TEXT_LENGTH: usize = 19;

impl SnapshotId {
    /// The id of an instant; what is below a millisecond is cut off.
    pub fn from_timestamp(instant: Timestamp) -> Self {
        Self(instant.as_millisecond())
    }

    /// The instant.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).expect("an id is only made from a timestamp")
    }

    /// The id one millisecond later.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = TimeZone::UTC.to_datetime(self.to_timestamp());
        write!(
            f,
            "{:04}{:02}{:02}T{:02}{:02}{:02}{:03}Z",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SnapshotId {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let refused = || FormatError::SnapshotId(text.chars().take(40).collect());
        let bytes = text.as_bytes();
        if bytes.len() != TEXT_LENGTH || bytes[8] != b'T' || bytes[18] != b'Z' {
            return Err(refused());
        }
        let digits = |range: std::ops::Range<usize>| -> Result<i16, FormatError> {
            let part = &bytes[range];
            if !part.iter().all(u8::is_ascii_digit) {
                return Err(refused());
            }
            Ok(part.iter().fold(0, |value, digit| value * 10 + i16::from(digit - b'0')))
        };
        let small = |range| digits(range).map(|value| i8::try_from(value).expect("two digits fit"));
        let at = DateTime::new(
            digits(0..4)?,
            small(4..6)?,
            small(6..8)?,
            small(9..11)?,
            small(11..13)?,
            small(13..15)?,
            i32::from(digits(15..18)?) * 1_000_000,
        )
        .map_err(|_| refused())?;
        let instant = TimeZone::UTC.to_timestamp(at).map_err(|_| refused())?;
        Ok(Self::from_timestamp(instant))
    }
}

impl Serialize for SnapshotId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SnapshotId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::number::parsed(deserializer, "a snapshot id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_parses_back_and_sorts_like_time(a in 0i64..4_000_000_000_000, b in 0i64..4_000_000_000_000) {
            let [a, b] = [a, b].map(|ms| SnapshotId::from_timestamp(Timestamp::from_millisecond(ms).unwrap()));
            prop_assert_eq!(a.to_string().parse::<SnapshotId>().unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }

    #[test]
    fn impossible_dates_and_foreign_forms_are_refused() {
        for text in [
            "20261323T000000123Z",
            "20260230T000000123Z",
            "20261123T240000123Z",
            "20261123T0000001234",
            "2026112３T00000012Z",
            "",
            "1290000000",
        ] {
            assert!(text.parse::<SnapshotId>().is_err(), "{text}");
        }
        assert_eq!("20261123T000000123Z".parse::<SnapshotId>().unwrap().next().to_string(), "20261123T000000124Z");
    }
}
