//! Opening a bucket, whatever protocol it speaks.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::core::Pages;
use super::error::Error;
use super::location::Scheme;
use super::questions::Questions;
use super::rate::Rates;
use super::settings::Settings;
use super::{az, gs, s3};
use crate::sys::clock::Clock;
use crate::sys::environment::Environment;

/// What a client needs besides the settings.
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a dyn Environment,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) rates: &'a Arc<Rates>,
}

impl Surroundings<'_> {
    /// A variable of the environment. An empty one counts as one that is not set, as the tools of all clouds have it.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        self.environment.var(name).filter(|value| !value.is_empty())
    }
}

/// A client for a bucket.
pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) pages: Arc<dyn Pages>,
    /// What can be asked of the bucket besides its objects, where that is known.
    pub(super) questions: Option<Questions>,
    /// URL and endpoint, for messages.
    pub(super) description: String,
}

impl Bucket {
    /// Makes the client. The store is not asked yet.
    ///
    /// # Errors
    /// [`Error::Settings`], [`Error::CaFile`].
    pub(super) async fn open(
        scheme: Scheme,
        name: &str,
        prefix: &Path,
        settings: &Settings,
        around: &Surroundings<'_>,
    ) -> Result<Self, Error> {
        settings.check_belongs(scheme)?;
        let ((store, pages, endpoint), questions) = match scheme {
            Scheme::S3 => {
                let s3::Opened { store, endpoint, questions } = s3::open(settings, name, around).await?;
                (shared(store, endpoint), Some(questions))
            }
            Scheme::Az => (az::open(settings, name, around).map(|(store, endpoint)| shared(Arc::new(store), endpoint))?, None),
            Scheme::Gs => (gs::open(settings, name, around).map(|(store, endpoint)| shared(Arc::new(store), endpoint))?, None),
        };
        let slash = if prefix.as_ref().is_empty() { "" } else { "/" };
        Ok(Self { store, pages, questions, description: format!("{}://{name}{slash}{prefix} at {endpoint}", scheme.word()) })
    }
}

type Opened = (Arc<dyn ObjectStore>, Arc<dyn Pages>, String);

fn shared<T: ObjectStore + Pages>(store: Arc<T>, endpoint: String) -> Opened {
    let pages: Arc<dyn Pages> = Arc::clone(&store) as _;
    (store, pages, endpoint)
}
