//! Sizes as people read them. Documents for programs keep the number of bytes.

/// `12.3 MiB`; whole bytes below one KiB.
pub fn in_words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn sizes_are_short_and_never_round_up_into_the_next_unit() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 123 << 20, u64::MAX].map(in_words);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "123.0 MiB", "16.0 EiB"]);
    }
}
