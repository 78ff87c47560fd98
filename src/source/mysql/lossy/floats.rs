//! Values of FLOAT columns: a server writes them as text with six digits, and a float may need nine. No dump program has an option against it.
//! `FLOAT(M,D)` is written with all of its digits, and `DOUBLE` always exactly.

use super::super::object::quoted;
use super::{Column, Loss};
use crate::source::Problem;

pub(super) const LOSS: Loss = Loss {
    kind: Problem::INEXACT_FLOAT,
    list: "list the FLOAT columns of",
    look: "look at the FLOAT columns of a table of",
    condition: "c.data_type = 'float' AND c.numeric_scale IS NULL",
    is_lossy,
    cause: |_| "is FLOAT, and dump programs write six digits of it".to_owned(),
    remedy: |table, column| {
        let column = quoted(&column.name);
        format!("ALTER TABLE {table} MODIFY {column} DOUBLE (with its other attributes) makes it exact from the next snapshot on")
    },
    beyond: "are FLOAT, and dump programs write six digits of them",
};

/// Whether the float that is nearest to the text of a value is another one, as SQL that every server understands; not all know a cast to float.
///
/// Adding and taking away what is 2^52 times as large as the distance between two floats rounds a double to a float, ties to even as a server
/// does. Where the value is a power of two the logarithm may come out below it; something is taken from it so that it always does, because floats
/// below a power of two lie closer. Then one of a few such values is told though it is not changed. NULL for zero and NULL.
fn is_lossy(column: &Column) -> String {
    let column = quoted(&column.name);
    let large = format!("POW(2, GREATEST(FLOOR(LOG2(ABS({column})) - 1e-9), -126) + 29) * 1.5");
    format!("{column} <> CONCAT({column}) + {large} - {large}")
}
