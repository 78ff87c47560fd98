//! Lists for a person, which name so many and say how many more there are.

/// The first of these, and how many more there are than `most`.
pub(super) fn first_of(all: impl ExactSizeIterator<Item = String>, most: usize) -> Vec<String> {
    let more = all.len().saturating_sub(most);
    let mut told: Vec<String> = all.take(most).collect();
    if more > 0 {
        told.push(format!("{more} more"));
    }
    told
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
}
