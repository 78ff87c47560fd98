//! Every edge to the operating system: the clock, randomness, the environment, signals, locks, files and folders.
//!
//! What enters the program through here a test can hold still: [`clock`], [`random`], [`environment`], [`machine`], [`stop`], [`reload`].
//! Who started the program as a service: [`service`] tells systemd how it is, [`journal`] says whether a journal reads what is said.
//! What keeps memory bounded while the data grows: [`sorter`] (an external merge sort), [`table`] (a hash table on disk),
//! [`spool`] (records that are read several times; [`positioned`] reads one file from several places), [`ordered`] (parallel work whose
//! results come in order, with a bound on what is in flight), [`buffer`].
//! What touches files: [`file`] (atomic writes), [`folder`] (an open folder that no symbolic link leads out of), [`tree`],
//! [`lock`]; [`child`] runs programs of others, [`command`] those that start and stop services; [`holders`] says who has files open; and [`space`] says how much room there is. [`terminal`] asks a person for a secret, and [`secret_file`] reads one.

pub mod buffer;
pub mod child;
pub mod clock;
pub mod command;
pub mod environment;
mod error;
pub mod file;
pub mod folder;
pub mod holders;
pub mod journal;
pub mod lock;
pub mod machine;
pub mod meter;
pub mod ordered;
pub mod positioned;
pub mod random;
pub mod reload;
pub mod secret;
pub mod secret_file;
pub mod service;
pub mod sorter;
pub mod space;
pub mod spool;
pub mod stop;
pub mod table;
pub mod terminal;
pub mod tree;

pub use error::Error;
