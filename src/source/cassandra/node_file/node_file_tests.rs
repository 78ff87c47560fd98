use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

/// As the packages have it, in short.
const PACKAGED: &str = "\
# Cassandra storage config YAML
cluster_name: 'Test Cluster'   # shown in tools

# the number of tokens
num_tokens: 16
# initial_token allows you to specify tokens manually.
# initial_token:
hinted_handoff_enabled: true
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider:
    # a comment within
    - class_name: org.apache.cassandra.locator.SimpleSeedProvider
      parameters:
          - seeds: \"127.0.0.1:7000\"
client_encryption_options:
    keystore_password: hunter2
";

const TOKENS: [&str; 3] = ["-9223372036854775808", "5", "7"];

fn needed(folder: &Path, text: &str) -> Result<NodeFile, Error> {
    let path = folder.join("cassandra.yaml");
    fs::write(&path, text).unwrap();
    let tokens = TOKENS.map(str::to_owned);
    let identity = Identity { cluster_name: "Bob's: #1", partitioner: "org.apache.cassandra.dht.Murmur3Partitioner", tokens: &tokens };
    NodeFile::read(&NodeConfig::read(&path).unwrap(), &identity)
}

fn written(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    needed(folder.path(), text).unwrap().write().unwrap();
    fs::read_to_string(folder.path().join("cassandra.yaml")).unwrap()
}

fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = needed(folder.path(), text).unwrap_err().to_string();
    assert!(error.contains("num_tokens: 3`") && error.contains("initial_token: '-9223372036854775808,5,7'`"), "{error}");
    error.split_once("cassandra.yaml").unwrap().1.to_owned()
}

#[test]
fn only_what_is_needed_changes_and_the_old_file_stays_beside() {
    let folder = tempfile::tempdir().unwrap();
    let file = needed(folder.path(), PACKAGED).unwrap();
    let path = folder.path().canonicalize().unwrap().join("cassandra.yaml");
    let wanted = format!(
        "\
--- {0}
+++ {0}
@@ -2,1 +2,1 @@
-cluster_name: 'Test Cluster'   # shown in tools
+cluster_name: 'Bob''s: #1'   # shown in tools
@@ -5,1 +5,1 @@
-num_tokens: 16
+num_tokens: 3
@@ -7,0 +8,1 @@
+initial_token: '-9223372036854775808,5,7'
@@ -16,0 +18,2 @@
+{1}
+auto_bootstrap: false",
        path.display(),
        "# Written by Windlass, which has made this the node that a snapshot is of."
    );
    assert_eq!(file.diff.join("\n"), wanted);
    assert_eq!(fs::read_to_string(&path).unwrap(), PACKAGED, "nothing is written by looking");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let kept = file.write().unwrap().unwrap();
    assert_eq!(kept, path.with_file_name("cassandra.yaml.before-windlass"));
    assert_eq!(fs::read_to_string(&kept).unwrap(), PACKAGED);
    for file in [&kept, &path] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o640);
    }
    let config = NodeConfig::read(&path).unwrap();
    assert_eq!(
        (config.cluster_name.as_str(), config.num_tokens, &config.initial_tokens[..]),
        ("Bob's: #1", Some(3), &TOKENS.map(str::to_owned)[..])
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(needed(folder.path(), &text).unwrap().is_as_needed(), "what is written is what is needed");
}

#[test]
fn an_old_file_that_lies_there_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |name: &str| folder.path().canonicalize().unwrap().join(name);
    fs::write(kept("cassandra.yaml.before-windlass"), "somebody's").unwrap();
    let written = || needed(folder.path(), PACKAGED).unwrap().write().unwrap();
    assert_eq!(written(), Some(kept("cassandra.yaml.before-windlass-2")));
    assert_eq!(written(), Some(kept("cassandra.yaml.before-windlass-2")), "of a run that was broken off it is there already");
    assert_eq!(fs::read_to_string(kept("cassandra.yaml.before-windlass")).unwrap(), "somebody's");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_link_is_followed_and_a_file_that_has_changed_meanwhile_is_let_be() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let real = elsewhere.path().canonicalize().unwrap().join("real.yaml");
    fs::write(&real, PACKAGED).unwrap();
    std::os::unix::fs::symlink(&real, folder.path().join("cassandra.yaml")).unwrap();
    let file = needed(folder.path(), PACKAGED).unwrap();
    fs::write(&real, PACKAGED.replace("16", "8")).unwrap();
    assert!(file.write().unwrap_err().to_string().contains("was changed meanwhile"));
    fs::write(&real, PACKAGED).unwrap();
    assert_eq!(file.write().unwrap(), Some(real.with_file_name("real.yaml.before-windlass")));
    assert!(folder.path().join("cassandra.yaml").is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("num_tokens: 3"));
}

#[test]
fn every_plain_way_to_write_a_value_is_changed_in_its_place() {
    const REST: &str = "partitioner: Murmur3Partitioner\nauto_bootstrap: false\ninitial_token: 7, 5,-9223372036854775808\nnum_tokens: 3\n";
    for (line, wanted) in [
        ("cluster_name: old", "cluster_name: 'Bob''s: #1'"),
        ("cluster_name:", "cluster_name: 'Bob''s: #1'"),
        ("cluster_name:   # none", "cluster_name:   'Bob''s: #1' # none"),
        ("cluster_name : \"o\\\"l#d\" # x", "cluster_name : 'Bob''s: #1' # x"),
        ("cluster_name: 'o''ld'", "cluster_name: 'Bob''s: #1'"),
        ("cluster_name: o#ld name\t# x", "cluster_name: 'Bob''s: #1'\t# x"),
        ("cluster_name: old  ", "cluster_name: 'Bob''s: #1'  "),
    ] {
        assert_eq!(written(&format!("{line}\n{REST}")), format!("{wanted}\n{REST}"), "{line}");
        assert_eq!(written(&format!("{REST}{line}")), format!("{REST}{wanted}"), "{line}, without an end");
        let windows = |text: String| text.replace('\n', "\r\n");
        assert_eq!(written(&windows(format!("{line}\n{REST}"))), windows(format!("{wanted}\n{REST}")), "{line}, of another system");
    }
    // A comment that stands within something is no place for a line of the uppermost level.
    let within = format!("seed_provider:\n# cluster_name: x\n  - class_name: S\n{REST}");
    assert!(written(&within).ends_with("that a snapshot is of.\ncluster_name: 'Bob''s: #1'\n"));
    assert!(written(&format!("#cluster_name: x\n{REST}")).starts_with("#cluster_name: x\ncluster_name: 'Bob''s: #1'\nparti"));
    assert!(written(REST.trim_end()).starts_with(REST), "a last line without an end gets one");
}

#[test]
fn what_cannot_be_changed_by_line_is_refused_with_the_lines_to_write() {
    const REST: &str = "partitioner: Murmur3Partitioner\n";
    for (lines, why) in [
        ("cluster_name: &name old\nx: *name\n", ", line 1: `cluster_name` does not stand there as a plain text"),
        ("x: &name old\ncluster_name: *name\n", ", line 2: `cluster_name` does not stand there as a plain text"),
        ("cluster_name: >\n  old\n", ", line 1: `cluster_name` does not stand there as a plain text"),
        ("cluster_name: old\n  name\n", ", line 1: `cluster_name` goes on in the next line"),
        ("cluster_name:\n\n  old\n", ", line 1: `cluster_name` goes on in the next line"),
        ("cluster_name: 'old\n  name'\n", ", line 1: `cluster_name` does not stand there as a plain text"),
        ("cluster_name: a\ncluster_name: b\n", ", line 2: `cluster_name` is there more than once"),
        ("'cluster_name': a\n", ": `cluster_name` stands in it otherwise"),
        ("? cluster_name\n: a\n", ": `cluster_name` stands in it otherwise"),
    ] {
        let told = refused(&format!("{lines}{REST}"));
        assert!(told.starts_with(why), "{lines}: {told}");
    }
    let told = refused("{partitioner: Murmur3Partitioner, num_tokens: 1}\n");
    assert!(told.starts_with(": "), "{told}");
    assert!(refused(&format!("{REST}...\n")).starts_with(": changed line by line"), "after its end nothing is of it");
}

#[test]
fn what_is_recorded_and_can_be_no_node_s_is_written_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cassandra.yaml");
    fs::write(&path, PACKAGED).unwrap();
    let config = NodeConfig::read(&path).unwrap();
    let tokens = |tokens: &[&str]| tokens.iter().map(|token| (*token).to_owned()).collect::<Vec<_>>();
    for (cluster_name, partitioner, tokens, why) in [
        ("a", "P", tokens(&[]), "no tokens"),
        ("a", "P", tokens(&["1", "2,3"]), "tokens that are none"),
        ("a", "P", tokens(&["1\nauthenticator"]), "tokens that are none"),
        ("a", "P\nx: y", tokens(&["1"]), "a partitioner that is none"),
        ("a\nb: c", "P", tokens(&["1"]), "no name of a cluster"),
        ("", "P", tokens(&["1"]), "no name of a cluster"),
    ] {
        let told = NodeFile::read(&config, &Identity { cluster_name, partitioner, tokens: &tokens }).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}
