//! Dumps of the history that tables keep of their rows: whether the server takes it for what it was.
//!
//! A row that is there now ends in the last moment that its server can tell: in 2038, and from MariaDB 11.5 on in 2106 (MDEV-32188). A server of the
//! other kind takes it for a row that is there no more, or cannot keep it.

use crate::source::mysql::release::Release;

/// How a dump tells the version of its server.
const SERVER: &[u8] = b"-- Server version";

/// What it sets, so that rows are taken with the history that they name.
const SETTING: &str = "system_versioning_insert_history";

/// What a dump has said so far.
#[derive(Debug, Default)]
pub(super) struct History {
    dumped: Option<Release>,
    is_on: bool,
}

impl History {
    /// A comment of the dump.
    pub(super) fn comment(&mut self, comment: &[u8]) {
        if let Some(version) = comment.strip_prefix(SERVER) {
            self.dumped = Some(Release::of(String::from_utf8_lossy(version).trim()));
        }
    }

    /// A statement that sets something.
    pub(super) fn set(&mut self, statement: &[u8]) {
        let text = String::from_utf8_lossy(statement).to_ascii_lowercase();
        if text.contains(SETTING) {
            self.is_on = text.contains(&format!("{SETTING}=1"));
        }
    }

    /// Fails when the rows that follow are with their history, and this server has another last moment than that of the dump.
    pub(super) fn check(&self, here: Release) -> Result<(), String> {
        let Some(dumped) = self.dumped.filter(|dumped| self.is_on && dumped.ends_late() != here.ends_late()) else { return Ok(()) };
        let (theirs, this, what) = if dumped.ends_late() {
            ("from 11.5 on", "before 11.5", "cannot keep the end of its rows")
        } else {
            ("before 11.5", "from 11.5 on", "would take its rows of now for those of the past")
        };
        Err(format!(
            "the table keeps the history of its rows; the dump is of a MariaDB {theirs}, and this one, {this}, {what}: restore into a server \
             {theirs}; to a newer one goes what it dumps there with --update-history of mariadb-dump 11.5"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_goes_to_a_server_whose_time_ends_where_its_own_did() {
        let check = |dumped: &str, sets: &[&str], here: &str| {
            let mut history = History::default();
            history.comment(format!("-- Server version\t{dumped}\n").as_bytes());
            sets.iter().for_each(|set| history.set(set.as_bytes()));
            history.check(Release::of(here))
        };
        let on = "/*M!101100 SET @old_system_versioning_insert_history=@@session.system_versioning_insert_history, \
                  @@session.system_versioning_insert_history=1 */;";
        let off = "/*M!101100 SET system_versioning_insert_history=@old_system_versioning_insert_history */;";
        let (old, new) = ("10.11.19-MariaDB-0+deb12u1", "11.8.2-MariaDB");
        for (dumped, sets, here, is_well) in [
            (old, &[on][..], "11.4.5-MariaDB", true),
            (new, &[on], "11.5.2-MariaDB", true),
            (old, &[], new, true),
            (old, &["SET NAMES utf8mb4", on, off], new, true),
            (old, &[on], new, false),
            (new, &[on], old, false),
            (old, &[off, on, "SET NAMES utf8mb4"], new, false),
        ] {
            assert_eq!(check(dumped, sets, here).is_ok(), is_well, "{dumped} {sets:?} {here}");
        }
        assert!(check(old, &[on], new).unwrap_err().contains("would take its rows of now for those of the past"));
    }
}
