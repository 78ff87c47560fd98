//! A Cassandra node that runs as another user than the program, as packages have it: what comes into its data directories is its own, and it
//! starts whenever it is asked to. Only root can run a server as somebody else, or give files away; without that both are the same user here.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cassandra_restore_stopped::Bench;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// A user whom no machine has.
const USER: u32 = 47_110;

/// All that lies below a folder.
fn all_below(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stat = fs::symlink_metadata(&path).unwrap();
        if stat.is_dir() {
            found.extend(all_below(&path));
        }
        found.push((path, stat));
    }
    found
}

#[test]
fn a_node_of_another_user_owns_all_that_comes_and_starts_in_the_middle_of_it() {
    let user = rustix::process::geteuid().is_root().then_some(USER);
    let bench = Bench::small_of(&Spec { user, ..Spec::new(Version::V50) });
    let owner = user.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let group = user.unwrap_or_else(|| rustix::process::getegid().as_raw());
    let status = fs::read_to_string(format!("/proc/{}/status", bench.server.pid().unwrap())).unwrap();
    assert!(status.contains(&format!("Uid:\t{owner}\t")), "{status}");
    let then = bench.dump("small");
    bench.backup();
    bench.run(&["DELETE FROM small.t WHERE id = 2", "INSERT INTO small.t (id, v) VALUES (3, 'since')"]);
    let now = bench.dump("small");

    // A kill before the first folder is given to the node, which only root has to do, leaves it so that the node comes up beside it.
    let inject = ["-e", "trace=?chown,fchownat", "-e", "inject=?chown,fchownat:signal=SIGKILL:when=1"];
    let killed = bench.machine.under_strace(&inject, &["restore", "homestead", "--yes"]);
    assert_eq!(killed.code, if user.is_some() { None } else { Some(0) }, "{killed:#?}");
    if user.is_none() {
        bench.restore(&["--undo"]).expect(0);
    }
    bench.server.restart();
    assert_eq!(bench.dump("small"), now);

    let owned_by_the_node = |what: &str| {
        for (path, stat) in all_below(&bench.server.home.join("data")) {
            assert_eq!((stat.uid(), stat.gid()), (owner, group), "{what}: {} is not the node's", path.display());
        }
    };
    bench.restore(&[]).expect(0);
    assert_eq!(bench.dump("small"), then);
    owned_by_the_node("a restore");
    bench.restore(&["--undo"]).expect(0);
    assert_eq!(bench.dump("small"), now);
    owned_by_the_node("an undo");

    bench.restore(&["--running"]).expect(0);
    assert_eq!(bench.dump("small"), then);
    owned_by_the_node("a restore while it runs");
    bench.server.restart();
    assert_eq!(bench.dump("small"), then);
}
