//! Patterns of databases as grants have them.

use std::cmp::min;

/// The most characters of a name of a database, by which newer servers count.
const NAME_MAX: usize = 64;

/// Newer servers count no more wildcards than these.
const WILD_MAX: usize = 31;

/// Whether a name is the one that stands where others have a pattern: as it is, or with what would stand for other letters marked.
pub(super) fn is_itself(name: &str, written: &str) -> bool {
    written == name || written == name.replace('_', "\\_").replace('%', "\\%")
}

/// How exact a pattern is by the order of MySQL and of older MariaDB: how many bytes come before the first wildcard, more when there is none.
pub(super) fn prefix(pattern: &str) -> usize {
    let mut escaped = false;
    let first = pattern.bytes().position(|byte| {
        let is_wild = !escaped && matches!(byte, b'%' | b'_');
        escaped = byte == b'\\' && !escaped;
        is_wild
    });
    first.map_or(128, |at| min(at + 1, 127))
}

/// How many names a pattern fits by the order of newer MariaDB, as numbers that compare as the names' do: fewer are more exact.
pub(super) fn breadth(pattern: &str) -> (usize, usize, usize) {
    let (mut plain, mut one, mut many) = (0_usize, 0_usize, 0_usize);
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                many += 1;
                while bytes.next_if_eq(&b'%').is_some() {}
            }
            b'_' => one += 1,
            _ => {
                if byte == b'\\' {
                    bytes.next();
                }
                plain += 1;
            }
        }
    }
    let (one, many) = (min(one, WILD_MAX), min(many, WILD_MAX));
    let left = if many == 0 { 0 } else { NAME_MAX.saturating_sub(plain + one) };
    if left > one { (left * 2 + 1, many, one) } else { (one * 2, left, many) }
}

/// Whether a name fits a pattern of the kind that rights on databases have.
pub(super) fn is_like(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // Which lengths of the name fit the part of the pattern that was read.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let mut next = vec![false; name.len() + 1];
        if c == '%' {
            let mut any = false;
            for at in 0..=name.len() {
                any |= fits[at];
                next[at] = any;
            }
        } else {
            let wanted = match c {
                '_' => None,
                '\\' => Some(chars.next().unwrap_or('\\')),
                c => Some(c),
            };
            for at in 0..name.len() {
                next[at + 1] = fits[at] && wanted.is_none_or(|wanted| wanted == name[at]);
            }
        }
        fits = next;
    }
    fits[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_server() {
        for (name, pattern) in [("ellis", "ellis"), ("ellis", "el%"), ("a_b", "a\\_b"), ("ellis", "e_lis"), ("", "%"), ("a%b", "a\\%b")] {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("axb", "a\\_b"), ("ellis", "ell"), ("x", ""), ("ab", "_")] {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
    }

    #[test]
    fn patterns_are_in_the_orders_of_the_servers() {
        let exact = ["a\\_b", "a\\_b%", "a_b", "a%b", "a%", "%"];
        assert!(exact.is_sorted_by_key(|pattern| std::cmp::Reverse(prefix(pattern))), "{:?}", exact.map(prefix));
        assert_eq!((prefix("a_b"), prefix("a%")), (prefix("a%"), prefix("a%%")));
        for pair in ["a\\_b", "a_b", "__", "a\\_b%", "a%b", "a%", "%a%", "%"].windows(2) {
            assert!(breadth(pair[0]) < breadth(pair[1]), "{pair:?}");
        }
    }
}
