//! What the server changes in the rows that it is given. It takes most values that do not fit (too large, too long, no date, no character of the
//! set), changes them, and warns; the client says its warnings on its standard output, and between them what tells whose rows come next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::connection::{Connection, literal};
use super::super::object::quoted;
use crate::source::Error;

/// What a mark begins with.
const MARK: &str = "windlass rows of line ";

/// How the client says a warning.
const WARNING: &str = "Warning (Code ";

/// Warnings that a value was changed, by the codes that MySQL and MariaDB share: NULL where none may be, out of range, cut, no value of the type, no
/// moment of the time zone, no value of the column, too long. The same is said of what an expression comes to, which changes nothing.
const CHANGED: [u32; 7] = [1048, RANGE, CUT, NO_VALUE, 1299, 1366, 1406];
const RANGE: u32 = 1264;
const CUT: u32 = 1265;
const NO_VALUE: u32 = 1292;

/// Types of columns of which [`NO_VALUE`] is said when a value is stored; of others when it is computed with.
const OF_TIME: [&str; 5] = ["date", "datetime", "timestamp", "time", "year"];

/// Makes the client say that the server had more warnings of a statement than it keeps.
pub(super) const CUT_OFF: &[u8] = b"SELECT 'windlass cut off' FROM DUAL WHERE @@warning_count >= @@max_error_count ";

/// What the client says then.
const IS_CUT_OFF: &str = "windlass cut off";

/// Most columns of which a change is remembered, and most tables of which it is that not all was said.
const COLUMNS_MAX: usize = 1000;

/// Longest line of the client's that is looked at: a warning of the server has at most 512 bytes, a mark two digits for each byte of a name.
const LINE_MAX: usize = 4 << 10;

/// Makes the client say that rows of a table follow, which begin at this line of the file.
pub(super) fn mark(line: u64, table: &str, delimiter: &[u8]) -> Vec<u8> {
    // In digits, so that neither `sql_mode` nor the way in which the client writes a row changes it.
    let digits: String = table.bytes().map(|byte| format!("{byte:02x}")).collect();
    [format!("SELECT '{MARK}{line} {digits}' ").as_bytes(), delimiter, b"\n"].concat()
}

/// Reads what the client says while it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Whose rows come: the line of the file, and the table.
    of: (u64, String),
    /// By table, column and code: the line of the file, what the server said first, and how often it did.
    found: BTreeMap<(String, String, u32), (u64, String, u64)>,
    /// Tables of whose rows not all was said; at most some.
    cut_off: BTreeSet<String>,
}

impl Changes {
    /// Takes what the client has said.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            match byte {
                b'\n' => heard.line(),
                _ if heard.line.len() < LINE_MAX => heard.line.push(*byte),
                _ => {}
            }
        }
    }

    /// Fails when values of the rows that were loaded into this database are not what they were in the dump. Gives what a person should know.
    ///
    /// # Errors
    /// [`Error::Load`] with the first of them; [`Error::Server`].
    pub(super) fn check(&self, connect: impl FnOnce() -> Result<Connection, Error>, database: &str) -> Result<Option<String>, Error> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.line();
        // What names no column was said of an expression.
        heard.found.retain(|(_, column, _), _| !column.is_empty());
        if !heard.found.is_empty() {
            let sql = format!(
                "SELECT table_name, column_name, data_type, COALESCE(generation_expression, '') <> '', COALESCE(numeric_scale, '') FROM \
                 information_schema.COLUMNS WHERE table_schema = {}",
                literal(database)
            );
            connect()?.each("list the columns of", &sql, &mut |row| {
                if let Ok([Some(table), Some(name), Some(kind), Some(computed), Some(scale)]) = <[_; 5]>::try_from(row) {
                    heard.judge(
                        &table,
                        &name,
                        &Column { kind: kind.to_lowercase(), is_computed: computed != "0", has_scale: !scale.is_empty() },
                    );
                }
                Ok(())
            })?;
        }
        heard.told()?;
        let cut_off = heard.cut_off.iter().map(|table| quoted(table)).collect::<Vec<_>>().join(", ");
        Ok((!cut_off.is_empty()).then(|| {
            format!("the server had more to say of rows than it keeps, so that some of their values may not be what they are in the dump ({cut_off})")
        }))
    }
}

/// What is known of a column.
struct Column {
    kind: String,
    is_computed: bool,
    has_scale: bool,
}

impl Column {
    /// Whether a warning of this code may be of a value that is another one now.
    fn may_have_changed(&self, code: u32) -> bool {
        let is_rounded = matches!(self.kind.as_str(), "float" | "double") && self.has_scale;
        match code {
            _ if self.is_computed => false,
            // What was nothing of its list is nothing of it again.
            CUT => self.kind != "enum",
            // The largest value of `FLOAT(M,D)` is written as one that is larger.
            RANGE => !is_rounded,
            NO_VALUE => OF_TIME.contains(&self.kind.as_str()),
            _ => true,
        }
    }
}

impl Heard {
    fn line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if let Some(mark) = line.strip_prefix(MARK) {
            if let Some(of) = marked(mark) {
                self.of = of;
            }
            return;
        }
        if line == IS_CUT_OFF {
            self.cut_off();
        }
        let Some((code, said)) = line.strip_prefix(WARNING).and_then(|rest| rest.split_once("): ")) else { return };
        let Some(code) = code.parse().ok().filter(|code| CHANGED.contains(code)) else { return };
        let key = (self.of.1.clone(), column(said), code);
        if let Some(known) = self.found.get_mut(&key) {
            known.2 += 1;
        } else if self.found.len() < COLUMNS_MAX {
            self.found.insert(key, (self.of.0, said.to_owned(), 1));
        } else {
            self.cut_off();
        }
    }

    /// Not all that was said of the rows that come is known.
    fn cut_off(&mut self) {
        if self.cut_off.len() < COLUMNS_MAX {
            self.cut_off.insert(self.of.1.clone());
        }
    }

    /// Forgets what was said of a column and is no change. Servers may make names small.
    fn judge(&mut self, table: &str, name: &str, column: &Column) {
        let is_same = |one: &str, other: &str| one == other || one.to_lowercase() == other.to_lowercase();
        self.found.retain(|(of, about, code), _| !is_same(of, table) || !is_same(about, name) || column.may_have_changed(*code));
    }

    fn told(&self) -> Result<(), Error> {
        let Some(((table, ..), (line, said, _))) = self.found.iter().min_by_key(|(_, (line, ..))| *line) else { return Ok(()) };
        let values: u64 = self.found.values().map(|(_, _, often)| often).sum();
        let tables: BTreeSet<&String> = self.found.keys().map(|(table, ..)| table).collect();
        let (values, tables) = (counted(values, "value"), counted(tables.len() as u64, "table"));
        let why = format!(
            "the server would keep {values} of {tables} otherwise than the dump has them; the first: {said}. Restore into a server that takes \
             them, as the one did that they are from; or load the dump by hand, if the changed values will do"
        );
        Err(Error::Load { line: *line, head: format!("rows of {}", quoted(table)), why })
    }
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Line and table of a mark.
fn marked(mark: &str) -> Option<(u64, String)> {
    let (line, digits) = mark.split_once(' ')?;
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect();
    Some((line.parse().ok()?, String::from_utf8(bytes?).ok()?))
}

/// The column that a warning is about, which stands in quotes at its end: 'c', or `d`.`t`.`c` on MariaDB.
fn column(said: &str) -> String {
    let Some(at) = said.rfind(" column ") else { return String::new() };
    let rest = &said[at + " column ".len()..];
    let name = rest.rsplit_once(" at row ").map_or(rest, |(name, _)| name);
    let of_all = name.rsplit_once("`.`").map_or(name, |(_, last)| last);
    of_all.trim_matches(['\'', '`']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &str) -> Heard {
        let changes = Changes::default();
        // However it comes.
        said.as_bytes().chunks(7).for_each(|bytes| changes.hear(bytes));
        let mut heard = std::mem::take(&mut *changes.0.lock().unwrap());
        heard.line();
        heard
    }

    fn said_of(line: u64, table: &str) -> String {
        let mark = String::from_utf8(mark(line, table, b";")).unwrap();
        let digits = mark.strip_prefix("SELECT '").unwrap().strip_suffix("' ;\n").unwrap();
        format!("{digits}\n{digits}\n")
    }

    #[test]
    fn a_value_that_was_changed_is_told_with_its_table_and_the_line_of_its_rows() {
        let said = format!(
            "{}Warning (Code 1681): Integer display width is deprecated\nNote (Code 1265): Data truncated for column 'x' at row 1\n{}\
             Warning (Code 1264): Out of range value for column 'a' at row 2\nWarning (Code 1264): Out of range value for column 'a' at row 3\n\
             {}Warning (Code 1292): Incorrect datetime value: '2020-02-31' for column `d`.`u`.`c` at row 1",
            said_of(3, "s"),
            said_of(40, "t`é"),
            said_of(90, "u")
        );
        let error = heard(&said).told().unwrap_err().to_string();
        assert!(error.contains("line 40, rows of `t``é`") && error.contains("keep 3 values of 2 tables"), "{error}");
        assert!(error.contains("Out of range value for column 'a' at row 2"), "{error}");
    }

    #[test]
    fn what_is_no_change_of_a_value_is_no_error() {
        let long = "x".repeat(2 * LINE_MAX);
        for said in
            ["", "1\n5\n", "Warning (Code 1681): x\n", "Note (Code 1264): x\n", "Warning (Code x): y\n", "Warning (Code 1264)", &long]
        {
            heard(&format!("{}{said}", said_of(1, "t"))).told().unwrap();
        }
    }

    #[test]
    fn a_warning_of_what_is_computed_or_comes_to_the_same_is_no_change() {
        let column = |kind: &str, is_computed, has_scale| Column { kind: kind.into(), is_computed, has_scale };
        for (column, code, wanted) in [
            (column("int", false, true), RANGE, true),
            (column("int", true, true), RANGE, false),
            (column("float", false, true), RANGE, false),
            (column("float", false, false), RANGE, true),
            (column("enum", false, false), CUT, false),
            (column("date", false, false), CUT, true),
            (column("datetime", false, false), NO_VALUE, true),
            (column("varchar", false, false), NO_VALUE, false),
            (column("varchar", false, false), 1406, true),
        ] {
            assert_eq!(column.may_have_changed(code), wanted, "{} {code}", column.kind);
        }
        let mut heard =
            heard(&format!("{}Warning (Code 1265): Data truncated for column 'E' at row 1\n{IS_CUT_OFF}\n", said_of(1, "Users")));
        heard.judge("others", "e", &column("enum", false, false));
        assert!(heard.told().is_err());
        heard.judge("users", "e", &column("enum", false, false));
        heard.told().unwrap();
        assert_eq!(heard.cut_off, ["Users".to_owned()].into());
    }

    #[test]
    fn the_column_of_a_warning_is_found_however_it_is_written() {
        for (said, wanted) in [
            ("Data truncated for column 'c d' at row 1", "c d"),
            ("Incorrect string value: '\\xF0' for column `d`.`t`.`c` at row 12", "c"),
            ("Incorrect datetime value: ' column ' for column `d`.`t`.`e` at row 12", "e"),
            ("Truncated incorrect INTEGER value: 'x'", ""),
        ] {
            assert_eq!(column(said), wanted, "{said}");
        }
    }
}
