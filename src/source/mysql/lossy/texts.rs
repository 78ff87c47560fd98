//! Characters that Unicode does not have, or has twice: a dump is in utf8mb4, into which the server turns every text, with `?` for what it cannot
//! turn. It is so with a single byte of cp1251, and with hundreds of characters of gbk, sjis and others of their kind.

use super::super::object::quoted;
use super::{Column, Loss};
use crate::source::Problem;

pub(super) const LOSS: Loss = Loss {
    kind: Problem::LOSSY_TEXT,
    list: "list the columns with other characters than Unicode's of",
    look: "look at the texts in a table of",
    // Those of Unicode, and such as have a character of it for each of their bytes: what the server calls latin1 has one for all 256.
    condition: "c.character_set_name NOT IN ('utf8', 'utf8mb3', 'utf8mb4', 'ucs2', 'utf16', 'utf16le', 'utf32', 'latin1', 'ascii', 'binary')",
    is_lossy,
    cause: |column| {
        format!("is of the character set {}, and a dump is in utf8mb4, which not all of its characters come through", column.character_set)
    },
    remedy: |table, column| {
        let column = quoted(&column.name);
        format!(
            "put characters into those values that Unicode has, or keep their bytes as they are: ALTER TABLE {table} MODIFY {column} VARBINARY(…) or \
             BLOB makes it exact from the next snapshot on"
        )
    },
    beyond: "are of character sets of which not all characters come through a dump",
};

/// Whether a value has other bytes once it has been in utf8mb4 and back. A conversion that gives nothing at all has lost it as well.
fn is_lossy(column: &Column) -> String {
    let (name, set) = (quoted(&column.name), &column.character_set);
    format!("NOT (CAST(CONVERT(CONVERT({name} USING utf8mb4) USING {set}) AS BINARY) <=> CAST({name} AS BINARY))")
}
