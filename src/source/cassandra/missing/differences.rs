//! Two definitions of one thing: what differs, and whether files of the one can be read under the other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::definition::{Body, Definition};
use super::shape::{Key, Shape, Table, View};

/// Most differences of one thing that are told.
const TOLD_MAX: usize = 20;

/// What is said of an index that takes no file of the one of the snapshot for its own.
pub const OF_ANOTHER_ENGINE: &str = "it is an index of another engine, and is built anew";

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs, as a clause about the thing on the node, compared with the snapshot.
    pub what: String,
    /// Whether files of the snapshot cannot be read because of it, or only wrongly.
    pub is_unreadable: bool,
}

/// Whether one of two definitions of an index names its engine and the other does not. Such two take no file of each other for their own; and where
/// none is named, the node makes one of the engine that it has set, which may be another one than then.
pub fn are_of_two_engines(one: &str, other: &str) -> bool {
    // As pieces of a statement are joined: nothing stands between them where none is needed.
    let has_engine = |text: &str| text.to_uppercase().contains(")USING ");
    has_engine(one) != has_engine(other)
}

/// Finds differences.
#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn told(&mut self, what: String) {
        self.0.push(Difference { what, is_unreadable: false });
    }

    fn unreadable(&mut self, what: String) {
        self.0.push(Difference { what, is_unreadable: true });
    }
}

/// What differs between a definition of the snapshot and the one of the same name on the node.
pub(super) fn between(recorded: &Definition, live: &Definition) -> Vec<Difference> {
    let mut found = Found::default();
    match (&recorded.body, &live.body) {
        (Body::Table(recorded), Body::Table(live)) => tables(recorded, live, &mut found),
        (Body::View(recorded), Body::View(live)) => views(recorded, live, &mut found),
        (Body::Type(recorded), Body::Type(live)) => types(recorded, live, &mut found),
        (Body::Keyspace(recorded), Body::Keyspace(live)) => options(recorded, live, &mut found),
        (Body::Index(table, text), Body::Index(live_table, live_text)) => {
            if table != live_table {
                found.told(format!("it is one of the table `{live_table}`, not of `{table}`"));
            } else if text != live_text {
                found.told(
                    if are_of_two_engines(text, live_text) { OF_ANOTHER_ENGINE } else { "it indexes something else, or in another way" }
                        .into(),
                );
            }
        }
        (recorded, live) => {
            if recorded != live {
                found.told("it is defined otherwise".into());
            }
        }
    }
    // What cannot be read comes first, and is never cut away by what is only worth knowing.
    found.0.sort_by_key(|difference| !difference.is_unreadable);
    found.0.truncate(TOLD_MAX);
    found.0
}

fn tables(recorded: &Table, live: &Table, found: &mut Found) {
    ids(recorded.id != live.id, found);
    let (old, new) = (recorded.shape(), live.shape());
    keys(&old, &new, found);
    for (name, column) in &old.columns {
        if is_of_key(&old.key, name) {
            continue;
        }
        let when = |shape: &Shape| shape.dropped.get(name).copied();
        match new.columns.get(name) {
            Some(now) if now.of != column.of => {
                found.unreadable(format!("the column `{name}` has the type {} and had {}", now.of, column.of));
            }
            Some(now) if now.is_static != column.is_static => {
                let (now, then) = if now.is_static { ("static", "not") } else { ("not static", "it") };
                found.unreadable(format!("the column `{name}` is {now} and was {then}"));
            }
            Some(_) if when(&new) > when(&old) => {
                found.told(format!("the column `{name}` was dropped and added again since then: what it held does not come back"));
            }
            Some(_) => {}
            None if when(&new).is_some() => {
                found.told(format!("the column `{name}` was dropped since then: what it held does not come back"));
            }
            None => found.unreadable(format!("the column `{name}` is not there, and nothing tells that it was dropped")),
        }
    }
    for name in old.dropped.keys().filter(|name| !old.columns.contains_key(*name) && !new.dropped.contains_key(*name)) {
        if new.columns.contains_key(name) {
            found.told(format!("the column `{name}`, which was dropped, is there: what it held before may come back"));
        } else {
            found.unreadable(format!("nothing tells that the column `{name}` was dropped, and older files hold it"));
        }
    }
    for name in new.columns.keys().filter(|name| !old.columns.contains_key(*name) && !is_of_key(&new.key, name)) {
        if !old.dropped.contains_key(name) {
            found.told(format!("the column `{name}` was added since then"));
        }
    }
    if old.is_compact != new.is_compact {
        found.told(format!("it is {} COMPACT STORAGE", if new.is_compact { "WITH" } else { "not any more WITH" }));
    }
    options(&recorded.options, &live.options, found);
}

fn ids(differ: bool, found: &mut Found) {
    if differ {
        found.told("it was made anew since then, with another id".into());
    }
}

fn is_of_key(key: &Key, name: &str) -> bool {
    key.partition.iter().any(|column| column == name) || key.clustering.iter().any(|(column, _)| column == name)
}

/// Of a key, files hold types and order, and no names.
fn keys(old: &Shape, new: &Shape, found: &mut Found) {
    let of = |shape: &Shape, name: &String| shape.columns.get(name).map(|column| column.of.clone()).unwrap_or_default();
    let partition = |shape: &Shape| shape.key.partition.iter().map(|name| of(shape, name)).collect::<Vec<_>>();
    let clustering = |shape: &Shape| shape.key.clustering.iter().map(|(name, order)| (of(shape, name), *order)).collect::<Vec<_>>();
    if partition(old) != partition(new) {
        found.unreadable(format!("its partition key is ({}) and was ({})", partition(new).join(", "), partition(old).join(", ")));
    }
    let told = |shape: &Shape| {
        let one = |(of, is_descending): (String, bool)| if is_descending { format!("{of} DESC") } else { of };
        clustering(shape).into_iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if clustering(old) != clustering(new) {
        found.unreadable(format!("its clustering is ({}) and was ({})", told(new), told(old)));
    }
    let names = |key: &Key| key.partition.iter().chain(key.clustering.iter().map(|(name, _)| name)).cloned().collect::<Vec<_>>();
    for (was, is) in names(&old.key).into_iter().zip(names(&new.key)).filter(|(was, is)| was != is) {
        found.told(format!("the column `{was}` of its key is called `{is}`"));
    }
}

fn views(recorded: &View, live: &View, found: &mut Found) {
    ids(recorded.id != live.id, found);
    if recorded.base != live.base {
        found.unreadable(format!("it is a view of `{}` and was one of `{}`", live.base, recorded.base));
    }
    if recorded.selected != live.selected || recorded.filter != live.filter {
        found.unreadable("it selects other columns or rows".into());
    }
    if recorded.key != live.key {
        found.unreadable("its key is another".into());
    }
    options(&recorded.options, &live.options, found);
}

/// Of a type, files hold fields by their place.
fn types(recorded: &[(String, String)], live: &[(String, String)], found: &mut Found) {
    for (at, (name, of)) in recorded.iter().enumerate() {
        match live.get(at) {
            None => found.unreadable(format!("the field `{name}` is not there")),
            Some((_, now)) if now != of => found.unreadable(format!("the field `{name}` has the type {now} and had {of}")),
            Some((now, _)) if now != name => found.told(format!("the field `{name}` is called `{now}`")),
            Some(_) => {}
        }
    }
    for (name, _) in live.iter().skip(recorded.len()) {
        found.told(format!("the field `{name}` was added since then"));
    }
}

/// Those that both have, since each version has more.
fn options(recorded: &BTreeMap<String, String>, live: &BTreeMap<String, String>, found: &mut Found) {
    for (name, value) in recorded {
        if let Some(now) = live.get(name).filter(|now| *now != value) {
            found.told(format!("{name} is {now} and was {value}"));
        }
    }
}
