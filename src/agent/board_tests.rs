use jiff::SignedDuration;

use super::*;
use crate::sys::clock::FixedClock;

fn name(text: &str) -> SourceName {
    text.parse().unwrap()
}

fn board() -> (Arc<FixedClock>, Arc<Board>) {
    let clock = Arc::new(FixedClock::at("2026-11-28T12:00:00Z".parse().unwrap()));
    let board = Arc::new(Board::new(clock.clone(), [name("billing"), name("ellis")]));
    board.stands(Standing::Ready);
    (clock, board)
}

#[test]
fn tries_are_counted_by_source_and_stage_with_how_long_they_took() {
    let (clock, board) = board();
    for is_done in [false, false, true] {
        board.begins(Stage::Shipment, Some(&name("ellis")));
        clock.advance(Duration::from_secs(90));
        board.ends(is_done);
    }
    let facts = board.facts();
    let tries = &facts.sources[&name("ellis")].tries[&Stage::Shipment];
    let expected = Tries {
        ended: 3,
        failed: 2,
        failed_in_a_row: 0,
        succeeded: Some(facts.started + SignedDuration::from_secs(270)),
        took: Some(Duration::from_secs(90)),
    };
    assert_eq!((tries, facts.ended()), (&expected, 3));
    assert!(facts.sources[&name("billing")].tries.is_empty());
}

#[test]
fn bytes_that_were_not_read_or_not_sent_are_what_was_reused() {
    let (_, board) = board();
    let told = Arc::new(Mutex::new(0));
    let hears = board.hears(Arc::new({
        let told = told.clone();
        move |_| *told.lock().unwrap() += 1
    }));
    let snapshot: SnapshotId = "20261128T000000000Z".parse().unwrap();
    let source = name("ellis");
    hears(Event::SnapshotTaken { source: source.clone(), snapshot, files: 3, bytes: 100, read_bytes: 30 });
    hears(Event::Shipped { source: source.clone(), snapshot, added_bytes: 10, stored_bytes: 50 });
    // Of a source that the agent does not have, as after a change of the configuration.
    hears(Event::Shipped { source: name("strange"), snapshot, added_bytes: 10, stored_bytes: 50 });
    let facts = board.facts();
    let of = &facts.sources[&source];
    assert_eq!((of.read_bytes, of.unchanged_bytes, of.added_bytes, of.reused_bytes), (30, 70, 10, 40));
    assert_eq!((facts.heard, *told.lock().unwrap(), facts.sources.len()), (3, 3, 2));
}

#[test]
fn a_run_is_asked_for_once_and_not_while_it_goes_on() {
    let (_, board) = board();
    assert_eq!(board.ask("ellis"), Ok(name("ellis")));
    assert_eq!(board.ask("ellis"), Err(NotRun::Asked(name("ellis"))));
    assert!(board.takes(&name("ellis")) && !board.takes(&name("ellis")) && !board.is_asked());
    board.begins(Stage::Snapshot, Some(&name("ellis")));
    let refused = board.ask("ellis").unwrap_err().to_string();
    assert_eq!(refused, "a run of `ellis` goes on: snapshot of ellis, since 2026-11-28T12:00:00Z");
    assert_eq!(board.ask("billing"), Ok(name("billing")));
    let unknown = board.ask("nobody").unwrap_err().to_string();
    assert_eq!(unknown, "there is no source `nobody`; the configuration has: billing, ellis");
    board.stands(Standing::Waiting("the disk is away".into()));
    assert_eq!(board.ask("ellis"), Err(NotRun::NotReady("the disk is away".into())));
}
