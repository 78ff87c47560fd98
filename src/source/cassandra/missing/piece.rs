//! CQL as pieces: words, names, texts and signs, without blanks and comments between them.

use super::super::statements::token;

/// One piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// As it is written.
    pub(super) text: &'a str,
    /// Where it begins in the statement, in bytes.
    pub(super) at: usize,
}

impl<'a> Piece<'a> {
    /// Whether it is this word of the language, in whatever case; a name in quotes is none.
    pub(super) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// Where it ends in the statement.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// As a name: without its quotes, or in the small letters that a name without quotes stands for. `None` for what cannot be one.
    pub(super) fn name(&self) -> Option<String> {
        match self.text.strip_prefix('"') {
            Some(rest) => Some(rest.strip_suffix('"')?.replace("\"\"", "\"")),
            None => is_word(self.text).then(|| self.text.to_ascii_lowercase()),
        }
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The pieces of a statement.
pub(super) fn pieces(cql: &str) -> Vec<Piece<'_>> {
    let (mut found, mut at) = (Vec::<Piece<'_>>::new(), 0);
    while at < cql.len() {
        let rest = &cql[at..];
        let is_comment = ["--", "//", "/*"].iter().any(|start| rest.starts_with(start));
        let length = match rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count() {
            0 => token(rest).max(1),
            word => word,
        };
        let text = &rest[..length];
        // A doubled quote inside a text or a name ends one for `token`, and begins the next.
        let joins = matches!(text.as_bytes()[0], b'\'' | b'"')
            && found.last().is_some_and(|last| last.end() == at && last.text.as_bytes()[0] == text.as_bytes()[0]);
        if joins {
            let last = found.len() - 1;
            found[last].text = &cql[found[last].at..at + length];
        } else if !is_comment && !text.trim().is_empty() {
            found.push(Piece { text, at });
        }
        at += length;
    }
    found
}

/// The pieces between signs that part them, where those stand in no brackets. `angles` are brackets in types, and signs elsewhere.
pub(super) fn split<'p, 'a>(pieces: &'p [Piece<'a>], angles: bool, parts: impl Fn(&Piece<'a>) -> bool) -> Vec<&'p [Piece<'a>]> {
    let (mut found, mut from, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, piece) in pieces.iter().enumerate() {
        match piece.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            "<" if angles => depth += 1,
            ">" if angles => depth -= 1,
            _ if depth == 0 && parts(piece) => {
                found.push(&pieces[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&pieces[from..]);
    found
}

/// What stands in the brackets that the first piece opens, and what follows them. `None` where it opens none, or they are never closed.
pub(super) fn bracketed<'p, 'a>(pieces: &'p [Piece<'a>]) -> Option<(&'p [Piece<'a>], &'p [Piece<'a>])> {
    if pieces.first()?.text != "(" {
        return None;
    }
    let mut depth = 0_i32;
    for (at, piece) in pieces.iter().enumerate() {
        match piece.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&pieces[1..at], &pieces[at + 1..]));
        }
    }
    None
}

/// The pieces as one text, in which blanks do not depend on who wrote it.
pub(super) fn joined(pieces: &[Piece<'_>]) -> String {
    let mut text = String::new();
    let mut before = "";
    for piece in pieces {
        let begins = |text: &str| text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '\'' | '$'));
        if before == "," || (begins(before) && begins(piece.text)) {
            text.push(' ');
        }
        text.push_str(piece.text);
        before = piece.text;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cql: &str) -> Vec<&str> {
        pieces(cql).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn a_statement_falls_into_words_names_texts_and_signs() {
        assert_eq!(
            texts("CREATE TABLE k.\"A \"\"b\" (c int /* , */, d text) WITH comment = 'it''s; ' -- end\nAND x=1.5;"),
            [
                "CREATE",
                "TABLE",
                "k",
                ".",
                "\"A \"\"b\"",
                "(",
                "c",
                "int",
                ",",
                "d",
                "text",
                ")",
                "WITH",
                "comment",
                "=",
                "'it''s; '",
                "AND",
                "x",
                "=",
                "1",
                ".",
                "5",
                ";"
            ]
        );
        assert_eq!(texts("AS $$ a; 'b $$ ü"), ["AS", "$$ a; 'b $$", "ü"]);
        assert!(texts(" \n").is_empty());
    }

    #[test]
    fn names_lose_their_quotes_and_words_their_case() {
        let found = pieces("Abc \"Abc\" \"a\"\"b\" 'x' ;");
        let names: Vec<Option<String>> = found.iter().map(Piece::name).collect();
        assert_eq!(names, [Some("abc".into()), Some("Abc".into()), Some("a\"b".into()), None, None]);
        assert!(found[0].is("ABC") && !found[1].is("abc"));
    }

    #[test]
    fn lists_are_parted_outside_of_brackets_and_joined_the_same_way() {
        let found = pieces("a map<text, int>, PRIMARY KEY ((a, b), c)");
        let parts: Vec<String> = split(&found, true, |piece| piece.text == ",").into_iter().map(joined).collect();
        assert_eq!(parts, ["a map<text, int>", "PRIMARY KEY((a, b), c)"]);
        let (inside, after) = bracketed(&found[10..]).map(|(inside, after)| (joined(inside), joined(after))).unwrap();
        assert_eq!((inside.as_str(), after.as_str()), ("(a, b), c", ""));
        assert!(bracketed(&found).is_none() && bracketed(&pieces("(a")).is_none());
        assert_eq!(joined(&pieces("{'class' :'X',  'n': 1}")), "{'class':'X', 'n':1}");
    }
}
