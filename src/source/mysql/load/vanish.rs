//! What a server takes without a word and does not keep: clauses of other makes and later versions in comments, and what it reads and forgets.

use crate::source::mysql::lexer::Mode;
use crate::source::mysql::placed::is_placed;
use crate::source::mysql::release::Release;
use crate::source::mysql::tokens::{Token, Tokens};

/// How much of a comment is told.
const TOLD: usize = 80;

/// What a statement says in comments that the server passes over, each as it stands.
pub(super) fn passed_over(statement: &[u8], mode: Mode, release: Release) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = statement.get(at) {
        let rest = &statement[at..];
        if matches!(byte, b'\'' | b'"' | b'`') {
            let is_text = *byte == b'\'' || *byte == b'"' && !mode.ansi_quotes;
            at += quoted_length(rest, is_text && !mode.no_backslash_escapes);
        } else if let Some((number, is_mariadbs)) = mark(rest) {
            let length = rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 2);
            if release.passes_over(number, is_mariadbs) {
                found.push(told(&rest[..length]));
                at += length;
            } else {
                at += 3;
            }
        } else {
            at += 1;
        }
    }
    found
}

/// What the definition of a table asks for that the server reads and forgets, or keeps as something else.
pub(super) fn forgotten(statement: &[u8], mode: Mode, release: Release) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut tokens = Tokens::new(statement, mode);
    let mut is_after_name = false;
    while let Some(token) = tokens.next() {
        if let Token::Word(word, _) = &token {
            let what = match word.as_str() {
                "CHECK" if !release.keeps_checks() => Some("CHECK constraints are taken and not kept by this server"),
                "DESC" if !release.keeps_descending() => Some("indexes are ascending on this server, where the dump has descending ones"),
                "JSON" if is_after_name && release.has_json_as_text() => {
                    Some("JSON is kept as LONGTEXT with a check by this server, and is compared as text")
                }
                _ => None,
            };
            found.extend(what.filter(|what| !found.contains(what)));
        }
        is_after_name = matches!(token, Token::Name(..));
    }
    if is_placed(statement, mode) {
        found.push("files come into the server's own directory, where the dump has DATA DIRECTORY or INDEX DIRECTORY");
    }
    found
}

/// The number of the versioned comment that begins here, and whether it is MariaDB's own.
fn mark(rest: &[u8]) -> Option<(u32, bool)> {
    let (digits, is_mariadbs) = match rest.strip_prefix(b"/*M!") {
        Some(digits) => (digits, true),
        None => (rest.strip_prefix(b"/*!")?, false),
    };
    let length = digits.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&digits[..length]).ok()?.parse().ok()?;
    Some((number, is_mariadbs))
}

/// How long what stands in quotes is, with them.
fn quoted_length(rest: &[u8], escapes: bool) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        at += 1;
        if *byte == rest[0] {
            break;
        }
        at += usize::from(*byte == b'\\' && escapes);
    }
    at
}

fn told(comment: &[u8]) -> String {
    let text = String::from_utf8_lossy(comment);
    let cut: String = text.chars().take(TOLD).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.chars().count() < text.chars().count() { format!("{cut} …") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(version: &str, statement: &str) -> Vec<String> {
        passed_over(statement.as_bytes(), Mode::default(), Release::of(version))
    }

    #[test]
    fn each_server_passes_over_what_is_for_others_and_for_later_ones() {
        let text = "CREATE TABLE `/*!80000 a*/` (b int /*!80023 INVISIBLE */ COMMENT '/*!80000 it''s \\' */', c text /*M!100301 COMPRESSED*/) \
                    /*!50100 PARTITION BY HASH (b) */";
        assert_eq!(passed("10.11.6-MariaDB", text), ["/*!80023 INVISIBLE */"]);
        assert_eq!(passed("8.0.31", text), ["/*M!100301 COMPRESSED*/"]);
        assert_eq!(passed("8.0.20", text), ["/*!80023 INVISIBLE */", "/*M!100301 COMPRESSED*/"]);
        assert_eq!(passed("10.2.11-MariaDB", text), ["/*!80023 INVISIBLE */", "/*M!100301 COMPRESSED*/"]);
        assert_eq!(passed("11.4.5-MariaDB", "/*!50701 a*/ /*!100000 b*/ /*!120000 c*/"), ["/*!50701 a*/", "/*!120000 c*/"]);
        let long = passed("10.11.6-MariaDB", &format!("/*!80002 ANALYZE TABLE `t` UPDATE HISTOGRAM ON {} */", "`a`, ".repeat(50)));
        assert!(long[0].starts_with("/*!80002 ANALYZE") && long[0].ends_with(" …") && long[0].len() < 100, "{long:?}");
    }

    #[test]
    fn what_is_read_and_forgotten_is_told_once() {
        let text = b"CREATE TABLE t (`json` int, `a` json, `desc` int COMMENT 'CHECK', KEY (`a` DESC, `desc` DESC), CHECK (`json` > 1))";
        let of = |version: &str| forgotten(text, Mode::default(), Release::of(version)).len();
        assert_eq!((of("5.7.22"), of("8.0.31"), of("10.2.11-MariaDB"), of("10.11.6-MariaDB"), of("8.0.15")), (2, 0, 2, 1, 1));
    }
}
