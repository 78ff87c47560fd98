use super::*;
use crate::format::head::ProblemCount;
use crate::ops::Error;
use serde_json::json;
use std::collections::BTreeMap;

fn row() -> Row {
    let id: crate::format::snapshot_id::SnapshotId = "20261123T000000123Z".parse().unwrap();
    Row {
        id,
        node: "n".parse().unwrap(),
        source: "ellis".parse().unwrap(),
        kind: "sqlite".into(),
        time: id.to_timestamp(),
        place: Place::Both,
        files: 1,
        bytes: 4096,
        stored_bytes: Some(900),
        added_bytes: Some(100),
        problems: vec![ProblemCount { kind: "changed".into(), count: 2 }],
        future: false,
        manifest: None,
    }
}

fn view() -> View {
    View { rows: Rows::from(BTreeMap::from([((row().source, row().id), row())])), ..View::default() }
}

#[test]
fn the_json_of_a_snapshot_has_the_documented_keys() {
    let view = view();
    let node = "n".parse().unwrap();
    let json = serde_json::to_value(document(&node, row().time, &view)).unwrap();
    let snapshot = json!({
        "id": "20261123T000000123Z", "node": "n", "source": "ellis", "kind": "sqlite", "time": "2026-11-23T00:00:00.123Z", "where": "both",
        "files": 1, "bytes": 4096, "stored_bytes": 900, "added_bytes": 100, "problems": [{ "kind": "changed", "count": 2 }],
    });
    assert_eq!(json["snapshots"], json!([snapshot]));
    assert_eq!(json["unreachable"], json!(null));
    let none = View::default();
    assert_eq!(serde_json::to_value(document(&node, row().time, &none)).unwrap()["snapshots"], json!([]));
}

#[test]
fn a_repository_that_cannot_be_read_makes_the_list_partial_and_damage_goes_before() {
    let mut view = view();
    assert_eq!(exit(&view).unwrap(), Exit::Done);
    view.unreachable = Some(Error::Absent("there is none".into()));
    assert_eq!(exit(&view).unwrap(), Exit::Partly);
    let finding = |unknown| Finding { object: "x".into(), snapshot: None, problem: "y".into(), unknown, unread: false };
    view.findings.push(finding(true));
    assert_eq!(exit(&view).unwrap(), Exit::Partly);
    view.findings.push(finding(false));
    assert_eq!(exit(&view).unwrap(), Exit::Damage);
}

#[test]
fn what_is_wrong_with_a_snapshot_is_told_in_words() {
    assert_eq!(wrong(&row()), "2 changed");
    assert_eq!(wrong(&Row { future: true, problems: Vec::new(), ..row() }), "its time is ahead of the clock");
}

#[test]
fn an_undo_is_told_from_a_redo() {
    let undo = |redo| {
        let undo =
            Undo { source: "ellis".parse().unwrap(), snapshot: Some(row().id), time: row().time, aside: "/x".into(), redo, gone: false };
        undo_line(&undo, &jiff::tz::TimeZone::UTC)
    };
    assert!(undo(false).contains("20261123T000000123Z was restored; `windlass restore ellis --undo` puts back"), "{}", undo(false));
    assert!(undo(true).contains("was undone; `windlass restore ellis --undo` brings it back"), "{}", undo(true));
}
