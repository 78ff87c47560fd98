//! A Cassandra node that asks for logins, for CQL by TLS and for JMX, and is reached by a command with others before it: what it takes back is what it
//! was, and whoever is not let in touches nothing.

use std::fs;

use crate::cassandra::configuration;
use crate::cassandra_restore_running::Case;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{ADMINISTRATOR, JMX_ACCOUNT, Spec, Version};

#[test]
fn tables_in_two_data_directories_come_back_over_tls_and_by_a_nodetool_behind_a_prefix() {
    let asks = Spec { password: true, jmx_password: true, tls: true, ..Spec::new(Version::V50) };
    let spec = Spec { data_directories: 2, bti: false, num_tokens: 16, ..asks };
    // It ends with this process.
    let server: &'static Cassandra = Box::leak(Box::new(Cassandra::start_new(&spec)));
    let case = Case::on(server, 1);
    let names: Vec<&str> = case.keyspaces.iter().map(String::as_str).collect();
    let [user, password] = ADMINISTRATOR;
    let [jmx_user, jmx_password] = JMX_ACCOUNT;
    let ca = server.ca_file();
    let secure = format!("tls = true\nca_file = \"{}\"\n", ca.display());
    let accounts =
        format!("{secure}user = \"{user}\"\npassword = \"{password}\"\njmx_user = \"{jmx_user}\"\njmx_password = \"{jmx_password}\"\n");
    // As for a node in a container, or behind `sudo`.
    let real = serde_json::to_string(&server.command("nodetool")).unwrap();
    let configuration = configuration(server, &case.source, &names);
    assert!(configuration.contains(&real), "{configuration}");
    let configuration = configuration.replace(&real, &real.replacen('[', "[\"env\",\"-u\",\"UNKNOWN\",", 1));
    case.machine.configure_again(&(configuration.clone() + &accounts));
    case.fill_small();
    for round in 0..3 {
        for id in 0..40 {
            case.run(&[&format!("INSERT INTO KEYSPACE.t (id, v) VALUES ({}, 'then')", round * 100 + id)]);
        }
        server.nodetool(&["flush", &case.keyspaces[0]]);
    }
    case.backup();
    let then = case.dump(0);
    case.run(&["DELETE FROM KEYSPACE.t WHERE id = 101", "INSERT INTO KEYSPACE.t (id, v) VALUES (7, 'since')"]);
    let now = case.dump(0);
    // Whoever is not let in touches nothing, and no password is told.
    for (right, place) in
        [(password, "the password is wrong, or there is no such role"), (jmx_password, "see `jmx`, its user and its password")]
    {
        let wrong = accounts.replace(&format!("password = \"{right}\""), "password = \"of-another-node\"");
        case.machine.configure_again(&(configuration.clone() + &wrong));
        for verb in [&["restore", &case.source, "--running", "--yes"][..], &["backup", &case.source]] {
            let run = case.machine.run(verb);
            run.expect(1);
            assert!(run.said().contains(place) && !run.said().contains("of-another-node"), "{verb:?}: {run:#?}");
            assert_eq!((case.dump(0), case.ours()), (now.clone(), Vec::new()), "{verb:?}");
            case.keeps_nothing();
        }
    }
    case.machine.configure_again(&(configuration + &accounts));
    case.restore(&["--running"]).expect(0);
    assert_eq!(case.dump(0), then);
    let ours = case.ours();
    assert!(ours.len() == 2 && ours[0] == ours[1], "{ours:?}");
    for data in server.spec.directories(&server.home) {
        let of_t = fs::read_dir(data.join(".windlass/backups").join(&case.source).join(&ours[0]).join(&case.keyspaces[0])).unwrap();
        assert!(of_t.map(|entry| fs::read_dir(entry.unwrap().path()).unwrap().count()).sum::<usize>() > 0, "{}", data.display());
    }
    case.undo().expect(0);
    assert_eq!(case.dump(0), now);
}
