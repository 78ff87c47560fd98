//! What the data is at one moment, in one digest each: so that "the same" is looked at, not believed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::format::digest::{Digest, Hasher};
use crate::ops::Error;
use crate::source::sqlite;
use crate::sys::stop::Stop;

/// Every value of both tables, in a fixed order.
const USERS: &str = "SELECT quote(user_id) || quote(password) || quote(full_name) || quote(email) || quote(expires) || quote(recovery_token) \
    || quote(recovery_token_created) FROM users ORDER BY user_id";
const NUMBERS: &str = "SELECT quote(number_id) || quote(number) || quote(owner_id) || quote(gab_listed) || quote(pstn) || quote(specified) \
    FROM numbers ORDER BY number_id";

/// The data at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// All rows of the database.
    pub(super) database: Digest,
    /// All of the folder: names, kinds, bytes, modes, owners, times, links.
    pub(super) settings: Digest,
}

impl State {
    /// Looks at both.
    pub(super) fn of(database: &Path, settings: &Path, stop: &Stop) -> Result<Self, Error> {
        Ok(Self { database: of_database(database, stop)?, settings: of_folder(settings)? })
    }
}

/// All rows of a database.
pub(super) fn of_database(path: &Path, stop: &Stop) -> Result<Digest, Error> {
    let mut hasher = Hasher::new();
    for query in [USERS, NUMBERS] {
        for row in sqlite::rows(path, query, stop)? {
            hasher.update(row.as_bytes());
            hasher.update(b"\n");
        }
    }
    Ok(hasher.finish())
}

/// All of a folder.
pub(super) fn of_folder(root: &Path) -> Result<Digest, Error> {
    let mut hasher = Hasher::new();
    let mut links = BTreeMap::new();
    add(root, root, &mut hasher, &mut links).map_err(Error::file("look through", root))?;
    Ok(hasher.finish())
}

/// Adds what is in one folder, in the order of names. `links` knows the first path of each inode.
fn add(root: &Path, folder: &Path, hasher: &mut Hasher, links: &mut BTreeMap<u64, Vec<u8>>) -> io::Result<()> {
    let mut names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = folder.join(name);
        let status = fs::symlink_metadata(&path)?;
        let inner = path.strip_prefix(root).unwrap_or(&path).as_os_str().as_bytes().to_vec();
        let content = match status.file_type() {
            kind if kind.is_file() => Digest::of(&fs::read(&path)?).to_string().into_bytes(),
            kind if kind.is_symlink() => fs::read_link(&path)?.into_os_string().as_encoded_bytes().to_vec(),
            _ => Vec::new(),
        };
        let first = links.entry(status.ino()).or_insert_with(|| inner.clone()).clone();
        let numbers = [i64::from(status.mode()), i64::from(status.uid()), i64::from(status.gid()), status.mtime(), status.mtime_nsec()];
        // Each part with its length, so that no two folders read alike.
        let parts = [inner, content, first].into_iter().chain(numbers.map(|number| number.to_le_bytes().to_vec()));
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(&part);
        }
        if status.is_dir() {
            add(root, &path, hasher, links)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_with_another_byte_mode_time_name_or_link_is_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "x").unwrap();
        fs::write(&b, "x").unwrap();
        let mut seen = vec![of_folder(folder.path()).unwrap()];
        let mut changed = |what: &str| {
            let now = of_folder(folder.path()).unwrap();
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        let old = fs::File::open(&a).unwrap();
        old.set_modified(std::time::UNIX_EPOCH).unwrap();
        changed("time");
        fs::set_permissions(&a, fs::Permissions::from_mode(0o600)).unwrap();
        changed("mode");
        fs::remove_file(&b).unwrap();
        fs::hard_link(&a, &b).unwrap();
        changed("link");
        fs::rename(&a, folder.path().join("c")).unwrap();
        changed("name");
        fs::write(&b, "y").unwrap();
        changed("byte");
    }
}
