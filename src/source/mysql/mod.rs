//! The MySQL and MariaDB source: databases of one server, taken together.
//!
//! [`take()`] has the vendor's own dump program write them in one transaction. The program is found by `program`, is given its login in an
//! option file (`option_file`), and runs as a [`crate::sys::child`]. What it writes goes through `split`, which reads it statement by
//! statement (`lexer`, `tokens`, `statement`) and makes a file of it for each database, with rows in statements that end where their own
//! bytes say (`rows`), so that consecutive dumps are alike. Meanwhile nothing is held in memory but the statement's first bytes, and nothing
//! is read twice: who receives the bytes ([`Sink`]) hashes and cuts them.
//!
//! Success is evidence. `inventory` asks the server, on a `connection` of our own, for everything that is in the databases and its
//! definition, before and after; all of it must be among what `split` has found in the dump, and none of it may have changed. `rights` (each a `grant`, of a `pattern`) makes
//! sure that the account sees everything, because what it does not see is missing everywhere, and `narrowed` that no setting of the server keeps
//! rows back; `table_ids` tells tables from others that took their names meanwhile, `others` tells of them; `release` is where makes and versions differ.
//! `outside` locks, or reports, tables that no transaction holds still, `history` reports what old rows no program dumps, `invalid` are views that no program can dump, `placed` tells tables whose files lie elsewhere, and `lossy` finds
//! columns whose values no program dumps exactly; `silence` ends a dump that waits for somebody's lock. `facts` and `accounts` are what a fresh server needs besides, `definers` and `demands` what
//! definitions ask of it.
//!
//! Before something is put back, [`look()`] tells what is there and [`Present::judge`] whether it can go well. `foreign_keys` has those of other
//! tables point to the right ones after tables have changed places.
//!
//! The way back: [`load_tables`] loads a dump's tables beside the live database (`load` feeds the vendor's client), an [`Exchange`] lets them
//! change places with the live ones and makes the rest anew, or puts the old state back. A file names its database in comments alone, so it
//! can be loaded under any name.

mod accounts;
mod connection;
mod definers;
mod demands;
mod denied;
mod exchange;
mod facts;
mod foreign_keys;
mod generated;
mod grant;
mod history;
mod invalid;
mod inventory;
mod lexer;
mod load;
mod look;
mod lossy;
mod narrowed;
mod object;
mod option_file;
mod others;
mod outside;
mod pattern;
mod placed;
mod program;
mod release;
mod rights;
mod rows;
mod settings;
mod silence;
mod split;
mod statement;
mod table_ids;
mod take;
mod tokens;
mod twice;
mod unturned;
mod unwrap;

pub use accounts::Account;
pub use definers::missing_definers;
pub use demands::Demands;
pub use exchange::{
    Around, Captured, Definers, Definition, Done, Doomed, Exchange, Failed, Holds, MARK, NEW, OuterKey, OwedKey, Pair, RoutineGrant,
    Settled, Sight, State, Stays, TABLES_MAX, Turn, Undropped, Words, aside_at, beside, check_aside, check_length, check_readable,
    check_references, check_views, drop_databases, drop_made, identity, is_beside, is_beside_of, is_of_what_comes, load_tables, removal,
    settle_keys, sight, tell_hidden_keys, tell_owed, tell_unread, under_way, which_exist,
};
pub use facts::{DatabaseFacts, Facts, Position, Reference, TableFacts};
pub use foreign_keys::{Body, hold_aside, point_back};
pub use invalid::InvalidView;
pub use load::{Calls, Defaults, Kept, Loaded, Loading, Part, Timed, TimedEvent, Unmade, load};
pub use look::{BESIDE, Present, PresentDatabase, Session, look};
pub use object::{Object, ObjectKind, quoted};
pub use settings::{Address, COMPLETED, DATABASES_MAX, DUMP_FILE, LOCK_WAIT, PORT, SOCKET, Settings, folder_of};
pub use silence::SILENCE;
pub use split::Sink;
pub use take::{Taken, size, take};
