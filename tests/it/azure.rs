//! Azure, by the real program and through the library, against Azurite.

use std::ops::ControlFlow;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use jiff::Timestamp;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::{ClientOptions, RetryConfig};
use reqwest::Url;
use serde_json::json;
use windlass::repository::{Error, Repository, Settings, Verdict};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use crate::makes::life;
use crate::support::cloud::Cloud;
use crate::support::flipping::Flipping;
use crate::support::recorder::Recorder;
use crate::support::servers::azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use crate::support::store::{Faulty, Op, Trouble};
use crate::support::tools;

fn open(settings: &Settings) -> Repository {
    Repository::open(settings, &FixedEnvironment::default(), tools()).unwrap()
}

/// The section of a repository in a new container, without a credential.
fn section(azurite: &Azurite) -> String {
    section_of(azurite, &azurite.container())
}

fn section_of(azurite: &Azurite, container: &str) -> String {
    let ca_file = azurite.ca_file.as_ref().map(|path| format!("ca_file = {path:?}\n")).unwrap_or_default();
    format!(
        "url = \"az://{container}/some/prefix\"\nendpoint = \"{}\"\nallow_http = {}\naccount = \"{ACCOUNT}\"\n{ca_file}",
        azurite.endpoint,
        azurite.ca_file.is_none()
    )
}

/// A shared access signature of a container with these rights, for an hour.
fn signature(container: &str, rights: &str) -> String {
    let (version, now) = ("2023-11-03", Timestamp::now().as_second());
    let time = |seconds: i64| Timestamp::from_second(now + seconds).unwrap().to_string();
    let (begins, ends) = (time(-300), time(3600));
    let fields = [rights, &begins, &ends, &format!("/blob/{ACCOUNT}/{container}"), "", "", "", version, "c", "", "", "", "", "", "", ""];
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(ACCOUNT_KEY).unwrap());
    let sum = BASE64_STANDARD.encode(hmac::sign(&key, fields.join("\n").as_bytes()));
    let mut url = Url::parse("sas:").unwrap();
    let pairs = [("sv", version), ("st", &begins), ("se", &ends), ("sr", "c"), ("sp", rights), ("sig", &sum)];
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap().to_owned()
}

/// An access token as an identity provider gives it, but for its signature.
fn token() -> String {
    let now = Timestamp::now().as_second();
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600,
    });
    let part = |document: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(document.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims))
}

/// What a service answers that gives a token.
fn answer(token: &str) -> String {
    json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token }).to_string()
}

#[test]
fn the_whole_of_a_repositorys_life_takes_place_on_azure() {
    let azurite = Azurite::running(false);
    let container = azurite.container();
    let repository = format!("{}account_key = \"{ACCOUNT_KEY}\"", section_of(azurite, &container));
    Cloud::new(&repository, &[ACCOUNT_KEY], "").does_everything(&azurite.settings(&container));
}

#[test]
fn a_key_of_the_environment_is_taken_and_the_machine_is_not_asked() {
    let azurite = Azurite::running(true);
    let cloud = Cloud::new(&section(azurite).replace(&format!("account = \"{ACCOUNT}\"\n"), ""), &[ACCOUNT_KEY], "");
    cloud.with("AZURE_STORAGE_ACCOUNT", ACCOUNT).with("AZURE_STORAGE_KEY", ACCOUNT_KEY).backs_up_by_itself();
}

#[test]
fn a_signature_that_may_read_list_and_create_backs_up_and_cannot_delete() {
    let azurite = Azurite::running(false);
    let container = azurite.container();
    let (section, signature) = (section_of(azurite, &container), signature(&container, "rcl"));
    let secret = signature.rsplit("sig=").next().unwrap().to_owned();
    let cloud = Cloud::new(&section, &[&secret], "");
    let file = cloud.file("sas", &format!("?{signature}\n"));
    cloud.machine.configure(&format!("{section}sas_token_file = {file:?}"), "");
    cloud.backs_up_by_itself();
    cloud.run(&["verify", "--full"]).expect(0);
    // What lies there already can neither be written over nor deleted.
    let repository = open(&Settings { sas_token: Some(Secret::new(signature)), account_key: None, ..azurite.settings(&container) });
    let probe = repository.probe().unwrap();
    assert_eq!((probe.create_only.verdict, probe.checksum.verdict), (Verdict::Works, Verdict::Works), "{probe:?}");
    assert_eq!(probe.delete.verdict, Verdict::Denied, "{probe:?}");
    let error = repository.delete("windlass.json").unwrap_err();
    assert!(error.is_denied() && !format!("{error} {error:?} {repository:?}").contains(&secret), "{error:?}");
    assert!(repository.stat("windlass.json").unwrap().is_some());
}

#[test]
fn an_identity_with_a_secret_is_exchanged() {
    let token = token();
    let service = Recorder::start(&[("POST /a-tenant/oauth2/v2.0/token ", &answer(&token))]);
    let cloud = Cloud::new(&section(Azurite::running(true)), &[&token, "a-client-secret"], "");
    let cloud = cloud.with("AZURE_TENANT_ID", "a-tenant").with("AZURE_CLIENT_ID", "a-client");
    let cloud = cloud.with("AZURE_CLIENT_SECRET", "a-client-secret").with("AZURE_AUTHORITY_HOST", &service.url);
    cloud.backs_up_by_itself();
    assert_eq!(service.requests().len(), 2, "once in each of two runs");
    let form =
        "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_id=a-client&client_secret=a-client-secret";
    assert!(service.requests()[0].ends_with(form), "{:?}", service.requests());
}

#[test]
fn a_token_of_the_workload_is_exchanged() {
    let token = token();
    let service = Recorder::start(&[("POST /a-tenant/oauth2/v2.0/token ", &answer(&token))]);
    let cloud = Cloud::new(&section(Azurite::running(true)), &[&token, "a-workload"], "");
    let file = cloud.file("workload", "a-workload-token").display().to_string();
    let cloud = cloud.with("AZURE_TENANT_ID", "a-tenant").with("AZURE_CLIENT_ID", "a-client");
    let cloud = cloud.with("AZURE_FEDERATED_TOKEN_FILE", &file).with("AZURE_AUTHORITY_HOST", &service.url);
    cloud.backs_up_by_itself();
    assert!(service.requests().iter().all(|request| request.contains("client_assertion=a-workload-token")), "{:?}", service.requests());
}

#[test]
fn the_identity_of_the_machine_is_asked_for_last() {
    let token = token();
    let ends = Timestamp::now().as_second() + 3600;
    let told = json!({ "access_token": token, "expires_on": ends.to_string(), "token_type": "Bearer" }).to_string();
    let cloud = Cloud::new(&section(Azurite::running(true)), &[&token, "a-right"], &told).with("AZURE_CLIENT_ID", "the-second");
    cloud.backs_up();
    let requests = cloud.metadata.requests();
    assert_eq!(requests.len(), 2, "once in each of two runs: {requests:?}");
    let line = "GET /identity?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=the-second HTTP/1.1";
    assert!(requests[0].starts_with(line) && requests[0].to_lowercase().contains("x-identity-header: a-right"), "{requests:?}");
}

#[test]
fn without_a_credential_it_is_told_what_was_tried() {
    let cloud = Cloud::new(&section(Azurite::running(false)), &[], "");
    let run = cloud.run(&["init"]);
    assert_ne!(run.code, Some(0));
    for said in ["set account_key or sas_token", "AZURE_STORAGE_KEY", "managed identity (Azure): its answer holds no access token"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    let half = Cloud::new(&section(Azurite::running(false)), &[], "").with("AZURE_CLIENT_SECRET", "hunter2").run(&["init"]);
    assert!(half.stderr.contains("AZURE_CLIENT_SECRET is set and AZURE_TENANT_ID is not"), "{half:#?}");
}

#[test]
fn wrong_keys_accounts_and_containers_are_told_apart() {
    let azurite = Azurite::running(false);
    let store = open(&azurite.settings("no-such-container"));
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
    let wrong = "aHVudGVyMi1pcy1ub3QtdGhlLXNlY3JldA==";
    let settings = Settings { account_key: Some(Secret::new(wrong)), ..azurite.settings(&azurite.container()) };
    let error = open(&settings).get("a", 9).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(error.is_unreachable() && text.contains("account_key") && !text.contains(wrong), "{text}");
    for (change, says) in [
        (Settings { account: None, ..azurite.settings("c") }, "AZURE_STORAGE_ACCOUNT"),
        (Settings { account: Some("A/b".into()), ..azurite.settings("c") }, "lower-case letters"),
        (Settings { account_key: Some(Secret::new("no base64")), ..azurite.settings("c") }, "account_key is no key"),
        (Settings { account_key: None, sas_token: Some(Secret::new("hunter2")), ..azurite.settings("c") }, "sas_token is no shared access"),
        (Settings { sas_token: Some(Secret::new("sig=x")), ..azurite.settings("c") }, "keep one of them"),
        (Settings { region: Some("eu".into()), ..azurite.settings("c") }, "region goes with s3://"),
    ] {
        let error = Repository::open(&change, &FixedEnvironment::default(), tools()).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
    let untrusted = Azurite::running(true);
    let error = open(&Settings { ca_file: None, ..untrusted.settings("c") }).get("a", 9).unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }) && error.to_string().contains("ca_file"), "{error}");
}

#[test]
fn a_body_that_is_damaged_on_its_way_is_not_stored() {
    let azurite = Azurite::running(false);
    let wire = Flipping::before(&azurite.endpoint, b"xxxxxxxx");
    let store = open(&Settings { endpoint: Some(wire.endpoint.clone()), ..azurite.settings(&azurite.container()) });
    let body = Bytes::from(vec![b'x'; 100_000]);
    wire.flip(1);
    // Azurite says so by a code of its own, which is not tried again; Azure by one that is.
    let error = store.create("n/a", body.clone()).unwrap_err();
    assert!(error.to_string().contains("contentMD5 doesn't match"), "{error}");
    assert_eq!((wire.left(), store.stat("n/a").unwrap()), (0, None));
    store.create("n/a", body.clone()).unwrap();
    assert_eq!(store.get("n/a", 100_000).unwrap(), body);
}

#[test]
fn a_listing_that_breaks_off_is_exact_although_azurite_begins_anew() {
    let azurite = Azurite::running(false);
    let container = azurite.container();
    let store = open(&azurite.settings(&container));
    let keys: Vec<String> = (0..40).map(|n| format!("d/{n:03}")).collect();
    keys.iter().for_each(|key| store.create(key, Bytes::from_static(b"x")).unwrap());
    let client = MicrosoftAzureBuilder::new()
        .with_account(ACCOUNT)
        .with_access_key(ACCOUNT_KEY)
        .with_container_name(&container)
        .with_endpoint(azurite.endpoint.clone())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    let faulty = Faulty::around(Arc::new(client.build().unwrap()));
    faulty.next(Op::List, [9, 17, 3, 25].map(Trouble::Break));
    let broken = Repository::over(Arc::clone(&faulty) as _, "some/prefix", "az://".into(), tools());
    let mut listed = Vec::new();
    let mut visit = |object: windlass::repository::Object| {
        listed.push(object.key);
        ControlFlow::Continue(())
    };
    broken.list("d/", &mut visit).unwrap();
    assert_eq!((listed, faulty.count(Op::List)), (keys, 5));
}

#[test]
fn the_clock_of_the_store_is_told() {
    let clock = Azurite::running(false).repository().clock().unwrap();
    assert!((clock.now.as_second() - Timestamp::now().as_second()).abs() < 100 && !clock.keeps_versions, "{clock:?}");
}

#[test]
fn a_repository_lives_on_azurite() {
    assert_eq!(life(Azurite::running(true).repository()), [""; 0]);
}
