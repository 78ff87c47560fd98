//! Where a repository lies and how it is reached, as configured.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// `s3://bucket/prefix`, `file:///folder` or `memory://`.
    pub url: String,
    /// `http(s)://host[:port]` of a store that is not AWS; else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`.
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
            floor_rate: FLOOR_RATE,
            upload_limit: None,
            download_limit: None,
            keeping: Keeping::default(),
        }
    }
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
