//! Which shipped snapshots are to stay.

use std::time::Duration;

use super::file;
use super::mistake::Gatherer;

/// Retention of the repository: a snapshot stays while any rule keeps it. Counts of 0 keep nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones, this many.
    pub last: u32,
    /// The newest one of each of this many hours.
    pub hourly: u32,
    /// The newest one of each of this many days.
    pub daily: u32,
    /// The newest one of each of this many weeks.
    pub weekly: u32,
    /// The newest one of each of this many months.
    pub monthly: u32,
    /// The newest one of each of this many years.
    pub yearly: u32,
    /// All that are younger than this.
    pub within: Option<Duration>,
}

impl Retention {
    /// What the table says; a table that keeps nothing is a mistake.
    pub(super) fn resolve(written: &file::Retention, gather: &Gatherer<'_>) -> Self {
        let mut retention = Self { within: written.within.as_ref().map(|within| within.value), ..Self::default() };
        for (rule, count) in &written.counts {
            let count = count.as_ref().map_or(0, |count| count.value);
            let field = match *rule {
                "last" => &mut retention.last,
                "hourly" => &mut retention.hourly,
                "daily" => &mut retention.daily,
                "weekly" => &mut retention.weekly,
                "monthly" => &mut retention.monthly,
                _ => &mut retention.yearly,
            };
            *field = count;
        }
        if retention == Self::default() || retention == (Self { within: Some(Duration::ZERO), ..Self::default() }) {
            gather.missing(written.at, "retention", "this keeps no snapshot at all: give at least one rule, such as last = 7");
        }
        retention
    }
}
