//! Tables made `WITH COMPACT STORAGE`: the server describes them inside a comment, and they come out of it.
//!
//! Cassandra 4.1 and 5.0 (`TableMetadata.CompactTableMetadata.appendCqlTo`) write `/*`, four lines of warning, an empty line, the statement as it
//! is for any table, and `*/`. Both make such a table again when they are given the statement, its id included; but in that of a *static*
//! one (without clustering columns, as all tables of Clearwater's homestead but one) stands the order of a clustering column that nobody can
//! name in a statement, and it has to go.

use super::statements::find_outside;

/// What begins a description inside a comment, but for virtual tables.
const BEGINNING: &str = "/*\nWarning: Table ";

/// The line before the empty line after which the statement stands.
const LAST_OF_WARNING: &str = "\n(this should not be used to reproduce this schema)\n";

/// The statement of a table: what the server says, out of the comment that it may stand in; `None` when it is in a comment of another kind.
///
/// The comment is what is around the whole of it, so a `/*` or `*/` in the table's own texts changes nothing.
pub(super) fn out_of_comment(described: &str) -> Option<&str> {
    let described = described.trim();
    if !described.starts_with("/*") {
        return Some(described);
    }
    let inside = described.strip_prefix(BEGINNING)?.strip_suffix("*/")?;
    // The warning comes before the statement, so the first of these lines is its own.
    let (_, statement) = inside.split_once(LAST_OF_WARNING)?;
    let statement = statement.trim();
    (statement.starts_with("CREATE TABLE ") && statement.ends_with(';')).then_some(statement)
}

/// The statement of a static compact table, without the order of its hidden column.
pub(super) fn without_order(statement: &str) -> String {
    let Some(from) = find_outside(statement, ORDER) else { return statement.to_owned() };
    let after = &statement[from + ORDER.len()..];
    let Some(length) = find_outside(after, ")") else { return statement.to_owned() };
    format!("{}{}", &statement[..from], &after[length + 1..])
}

/// The clause of a table's order, as the server writes it.
const ORDER: &str = "\n    AND CLUSTERING ORDER BY (";

/// Whether a table with these flags (`system_schema.tables`) is a static compact one (`TableMetadata.isStaticCompactTable`).
pub(super) fn is_static(flags: &[String]) -> bool {
    !flags.iter().any(|flag| matches!(flag.as_str(), "super" | "dense" | "compound"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARNED: &str = "/*\nWarning: Table cw.impi omitted because it has constructs not compatible with CQL (was created via legacy API).\n\
                          Approximate structure, for reference:\n(this should not be used to reproduce this schema)\n\n";

    #[test]
    fn a_compact_table_comes_out_of_its_comment() {
        let statement = "CREATE TABLE cw.impi (\n    k text PRIMARY KEY\n) WITH COMPACT STORAGE\n    AND ID = 1;";
        assert_eq!(out_of_comment(&format!("{WARNED}{statement}\n*/")), Some(statement));
    }

    #[test]
    fn texts_that_look_like_comments_do_not_end_it() {
        let statement = "CREATE TABLE cw.t (k int PRIMARY KEY) WITH comment = '*/ /* \n(this should not be used to reproduce this schema)\n\nCREATE TABLE x;';";
        assert_eq!(out_of_comment(&format!("{WARNED}{statement}\n*/")), Some(statement));
        assert_eq!(out_of_comment(statement), Some(statement));
    }

    #[test]
    fn what_else_is_in_a_comment_is_no_statement() {
        assert_eq!(
            out_of_comment("/*\nWarning: Table v.t is a virtual table and cannot be recreated with CQL.\nVIRTUAL TABLE v.t ();\n*/"),
            None
        );
        assert_eq!(out_of_comment(&format!("{WARNED}CREATE TABLE a.b")), None);
        assert_eq!(out_of_comment(&format!("{WARNED}*/")), None);
    }

    #[test]
    fn the_order_of_a_hidden_column_goes_and_texts_that_look_like_it_stay() {
        let odd = "CREATE TABLE a.b (\n    \"x\n    AND CLUSTERING ORDER BY (\" text\n) WITH COMPACT STORAGE\n    AND ID = 1";
        let rest = "\n    AND comment = '\n    AND CLUSTERING ORDER BY (c ASC)';";
        let described = format!("{odd}\n    AND CLUSTERING ORDER BY (\")\" ASC){rest}");
        assert_eq!(without_order(&described), format!("{odd}{rest}"));
        assert_eq!(without_order(&format!("{odd}{rest}")), format!("{odd}{rest}"));
        assert!(is_static(&[]) && is_static(&["counter".into()]) && !is_static(&["dense".into()]) && !is_static(&["compound".into()]));
    }

    #[test]
    fn columns_that_were_dropped_stay_with_their_table() {
        let both = "CREATE TABLE a.b (k int PRIMARY KEY, v int) WITH COMPACT STORAGE;\nALTER TABLE a.b DROP v USING TIMESTAMP 1;";
        assert_eq!(out_of_comment(&format!("{WARNED}{both}\n*/")), Some(both));
    }
}
