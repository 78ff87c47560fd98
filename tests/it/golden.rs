//! Golden repositories: what any version has written, every later one reads.
//!
//! Each case under `tests/golden/` holds a repository and, in `expected.txt`, what listing, a full verification and fetching must give.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use windlass::format::check::Level;
use windlass::format::key::{Key, NodeKey};
use windlass::format::names::NodeName;
use windlass::ops;
use windlass::ops::error::chain;
use windlass::ops::snapshots::View;

use crate::support::listing::Listing;
use crate::support::node::Node;

/// Every case, so that none can get lost.
const CASES: [(&str, &[&str]); 2] = [
    ("v1", &["encrypted", "everything", "numbers", "pruned", "records", "two-sources"]),
    (
        "damaged",
        &[
            "bodies-swapped",
            "body-missing",
            "body-truncated",
            "head-missing",
            "head-truncated",
            "later-head",
            "later-version",
            "list-flipped",
            "list-missing",
            "marker-missing",
            "marker-truncated",
            "node-file-missing",
            "pack-flipped",
            "pack-list-missing",
            "pack-missing",
            "pack-truncated",
            "strangers",
        ],
    ),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn no_golden_repository_is_forgotten() {
    assert_eq!(names(&golden()), [".gitattributes", "README.md", "damaged", "make", "v1"]);
    for (group, cases) in CASES {
        assert_eq!(names(&golden().join(group)), cases, "{group}");
        for case in cases {
            let folder = golden().join(group).join(case);
            let mut expected = vec!["README.md", "expected.txt", "repository"];
            if *case == "encrypted" {
                expected.insert(2, "identity.txt");
            }
            assert_eq!(names(&folder), expected, "{group}/{case}");
            let about = fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(about.contains("Made by"), "{group}/{case} says what it holds and how it was made");
        }
    }
}

#[test]
fn whole_golden_repositories_are_read_by_this_version() {
    are_read(0);
}

#[test]
fn of_damaged_golden_repositories_what_is_whole_is_read_and_what_is_not_is_named() {
    are_read(1);
}

fn are_read(group: usize) {
    let (group, cases) = CASES[group];
    let different: Vec<String> = cases.iter().filter_map(|case| differs(group, case)).collect();
    assert!(different.is_empty(), "repositories that are read differently now: compare with expected.txt of the case {different:#?}");
}

/// Compares what this version makes of a repository with what it must; gives the file where it is kept when it differs.
fn differs(group: &str, case: &str) -> Option<String> {
    let folder = golden().join(group).join(case);
    let identity = fs::read_to_string(folder.join("identity.txt")).ok();
    let node = Node { name: "reader".into(), identity, ..Node::with_folder() };
    // Verifying writes down what it finds, so a copy is read.
    copy(&folder.join("repository"), &node.path("bucket"));
    let found = describe(&node);
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    if comparable(&found) == comparable(&expected) {
        return None;
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-{group}-{case}.txt"));
    fs::write(&kept, &found).unwrap();
    Some(kept.display().to_string())
}

/// Only root can give files to others, and set-id bits are given only with the owner.
fn comparable(text: &str) -> String {
    if rustix::process::geteuid().is_root() {
        return text.to_owned();
    }
    let word = |word: &str| match (word.strip_prefix("owner="), word.strip_prefix("mode=")) {
        (Some(_), _) => "owner=".to_owned(),
        (_, Some(mode)) => format!("mode={}", &mode[1..]),
        _ => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        if from.join(&name).is_dir() {
            copy(&from.join(&name), &to.join(&name));
        } else {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

/// What listing, verifying and fetching give, node by node, in words that stay the same from version to version.
fn describe(node: &Node) -> String {
    let keys = node.objects("");
    let nodes: BTreeSet<NodeName> = keys.iter().filter_map(|key| key.split_once('/')?.0.parse().ok()).collect();
    let mut text = String::new();
    for owner in &nodes {
        writeln!(text, "# list {owner}").unwrap();
        list(node, owner, &mut text);
        // Ids are taken from the keys, so that also what no longer exists is asked for.
        let snapshots = keys.iter().filter_map(|key| match Key::parse(key) {
            Some(Key::Of(of, NodeKey::Head(source, id, _) | NodeKey::Body(source, id, _))) if of == *owner => Some((source, id)),
            _ => None,
        });
        for (source, id) in snapshots.collect::<BTreeSet<_>>() {
            writeln!(text, "\n# fetch {owner} {source}/{id}").unwrap();
            let to = node.path("fetched");
            let options = ops::fetch::Options { to: to.clone(), node: Some(owner.clone()), ..Default::default() };
            match ops::fetch::run(&node.context(), &format!("{source}/{id}").parse().unwrap(), &options) {
                Ok(fetched) => {
                    write!(text, "{}", Listing::of(&to)).unwrap();
                    fetched.lost.iter().for_each(|file| writeln!(text, "lost {} damaged {}", file.path, file.object).unwrap());
                }
                Err(error) => writeln!(text, "{}", refusal(&error)).unwrap(),
            }
            windlass::sys::tree::remove_tree(&to).unwrap();
        }
        writeln!(text, "\n# verify {owner}").unwrap();
        verify(node, owner, &mut text);
        text.push('\n');
    }
    text
}

fn list(node: &Node, owner: &NodeName, text: &mut String) {
    match View::read(&node.context(), Some(owner), None) {
        Ok(view) => {
            for row in &view.rows {
                let row = row.unwrap();
                let problems: Vec<String> = row.problems.iter().map(|problem| format!("{}:{}", problem.kind, problem.count)).collect();
                let stored = [row.stored_bytes, row.added_bytes].map(Option::unwrap_or_default);
                writeln!(
                    text,
                    "{}/{} kind={} files={} bytes={} stored={} added={} problems={}",
                    row.source,
                    row.id,
                    row.kind,
                    row.files,
                    row.bytes,
                    stored[0],
                    stored[1],
                    problems.join(",")
                )
                .unwrap();
            }
            view.findings.iter().for_each(|finding| writeln!(text, "finding {}", finding.object).unwrap());
        }
        Err(error) => writeln!(text, "{}", refusal(&error)).unwrap(),
    }
}

fn verify(node: &Node, owner: &NodeName, text: &mut String) {
    let options = ops::verify::Options { level: Level::Full, snapshots: Vec::new(), node: Some(owner.clone()) };
    match ops::verify::run(&node.context(), &options) {
        Ok(found) => {
            writeln!(text, "snapshots={} unreferenced={}", found.snapshots, found.unreferenced).unwrap();
            for damage in found.damage {
                writeln!(text, "damaged {} {}", damage.object, damage.snapshot.unwrap_or_default()).unwrap();
            }
            for object in found.unexpected {
                writeln!(text, "unexpected {}", object.split(':').next().unwrap()).unwrap();
            }
        }
        Err(error) => writeln!(text, "{}", refusal(&error)).unwrap(),
    }
}

/// An error by its kind and the object that it names; its wording may change.
fn refusal(error: &ops::Error) -> String {
    let said = chain(error);
    let kind = match error {
        ops::Error::Absent(_) => "absent",
        error if error.is_damage() => "damaged",
        _ => "refused",
    };
    let object = said.split(|c: char| c.is_whitespace() || c == '`' || c == ':').find(|word| Key::parse(word).is_some());
    format!("{kind} {}", object.unwrap_or_default()).trim_end().to_owned()
}
