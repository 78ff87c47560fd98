//! Who has a database open, without a lock to show for it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Number and name of another process that has this file open, as far as the system lets this user see.
///
/// With a rollback journal, a program between two transactions holds no lock. If the database were exchanged under it, its next
/// transaction would change the old file, and its journal would lie beside the new one and could destroy it.
pub(super) fn other_user(path: &Path) -> Option<String> {
    let (name, file) = (path.file_name()?, fs::metadata(path).ok()?);
    let own = std::process::id().to_string();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let number = process.file_name();
        if number == OsString::from(&own) || !number.as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        for open in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            // The name is looked at first: asking about a file on a server that does not answer would take for ever.
            let has_name = fs::read_link(open.path()).is_ok_and(|link| link.file_name() == Some(name));
            if has_name && fs::metadata(open.path()).is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino())) {
                let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("process {} ({})", number.display(), command.trim()));
            }
        }
    }
    None
}
