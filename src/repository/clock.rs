//! The store's own clock, read off an object that was just stored: ages of objects are judged by it alone.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use object_store::ObjectStoreExt;

use super::core::{Core, object};
use super::error::Error;
use super::location::Scheme;
use super::patience::{ANSWER, within};
use crate::format::key::PROBE;
use crate::sys::random;

/// What the store says of itself when something has just been stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreClock {
    /// Its clock.
    pub now: Timestamp,
    /// Whether it gave the object a version, as buckets do that keep what is deleted or overwritten. `false` also where it does not say.
    pub keeps_versions: bool,
}

/// Stores a probe key, looks at it, and deletes it.
pub(super) async fn read(core: &Core) -> Result<StoreClock, Error> {
    let utc = core.patience.clock.now().to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let key = format!("{PROBE}{utc}-{}/clock", random::hex(&*core.patience.random, 8));
    core.create(&key, Bytes::from_static(b"what time is it?\n")).await?;
    let path = core.path(&key)?;
    let looked = core.retry(core.at("look at", &key), || within(ANSWER, core.store.head(&path))).await;
    match core.delete(&key).await {
        Err(error) if matches!(error, Error::Stopped { .. }) => return Err(error),
        // A credential that may not delete leaves it to the next probe, which sweeps what is older than a day.
        _ => {}
    }
    let meta = looked?;
    let tells_versions = core.scheme.is_none_or(Scheme::tells_versions);
    Ok(StoreClock { now: object(key, &meta).modified, keeps_versions: meta.version.is_some() && tells_versions })
}
