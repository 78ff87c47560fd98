//! Foreign keys from and into other databases that could not be dropped, made or turned when tables changed places: somebody holds their tables,
//! or the server does not make them. The exchange stands all the same, because taking it back would lose what was written since; they are tried again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::connection::{Connection, is_answer};
use super::super::foreign_keys::{self, between, exchange_statement, hint};
use super::super::object::quoted;
use super::super::unturned::Unturned;
use super::outer_keys::{self, OuterKey};
use super::state::State;
use super::waiting::waiting;
use super::{Around, tables};
use crate::source::Error;

/// How long one statement waits for whoever holds a parent, in seconds, the least that servers take: tables of other databases queue behind it.
const WAIT_SECONDS: u32 = 1;

/// How often all of them are tried once the exchange is done; a parent that is held longer waits for the next command.
const ROUNDS: usize = 3;

/// Most of them that are told one by one: a right that is lacking may concern thousands.
const TOLD_MAX: usize = 20;

/// A foreign key that a table is to have and lacks, or has and is not to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedKey {
    /// The database of the table.
    pub database: String,
    /// The key.
    pub key: OuterKey,
    /// Whether it is to be dropped, because its table lies aside; else it is to be made.
    pub is_to_go: bool,
    /// How it was left, where it is there and points elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// What the server said when it was tried last.
    pub why: String,
}

/// How a foreign key was left that is to point to a table which has taken the place of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The database beside and the live one.
    pub pair: (String, String),
    /// Whether it is of a table that lies aside, and is to point there; else it is to point to the live one.
    pub is_held: bool,
    /// The name that it has now.
    pub name: String,
    /// All pairs of the exchange: which tables lie aside, and so are not to be turned, none of them tells alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub among: Vec<(String, String)>,
}

/// Has foreign keys point into the other database of a pair, as [`foreign_keys::turn_most`] does, and waits for nobody for long.
///
/// # Errors
/// As there.
pub(super) fn turn(
    connection: &mut Connection,
    pairs: &[(String, String)],
    is_held: bool,
    passes: &dyn Fn(&Error) -> bool,
) -> Result<Vec<OwedKey>, Error> {
    let unturned = in_short(connection, |connection| foreign_keys::turn_most(connection, pairs, is_held, passes))?;
    let owed = |one: Unturned| OwedKey {
        database: one.key.schema,
        key: OuterKey { table: one.key.table, name: one.name, into: one.to, parent: one.key.parent, body: one.body },
        is_to_go: false,
        turn: Some(Turn { pair: one.pair, is_held, name: one.key.name, among: pairs.to_vec() }),
        why: one.refusal.why,
    };
    Ok(unturned.into_iter().map(owed).collect())
}

impl OwedKey {
    /// Whether it is the same one, whatever the server said.
    pub fn is_same(&self, other: &Self) -> bool {
        self.database == other.database && self.key.identity() == other.key.identity() && self.is_to_go == other.is_to_go
    }

    /// The statement that a person can run. Rows are not checked, as they are not here; and of several each leaves the key there if it fails.
    pub fn statement(&self) -> String {
        let unchecked = |sql: String| format!("SET SESSION foreign_key_checks = 0; {sql}; SET SESSION foreign_key_checks = 1");
        let exchange = |old: &str, new: &str| exchange_statement(&self.database, &self.key.table, &self.key.body, old, new);
        match &self.turn {
            Some(turn) if turn.name == self.key.name => {
                let between = between(&self.key.name);
                unchecked(format!("{}; {}", exchange(&turn.name, &between), exchange(&between, &self.key.name)))
            }
            Some(turn) => unchecked(exchange(&turn.name, &self.key.name)),
            None if self.is_to_go => outer_keys::drop_statement(&self.database, &[&self.key]),
            None => unchecked(self.key.add_statement(&self.database)),
        }
    }

    /// Whether something in this database may still be what a table outside it refers to, so that it has to stay.
    pub fn keeps(&self, database: &str) -> bool {
        // A server that compares names without their case gave them in small letters.
        let is_it = |(from, _): &(String, String)| from.to_lowercase() == database.to_lowercase();
        self.turn.as_ref().is_some_and(|turn| !turn.is_held && (is_it(&turn.pair) || turn.among.iter().any(is_it)))
    }

    /// It as a sentence without its end.
    fn told(&self) -> String {
        let (key, why, sql) = (hint(&self.key.of(&self.database)), &self.why, self.statement());
        if let Some(Turn { pair: (_, live), is_held: true, .. }) = &self.turn {
            format!(
                "what lies aside still has a foreign key to {}.{}{key}, so rows change and go along with those there, or keep them from it \
                 ({why}); the next command on the source tries again; this turns it: {sql}",
                quoted(live),
                quoted(&self.key.parent)
            )
        } else if self.turn.is_some() {
            let to = format!("{}.{}", quoted(&self.key.into), quoted(&self.key.parent));
            format!(
                "a foreign key does not point to {to} yet{key}, and its rows are held against the table that was there before ({why}); the next \
                 command on the source tries again; this turns it: {sql}"
            )
        } else if self.is_to_go {
            let (into, parent) = (quoted(&self.key.into), quoted(&self.key.parent));
            format!(
                "what lies aside still has a foreign key to {into}.{parent}{key}, so rows change and go along with those there, or keep them from it \
                 ({why}); the next command on the source tries again; this drops it: {sql}"
            )
        } else {
            format!("a foreign key could not be made again{key} ({why}); the next command on the source tries again; this makes it: {sql}")
        }
    }
}

/// What a person should know of them, as sentences without their end.
pub fn tell_owed<'a>(owed: impl ExactSizeIterator<Item = &'a OwedKey>) -> Vec<String> {
    let more = owed.len().saturating_sub(TOLD_MAX);
    let mut told: Vec<String> = owed.take(TOLD_MAX).map(OwedKey::told).collect();
    if more > 0 {
        told.push(format!("{more} more foreign keys are still to be made or dropped: leftovers.json has the statements"));
    }
    told
}

/// Tries all of these once more; gives those that are still owed. Those whose table is gone are owed no more.
///
/// # Errors
/// [`Error::Server`] when it does not answer; then all are still owed.
pub fn settle_keys(around: Around<'_>, owed: &[OwedKey]) -> Result<Vec<OwedKey>, Error> {
    let mut connection = around.connect()?;
    tables::without_checks(&mut connection)?;
    round(&mut connection, owed)
}

/// The same a few times, for holders who are soon gone. That the server does not answer any more leaves them owed.
pub(super) fn insist(connection: &mut Connection, mut owed: Vec<OwedKey>) -> Vec<OwedKey> {
    for _ in 0..ROUNDS {
        if owed.is_empty() {
            break;
        }
        match round(connection, &owed) {
            Ok(left) => owed = left,
            Err(_) => break,
        }
    }
    owed
}

fn round(connection: &mut Connection, owed: &[OwedKey]) -> Result<Vec<OwedKey>, Error> {
    let mut states: BTreeMap<(bool, &str), State> = BTreeMap::new();
    let mut turns: BTreeMap<bool, BTreeSet<(String, String)>> = BTreeMap::new();
    for one in owed {
        if let Some(turn) = &one.turn {
            turns.entry(turn.is_held).or_default().extend([&turn.pair].into_iter().chain(&turn.among).cloned());
            continue;
        }
        let state = states.entry((one.is_to_go, &one.database)).or_default();
        state.database.clone_from(&one.database);
        state.keys.push(one.key.clone());
        // What is there of them was made by somebody, and its index is to have its name.
        state.tables = Some(Vec::new());
    }
    let mut left = Vec::new();
    for (is_held, pairs) in turns {
        left.extend(turn(connection, &pairs.into_iter().collect::<Vec<_>>(), is_held, &is_answer)?);
    }
    for one in owed.iter().filter(|one| one.turn.is_some()) {
        if !left.iter().any(|left| left.is_same(one)) && is_lost(connection, one)? {
            left.push(OwedKey { turn: None, why: "somebody has dropped it".to_owned(), ..one.clone() });
        }
    }
    for ((is_to_go, database), state) in &states {
        left.extend(if *is_to_go { outer_keys::let_go(connection, state)? } else { outer_keys::take_hold(connection, database, state)? });
    }
    Ok(left)
}

/// Whether a key is gone from a table that is there.
fn is_lost(connection: &mut Connection, one: &OwedKey) -> Result<bool, Error> {
    let OwedKey { database, key, .. } = one;
    Ok(!outer_keys::is_there(connection, &key.of(database))? && !tables::listed(connection, database, Some(&key.table))?.is_empty())
}

/// Does something with foreign keys that waits for nobody for long.
pub(super) fn in_short<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T, Error>) -> Result<T, Error> {
    waiting(connection, WAIT_SECONDS, WAIT_SECONDS, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(count: usize) -> Vec<OwedKey> {
        let key = |n: usize| OuterKey { table: "t".into(), name: format!("key{n}"), into: "other".into(), ..OuterKey::default() };
        let one = |n| OwedKey { database: "base".into(), key: key(n), is_to_go: n % 2 == 0, turn: None, why: "held".into() };
        (0..count).map(one).collect()
    }

    #[test]
    fn so_many_keys_are_told_one_by_one_and_of_the_others_how_many_there_are() {
        for (count, lines, more) in [
            (0, 0, None),
            (TOLD_MAX, TOLD_MAX, None),
            (TOLD_MAX + 1, TOLD_MAX + 1, Some("1 more ")),
            (4711, TOLD_MAX + 1, Some("4691 more ")),
        ] {
            let told = tell_owed(owed(count).iter());
            assert_eq!(told.len(), lines);
            assert!(
                told.iter().take(TOLD_MAX).enumerate().all(|(n, line)| line.contains(&format!("`key{n}`")) && line.contains("ALTER TABLE"))
            );
            assert!(
                more.is_none_or(|more| told[TOLD_MAX].starts_with(more) && told[TOLD_MAX].contains("leftovers.json")),
                "{:?}",
                told.last()
            );
        }
    }

    #[test]
    fn a_key_that_points_elsewhere_is_told_with_the_statements_that_turn_it_and_kept_as_such() {
        let [mut one] = <[OwedKey; 1]>::try_from(owed(1)).unwrap();
        one.is_to_go = false;
        one.key.body.text = "FOREIGN KEY (`a`) REFERENCES `other`.`p` (`a`)".into();
        one.key.parent = "p".into();
        one.turn = Some(Turn { pair: ("aside".into(), "other".into()), is_held: false, name: "windlass~key0".into(), among: Vec::new() });
        let last = "ALTER TABLE `base`.`t` ADD CONSTRAINT `key0` FOREIGN KEY (`a`) REFERENCES `other`.`p` (`a`), DROP FOREIGN KEY `windlass~key0`; \
                    SET SESSION foreign_key_checks = 1";
        assert_eq!(one.statement(), format!("SET SESSION foreign_key_checks = 0; {last}"));
        assert!(one.told().contains("does not point to `other`.`p` yet"), "{}", one.told());
        let turned = |change: &dyn Fn(&mut Turn)| {
            let mut other = one.clone();
            change(other.turn.as_mut().unwrap());
            other
        };
        assert_eq!(
            turned(&|turn| turn.name = "key0".into()).statement(),
            format!(
                "SET SESSION foreign_key_checks = 0; ALTER TABLE `base`.`t` ADD CONSTRAINT `windlass~key0` FOREIGN KEY (`a`) REFERENCES `other`.`p` \
                 (`a`), DROP FOREIGN KEY `key0`; {last}"
            )
        );
        let held = turned(&|turn| turn.is_held = true);
        assert!(held.told().contains("what lies aside still has a foreign key to `other`.`p`"), "{}", held.told());
        let among = turned(&|turn| turn.among = vec![("besides".into(), "live".into())]);
        assert!(one.keeps("Aside") && among.keeps("aside") && among.keeps("besides") && !one.keeps("besides") && !one.keeps("other"));
        assert!(!held.keeps("aside"), "its tables go with it");
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<OwedKey>(&text).unwrap(), one);
        // As it was written before there were such keys.
        let of_old = text.replace(",\"turn\":{\"pair\":[\"aside\",\"other\"],\"is_held\":false,\"name\":\"windlass~key0\"}", "");
        assert_eq!(serde_json::from_str::<OwedKey>(&of_old).unwrap(), OwedKey { turn: None, ..one });
    }
}
