//! Lists for a person, which name so many and say how many more there are.

use crate::source::Error;

/// Most tables that are named as gone.
const GONE_TOLD: usize = 20;

/// The first of these, and how many more there are than `most`.
pub(super) fn first_of(all: impl ExactSizeIterator<Item = String>, most: usize) -> Vec<String> {
    let more = all.len().saturating_sub(most);
    let mut told: Vec<String> = all.take(most).collect();
    if more > 0 {
        told.push(format!("{more} more"));
    }
    told
}

/// Tells of tables that came and are `gone`, and of the definitions that the server has `refused` without them, as sentences without their end.
pub(super) fn of_gone(gone: &[String], refused: Option<&Error>) -> Vec<String> {
    if gone.is_empty() {
        return Vec::new();
    }
    let names = first_of(gone.iter().cloned(), GONE_TOLD).join(", ");
    let mut notes = vec![format!("somebody has dropped or renamed what had come before that was broken off, and it stays so: {names}")];
    notes.extend(refused.map(|error| format!("what stands on a table that is gone was not made: {error}")));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_counted() {
        let told = |count: usize| first_of((0..count).map(|n| n.to_string()), 2);
        assert_eq!((told(0), told(2)), (Vec::new(), vec!["0".to_owned(), "1".into()]));
        assert_eq!(told(3), ["0", "1", "1 more"]);
        assert_eq!(told(4711), ["0", "1", "4709 more"]);
    }

    #[test]
    fn what_is_gone_is_named_with_what_stands_on_it() {
        assert!(of_gone(&[], None).is_empty());
        let refused = Error::Dump { why: "no".into() };
        let notes = of_gone(&["`a`.`t`".into()], Some(&refused));
        assert!(notes[0].ends_with("stays so: `a`.`t`") && notes[1].contains("was not made: ") && notes.len() == 2, "{notes:?}");
    }
}
