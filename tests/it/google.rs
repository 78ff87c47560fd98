//! Google Cloud Storage, by the real program and through the library, against the tests' own server.

use std::ops::ControlFlow;

use bytes::Bytes;
use serde_json::json;
use windlass::repository::{Error, Keeping, Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use crate::makes::life;
use crate::support::cloud::Cloud;
use crate::support::flipping::Flipping;
use crate::support::gcs::{Account, Gcs, TOKEN};
use crate::support::recorder::Recorder;
use crate::support::tools;

fn open(settings: &Settings) -> Repository {
    Repository::open(settings, &FixedEnvironment::default(), tools()).unwrap()
}

/// The section of a repository in a bucket, without a credential.
fn section(google: &Gcs, bucket: &str) -> String {
    let ca_file = google.ca_file.as_ref().map(|path| format!("ca_file = {path:?}\n")).unwrap_or_default();
    let allow_http = google.ca_file.is_none();
    format!("url = \"gs://{bucket}/some/prefix\"\nendpoint = \"{}\"\nallow_http = {allow_http}\n{ca_file}", google.endpoint)
}

/// A machine whose repository is a new bucket, without a credential; the machine's own service gives a token.
fn cloud(google: &Gcs, secrets: &[&str]) -> Cloud {
    let repository = section(google, &google.bucket());
    let told = json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" }).to_string();
    Cloud::new(&repository, &[secrets, &[TOKEN]].concat(), &told)
}

/// What `gcloud auth application-default login` leaves.
fn person(service: &Recorder) -> String {
    json!({
        "type": "authorized_user", "client_id": "a-client", "client_secret": "a-client-secret", "refresh_token": "a-refresh-token",
        "token_uri": format!("{}/token", service.url),
    })
    .to_string()
}

#[test]
fn the_whole_of_a_repositorys_life_takes_place_on_google() {
    let google = Gcs::running(false);
    let (secret, bucket) = (google.account.secret(), google.bucket());
    let section = section(google, &bucket);
    let cloud = Cloud::new(&section, &[&secret], "");
    let key = cloud.file("key.json", &google.account.key_file());
    cloud.machine.configure(&format!("{section}service_account_file = {key:?}"), "");
    cloud.does_everything(&google.settings(&bucket));
}

#[test]
fn the_key_that_a_variable_names_is_taken_and_the_machine_is_not_asked() {
    let google = Gcs::running(true);
    let secret = google.account.secret();
    let cloud = cloud(google, &[&secret]);
    let key = cloud.file("key.json", &google.account.key_file()).display().to_string();
    cloud.with("GOOGLE_APPLICATION_CREDENTIALS", &key).backs_up_by_itself();
}

#[test]
fn what_a_person_is_logged_in_with_is_exchanged() {
    let told = json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" }).to_string();
    let service = Recorder::start(&[("POST /token ", &told)]);
    let cloud = cloud(Gcs::running(true), &["a-client-secret", "a-refresh-token"]);
    cloud.file("home/.config/gcloud/application_default_credentials.json", &person(&service));
    cloud.backs_up_by_itself();
    assert_eq!(service.requests().len(), 2, "once in each of two runs");
    let form = "grant_type=refresh_token&client_id=a-client&client_secret=a-client-secret&refresh_token=a-refresh-token";
    assert!(service.requests().iter().all(|request| request.ends_with(form)), "{:?}", service.requests());
}

#[test]
fn the_service_of_the_machine_is_asked_last() {
    let cloud = cloud(Gcs::running(true), &[]);
    cloud.backs_up();
    let requests = cloud.metadata.requests();
    assert_eq!(requests.len(), 2, "once in each of two runs: {requests:?}");
    assert!(requests[0].starts_with("GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1"), "{requests:?}");
    assert!(requests[0].to_lowercase().contains("metadata-flavor: google"), "{requests:?}");
}

#[test]
fn a_log_in_that_is_over_is_told_in_the_words_of_the_service() {
    // It answers 404 to what it does not know.
    let service = Recorder::start(&[]);
    let cloud = cloud(Gcs::running(false), &["a-client-secret", "a-refresh-token"]);
    cloud.file("home/.config/gcloud/application_default_credentials.json", &person(&service));
    let run = cloud.run(&["init"]);
    assert_ne!(run.code, Some(0));
    for said in ["service_account_file", "GOOGLE_APPLICATION_CREDENTIALS", "application default credentials: it answered 404"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(cloud.metadata.requests(), Vec::<String>::new(), "a place that should have a credential ends the search");
}

#[test]
fn wrong_keys_and_buckets_are_told_apart() {
    let google = Gcs::running(false);
    let store = open(&google.settings("no-such-bucket"));
    for error in [
        store.get("a", 9).unwrap_err(),
        store.stat("a").unwrap_err(),
        store.create("a", Bytes::from_static(b"x")).unwrap_err(),
        store.delete("a").unwrap_err(),
        store.list("", &mut |_| ControlFlow::Continue(())).unwrap_err(),
        store.probe().unwrap_err(),
    ] {
        assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
    }
    let stranger = Account::new();
    let settings = Settings { service_account: Some(Secret::new(stranger.key_file())), ..google.settings(&google.bucket()) };
    let error = open(&settings).get("a", 9).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(error.is_unreachable() && text.contains("check service_account") && !text.contains(&stranger.secret()), "{text}");
    for (document, says) in [("hunter2", "it is not JSON"), ("{\"type\": \"hunter2\"}", "unknown")] {
        let settings = Settings { service_account: Some(Secret::new(document)), ..google.settings("b") };
        let error = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
    let broken = google.account.key_file().replace("BEGIN PRIVATE", "BEGIN PUBLIC");
    let settings = Settings { service_account: Some(Secret::new(broken)), ..google.settings("b") };
    let error = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, Error::Settings(_)) && !text.contains(&google.account.secret()), "{text}");
}

#[test]
fn a_body_that_is_damaged_on_its_way_is_sent_again() {
    let google = Gcs::running(false);
    let wire = Flipping::before(&google.endpoint, b"xxxxxxxx");
    let store = open(&Settings { endpoint: Some(wire.endpoint.clone()), ..google.settings(&google.bucket()) });
    let body = Bytes::from(vec![b'x'; 100_000]);
    wire.flip(2);
    store.create("n/a", body.clone()).unwrap();
    assert_eq!(wire.left(), 0);
    assert!(store.get("n/a", 100_000).unwrap() == body);
}

#[test]
fn packs_are_stored_in_the_class_that_was_asked_for_and_all_else_in_the_buckets_own() {
    let (google, pack) = (Gcs::running(false), format!("node-1/packs/ab/ab{}.tar.zst", "0".repeat(62)));
    let bucket = google.bucket();
    let keeping = Keeping { storage_class: Some("NEARLINE".into()), ..Keeping::default() };
    let store = open(&Settings { keeping, ..google.settings(&bucket) });
    for key in [&pack, "windlass.json"] {
        store.create(key, Bytes::from_static(b"x")).unwrap();
    }
    let class = |key: &str| google.storage_class(&bucket, &format!("some/prefix/{key}"));
    assert_eq!((class(&pack).as_deref(), class("windlass.json")), (Some("NEARLINE"), None));
}

#[test]
fn a_generation_is_not_taken_for_a_version_that_is_kept() {
    let repository = Gcs::running(false).repository();
    let clock = repository.clock().unwrap();
    assert!((clock.now.as_second() - jiff::Timestamp::now().as_second()).abs() < 100 && !clock.keeps_versions, "{clock:?}");
    // Nor is it said that none is.
    assert!(repository.cannot_tell().is_some_and(|what| what.contains("Google")));
}

#[test]
fn a_repository_lives_on_the_tests_own_server() {
    assert_eq!(life(Gcs::running(true).repository()), [""; 0]);
}
