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

/// The shell block after the mark.
fn commands() -> &'static str {
    let (_, after) = DOCUMENT.split_once("<!-- restore-by-hand -->\n```bash\n").expect("the document has a marked block");
    after.split_once("\n```\n").expect("the block ends").0
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
    let bin = programs(node);
    let script = node.path("restore.sh");
    fs::write(&script, commands()).unwrap();
    let mut bash = Command::new(bin.join("bash"));
    bash.arg(script).arg(root).args(["node-1", "tree", &id.to_string(), target]);
    bash.env_clear();
    if let Some(identity) = &node.identity {
        fs::write(node.path("identity.txt"), identity).unwrap();
        bash.env("IDENTITY", node.path("identity.txt"));
    }
    bash.env("PATH", bin).env("TMPDIR", node.temp.path()).current_dir(node.temp.path());
    bash.output().unwrap()
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
