//! The clients of Azure and Google against a server that answers what a test wrote down.

use bytes::Bytes;

use super::faulty_tests::tools;
use super::wire_tests::{Script, answer, refusal};
use super::*;
use crate::sys::environment::FixedEnvironment;
use crate::sys::secret::Secret;

/// A key of an account, and a signature.
const KEY: &str = "aHVudGVyMi1pcy10aGUtc2VjcmV0";
const SIGNATURE: &str = "sv=2023-11-03&sp=rcl&sr=c&sig=aHVudGVyMg%3D%3D";

fn azure(script: &Script) -> Settings {
    Settings {
        endpoint: Some(script.endpoint.clone()),
        allow_http: true,
        account: Some("clearwater".into()),
        account_key: Some(Secret::new(KEY)),
        ..Settings::new("az://backups/base")
    }
}

fn open(settings: &Settings) -> Repository {
    Repository::open(settings, &FixedEnvironment::default(), tools()).unwrap()
}

fn create(repository: &Repository) -> Result<(), Error> {
    repository.create("a/b", Bytes::from_static(b"abc"))
}

#[test]
fn a_create_on_azure_is_conditional_and_has_the_md5_of_its_body() {
    let script = Script::of(vec![answer("201 Created", "", ""), answer("201 Created", "", "")]);
    create(&open(&azure(&script))).unwrap();
    create(&open(&Settings { account_key: None, sas_token: Some(Secret::new(SIGNATURE)), ..azure(&script) })).unwrap();
    for request in script.requests() {
        let lower = request.to_lowercase();
        for line in ["if-none-match: *", "x-ms-blob-type: blockblob", "content-length: 3", "content-md5: kafqmdzst7dwlj99kof/cg=="] {
            assert!(lower.contains(&format!("\r\n{line}\r\n")), "{line}: {request}");
        }
        assert!(request.ends_with("\r\n\r\nabc"), "{request}");
    }
    let [by_key, by_signature] = &script.requests()[..] else { panic!("two requests") };
    assert!(by_key.starts_with("PUT /backups/base/a/b HTTP/1.1") && by_key.contains("SharedKey clearwater:"), "{by_key}");
    assert!(by_signature.starts_with(&format!("PUT /backups/base/a/b?{SIGNATURE} HTTP/1.1")), "{by_signature}");
}

#[test]
fn azures_words_for_taken_are_settled_by_reading_back() {
    for (status, code) in [("409 Conflict", "BlobAlreadyExists"), ("403 Forbidden", "UnauthorizedBlobOverwrite")] {
        for (lies, taken) in [("abc", false), ("xyz", true)] {
            let script = Script::of(vec![refusal(status, code), answer("200 OK", "", lies)]);
            let outcome = create(&open(&azure(&script)));
            assert_eq!(matches!(outcome, Err(Error::Taken { .. })), taken, "{code}: {outcome:?}");
            assert_eq!((outcome.is_ok(), script.requests().len()), (!taken, 2));
        }
    }
}

#[test]
fn a_body_that_azure_found_damaged_is_sent_again() {
    let answers = vec![refusal("400 Bad", "Md5Mismatch"), refusal("404 No", "BlobNotFound"), answer("201 Created", "", "")];
    let script = Script::of(answers);
    create(&open(&azure(&script))).unwrap();
    assert_eq!(script.requests().len(), 3);
}

#[test]
fn what_is_absent_on_azure_is_told_by_a_header_where_there_is_no_body() {
    let absent = |code: &str| answer("404 No", &format!("x-ms-error-code: {code}\r\n"), "");
    let script = Script::of(vec![absent("BlobNotFound"), absent("BlobNotFound"), absent("ContainerNotFound")]);
    let repository = open(&azure(&script));
    assert!(repository.get("a", 9).unwrap_err().is_absent());
    repository.delete("a").unwrap();
    assert!(matches!(repository.get("a", 9), Err(Error::NoBucket { .. })));
    let deletes = script.requests().iter().filter(|request| request.starts_with("DELETE /backups/base/a HTTP/1.1")).count();
    assert_eq!(deletes, 1, "one request for one object: {:?}", script.requests());
}

#[test]
fn a_delete_that_azure_denies_is_a_denial_of_that_alone() {
    let script =
        Script::of(vec![refusal("403 Forbidden", "AuthorizationPermissionMismatch"), refusal("403 Forbidden", "AuthenticationFailed")]);
    let repository = open(&azure(&script));
    let denied = repository.delete("a").unwrap_err();
    assert!(denied.is_denied(), "{denied:?}");
    let wrong = repository.delete("a").unwrap_err();
    assert!(wrong.is_unreachable() && wrong.to_string().contains("check account_key or sas_token"), "{wrong}");
}

#[test]
fn a_delete_of_a_leased_blob_says_what_azure_answered() {
    let script = Script::of(vec![refusal("412 No", "LeaseIdMissing"), refusal("412 No", "ConditionNotMet")]);
    let repository = open(&azure(&script));
    let leased = repository.delete("a").unwrap_err();
    assert!(leased.is_locked() && leased.to_string().contains("LeaseIdMissing"), "{leased}");
    let other = repository.delete("a").unwrap_err();
    assert!(matches!(other, Error::Refused { .. }) && other.to_string().contains("ConditionNotMet"), "{other}");
}

#[test]
fn a_page_of_azure_that_has_no_end_is_not_held() {
    let script = Script::of(vec![answer("200 OK", "", &"x".repeat(20 << 20))]);
    let error = open(&azure(&script)).list("", &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::Failed { .. }) && format!("{error:?}").contains("a page of the listing"), "{error:?}");
}

#[test]
fn a_signature_is_in_no_message() {
    let script = Script::of(vec![refusal("403 Forbidden", "AuthenticationFailed"), answer("200 OK", "", "nothing that can be read")]);
    let repository = open(&Settings { account_key: None, sas_token: Some(Secret::new(SIGNATURE)), ..azure(&script) });
    let list = || repository.list("", &mut |_| ControlFlow::Continue(())).unwrap_err();
    let mut errors = vec![repository.get("a", 9).unwrap_err(), list()];
    std::thread::sleep(Duration::from_millis(20));
    // Nobody listens any more.
    errors.extend([list(), repository.get("a", 9).unwrap_err(), create(&repository).unwrap_err(), repository.delete("a").unwrap_err()]);
    for error in errors {
        let text = format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!text.contains("aHVudGVyMg") && !text.contains("sig="), "{text}");
    }
}

#[test]
fn a_create_on_google_is_conditional_and_has_the_md5_of_its_body() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    let document = serde_json::json!({
        "type": "service_account", "client_email": "a@b", "private_key_id": "7", "private_key": key,
        // What other programs make of these is nothing that a file may decide.
        "disable_oauth": true, "gcs_base_url": "http://elsewhere.invalid",
    });
    let script = Script::of(vec![answer("200 OK", "x-goog-generation: 1\r\n", "")]);
    let settings = Settings {
        endpoint: Some(script.endpoint.clone()),
        allow_http: true,
        service_account: Some(Secret::new(document.to_string())),
        ..Settings::new("gs://backups/base")
    };
    create(&open(&settings)).unwrap();
    let request = &script.requests()[0];
    assert!(request.starts_with("PUT /backups/base%2Fa%2Fb HTTP/1.1"), "{request}");
    let lower = request.to_lowercase();
    for part in ["x-goog-if-generation-match: 0\r\n", "content-md5: kafqmdzst7dwlj99kof/cg==\r\n", "authorization: bearer eyj"] {
        assert!(lower.contains(part), "{part}: {request}");
    }
}

#[test]
fn a_setting_of_another_kind_of_store_is_refused() {
    let script = Script::of(vec![]);
    let with_tags = Keeping { tags: vec![("a".into(), "b".into())], ..Keeping::default() };
    for (settings, says) in [
        (Settings { keeping: with_tags, ..azure(&script) }, "tags goes with s3://"),
        (Settings { url: "gs://b".into(), ..azure(&script) }, "account goes with az://"),
        (Settings { url: "s3://b".into(), ..azure(&script) }, "account goes with az://, and the url begins with s3://"),
    ] {
        let error = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
