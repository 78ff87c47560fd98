//! The round trip: whatever a directory can hold comes back as it was, from each tier. `makes` has the same from real servers.

use std::fs;

use windlass::format::path::RelPath;
use windlass::ops;
use windlass::ops::fetch::Options;
use windlass::ops::origin::Origin;
use windlass::sys::tree::remove_tree;

use crate::support::node::Node;
use crate::support::tree::{Picture, assert_same, fill, picture};

/// Takes a node's tree away to the repository, loses all that is on the node, and fetches.
fn comes_back_from_the_repository(node: &Node) {
    fill(&node.path("tree"));
    let wanted = picture(&node.path("tree"));
    let id = node.init().backup();
    remove_tree(&node.path("local")).unwrap();
    remove_tree(&node.path("tree")).unwrap();
    let fetched = node.fetch(id).unwrap();
    assert_same(&wanted, &picture(&fetched));
}

#[test]
fn everything_comes_back_from_a_folder() {
    comes_back_from_the_repository(&Node::with_folder());
}

#[test]
fn everything_comes_back_from_the_local_copy_alone() {
    let node = Node::with_folder();
    fill(&node.path("tree"));
    let wanted = picture(&node.path("tree"));
    let id = node.snapshot();
    remove_tree(&node.path("tree")).unwrap();
    let to = node.path("fetched");
    let options = Options { to: to.clone(), from: vec![Origin::Local], ..Options::default() };
    let outcome = ops::fetch::run(&node.context(), &format!("tree/{id}").parse().unwrap(), &options).unwrap();
    assert_same(&wanted, &picture(&to));
    assert_eq!((outcome.downloaded_bytes, outcome.notes), (0, Vec::new()));
}

#[test]
fn what_changed_and_what_did_not_come_back_as_they_were_each_time() {
    let node = Node::with_folder();
    let tree = node.path("tree");
    fill(&tree);
    node.init();
    let mut taken = vec![(node.backup(), picture(&tree))];
    let edits: [&dyn Fn(); 4] = [
        &|| fs::write(tree.join("names/a"), b"changed").unwrap(),
        &|| {
            fs::rename(tree.join("many"), tree.join("renamed")).unwrap();
            fs::hard_link(tree.join("links/b/first"), tree.join("a fourth name")).unwrap();
        },
        &|| {
            // A file becomes a folder, a folder a link, a link a file.
            remove_tree(&tree.join("names/a")).unwrap();
            fs::create_dir(tree.join("names/a")).unwrap();
            remove_tree(&tree.join("names of folders")).unwrap();
            std::os::unix::fs::symlink("names", tree.join("names of folders")).unwrap();
            remove_tree(&tree.join("links/symbolic 0")).unwrap();
            fs::write(tree.join("links/symbolic 0"), b"a file now").unwrap();
        },
        &|| {},
    ];
    for edit in edits {
        edit();
        taken.push((node.backup(), picture(&tree)));
    }
    for (id, wanted) in taken {
        assert_same(&wanted, &picture(&node.fetch(id).unwrap()));
    }
}

#[test]
fn excluded_paths_are_not_in_the_snapshot_and_all_others_are() {
    let mut node = Node::with_folder();
    let tree = node.path("tree");
    fill(&tree);
    node.exclude = ["file-1*", "/content/text", "links/", "names/\u{1f9f5}"].map(str::to_owned).to_vec();
    let excluded = |path: &str| path.starts_with("many/file-1") || path == "content/text" || path == "links" || path.starts_with("links/");
    let wanted: Picture = picture(&tree).into_iter().filter(|(path, _)| !excluded(path)).collect();
    let id = node.init().backup();
    let fetched = picture(&node.fetch(id).unwrap());
    assert!(fetched.keys().any(|path| path.starts_with("many/file-2")));
    assert_same(&wanted, &fetched);
}

#[test]
fn only_the_paths_that_are_asked_for_are_fetched() {
    let node = Node::with_folder();
    fill(&node.path("tree"));
    let wanted = picture(&node.path("tree"));
    let id = node.init().backup();
    let to = node.path("some");
    let paths = ["content", "links/pipe"].map(|path| RelPath::new(path).unwrap()).to_vec();
    let options = Options { to: to.clone(), paths, from: vec![Origin::Repository], ..Options::default() };
    ops::fetch::run(&node.context(), &format!("tree/{id}").parse().unwrap(), &options).unwrap();
    let asked = |path: &str| path == "." || path == "content" || path.starts_with("content/") || matches!(path, "links" | "links/pipe");
    let wanted: Picture = wanted.into_iter().filter(|(path, _)| asked(path)).collect();
    assert_same(&wanted, &picture(&to));
}
