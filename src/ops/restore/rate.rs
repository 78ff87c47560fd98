//! How fast the last restore on this node was, for an estimate of the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ops::{Context, Error};
use crate::sys::file;

/// The document with the rate of files.
pub(super) const FILES: &str = "restore-rate.json";

/// The document with the rate of databases, which a server loads far slower than files are written.
pub(super) const DATABASES: &str = "restore-rate-databases.json";

/// The document with the rate of tables of a Cassandra node, with its stop and start.
pub(super) const CASSANDRA: &str = "restore-rate-cassandra.json";

/// The document with the rate of tables that a node takes in while it runs.
pub(super) const TABLES: &str = "restore-rate-tables.json";

/// Bytes that a Cassandra node is taken to have back in a second before any restore was measured: they are downloaded or copied, looked at, and looked
/// at again once they are in place, each at the speed of a slow disk.
const CASSANDRA_MIN: u64 = 20 << 20;

/// How long a Cassandra node is taken to need to be drained, stopped, started and asked, whatever the bytes are.
const STOP_TIME: Duration = Duration::from_secs(60);

/// How long one that runs is taken to need to be told what to take in: `nodetool` is started several times for each table.
const TELL_TIME: Duration = Duration::from_secs(20);

/// A restore below this many bytes says nothing about the rate.
const BYTES_MIN: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Rate {
    bytes_per_second: u64,
}

/// Remembers the rate of a restore of some size.
pub(super) fn record(ctx: &Context, of: &str, bytes: u64, took: Duration) -> Result<(), Error> {
    let seconds = took.as_secs_f64();
    if bytes < BYTES_MIN || seconds <= 0.0 {
        return Ok(());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rough rate is enough")]
    let rate = Rate { bytes_per_second: (bytes as f64 / seconds) as u64 };
    let path = ctx.state()?.folder(&[])?.join(of);
    Ok(file::replace(&path, &serde_json::to_vec(&rate).expect("plain JSON"))?)
}

/// How long a restore of a Cassandra node takes at the rate of [`CASSANDRA`] or [`TABLES`], or a cautious guess where none was measured.
pub(super) fn estimate_of_node(ctx: &Context, of: &str, bytes: u64) -> Result<Option<Duration>, Error> {
    let own = if of == TABLES { TELL_TIME } else { STOP_TIME };
    let guess = own + Duration::from_secs(bytes.div_ceil(CASSANDRA_MIN));
    Ok(Some(estimate(ctx, of, bytes)?.unwrap_or(guess)))
}

/// How long this many bytes take at that rate; `None` when none was measured, or what was measured cannot be read.
pub(super) fn estimate(ctx: &Context, of: &str, bytes: u64) -> Result<Option<Duration>, Error> {
    let path = ctx.state()?.path(&[of]);
    let rate: Option<Rate> = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    Ok(rate.filter(|rate| rate.bytes_per_second > 0).map(|rate| Duration::from_secs(bytes.div_ceil(rate.bytes_per_second))))
}
