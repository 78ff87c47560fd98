//! Azurite: the emulator of Azure's blobs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::HttpRequest;
use windlass::repository::{Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use super::kept::{Kept, installed};
use crate::support::{authority, tools};

/// The emulator's account and its key, which everybody knows; it listens on loopback only.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const ACCOUNT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The running emulator.
#[derive(Debug)]
pub struct Azurite {
    /// `http(s)://127.0.0.1:port/ACCOUNT`
    pub endpoint: String,
    /// The certificate of its authority, where it speaks TLS.
    pub ca_file: Option<PathBuf>,
    _process: Kept,
}

static RUNNING: [OnceLock<Azurite>; 2] = [OnceLock::new(), OnceLock::new()];
static CONTAINERS: AtomicU32 = AtomicU32::new(0);

impl Azurite {
    /// The emulator, started if it is not running yet.
    ///
    /// # Panics
    /// When it is not installed (with the command that gets it), or does not start.
    pub fn running(tls: bool) -> &'static Self {
        RUNNING[usize::from(tls)].get_or_init(|| {
            let process = Kept::start("Azurite", &[0], &|folder, [port, _]| command(folder, port, tls));
            let scheme = if tls { "https" } else { "http" };
            let endpoint = format!("{scheme}://127.0.0.1:{}/{ACCOUNT}", process.ports[0]);
            Self { endpoint, ca_file: tls.then(|| process.folder.join("certificates/ca.pem")), _process: process }
        })
    }

    /// Settings for a prefix in a container, with the account's key.
    pub fn settings(&self, container: &str) -> Settings {
        Settings {
            endpoint: Some(self.endpoint.clone()),
            allow_http: self.ca_file.is_none(),
            ca_file: self.ca_file.clone(),
            account: Some(ACCOUNT.into()),
            account_key: Some(Secret::new(ACCOUNT_KEY)),
            ..Settings::new(format!("az://{container}/some/prefix"))
        }
    }

    /// A repository in a new container.
    pub fn repository(&self) -> Repository {
        Repository::open(&self.settings(&self.container()), &FixedEnvironment::default(), tools()).unwrap()
    }

    /// Makes a new, empty container and gives its name.
    pub fn container(&self) -> String {
        let name = format!("container-{}", CONTAINERS.fetch_add(1, Ordering::Relaxed));
        let mut request = HttpRequest::new(String::new().into());
        *request.method_mut() = reqwest::Method::PUT;
        *request.uri_mut() = format!("{}/{name}?restype=container", self.endpoint).parse().unwrap();
        request.headers_mut().insert("content-length", "0".parse().unwrap());
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(ACCOUNT_KEY).unwrap());
        AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request).unwrap();
        let mut http = reqwest::Client::builder();
        if let Some(ca_file) = &self.ca_file {
            http = http.add_root_certificate(reqwest::Certificate::from_pem(&fs::read(ca_file).unwrap()).unwrap());
        }
        let (parts, _) = request.into_parts();
        let put = http.build().unwrap().put(parts.uri.to_string()).headers(parts.headers);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let answer = put.send().await.unwrap();
            let status = answer.status();
            assert!(status.is_success(), "container {name} was not made: {status} {}", answer.text().await.unwrap());
        });
        name
    }
}

/// How it is started. Over TLS it also takes tokens of identities; it looks at what they say, and not at their signatures.
fn command(folder: &Path, port: u16, tls: bool) -> Command {
    let mut command = Command::new(installed("azurite-blob"));
    command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location"]).arg(folder.join("data"));
    command.args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"]);
    if tls {
        let certificates = folder.join("certificates");
        fs::create_dir(&certificates).unwrap();
        authority::issue(&certificates);
        command.arg("--cert").arg(certificates.join("public.crt")).arg("--key").arg(certificates.join("private.key"));
        command.args(["--oauth", "basic"]);
    }
    command
}
