//! Which right it takes where a server says that an account may not use something.

use super::object::quoted;

/// Codes of a table, of a column and of a routine that the account may not use.
const TABLE: u16 = 1142;
const COLUMN: u16 = 1143;
const ROUTINE: u16 = 1370;

/// The statement, without its `TO`, that gives the right which the server misses in a `statement`; nothing where its text does not tell.
pub(super) fn grant(code: u16, text: &str, statement: &str) -> Option<String> {
    let named = |mark: &str| text.split_once(mark).map(|(_, name)| name);
    match code {
        TABLE | COLUMN => {
            let (before, _) = text.split_once(" command denied")?;
            let right = before.rsplit([':', '(']).next().unwrap_or(before).trim();
            // Any right would do to make a view, and this one is needed to use it.
            let right = if right.eq_ignore_ascii_case("ANY") { "SELECT" } else { right };
            let named = named(" for table ").or_else(|| named(" in table "))?;
            let table = match named.strip_prefix('`') {
                // MariaDB tells the database.
                Some(rest) => format!("`{}`", &rest[..rest.rfind('`')?]),
                None => qualified(statement, named.strip_prefix('\'').and_then(|rest| rest.rfind('\'').map(|end| &rest[..end]))?)?,
            };
            Some(format!("GRANT {right} ON {table}"))
        }
        ROUTINE => {
            let named = named(" for routine ")?.strip_prefix('\'')?;
            let (database, routine) = named[..named.rfind('\'')?].split_once('.')?;
            Some(format!("GRANT EXECUTE ON FUNCTION {}.{}", quoted(database), quoted(routine)))
        }
        _ => None,
    }
}

/// The table with the database that a statement names before it; first where it is selected from, since a column may have the same name.
fn qualified(statement: &str, table: &str) -> Option<String> {
    let dotted = format!(".{}", quoted(table));
    let mut found = None;
    for (at, _) in statement.match_indices(&dotted) {
        let Some(begin) = statement[..at].strip_suffix('`').and_then(|before| before.rfind('`')) else { continue };
        let before = statement[..begin].trim_end_matches('(').trim_end().to_ascii_lowercase();
        let name = format!("{}{dotted}", &statement[begin..at]);
        if before.ends_with("from") || before.ends_with("join") {
            return Some(name);
        }
        found = found.or(Some(name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_that_is_lacking_is_read_from_what_servers_say() {
        let statement = "select `t`.`regions` AS `r` from (`t` join `ref`.`regions` on(1))";
        for (code, text, wanted) in [
            (1142, "SELECT command denied to user 'u'@'h' for table `ref`.`regions`", "GRANT SELECT ON `ref`.`regions`"),
            (1142, "1142 (42000): ANY command denied to user 'u'@'h' for table 'regions'", "GRANT SELECT ON `ref`.`regions`"),
            (1143, "SELECT command denied to user 'u'@'h' for column 'id' in table 'regions'", "GRANT SELECT ON `ref`.`regions`"),
            (1370, "execute command denied to user 'u'@'h' for routine 'ref.f'", "GRANT EXECUTE ON FUNCTION `ref`.`f`"),
        ] {
            assert_eq!(grant(code, text, statement).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(grant(1142, "SELECT command denied to user 'u'@'h' for table 'other'", statement), None);
        assert_eq!(grant(1064, "You have an error", statement), None);
    }
}
