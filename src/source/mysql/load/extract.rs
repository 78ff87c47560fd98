//! A dump without its rows: what is left is small, and can be read again and again.

use std::io::{Read, Write};

use super::Error;
use super::act::Act;
use super::trail::newlines;
use super::window::Window;
use crate::source::mysql::lexer::{Kind, Lexer};
use crate::source::mysql::statement::{HEAD_MAX, Statement};
use crate::sys::stop::Stop;

/// What is done with the statement that is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    /// Its beginning is not seen yet.
    Unknown,
    Kept,
    Dropped,
}

/// Copies a dump, and of its rows the ends of their lines alone, so that all else keeps its line.
///
/// # Errors
/// [`Error::Dump`] for what cannot be understood; [`Error::File`] when it cannot be read or written; [`Error::Stopped`].
pub(in crate::source::mysql) fn without_rows(dump: &mut dyn Read, out: &mut dyn Write, stop: &Stop) -> Result<(), Error> {
    let mut lexer = Lexer::without_rows();
    let mut window = Window::new();
    let (mut held, mut under) = (Vec::new(), Under::Unknown);
    loop {
        stop.check()?;
        let last = window.read(dump)? == 0;
        while let Some(part) = lexer.next(window.rest(), last).map_err(|why| Error::Dump { why })? {
            let bytes = window.tell(part.length);
            if part.kind != Kind::Statement {
                write(out, bytes)?;
                continue;
            }
            match under {
                Under::Kept => write(out, bytes)?,
                Under::Dropped => blank(out, bytes)?,
                Under::Unknown => {
                    held.extend_from_slice(bytes);
                    if part.ends || held.len() >= HEAD_MAX {
                        let is_row = Act::is_of_rows(&held, lexer.mode);
                        under = if is_row { Under::Dropped } else { Under::Kept };
                        if is_row {
                            blank(out, &held)?
                        } else {
                            write(out, &held)?
                        }
                        if let Statement::Mode(mode) = Statement::of(&held, lexer.mode) {
                            lexer.mode = mode;
                        }
                        held.clear();
                    }
                }
            }
            if part.ends {
                under = Under::Unknown;
            }
        }
        if last {
            return write(out, &held);
        }
    }
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Error> {
    out.write_all(bytes).map_err(Error::file("write", "the definitions of a dump"))
}

fn blank(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Error> {
    for _ in 0..newlines(bytes) {
        write(out, b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_and_everything_else_stays_where_it_is() {
        let dump = "/*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE `a` (x INT);\nINSERT INTO `a` VALUES (1),\n('; CREATE \\' VIEW'),\n(3);\n\
                    DELIMITER ;;\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN INSERT INTO `a` VALUES (1); END ;;\nDELIMITER ;\n\
                    INSERT INTO `a` VALUES (4);\nCREATE VIEW v AS SELECT 1;\n-- Dump completed\n";
        let wanted = "/*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE `a` (x INT);\n\n\n\n\
                      DELIMITER ;;\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN INSERT INTO `a` VALUES (1); END ;;\nDELIMITER ;\n\
                      \nCREATE VIEW v AS SELECT 1;\n-- Dump completed\n";
        let mut out = Vec::new();
        without_rows(&mut dump.as_bytes(), &mut out, &Stop::new()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        let long = format!("INSERT INTO `a` VALUES ('{}');\nSELECT 1;\n", "x".repeat(3 * super::super::window::READ));
        let mut out = Vec::new();
        without_rows(&mut long.as_bytes(), &mut out, &Stop::new()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\nSELECT 1;\n");
    }
}
