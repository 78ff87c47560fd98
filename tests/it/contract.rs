//! What every kind of store must do for a repository, the same tests over each.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use tempfile::TempDir;
use windlass::repository::{Error, Repository, Request, Settings, Verdict};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use crate::support::gcs::Gcs;
use crate::support::servers::azurite::Azurite;
use crate::support::servers::{Make, Server};
use crate::support::store::{Faulty, Op, Trouble};
use crate::support::tools;

/// A repository with what must live as long as it.
struct Store(Repository, #[expect(dead_code, reason = "removed when it is dropped")] Option<TempDir>);

impl std::ops::Deref for Store {
    type Target = Repository;
    fn deref(&self) -> &Repository {
        &self.0
    }
}

fn folder() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(format!("file://{}", folder.path().display()));
    Store(Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap(), Some(folder))
}

/// A store that does not know create-only, as Garage is one.
fn overwriting() -> Repository {
    let store = Faulty::around(Arc::new(InMemory::new()));
    store.always(Op::Put, Trouble::Overwrite);
    Repository::over(store, "", "memory".into(), tools())
}

fn keys(store: &Repository, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    store
        .list(prefix, &mut |object| {
            keys.push(object.key);
            ControlFlow::Continue(())
        })
        .unwrap();
    keys.sort();
    keys
}

/// Bytes that do not repeat, so that a piece at a wrong place shows.
fn body(length: usize) -> Bytes {
    (0u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect::<Vec<u8>>().into()
}

fn what_was_created_is_read_back(store: &Repository) {
    for length in [0, 1, 5 << 20] {
        let (key, bytes) = (format!("node/packs/ab/{length}.tar.zst"), body(length));
        store.create(&key, bytes.clone()).unwrap();
        assert_eq!(store.get(&key, length as u64).unwrap(), bytes);
        let object = store.stat(&key).unwrap().unwrap();
        assert_eq!((object.key, object.size), (key, length as u64));
        assert!((object.modified.as_second() - tools().clock.now().as_second()).abs() < 100, "{}", object.modified);
    }
}

fn nothing_is_ever_overwritten(store: &Repository) {
    store.create("a/b", body(100)).unwrap();
    store.create("a/b", body(100)).unwrap();
    assert!(matches!(store.create("a/b", body(99)), Err(Error::Taken { .. })));
    assert!(matches!(store.create("a/b", Bytes::from(vec![7; 100])), Err(Error::Taken { .. })));
    assert_eq!(store.get("a/b", 100).unwrap(), body(100));
}

/// Keys whose names do not come from content or chance, so that two machines can want the same one.
fn what_two_could_want_is_not_written_over_whatever_the_store_allows(store: &Repository) {
    let id = "20261123T000000123Z";
    let keys = [
        "windlass.json".to_owned(),
        "node-1/node.1.json".to_owned(),
        format!("node-1/manifests/tree/{id}.1.body.jsonl"),
        format!("node-1/manifests/tree/{id}.1.json"),
        format!("node-1/pins/tree/{id}.1.json"),
        format!("node-1/removed/tree/{id}.json"),
    ];
    for key in keys {
        store.create(&key, body(100)).unwrap();
        store.create(&key, body(100)).unwrap();
        for other in [body(99), body(101), Bytes::from(vec![7; 100])] {
            let outcome = store.create(&key, other);
            assert!(matches!(outcome, Err(Error::Taken { .. })), "{key}: {outcome:?}");
        }
        assert_eq!(store.get(&key, 100).unwrap(), body(100), "{key}");
    }
}

fn of_racing_creates_one_wins(store: &Repository) {
    let start = std::sync::Barrier::new(4);
    let race = |n: u8| {
        start.wait();
        store.create("race", Bytes::from(vec![n; 100_000]))
    };
    let race = &race;
    let outcomes: Vec<Result<(), Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || race(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let kept = store.get("race", 100_000).unwrap();
    for (n, outcome) in outcomes.iter().enumerate() {
        let won = usize::from(kept[0]) == n;
        assert!(if won { outcome.is_ok() } else { matches!(outcome, Err(Error::Taken { .. })) }, "{n}: {outcome:?}");
    }
    assert!(kept.iter().all(|byte| *byte == kept[0]));
}

fn ranges_are_exact(store: &Repository) {
    let bytes = body(100_000);
    store.create("r", bytes.clone()).unwrap();
    for range in [0..1, 0..100_000, 99_999..100_000, 4_711..50_001] {
        let expected = bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        assert_eq!(store.get_range("r", range).unwrap(), expected);
    }
    for range in [99_999..100_001, 100_000..100_001, 200_000..200_010] {
        let outcome = store.get_range("r", range.clone());
        assert!(matches!(outcome, Err(Error::TooShort { found: 100_000, .. })), "{range:?}: {outcome:?}");
    }
}

fn what_is_not_there_is_absent(store: &Repository) {
    assert!(store.get("no/such", 9).unwrap_err().is_absent());
    assert!(store.get_range("no/such", 0..9).unwrap_err().is_absent());
    assert!(store.stat("no/such").unwrap().is_none());
    assert!(keys(store, "no/").is_empty());
    store.delete("no/such").unwrap();
    store.create("a/b", body(1)).unwrap();
    assert!(store.get("a", 9).unwrap_err().is_absent(), "a folder is no object");
}

fn nothing_above_the_limit_is_read(store: &Repository) {
    store.create("big", body(1001)).unwrap();
    assert!(matches!(store.get("big", 1000), Err(Error::TooLarge { at_most: 1000, found: 1001, .. })));
}

fn listings_are_whole_and_bounded_by_their_folder(store: &Repository) {
    let names = ["n/a", "n/a.b/c", "n/ab/c", "n/z", "n-1/x", "n.json"];
    names.iter().for_each(|key| store.create(key, body(3)).unwrap());
    assert_eq!(keys(store, "n/"), ["n/a", "n/a.b/c", "n/ab/c", "n/z"]);
    assert_eq!(keys(store, "n/a.b/"), ["n/a.b/c"]);
    assert_eq!(keys(store, "").len(), names.len());
    let mut seen = 0;
    store
        .list("", &mut |object| {
            seen += 1;
            assert_eq!(object.size, 3);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen, 1);
}

fn the_root_is_told_without_what_is_below(store: &Repository) {
    let mut uploads = store.uploads(8);
    let mut expected: Vec<String> = (0..1_050).map(|n| format!("f{n:05}/")).collect();
    expected.iter().for_each(|folder| drop(uploads.push(format!("{folder}a/b"), body(1), ()).unwrap()));
    uploads.push("object.json".into(), body(1), ()).unwrap();
    uploads.drain().unwrap();
    expected.push("object.json".into());
    let mut names = Vec::new();
    let mut see = |name| {
        names.push(name);
        ControlFlow::Continue(())
    };
    store.top(&mut see).unwrap();
    names.sort();
    assert_eq!(names, expected);
}

fn a_listing_of_more_than_a_page_is_whole(store: &Repository) {
    let mut uploads = store.uploads(8);
    let mut expected: Vec<String> = (0..1_050).map(|n| format!("many/{n:05}")).collect();
    for key in &expected {
        uploads.push(key.clone(), body(1), ()).unwrap();
    }
    uploads.drain().unwrap();
    expected.sort();
    assert_eq!(keys(store, "many/"), expected);
}

fn what_is_deleted_is_gone(store: &Repository) {
    store.create("d/a", body(1)).unwrap();
    store.create("d/b", body(1)).unwrap();
    store.delete("d/a").unwrap();
    store.delete("d/a").unwrap();
    assert_eq!(keys(store, "d/"), ["d/b"]);
    assert!(store.stat("d/a").unwrap().is_none());
}

fn queues_carry_every_byte(store: &Repository) {
    let mut uploads = store.uploads(3);
    let mut accepted = Vec::new();
    for n in 0..12 {
        accepted.extend(uploads.push(format!("q/{n}"), body(100_000 + n), n).unwrap());
    }
    accepted.extend(uploads.drain().unwrap());
    accepted.sort_unstable();
    assert_eq!(accepted, (0..12).collect::<Vec<_>>());
    let mut downloads = store.downloads(3);
    for n in 0..12 {
        downloads.request(Request { key: format!("q/{n}"), range: None, at_most: 200_000 });
        downloads.request(Request { key: format!("q/{n}"), range: Some(7..1000), at_most: 1000 });
    }
    for n in 0..12 {
        assert_eq!(downloads.next().unwrap().unwrap(), body(100_000 + n));
        assert_eq!(downloads.next().unwrap().unwrap(), body(1000).slice(7..));
    }
    assert!(downloads.next().is_none());
}

fn the_probe_finds_a_sound_store(store: &Repository) {
    the_probe_finds(store, Verdict::Works);
}

fn the_probe_finds_that_create_only_is_ignored(store: &Repository) {
    the_probe_finds(store, Verdict::Ignored);
    // Which is so: the probe is no judge of its own.
    store.create("a/b", body(100)).unwrap();
    store.create("a/b", body(99)).unwrap();
    assert_eq!(store.get("a/b", 100).unwrap(), body(99));
}

fn the_probe_finds(store: &Repository, create_only: Verdict) {
    let probe = store.probe().unwrap();
    assert_eq!(probe.create_only.verdict, create_only, "{probe:?}");
    for finding in [&probe.ranged_read, &probe.list_paging, &probe.delete] {
        assert_eq!(finding.verdict, Verdict::Works, "{probe:?}");
    }
    let is_bucket = ["s3://", "az://", "gs://"].iter().any(|scheme| store.describe().starts_with(scheme));
    let checksum = if is_bucket { Verdict::Works } else { Verdict::NotTested };
    assert_eq!(probe.checksum.verdict, checksum, "{probe:?}");
    assert!(probe.clock_skew_seconds.unwrap().abs() < 100, "{probe:?}");
    assert!(keys(store, "").is_empty(), "nothing is left behind");
}

/// The tests over each kind of store. Versions change nothing but what becomes of what is written over or deleted.
macro_rules! contract {
    ($($kind:ident => $open:expr;)*) => { $(
        mod $kind {
            use super::*;
            contract!(@each $open;
                nothing_is_ever_overwritten, of_racing_creates_one_wins, the_probe_finds_a_sound_store,
                a_listing_of_more_than_a_page_is_whole, the_root_is_told_without_what_is_below);
            contract!(@all $open);
        }
    )* };
    (with versions: $($kind:ident => $open:expr;)*) => { $(
        mod $kind {
            use super::*;
            contract!(@each $open;
                nothing_is_ever_overwritten, of_racing_creates_one_wins, the_probe_finds_a_sound_store, what_is_deleted_is_gone,
                what_two_could_want_is_not_written_over_whatever_the_store_allows);
        }
    )* };
    (without create_only: $($kind:ident => $open:expr;)*) => { $(
        mod $kind {
            use super::*;
            contract!(@each $open; the_probe_finds_that_create_only_is_ignored);
            contract!(@all $open);
        }
    )* };
    (@all $open:expr) => {
        contract!(@each $open;
            what_was_created_is_read_back, what_two_could_want_is_not_written_over_whatever_the_store_allows, ranges_are_exact,
            what_is_not_there_is_absent, nothing_above_the_limit_is_read, listings_are_whole_and_bounded_by_their_folder,
            what_is_deleted_is_gone, queues_carry_every_byte);
    };
    (@each $open:expr; $($test:ident),*) => { $(
        #[test]
        fn $test() {
            super::$test(&$open);
        }
    )* };
}

contract! {
    memory => Store(Repository::memory(tools()), None);
    a_folder => folder();
    versitygw => Store(Server::running(Make::Versitygw, false).repository(), None);
    minio => Store(Server::running(Make::Minio, false).repository(), None);
    radosgw => Store(Server::running(Make::Radosgw, false).repository(), None);
    s3proxy => Store(Server::running(Make::S3proxy, false).repository(), None);
    versitygw_over_tls => Store(Server::running(Make::Versitygw, true).repository(), None);
    minio_over_tls => Store(Server::running(Make::Minio, true).repository(), None);
    azurite => Store(Azurite::running(false).repository(), None);
    azurite_over_tls => Store(Azurite::running(true).repository(), None);
    gcs => Store(Gcs::running(false).repository(), None);
    gcs_over_tls => Store(Gcs::running(true).repository(), None);
    radosgw_over_tls => Store(Server::running(Make::Radosgw, true).repository(), None);
    s3proxy_over_tls => Store(Server::running(Make::S3proxy, true).repository(), None);
}

contract! { with versions:
    versitygw_with_versions => Store(Server::running(Make::Versitygw, false).versioned(), None);
    minio_with_versions => Store(Server::running(Make::Minio, false).versioned(), None);
}

contract! { without create_only:
    one_that_overwrites => Store(overwriting(), None);
    radosgw_with_versions => Store(Server::running(Make::Radosgw, false).versioned(), None);
}

#[test]
fn a_private_certificate_without_its_authority_names_ca_file() {
    for make in Make::ALL {
        let server = Server::running(make, true);
        let settings = Settings { ca_file: None, ..server.settings("any") };
        let store = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap();
        let error = store.get("a", 9).unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }) && error.is_unreachable(), "{error}: {error:?}");
        assert!(error.to_string().contains("ca_file") && !error.is_retryable(), "{error}");
    }
}

#[test]
fn wrong_keys_and_buckets_are_told_apart() {
    for make in Make::ALL {
        let server = Server::running(make, false);
        let open = |change: &dyn Fn(&mut Settings)| {
            let mut settings = server.settings("no-such-bucket");
            change(&mut settings);
            Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap()
        };
        let store = open(&|_| {});
        for error in [
            store.get("a", 9).unwrap_err(),
            store.stat("a").unwrap_err(),
            store.create("a", body(1)).unwrap_err(),
            store.list("", &mut |_| ControlFlow::Continue(())).unwrap_err(),
            store.probe().unwrap_err(),
        ] {
            assert!(matches!(error, Error::NoBucket { .. }), "{make:?}: {error:?}");
        }
        // s3proxy says of every delete that it is done.
        match (make, store.delete("a")) {
            (Make::S3proxy, Ok(())) => {}
            (Make::S3proxy, outcome) => panic!("{outcome:?}"),
            (_, outcome) => assert!(matches!(outcome, Err(Error::NoBucket { .. })), "{make:?}: {outcome:?}"),
        }
        let error = open(&|settings| settings.access_key_id = Some(Secret::new("nobody"))).get("a", 9).unwrap_err();
        assert!(error.is_unreachable() && error.to_string().contains("access_key_id"), "{make:?}: {error}");
        let error = open(&|settings| settings.secret_access_key = Some(Secret::new("hunter2"))).get("a", 9).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(error.is_unreachable() && text.contains("secret_access_key") && !text.contains("hunter2"), "{make:?}: {text}");
    }
}

#[test]
fn a_store_that_does_not_speak_tls_is_told() {
    let server = Server::running(Make::Versitygw, false);
    let settings = Settings { endpoint: Some(server.endpoint.replace("http:", "https:")), ..server.settings("any") };
    let store = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap();
    let error = store.get("a", 9).unwrap_err();
    assert!(error.to_string().contains("http://"), "{error}: {error:?}");
}
