//! Which shipped snapshots are to stay.

use std::time::Duration;

use super::file;
use super::mistake::Gatherer;
use crate::ops::retention::Retention;

/// What the table says; a table that keeps nothing is a mistake.
pub(super) fn resolve(written: &file::Retention, gather: &Gatherer<'_>) -> Retention {
    let mut retention = Retention { within: written.within.as_ref().map(|within| within.value), ..Retention::default() };
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
    if retention == Retention::default() || retention == (Retention { within: Some(Duration::ZERO), ..Retention::default() }) {
        gather.missing(written.at, "retention", "this keeps no snapshot at all: give at least one rule, such as last = 7");
    }
    retention
}
