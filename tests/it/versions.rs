//! Buckets that keep what is deleted, and buckets that lock it, on real stores: pruning works and says what is kept.

use reqwest::Method;
use serde_json::{Value, json};
use windlass::repository::{OldVersions, Repository, Settings};
use windlass::sys::environment::FixedEnvironment;

use crate::support::bucket::Bucket;
use crate::support::program::{Machine, text};
use crate::support::servers::{Make, Server};
use crate::support::tools;
use crate::support::tree::noise;

const MAKES: [Make; 3] = [Make::Minio, Make::Versitygw, Make::Radosgw];

/// What every prune here keeps.
const NEWEST: &str = "[retention]\nlast = 1\n";

/// Two snapshots, of which the older one goes.
fn backed_up_twice(machine: &Machine) {
    for seed in [1, 2] {
        machine.write("file", noise(seed, 50_000));
        machine.run(&["backup", "tree"]).expect(0);
    }
}

fn numbers(document: &Value) -> [u64; 2] {
    let noncurrent = &document["noncurrent"];
    assert!(noncurrent["bytes"].as_u64().unwrap() > 0 || noncurrent["versions"] == 0, "{document:#}");
    ["versions", "markers"].map(|name| noncurrent[name].as_u64().unwrap())
}

#[test]
fn prune_says_what_a_versioned_bucket_keeps_of_what_was_deleted() {
    for make in MAKES {
        let machine = Bucket::versioned(Server::running(make, false)).machine(NEWEST);
        backed_up_twice(&machine);
        let dry = machine.json(&["prune", "--dry-run"], 0);
        assert_eq!((dry["keeps_versions"].as_bool(), numbers(&dry)), (Some(true), [0, 0]), "{make:?}: {dry:#}");
        let run = machine.run(&["prune", "--yes"]);
        run.expect(0);
        // Head and body of the snapshot that went: the marker for each says so, the version of each is still there.
        assert!(run.stdout.contains("noncurrent 2 versions, ") && run.stdout.contains(", and 2 delete markers"), "{make:?}: {run:#?}");
        assert!(run.stderr.contains("keeps old versions"), "{make:?}: {run:#?}");
        let again = machine.json(&["prune", "--yes"], 0);
        assert_eq!((numbers(&again), &again["object_lock"]), ([2, 2], &Value::Null), "{make:?}");
        machine.run(&["verify", "--quick"]).expect(0);
    }
}

#[test]
fn an_ordinary_bucket_keeps_nothing_and_nothing_is_said_of_it() {
    for make in MAKES {
        let machine = Bucket::new(Server::running(make, false)).machine(NEWEST);
        backed_up_twice(&machine);
        for arguments in [&["prune", "--dry-run"][..], &["prune", "--yes"]] {
            let document = machine.json(arguments, 0);
            let said = ["keeps_versions", "noncurrent", "object_lock", "untold"].map(|name| document[name].clone());
            assert_eq!(said, [json!(false), Value::Null, Value::Null, json!([])], "{make:?} {arguments:?}");
        }
    }
}

#[test]
fn a_bucket_that_locks_takes_backups_and_its_lock_is_told_by_prune() {
    for make in MAKES {
        let bucket = Bucket::locked(Server::running(make, false), 2);
        let machine = bucket.machine(NEWEST);
        backed_up_twice(&machine);
        let run = machine.run(&["prune", "--yes"]);
        run.expect(0);
        assert!(run.stdout.contains("the bucket locks what is stored for 2 days (GOVERNANCE)"), "{make:?}: {run:#?}");
        let document = machine.json(&["prune", "--yes"], 0);
        assert_eq!(document["object_lock"], json!({ "mode": "GOVERNANCE", "days": 2, "years": null }), "{make:?}");
        assert_eq!((numbers(&document), &document["locked"]["objects"]), ([2, 2], &json!(0)), "{make:?}: a plain delete is not refused");
        machine.run(&["verify"]).expect(0);

        // The lock holds: what a version delete answers is known as that, and when it ends is known.
        let settings = Settings { url: format!("s3://{}/some/prefix", bucket.name), ..bucket.server.settings(&bucket.name) };
        let store = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap();
        let until = store.object_lock("windlass.json").unwrap().until;
        let hours = until.map(|until| until.duration_since(tools().clock.now()).as_hours());
        // versitygw keeps the rule with the bucket and tells nothing of the object.
        assert!(matches!((make, hours), (Make::Minio | Make::Radosgw, Some(46..=48)) | (Make::Versitygw, None)), "{make:?}: {until:?}");
        let versions = bucket.done(Method::GET, "", &[("versions", ""), ("prefix", "some/prefix/windlass.json")], &[], "");
        let version = versions.split_once("<VersionId>").unwrap().1.split_once('<').unwrap().0;
        let (status, said) = bucket.ask(Method::DELETE, "some/prefix/windlass.json", &[("versionId", version)], &[], "");
        assert!(
            matches!(status, 400 | 403) && (said.contains("object lock") || said.contains("WORM protected")),
            "{make:?}: {status} {said}"
        );
    }
}

#[test]
fn old_versions_of_other_parts_are_not_counted() {
    let bucket = Bucket::versioned(Server::running(Make::Minio, false));
    let settings = bucket.server.settings(&bucket.name);
    let store = Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap();
    for key in ["node-1/a", "node-10/a", "node-1/b/c"] {
        store.create(key, noise(3, 1000).into()).unwrap();
        store.delete(key).unwrap();
    }
    store.create("node-1/a", noise(4, 500).into()).unwrap();
    assert_eq!(store.old_versions("node-1/").unwrap(), Some(OldVersions { versions: 2, bytes: 2000, markers: 2 }));
}

#[test]
fn a_folder_has_no_versions() {
    let machine = Machine::initialised().configured(NEWEST);
    backed_up_twice(&machine);
    let document = machine.json(&["prune", "--dry-run"], 0);
    assert_eq!((&document["noncurrent"], text(&document["plan"]["node"])), (&Value::Null, "node-1".to_owned()));
}
