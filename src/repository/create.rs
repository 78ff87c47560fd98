//! Creating an object: never over another, and settled by what the store holds rather than by what it said.
//!
//! Stores that do not know create-only answer "done" and write over what is there. Most names come from content or chance and are nobody
//! else's; where two could want one name, what lies there is looked at before anything is sent.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attribute, ObjectStore, PutMode, PutOptions, PutPayload, TagSet};

use super::core::Core;
use super::error::Error;
use super::fault::Fault;
use super::location::Scheme;
use super::md5::ContentMd5;
use super::patience::within_besides;
use super::rate::Waited;
use super::settings::Keeping;
use super::wire::{Damaged, Paced};
use crate::format::key::{Key, NodeKey};

/// What lies under a key after a create that did not answer "done".
enum Lies {
    Same,
    Other,
    Nothing,
    Unknown(Fault),
}

impl Core {
    pub(super) async fn create(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        let path = self.path(key)?;
        let at = self.at("write", key);
        let looks_first = two_could_want(key);
        self.retry(at, || self.create_once(&path, &bytes, looks_first)).await?;
        self.meter.add_travelled(bytes.len() as u64);
        Ok(())
    }

    /// One try. "It is taken" may be an earlier try of ours, an error may come after the object was stored, and a refused body may have been
    /// kept: in each case what lies under the key decides.
    async fn create_once(&self, path: &Path, bytes: &Bytes, looks_first: bool) -> Result<(), Fault> {
        if looks_first {
            match self.lies(path, bytes).await {
                Lies::Same => return Ok(()),
                Lies::Other => return Err(Fault::Taken),
                Lies::Nothing => {}
                // Who may not read is told by what the store says to the create.
                Lies::Unknown(fault @ Fault::Refused(_)) if !fault.is_passing() => {}
                Lies::Unknown(fault) => return Err(fault),
            }
        }
        let fault = match self.put_new(path, bytes, None).await {
            Ok(()) => return Ok(()),
            Err(fault @ (Fault::Told(_) | Fault::NoCredential(_) | Fault::Certificate(_) | Fault::Broken { sent: false, .. })) => {
                return Err(fault);
            }
            Err(fault) => fault,
        };
        match (self.lies(path, bytes).await, fault) {
            (Lies::Same, _) => Ok(()),
            (Lies::Other, _) => Err(Fault::Taken),
            (Lies::Nothing, Fault::Exists(_)) => Err(Fault::Wavering),
            (Lies::Unknown(unread), Fault::Exists(_)) => Err(unread),
            (Lies::Nothing | Lies::Unknown(_), fault) => Err(fault),
        }
    }

    /// Puts an object unless the key is taken; `damaged` is sent in place of the bytes that signature or checksum are of.
    pub(super) async fn put_new(&self, path: &Path, bytes: &Bytes, damaged: Option<Bytes>) -> Result<(), Fault> {
        self.check_folder()?;
        let mut options = self.options(path);
        let waited = Arc::new(Waited::default());
        if self.rates.upload.is_some() {
            options.extensions.insert(Paced { bytes: bytes.clone(), waited: Arc::clone(&waited) });
        }
        if self.scheme.is_some_and(Scheme::sends_md5) {
            options.extensions.insert(ContentMd5::of(bytes));
        }
        if let Some(damaged) = damaged {
            options.extensions.insert(Damaged(damaged));
        }
        let limit = self.patience.transfer(bytes.len() as u64);
        let put = async {
            // A folder takes an object in one go, so the time that it costs comes first.
            if let (Some(rate), true) = (&self.rates.upload, self.folder.is_some()) {
                rate.take(bytes.len() as u64, &waited).await;
            }
            self.store.put_opts(path, PutPayload::from(bytes.clone()), options).await.map_err(Fault::from)
        };
        within_besides(limit, &waited, put).await.map(|_| ())
    }

    /// What the bucket is asked of an object besides not to write over another.
    fn options(&self, path: &Path) -> PutOptions {
        let mut options = PutOptions::from(PutMode::Create);
        let Keeping { storage_class, tags, .. } = &self.keeping;
        let key = path.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or_default().trim_start_matches('/');
        let is_pack = matches!(Key::parse(key), Some(Key::Of(_, NodeKey::Pack { .. })));
        if let Some(class) = storage_class.as_ref().filter(|_| is_pack) {
            options.attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        let mut set = TagSet::default();
        tags.iter().for_each(|(name, value)| set.push(name, value));
        PutOptions { tags: set, ..options }
    }

    async fn lies(&self, path: &Path, bytes: &Bytes) -> Lies {
        match self.read(path, None, bytes.len() as u64).await {
            Ok(stored) if stored == *bytes => Lies::Same,
            Ok(_) | Err(Fault::TooLarge { .. }) => Lies::Other,
            Err(Fault::Absent) => Lies::Nothing,
            Err(fault) => Lies::Unknown(fault),
        }
    }
}

/// Whether another machine, or another run, could want this very name for something else.
fn two_could_want(key: &str) -> bool {
    match Key::parse(key) {
        Some(Key::Marker) => true,
        Some(Key::Of(_, key)) => match key {
            NodeKey::Node(_) | NodeKey::Body(..) | NodeKey::Head(..) | NodeKey::Removed(..) | NodeKey::Pin(..) => true,
            NodeKey::Pack { .. } | NodeKey::FileList { .. } | NodeKey::PackList(_) => false,
            NodeKey::Prune(_) | NodeKey::Check(_) | NodeKey::Coverage(_) => false,
        },
        Some(Key::Probe(_)) | None => false,
    }
}
