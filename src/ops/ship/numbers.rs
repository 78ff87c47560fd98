//! The manifest numbers that this node has used for snapshots it may still ship: a number is used once, also when prune has removed what lay
//! under it. Otherwise a prune that stood still for days could take the second body for the first, which it had found to be waste.

use std::fs;
use std::path::PathBuf;

use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::Catalogue;
use crate::ops::copies::Copies;
use crate::ops::listed::Numbers;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::sys::file;

/// The numbers of one source in one repository: a small file for each snapshot whose shipment was begun.
#[derive(Debug)]
pub(crate) struct UsedNumbers(PathBuf);

impl UsedNumbers {
    pub(super) fn of(ctx: &Context, remote: &Remote, source: &SourceName) -> Result<Self, Error> {
        Ok(Self(ctx.state()?.folder(&["numbers", &remote.marker.repository, source.as_str()])?))
    }

    /// The highest number that this node has used for a snapshot; nothing is made.
    ///
    /// # Errors
    /// As [`UsedNumbers::highest`].
    pub(crate) fn highest_known(ctx: &Context, remote: &Remote, source: &SourceName, id: SnapshotId) -> Result<u32, Error> {
        Self(ctx.state()?.path(&["numbers", &remote.marker.repository, source.as_str()])).highest(id)
    }

    /// The highest number that was used for a snapshot, 0 where there is none.
    ///
    /// # Errors
    /// [`Error::Refused`] when the file cannot be understood.
    pub(super) fn highest(&self, id: SnapshotId) -> Result<u32, Error> {
        let path = self.0.join(id.to_string());
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let path = path.display();
                Error::Refused(format!(
                    "{path} should hold a number and does not: write the highest number that was used for this snapshot"
                ))
            }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(cause) => Err(Error::file("read", path)(cause)),
        }
    }

    /// Remembers, before anything is stored under it, that a number is used.
    pub(super) fn note(&self, id: SnapshotId, n: u32) -> Result<(), Error> {
        Ok(file::replace(&self.0.join(id.to_string()), format!("{n}\n").as_bytes())?)
    }

    /// Forgets the snapshots that have no local copy any more, so that they can only be healed, when a head that is listed says as much.
    pub(super) fn tidy(&self, copies: &Copies, catalogue: &Catalogue, source: &SourceName) -> Result<(), Error> {
        let names = fs::read_dir(&self.0).map_err(Error::file("read the folder", &self.0))?;
        for name in names.filter_map(|name| name.ok()?.file_name().into_string().ok()) {
            let Some(id) = name.parse().ok().filter(|id| copies.find(*id).is_none()) else { continue };
            let listed = catalogue.listed.get(&(source.clone(), id));
            let is_told = |numbers: &Numbers| Ok::<_, Error>(numbers.heads.numbers().next_back() >= Some(self.highest(id)?));
            if listed.map(is_told).transpose()?.unwrap_or(true) {
                let path = self.0.join(name);
                fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            }
        }
        Ok(())
    }
}
