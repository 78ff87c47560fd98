use proptest::prelude::*;

use super::*;

/// The runs of a text that comes in pieces of these sizes.
fn runs(text: &[u8], sizes: &mut dyn Iterator<Item = usize>, mode: Mode) -> Vec<(Kind, Vec<u8>)> {
    let mut lexer = Lexer::new();
    lexer.mode = mode;
    let (mut from, mut to) = (0, 0);
    let mut runs: Vec<(Kind, Vec<u8>)> = Vec::new();
    let mut open = false;
    while from < text.len() {
        let last = to == text.len();
        match lexer.next(&text[from..to], last).unwrap() {
            None => {
                assert!(!last, "at the end nothing can be waited for");
                to = text.len().min(to + sizes.next().unwrap_or(1));
            }
            Some(part) => {
                let bytes = &text[from..from + part.length];
                let part = Part { kind: if part.kind == Kind::Rows { Kind::Statement } else { part.kind }, ..part };
                match runs.last_mut() {
                    Some((kind, run)) if open => {
                        assert_eq!(*kind, part.kind);
                        run.extend_from_slice(bytes);
                    }
                    Some((Kind::Blank, run)) if part.kind == Kind::Blank => run.extend_from_slice(bytes),
                    _ => runs.push((part.kind, bytes.to_vec())),
                }
                open = !part.ends;
                from += part.length;
            }
        }
    }
    runs
}

fn statements(text: &str) -> Vec<String> {
    of_mode(text, Mode::default())
}

fn of_mode(text: &str, mode: Mode) -> Vec<String> {
    let runs = runs(text.as_bytes(), &mut std::iter::repeat(7), mode);
    let statements = runs.into_iter().filter(|(kind, _)| *kind == Kind::Statement);
    statements.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

#[test]
fn statements_end_at_the_delimiter_outside_of_quotes_and_comments() {
    let text = "a ';' \"x;\\\"\" `;` 'it''s;' '\\';' ; b /* ; ' */ -- ; '\n # ; \"\n 1--2 ;c;";
    assert_eq!(statements(text), ["a ';' \"x;\\\"\" `;` 'it''s;' '\\';' ;", "b /* ; ' */ -- ; '\n # ; \"\n 1--2 ;", "c;"]);
}

#[test]
fn a_delimiter_line_changes_where_statements_end() {
    let text = "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN -- don't ;;\n SELECT ';;'; /* ;; */ END ;;\ndelimiter ;\nx;";
    assert_eq!(statements(text), ["CREATE PROCEDURE p() BEGIN -- don't ;;\n SELECT ';;'; /* ;; */ END ;;", "x;"]);
}

#[test]
fn comments_between_statements_are_no_part_of_them() {
    let text = "/*M!999999\\- enable the sandbox mode */ \n-- one; two\n/* ; */\n/*!40101 SET NAMES utf8 */;\n--\nx;\n-- end";
    let runs = runs(text.as_bytes(), &mut std::iter::repeat(3), Mode::default());
    let of = |wanted| -> Vec<String> {
        let some = runs.iter().filter(|(kind, _)| *kind == wanted);
        some.map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect()
    };
    assert_eq!(of(Kind::Statement), ["/*!40101 SET NAMES utf8 */;", "x;"]);
    assert_eq!(of(Kind::Comment), ["/*M!999999\\- enable the sandbox mode */", "-- one; two\n", "/* ; */", "--\n", "-- end"]);
}

#[test]
fn backslashes_mean_what_the_mode_says() {
    let text = "'\\'; \"\\\"; x";
    let ansi = Mode { ansi_quotes: true, ..Mode::default() };
    let plain = Mode { no_backslash_escapes: true, ..Mode::default() };
    assert_eq!(of_mode("\"\\\"; x", ansi), ["\"\\\";", "x"]);
    assert_eq!(of_mode(text, plain), ["'\\';", "\"\\\";", "x"]);
    assert_eq!(statements(text), [text]);
}

#[test]
fn what_is_in_a_versioned_comment_is_read_as_the_server_reads_it() {
    let text = "DELIMITER ;;\n/*!50003 TRIGGER t /* it's ;; */ BEGIN SET a = '*/'; END \n*/;;\nDELIMITER ;\nx;";
    assert_eq!(statements(text), ["/*!50003 TRIGGER t /* it's ;; */ BEGIN SET a = '*/'; END \n*/;;", "x;"]);
}

/// A quoted text or name, as the dump program writes it.
fn quoted(quote: char, text: &str) -> String {
    let mut quoted = String::from(quote);
    for c in text.chars() {
        match c {
            c if c == quote => quoted.extend([c, c]),
            '\\' if quote != '`' => quoted.push_str("\\\\"),
            '\'' | '"' if quote != '`' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}

const TRAPS: [&str; 17] = [
    "\n-- Current Database: `x`\n",
    ";",
    ";;",
    "'",
    "\"",
    "`",
    "\\",
    "/*",
    "*/",
    "/*!50003 ",
    "-- ",
    "#",
    "\nDELIMITER //\n",
    "a",
    "é",
    "\0",
    "\n",
];

/// Pieces of text that a careless reader would take for something else.
fn trap() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&TRAPS[..]).prop_map(str::to_owned), 0..8).prop_map(|parts| parts.concat())
}

/// A statement without its delimiter.
fn statement() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        trap().prop_map(|text| quoted('\'', &text)),
        trap().prop_map(|text| quoted('"', &text)),
        trap().prop_map(|text| quoted('`', &text)),
        trap().prop_map(|text| format!("/* {} */", text.replace("*/", "").replace("*/", ""))),
        trap().prop_map(|text| format!("-- {}\n", text.replace('\n', " "))),
        trap().prop_map(|text| format!("#{}\n", text.replace('\n', " "))),
        Just("/*!50003 SELECT */".to_owned()),
        Just("1--2/3*4".to_owned()),
        Just("delimiter".to_owned()),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| format!("X {}", pieces.join(" ")))
}

proptest! {
    #[test]
    fn every_statement_comes_back_as_it_was_written_however_the_bytes_arrive(
        written in proptest::collection::vec((statement(), any::<bool>()), 0..8),
        sizes in proptest::collection::vec(1usize..80, 1..20),
    ) {
        let mut text = String::new();
        let mut wanted = Vec::new();
        for (statement, other) in &written {
            if *other {
                text.push_str("-- between ' ; \"\nDELIMITER ;;\n");
            }
            let delimiter = if *other { ";;" } else { ";" };
            wanted.push(format!("{statement}{delimiter}"));
            text.push_str(&format!("{statement}{delimiter}\n"));
            if *other {
                text.push_str("DELIMITER ;\n");
            }
        }
        let runs = runs(text.as_bytes(), &mut sizes.into_iter().cycle(), Mode::default());
        let found: Vec<String> =
            runs.iter().filter(|(kind, _)| *kind == Kind::Statement).map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect();
        prop_assert_eq!(found, wanted);
        let whole: Vec<u8> = runs.into_iter().flat_map(|(_, bytes)| bytes).collect();
        prop_assert_eq!(whole, text.into_bytes());
    }
}

/// The parts of an `INSERT` and whether a bracket closes with each.
#[test]
fn no_part_of_an_insert_holds_more_than_one_row() {
    let text = b"INSERT INTO `t` (`a)`, `b`) VALUES\n(1,')('),\n(2,\"),(\"),(3,f(4)); SELECT (1), (2);                                  ";
    let (mut lexer, mut at, mut parts) = (Lexer::new(), 0, Vec::new());
    while let Some(part) = lexer.next(&text[at..], true).unwrap() {
        parts.push((std::str::from_utf8(&text[at..at + part.length]).unwrap(), part.kind, part.is_closed, part.ends));
        at += part.length;
    }
    let rows = |text, is_closed, ends| (text, Kind::Rows, is_closed, ends);
    assert_eq!(
        parts[..5],
        [
            rows("INSERT INTO `t` (`a)`, `b`)", true, false),
            rows(" VALUES\n(1,')(')", true, false),
            rows(",\n(2,\"),(\")", true, false),
            rows(",(3,f(4))", true, false),
            rows(";", false, true),
        ]
    );
    assert_eq!(parts[6], ("SELECT (1), (2);", Kind::Statement, false, true));
}
