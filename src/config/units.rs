//! Sizes, rates and durations as people write them: `16MiB`, `50MiB/s`, `26h`.

use std::time::Duration;

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 5] = [("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Bytes from `16MiB`.
///
/// # Errors
/// What to write instead.
pub fn size(text: &str) -> Result<u64, String> {
    measure(text, &SIZES, "a size is a whole number with B, KiB, MiB, GiB or TiB, such as \"16MiB\"")
}

/// Bytes per second from `50MiB/s`.
///
/// # Errors
/// What to write instead.
pub fn rate(text: &str) -> Result<u64, String> {
    const FORM: &str = "a rate is a whole number with B/s, KiB/s, MiB/s or GiB/s, such as \"50MiB/s\"";
    let bytes = text.strip_suffix("/s").ok_or(FORM)?;
    measure(bytes, &SIZES, FORM)
}

/// A duration from `26h`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    measure(text, &TIMES, "a duration is a whole number with s, m, h, d or w, such as \"26h\" or \"7d\"").map(Duration::from_secs)
}

fn measure(text: &str, units: &[(&str, u64)], form: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, factor)| *factor);
    let (false, Some(factor)) = (number.is_empty(), factor) else { return Err(form.to_owned()) };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(|| "it is too large".to_owned())
}

/// A size in its largest unit that leaves no fraction: what [`size`] reads back.
pub fn size_text(bytes: u64) -> String {
    text(bytes, &SIZES)
}

/// A duration in its largest unit that leaves no fraction: what [`duration`] reads back. Parts of a second are cut off.
pub fn duration_text(duration: Duration) -> String {
    text(duration.as_secs(), &TIMES)
}

fn text(value: u64, units: &[(&str, u64)]) -> String {
    let last = units[units.len() - 1];
    let (unit, factor) = units.iter().copied().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor)).unwrap_or(last);
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_written_back() {
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(rate("50 MiB/s"), Ok(50 << 20));
        assert_eq!(duration("26h"), Ok(Duration::from_secs(93_600)));
        assert_eq!((size_text(16 << 20), size_text(1025), size_text(0)), ("16MiB".into(), "1025B".into(), "0B".into()));
        assert_eq!(duration_text(Duration::from_secs(604_800)), "1w");
        assert_eq!(duration_text(Duration::from_secs(93_600)), "26h");
    }

    #[test]
    fn what_could_be_meant_in_two_ways_is_refused() {
        for text in ["", "16", "16MB", "MiB", "1.5GiB", "-1B", "16mib", "0x10B", "99999999999999999999B", "20000000TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["50MiB", "50Mbit/s", "/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
        for text in ["7", "7days", "1h30m", "P7D"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
