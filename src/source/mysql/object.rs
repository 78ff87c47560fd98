//! What a database is made of: tables, views and the rest, by kind and name.

use std::fmt;

/// A kind of thing in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// A table that holds rows.
    Table = 1,
    /// A view.
    View = 2,
    /// A sequence (MariaDB).
    Sequence = 3,
    /// A trigger.
    Trigger = 4,
    /// An event.
    Event = 5,
    /// A stored procedure.
    Procedure = 6,
    /// A stored function.
    Function = 7,
    /// A package (MariaDB).
    Package = 8,
    /// The body of a package.
    PackageBody = 9,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Table,
        Self::View,
        Self::Sequence,
        Self::Trigger,
        Self::Event,
        Self::Procedure,
        Self::Function,
        Self::Package,
        Self::PackageBody,
    ];

    /// The words that stand for it in SQL, in upper case.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::Sequence => "SEQUENCE",
            Self::Trigger => "TRIGGER",
            Self::Event => "EVENT",
            Self::Procedure => "PROCEDURE",
            Self::Function => "FUNCTION",
            Self::Package => "PACKAGE",
            Self::PackageBody => "PACKAGE BODY",
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().to_lowercase())
    }
}

/// One thing in one of the databases of a source. Ordered by database, kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// The database's place among those of the source.
    pub database: u16,
    /// What it is.
    pub kind: ObjectKind,
    /// Its name, as the server gives it.
    pub name: String,
}

impl Object {
    /// As bytes that sort as it does.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = self.database.to_be_bytes().to_vec();
        key.push(self.kind as u8);
        key.extend_from_slice(self.name.as_bytes());
        key
    }

    /// From its key.
    pub(super) fn of_key(key: &[u8]) -> Self {
        let kind = ObjectKind::ALL.into_iter().find(|kind| *kind as u8 == key[2]).expect("keys are made above");
        let name = String::from_utf8(key[3..].to_vec()).expect("keys are made of text");
        Self { database: u16::from_be_bytes([key[0], key[1]]), kind, name }
    }

    /// Kind, database and name, for a person.
    pub(super) fn told(&self, databases: &[String]) -> String {
        format!("{} {}.{}", self.kind, quoted(&databases[usize::from(self.database)]), quoted(&self.name))
    }
}

/// A name as SQL quotes it.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_objects_do_and_give_them_back() {
        let object = |database, kind, name: &str| Object { database, kind, name: name.into() };
        let sorted = [
            object(0, ObjectKind::Table, "a"),
            object(0, ObjectKind::Table, "b`\n"),
            object(0, ObjectKind::PackageBody, "a"),
            object(1, ObjectKind::Table, ""),
            object(256, ObjectKind::View, "é"),
        ];
        let keys: Vec<Vec<u8>> = sorted.iter().map(Object::key).collect();
        assert!(keys.is_sorted() && sorted.is_sorted());
        assert_eq!(keys.iter().map(|key| Object::of_key(key)).collect::<Vec<_>>(), sorted);
        assert_eq!(sorted[1].told(&["x".into()]), "table `x`.`b``\n`");
    }
}
