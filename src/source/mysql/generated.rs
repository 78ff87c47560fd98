//! Values of generated columns, which become `DEFAULT`.
//!
//! MariaDB's dump program writes them as it writes any value. MariaDB passes over them when they are loaded; MySQL refuses the whole statement
//! (error 3105), and takes nothing but `DEFAULT` for such a column. MySQL's own dump program leaves these columns out.

/// How a definition says that a column is generated.
const MARK: &[u8] = b" GENERATED ALWAYS AS ";

/// Most columns of a table that any server takes.
const COLUMNS_MAX: usize = 4096;

/// What stands in place of a value.
const DEFAULT: &[u8] = b"DEFAULT";

/// Quotes and brackets of a statement that goes by in pieces.
#[derive(Debug, Default)]
struct Scan {
    quote: Option<u8>,
    is_escaped: bool,
    depth: u32,
}

impl Scan {
    /// Takes a byte; gives whether it lies outside of quotes, the quotes themselves not among them.
    fn is_plain(&mut self, byte: u8, escapes: bool) -> bool {
        if let Some(quote) = self.quote {
            if self.is_escaped {
                self.is_escaped = false;
            } else if byte == quote {
                self.quote = None;
            } else {
                self.is_escaped = byte == b'\\' && escapes && quote != b'`';
            }
            return false;
        }
        match byte {
            b'\'' | b'`' => {
                self.quote = Some(byte);
                return false;
            }
            b'(' => self.depth += 1,
            b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        true
    }
}

/// Knows the generated columns of the table whose definition has gone by last, and rewrites the rows that come after it.
#[derive(Debug, Default)]
pub(super) struct Generated {
    /// Of each column, whether it is generated.
    columns: Vec<bool>,
    scan: Scan,
    /// Whether a definition is under way.
    is_defining: bool,
    /// Whether the next thing in a definition begins a column or a key, or that in rows a value.
    begins: bool,
    /// How much of [`MARK`] has come.
    matched: usize,
    /// Whether the rows of a statement have begun, after its list of columns.
    has_rows: bool,
    /// The place of the value that is under way in its row.
    value: usize,
}

impl Generated {
    /// The definition of another table begins.
    pub(super) fn begin(&mut self) {
        *self = Self { is_defining: true, ..Self::default() };
    }

    /// More of the definition, or of another statement, which says nothing.
    pub(super) fn define(&mut self, bytes: &[u8], escapes: bool) {
        if !self.is_defining {
            return;
        }
        for &byte in bytes {
            let is_name = byte == b'`' && self.scan.quote.is_none() && self.scan.depth == 1 && std::mem::take(&mut self.begins);
            if is_name && self.columns.len() < COLUMNS_MAX {
                self.columns.push(false);
            }
            let before = self.scan.depth;
            if !self.scan.is_plain(byte, escapes) {
                self.matched = 0;
                continue;
            }
            if self.scan.depth != 1 {
                continue;
            }
            match byte {
                b'(' if before == 0 => self.begins = true,
                b',' => self.begins = true,
                byte if !byte.is_ascii_whitespace() => self.begins = false,
                _ => {}
            }
            self.matched = if byte == MARK[self.matched] { self.matched + 1 } else { usize::from(byte == MARK[0]) };
            if self.matched == MARK.len() {
                self.matched = 0;
                if let Some(column) = self.columns.last_mut() {
                    *column = true;
                }
            }
        }
    }

    /// The definition, or a statement with rows, has ended.
    pub(super) fn end(&mut self) {
        let columns = std::mem::take(&mut self.columns);
        *self = Self { columns, ..Self::default() };
    }

    /// More of a statement with rows; what is to be written of it is added to `written`.
    pub(super) fn rows(&mut self, bytes: &[u8], escapes: bool, written: &mut Vec<u8>) {
        if !self.columns.contains(&true) {
            return written.extend_from_slice(bytes);
        }
        for &byte in bytes {
            let before = self.scan.depth;
            let is_plain = self.scan.is_plain(byte, escapes);
            if is_plain && before == 0 {
                // Outside of brackets there is no other V than that of VALUES.
                self.has_rows |= byte == b'V';
                self.value = 0;
                self.begins = true;
            } else if is_plain && before == 1 && (byte == b',' || byte == b')') {
                self.value += 1;
                self.begins = true;
            } else if self.has_rows && self.columns.get(self.value) == Some(&true) {
                if std::mem::take(&mut self.begins) {
                    written.extend_from_slice(DEFAULT);
                }
                continue;
            }
            written.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `a GENERATED ALWAYS AS ` enum('x','(',' GENERATED ALWAYS AS ') DEFAULT NULL,\n  \
        `g` varchar(50) GENERATED ALWAYS AS (concat(`id`,_utf8mb4',')) STORED,\n  `b` decimal(65,30) DEFAULT '0' COMMENT 'it''s \\', GENERATED ALWAYS AS (',\n  \
        `h` int GENERATED ALWAYS AS ((`id` * 2)) VIRTUAL,\n  PRIMARY KEY (`id`,`b`),\n  KEY `k` (`g`)\n) ENGINE=InnoDB COMMENT='`x` GENERATED ALWAYS AS '";

    fn rewritten(table: &str, insert: &str, piece: usize) -> String {
        let mut generated = Generated::default();
        generated.begin();
        table.as_bytes().chunks(piece).for_each(|piece| generated.define(piece, true));
        generated.end();
        let mut written = Vec::new();
        for _ in 0..2 {
            written.clear();
            insert.as_bytes().chunks(piece).for_each(|piece| generated.rows(piece, true, &mut written));
            generated.end();
        }
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn values_of_generated_columns_become_default_and_others_stay() {
        let insert = "INSERT INTO `t` VALUES\n(1,'VALUES (,','a),(\\'',0x00,2),\n(-2,NULL,NULL,'it\\'s '';,(',NULL);";
        let wanted = "INSERT INTO `t` VALUES\n(1,'VALUES (,',DEFAULT,0x00,DEFAULT),\n(-2,NULL,DEFAULT,'it\\'s '';,(',DEFAULT);";
        for piece in [1, 2, 7, 1000] {
            assert_eq!(rewritten(TABLE, insert, piece), wanted, "in pieces of {piece}");
        }
        let listed = "INSERT INTO `t` (`id`, `a GENERATED ALWAYS AS `, `g`, `b`, `h`) VALUES (1,'V','',2,'');";
        assert_eq!(
            rewritten(TABLE, listed, 5),
            "INSERT INTO `t` (`id`, `a GENERATED ALWAYS AS `, `g`, `b`, `h`) VALUES (1,'V',DEFAULT,2,DEFAULT);"
        );
    }

    #[test]
    fn rows_of_a_table_without_such_columns_stay_as_they_are() {
        let insert = "INSERT INTO `t` VALUES (1,'a'),(2,'GENERATED');";
        assert_eq!(rewritten("CREATE TABLE `t` (`a` int, `b` int DEFAULT ' GENERATED ALWAYS AS ', KEY `x` (`a`))", insert, 3), insert);
        let mut generated = Generated::default();
        generated.define(TABLE.as_bytes(), true);
        assert!(generated.columns.is_empty(), "of another statement");
        generated.begin();
        generated.define(TABLE.as_bytes(), true);
        assert_eq!(generated.columns, [false, false, true, false, true]);
        generated.begin();
        generated.define(b"CREATE TABLE `u` (`a` int)", true);
        assert_eq!(generated.columns, [false]);
    }
}
