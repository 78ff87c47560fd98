//! The commands of `docs/FORMAT.md` restore a snapshot with bash, coreutils, zstd, tar and jq alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use windlass::format::snapshot_id::SnapshotId;

use crate::support::forge::rewritten;
use crate::support::listing::{Listing, assert_same};
use crate::support::node::Node;
use crate::support::odd;

const DOCUMENT: &str = include_str!("../../docs/FORMAT.md");

/// What the document says is needed; of coreutils, what the commands use.
const PROGRAMS: [&str; 20] = [
    "age",
    "bash",
    "zstd",
    "tar",
    "jq",
    "cat",
    "chmod",
    "chown",
    "cut",
    "id",
    "ln",
    "mkdir",
    "mkfifo",
    "mktemp",
    "rm",
    "sha256sum",
    "sort",
    "tail",
    "touch",
    "truncate",
];

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

/// The shell block of a document after a mark.
fn commands(document: &'static str, mark: &str) -> &'static str {
    let begin = format!("<!-- {mark} -->\n```bash\n");
    let (_, after) = document.split_once(&begin).expect("the document has a marked block");
    after.split_once("\n```\n").expect("the block ends").0
}

/// Runs the block of a document with nothing but the programs that are allowed.
fn run(node: &Node, document: &'static str, mark: &str, arguments: &[&str]) -> Output {
    let bin = programs(node);
    let script = node.path("commands.sh");
    fs::write(&script, commands(document, mark)).unwrap();
    let mut bash = Command::new(bin.join("bash"));
    bash.arg(script).args(arguments);
    bash.env_clear();
    if let Some(identity) = &node.identity {
        fs::write(node.path("identity.txt"), identity).unwrap();
        bash.env("IDENTITY", node.path("identity.txt"));
    }
    bash.env("PATH", bin).env("TMPDIR", node.temp.path()).current_dir(node.temp.path());
    bash.output().unwrap()
}

/// A folder with nothing but the programs that are allowed.
fn programs(node: &Node) -> PathBuf {
    let bin = node.path("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for program in PROGRAMS {
            let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists());
            symlink(found.unwrap_or_else(|| panic!("{program} is not installed")), bin.join(program)).unwrap();
        }
    }
    bin
}

fn restore(node: &Node, root: &Path, id: SnapshotId, target: &str) -> Output {
    run(node, DOCUMENT, "restore-by-hand", &[root.to_str().unwrap(), "node-1", "tree", &id.to_string(), target])
}

fn restored(node: &Node, root: &str, id: SnapshotId, target: &str) -> Listing {
    let output = restore(node, Path::new(root), id, target);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Listing::of(&node.path(target))
}

/// The script does not set extended attributes, and says so.
fn expected(node: &Node) -> Listing {
    Listing::of(&node.path("tree")).without(&["xattrs"])
}

#[test]
fn the_commands_of_the_document_restore_everything() {
    let node = Node::with_folder();
    odd::fill(&node.path("tree"));
    node.init();
    let first = node.backup();
    let before = expected(&node);
    fs::remove_file(node.path("tree/empty")).unwrap();
    node.write("empty", b"not any more");
    node.write("large", odd::text(2 << 20));
    let second = node.backup();
    let after = expected(&node);
    assert_same(&before, &restored(&node, "bucket", first, "first"));
    // Paths from the root of the file system serve as well, and a folder whose set-id bit would be inherited.
    fs::create_dir(node.path("inherits")).unwrap();
    fs::set_permissions(node.path("inherits"), fs::Permissions::from_mode(0o2755)).unwrap();
    let target = node.path("inherits/second");
    let root = node.path("bucket");
    assert_same(&after, &restored(&node, root.to_str().unwrap(), second, target.to_str().unwrap()));
}

#[test]
fn an_encrypted_snapshot_is_restored_with_the_program_age() {
    let mut node = Node::encrypted();
    odd::fill(&node.path("tree"));
    node.write("large", odd::text(2 << 20));
    node.init();
    let id = node.backup();
    assert_same(&expected(&node), &restored(&node, "bucket", id, "target"));
    // Without the identity nothing comes out, and the message says what to set.
    node.identity = None;
    let output = restore(&node, Path::new("bucket"), id, "none");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("set IDENTITY"));
}

#[test]
fn the_highest_complete_manifest_is_restored() {
    let node = Node::with_folder();
    node.write("a", b"whole");
    node.init();
    let id = node.backup();
    let manifests = node.path("bucket/node-1/manifests/tree");
    let head = fs::read(manifests.join(format!("{id}.1.json"))).unwrap();
    let body = fs::read(manifests.join(format!("{id}.1.body.jsonl"))).unwrap();
    // 1 has lost its body, 2 is complete, 3 has another body than its head says, 4 has none, of 10 there is only half a head, of 11 no head, and 12 was flipped.
    fs::write(manifests.join(format!("{id}.2.json")), rewritten(&head, "n", 2)).unwrap();
    fs::write(manifests.join(format!("{id}.2.body.jsonl")), &body).unwrap();
    fs::write(manifests.join(format!("{id}.3.json")), rewritten(&head, "n", 3)).unwrap();
    fs::write(manifests.join(format!("{id}.3.body.jsonl")), &body[1..]).unwrap();
    fs::write(manifests.join(format!("{id}.4.json")), rewritten(&head, "n", 4)).unwrap();
    fs::write(manifests.join(format!("{id}.10.json")), &head[..head.len() / 2]).unwrap();
    fs::write(manifests.join(format!("{id}.10.body.jsonl")), &body).unwrap();
    fs::write(manifests.join(format!("{id}.11.body.jsonl")), b"{}").unwrap();
    let flipped = String::from_utf8(rewritten(&head, "n", 12)).unwrap().replace("\"files\":\"1\"", "\"files\":\"3\"");
    fs::write(manifests.join(format!("{id}.12.json")), flipped).unwrap();
    fs::write(manifests.join(format!("{id}.12.body.jsonl")), &body).unwrap();
    fs::remove_file(manifests.join(format!("{id}.1.body.jsonl"))).unwrap();
    assert_same(&expected(&node), &restored(&node, "bucket", id, "target"));
    fs::remove_file(manifests.join(format!("{id}.2.body.jsonl"))).unwrap();
    let output = restore(&node, Path::new("bucket"), id, "none");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no complete manifest"));
}

#[test]
fn the_commands_refuse_what_is_damaged_and_what_would_be_overwritten() {
    let node = Node::with_folder();
    odd::fill(&node.path("tree"));
    node.init();
    let id = node.backup();
    fs::create_dir(node.path("there")).unwrap();
    let output = restore(&node, Path::new("bucket"), id, "there");
    assert!(!output.status.success());
    assert_eq!(fs::read_dir(node.path("there")).unwrap().count(), 0);
    for folder in ["packs", "files"] {
        for object in node.objects(&format!("node-1/{folder}/")).iter().filter(|object| !object.ends_with(".packs.jsonl")) {
            let path = node.path("bucket").join(object);
            let sound = fs::read(&path).unwrap();
            let mut damaged = sound.clone();
            *damaged.last_mut().unwrap() ^= 1;
            fs::write(&path, damaged).unwrap();
            let output = restore(&node, Path::new("bucket"), id, "damaged");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // The lists of facts are not needed for the files.
            let facts = folder == "files" && output.status.success();
            assert!(facts || said.contains(&format!("damaged: {}", object.strip_prefix("node-1/").unwrap())), "{object}: {said}");
            assert!(facts || !node.path("damaged").exists(), "{object}");
            windlass::sys::tree::remove_tree(&node.path("damaged")).unwrap();
            fs::write(&path, sound).unwrap();
        }
    }
    assert_same(&expected(&node), &restored(&node, "bucket", id, "target"));
}

#[test]
fn a_damaged_marker_is_written_again_by_the_commands_of_the_document() {
    let mut node = Node::with_folder();
    node.write("a", b"1");
    node.init();
    let first = node.backup();
    node.write("a", b"22");
    let second = node.backup();
    let marker = node.path("bucket/windlass.json");
    let before: serde_json::Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
    fs::write(&marker, b"{\"format\":1").unwrap();
    assert!(node.try_backup().is_err());
    // A damaged head says nothing.
    let head = node.path(format!("bucket/node-1/manifests/tree/{second}.1.json"));
    let sound = fs::read(&head).unwrap();
    fs::write(&head, rewritten(&sound, "n", 1).iter().map(|byte| byte.to_ascii_uppercase()).collect::<Vec<_>>()).unwrap();

    let output = run(&node, OPERATIONS, "marker-by-hand", &["bucket"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("it is damaged"), "{said}");
    fs::write(&head, sound).unwrap();
    fs::write(&marker, &output.stdout).unwrap();
    let after: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&after["repository"], &after["encryption"]), (&before["repository"], &before["encryption"]));
    assert_eq!(after["created"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), first.to_timestamp());

    node.repository = node.open(&format!("file://{}", node.path("bucket").display()));
    let options = windlass::ops::verify::Options { level: windlass::format::check::Level::Full, snapshots: Vec::new(), node: None };
    let verified = windlass::ops::verify::run(&node.context(), &options).unwrap();
    assert!(verified.damage.is_empty() && verified.unexpected.is_empty(), "{verified:?}");
    node.write("a", b"333");
    node.backup();

    // Heads of another repository among them are no reason to guess.
    let other = Node::with_folder();
    other.init();
    other.backup();
    windlass::sys::tree::remove_tree(&node.path("bucket/node-2")).unwrap();
    fs::rename(other.path("bucket/node-1"), node.path("bucket/node-2")).unwrap();
    let output = run(&node, OPERATIONS, "marker-by-hand", &["bucket"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("heads of two repositories"));
}
