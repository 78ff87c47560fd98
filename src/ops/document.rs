//! The form of every JSON document that is given to programs.

use serde::Serialize;

/// A document: its schema, then what it says.
#[derive(Debug, Serialize)]
pub struct Document<'a, T> {
    schema: String,
    #[serde(flatten)]
    body: &'a T,
}

impl<'a, T> Document<'a, T> {
    /// The document of this kind, such as `show`.
    pub fn new(kind: &str, body: &'a T) -> Self {
        Self { schema: schema(kind), body }
    }
}

/// `windlass.list/1`.
pub fn schema(kind: &str) -> String {
    format!("windlass.{kind}/1")
}
