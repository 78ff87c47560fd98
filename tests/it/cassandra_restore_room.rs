//! A snapshot that does not fit beside what a node holds is refused before anything of the node is touched.

use std::fs;

use crate::cassandra_restore_running::Case;
use crate::support::program::Machine;
use crate::support::servers::cassandra::spec::Version;

/// Has every filesystem say that so many blocks of 4 KiB are free (`struct statfs`: type, size of a block, blocks, free, free for users).
fn with_free(blocks: u64) -> [String; 4] {
    let words: [u64; 5] = [0x0102_1994, 4096, 1 << 20, blocks, blocks];
    let bytes: String = words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect();
    ["-e".into(), "trace=statfs".into(), "-e".into(), format!("inject=statfs:poke_exit=@arg2={bytes}")]
}

/// A restore says that it does not fit, and why, and that nothing was changed.
pub fn is_refused(machine: &Machine, arguments: &[&str], told: &[&str]) {
    let free = with_free(1);
    let free: Vec<&str> = free.iter().map(String::as_str).collect();
    let plan = machine.under_strace(&free, &[arguments, &["--dry-run"]].concat());
    plan.expect(0);
    let run = machine.under_strace(&free, &[arguments, &["--yes"]].concat());
    run.expect(1);
    for words in [told, &["4.0 KiB are free"]].concat() {
        assert!(plan.said().contains(words), "{words}: {plan:#?}");
        assert!(run.said().contains(words), "{words}: {run:#?}");
    }
    assert!(plan.said().contains("it may not fit"), "{plan:#?}");
    assert!(run.said().contains("does not fit") && run.said().contains("nothing was changed"), "{run:#?}");
}

#[test]
fn a_snapshot_that_does_not_fit_beside_what_a_node_holds_is_refused_before_a_row_is_touched() {
    let case = Case::small(Version::V41, 1);
    // What lies on the disk already would take no room.
    fs::remove_dir_all(case.machine.path("local").join(&case.source)).unwrap();
    case.run(&["TRUNCATE KEYSPACE.t", "INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')"]);
    case.server.nodetool(&["clearsnapshot", "--all", "--", &case.keyspaces[0]]);
    let now = case.dump(0);
    let data = case.server.spec.directories(&case.server.home).remove(0);
    let reserve = "128.0 MiB must stay free beside it for what the node writes";
    is_refused(&case.machine, &["restore", &case.source, "--running"], &[data.to_str().unwrap(), reserve]);
    assert_eq!((case.dump(0), case.ours()), (now.clone(), Vec::new()));
    case.restore(&["--running"]).expect(0);
    assert_ne!(case.dump(0), now);
}
