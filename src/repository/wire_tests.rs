//! The S3 client against a server that answers what a test wrote down.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use std::time::Duration;

use bytes::Bytes;
use object_store::signer::Signer;
use tokio::runtime::Runtime;

use super::faulty_tests::tools;
use super::*;
use crate::sys::environment::FixedEnvironment;
use crate::sys::secret::Secret;

pub(super) const SECRET: &str = "wJalrXUtnFEMI-secret";

/// Answers each request with the next text, closes the connection, and notes the requests.
pub(super) struct Script {
    pub(super) endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(super) fn of(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&mut stream);
                noted.lock().unwrap().push(request);
                // The client may hang up first.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { endpoint, requests }
    }

    pub(super) fn open(&self) -> Repository {
        self.open_with(|_| {})
    }

    pub(super) fn open_with(&self, change: impl FnOnce(&mut Settings)) -> Repository {
        let mut settings = Settings::new("s3://bucket/base");
        settings.endpoint = Some(self.endpoint.clone());
        settings.allow_http = true;
        settings.access_key_id = Some(Secret::new("AKIDEXAMPLE"));
        settings.secret_access_key = Some(Secret::new(SECRET));
        change(&mut settings);
        Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let so_far = String::from_utf8_lossy(&text).to_lowercase();
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.trim().parse().unwrap());
            if body.len() >= length {
                return String::from_utf8_lossy(&text).into_owned();
            }
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return String::from_utf8_lossy(&text).into_owned(),
            read => text.extend_from_slice(&buffer[..read]),
        }
    }
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    answer_announcing(body.len(), status, headers, body)
}

fn answer_announcing(length: usize, status: &str, headers: &str, body: &str) -> String {
    let fixed = "ETag: \"e\"\r\nLast-Modified: Mon, 23 Nov 2026 00:00:00 GMT\r\nConnection: close\r\n";
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fixed}{headers}\r\n{body}")
}

pub(super) fn refusal(status: &str, code: &str) -> String {
    answer(status, "", &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}, it says</Message></Error>"))
}

#[test]
fn a_store_that_asks_to_slow_down_is_asked_again() {
    let slow = || refusal("503 Slow Down", "SlowDown");
    let script = Script::of(vec![slow(), refusal("429 Too Many", ""), answer("200 OK", "", "body")]);
    assert_eq!(&script.open().get("a", 9).unwrap()[..], b"body");
    assert_eq!(script.requests().len(), 3);
}

#[test]
fn a_download_that_breaks_off_is_begun_again() {
    let cut = answer_announcing(10, "200 OK", "", "0123");
    let script = Script::of(vec![cut, answer("200 OK", "", "0123456789")]);
    assert_eq!(&script.open().get("a", 10).unwrap()[..], b"0123456789");
}

#[test]
fn an_announced_length_above_the_limit_is_refused_before_the_body() {
    let script = Script::of(vec![answer_announcing(1 << 40, "200 OK", "", "0123")]);
    assert!(matches!(script.open().get("a", 10), Err(Error::TooLarge { found: 0x100_0000_0000, .. })));
}

#[test]
fn a_store_that_ignores_the_range_is_not_believed() {
    let script = Script::of(vec![answer("200 OK", "", "0123456789"), answer("200 OK", "", "")]);
    assert!(script.open().get_range("a", 2..5).is_err());
}

#[test]
fn a_create_is_conditional_and_its_body_is_signed() {
    let script = Script::of(vec![answer("200 OK", "", "")]);
    script.open().create("a/b", Bytes::from_static(b"abc")).unwrap();
    let request = &script.requests()[0];
    assert!(request.starts_with("PUT /bucket/base/a/b HTTP/1.1"), "{request}");
    let lower = request.to_lowercase();
    assert!(lower.contains("if-none-match: *\r\n"), "{request}");
    // SHA-256 of "abc".
    assert!(lower.contains("x-amz-content-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{request}");
    // The same once more, in base64: a bucket that locks what is new takes nothing without it.
    assert!(lower.contains("x-amz-checksum-sha256: ungwv48bz+pbqudexa4ii7adyaowf3qctbd/yfiafa0="), "{request}");
    assert!(request.ends_with("\r\n\r\nabc"));
}

#[test]
fn the_bucket_may_stand_in_the_host_name() {
    let url = |virtual_host, endpoint: Option<&str>| {
        let mut settings = Settings::new("s3://bucket/base");
        settings.virtual_host = virtual_host;
        settings.endpoint = endpoint.map(Into::into);
        settings.region = Some("eu-west-1".into());
        settings.access_key_id = Some(Secret::new("a"));
        settings.secret_access_key = Some(Secret::new("b"));
        let (environment, rates) = (FixedEnvironment::default(), Arc::default());
        let around = bucket::Surroundings { environment: &environment, clock: &tools().clock, rates: &rates };
        let opened = Runtime::new().unwrap().block_on(s3::open(&settings, "bucket", &around)).unwrap();
        let path = "base/a".into();
        let signed = opened.store.signed_url(reqwest::Method::GET, &path, Duration::from_secs(60));
        let url = Runtime::new().unwrap().block_on(signed).unwrap();
        url.as_str().split('?').next().unwrap().to_owned()
    };
    assert_eq!(url(true, Some("https://h:9000")), "https://bucket.h:9000/base/a");
    assert_eq!(url(false, Some("https://h:9000")), "https://h:9000/bucket/base/a");
    assert_eq!(url(true, None), "https://bucket.s3.eu-west-1.amazonaws.com/base/a");
    assert_eq!(url(false, None), "https://s3.eu-west-1.amazonaws.com/bucket/base/a");
}

#[test]
fn refusals_say_what_to_do_and_hold_no_secret() {
    let cases = [
        ("403 Forbidden", "InvalidAccessKeyId", "check access_key_id"),
        ("403 Forbidden", "SignatureDoesNotMatch", "check secret_access_key"),
        ("403 Forbidden", "RequestTimeTooSkewed", "clock is wrong"),
        ("403 Forbidden", "ExpiredToken", "session token"),
        ("404 Not Found", "NoSuchBucket", "create it"),
    ];
    for (status, code, help) in cases {
        let script = Script::of(vec![refusal(status, code)]);
        let error = script.open().get("n/a", 9).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(error.is_unreachable() && !error.is_retryable() && !error.is_absent(), "{text}");
        for part in [help, "read `n/a`", "s3://bucket/base", &script.endpoint] {
            assert!(error.to_string().contains(part), "{text}");
        }
        assert!(!text.contains(SECRET));
    }
    let error = Script::of(vec![refusal("403 Forbidden", "InvalidObjectState")]).open().get("a", 9).unwrap_err().to_string();
    assert!(error.contains("have the store restore it first"), "{error}");
    let script = Script::of(vec![answer("301 Moved", "x-amz-bucket-region: eu-west-1\r\n", "")]);
    let error = script.open().get("a", 9).unwrap_err().to_string();
    assert!(error.contains("region = \"eu-west-1\""), "{error}");
}

#[test]
fn absent_is_told_from_a_missing_bucket_also_where_the_answer_has_no_body() {
    assert!(Script::of(vec![refusal("404 Not Found", "NoSuchKey")]).open().get("a", 9).unwrap_err().is_absent());
    let absent = || answer("404 Not Found", "", "");
    let script = Script::of(vec![absent(), refusal("404 Not Found", "NoSuchBucket")]);
    assert!(matches!(script.open().stat("a"), Err(Error::NoBucket { .. })));
    let page = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let script = Script::of(vec![absent(), answer("200 OK", "", page), absent()]);
    let repository = script.open();
    assert!(repository.stat("a").unwrap().is_none());
    assert!(repository.stat("b").unwrap().is_none());
    assert_eq!(script.requests().len(), 3, "the bucket is looked for once");
}

#[test]
fn an_endless_refusal_and_an_endless_page_are_not_held() {
    let long = "x".repeat(70 << 20);
    // After the denial the key is looked for in a listing.
    let page = || answer("200 OK", "", &long);
    let script = Script::of(vec![answer("403 Forbidden", "", &long), page(), page()]);
    let repository = script.open();
    let Err(Error::Denied { answer, .. }) = repository.get("a", 9) else { panic!("a refusal") };
    assert!(answer.message.len() < 1000);
    let error = repository.list("", &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
}

#[test]
fn an_endpoint_where_nothing_listens_is_told_at_once() {
    let script = Script::of(vec![]);
    let repository = script.open();
    std::thread::sleep(Duration::from_millis(20));
    let error = repository.get("a", 9).unwrap_err();
    let Error::Unreachable { tries, cause, .. } = &error else { panic!("{error}") };
    assert_eq!(*tries, patience::FIRST_TRIES);
    assert!(cause.to_string().contains("refused") && error.to_string().contains("nothing listens there"), "{error}: {cause}");
    let repository = script.open_with(|settings| settings.endpoint = Some("http://no-such-host.invalid".into()));
    let error = repository.get("a", 9).unwrap_err();
    assert!(error.to_string().contains("cannot be resolved"), "{error}: {error:?}");
}

#[test]
fn a_fixed_credential_comes_from_the_environment_whole() {
    let script = Script::of(vec![answer("200 OK", "", "x")]);
    let mut settings = Settings::new("s3://bucket");
    settings.allow_http = true;
    let set = |pairs: &[(&str, &str)]| FixedEnvironment(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
    let environment = set(&[
        ("AWS_ACCESS_KEY_ID", "AKENV"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
        ("AWS_ENDPOINT_URL", &script.endpoint),
    ]);
    Repository::open(&settings, &environment, tools()).unwrap().get("a", 9).unwrap();
    let request = script.requests()[0].to_lowercase();
    assert!(
        request.contains("credential=akenv/") && request.contains("/eu-north-1/s3/") && request.contains("x-amz-security-token: token")
    );

    let half = set(&[("AWS_ACCESS_KEY_ID", "AKENV")]);
    assert!(Repository::open(&settings, &half, tools()).unwrap_err().to_string().contains("AWS_SECRET_ACCESS_KEY"));
}

#[test]
fn a_file_of_certificates_that_holds_none_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut settings = Settings::new("s3://bucket");
    settings.ca_file = Some(file.path().to_owned());
    settings.access_key_id = Some(Secret::new("a"));
    settings.secret_access_key = Some(Secret::new("b"));
    let error = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap_err();
    assert!(matches!(error, Error::CaFile { .. }) && error.to_string().contains("ca_file"), "{error}");
}
