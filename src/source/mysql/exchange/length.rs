//! Whether the server takes the one statement that lets all tables change places.

use super::super::connection::Connection;
use super::super::facts::number;
use super::super::look::needed_packet;
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::state::Pair;
use super::tables;
use crate::source::Error;
use crate::sys::stop::Stop;

/// What stands between two moves.
const BETWEEN: usize = ", ".len();

/// That the tables which are live now and those that are known to `come`, in the order of the pairs, can change places in one statement: a
/// server takes none that is longer than its packet. Of those that come more may be known once they are loaded.
///
/// # Errors
/// [`Error::Refused`], with what to do; [`Error::Server`].
pub fn check_length(settings: &Settings, pairs: &[Pair], come: &[Vec<String>], stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let mut moves = Moves::default();
    for (pair, coming) in pairs.iter().zip(come) {
        moves.add(pair, &tables::listed(&mut connection, &pair.live, pair.table.as_deref())?, coming);
    }
    moves.check(&mut connection)
}

/// The same once all of them are known.
pub(super) fn check(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    let mut moves = Moves::default();
    pairs.iter().for_each(|pair| moves.add(pair, &pair.going, &pair.coming));
    moves.check(connection)
}

/// How many tables move, and how many bytes the statement has that moves them. Taking them back is as long, and locking them is shorter.
#[derive(Default)]
struct Moves {
    count: usize,
    bytes: usize,
}

impl Moves {
    fn add(&mut self, pair: &Pair, going: &[String], coming: &[String]) {
        let bytes = |from: &str, to: &str, tables: &[String]| -> usize {
            tables.iter().map(|table| tables::rename(from, to, table).len() + BETWEEN).sum()
        };
        self.count += going.len() + coming.len();
        self.bytes += bytes(&pair.live, &pair.outgoing.database, going) + bytes(&pair.incoming.database, &pair.live, coming);
    }

    fn check(&self, connection: &mut Connection) -> Result<(), Error> {
        let limit = connection.value("read the settings of", "SELECT @@session.max_allowed_packet")?.map_or(u64::MAX, |text| number(&text));
        let bytes = (tables::RENAME.len() + self.bytes) as u64;
        match needed_packet(bytes, limit) {
            None => Ok(()),
            Some(enough) => {
                let why = format!(
                    "the {} tables that change places are moved by one statement of {bytes} bytes, and the server takes {limit} in one packet: \
                     SET GLOBAL max_allowed_packet = {enough}; nothing that is live was changed",
                    self.count
                );
                Err(Error::Refused { why })
            }
        }
    }
}
