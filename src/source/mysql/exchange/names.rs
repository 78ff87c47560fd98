//! Names of the databases beside a live one.

use jiff::Timestamp;

use super::super::look::BESIDE;
use crate::format::digest::Digest;

/// Longest name of a database, in characters.
const NAME_MAX: usize = 64;

/// Characters of a digest that keep shortened names apart.
const DIGEST: usize = 8;

/// The purpose of what is loaded.
pub const NEW: &str = "new";

/// How the purpose of what is set aside begins.
const ASIDE: &str = "undo_";

/// What stands for an instant in such a purpose, as long as every one of them.
const SOME_TIME: &str = "00000000_000000000";

/// The name of a database beside this one, for this purpose: its own name with `_windlass_` and the purpose. A name that would become too
/// long is cut, and a digest of it keeps it apart from others.
pub fn beside(database: &str, purpose: &str) -> String {
    let ending = format!("{BESIDE}{purpose}");
    let room = NAME_MAX - ending.len();
    if database.chars().count() <= room {
        return format!("{database}{ending}");
    }
    let digest = Digest::of(database.as_bytes()).to_string();
    let begin: String = database.chars().take(room - DIGEST - 1).collect();
    format!("{begin}_{}{ending}", &digest[..DIGEST])
}

/// The purpose of what is set aside at this instant: no two have the same, on whatever node. Without capitals, which some servers make small.
pub fn aside_at(now: Timestamp) -> String {
    format!("{ASIDE}{}", now.strftime("%Y%m%d_%H%M%S%3f"))
}

/// Whether a restore could have given a database this name. Nothing else is ever removed, or put back by an undo, whatever a document says.
pub fn is_beside(name: &str) -> bool {
    let is_time = |text: &str| {
        let alike = |(one, some): (u8, u8)| if some == b'0' { one.is_ascii_digit() } else { one == some };
        text.len() == SOME_TIME.len() && text.bytes().zip(SOME_TIME.bytes()).all(alike)
    };
    let is_purpose = |purpose: &str| purpose == NEW || purpose.strip_prefix(ASIDE).is_some_and(is_time);
    // Servers that make names small take one with capitals for the same.
    let name = name.to_lowercase();
    name.rsplit_once(BESIDE).is_some_and(|(begin, purpose)| !begin.is_empty() && is_purpose(purpose))
}

/// Whether this is the name of a database that a restore loads into.
pub fn is_of_what_comes(name: &str) -> bool {
    is_beside(name) && name.to_lowercase().ends_with(&format!("{BESIDE}{NEW}"))
}

/// Whether a restore could have given this name to a database beside the `live` one.
pub fn is_beside_of(name: &str, live: &str) -> bool {
    let purpose = name.rsplit_once(BESIDE).map(|(_, purpose)| purpose);
    is_beside(name) && purpose.is_some_and(|purpose| beside(live, purpose) == name)
}

/// How the names of all databases begin that may come to be beside this one: one beginning, or two where a name has to be cut, because
/// names for different purposes are cut at different places.
pub(in crate::source::mysql) fn beginnings(database: &str) -> Vec<String> {
    let own = format!("{database}{BESIDE}");
    let aside = beside(database, &format!("{ASIDE}{SOME_TIME}"));
    if aside.starts_with(&own) {
        return vec![own];
    }
    vec![beside(database, NEW), aside.trim_end_matches(SOME_TIME).to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_are_short_enough_and_kept_apart() {
        assert_eq!(beside("ellis", NEW), "ellis_windlass_new");
        let (one, other) = (beside(&("x".repeat(63) + "a"), "undo1"), beside(&("x".repeat(63) + "b"), "undo1"));
        assert!(one != other && one.ends_with("_windlass_undo1"));
        for name in ["é".repeat(64), "a".repeat(50), one] {
            assert!(beside(&name, "undo1").chars().count() <= NAME_MAX);
        }
    }

    #[test]
    fn only_names_that_a_restore_gives_are_taken_for_its_own() {
        for length in 1..=NAME_MAX {
            let name = "é".repeat(length);
            for made in [beside(&name, NEW), beside(&name, &aside_at(Timestamp::UNIX_EPOCH)), beside(&name, &aside_at(Timestamp::MAX))] {
                assert!(is_beside(&made) && is_beside_of(&made, &name) && !is_beside_of(&made, "other"), "{made}");
            }
        }
        assert!(is_beside("Ellis_Windlass_New"));
        for name in [
            "ellis",
            "_windlass_new",
            "ellis_windlass_news",
            "ellis_windlass_undo_x",
            "ellis_windlass_undo_20260101_00000000",
            "ellis_windlass_undo_20260101x000000000",
            "ellis_windlass_new_",
            "windlass_new",
        ] {
            assert!(!is_beside(name) && !is_beside_of(name, "ellis"), "{name}");
        }
    }

    #[test]
    fn the_beginnings_of_names_beside_are_those_of_every_name_that_is_made() {
        assert_eq!(beginnings("ellis"), ["ellis_windlass_"]);
        for length in 1..=NAME_MAX {
            let name = "é".repeat(length);
            let beginnings = beginnings(&name);
            for made in [beside(&name, NEW), beside(&name, &aside_at(Timestamp::UNIX_EPOCH)), beside(&name, &aside_at(Timestamp::MAX))] {
                assert!(beginnings.iter().any(|begin| made.starts_with(begin)), "{made} {beginnings:?}");
            }
        }
    }
}
