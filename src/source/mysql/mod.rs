//! The MySQL and MariaDB source: databases of one server, taken together.
//!
//! [`take()`] has the vendor's own dump program write them in one transaction. The program is found by `program`, is given its login in an
//! option file (`option_file`), and runs as a [`crate::sys::child`]. What it writes goes through `split`, which reads it statement by
//! statement (`lexer`, `statement`) and makes a file of it for each database, with rows in statements that end where their own bytes say (`rows`), so
//! that consecutive dumps are alike. Meanwhile nothing is held in memory but the statement's first
//! bytes, and nothing is read twice: who receives the bytes ([`Sink`]) hashes and cuts them.
//!
//! Success is evidence. `inventory` asks the server, on a `connection` of our own, for everything that is in the databases and its
//! definition, before and after; all of it must be among what `split` has found in the dump, and none of it may have changed. `rights` makes
//! sure that the account sees everything, because what it does not see is missing everywhere; `release` is where makes and versions differ. `outside` locks, or reports, tables that no
//! transaction holds still. `facts` and `accounts` are what a fresh server needs besides.
//!
//! For putting back there are: [`Settings::client`] (the words of the client), `Login` and `OptionFile` (how it is told whom to be, as
//! `take` does with the dump program), [`crate::sys::child::Child::write`] (its standard input, in pieces), [`Facts`] (the databases'
//! character sets, the server's `sql_mode`, and `longest_statement`, which `max_allowed_packet` must reach), `lexer` and `statement` (to
//! tell line and statement of a mistake), and `Inventory` (what is there, before and after). A file names its database in comments alone,
//! so it can be loaded under any name; the second `-- Current Database` in it begins the views.

mod accounts;
mod connection;
mod facts;
mod generated;
mod inventory;
mod lexer;
mod object;
mod option_file;
mod outside;
mod program;
mod release;
mod rights;
mod rows;
mod settings;
mod split;
mod statement;
mod take;
mod twice;
mod unwrap;

pub use accounts::Account;
pub use facts::{DatabaseFacts, Facts, Position, TableFacts};
pub use object::{Object, ObjectKind, quoted};
pub use settings::{Address, DATABASES_MAX, DUMP_FILE, PORT, SOCKET, Settings, folder_of};
pub use split::Sink;
pub use take::{Taken, size, take};
