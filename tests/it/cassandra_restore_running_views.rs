//! A view that somebody has made since is not left behind by what comes into its table while the node runs: neither by a restore nor by an undo.

use crate::cassandra_restore_running::Case;
use crate::support::program::until;
use crate::support::servers::cassandra::spec::Version;

#[test]
fn a_view_that_came_since_is_refused_because_it_would_stay_empty() {
    const VIEW: &str =
        "CREATE MATERIALIZED VIEW KEYSPACE.w AS SELECT * FROM KEYSPACE.t WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)";
    let case = Case::small(Version::V41, 1);
    let built = || case.rows("w").iter().filter(|line| line.contains("id=")).count();
    case.run(&["INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')"]);
    let since = case.dump(0);
    case.run(&[VIEW]);
    until("the view is built", || built() == 3);
    let now = case.dump(0);
    let run = case.restore(&["--running"]);
    run.expect(1);
    assert!(run.said().contains("drop it, restore, and make it again"), "{}", run.said());
    assert_eq!(case.dump(0), now);

    // What an undo puts back would not come into it either.
    case.run(&["DROP MATERIALIZED VIEW KEYSPACE.w"]);
    case.restore(&["--running"]).expect(0);
    case.run(&[VIEW]);
    until("the view is built", || built() == 2);
    let restored = case.dump(0);
    for how in ["--dry-run", "--yes"] {
        let run = case.machine.run(&["restore", &case.source, "--undo", how]);
        run.expect(1);
        assert!(run.said().contains(&format!("view {}", case.table("w"))) && run.said().contains("drop it, undo"), "{}", run.said());
        assert_eq!(case.dump(0), restored, "{how}");
    }
    case.run(&["DROP MATERIALIZED VIEW KEYSPACE.w"]);
    case.undo().expect(0);
    assert_eq!(case.dump(0), since);
}
