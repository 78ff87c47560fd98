//! Where a repository lies and how it is reached, as configured.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use super::location::Scheme;
use crate::sys::clock::Clock;
use crate::sys::meter::Meter;
use crate::sys::random::Random;
use crate::sys::secret::Secret;
use crate::sys::stop::Stop;

/// The slowest transfer that still counts as one, in bytes per second: with two packs travelling, a line of 0.5 Mbit/s.
pub const FLOOR_RATE: u64 = 32 << 10;

/// How a bucket is asked to keep what is stored in it. A folder knows none of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// The storage class of packs; all else is small and often read, and stays in the bucket's own.
    pub storage_class: Option<String>,
    /// The store's own encryption: `AES256`, or `aws:kms` with `sse_kms_key_id`.
    pub sse: Option<String>,
    /// The key of `aws:kms`; else the account's own.
    pub sse_kms_key_id: Option<String>,
    /// Tags of every object.
    pub tags: Vec<(String, String)>,
    /// Whether this account pays for requests to a bucket of another one.
    pub request_payer: bool,
}

/// Where a repository lies and how it is reached.
#[derive(Debug)]
pub struct Settings {
    /// `s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix`, `file:///folder` or `memory://`.
    pub url: String,
    /// `http(s)://host[:port]` of a store that is not the cloud's own; on S3 else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// The bucket's region; else `AWS_REGION`, `AWS_DEFAULT_REGION`, that of the profile or of the machine, `us-east-1`.
    pub region: Option<String>,
    /// Whether an endpoint without TLS is allowed; also `AWS_ALLOW_HTTP`.
    pub allow_http: bool,
    /// Whether the bucket stands in the host name rather than in the path.
    pub virtual_host: bool,
    /// Certificates in PEM form to trust besides the system's; else `AWS_CA_BUNDLE`.
    pub ca_file: Option<PathBuf>,
    /// The profile of the AWS configuration files to take the credential and the region from; nowhere else is looked then.
    pub profile: Option<String>,
    /// With `secret_access_key`: a fixed credential, before the AWS environment and the node's role.
    pub access_key_id: Option<Secret>,
    /// See `access_key_id`.
    pub secret_access_key: Option<Secret>,
    /// The session token of a temporary credential.
    pub session_token: Option<Secret>,
    /// Azure: the name of the storage account; else `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`.
    pub account: Option<String>,
    /// Azure: a key of the account, in base64. This or `sas_token`; else a credential of the environment or the machine.
    pub account_key: Option<Secret>,
    /// Azure: a shared access signature, as its query is written.
    pub sas_token: Option<Secret>,
    /// Google: the key of a service account, the whole JSON document; else the application default credentials.
    pub service_account: Option<Secret>,
    /// Bytes per second below which a transfer is given up and tried again; 0 stands for [`FLOOR_RATE`].
    pub floor_rate: u64,
    /// Most bytes per second that are sent, over all requests; `None` = as fast as it goes.
    pub upload_limit: Option<u64>,
    /// Most bytes per second that are received, over all requests; `None` = as fast as it goes.
    pub download_limit: Option<u64>,
    /// How the bucket is asked to keep what is stored.
    pub keeping: Keeping,
}

impl Settings {
    /// Settings with everything but the URL left to the environment and the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            allow_http: false,
            virtual_host: false,
            ca_file: None,
            profile: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            account: None,
            account_key: None,
            sas_token: None,
            service_account: None,
            floor_rate: FLOOR_RATE,
            upload_limit: None,
            download_limit: None,
            keeping: Keeping::default(),
        }
    }

    /// Refuses what another kind of store is told.
    pub(super) fn check_belongs(&self, scheme: Scheme) -> Result<(), Error> {
        let keeping = &self.keeping;
        let set = [
            ("region", self.region.is_some()),
            ("virtual_host", self.virtual_host),
            ("profile", self.profile.is_some()),
            ("access_key_id", self.access_key_id.is_some()),
            ("secret_access_key", self.secret_access_key.is_some()),
            ("session_token", self.session_token.is_some()),
            ("account", self.account.is_some()),
            ("account_key", self.account_key.is_some()),
            ("sas_token", self.sas_token.is_some()),
            ("service_account", self.service_account.is_some()),
            ("storage_class", keeping.storage_class.is_some()),
            ("sse", keeping.sse.is_some()),
            ("sse_kms_key_id", keeping.sse_kms_key_id.is_some()),
            ("tags", !keeping.tags.is_empty()),
            ("request_payer", keeping.request_payer),
        ];
        let wrong = set.into_iter().filter(|(_, is_set)| *is_set).find_map(|(key, _)| foreign_key(key, scheme.word()));
        wrong.map_or(Ok(()), |message| Err(Error::Settings(message)))
    }
}

/// Which kinds of buckets know a setting; those that are not named here go with all.
const SCHEMES: [(&str, &[&str]); 15] = [
    ("region", &["s3"]),
    ("virtual_host", &["s3"]),
    ("profile", &["s3"]),
    ("access_key_id", &["s3"]),
    ("secret_access_key", &["s3"]),
    ("session_token", &["s3"]),
    ("account", &["az"]),
    ("account_key", &["az"]),
    ("sas_token", &["az"]),
    ("service_account", &["gs"]),
    ("storage_class", &["s3", "gs"]),
    ("sse", &["s3"]),
    ("sse_kms_key_id", &["s3"]),
    ("tags", &["s3"]),
    ("request_payer", &["s3"]),
];

/// What is wrong with a setting beside a URL of this scheme, where they do not go together.
pub fn foreign_key(key: &str, scheme: &str) -> Option<String> {
    let (_, schemes) = SCHEMES.iter().find(|(known, _)| *known == key)?;
    let named = schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" and ");
    (!schemes.contains(&scheme)).then(|| format!("{key} goes with {named}, and the url begins with {scheme}://: take it out"))
}

/// What a repository needs of the program around it.
#[derive(Clone)]
pub struct Tools {
    /// For the waits between tries and the probe's names.
    pub clock: Arc<dyn Clock>,
    /// For the jitter of those waits and the probe's names.
    pub random: Arc<dyn Random>,
    /// Ends waits and requests early.
    pub stop: Stop,
    /// Is told the bytes of each upload and download that succeeded.
    pub meter: Arc<Meter>,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}
