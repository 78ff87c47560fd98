//! The rows of a keyspace as text, so that a test can say that they are the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use scylla::value::CqlValue;

use super::cql::{Cql, Raw, plain, quoted};

/// How often rows that expire are asked for, until the clock stands still for as long as that takes.
const TRIES: u32 = 50;

/// A column that a table shows.
struct Column {
    name: String,
    times: Times,
}

/// What times can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    None,
    /// Of the column.
    One,
    /// Of each cell of a collection or type that is not frozen.
    Each,
}

impl Cql {
    /// Every row of every table and view of a keyspace, one a line: all its columns, and for those that have one when they were written
    /// (microseconds since 1970) and when they expire (seconds). Counters have neither; of 4.1 collections that are not frozen have none
    /// that can be asked for. The order is that of the names of tables, and within one that of the server: of tokens, then clustering.
    pub fn dump(&self, keyspace: &str) -> Vec<String> {
        let mut all = Vec::new();
        for table in self.tables(keyspace) {
            all.push(format!("table {table}"));
            all.extend(self.dump_table(keyspace, &table).into_iter().map(|row| format!("  {row}")));
        }
        all
    }

    /// The names of the tables and views of a keyspace, in order.
    pub fn tables(&self, keyspace: &str) -> Vec<String> {
        let of = |from: &str, column: &str| {
            self.lines(&format!("SELECT {column} FROM system_schema.{from} WHERE keyspace_name = {}", literal(keyspace)))
        };
        let mut names = of("tables", "table_name");
        names.extend(of("views", "view_name"));
        names.sort();
        names
    }

    /// The same of one table.
    pub fn dump_table(&self, keyspace: &str, table: &str) -> Vec<String> {
        let columns = self.shown(keyspace, table);
        let json = if self.is_older_than_5() { "toJson" } else { "to_json" };
        let mut asked: Vec<String> = columns.iter().map(|column| format!("{json}({})", quoted(&column.name))).collect();
        for Column { name, .. } in columns.iter().filter(|column| column.times != Times::None) {
            asked.extend(["writetime", "ttl"].map(|what| format!("{what}({})", quoted(name))));
        }
        let question = format!("SELECT {} FROM {}.{}", asked.join(", "), quoted(keyspace), quoted(table));
        for _ in 0..TRIES {
            let began = Timestamp::now().as_second();
            let rows = self.raw(&question);
            let lines: Vec<(String, bool)> = rows.iter().map(|row| line(&columns, row, began)).collect();
            // What is told is how long a cell has, by a clock that counts seconds.
            if !lines.iter().any(|(_, expires)| *expires) || Timestamp::now().as_second() == began {
                return lines.into_iter().map(|(line, _)| line).collect();
            }
        }
        panic!("{keyspace}.{table} is too large for its rows to be read within a second")
    }

    fn shown(&self, keyspace: &str, table: &str) -> Vec<Column> {
        let known = format!(
            "SELECT column_name, kind, type FROM system_schema.columns WHERE keyspace_name = {} AND table_name = {}",
            literal(keyspace),
            literal(table)
        );
        let types = self.lines(&format!("SELECT type_name FROM system_schema.types WHERE keyspace_name = {}", literal(keyspace)));
        let older = self.is_older_than_5();
        let times = |kind: &str, of: &str| {
            let cells = ["list<", "set<", "map<"].iter().any(|start| of.starts_with(start))
                || types.iter().any(|name| of.trim_matches('"') == name);
            match (matches!(kind, "static" | "regular") && of != "counter", cells) {
                (true, true) if older => Times::None,
                (true, true) => Times::Each,
                (true, false) => Times::One,
                (false, _) => Times::None,
            }
        };
        let known: BTreeMap<String, Times> =
            self.rows(&known).iter().map(|row| (text(&row[0]).into(), times(text(&row[1]), text(&row[2])))).collect();
        // Tables with COMPACT STORAGE have columns that they do not show.
        let shown = self.columns(&format!("SELECT * FROM {}.{} LIMIT 1", quoted(keyspace), quoted(table)));
        shown.into_iter().map(|name| Column { times: known[&name], name }).collect()
    }

    fn is_older_than_5(&self) -> bool {
        self.lines("SELECT release_version FROM system.local")[0].starts_with('4')
    }
}

/// One row, `name=value @written !expires`, and whether something in it expires.
fn line(columns: &[Column], row: &Raw, now: i64) -> (String, bool) {
    let (values, mut times) = (&row.0[..columns.len()], row.0[columns.len()..].chunks(2));
    let (mut parts, mut expires) = (Vec::new(), false);
    for (column, value) in columns.iter().zip(values) {
        let value = value.as_deref().map_or("null", |value| std::str::from_utf8(value).unwrap());
        let mut part = format!("{}={value}", column.name);
        if column.times != Times::None {
            let [written, left] = times.next().unwrap() else { unreachable!("two for each column with times") };
            let (written, left) = (numbers(column.times, written.as_deref()), numbers(column.times, left.as_deref()));
            let marked = |mark: &str, numbers: &[Option<i64>], since: i64| {
                let each = numbers.iter().map(|number| number.map_or_else(|| "-".into(), |number| (since + number).to_string()));
                format!(" {mark}{}", each.collect::<Vec<String>>().join("/"))
            };
            if written.iter().any(Option::is_some) {
                part += &marked("@", &written, 0);
            }
            if left.iter().any(Option::is_some) {
                part += &marked("!", &left, now);
                expires = true;
            }
        }
        parts.push(part);
    }
    (parts.join(", "), expires)
}

/// The numbers of an integer of any length, or of a list of such: how many, then each after its length, which is below 0 for one that is not.
fn numbers(times: Times, bytes: Option<&[u8]>) -> Vec<Option<i64>> {
    let Some(bytes) = bytes else { return Vec::new() };
    let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    if times != Times::Each {
        return vec![Some(number(bytes))];
    }
    let (count, mut rest) = bytes.split_at(4);
    (0..number(count))
        .map(|_| {
            let (length, after) = rest.split_at(4);
            let length = usize::try_from(i32::from_be_bytes(length.try_into().unwrap()));
            let (value, after) = after.split_at(length.unwrap_or(0));
            rest = after;
            length.is_ok().then(|| number(value))
        })
        .collect()
}

fn text(value: &Option<CqlValue>) -> &str {
    match value {
        Some(CqlValue::Text(text) | CqlValue::Ascii(text)) => text,
        other => panic!("a text was asked for, not {}", other.as_ref().map_or_else(|| "null".into(), plain)),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
