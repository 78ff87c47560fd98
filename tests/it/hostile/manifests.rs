//! Bodies, heads, markers and node files that lie or are of unknown versions.

use std::fs;

use serde_json::{Value, json};
use windlass::format::body::Role;
use windlass::format::digest::Digest;
use windlass::ops;
use windlass::ops::error::chain;

use super::{node, refused, text_of};
use crate::support::forge::{self, Forge, body_key, folder, frame, head_key, hollow, with};
use crate::support::node::Node;

/// A manifest whose body is changed so that the head still fits it.
fn body_is_refused(case: &str, change: &dyn Fn(Vec<String>) -> String, why: &str) {
    let node = node();
    let mut forge = Forge::new(&node);
    forge.lines(&[folder(""), hollow("a", 1)]);
    forge.list(Role::Files, &forge::stream(&[frame(&text_of(&[hollow("b", 1)]))]));
    forge.facts();
    let body = String::from_utf8(forge.body()).unwrap();
    let body = change(body.lines().map(str::to_owned).collect());
    forge.manifest(body.as_bytes(), &forge::document(&forge.head(body.as_bytes())));
    refused(&node, case, &[&body_key(), why]);
}

#[test]
fn truncated_and_reordered_bodies_are_refused() {
    let joined = |lines: Vec<String>| format!("{}\n", lines.join("\n"));
    body_is_refused(
        "sound, but for this test",
        &|mut lines| {
            joined({
                lines.pop();
                lines
            })
        },
        "closing line is missing",
    );
    body_is_refused("cut in a line", &|lines| joined(lines)[..300].to_owned(), "cut short");
    body_is_refused("cut by a byte", &|lines| lines.join("\n"), "cut short");
    body_is_refused("empty", &|_| String::new(), "cut short");
    body_is_refused("without its first line", &|lines| joined(lines[1..].to_vec()), "closing SHA-256");
    body_is_refused(
        "reordered",
        &|mut lines| {
            joined({
                lines.swap(0, 1);
                lines
            })
        },
        "closing SHA-256",
    );
    body_is_refused(
        "a line twice",
        &|mut lines| {
            joined({
                lines.insert(0, lines[0].clone());
                lines
            })
        },
        "closing SHA-256",
    );
    body_is_refused(
        "a line after the end",
        &|mut lines| {
            joined({
                lines.push(lines[0].clone());
                lines
            })
        },
        "cut short",
    );
    let resealed = |mut lines: Vec<String>, change: &dyn Fn(&mut Vec<String>, &mut Value)| {
        let mut end: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
        change(&mut lines, &mut end);
        let before: String = lines.iter().map(|line| format!("{line}\n")).collect();
        end["sha256"] = json!(Digest::of(before.as_bytes()));
        format!("{before}{end}\n")
    };
    body_is_refused("another count", &|lines| resealed(lines, &|_, end| end["lists"] = json!("9")), "says 9");
    let role = |lines: &mut Vec<String>, _: &mut Value| lines[0] = lines[0].replace("\"files\"", "\"keys\"");
    body_is_refused("an unknown role", &|lines| resealed(lines, &role), "not the expected JSON");
    let number = |lines: &mut Vec<String>, _: &mut Value| lines[0] = lines[0].replace("\"stored\":\"", "\"stored\":\"-");
    body_is_refused("a negative size", &|lines| resealed(lines, &number), "not the expected JSON");
}

#[test]
fn lists_in_another_order_are_refused() {
    let node = node();
    let mut forge = Forge::new(&node);
    forge.lines(&[hollow("b", 1)]);
    forge.lines(&[folder(""), hollow("a", 1)]);
    forge.commit();
    refused(&node, "the second list first", &["the first entry is not the root"]);
}

#[test]
fn a_body_that_is_not_the_one_the_head_names_is_refused() {
    let node = node();
    let mut forge = Forge::new(&node);
    forge.lines(&[folder(""), hollow("a", 1)]);
    forge.facts();
    let body = forge.body();
    let head = forge.head(&body);
    let mut other = body.clone();
    other[20] ^= 1;
    forge.manifest(&other, &forge::document(&head));
    refused(&node, "another body", &[&body_key(), "SHA-256"]);
}

#[test]
fn heads_that_lie_are_refused() {
    let cases: [(&str, &str, Value, &str); 9] = [
        ("an unknown version", "format", json!(2), "format version 2"),
        ("no version", "format", json!(null), "not the expected JSON"),
        ("another repository", "repository", json!("00000000-0000-4000-8000-000000000000"), "another snapshot than its key"),
        ("another node", "node", json!("node-2"), "another snapshot than its key"),
        ("a node that climbs", "node", json!("../node-1"), "not the expected JSON"),
        ("another source", "source", json!("other"), "another snapshot than its key"),
        ("another number", "n", json!(7), "another snapshot than its key"),
        ("another id than time", "id", json!("20260101T000000001Z"), "speaks of the instant"),
        ("above 4 KiB", "agent", json!("x".repeat(4096)), "longer than a head can be"),
    ];
    for (case, field, value, why) in cases {
        let node = node();
        let mut forge = Forge::new(&node);
        forge.lines(&[folder(""), hollow("a", 1)]);
        forge.facts();
        let body = forge.body();
        forge.manifest(&body, &forge::document(&with(forge.head(&body), field, value)));
        refused(&node, case, &[&head_key(), why]);
    }
}

#[test]
fn markers_and_node_files_of_unknown_versions_stop_everything() {
    let node = node();
    node.init();
    node.write("a", b"1");
    for (key, change) in [
        ("windlass.json", ("\"format\":1", "\"format\":2")),
        ("windlass.json", ("\"encryption\":\"none\"", "\"encryption\":\"rot13\"")),
        ("windlass.json", ("\"repository\":\"", "\"repository\":\"../")),
        ("node-1/node.1.json", ("\"format\":1", "\"format\":2")),
        ("node-1/node.1.json", ("\"uuid\":\"", "\"uuid\":\"../")),
    ] {
        let path = node.path("bucket").join(key);
        let sound = fs::read_to_string(&path).unwrap();
        fs::write(&path, sound.replace(change.0, change.1)).unwrap();
        let before = objects(&node);
        let error = node.try_backup().expect_err(key);
        assert!(chain(&error).contains(key), "{key}: {}", chain(&error));
        let error = ops::init::run(&node.context(), &ops::init::Options::default()).expect_err(key);
        assert!(chain(&error).contains(key), "{key}: {}", chain(&error));
        if key == "windlass.json" {
            refused(&node, key, &[key]);
        }
        assert_eq!(objects(&node), before, "nothing was changed");
        fs::write(&path, sound).unwrap();
    }
    node.backup();
}

/// Every object of the repository with its bytes.
fn objects(node: &Node) -> Vec<(String, Vec<u8>)> {
    let read = |key: String| (fs::read(node.path("bucket").join(&key)).unwrap(), key);
    node.objects("").into_iter().map(read).map(|(bytes, key)| (key, bytes)).collect()
}
