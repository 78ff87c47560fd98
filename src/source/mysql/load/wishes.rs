//! What a session that loads asks for so that tables and rows are again what they were: some servers have these settings, and some let only some
//! accounts change them.

use crate::source::Error;
use crate::source::mysql::connection::{Connection, is_answer};

/// A setting, what it is to be, and what is to be told where it is not that and cannot be made so.
struct Wish {
    name: &'static str,
    wanted: &'static str,
    note: Option<&'static str>,
}

const MOST_WARNINGS: &str = "max_error_count";

const WISHES: [Wish; 6] = [
    // What the server says is understood in English.
    Wish { name: "lc_messages", wanted: "en_US", note: None },
    // What the server changes in a row is told by a warning, of which it keeps only so many for each statement.
    Wish { name: MOST_WARNINGS, wanted: "65535", note: None },
    // The server that was dumped has taken the table, maybe without this.
    Wish { name: "innodb_strict_mode", wanted: "0", note: None },
    // Rows that were there before a constraint are in the dump.
    Wish { name: "check_constraint_checks", wanted: "0", note: None },
    Wish { name: "sql_require_primary_key", wanted: "0", note: None },
    Wish {
        name: "sql_generate_invisible_primary_key",
        wanted: "0",
        note: Some(
            "the server gives every table without a primary key a column of its own, because sql_generate_invisible_primary_key is on and this \
             account cannot set it for its session: switch it off, or GRANT SESSION_VARIABLES_ADMIN ON *.* to the account, and restore once more",
        ),
    },
];

/// The settings that a session can have.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    statements: String,
    /// How many warnings are kept of a statement.
    warnings: u64,
    notes: Vec<&'static str>,
}

impl Wishes {
    /// Tries them on a connection of ours.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection) -> Result<Self, Error> {
        let mut wishes = Self::default();
        for Wish { name, wanted, note } in WISHES {
            let now = match connection.value("read the settings of", &format!("SELECT @@SESSION.{name}")) {
                // It knows no such setting.
                Err(error) if is_answer(&error) => continue,
                now => now?,
            };
            if name == MOST_WARNINGS {
                wishes.warnings = now.as_deref().and_then(|now| now.parse().ok()).unwrap_or_default();
            }
            if now.as_deref() == Some(wanted) {
                continue;
            }
            let set = format!("SET SESSION {name} = {wanted}");
            match connection.run("try a setting of", &set) {
                Err(error) if is_answer(&error) => wishes.notes.extend(note),
                tried => {
                    tried?;
                    if name == MOST_WARNINGS {
                        wishes.warnings = wanted.parse().unwrap_or_default();
                    }
                    wishes.statements.push_str(&format!(" {set};"));
                }
            }
        }
        Ok(wishes)
    }

    /// What a session that loads is set up with, if anything.
    pub(super) fn set_up(&self) -> &str {
        &self.statements
    }

    /// How many warnings are kept of a statement, of which others are not told.
    pub(super) fn warnings(&self) -> u64 {
        self.warnings
    }

    /// What is to be told.
    pub(super) fn notes(&self) -> &[&'static str] {
        &self.notes
    }
}
