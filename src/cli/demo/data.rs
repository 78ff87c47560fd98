//! The data of the demo: a database of subscribers as Ellis keeps it, and a folder of settings with everything that is hard to copy.

use std::fmt::Write as _;
use std::fs;
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::ops::Error;
use crate::source::sqlite;
use crate::sys::random::{Random, hex, uuid4};
use crate::sys::stop::Stop;

/// Subscribers to begin with: enough that a changed row is a small part, few enough that the demo takes seconds.
pub(super) const USERS: u32 = 10_000;
/// Subscribers that each round adds.
const USERS_MORE: u32 = 40;
/// Numbers of each subscriber.
pub(super) const NUMBERS_EACH: u32 = 2;
/// Length of the settings' sparse file, of which a few bytes are written.
const SPARSE: u64 = 16 << 20;

/// The tables of Ellis, in SQLite's words.
const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
CREATE TABLE users (
  user_id VARBINARY(36) NOT NULL PRIMARY KEY, password CHAR(64) NOT NULL, full_name VARCHAR(36) NOT NULL,
  email VARCHAR(36) NOT NULL UNIQUE, expires DATETIME, recovery_token VARCHAR(36), recovery_token_created DATETIME);
CREATE TABLE numbers (
  number_id VARBINARY(36) NOT NULL PRIMARY KEY, number VARCHAR(128) NOT NULL UNIQUE, owner_id VARBINARY(36),
  gab_listed TINYINT NOT NULL DEFAULT 1, pstn BOOLEAN NOT NULL DEFAULT 0, specified BOOLEAN NOT NULL DEFAULT 0);
CREATE INDEX numbers_owner ON numbers (owner_id);
";

const FIRST: [&str; 12] = ["Alice", "Bela", "Chidi", "Dana", "Emre", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Kwame", "Lucía"];
const LAST: [&str; 10] = ["Abara", "Brandt", "Castro", "Dvořák", "Eriksen", "Fischer", "Green", "Haddad", "Ito", "Jansen"];

/// The two things that the demo backs up.
#[derive(Debug)]
pub(super) struct Data<'a> {
    /// The database.
    pub(super) database: PathBuf,
    /// The folder.
    pub(super) settings: PathBuf,
    random: &'a dyn Random,
    stop: &'a Stop,
    users: u32,
}

impl<'a> Data<'a> {
    /// The data in this folder; nothing is made yet.
    pub(super) fn new(folder: &Path, random: &'a dyn Random, stop: &'a Stop) -> Self {
        Self { database: folder.join("ellis.db"), settings: folder.join("clearwater"), random, stop, users: 0 }
    }

    /// Makes both.
    pub(super) fn make(&mut self) -> Result<(), Error> {
        let statements = format!("{SCHEMA} BEGIN; {} COMMIT;", self.more_users(USERS));
        self.run(statements)?;
        make_settings(&self.settings).map_err(Error::file("make the settings in", &self.settings))
    }

    /// A day of work: subscribers come and go, a password changes, settings are edited.
    pub(super) fn change(&mut self, round: u32) -> Result<(), Error> {
        let more = self.more_users(USERS_MORE);
        let password = self.password();
        // What changes lies close together, as it does when a few customers call.
        let (from, to) = (round * 300, round * 300 + 15);
        let statements = format!(
            "BEGIN; DELETE FROM numbers WHERE rowid > (SELECT max(rowid) FROM numbers) - 10; {more}
             UPDATE users SET password = '{password}', recovery_token = NULL WHERE rowid BETWEEN {from} AND {to};
             UPDATE numbers SET pstn = 1 WHERE rowid BETWEEN {to} AND {to} + 40; COMMIT;"
        );
        self.run(statements)?;
        change_settings(&self.settings, round).map_err(Error::file("change the settings in", &self.settings))
    }

    fn run(&self, statements: String) -> Result<(), Error> {
        Ok(sqlite::script(&self.database, statements, self.stop)?)
    }

    /// Statements that add subscribers with their numbers.
    fn more_users(&mut self, count: u32) -> String {
        let mut statements = String::new();
        for at in self.users..self.users + count {
            let (user, password) = (uuid4(self.random), self.password());
            let (first, last) = (FIRST[at as usize % FIRST.len()], LAST[at as usize / FIRST.len() % LAST.len()]);
            let email = format!("{}.{at}@example.com", first.to_lowercase());
            // Writing to a text cannot fail.
            let _ = writeln!(
                statements,
                "INSERT INTO users (user_id, password, full_name, email) VALUES ('{user}', '{password}', '{first} {last}', '{email}');"
            );
            for line in 0..NUMBERS_EACH {
                let (number, id) = (6_505_550_000 + u64::from(at * NUMBERS_EACH + line), uuid4(self.random));
                let _ = writeln!(
                    statements,
                    "INSERT INTO numbers (number_id, number, owner_id) VALUES ('{id}', 'sip:{number}@example.com', '{user}');"
                );
            }
        }
        self.users += count;
        statements
    }

    /// What a bcrypt digest looks like.
    fn password(&self) -> String {
        format!("$2a$10${}", hex(self.random, 27).chars().take(53).collect::<String>())
    }
}

fn make_settings(root: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root.join("conf.d/empty"))?;
    let mut text = String::from("home_domain=example.com\n");
    for n in 0..400 {
        let _ = writeln!(text, "peer_{n:03}=10.0.{}.{}", n / 250, n % 250);
    }
    fs::write(root.join("shared_config"), text)?;
    fs::write(root.join("conf.d/dns.json"), "{\n  \"hostnames\": []\n}\n")?;
    fs::write(root.join("conf.d/zero"), "")?;
    fs::write(root.join("restart.sh"), "#!/bin/sh\nexec monit restart all\n")?;
    fs::set_permissions(root.join("restart.sh"), fs::Permissions::from_mode(0o4750))?;
    fs::hard_link(root.join("shared_config"), root.join("conf.d/shared_config"))?;
    symlink("../shared_config", root.join("conf.d/current"))?;
    symlink("/nowhere/at/all", root.join("dangling"))?;
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9 \n.conf")), "a name that is no text\n")?;
    let mut sparse = fs::File::create(root.join("statistics.db"))?;
    sparse.set_len(SPARSE)?;
    sparse.seek(SeekFrom::Start(SPARSE / 2))?;
    sparse.write_all(b"twelve calls a second")
}

fn change_settings(root: &Path, round: u32) -> std::io::Result<()> {
    // In place, so that the hard link goes on sharing it.
    let mut shared = fs::OpenOptions::new().append(true).open(root.join("shared_config"))?;
    writeln!(shared, "round={round}")?;
    fs::write(root.join(format!("conf.d/round-{round}")), format!("{round}\n").repeat(1_000))?;
    match round {
        2 => fs::remove_file(root.join("dangling")),
        3 => fs::rename(root.join("conf.d/zero"), root.join("conf.d/nothing")),
        4 => fs::set_permissions(root.join("restart.sh"), fs::Permissions::from_mode(0o700)),
        _ => Ok(()),
    }
}
