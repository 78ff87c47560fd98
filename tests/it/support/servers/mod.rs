//! Real servers, each started once per test process on loopback, with and without TLS: S3 servers of several makes, a MariaDB,
//! database servers of other makes and versions, and Cassandra.
//!
//! Their programs come from `tests/servers/install`, or from Debian through `tests/run`. What keeps and ends them is [`kept`].

pub mod azurite;
pub mod cassandra;
pub mod databases;
pub mod kept;
pub mod mariadb;
mod minio;
mod mysql_question;
mod question;
mod radosgw;
mod s3proxy;
pub mod scylla;
mod versitygw;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use windlass::repository::{Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use self::kept::{Kept, START};
use super::{authority, tools};

/// The servers' one account; they listen on loopback only.
pub const ACCESS_KEY: &str = "windlasstest";
/// Its secret.
pub const SECRET_KEY: &str = "windlasstest-secret";
/// The servers' region.
pub const REGION: &str = "us-east-1";

/// What turns on versions in a bucket.
const VERSIONING: &str =
    "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";

/// A make of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Make {
    /// A gateway to a folder.
    Versitygw,
    /// An object store.
    Minio,
    /// Ceph's S3 service, version 16, with a cluster below it.
    Radosgw,
    /// A gateway to a folder, in Java.
    S3proxy,
}

impl Make {
    /// All makes.
    pub const ALL: [Self; 4] = [Self::Versitygw, Self::Minio, Self::Radosgw, Self::S3proxy];

    /// Whether one process serves both with and without TLS.
    fn serves_both(self) -> bool {
        match self {
            Self::Versitygw | Self::Minio => false,
            Self::Radosgw | Self::S3proxy => true,
        }
    }

    /// How it is started in a folder that holds certificates; where it serves both, the first port is for plain HTTP.
    fn command(self, folder: &Path, ports: [u16; 2], tls: bool) -> Command {
        let port = ports[usize::from(tls)];
        let certificates = folder.join("certificates");
        let certificates = tls.then_some(certificates.as_path());
        match self {
            Self::Versitygw => versitygw::command(folder, port, certificates),
            Self::Minio => minio::command(folder, port, certificates),
            Self::Radosgw => radosgw::command(folder, ports),
            Self::S3proxy => s3proxy::command(folder, ports),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// `http(s)://127.0.0.1:port`
    pub endpoint: String,
    /// The certificate of its authority, where it speaks TLS.
    pub ca_file: Option<PathBuf>,
    _process: Arc<Kept>,
}

/// A process of one make: with TLS, without, or both in one. What it serves is told apart by the place: without TLS, with.
type Process = OnceLock<[Server; 2]>;

static RUNNING: Mutex<BTreeMap<(Make, Option<bool>), &'static Process>> = Mutex::new(BTreeMap::new());
static BUCKETS: AtomicU32 = AtomicU32::new(0);

impl Server {
    /// The server of this make, started if it is not running yet. Nobody waits for the start of another make.
    ///
    /// # Panics
    /// When its program is not there (with the command that gets it), or it does not start.
    pub fn running(make: Make, tls: bool) -> &'static Self {
        let kind = (make, (!make.serves_both()).then_some(tls));
        let process: &'static Process = {
            let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            running.entry(kind).or_insert_with(|| Box::leak(Box::default()))
        };
        &process.get_or_init(|| start(make, tls))[usize::from(tls)]
    }

    /// Settings for a prefix in a bucket of this server, with its account.
    pub fn settings(&self, bucket: &str) -> Settings {
        Settings {
            endpoint: Some(self.endpoint.clone()),
            region: Some(REGION.into()),
            allow_http: self.ca_file.is_none(),
            ca_file: self.ca_file.clone(),
            access_key_id: Some(Secret::new(ACCESS_KEY)),
            secret_access_key: Some(Secret::new(SECRET_KEY)),
            ..Settings::new(format!("s3://{bucket}/some/prefix"))
        }
    }

    /// A repository in a bucket.
    pub fn open(&self, bucket: &str) -> Repository {
        Repository::open(&self.settings(bucket), &FixedEnvironment::default(), tools()).unwrap()
    }

    /// A repository in a new bucket.
    pub fn repository(&self) -> Repository {
        self.open(&self.bucket())
    }

    /// A repository in a new bucket that keeps every version of an object.
    pub fn versioned(&self) -> Repository {
        self.open(&self.versioned_bucket())
    }

    /// Makes a new, empty bucket and gives its name.
    ///
    /// # Panics
    /// When it is not made.
    pub fn bucket(&self) -> String {
        let name = format!("bucket-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let since = Instant::now();
        loop {
            let answer = self.ask("PUT", &format!("/{name}"), "");
            // A server that listens may still be getting ready.
            if answer.status == 503 && since.elapsed() < START {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            assert_eq!(answer.status, 200, "bucket {name} was not made: {}", answer.text);
            return name;
        }
    }

    /// Makes a new, empty bucket that keeps every version of an object, and gives its name.
    pub fn versioned_bucket(&self) -> String {
        let name = self.bucket();
        let answer = self.ask("PUT", &format!("/{name}?versioning="), VERSIONING);
        assert_eq!(answer.status, 200, "bucket {name} keeps no versions: {}", answer.text);
        name
    }
}

fn start(make: Make, tls: bool) -> [Server; 2] {
    let listens: &[usize] = if make.serves_both() { &[0, 1] } else { &[usize::from(tls)] };
    let process = Arc::new(Kept::start(&format!("{make:?}"), listens, &|folder, ports| {
        let certificates = folder.join("certificates");
        fs::create_dir(&certificates).unwrap();
        authority::issue(&certificates);
        make.command(folder, ports, tls)
    }));
    [false, true].map(|tls| {
        let scheme = if tls { "https" } else { "http" };
        let endpoint = format!("{scheme}://127.0.0.1:{}", process.ports[usize::from(tls)]);
        let ca_file = tls.then(|| process.folder.join("certificates/ca.pem"));
        Server { endpoint, ca_file, _process: Arc::clone(&process) }
    })
}
