//! Bytes that could not be read where they should lie, from wherever else they lie sound.
//!
//! A snapshot says where its blobs are: in its local copy, in these packs. When one of those is damaged, the same blob is often sound in
//! another place, because a blob is named by its digest and most of them stay the same from one snapshot to the next. [`search`] is given
//! the digests ([`Wanted`]) and looks in this order, until all are found:
//!
//! 1. the data of every local copy on this node, of any source, newest first ([`copies`]). A copy that is known to be damaged is looked
//!    at like any other: the digest decides;
//! 2. the packs of one node's part of the repository, found through the file lists of all its snapshots, newest first, then of manifests
//!    that do not count, each list read once ([`lists`]); packs that are known to be damaged come last. Only the frames in question are
//!    downloaded ([`packs`]).
//!
//! Bytes are handed on only after their digest has matched, each blob once, in no particular order. Nothing that grows with the number of
//! wanted blobs, of files or of lists sits in memory: the digests lie in a table on disk and places are sorted there.
//! What is damaged in the places that were searched is told as a warning and passed over.

mod copies;
mod finder;
mod lists;
mod packs;
mod wanted;

use std::path::Path;

pub use finder::Place;
pub(crate) use wanted::Wanted;

use super::node::Remote;
use super::origin::Origin;
use super::{Context, Error};
use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::format::names::NodeName;
use finder::Finder;

/// What the repository as a whole is called among the places.
const REPOSITORY: &str = "the repository";

/// What the progress display shows during a search.
const PHASE: &str = "looking elsewhere";

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tiers {
    /// Whether to look in the local copies of this node.
    pub(crate) copies: bool,
    /// Whose part of the repository to look in, if in any.
    pub(crate) repository: Option<NodeName>,
}

/// What a search gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gains {
    /// Bytes of the repository that were downloaded, manifests and file lists counted.
    pub(crate) downloaded: u64,
    /// Where blobs were found, in the order of the search, at most 20 places; the last one stands for all that are too many.
    pub(crate) places: Vec<Place>,
    /// Places that may have what was not found and could not be asked, each with the reason, at most 20.
    pub(crate) unasked: Vec<String>,
}

/// Who takes what is found: a digest, the bytes that it was compared with, and where in the repository they lie, if that is where.
pub(crate) type Take<'a> = dyn FnMut(&Digest, &[u8], Option<&Location>) -> Result<(), Error> + 'a;

impl Tiers {
    /// The tiers among these origins; `node` = whose part of the repository.
    pub(crate) fn among(from: &[Origin], ctx: &Context, node: &NodeName) -> Self {
        let repository = from.contains(&Origin::Repository).then(|| node.clone());
        Self { copies: ctx.local.is_some() && from.contains(&Origin::Local), repository }
    }
}

/// Looks for all of `wanted` and gives each blob that is found to `take`; afterwards `wanted` knows which were. `work` takes temporary files.
///
/// A place that cannot be asked is one place less, with a warning and in [`Gains::unasked`]; the caller has its own error for what is not
/// found. To be called once the store has answered: it is waited for with full patience.
///
/// # Errors
/// [`Error::Stopped`]; what `take` gives; what temporary files give.
pub(crate) fn search(ctx: &Context, tiers: &Tiers, work: &Path, wanted: &mut Wanted, take: &mut Take<'_>) -> Result<Gains, Error> {
    ctx.meter.set_phase(PHASE);
    let mut finder = Finder::new(ctx, work, wanted, take);
    if tiers.copies {
        copies::search(&mut finder)?;
    }
    if let Some(node) = tiers.repository.as_ref().filter(|_| !finder.is_done()) {
        match Remote::open(ctx) {
            Ok(remote) => lists::search(&mut finder, &remote, node)?,
            Err(error) => finder.miss(REPOSITORY, error)?,
        }
    }
    Ok(finder.finish())
}

/// Looks for a single blob.
///
/// # Errors
/// As [`search`].
pub(crate) fn one(ctx: &Context, tiers: &Tiers, work: &Path, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let (mut wanted, mut found) = (Wanted::new(work)?, None);
    wanted.add(digest, None)?;
    search(ctx, tiers, work, &mut wanted, &mut |_, bytes, _| {
        found = Some(bytes.to_vec());
        Ok(())
    })?;
    Ok(found)
}
