//! A table of a snapshot under another name, beside the one that is live.

use super::super::schema::TableId;
use super::super::statements::quoted;
use super::definition::{Body, Definition, Definitions, Element, head};
use super::piece::{Piece, pieces};
use crate::source::Error;

impl Definitions {
    /// The statements that make a table of a snapshot under another name and with another id, without indexes and without views.
    ///
    /// # Errors
    /// [`Error::Absent`] when the snapshot has no such table; [`Error::Refused`] when it does not tell its id.
    pub fn beside(&self, keyspace: &str, table: &str, name: &str, id: &TableId) -> Result<Vec<String>, Error> {
        let found = self.find(keyspace, Element::Table, table);
        let Some(Definition { body: Body::Table(_), statements, .. }) = found else {
            return Err(Error::Absent { why: format!("the snapshot has no table `{table}` in `{keyspace}`") });
        };
        let mut renamed_ones: Vec<String> = statements.iter().map(|statement| renamed(statement, name)).collect();
        let made = with_id(&renamed_ones[0], id)
            .ok_or_else(|| Error::Refused { why: format!("{} of the snapshot does not tell the id of the table", head(&statements[0])) })?;
        renamed_ones[0] = made;
        Ok(renamed_ones)
    }
}

/// A statement about a table, of which all is known to be understood, with another name for the table.
fn renamed(statement: &str, name: &str) -> String {
    let pieces = pieces(statement);
    // The first dot stands between the keyspace and the table.
    let at = pieces.iter().position(|piece| piece.text == ".").map(|dot| dot + 1).filter(|at| *at < pieces.len());
    at.map_or_else(|| statement.to_owned(), |at| instead(statement, (pieces[at].at, pieces[at].end()), &quoted(name)))
}

/// The statement that makes a table, with another id.
fn with_id(statement: &str, id: &TableId) -> Option<String> {
    Some(instead(statement, place_of_id(&pieces(statement))?, &id.with_dashes()))
}

fn instead(statement: &str, (from, to): (usize, usize), text: &str) -> String {
    format!("{}{text}{}", &statement[..from], &statement[to..])
}

/// Where the id stands.
fn place_of_id(pieces: &[Piece<'_>]) -> Option<(usize, usize)> {
    let mut depth = 0_i32;
    let at = pieces.iter().enumerate().position(|(at, piece)| {
        depth += i32::from(matches!(piece.text, "(" | "[" | "{")) - i32::from(matches!(piece.text, ")" | "]" | "}"));
        let joins = at > 0 && (pieces[at - 1].is("WITH") || pieces[at - 1].is("AND"));
        depth == 0 && joins && piece.is("ID") && pieces.get(at + 1).is_some_and(|next| next.text == "=")
    })?;
    let value = &pieces[at + 2..];
    let length = value.iter().position(|piece| piece.text == ";" || piece.is("AND")).unwrap_or(value.len());
    let (first, last) = (value[..length].first()?, value[..length].last()?);
    Some((first.at, last.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ad7e80a0-e984-11f0-a7f6-5d5e5ba3d8b6";
    const OTHER: &str = "11111111-2222-4333-8444-555555555555";

    #[test]
    fn a_table_gets_another_name_and_id_and_keeps_everything_else() {
        let columns = "(\n    id int PRIMARY KEY,\n    \"x.y\" text\n)";
        for options in [
            format!(" WITH ID = {ID};"),
            format!(" WITH ID = {ID}\n    AND comment = 'ID = {} AND';", "1"),
            format!(" WITH comment = 'a'\n    AND ID = {ID}\n    AND gc_grace_seconds = 1;"),
            format!(" WITH COMPACT STORAGE AND ID = {ID};"),
        ] {
            let text = format!("CREATE TABLE k.t {columns}{options}\n\nALTER TABLE k.t DROP old USING TIMESTAMP 1;");
            let made = Definitions::read(&[("k".into(), text)]).unwrap().beside("k", "t", "New", &OTHER.parse().unwrap()).unwrap();
            let expected = format!("CREATE TABLE k.\"New\" {columns}{}", options.replace(ID, OTHER));
            assert_eq!(made, [expected, "ALTER TABLE k.\"New\" DROP old USING TIMESTAMP 1;".to_owned()]);
        }
        let quoted_names = renamed("ALTER TABLE \"K.k\".\"t.\" DROP id USING TIMESTAMP 1;", "n");
        assert_eq!(quoted_names, "ALTER TABLE \"K.k\".\"n\" DROP id USING TIMESTAMP 1;");
    }

    #[test]
    fn what_the_snapshot_does_not_have_is_not_made() {
        let none = Definitions::read(&[("k".into(), "CREATE TABLE k.t (a int PRIMARY KEY);".into())]).unwrap();
        for (table, why) in [("u", "the snapshot has no table `u` in `k`"), ("t", "does not tell the id of the table")] {
            let error = none.beside("k", table, "n", &OTHER.parse().unwrap()).unwrap_err();
            assert!(matches!(&error, Error::Refused { why: told } | Error::Absent { why: told } if told.contains(why)), "{error:?}");
        }
    }
}
