//! What the store lists under the numbers of one snapshot's manifest.

use super::listed::Stored;

/// Objects by number, ascending. Nearly every snapshot has one, which takes no memory of its own: there may be thousands of snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByNumber {
    lowest: Option<(u32, Stored)>,
    others: Vec<(u32, Stored)>,
}

impl ByNumber {
    /// Notes an object under a number, instead of what was noted there before.
    pub fn insert(&mut self, n: u32, stored: Stored) {
        match self.lowest {
            None => self.lowest = Some((n, stored)),
            Some((lowest, _)) if lowest == n => self.lowest = Some((n, stored)),
            Some(lowest) if lowest.0 > n => {
                self.others.insert(0, lowest);
                self.lowest = Some((n, stored));
            }
            Some(_) => match self.others.binary_search_by_key(&n, |(n, _)| *n) {
                Ok(at) => self.others[at].1 = stored,
                Err(at) => self.others.insert(at, (n, stored)),
            },
        }
    }

    /// All of them, from the lowest number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &Stored)> {
        self.lowest.iter().chain(&self.others).map(|(n, stored)| (*n, stored))
    }

    /// The numbers, from the lowest.
    pub fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.iter().map(|(n, _)| n)
    }

    /// What is under this number.
    pub fn get(&self, n: u32) -> Option<&Stored> {
        self.iter().find(|(number, _)| *number == n).map(|(_, stored)| stored)
    }

    /// Whether something is under this number.
    pub fn has(&self, n: u32) -> bool {
        self.get(n).is_some()
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.lowest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_order_numbers_ascend_and_the_last_word_counts() {
        let stored = |size| Stored { size, modified: jiff::Timestamp::UNIX_EPOCH };
        let mut map = ByNumber::default();
        assert!(map.is_empty() && map.get(1).is_none());
        for n in [3, 1, 7, 2, 7, 1] {
            map.insert(n, stored(0));
            map.insert(n, stored(u64::from(n)));
        }
        assert_eq!(map.iter().map(|(n, stored)| (n, stored.size)).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3), (7, 7)]);
        assert_eq!(map.numbers().next_back(), Some(7));
        assert!(map.has(2) && !map.has(4) && !map.is_empty());
    }
}
