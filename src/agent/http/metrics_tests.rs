use std::sync::Arc;

use super::*;
use crate::agent::board::{Board, Stage};
use crate::ops::event::Event;
use crate::ops::rolling::Covered;
use crate::sys::clock::FixedClock;
use crate::sys::meter::Meter;

fn scrape(board: &Board) -> Scrape {
    Scrape {
        facts: board.facts(),
        still: Duration::from_millis(1500),
        reading: Meter::default().read(),
        monotonic: Duration::from_secs(60),
        objectives: BTreeMap::new(),
        outcome: None,
        is_ready: true,
    }
}

fn board() -> Board {
    Board::new(Arc::new(FixedClock::at("2026-11-28T12:00:00Z".parse().unwrap())), ["ellis".parse().unwrap()])
}

#[test]
fn what_nobody_has_said_is_left_out_and_shown_once_it_is_said() {
    let board = Arc::new(board());
    let before = text(scrape(&board), Format::OpenMetrics);
    let unknown = [
        "verified_ratio",
        "oldest",
        "verification_",
        "damaged",
        "snapshot_",
        "late",
        "healthy",
        "local_",
        "next_run",
        "steps",
        "busy",
        "prune_success",
    ];
    assert!(unknown.iter().all(|name| !before.contains(&format!("windlass_{name}"))), "{before}");
    let oldest = "2026-11-01T00:00:00Z".parse().unwrap();
    let covered = Covered { parts: 256, covered: 192, behind: 0, every_seconds: 86_400, oldest, whole_since: None };
    let hear = board.hears(Arc::new(|_| ()));
    hear(Event::ReadAgain { parts: 9, bytes: 100, covered });
    hear(Event::Compared { objects: 5, damaged: 2 });
    board.begins(Stage::Shipment, None);
    let after = text(scrape(&board), Format::OpenMetrics);
    for line in [
        "windlass_verified_ratio 0.75\n",
        "windlass_oldest_unverified_timestamp_seconds 1793491200.0\n",
        "windlass_damaged_objects 2.0\n",
        "windlass_verified_bytes_total 100.0\n",
        "windlass_agent_busy_seconds{stage=\"shipment\"} 60.0\n",
        "windlass_agent_still_seconds 1.5\n",
        "windlass_read_bytes_total{source=\"ellis\"} 0.0\n",
    ] {
        assert!(after.contains(line), "{line}: {after}");
    }
    assert!(after.ends_with("# EOF\n"));
}

#[test]
fn who_accepts_openmetrics_gets_it_and_everybody_else_the_older_text() {
    let of_prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    assert_eq!(Format::wanted([of_prometheus].into_iter()), Format::OpenMetrics);
    for other in [&["*/*"][..], &["text/html", "text/plain"], &[]] {
        assert_eq!(Format::wanted(other.iter().copied()), Format::Prometheus, "{other:?}");
    }
    let old = text(scrape(&board()), Format::Prometheus);
    assert!(!old.contains("# UNIT") && !old.contains("# EOF"), "{old}");
}
