//! What a bucket is asked besides its objects, against a server that answers what a test wrote down.

use super::wire_tests::{SECRET, Script, answer, refusal};
use super::*;

/// A page of versions that ends here, or before this key and version.
fn page(entries: &str, next: Option<(&str, &str)>) -> String {
    let next = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |(key, version)| {
        format!("<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>")
    });
    answer("200 OK", "", &format!("<?xml version=\"1.0\"?><ListVersionsResult>{next}{entries}</ListVersionsResult>"))
}

fn version(latest: bool, size: u64) -> String {
    format!("<Version><Key>k</Key><VersionId>v</VersionId><IsLatest>{latest}</IsLatest><Size>{size}</Size></Version>")
}

const MARKER: &str = "<DeleteMarker><Key>k</Key><VersionId>v</VersionId><IsLatest>true</IsLatest></DeleteMarker>";

#[test]
fn old_versions_are_counted_over_all_pages() {
    let first = page(&[&version(true, 100), MARKER, &version(false, 7)].concat(), Some(("base/n/a b", "v+1")));
    let script = Script::of(vec![first, page(&[MARKER, &version(false, 5)].concat(), None)]);
    let counted = script.open().old_versions("n/").unwrap();
    assert_eq!(counted, Some(OldVersions { versions: 2, bytes: 12, markers: 2 }));
    let requests = script.requests();
    assert!(
        requests[0].starts_with("GET /bucket/?") && requests[0].contains("versions=&prefix=base%2Fn%2F&max-keys=1000&"),
        "{requests:?}"
    );
    assert!(requests[1].contains("&key-marker=base%2Fn%2Fa%20b&version-id-marker=v%2B1&"), "{requests:?}");
}

#[test]
fn pages_that_lead_back_have_an_end() {
    for [first, second] in [[("b", "1"), ("b", "1")], [("b", "1"), ("a", "9")]] {
        let script = Script::of(vec![page("", Some(first)), page("", Some(second))]);
        assert!(matches!(script.open().old_versions("n/"), Err(Error::Failed { .. })));
    }
    let script = Script::of(vec![answer("200 OK", "", "<html>not this</html>")]);
    assert!(matches!(script.open().old_versions("n/"), Err(Error::Failed { .. })));
}

#[test]
fn a_question_is_signed_and_what_is_refused_shows_no_secret() {
    let script = Script::of(vec![refusal("403 Forbidden", "AccessDenied")]);
    let repository = script.open_with(|settings| {
        settings.session_token = Some(crate::sys::secret::Secret::new("the-session-token"));
        settings.keeping.request_payer = true;
    });
    let error = repository.old_versions("n/").unwrap_err();
    assert!(error.is_denied(), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains(SECRET) && !text.contains("the-session-token") && !text.contains("Signature"), "{text}");
    let request = &script.requests()[0];
    assert!(request.contains("X-Amz-Signature=") && request.contains("X-Amz-Security-Token=the-session-token"), "{request}");
    assert!(request.contains("x-amz-request-payer: requester\r\n") && request.contains("x-amz-request-payer&"), "{request}");
    // Nor does a connection that breaks.
    let script = Script::of(vec![]);
    let error = script.open().keeps_versions().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("X-Amz-"), "{error:?}");
}

#[test]
fn a_store_that_breaks_at_a_question_is_not_asked_for_long() {
    let broken = || refusal("500 Internal", "InternalError");
    let script =
        Script::of(vec![answer("200 OK", "", "x"), broken(), broken(), broken(), answer("200 OK", "", "<VersioningConfiguration/>")]);
    let repository = script.open();
    repository.get("a", 9).unwrap();
    assert!(matches!(repository.keeps_versions(), Err(Error::Busy { tries: 3, .. })));
}

#[test]
fn a_bucket_tells_its_versions_and_its_lock() {
    let versioning = |status: &str| answer("200 OK", "", &format!("<VersioningConfiguration>{status}</VersioningConfiguration>"));
    let script = Script::of(vec![versioning(""), versioning("<Status>Enabled</Status>"), versioning("<Status>Suspended</Status>")]);
    let repository = script.open();
    assert_eq!([(); 3].map(|()| repository.keeps_versions().unwrap()), [false, true, true]);

    let lock = |rule: &str| {
        let text = format!("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>");
        answer("200 OK", "", &text)
    };
    let rule = "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule>";
    let none = refusal("404 Not Found", "ObjectLockConfigurationNotFoundError");
    let script = Script::of(vec![lock(rule), lock(""), none]);
    let repository = script.open();
    let told = [(); 3].map(|()| repository.bucket_lock().unwrap());
    let thirty = BucketLock { mode: Some("COMPLIANCE".into()), days: Some(30), years: None };
    assert_eq!(told, [Some(thirty), Some(BucketLock::default()), None]);

    let until = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2027-01-02T03:04:05.678Z</RetainUntilDate></Retention>";
    let script = Script::of(vec![answer("200 OK", "", until), refusal("404 Not Found", "NoSuchObjectLockConfiguration")]);
    let repository = script.open();
    let told = [(); 2].map(|()| repository.object_lock("n/a").unwrap().until);
    assert_eq!(told, [Some("2027-01-02T03:04:05.678Z".parse().unwrap()), None]);
    assert!(script.requests()[0].starts_with("GET /bucket/base/n/a?retention=&"), "{:?}", script.requests());
}

#[test]
fn a_look_that_is_denied_is_at_nothing_where_a_listing_shows_nothing() {
    let denied = || refusal("403 Forbidden", "AccessDenied");
    let listed = |key: &str| {
        let entry = format!("<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-11-23T00:00:00.000Z</LastModified></Contents>");
        let text = format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>");
        answer("200 OK", "", &text)
    };
    let script = Script::of(vec![denied(), listed("base/n/node.2.json.other")]);
    assert!(script.open().get("n/node.2.json", 9).unwrap_err().is_absent());
    assert!(script.requests()[1].contains("prefix=base%2Fn%2Fnode.2.json"), "{:?}", script.requests());
    let script = Script::of(vec![denied(), listed("base/n/node.2.json")]);
    assert!(script.open().get("n/node.2.json", 9).unwrap_err().is_denied(), "it is there, and may not be read");
    let script = Script::of(vec![denied(), denied()]);
    assert!(script.open().get("n/node.2.json", 9).unwrap_err().is_denied(), "nobody may say whether it is there");
    let script = Script::of(vec![answer("403 Forbidden", "", ""), listed("base/n/b")]);
    assert_eq!(script.open().stat("n/a").unwrap(), None);
}
