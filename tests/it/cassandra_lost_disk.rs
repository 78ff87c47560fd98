//! A data directory of a Cassandra node whose disk is not mounted comes up empty: the snapshot says so, and the copy before it stays.

use std::fs;
use std::os::unix::fs::symlink;

use crate::cassandra::configuration;
use crate::support::program::Machine;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{Spec, Version};

#[test]
fn a_data_directory_that_is_empty_on_another_filesystem_is_a_problem_and_the_copy_before_stays() {
    let (disk, elsewhere) = (tempfile::tempdir_in("/dev/shm").unwrap(), tempfile::tempdir_in("/tmp").unwrap());
    let mount = elsewhere.path().join("mount");
    symlink(disk.path(), &mount).unwrap();
    let beneath = elsewhere.path().join("beneath");
    fs::create_dir(&beneath).unwrap();
    // Its own tables are not on the disk that is lost, or it would not start.
    let spec =
        Spec { data_directories: 2, last_directory: Some(mount.clone()), system_apart: true, num_tokens: 16, ..Spec::new(Version::V41) };
    let server = Cassandra::start_new(&spec);
    let cql = server.cql();
    cql.run("CREATE KEYSPACE small WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    cql.run("CREATE TABLE small.t (id int PRIMARY KEY, v text)");
    (0..40).for_each(|id| cql.run(&format!("INSERT INTO small.t (id, v) VALUES ({id}, 'then')")));
    let machine = Machine::new().configured(&configuration(&server, "homestead", &["small"]));
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "homestead"]).expect(0);
    let mounted = |place: &std::path::Path| {
        server.stop();
        fs::remove_file(&mount).unwrap();
        symlink(place, &mount).unwrap();
        server.start();
    };
    mounted(&beneath);
    // More of them than copies are kept.
    for _ in 0..5 {
        let run = machine.run(&["backup", "homestead"]);
        assert!(run.expect(3).stderr.contains("is its disk mounted?"), "{run:#?}");
        assert!(run.stderr.contains(mount.to_str().unwrap()), "{run:#?}");
    }
    let status = machine.run(&["status"]);
    assert_ne!(status.code, Some(0), "{status:#?}");
    let sound = machine.json(&["list"], 0)["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["problems"].as_array().unwrap().is_empty())
        .count();
    assert_eq!(sound, 1, "the newest copy that has all of it stays");
    mounted(disk.path());
    machine.run(&["backup", "homestead"]).expect(0);
}
