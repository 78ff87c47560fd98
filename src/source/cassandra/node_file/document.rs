//! A YAML document as it was understood, with no kinds of scalars told apart: to see that two of them say the same.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::DuplicateKeyPolicy;

use super::edit::Setting;

/// A node of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing stands there.
    Nothing,
    /// A scalar, as a text.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping, in the order in which it stands there; a key that stands there twice is in it twice.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// Reads a document.
    ///
    /// # Errors
    /// Why it is none, without repeating any of its lines.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough, with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|cause| format!("it cannot be read: {}", cause.without_snippet()))
    }

    /// What stands under a key; nothing where this is no mapping.
    pub(super) fn all<'a, 'k>(&'a self, key: &'k str) -> impl Iterator<Item = &'a Self> + use<'a, 'k> {
        let entries = if let Self::Map(entries) = self { entries.as_slice() } else { &[] };
        entries.iter().filter(move |(name, _)| matches!(name, Self::Text(name) if name == key)).map(|(_, value)| value)
    }

    /// The scalar under a key; of several the last, as Cassandra takes it.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.all(key).last() {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether `after` says what this one says and besides nothing but these settings.
    pub(super) fn became(&self, after: &Self, settings: &[Setting]) -> bool {
        let others = |of: &Self| -> Option<Vec<(Self, Self)>> {
            let Self::Map(entries) = of else { return None };
            let is_other = |name: &Self| !settings.iter().any(|setting| *name == Self::Text(setting.key.to_owned()));
            Some(entries.iter().filter(|(name, _)| is_other(name)).cloned().collect())
        };
        let is_set = |setting: &Setting| after.all(setting.key).eq([&Self::Text(setting.means.clone())]);
        others(self).is_some_and(|before| Some(before) == others(after)) && settings.iter().all(is_set)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}
