//! What a store may do wrong, and what must come of it. Waits run on a fixed clock, so they take no time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::memory::InMemory;

use super::store::{Faulty, Op, Trouble};
use super::*;
use crate::sys::clock::FixedClock;
use crate::sys::meter::Meter;
use crate::sys::random::SeededRandom;
use crate::sys::stop::Stop;

pub(super) fn tools() -> Tools {
    Tools {
        clock: Arc::new(FixedClock::at("2026-11-23T00:00:00Z".parse().unwrap())),
        random: Arc::new(SeededRandom::new(7)),
        stop: Stop::new(),
        meter: Arc::new(Meter::default()),
    }
}

fn faulty() -> (Arc<Faulty>, Repository) {
    faulty_with(tools())
}

fn faulty_with(tools: Tools) -> (Arc<Faulty>, Repository) {
    let store = Faulty::around(Arc::new(InMemory::new()));
    let repository = Repository::over(Arc::clone(&store) as _, "base", "memory://base".into(), tools);
    (store, repository)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn a_passing_failure_of_a_create_is_tried_again() {
    for trouble in [Trouble::Reset, Trouble::Answer(503, "SlowDown"), Trouble::Answer(429, ""), Trouble::Answer(500, "InternalError")] {
        let (store, repository) = faulty();
        store.next(Op::Put, [trouble.clone(), trouble]);
        repository.create("a/b", bytes("x")).unwrap();
        assert_eq!((store.count(Op::Put), &repository.get("a/b", 9).unwrap()[..]), (3, &b"x"[..]));
    }
}

#[test]
fn a_create_whose_answer_was_lost_counts_as_done_when_the_bytes_are_there() {
    for trouble in [Trouble::LoseAnswer, Trouble::AnswerAndDo(500, ""), Trouble::AnswerAndDo(400, "BadDigest")] {
        let (store, repository) = faulty();
        store.next(Op::Put, [trouble]);
        repository.create("a", bytes("x")).unwrap();
        assert_eq!(store.count(Op::Put), 1, "it was not sent again");
    }
}

#[test]
fn a_taken_key_is_ones_own_when_the_bytes_are_the_same() {
    let (_, repository) = faulty();
    repository.create("a", bytes("x")).unwrap();
    repository.create("a", bytes("x")).unwrap();
    for other in ["y", "xx", ""] {
        let error = repository.create("a", bytes(other)).unwrap_err();
        assert!(matches!(&error, Error::Taken { at } if at.key == "a"), "{error}");
    }
    assert_eq!(&repository.get("a", 9).unwrap()[..], b"x");
}

#[test]
fn a_create_that_left_a_stump_is_not_taken_for_done() {
    let (store, repository) = faulty();
    store.next(Op::Put, [Trouble::Stump(b"whole")]);
    assert!(matches!(repository.create("a", bytes("whole body")), Err(Error::Taken { .. })));
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for (status, code) in [(403, "AccessDenied"), (400, "InvalidRequest"), (404, "NoSuchBucket"), (507, "XMinioStorageFull")] {
        let (store, repository) = faulty();
        store.always(Op::Put, Trouble::Answer(status, code));
        let error = repository.create("a", bytes("x")).unwrap_err();
        assert_eq!(store.count(Op::Put), 1, "{code}");
        assert!(!error.is_retryable(), "{error}");
    }
}

#[test]
fn tries_are_bounded_and_fewer_before_the_first_answer() {
    let tools = tools();
    let (store, repository) = faulty_with(tools.clone());
    store.always(Op::Get, Trouble::Reset);
    let error = repository.get("a", 9).unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: patience::FIRST_TRIES, .. }), "{error}");
    assert!(error.is_unreachable() && error.is_retryable());
    store.always(Op::Get, Trouble::Nothing);
    assert!(repository.get("a", 9).unwrap_err().is_absent());
    store.always(Op::Get, Trouble::Reset);
    assert!(matches!(repository.get("a", 9), Err(Error::Unreachable { tries: patience::TRIES, .. })));
    // The first request of each is none that was made once more.
    assert_eq!(tools.meter.read().retries, u64::from(patience::FIRST_TRIES - 1 + patience::TRIES - 1));
}

#[test]
fn a_body_of_another_length_than_announced_is_read_again_and_never_believed() {
    for trouble in [Trouble::Cut(3), Trouble::Break(3), Trouble::Grow(1)] {
        let (store, repository) = faulty();
        repository.create("a", bytes("0123456789")).unwrap();
        store.next(Op::Get, [trouble.clone(), trouble.clone()]);
        assert_eq!(&repository.get("a", 10).unwrap()[..], b"0123456789");
        store.next(Op::Get, [trouble.clone()]);
        assert_eq!(&repository.get_range("a", 2..6).unwrap()[..], b"2345");
        store.always(Op::Get, trouble);
        let error = repository.get("a", 10).unwrap_err();
        assert!(matches!(error, Error::Cut { .. } | Error::Unreachable { .. }), "{error}");
    }
}

#[test]
fn an_object_above_the_limit_is_not_read() {
    let (_, repository) = faulty();
    repository.create("a", bytes("0123456789")).unwrap();
    assert!(matches!(repository.get("a", 9), Err(Error::TooLarge { at_most: 9, found: 10, .. })));
    assert_eq!(repository.get("a", 10).unwrap().len(), 10);
}

#[test]
fn a_range_beyond_the_end_is_an_error_that_tells_the_size() {
    let (_, repository) = faulty();
    repository.create("a", bytes("0123456789")).unwrap();
    for range in [5..11, 10..12, 100..200] {
        let error = repository.get_range("a", range.clone()).unwrap_err();
        assert!(matches!(error, Error::TooShort { found: 10, .. }), "{range:?}: {error}");
    }
    assert!(repository.get_range("a", 3..3).unwrap().is_empty());
}

#[test]
fn a_listing_that_breaks_goes_on_behind_the_last_key() {
    let (store, repository) = faulty();
    let keys: Vec<String> = (0..10).map(|n| format!("d/{n}")).collect();
    keys.iter().for_each(|key| repository.create(key, bytes("x")).unwrap());
    store.next(Op::List, [Trouble::Break(0), Trouble::Break(4), Trouble::Break(3), Trouble::Answer(503, "SlowDown")]);
    let mut listed = Vec::new();
    let mut visit = |object: Object| {
        // Whoever visits may use the repository.
        repository.stat(&object.key).unwrap().unwrap();
        listed.push(object.key);
        ControlFlow::Continue(())
    };
    repository.list("d/", &mut visit).unwrap();
    assert_eq!(listed, keys);
}

#[test]
fn a_listing_is_exact_where_the_store_begins_anew_each_time_it_is_taken_up() {
    let (store, repository) = faulty();
    let keys: Vec<String> = (0..30).map(|n| format!("d/{n:03}")).collect();
    keys.iter().for_each(|key| repository.create(key, bytes("x")).unwrap());
    store.ignore_offsets();
    store.next(Op::List, [7, 12, 3, 12, 25].map(Trouble::Break));
    let mut listed = Vec::new();
    let mut visit = |object: Object| {
        listed.push(object.key);
        ControlFlow::Continue(())
    };
    repository.list("d/", &mut visit).unwrap();
    assert_eq!(listed, keys);
}

#[test]
fn a_listing_that_never_gets_further_ends() {
    let (store, repository) = faulty();
    (0..30).for_each(|n| repository.create(&format!("d/{n:03}"), bytes("x")).unwrap());
    store.ignore_offsets();
    store.always(Op::List, Trouble::Break(7));
    let mut count = 0;
    let mut visit = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    assert!(matches!(repository.list("d/", &mut visit), Err(Error::Unreachable { .. })));
    assert_eq!((count, store.count(Op::List)), (7, patience::TRIES as usize));
}

#[test]
fn a_listing_that_stays_broken_is_an_error_and_not_an_end() {
    let (store, repository) = faulty();
    repository.create("d/0", bytes("x")).unwrap();
    store.always(Op::List, Trouble::Break(0));
    assert!(matches!(repository.list("d/", &mut |_| ControlFlow::Continue(())), Err(Error::Unreachable { .. })));
    assert!(matches!(repository.list("d", &mut |_| ControlFlow::Continue(())), Err(Error::Key { .. })));
}

#[test]
fn a_denied_delete_is_told_apart_and_a_missing_object_counts_as_deleted() {
    let (store, repository) = faulty();
    repository.delete("nothing").unwrap();
    store.always(Op::Delete, Trouble::Answer(403, "AccessDenied"));
    let error = repository.delete("a").unwrap_err();
    assert!(error.is_denied() && !error.is_unreachable(), "{error}");
    store.always(Op::Delete, Trouble::Answer(403, "InvalidAccessKeyId"));
    let error = repository.delete("a").unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("check access_key_id"), "{error}");
}

#[test]
fn a_stop_ends_waits_and_requests() {
    let tools = tools();
    let (store, repository) = faulty_with(tools.clone());
    store.always(Op::Get, Trouble::Hang);
    let stop = tools.stop.clone();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        stop.request(15);
    });
    assert!(matches!(repository.get("a", 9), Err(Error::Stopped { .. })));
    stopper.join().unwrap();
    let (puts, mut uploads) = (store.count(Op::Put), repository.uploads(1));
    uploads.push("a".into(), bytes("x"), ()).unwrap();
    assert!(matches!(uploads.drain(), Err(Error::Stopped { .. })));
    assert_eq!(store.count(Op::Put), puts, "nothing new is sent after a stop");
}

#[test]
fn downloads_come_in_order_and_no_more_travel_than_allowed() {
    let (store, repository) = faulty();
    (0..9).for_each(|n| repository.create(&format!("{n}"), Bytes::from(vec![n; 5])).unwrap());
    let before = store.count(Op::Get);
    let mut downloads = repository.downloads(3);
    for n in 0..9 {
        let range = (n == 4).then_some(1..3);
        downloads.request(Request { key: format!("{n}"), range, at_most: 5 });
    }
    downloads.request(Request { key: "0".into(), range: None, at_most: 4 });
    downloads.request(Request { key: "gone".into(), range: None, at_most: 4 });
    std::thread::sleep(Duration::from_millis(50));
    assert!(store.count(Op::Get) - before <= 3);
    for n in 0..9 {
        assert_eq!(downloads.next().unwrap().unwrap(), Bytes::from(vec![n; if n == 4 { 2 } else { 5 }]));
    }
    assert!(matches!(downloads.next(), Some(Err(Error::TooLarge { .. }))));
    assert!(downloads.next().unwrap().unwrap_err().is_absent());
    assert!(downloads.next().is_none());
}

#[test]
fn uploads_give_back_the_tags_of_what_was_accepted_also_after_an_error() {
    let tools = tools();
    let (store, repository) = faulty_with(tools.clone());
    repository.create("3", bytes("other")).unwrap();
    let before = tools.meter.read().travelled;
    let mut uploads = repository.uploads(2);
    let mut accepted = Vec::new();
    let mut errors = Vec::new();
    for n in 0..8 {
        match uploads.push(format!("{n}"), bytes("x"), n) {
            Ok(tags) => accepted.extend(tags),
            Err(error) => errors.push(error),
        }
    }
    loop {
        match uploads.drain() {
            Ok(tags) => break accepted.extend(tags),
            Err(error) => errors.push(error),
        }
    }
    accepted.sort_unstable();
    assert!(matches!(&errors[..], [Error::Taken { at }] if at.key == "3"), "{errors:?}");
    // The push that told the error did not send its own.
    assert!(accepted.len() == 6 || accepted.len() == 7, "{accepted:?}");
    assert!(accepted.iter().all(|n| *n != 3 && &repository.get(&n.to_string(), 9).unwrap()[..] == b"x"));
    assert_eq!(tools.meter.read().travelled - before, 2 * accepted.len() as u64);
    assert!(store.count(Op::Put) >= 8);
}

#[test]
fn keys_that_no_store_takes_are_refused() {
    let (_, repository) = faulty();
    for key in ["", "/a", "a/", "a//b", "a/../b", "./a", "a\nb", &"x".repeat(201)] {
        assert!(matches!(repository.get(key, 1), Err(Error::Key { .. })), "{key:?}");
    }
    repository.create(&"x".repeat(200), bytes("x")).unwrap();
}

#[test]
fn the_probe_notices_a_store_that_ignores_create_only() {
    let (store, repository) = faulty();
    store.always(Op::Put, Trouble::Overwrite);
    let probe = repository.probe().unwrap();
    assert_eq!(probe.create_only.verdict, Verdict::Ignored);
    assert_eq!(
        (probe.ranged_read.verdict, probe.list_paging.verdict, probe.delete.verdict),
        (Verdict::Works, Verdict::Works, Verdict::Works)
    );
}

#[test]
fn the_probe_reports_what_a_credential_may_not_do() {
    let (store, repository) = faulty();
    store.always(Op::Delete, Trouble::Answer(403, "AccessDenied"));
    let probe = repository.probe().unwrap();
    assert_eq!((probe.create_only.verdict, probe.delete.verdict), (Verdict::Works, Verdict::Denied));
    store.always(Op::Put, Trouble::Answer(403, "AccessDenied"));
    let probe = repository.probe().unwrap();
    assert_eq!((probe.create_only.verdict, probe.list_paging.verdict), (Verdict::Denied, Verdict::NotTested));
    assert_eq!(probe.clock_skew_seconds, None);
    store.always(Op::Put, Trouble::Answer(403, "InvalidAccessKeyId"));
    assert!(repository.probe().unwrap_err().is_unreachable());
}

#[test]
fn the_probe_leaves_nothing_behind() {
    let (_, repository) = faulty();
    let probe = repository.probe().unwrap();
    assert_eq!(probe.checksum.verdict, Verdict::NotTested);
    repository.list("", &mut |object| panic!("{} was left behind", object.key)).unwrap();
    assert!(serde_json::to_string(&probe).unwrap().contains(r#""create_only":{"verdict":"works","detail":""}"#));
}
