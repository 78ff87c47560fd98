//! Which right it takes where a server says that an account may not use something.

use super::look::pattern_beside;
use super::object::quoted;

/// Codes of a table, of a column and of a routine that the account may not use.
const TABLE: u16 = 1142;
const COLUMN: u16 = 1143;
const ROUTINE: u16 = 1370;
/// That of a right that holds for the whole server.
const GLOBAL: u16 = 1227;

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
            // Beside, nothing has that name when it is granted, and no server gives a right to what is not there.
            Some(pattern_beside(database).map_or_else(
                || format!("GRANT EXECUTE ON FUNCTION {}.{}", quoted(database), quoted(routine)),
                |pattern| format!("GRANT EXECUTE ON {}.*", quoted(&pattern)),
            ))
        }
        _ => global(code, text),
    }
}

/// The same where the server names rights of the whole server, of which one is enough; it names the least of them last.
pub(super) fn global(code: u16, text: &str) -> Option<String> {
    let named = text.split_once("you need (at least one of) the ").filter(|_| code == GLOBAL)?.1;
    let rights = named.split_once(" privilege(s)")?.0;
    let right = rights.rsplit(" or ").next()?.rsplit(", ").next()?.trim();
    Some(format!("GRANT {right} ON *.*"))
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
            (1370, "execute command denied to user 'u'@'h' for routine 'a_b_windlass_new.f'", "GRANT EXECUTE ON `a\\_b\\_windlass\\_%`.*"),
            (1227, "Access denied; you need (at least one of) the SYSTEM_USER privilege(s) for this operation", "GRANT SYSTEM_USER ON *.*"),
            (1227, "Access denied; you need (at least one of) the SUPER or SET_USER_ID privilege(s) for", "GRANT SET_USER_ID ON *.*"),
            (1227, "Access denied; you need (at least one of) the SUPER, SET USER privilege(s) for this", "GRANT SET USER ON *.*"),
        ] {
            assert_eq!(grant(code, text, statement).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(grant(1142, "SELECT command denied to user 'u'@'h' for table 'other'", statement), None);
        assert_eq!(grant(1064, "You have an error", statement), None);
    }
}
