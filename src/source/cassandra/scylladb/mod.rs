//! ScyllaDB where it differs from Cassandra: it is told what to do over HTTP, describes its keyspaces a little otherwise, and says other things of
//! itself there than in CQL.
//!
//! Facts about it come from its source (`api/api-doc/storage_service.json`, `api/storage_service.cc`, `db/snapshot-ctl.cc`,
//! `cql3/statements/describe_statement.cc`, `docs/dev`): no server of it could be had here.

mod api;
mod describe;
mod http;
mod told;

pub(super) use api::Api;
pub(super) use describe::described;
pub(super) use told::Told;
