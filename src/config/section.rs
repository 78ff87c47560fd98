//! One table of the file: takes its keys one by one, checks their types, and names those that nobody asked for.
//!
//! serde stops at the first error. A configuration is repaired faster when all of them are known, so the tables are read here by hand.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::mistake::Gatherer;
use super::units;

/// A value, and where in the text it stands.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    /// Byte offset in the text.
    pub(super) at: usize,
    /// The key with its table.
    pub(super) key: String,
}

/// A table that is being read; a table that is absent reads as an empty one.
#[derive(Debug)]
pub(super) struct Section<'a, 'i> {
    name: String,
    at: usize,
    table: Option<&'a DeTable<'i>>,
    /// Keys that were asked for, and those of later versions, which are not worth suggesting.
    asked: RefCell<Vec<&'static str>>,
    later: RefCell<Vec<&'static str>>,
    /// Keys whose value is a secret.
    secrets: RefCell<Vec<&'static str>>,
    gather: &'a Gatherer<'a>,
}

type Entry<'a, 'i> = (&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>);

impl<'a, 'i> Section<'a, 'i> {
    fn new(name: String, at: usize, table: Option<&'a DeTable<'i>>, gather: &'a Gatherer<'a>) -> Self {
        Self { name, at, table, asked: RefCell::default(), later: RefCell::default(), secrets: RefCell::default(), gather }
    }

    /// The table of this name in the document.
    pub(super) fn of(document: &'a DeTable<'i>, name: &str, gather: &'a Gatherer<'a>) -> Self {
        let absent = Self::new(name.to_owned(), 0, None, gather);
        let Some((key, value)) = document.iter().find(|(key, _)| key.get_ref() == name) else { return absent };
        let at = key.span().start;
        match value.get_ref() {
            DeValue::Table(table) => Self { at, table: Some(table), ..absent },
            other => {
                gather.mistake(at, name, format!("this must be a table, written [{name}]; it is {}", article(other)));
                Self { at, ..absent }
            }
        }
    }

    /// The tables in this table, by name; what is no table in it is a mistake.
    pub(super) fn entries(&self) -> Vec<(Written<String>, Section<'a, 'i>)> {
        let mut entries = Vec::new();
        for (key, value) in self.table.into_iter().flat_map(DeTable::iter) {
            let (at, name) = (key.span().start, format!("{}.{}", self.name, key.get_ref()));
            let written = Written { value: key.get_ref().to_string(), at, key: name.clone() };
            if let DeValue::Table(table) = value.get_ref() {
                entries.push((written, Self::new(name, at, Some(table), self.gather)));
            } else {
                self.gather.mistake(at, name, format!("a source needs a name: write [{}.NAME] above its keys", self.name));
            }
        }
        entries.sort_by_key(|(written, _)| written.at);
        entries
    }

    /// Where the table begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A key of this table with the table's name.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    /// Whether the table is there.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    fn find(&self, key: &'static str) -> Option<Entry<'a, 'i>> {
        self.asked.borrow_mut().push(key);
        self.look(key)
    }

    fn look(&self, key: &str) -> Option<Entry<'a, 'i>> {
        self.table?.iter().find(|(name, _)| name.get_ref() == key)
    }

    fn take<T>(&self, key: &'static str, wanted: &str, read: impl Fn(&DeValue<'i>) -> Option<Result<T, String>>) -> Option<Written<T>> {
        let (_, value) = self.find(key)?;
        let (at, name) = (value.span().start, self.key(key));
        match read(value.get_ref()) {
            Some(Ok(value)) => Some(Written { value, at, key: name }),
            Some(Err(message)) => {
                self.gather.mistake(at, name, message);
                None
            }
            // The value is not shown: it may be a secret that was put under the wrong key.
            None => {
                self.gather.mistake(at, name, format!("this must be {wanted}; it is {}", article(value.get_ref())));
                None
            }
        }
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Written<String>> {
        self.take(key, "a text in quotes", |value| Some(Ok(value.as_str()?.to_owned())))
    }

    /// A text that is a secret.
    pub(super) fn secret(&self, key: &'static str) -> Option<Written<String>> {
        self.secrets.borrow_mut().push(key);
        self.text(key)
    }

    /// All that was written in the table but the secrets that were asked for.
    pub(super) fn without_secrets(&self) -> serde_json::Value {
        let secrets = self.secrets.borrow();
        let keys = self.table.into_iter().flat_map(DeTable::iter).map(|(key, value)| (key.get_ref().to_string(), value));
        let kept = keys.filter(|(key, _)| !secrets.contains(&key.as_str()));
        let read = |value: &Spanned<DeValue<'i>>| serde_json::Value::deserialize(ValueDeserializer::from(value.clone())).ok();
        // What is no value of JSON is none of a key either, and was told as a mistake.
        kept.filter_map(|(key, value)| Some((key, read(value)?))).collect()
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<Written<bool>> {
        self.take(key, "true or false", |value| value.as_bool().map(Ok))
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, key: &'static str, least: u32, most: u32) -> Option<Written<u32>> {
        self.take(key, "a whole number", |value| {
            let integer = value.as_integer()?;
            let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
            let within = number.filter(|number| (least..=most).contains(number));
            Some(within.ok_or_else(|| format!("this must be a number from {least} to {most}")))
        })
    }

    pub(super) fn size(&self, key: &'static str) -> Option<Written<u64>> {
        self.take(key, "a size in quotes, such as \"16MiB\"", |value| value.as_str().map(units::size))
    }

    pub(super) fn rate(&self, key: &'static str) -> Option<Written<u64>> {
        self.take(key, "a rate in quotes, such as \"50MiB/s\"", |value| value.as_str().map(units::rate))
    }

    pub(super) fn duration(&self, key: &'static str) -> Option<Written<Duration>> {
        self.take(key, "a duration in quotes, such as \"26h\"", |value| value.as_str().map(units::duration))
    }

    /// An absolute path in its one spelling.
    pub(super) fn path(&self, key: &'static str) -> Option<Written<PathBuf>> {
        self.take(key, "a path in quotes", |value| value.as_str().map(absolute))
    }

    /// A table in this one.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let absent = Self::new(self.key(key), self.at, None, self.gather);
        let Some((written, value)) = self.find(key) else { return absent };
        let at = written.span().start;
        match value.get_ref() {
            DeValue::Table(table) => Self { at, table: Some(table), ..absent },
            other => {
                self.gather.mistake(at, self.key(key), format!("this must be a table, such as {{ KEY = … }}; it is {}", article(other)));
                absent
            }
        }
    }

    pub(super) fn texts(&self, key: &'static str) -> Option<Written<Vec<String>>> {
        self.take(key, "a list of texts, such as [\"*.tmp\"]", |value| Some(Ok(list_of_texts(value)?)))
    }

    /// One text, or a list of them.
    pub(super) fn text_or_texts(&self, key: &'static str) -> Option<Written<Vec<String>>> {
        self.take(key, "a text in quotes, or a list of texts", |value| {
            if let Some(text) = value.as_str() {
                return Some(Ok(vec![text.to_owned()]));
            }
            Some(Ok(list_of_texts(value)?))
        })
    }

    /// Texts by name, in the order of their names.
    pub(super) fn named_texts(&self, key: &'static str) -> Option<Written<Vec<(String, String)>>> {
        self.take(key, "texts by name, such as { team = \"storage\" }", |value| {
            let table = value.as_table()?;
            let texts = table.iter().map(|(name, text)| Some((name.get_ref().to_string(), text.get_ref().as_str()?.to_owned())));
            let mut texts = texts.collect::<Option<Vec<_>>>()?;
            texts.sort();
            Some(Ok(texts))
        })
    }

    /// A key that a later version will know: having it is a mistake with this explanation.
    pub(super) fn later(&self, key: &'static str, message: &str) {
        self.later.borrow_mut().push(key);
        if let Some((written, _)) = self.look(key) {
            self.gather.mistake(written.span().start, self.key(key), message);
        }
    }

    /// Names the keys that nobody asked for.
    pub(super) fn finish(&self) {
        let (asked, later) = (self.asked.borrow(), self.later.borrow());
        for (key, _) in self.table.into_iter().flat_map(DeTable::iter) {
            let name = key.get_ref().as_ref();
            if !asked.contains(&name) && !later.contains(&name) {
                self.gather.mistake(key.span().start, self.key(name), unknown(name, &asked, "key"));
            }
        }
    }
}

/// What to say of a name that is not known.
pub(super) fn unknown(name: &str, known: &[&str], what: &str) -> String {
    let nearest = known.iter().map(|known| (distance(name, known), known)).min();
    match nearest {
        // Two slips of the finger; more is another word.
        Some((slips, known)) if slips <= 2 => format!("there is no such {what}: did you mean `{known}`?"),
        _ => format!("there is no such {what}; known are {}", known.join(", ")),
    }
}

fn list_of_texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

/// How many letters must be added, removed or replaced to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let least = (diagonal + usize::from(from != *to)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], least);
        }
    }
    row[b.len()]
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        // The text is not shown: where the file of a secret belongs, somebody may have written the secret itself.
        return Err("the path is relative: write it from / on, because the program may be started anywhere".into());
    }
    if text.contains('\0') || path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err("a path cannot hold `..` or a zero byte".into());
    }
    Ok(path.components().collect())
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
