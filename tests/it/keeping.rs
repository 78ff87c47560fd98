//! How a bucket is asked to keep what is stored: classes, tags, its own encryption, who pays.

use std::time::Duration;

use bytes::Bytes;
use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use object_store::signer::Signer;
use windlass::repository::{Keeping, Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use crate::support::recorder::Recorder;
use crate::support::servers::{ACCESS_KEY, Make, REGION, SECRET_KEY, Server};
use crate::support::tools;

fn pack() -> String {
    format!("node-1/packs/ab/ab{}.tar.zst", "0".repeat(62))
}

fn tags() -> Vec<(String, String)> {
    [("purpose", "back up: all"), ("team", "storage")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What a store is sent for a pack and for the marker.
fn sent(keeping: Keeping, upload_limit: Option<u64>) -> [String; 2] {
    let store = Recorder::start(&[("PUT ", "")]);
    let settings = Settings {
        endpoint: Some(store.url.clone()),
        allow_http: true,
        access_key_id: Some(Secret::new("key")),
        secret_access_key: Some(Secret::new("secret")),
        upload_limit,
        keeping,
        ..Settings::new("s3://bucket/some/prefix")
    };
    let repository = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap();
    for key in [&pack(), "windlass.json"] {
        repository.create(key, Bytes::from_static(b"x")).unwrap();
    }
    // What lies under the marker's name is looked at first.
    let requests: Vec<String> = store.requests().into_iter().filter(|request| request.starts_with("PUT ")).collect();
    assert_eq!(requests.len(), 2, "{requests:?}");
    [requests[0].to_lowercase(), requests[1].to_lowercase()]
}

#[test]
fn a_store_is_sent_what_the_configuration_asks_for_and_it_is_signed() {
    let keeping = Keeping {
        storage_class: Some("STANDARD_IA".into()),
        sse: Some("aws:kms".into()),
        sse_kms_key_id: Some("a-key".into()),
        tags: tags(),
        request_payer: true,
    };
    for upload_limit in [None, Some(1 << 20)] {
        let requests = sent(keeping.clone(), upload_limit);
        for request in &requests {
            for (name, value) in [
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-aws-kms-key-id", "a-key"),
                ("x-amz-tagging", "purpose=back+up%3a+all&team=storage"),
                ("x-amz-request-payer", "requester"),
            ] {
                assert!(request.contains(&format!("\r\n{name}: {value}\r\n")), "{name}: {request}");
                let signed = request.lines().find_map(|line| line.split_once("signedheaders=")).unwrap().1;
                assert!(signed.split([';', ',']).any(|signed| signed == name), "{name} is not signed: {request}");
            }
            assert!(request.contains("\r\nif-none-match: *\r\n"), "{request}");
        }
        let [pack, marker] = requests;
        assert!(pack.contains("\r\nx-amz-storage-class: standard_ia\r\n"), "{pack}");
        assert!(!marker.contains("x-amz-storage-class"), "only packs have a class: {marker}");
    }
    let requests = sent(Keeping { sse: Some("AES256".into()), ..Keeping::default() }, None);
    assert!(requests[0].contains("\r\nx-amz-server-side-encryption: aes256\r\n"), "{requests:?}");
}

#[test]
fn nothing_is_asked_for_that_is_not_configured() {
    for request in sent(Keeping::default(), None) {
        for name in ["x-amz-storage-class", "x-amz-server-side", "x-amz-tagging", "x-amz-request-payer"] {
            assert!(!request.contains(name), "{request}");
        }
    }
}

#[test]
fn class_and_tags_are_stored_by_a_real_store() {
    let server = Server::running(Make::Minio, false);
    let bucket = server.bucket();
    let keeping = Keeping { storage_class: Some("REDUCED_REDUNDANCY".into()), tags: tags(), ..Keeping::default() };
    let settings = Settings { keeping, ..server.settings(&bucket) };
    let repository = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap();
    repository.create(&pack(), Bytes::from_static(b"x")).unwrap();
    let client = AmazonS3Builder::new()
        .with_endpoint(&server.endpoint)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_region(REGION)
        .with_bucket_name(&bucket)
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .build()
        .unwrap();
    let headers = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let path = format!("some/prefix/{}", pack()).into();
        let url = client.signed_url(reqwest::Method::HEAD, &path, Duration::from_secs(60)).await.unwrap();
        reqwest::Client::new().head(url).send().await.unwrap().headers().clone()
    });
    assert_eq!(
        (&headers["x-amz-storage-class"], &headers["x-amz-tagging-count"]),
        (&"REDUCED_REDUNDANCY".parse().unwrap(), &"2".parse().unwrap())
    );
}
