//! CQL text as statements, one by one.

/// The statements of a CQL text, each with its `;` and without what is around it.
///
/// Where a text, a quoted name, the body of a function or a comment holds a `;`, no statement ends. Comments between statements are left
/// out; one inside a statement stays. What comes after the last `;` is a statement too, unless it is blank.
pub fn statements(cql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    while let Some(next) = cql[at..].chars().next() {
        let rest = &cql[at..];
        let length = token(rest);
        let is_comment = length > 1 && (rest.starts_with("--") || rest.starts_with("//") || rest.starts_with("/*"));
        if start.is_none() && !is_comment && !next.is_whitespace() {
            start = Some(at);
        }
        at += length;
        if next == ';'
            && let Some(from) = start.take()
        {
            found.push(&cql[from..at]);
        }
    }
    if let Some(from) = start {
        found.push(cql[from..].trim_end());
    }
    found
}

/// Bytes of what begins here: a comment, a text, a quoted name, the body of a function; else one character.
pub(super) fn token(rest: &str) -> usize {
    let until = |open: usize, close: &str| rest[open..].find(close).map_or(rest.len(), |at| open + at + close.len());
    match rest {
        _ if rest.starts_with("--") || rest.starts_with("//") => until(2, "\n"),
        _ if rest.starts_with("/*") => until(2, "*/"),
        _ if rest.starts_with("$$") => until(2, "$$"),
        // A doubled quote ends one text and begins the next, which comes to the same.
        _ if rest.starts_with('\'') => until(1, "'"),
        _ if rest.starts_with('"') => until(1, "\""),
        _ => rest.chars().next().map_or(0, char::len_utf8),
    }
}

/// Where something stands in CQL, other than in a text, a quoted name, the body of a function or a comment.
pub(super) fn find_outside(cql: &str, what: &str) -> Option<usize> {
    let mut at = 0;
    while !cql[at..].starts_with(what) {
        let length = token(&cql[at..]);
        if length == 0 {
            return None;
        }
        at += length;
    }
    Some(at)
}

/// A name as CQL writes it, in quotes, so that it keeps its case and may be a word of the language.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as CQL writes it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_at_a_semicolon_that_is_no_part_of_something_else() {
        let cql = "CREATE TABLE a.b (c int) WITH comment = 'it''s; -- /* no end';\n\n-- a; comment\nCREATE FUNCTION f() AS $$ return 1; 'x $$;\n\
                   /* ; */ CREATE TABLE \"A;\"\"B\".c (d int /* ; */);// ;\n  SELECT 1";
        assert_eq!(
            statements(cql),
            [
                "CREATE TABLE a.b (c int) WITH comment = 'it''s; -- /* no end';",
                "CREATE FUNCTION f() AS $$ return 1; 'x $$;",
                "CREATE TABLE \"A;\"\"B\".c (d int /* ; */);",
                "SELECT 1",
            ]
        );
    }

    #[test]
    fn what_never_ends_is_one_statement_and_nothing_is_none() {
        assert_eq!(statements("a 'b;"), ["a 'b;"]);
        assert_eq!(statements("a ü$$;"), ["a ü$$;"]);
        assert_eq!(statements("a; /* ;"), ["a;"]);
        assert!(statements(" \n-- x").is_empty());
        assert_eq!(statements(";;"), [";", ";"]);
    }

    #[test]
    fn names_keep_their_case_and_texts_their_quotes() {
        assert_eq!((quoted("Mi\"xed").as_str(), literal("it's").as_str()), ("\"Mi\"\"xed\"", "'it''s'"));
    }
}
