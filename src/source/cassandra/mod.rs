//! Keyspaces of a Cassandra node: a snapshot that the server makes, as hard links that hold still.
//!
//! Facts about what a snapshot of Cassandra holds come from Cassandra 4.1 and 5.0 (`SnapshotManifest`, `TableSnapshot`, `SSTableFormat`) and
//! were looked at on real servers.
//!
//! Reading order: [`Settings`]: which keyspaces of which node; [`NodeConfig`]: where that node keeps its files; [`Schema`]: which tables the
//! server says there are. [`look()`] asks it over a connection in CQL (`cql`, encrypted by `tls`; `refused` tells what goes wrong with it) for
//! the schema, for how each keyspace is made (`describe`, `compact`) and for [`Facts`] (`facts`, `roles`); `names` knows which keyspaces are
//! Cassandra's own, and [`statements()`] cuts that CQL into statements again. [`take`]: the server makes a snapshot, each table's part is proved
//! to be whole and of one node (`one_id`) and linked into a copy (from an [`Earlier`] one where the node's own files cannot be linked), `unopened` finds what the node has
//! on its disk and not in the snapshot, and [`clear`] has the server forget it (`server`: by `nodetool`, or of ScyllaDB by its API, which `scylladb` speaks). The way back begins with [`missing`]: what of a snapshot's
//! schema a node lacks, and making it; `built` waits for what the node builds by itself, and `anew` has it
//! make views anew from their tables.

mod anew;
mod built;
mod compact;
mod complete;
mod component;
mod cql;
mod describe;
mod directories;
mod earlier;
mod exchange;
mod facts;
mod folders;
mod foreign;
pub mod import;
mod layout;
mod link;
mod listing;
mod live_size;
mod look;
mod manifest;
pub mod missing;
mod names;
mod neighbours;
mod never_run;
mod node;
mod node_config;
mod node_file;
mod nodetool;
mod one_id;
mod one_node;
mod peers;
mod places;
mod refused;
mod roles;
mod schema;
mod scylladb;
mod server;
mod settings;
mod statements;
mod table;
mod take;
mod tls;
mod unopened;

pub use directories::{DirectoryFacts, lost_directories};
pub use earlier::Earlier;
pub use exchange::{Change, Exchange, Other, Root, Unindexed, make_own_folder};
pub use facts::{Facts, KeyspaceFacts};
pub use folders::{check_folders, data_directories, has_rows, table_folders};
pub use foreign::{Foreign, Held, Unseen};
pub use layout::{Member, table_of};
pub use live_size::{LiveSize, live_size};
pub use look::{Looked, look, look_at_some};
pub use names::{ALL, KEYSPACE_NAME_MAX, is_own, why_not};
pub use neighbours::{Neighbour, ask_neighbour};
pub use never_run::{all_directories, has_ever_run, remains};
pub use node::{Control, Expected, Unbuilt, is_refused_login};
pub use node_config::{NodeConfig, STORAGE_DIRECTORY};
pub use node_file::{Identity, NodeFile, Place, Surroundings};
pub use peers::{keyspaces, peer_addresses, peers};
pub use places::check_places;
pub use roles::{Permission, Role};
pub use schema::{Keyspace, Kind, Schema, Table, TableId};
pub use settings::{API, Cql, Engine, FIRST_ROLE, JMX_PORT, Jmx, Settings};
pub use statements::{quoted, statements};
pub use table::TakenTable;
pub use take::{Job, Taken, clear, take};
