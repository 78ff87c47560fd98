//! Numbers, sizes, times and ages as people read them.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::format::head::ProblemCount;
pub(super) use crate::ops::size::in_words as bytes;

/// `-` for what is not known.
pub(super) fn bytes_or_dash(count: Option<u64>) -> String {
    count.map_or_else(|| "-".into(), bytes)
}

/// `1,234,567`.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 file`, `2 files`.
pub(super) fn count(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

/// Local time to the second.
pub(super) fn time(instant: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(instant).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `3 h`, in the largest unit of which there are two; `in 3 h` for what is to come.
pub(super) fn age(age: SignedDuration) -> String {
    let text = duration(age.unsigned_abs());
    if age.is_negative() { format!("in {text}") } else { text }
}

/// `90 s`, `26 h`, `7 d`: in the largest unit of which there are two.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "min")];
    match units.into_iter().find(|(length, _)| seconds >= 2 * length) {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} s"),
    }
}

/// `3 changed, 1 vanished`; empty when sound.
pub(super) fn problems(problems: &[ProblemCount]) -> String {
    let each: Vec<String> = problems.iter().map(|problem| format!("{} {}", number(problem.count), problem.kind)).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_agree_with_their_noun() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((count(1, "file"), count(2, "file")), ("1 file".into(), "2 files".into()));
    }

    #[test]
    fn ages_are_in_the_largest_unit_of_which_there_are_two() {
        let ages = [0, 119, 120, 7_199, 7_200, 26 * 3_600, 48 * 3_600, 14 * 86_400, -7_200].map(|s| age(SignedDuration::from_secs(s)));
        assert_eq!(ages, ["0 s", "119 s", "2 min", "119 min", "2 h", "26 h", "2 d", "2 w", "in 2 h"]);
    }
}
