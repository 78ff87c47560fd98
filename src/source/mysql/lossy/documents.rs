//! Numbers in columns of MySQL's type JSON: one that was put there as a DECIMAL (by `JSON_OBJECT` of such a column) keeps its digits there, and is
//! read back from text as a DOUBLE. MariaDB keeps JSON as text.

use super::super::object::quoted;
use super::{Column, Loss};
use crate::source::Problem;

pub(super) const LOSS: Loss = Loss {
    kind: Problem::INEXACT_JSON,
    list: "list the JSON columns of",
    look: "look at the JSON columns of a table of",
    condition: "c.data_type = 'json'",
    is_lossy,
    cause: |_| "is JSON with decimal numbers, which a server reads from text as DOUBLE".to_owned(),
    remedy: |table, column| {
        let column = quoted(&column.name);
        // An UPDATE does not change what is equal as a number.
        format!(
            "ALTER TABLE {table} MODIFY {column} LONGTEXT; ALTER TABLE {table} MODIFY {column} JSON (with its other attributes) makes DOUBLE of them now, \
             so that the next snapshot is exact; a text in their place keeps every digit"
        )
    },
    beyond: "are JSON, whose decimal numbers a server reads from text as DOUBLE",
};

/// Whether a value is another text once it was read from text.
fn is_lossy(column: &Column) -> String {
    let column = quoted(&column.name);
    format!("NOT (CAST(CAST(CAST({column} AS CHAR) AS JSON) AS CHAR) <=> CAST({column} AS CHAR))")
}
