//! A bucket of a real server in the hands of its administrator, who makes it keep versions or lock objects, or of somebody with fewer rights.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use object_store::signer::{HeaderName, SignedUrlOptions, Signer};
use reqwest::Method;
use windlass::format::digest::Digest;

use super::program::Machine;
use super::servers::{ACCESS_KEY, REGION, SECRET_KEY, Server};
use super::session::Session;

static LOCKED: AtomicU32 = AtomicU32::new(0);

/// A bucket.
pub struct Bucket {
    pub server: &'static Server,
    pub name: String,
    /// Key, secret and session token of who holds it.
    account: (String, String, Option<String>),
}

/// The server's own account.
fn administrator() -> (String, String, Option<String>) {
    (ACCESS_KEY.into(), SECRET_KEY.into(), None)
}

impl Bucket {
    /// A new one.
    pub fn new(server: &'static Server) -> Self {
        Self { server, name: server.bucket(), account: administrator() }
    }

    /// The same bucket in the hands of somebody else.
    pub fn held_by(&self, session: &Session) -> Self {
        let account = (session.id.clone(), session.secret.clone(), Some(session.token.clone()));
        Self { server: self.server, name: self.name.clone(), account }
    }

    /// A new one that keeps versions.
    pub fn versioned(server: &'static Server) -> Self {
        Self { server, name: server.versioned_bucket(), account: administrator() }
    }

    /// A new one that locks what is stored in it for so many days.
    pub fn locked(server: &'static Server, days: u32) -> Self {
        // Made first and not used: it waits until the server is ready.
        server.bucket();
        let name = format!("locked-{}", LOCKED.fetch_add(1, Ordering::Relaxed));
        let bucket = Self { server, name, account: administrator() };
        bucket.done(Method::PUT, "", &[], &[("x-amz-bucket-object-lock-enabled", "true")], "");
        let text = format!(
            "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
             <Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>{days}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
        );
        let checksum = base64::engine::general_purpose::STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
        bucket.done(Method::PUT, "", &[("object-lock", "")], &[("x-amz-checksum-sha256", &checksum)], &text);
        bucket
    }

    /// A request that must succeed; gives what is answered.
    pub fn done(&self, method: Method, key: &str, query: &[(&str, &str)], headers: &[(&'static str, &str)], body: &str) -> String {
        let (status, text) = self.ask(method, key, query, headers, body);
        assert!((200..300).contains(&status), "{}/{key} {query:?}: {status} {text}", self.name);
        text
    }

    /// A request, with the status and text that are answered.
    pub fn ask(&self, method: Method, key: &str, query: &[(&str, &str)], headers: &[(&'static str, &str)], body: &str) -> (u16, String) {
        let (key_id, secret, token) = &self.account;
        let mut client = AmazonS3Builder::new()
            .with_endpoint(&self.server.endpoint)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_region(REGION)
            .with_bucket_name(&self.name)
            .with_access_key_id(key_id)
            .with_secret_access_key(secret);
        if let Some(token) = token {
            client = client.with_token(token);
        }
        let client = client.build().unwrap();
        let mut options = SignedUrlOptions::new().with_query(query.iter().copied());
        for (name, value) in headers {
            options = options.with_signed_header(HeaderName::from_static(name), value.parse().unwrap());
        }
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let url = client.signed_url_opts(method.clone(), &key.into(), Duration::from_secs(60), &options).await.unwrap();
            let request = reqwest::Client::new().request(method, url).headers(options.signed_headers).body(body.to_owned());
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// What stands in a configuration for this bucket below a prefix, with a credential.
    pub fn configuration(&self, prefix: &str, credential: &str) -> String {
        let (name, endpoint) = (&self.name, &self.server.endpoint);
        format!("url = \"s3://{name}/{prefix}\"\nendpoint = \"{endpoint}\"\nregion = \"{REGION}\"\nallow_http = true\n{credential}")
    }

    /// What stands in the configuration of its administrator.
    pub fn of_administrator(&self) -> String {
        self.configuration("some/prefix", &format!("access_key_id = \"{ACCESS_KEY}\"\nsecret_access_key = \"{SECRET_KEY}\"\n"))
    }

    /// A machine whose repository is here, with the administrator's credential; made and initialised.
    pub fn machine(&self, more: &str) -> Machine {
        let machine = Machine::new();
        machine.configure(&self.of_administrator(), more);
        machine.run(&["init"]).expect(0);
        machine
    }
}
