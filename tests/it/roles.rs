//! The policies under `deploy/policies/`, each held by the real program on a MinIO server: its role can do what it must, and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use reqwest::Method;
use windlass::repository::{Repository, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use crate::support::bucket::Bucket;
use crate::support::program::{Machine, Run};
use crate::support::servers::{Make, REGION, Server};
use crate::support::session::Session;
use crate::support::tools;
use crate::support::tree::noise;

/// The prefix of the repositories here.
const PREFIX: &str = "some/prefix";

/// What every prune here keeps.
const NEWEST: &str = "[retention]\nlast = 1\n";

/// A machine whose credential is that of a role, and the bucket that its repository lies in.
struct Role {
    machine: Machine,
    bucket: Bucket,
    session: Session,
}

/// A policy of the document, for this bucket, prefix and node.
fn policy(role: &str, bucket: &Bucket) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/policies/{role}.json"))).unwrap();
    let text = text.replace(":::backups", &format!(":::{}", bucket.name)).replace("clearwater", PREFIX).replace("ellis-1", "node-1");
    assert!(text.contains(&bucket.name) && text.contains(PREFIX), "{text}");
    text
}

impl Role {
    /// A machine of an administrator, who has made the repository and two backups in it.
    fn of(role: &str, bucket: Bucket) -> Self {
        let policy = policy(role, &bucket);
        Self::with_policy(&policy, bucket)
    }

    fn with_policy(policy: &str, bucket: Bucket) -> Self {
        let machine = bucket.machine(NEWEST);
        for seed in [1, 2] {
            machine.write("file", noise(seed, 50_000));
            machine.run(&["backup", "tree"]).expect(0);
        }
        let session = Session::restricted(bucket.server, policy);
        let role = Self { machine, bucket, session };
        role.points_at(PREFIX);
        role
    }

    /// Changes the prefix of the machine's repository.
    fn points_at(&self, prefix: &str) {
        self.machine.configure(&self.bucket.configuration(prefix, &self.session.configuration()), NEWEST);
    }

    fn run(&self, arguments: &[&str], code: i32) -> Run {
        let run = self.machine.run(arguments);
        run.expect(code);
        run
    }

    /// What the program says of all nodes on a machine that has the address and this credential, and nothing else.
    fn told_of_all_nodes(&self) -> Run {
        let url = format!("s3://{}/{PREFIX}", self.bucket.name);
        let mut bare = Command::new(env!("CARGO_BIN_EXE_windlass"));
        bare.args(["--repository", &url, "--endpoint", &self.bucket.server.endpoint, "status", "--cluster"]);
        bare.env("AWS_ACCESS_KEY_ID", &self.session.id).env("AWS_SECRET_ACCESS_KEY", &self.session.secret);
        bare.env("AWS_SESSION_TOKEN", &self.session.token).env("AWS_REGION", REGION);
        Run::of(bare.output().unwrap())
    }

    /// The store with the role's credential.
    fn store(&self) -> Repository {
        let settings = Settings {
            url: format!("s3://{}/{PREFIX}", self.bucket.name),
            access_key_id: Some(Secret::new(&self.session.id)),
            secret_access_key: Some(Secret::new(&self.session.secret)),
            session_token: Some(Secret::new(&self.session.token)),
            ..self.bucket.server.settings(&self.bucket.name)
        };
        Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap()
    }

    /// Nothing may be made or removed under these keys, which are free or not.
    fn may_not_write(&self, keys: &[&str]) {
        for key in keys {
            let error = self.store().create(key, Bytes::from_static(b"x")).unwrap_err();
            assert!(error.is_denied(), "{key}: {error}");
            let error = self.store().delete(key).unwrap_err();
            assert!(error.is_denied(), "{key}: {error}");
        }
    }

    /// Nothing outside the prefix can be used.
    fn is_kept_to_the_prefix(&self) {
        self.points_at("some/other");
        for command in ["init", "list"] {
            let run = self.machine.run(&[command]);
            assert!(run.code != Some(0) && run.said().contains("AccessDenied"), "{command}: {run:#?}");
        }
        self.points_at(PREFIX);
    }

    /// Both snapshots come back in whole, to a machine that has no copy of them.
    fn nothing_is_lost(&self) {
        fs::remove_dir_all(self.machine.path("local/tree")).unwrap();
        for (place, (id, _)) in self.machine.listed().iter().enumerate() {
            let folder = self.machine.path(format!("fetched-{place}"));
            self.run(&["fetch", &format!("tree/{id}"), "--to", folder.to_str().unwrap()], 0);
            assert_eq!(fs::read(folder.join("file")).unwrap(), noise(place as u64 + 1, 50_000));
        }
    }
}

fn minio() -> &'static Server {
    Server::running(Make::Minio, false)
}

/// Some key of each kind of a node's part, none of which is there.
const KEYS: [&str; 7] = [
    "node-1/packs/x",
    "node-1/files/x",
    "node-1/manifests/x",
    "node-1/checks/x",
    "node-1/coverage/x",
    "node-1/prune/x",
    "node-1/node.9.json",
];

#[test]
fn the_document_prints_the_policy_that_is_tried_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (document, policy) = (root.join("docs/OPERATIONS.md"), root.join("deploy/policies/ship.json"));
    let block = format!("```json\n{}```\n", fs::read_to_string(policy).unwrap());
    assert!(fs::read_to_string(document).unwrap().contains(&block));
}

#[test]
fn who_ships_backs_up_and_deletes_nothing() {
    let role = Role::of("ship", Bucket::new(minio()));
    let init = role.run(&["init"], 0);
    assert!(init.stdout.contains("deleting             denied") && init.stdout.contains("stay behind"), "{init:#?}");
    role.machine.write("file", noise(2, 50_000));
    role.machine.write("more", noise(5, 50_000));
    role.run(&["backup", "tree"], 0);
    role.run(&["status"], 0);
    role.run(&["verify"], 0);
    role.run(&["verify", "--rolling"], 0);
    let prune = role.run(&["prune", "--yes"], 3);
    assert!(prune.stderr.contains("warning: nothing more was deleted") && prune.stderr.contains("AccessDenied"), "{prune:#?}");
    assert_eq!(role.machine.listed().len(), 3);
    role.run(&["verify"], 0);
    let error = role.store().delete("windlass.json").unwrap_err();
    assert!(error.is_denied(), "{error}");
    // What says that something may go is not for who ships to say.
    role.may_not_write(&["node-1/removed/tree/20260101T000000000Z.json", "node-1/prune/x", "node-1/pins/tree/20260101T000000000Z.1.json"]);
    let id = role.machine.listed().remove(0).0;
    let forget = role.machine.run(&["forget", &format!("tree/{id}"), "--shipped", "--yes"]);
    assert!(forget.code == Some(1) && forget.stderr.contains("AccessDenied"), "{forget:#?}");
    role.run(&["status"], 0);
    assert_eq!(role.machine.listed().len(), 3);
    role.is_kept_to_the_prefix();
}

#[test]
fn a_repository_is_made_by_who_ships() {
    let bucket = Bucket::new(minio());
    let session = Session::restricted(bucket.server, &policy("ship", &bucket));
    let machine = Machine::new();
    machine.configure(&bucket.configuration(PREFIX, &session.configuration()), "");
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "--all"]).expect(0);
}

#[test]
fn a_node_with_a_part_of_its_own_neither_reads_nor_writes_anothers() {
    let bucket = Bucket::new(minio());
    let session = Session::restricted(bucket.server, &policy("ship-one-node", &bucket));
    let machine = Machine::new();
    machine.configure(&bucket.configuration(PREFIX, &session.configuration()), "");
    let init = machine.run(&["init"]);
    assert!(init.code != Some(0) && init.said().contains("AccessDenied"), "it cannot make the repository: {init:#?}");
    let role = Role::of("ship-one-node", bucket);
    // Another node of the same repository.
    let other = Machine::new();
    let administrator = Session::begin(role.bucket.server);
    other.configure(&role.bucket.configuration(PREFIX, &administrator.configuration()), "");
    let text = fs::read_to_string(other.path("windlass.toml")).unwrap().replace("node-1", "node-2");
    fs::write(other.path("windlass.toml"), text).unwrap();
    other.write("file", noise(7, 1000));
    other.run(&["init"]).expect(0);
    other.run(&["backup", "tree"]).expect(0);

    role.run(&["init"], 0);
    role.machine.write("more", noise(5, 50_000));
    role.run(&["backup", "tree"], 0);
    role.run(&["status"], 0);
    role.run(&["verify", "--quick"], 0);
    role.run(&["verify"], 0);
    role.run(&["verify", "--rolling"], 0);
    role.run(&["prune", "--yes"], 3);
    role.run(&["stats"], 0);
    role.run(&["list"], 0);

    for command in ["list", "stats"] {
        let run = role.machine.run(&[command, "--node", "node-2"]);
        assert!(run.code != Some(0) && run.said().contains("AccessDenied"), "{command}: {run:#?}");
    }
    let fetched = role.machine.path("of-the-other");
    let run = role.machine.run(&["fetch", "tree/latest", "--node", "node-2", "--to", fetched.to_str().unwrap()]);
    assert!(run.code != Some(0) && !fetched.exists(), "{run:#?}");
    let told = role.told_of_all_nodes();
    assert!(told.expect(7).stdout.contains("node-1  tree ") && told.stdout.contains("node-2: its part cannot be read"), "{told:#?}");
    let store = role.store();
    assert!(store.get("node-2/node.1.json", 1000).unwrap_err().is_denied());
    for prefix in ["node-2/", ""] {
        assert!(store.list(prefix, &mut |_| std::ops::ControlFlow::Continue(())).unwrap_err().is_denied(), "{prefix:?}");
    }
    role.may_not_write(&["node-2/packs/x", "node-2/manifests/x", "other", "node-10/x"]);
    let (status, _) = role.bucket.held_by(&role.session).ask(Method::PUT, &format!("{PREFIX}/windlass.json"), &[], &[], "x");
    assert_eq!(status, 403, "nor is the marker overwritten");
}

#[test]
fn who_may_not_see_the_nodes_of_a_repository_verifies_a_part_and_is_told() {
    let bucket = Bucket::new(minio());
    let policy = policy("ship-one-node", &bucket);
    let narrower = policy.replace("\"s3:delimiter\": \"/\"", "\"s3:delimiter\": \"-\"");
    assert_ne!(policy, narrower);
    let role = Role::with_policy(&narrower, bucket);
    let verify = role.run(&["verify"], 0);
    assert!(verify.stderr.contains("warning: what lies beside the nodes was not looked at"), "{verify:#?}");
    let told = role.told_of_all_nodes();
    assert!(told.expect(1).stderr.contains("the nodes of ") && told.stderr.contains("AccessDenied"), "{told:#?}");
}

#[test]
fn who_restores_reads_all_and_writes_nothing() {
    let role = Role::of("restore", Bucket::new(minio()));
    role.nothing_is_lost();
    role.run(&["show", "tree/latest", "--files"], 0);
    assert_eq!(role.machine.command(&["cat", "tree/latest", "file"]).output().unwrap().stdout, noise(2, 50_000));
    let ids = role.machine.listed();
    role.run(&["diff", &format!("tree/{}", ids[0].0), &format!("tree/{}", ids[1].0)], 0);
    role.run(&["stats"], 0);
    role.run(&["status"], 0);
    role.run(&["status", "--cluster"], 0);
    let told = role.told_of_all_nodes();
    assert!(told.expect(0).stdout.contains("node-1  tree "), "{told:#?}");
    role.run(&["verify"], 0);
    role.machine.write("file", b"changed by mistake");
    role.run(&["restore", "tree", "--from", "repository", "--yes"], 0);
    assert_eq!(fs::read(role.machine.path("tree/file")).unwrap(), noise(2, 50_000));
    role.machine.write("file", noise(9, 50_000));
    let backup = role.machine.run(&["backup", "tree"]);
    assert!(backup.code == Some(3) && backup.said().contains("AccessDenied"), "{backup:#?}");
    role.may_not_write(&KEYS);
    role.is_kept_to_the_prefix();
}

#[test]
fn who_verifies_records_what_is_damaged_and_who_only_reads_says_that_it_cannot() {
    for (name, records) in [("verify", true), ("restore", false)] {
        let role = Role::of(name, Bucket::new(minio()));
        role.run(&["verify"], 0);
        role.run(&["verify", "--rolling"], if records { 0 } else { 1 });
        let mut packs = Vec::new();
        let whole = role.store();
        whole
            .list("node-1/packs/", &mut |object| {
                packs.push(object.key);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        role.bucket.done(Method::PUT, &format!("{PREFIX}/{}", packs[0]), &[], &[], "other bytes");
        let verify = role.run(&["verify"], 4);
        assert!(verify.stdout.contains(&packs[0]), "{verify:#?}");
        assert_eq!(verify.stderr.contains("could not be recorded"), !records, "{verify:#?}");
        let status = role.machine.run(&["status"]);
        let told = role.told_of_all_nodes();
        let expected = Some(if records { 7 } else { 0 });
        assert_eq!((status.code, told.code), (expected, expected), "the verdict is known to others: {status:#?} {told:#?}");
        role.may_not_write(&KEYS.map(|key| if key.contains("/c") { "node-1/packs/y" } else { key }));
        let error = role.store().delete("node-1/checks/x").unwrap_err();
        assert!(error.is_denied(), "{error}");
    }
}

#[test]
fn who_prunes_removes_what_may_go_and_can_neither_forge_nor_take_the_marker() {
    for bucket in [Bucket::new(minio()), Bucket::versioned(minio())] {
        let role = Role::of("prune", bucket);
        role.run(&["pin", "tree/latest", "--why", "the last before the move"], 0);
        let prune = role.run(&["prune", "--yes"], 0);
        assert!(prune.stdout.contains("removed    1 snapshot") && !prune.stderr.contains("AccessDenied"), "{prune:#?}");
        role.run(&["prune", "--dry-run"], 0);
        role.run(&["unpin", "tree/latest"], 0);
        assert_eq!(role.machine.json(&["prune", "--yes"], 0)["untold"], serde_json::json!([]));
        let store = role.store();
        for key in ["node-1/packs/x", "node-1/files/x", "node-1/manifests/x", "node-1/node.9.json"] {
            assert!(store.create(key, Bytes::from_static(b"x")).unwrap_err().is_denied(), "{key}");
        }
        for key in ["windlass.json", "node-1/node.1.json", "node-1/removed/x", "node-1/pins/x"] {
            assert!(store.delete(key).unwrap_err().is_denied(), "{key}");
        }
        role.run(&["forget", "tree/latest", "--shipped", "--even-the-last", "--yes"], 0);
        assert!(role.machine.json(&["list"], 0)["snapshots"].as_array().unwrap().iter().all(|row| row["where"] == "local"));
        role.is_kept_to_the_prefix();
    }
}

#[test]
fn a_prune_that_may_not_ask_the_bucket_notes_it_and_does_its_work() {
    let bucket = Bucket::versioned(minio());
    let policy = policy("prune", &bucket);
    // Who may list may list versions too, as MinIO has it.
    let policy = policy.replace("[\"s3:GetBucketVersioning\", \"s3:GetBucketObjectLockConfiguration\"]", "\"s3:GetBucketLocation\"");
    assert!(policy.contains("s3:GetBucketLocation"), "{policy}");
    let role = Role::with_policy(&policy, bucket);
    let dry = role.run(&["prune", "--dry-run"], 0);
    assert!(dry.stderr.contains("note: cannot ask for the versioning of"), "{dry:#?}");
    let prune = role.run(&["prune", "--yes"], 0);
    assert!(prune.stderr.contains("note: cannot ask for the object lock of") && prune.stderr.contains("AccessDenied"), "{prune:#?}");
    assert!(prune.stdout.contains("removed    1 snapshot") && prune.stdout.contains("noncurrent 2 versions"), "{prune:#?}");
}

#[test]
fn a_key_is_proved_by_who_restores() {
    let bucket = Bucket::new(minio());
    let machine = Machine::new();
    let key = machine.path("windlass.key");
    let made = machine.run(&["key", "new", "--output", key.to_str().unwrap()]);
    let encrypted = &made.expect(0).stdout;
    let administrator = Session::begin(bucket.server);
    machine.configure(&bucket.configuration("some/prefix/encrypted", &(administrator.configuration() + encrypted)), "");
    machine.write("file", noise(1, 50_000));
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "tree"]).expect(0);
    let session = Session::restricted(bucket.server, &policy("restore", &bucket));
    machine.configure(&bucket.configuration("some/prefix/encrypted", &(session.configuration() + encrypted)), "");
    machine.run(&["--identity-file", key.to_str().unwrap(), "key", "check"]).expect(0);
}
