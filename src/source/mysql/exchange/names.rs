//! Names of the databases beside a live one.

use super::super::look::BESIDE;
use crate::format::digest::Digest;

/// Longest name of a database, in characters.
const NAME_MAX: usize = 64;

/// Characters of a digest that keep shortened names apart.
const DIGEST: usize = 8;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_are_short_enough_and_kept_apart() {
        assert_eq!(beside("ellis", "new"), "ellis_windlass_new");
        let (one, other) = (beside(&("x".repeat(63) + "a"), "undo1"), beside(&("x".repeat(63) + "b"), "undo1"));
        assert!(one != other && one.ends_with("_windlass_undo1"));
        for name in ["é".repeat(64), "a".repeat(50), one] {
            assert!(beside(&name, "undo1").chars().count() <= NAME_MAX);
        }
    }
}
