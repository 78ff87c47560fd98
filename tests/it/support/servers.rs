//! Real S3 servers of two makes, started once per test process on loopback, with and without TLS.
//!
//! Their programs come from `tests/servers/install`. Each server runs under a small shell that waits for the end of the test process, however
//! it comes, then ends the server and removes its data.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use object_store::signer::Signer;
use windlass::repository::{Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use super::{authority, tools};

/// The servers' one account; they listen on loopback only.
pub const ACCESS_KEY: &str = "windlasstest";
/// Its secret.
pub const SECRET_KEY: &str = "windlasstest-secret";
/// The servers' region.
pub const REGION: &str = "us-east-1";

/// How long a server may take to answer for the first time, on a machine that is busy with tests.
const START: Duration = Duration::from_secs(60);

/// Ends the server and removes its data once its own standard input ends, which it does with the test process.
/// Interrupts from the terminal are left to the test process.
const KEEPER: &str = r#"
trap '' INT TERM HUP
log=$1 folder=$2; shift 2
"$@" >"$log" 2>&1 </dev/null &
server=$!
read -r _
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf -- "$folder"
"#;

/// A make of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Make {
    /// A gateway to a folder.
    Versitygw,
    /// An object store.
    Minio,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// `http(s)://127.0.0.1:port`
    pub endpoint: String,
    /// The certificate of its authority, where it speaks TLS.
    pub ca_file: Option<PathBuf>,
    _keeper: Child,
    /// Closed by the kernel when this process ends, which the keeper waits for.
    _alive: ChildStdin,
}

static RUNNING: Mutex<Vec<((Make, bool), &'static Server)>> = Mutex::new(Vec::new());
static BUCKETS: AtomicU32 = AtomicU32::new(0);

impl Server {
    /// The server of this make, started if it is not running yet.
    ///
    /// # Panics
    /// When its program is not there (with the command that builds it), or it does not start.
    pub fn running(make: Make, tls: bool) -> &'static Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, server)) = running.iter().find(|(kind, _)| *kind == (make, tls)) {
            return server;
        }
        let server: &'static Self = Box::leak(Box::new(start(make, tls)));
        running.push(((make, tls), server));
        server
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

    /// A repository in a new bucket.
    pub fn repository(&self) -> Repository {
        Repository::open(&self.settings(&self.bucket()), &FixedEnvironment::default(), tools()).unwrap()
    }

    /// Makes a new, empty bucket and gives its name.
    pub fn bucket(&self) -> String {
        let name = format!("bucket-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let client = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_region(REGION)
            .with_bucket_name(&name)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .build()
            .unwrap();
        let mut http = reqwest::Client::builder();
        if let Some(ca_file) = &self.ca_file {
            http = http.add_root_certificate(reqwest::Certificate::from_pem(&fs::read(ca_file).unwrap()).unwrap());
        }
        let http = http.build().unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let url = client.signed_url(reqwest::Method::PUT, &"".into(), Duration::from_secs(60)).await.unwrap();
            let since = Instant::now();
            loop {
                let answer = http.put(url.clone()).header("Content-Length", "0").send().await.unwrap();
                let status = answer.status();
                // A server that listens may still be getting ready.
                if status.as_u16() == 503 && since.elapsed() < START {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                break assert!(status.is_success(), "bucket {name} was not made: {status} {}", answer.text().await.unwrap());
            }
        });
        name
    }
}

fn start(make: Make, tls: bool) -> Server {
    // Another process may take a port between its choice and its use; then another one is tried.
    (0..5).find_map(|_| try_start(make, tls)).unwrap_or_else(|| panic!("{make:?} finds no free port"))
}

fn try_start(make: Make, tls: bool) -> Option<Server> {
    let folder = tempfile::Builder::new().prefix("windlass-server-").tempdir().unwrap().keep();
    let (data, certificates, log) = (folder.join("data"), folder.join("certificates"), folder.join("log"));
    fs::create_dir(&data).unwrap();
    fs::create_dir(&certificates).unwrap();
    if tls {
        authority::issue(&certificates);
    }
    let port = free_port();
    let mut command = Command::new("bash");
    command.args(["-c", KEEPER, "keeper"]).arg(&log).arg(&folder).arg(program(make));
    arguments(&mut command, make, port, &data, tls.then_some(&certificates));
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut keeper = command.spawn().unwrap_or_else(|error| panic!("bash cannot be started: {error}"));
    let alive = keeper.stdin.take().unwrap();
    if !answers(port, &log) {
        drop(alive);
        keeper.wait().unwrap();
        return None;
    }
    let scheme = if tls { "https" } else { "http" };
    let ca_file = tls.then(|| certificates.join("ca.pem"));
    Some(Server { endpoint: format!("{scheme}://127.0.0.1:{port}"), ca_file, _keeper: keeper, _alive: alive })
}

fn program(make: Make) -> PathBuf {
    let cache = std::env::var_os("WINDLASS_TEST_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/windlass-tests")));
    let name = match make {
        Make::Versitygw => "versitygw",
        Make::Minio => "minio",
    };
    let program = cache.expect("HOME or WINDLASS_TEST_CACHE is set").join("bin").join(name);
    assert!(program.is_file(), "{} is not there: run tests/servers/install, which builds it", program.display());
    program
}

fn arguments(command: &mut Command, make: Make, port: u16, data: &Path, certificates: Option<&PathBuf>) {
    let address = format!("127.0.0.1:{port}");
    match make {
        Make::Versitygw => {
            command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
            command.args(["--port", &address, "--region", REGION, "--keep-alive", "--quiet"]);
            if let Some(folder) = certificates {
                command.arg("--cert").arg(folder.join("public.crt")).arg("--key").arg(folder.join("private.key"));
            }
            command.arg("posix").arg(data);
        }
        Make::Minio => {
            command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
            command.env("MINIO_UPDATE", "off").env("MINIO_BROWSER", "off").env("MINIO_CI_CD", "1");
            command.args(["server", "--quiet", "--address", &address]);
            if let Some(folder) = certificates {
                command.arg("--certs-dir").arg(folder);
            }
            command.arg(data);
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until the server answers; false when it ended instead.
fn answers(port: u16, log: &Path) -> bool {
    let since = Instant::now();
    while since.elapsed() < START {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        if said.contains("already in use") {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no answer on port {port} within {} seconds: {}", START.as_secs(), fs::read_to_string(log).unwrap_or_default());
}
