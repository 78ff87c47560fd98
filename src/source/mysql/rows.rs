//! Where one `INSERT` ends and the next begins: at rows that their own bytes choose.
//!
//! The dump program begins a new statement when one is full. A row that was inserted moves that place, and all places after it, so that
//! every megabyte of a dump differs somewhere from the one before. Here a statement ends before a row whose hash says so, and such a row
//! stays where it is whatever came before it.

/// Longest row that is looked at as a whole. A longer one, of which only its beginning is held, has a statement of its own.
pub(super) const ROW_MAX: usize = 8 << 10;

/// Parts of the limit that a statement has at least, and on the average beyond that: so one in several hundred reaches the limit.
const LEAST: u64 = 4;
const BEYOND: u64 = 8;

/// The statement that is being written.
#[derive(Debug)]
struct Open {
    prefix: Vec<u8>,
    length: u64,
}

/// What is to be done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes on in the statement that is open.
    Join,
    /// The open statement ends, if there is one, and the row begins another.
    Begin,
}

/// Decides, row by row.
#[derive(Debug)]
pub(super) struct Rows {
    limit: u64,
    open: Option<Open>,
}

impl Rows {
    /// Statements of at most `limit` bytes, unless a single row is longer.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, open: None }
    }

    /// Takes a row that is no longer than [`ROW_MAX`], of a statement that begins with `prefix`.
    pub(super) fn turn(&mut self, prefix: &[u8], row: &[u8]) -> Turn {
        let length = row.len() as u64;
        if let Some(open) = &mut self.open
            && open.prefix == prefix
            // A comma and an end of line before it, a delimiter after it.
            && open.length + length + 3 <= self.limit
            && !(open.length >= self.limit / LEAST && ends_before(row, self.limit / BEYOND))
        {
            open.length += length + 2;
            return Turn::Join;
        }
        self.open = Some(Open { prefix: prefix.to_owned(), length: prefix.len() as u64 + length });
        Turn::Begin
    }

    /// Whether a statement is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Bytes of the open statement with its delimiter; 0 when none is open.
    pub(super) fn length(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.length + 1)
    }

    /// The open statement ends; gives its bytes with its delimiter.
    pub(super) fn close(&mut self) -> Option<u64> {
        self.open.take().map(|open| open.length + 1)
    }
}

/// Whether a row ends the statement before it: by its bytes alone, once in `mean` bytes on the average.
fn ends_before(row: &[u8], mean: u64) -> bool {
    // FNV-1a, and the last steps of splitmix64, because the first alone hardly moves the high bits.
    let mut hash = row.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (u128::from(hash) * u128::from(mean.max(1))) >> 64 < row.len() as u128
}

/// Where the first row of an `INSERT` begins; `None` when its beginning is not there yet, or it is none of those that dump programs write.
pub(super) fn first_row(head: &[u8]) -> Option<usize> {
    let mut at = b"INSERT INTO ".len();
    at += quoted_name(head.get(at..)?)?;
    let mut rest = head.get(at..)?;
    if let Some(columns) = rest.strip_prefix(b" (") {
        let mut columns = columns;
        // Names in quotes, and of some versions plain ones, until the bracket closes.
        loop {
            columns = match *columns.first()? {
                b'`' => columns.get(quoted_name(columns)?..)?,
                b')' => break,
                byte if byte.is_ascii_alphanumeric() || matches!(byte, b',' | b' ' | b'_') => &columns[1..],
                _ => return None,
            };
        }
        rest = &columns[1..];
    }
    let values = rest.strip_prefix(b" VALUES")?;
    let blank = values.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    (values.get(blank) == Some(&b'(')).then_some(head.len() - values.len() + blank)
}

/// How long the name in backticks is that a text begins with.
fn quoted_name(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'`') {
        return None;
    }
    let mut at = 1;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b'`')? + 1;
        if text.get(at) != Some(&b'`') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::random::{Random, SeededRandom};

    #[test]
    fn the_first_row_is_found_whatever_the_names_are() {
        for (prefix, row) in [
            ("INSERT INTO `t` VALUES\n", "(1)"),
            ("INSERT INTO `a`` VALUES (` VALUES ", "(1)"),
            ("INSERT INTO `t` (`a) VALUES (``b`, `c`) VALUES ", "(1)"),
            ("INSERT INTO `t` (`id`, row_start, row_end) VALUES\n", "('x')"),
        ] {
            assert_eq!(first_row(format!("{prefix}{row}").as_bytes()), Some(prefix.len()), "{prefix}");
        }
        for text in
            ["INSERT INTO `t` VALUES", "INSERT INTO `t", "INSERT INTO `t` SELECT 1", "INSERT INTO `t` (`a`)", "INSERT INTO t VALUES (1)"]
        {
            assert_eq!(first_row(text.as_bytes()), None, "{text}");
        }
    }

    /// The rows at which statements begin.
    fn begins(rows: &[Vec<u8>], limit: u64) -> Vec<Vec<u8>> {
        let (mut decide, mut begins, mut length) = (Rows::new(limit), Vec::new(), 0);
        for row in rows {
            if decide.turn(b"INSERT INTO `t` VALUES\n", row) == Turn::Begin {
                begins.push(row.clone());
                length = 23;
            } else {
                length += 2;
            }
            length += row.len() as u64;
            assert!(length < limit, "a statement of {length} bytes");
        }
        begins
    }

    #[test]
    fn a_row_that_is_inserted_moves_hardly_any_place_and_none_is_over_the_limit() {
        let random = SeededRandom::new(7);
        let row = |_| {
            let mut bytes = [0; 150];
            random.fill(&mut bytes);
            format!("({})", crate::format::escape::escape(&bytes[..usize::from(bytes[0]) % 140 + 1])).into_bytes()
        };
        let rows: Vec<Vec<u8>> = (0..100_000).map(row).collect();
        let before = begins(&rows, 1 << 20);
        assert!(before.len() > 20 && before.len() < 80, "{}", before.len());
        for at in [0, 1, 50_000, 99_000] {
            let mut changed = rows.clone();
            changed.insert(at, b"(a new row)".to_vec());
            let after = begins(&changed, 1 << 20);
            let moved = after.iter().filter(|row| !before.contains(row)).count();
            assert!(moved <= 4, "{moved} of {} places have moved", before.len());
        }
    }

    #[test]
    fn another_table_begins_another_statement() {
        let mut rows = Rows::new(1 << 20);
        assert_eq!(rows.turn(b"a", b"(1)"), Turn::Begin);
        assert_eq!(rows.turn(b"a", b"(2)"), Turn::Join);
        assert_eq!(rows.turn(b"b", b"(2)"), Turn::Begin);
        assert_eq!(rows.close(), Some(5));
        assert!(!rows.is_open());
        assert_eq!(rows.turn(b"b", b"(2)"), Turn::Begin);
    }
}
