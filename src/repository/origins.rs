//! Where AWS programs look for a credential and a region, through `aws-config`: profile, web identity, container, machine.
//!
//! These places are named by variables that `aws-config` reads from the environment of the process itself.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use jiff::Timestamp;
use object_store::ClientOptions;
use object_store::aws::AwsCredential;

use super::credentials::{Fetched, NoCredential, Origin};
use super::fault::cause_below;
use super::requester::Requester;

/// Longest time to ask for a region: the files are read in a moment, and the machine's own service answers within milliseconds.
const REGION: Duration = Duration::from_secs(3);

/// Most characters of what a place said that are kept: it may be all that a program wrote.
const SAID_MAX: usize = 500;

/// The places, and how they are asked.
#[derive(Clone, Debug)]
pub(super) struct Places {
    config: ProviderConfig,
    /// The profile to take rather than the one that the environment names; then nowhere else is looked.
    profile: Option<String>,
}

impl Places {
    pub(super) fn new(options: ClientOptions, profile: Option<&str>) -> Self {
        let config = ProviderConfig::without_region().with_behavior_version(Some(BehaviorVersion::latest()));
        Self { config: config.with_http_client(Requester::new(options)), profile: profile.map(str::to_owned) }
    }

    /// The region of the profile, else, where `machine` allows to ask it, of the machine.
    pub(super) async fn region(&self, machine: bool) -> Option<String> {
        let mut profile = ProfileFileRegionProvider::builder().configure(&self.config);
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        let of_machine = ImdsRegionProvider::builder().configure(&self.config).build();
        let asked = async {
            match profile.build().region().await {
                None if machine && self.profile.is_none() => of_machine.region().await,
                region => region,
            }
        };
        let region = tokio::time::timeout(REGION, asked).await.ok().flatten();
        region.map(|region| region.to_string())
    }

    /// The places in the order in which they are asked.
    pub(super) fn credentials(self, region: &str) -> Chain {
        let config = self.config.with_region(Some(Region::new(region.to_owned())));
        let profile = ProfileFileCredentialsProvider::builder().configure(&config);
        if let Some(name) = self.profile {
            let place = Place { name: format!("profile {name}"), provider: Arc::new(profile.profile_name(name).build()) };
            return Chain(vec![place]);
        }
        let place = |name: &str, provider: Arc<dyn ProvideCredentials>| Place { name: name.to_owned(), provider };
        Chain(vec![
            place("profile (AWS_PROFILE)", Arc::new(profile.build())),
            place("web identity", Arc::new(WebIdentityTokenCredentialsProvider::builder().configure(&config).build())),
            place("container", Arc::new(EcsCredentialsProvider::builder().configure(&config).build())),
            place("machine (EC2)", Arc::new(ImdsCredentialsProvider::builder().configure(&config).build())),
        ])
    }
}

/// Places that are asked one after the other until one has a credential, or one that should have it fails.
#[derive(Debug)]
pub(super) struct Chain(Vec<Place>);

#[derive(Debug)]
struct Place {
    name: String,
    provider: Arc<dyn ProvideCredentials>,
}

#[async_trait]
impl Origin for Chain {
    async fn fetch(&self) -> Result<Fetched, NoCredential> {
        let mut tried = Vec::new();
        for Place { name, provider } in &self.0 {
            let error = match provider.provide_credentials().await {
                Ok(found) => {
                    let credential = AwsCredential {
                        key_id: found.access_key_id().to_owned(),
                        secret_key: found.secret_access_key().to_owned(),
                        token: found.session_token().map(str::to_owned),
                    };
                    return Ok(Fetched { credential, ends: found.expiry().map(instant) });
                }
                Err(error) => error,
            };
            tried.push(format!("{name}: {}", said(&error)));
            match error {
                CredentialsError::CredentialsNotLoaded(_) => {}
                CredentialsError::InvalidConfiguration(_) => return Err(NoCredential { text: tried.join("; "), passing: false }),
                _ => return Err(NoCredential { text: tried.join("; "), passing: true }),
            }
        }
        Err(NoCredential { text: tried.join("; "), passing: false })
    }
}

fn instant(time: SystemTime) -> Timestamp {
    // A time beyond all bounds is as good as no end.
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

/// What a place said, on one line.
fn said(error: &(dyn StdError + 'static)) -> String {
    let text = cause_below(error).0;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SAID_MAX).collect()
}
