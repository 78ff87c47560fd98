//! A small Cloud Storage of the tests' own, on loopback: the XML API as `object_store` speaks it, since none that can be run here speaks it.
//!
//! It keeps objects in memory, checks who asks, compares checksums, and refuses whatever it does not know, so that a request which Google
//! would understand otherwise does not pass unseen. What it was written from is Google's reference of the XML API; it is not Google.

mod account;
mod http;
mod listing;
mod objects;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use windlass::repository::{Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

pub use self::account::{Account, TOKEN};
use self::http::{Stream, serve};
use self::objects::Objects;
use super::{authority, tools};

/// The server; it goes with the test process.
pub struct Gcs {
    /// `http(s)://127.0.0.1:port`
    pub endpoint: String,
    /// The certificate of its authority, where it speaks TLS.
    pub ca_file: Option<PathBuf>,
    /// Who is let in.
    pub account: Arc<Account>,
    objects: Arc<Objects>,
    _certificates: Option<TempDir>,
}

static RUNNING: [OnceLock<Gcs>; 2] = [OnceLock::new(), OnceLock::new()];
static BUCKETS: AtomicU32 = AtomicU32::new(0);

impl Gcs {
    /// The server, started if it is not running yet.
    pub fn running(tls: bool) -> &'static Self {
        RUNNING[usize::from(tls)].get_or_init(|| Self::start(tls))
    }

    fn start(tls: bool) -> Self {
        let certificates = tls.then(|| tempfile::tempdir().unwrap());
        let config = certificates.as_ref().map(|folder| {
            authority::issue(folder.path());
            let chain = CertificateDer::pem_file_iter(folder.path().join("public.crt")).unwrap().map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_file(folder.path().join("private.key")).unwrap();
            Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
        });
        let (account, objects) = (Arc::new(Account::new()), Arc::new(Objects::default()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let parts = (Arc::clone(&account), Arc::clone(&objects));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let ((account, objects), config) = (parts.clone(), config.clone());
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let stream: Box<dyn Stream> = match config {
                        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
                        None => Box::new(stream),
                    };
                    serve(stream, &account, &objects);
                });
            }
        });
        let ca_file = certificates.as_ref().map(|folder| folder.path().join("ca.pem"));
        let scheme = if tls { "https" } else { "http" };
        Self { endpoint: format!("{scheme}://{address}"), ca_file, account, objects, _certificates: certificates }
    }

    /// Settings for a prefix in a bucket of this server, with its service account.
    pub fn settings(&self, bucket: &str) -> Settings {
        Settings {
            endpoint: Some(self.endpoint.clone()),
            allow_http: self.ca_file.is_none(),
            ca_file: self.ca_file.clone(),
            service_account: Some(Secret::new(self.account.key_file())),
            ..Settings::new(format!("gs://{bucket}/some/prefix"))
        }
    }

    /// A repository in a new bucket.
    pub fn repository(&self) -> Repository {
        Repository::open(&self.settings(&self.bucket()), &FixedEnvironment::default(), tools()).unwrap()
    }

    /// Makes a new, empty bucket and gives its name.
    pub fn bucket(&self) -> String {
        let name = format!("bucket-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        self.objects.make_bucket(&name);
        name
    }

    /// The storage class that an object was stored with.
    pub fn storage_class(&self, bucket: &str, key: &str) -> Option<String> {
        self.objects.storage_class(bucket, key)
    }
}
