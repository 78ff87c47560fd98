//! Foreign keys that cannot be made anew now: how many are tried and remembered.

use std::collections::HashSet;

use super::foreign_keys::{Body, Key};
use crate::source::Error;

/// How many foreign keys are listed at once: any number may point to a table, and a list takes memory.
const ROUND: usize = 500;

/// After so many tables that somebody holds no more are waited for: all of them may be locked for good.
const HELD_MAX: usize = 10;

/// Most keys that are left as they were before the others are left too: each is kept in memory and written down with all databases of its
/// exchange, up to 20 KiB. Whoever tries those again lists all that are still to be turned, and so finds the others.
const UNTURNED_MAX: usize = 200;

/// A foreign key that could not be made anew: it points to where it did, or has a name of ours still.
#[derive(Debug)]
pub(super) struct Unturned {
    pub(super) key: Key,
    /// The pair whose work it is.
    pub(super) pair: (String, String),
    /// Into which database it is to point.
    pub(super) to: String,
    /// The name that it is to have.
    pub(super) name: String,
    /// What it is to be.
    pub(super) body: Body,
    /// Why it could not.
    pub(super) refusal: Refusal,
}

/// What the server says against a key.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// Whether somebody holds its table.
    pub(super) is_busy: bool,
}

/// What makes keys anew.
pub(super) trait Turning {
    /// The next keys that are to be turned, at most so many.
    fn list(&mut self, most: usize) -> Result<Vec<Key>, Error>;

    /// Makes one anew; gives why it could not, where that is no error.
    fn turn(&mut self, key: &Key) -> Result<Option<Refusal>, Error>;

    /// All of one that could not be made anew; `None` when it has another name by now, or is gone.
    fn note(&mut self, key: &Key, refusal: Refusal) -> Result<Option<Unturned>, Error>;

    /// That one which was made anew is listed once more.
    fn listed_again(&self, key: &Key) -> Error;
}

/// Makes all keys anew. Gives how many, and those that it could not: of a table that somebody holds one key is tried, after [`HELD_MAX`] such
/// tables none, and after [`UNTURNED_MAX`] keys nothing is tried or looked at any more.
pub(super) fn turn_all(work: &mut impl Turning) -> Result<(u64, Vec<Unturned>), Error> {
    let (mut count, mut last) = (0, Vec::new());
    let (mut unturned, mut known) = (Vec::<Unturned>::new(), HashSet::new());
    loop {
        let mut keys = work.list(ROUND + unturned.len())?;
        keys.retain(|key| !known.contains(key));
        let Some(first) = keys.first() else { return Ok((count, unturned)) };
        // Each statement takes its key off the list; if the server listed the same again, this would have no end.
        if keys == last {
            return Err(work.listed_again(first));
        }
        for key in &keys {
            if unturned.len() >= UNTURNED_MAX {
                return Ok((count, unturned));
            }
            let refusal = match held_up(&unturned, key) {
                Some(why) => Refusal { why: why.to_owned(), is_busy: false },
                None => match work.turn(key)? {
                    Some(refusal) => refusal,
                    None => {
                        count += 1;
                        continue;
                    }
                },
            };
            // One that has its name of ours by now is listed again.
            if let Some(one) = work.note(key, refusal)? {
                known.insert(key.clone());
                unturned.push(one);
            }
        }
        last = keys;
    }
}

/// Why a key is not tried: somebody holds its table, or so many others that no more are waited for.
fn held_up<'a>(unturned: &'a [Unturned], key: &Key) -> Option<&'a str> {
    let mut busy = unturned.iter().filter(|one| one.refusal.is_busy);
    let own = busy.clone().find(|one| (&one.key.schema, &one.key.table) == (&key.schema, &key.table));
    own.or_else(|| busy.nth(HELD_MAX - 1)).map(|one| one.refusal.why.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many tables of so many keys each, all of which somebody holds or none.
    struct Tables {
        left: Vec<Key>,
        is_held: bool,
        tried: usize,
        noted: usize,
    }

    impl Tables {
        fn new(tables: usize, keys: usize, is_held: bool) -> Self {
            let key = |table: usize, key: usize| Key {
                schema: "other".into(),
                table: format!("t{table}"),
                name: format!("fk{key}"),
                into: "aside".into(),
                parent: "p".into(),
            };
            let left = (0..tables).flat_map(|table| (0..keys).map(move |one| key(table, one))).collect();
            Self { left, is_held, tried: 0, noted: 0 }
        }
    }

    impl Turning for Tables {
        fn list(&mut self, most: usize) -> Result<Vec<Key>, Error> {
            Ok(self.left.iter().take(most).cloned().collect())
        }

        fn turn(&mut self, key: &Key) -> Result<Option<Refusal>, Error> {
            self.tried += 1;
            if self.is_held {
                return Ok(Some(Refusal { why: "held".into(), is_busy: true }));
            }
            self.left.retain(|left| left != key);
            Ok(None)
        }

        fn note(&mut self, key: &Key, refusal: Refusal) -> Result<Option<Unturned>, Error> {
            self.noted += 1;
            let pair = ("aside".into(), "live".into());
            Ok(Some(Unturned { key: key.clone(), pair, to: "live".into(), name: key.name.clone(), body: Body::default(), refusal }))
        }

        fn listed_again(&self, key: &Key) -> Error {
            Error::Refused { why: key.name.clone() }
        }
    }

    #[test]
    fn all_keys_are_turned_and_of_those_that_cannot_be_so_many_are_kept_as_are_bounded() {
        let mut free = Tables::new(30, 50, false);
        let (count, unturned) = turn_all(&mut free).unwrap();
        assert_eq!((count, unturned.len(), free.left.len()), (1500, 0, 0));
        for (tables, keys, kept, tried) in [(1, 20, 20, 1), (30, 50, UNTURNED_MAX, 4), (300, 1, UNTURNED_MAX, HELD_MAX)] {
            let mut held = Tables::new(tables, keys, true);
            let (count, unturned) = turn_all(&mut held).unwrap();
            assert_eq!((count, unturned.len(), held.noted, held.tried), (0, kept, kept, tried), "{tables} {keys}");
        }
    }

    #[test]
    fn of_a_held_table_one_key_is_tried_and_after_enough_of_them_no_other() {
        let one = |table: usize, is_busy| Unturned {
            key: Key { schema: "other".into(), table: format!("t{table}"), name: "fk".into(), into: "aside".into(), parent: "p".into() },
            pair: ("aside".into(), "live".into()),
            to: "live".into(),
            name: "fk".into(),
            body: Body::default(),
            refusal: Refusal { why: format!("said of t{table}"), is_busy },
        };
        let mut unturned: Vec<Unturned> = (1..HELD_MAX).flat_map(|table| [one(table, true), one(table, false)]).collect();
        let held = |unturned: &[Unturned], table: usize| held_up(unturned, &one(table, true).key).map(str::to_owned);
        assert_eq!((held(&unturned, 3).as_deref(), held(&unturned, 99)), (Some("said of t3"), None));
        unturned.push(one(HELD_MAX, true));
        assert!(held(&unturned, 99).is_some());
    }
}
