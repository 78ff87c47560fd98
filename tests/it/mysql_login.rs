//! Accounts that prove themselves in ways that Windlass does not know: what to do is told, and the password is given to nobody.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use crate::support::program::{Machine, Run};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::{MariaDb, PASSWORD};

/// What a person is told to do.
const HINT: &str = "IDENTIFIED VIA mysql_native_password or unix_socket";

/// The part of a server that greets whoever connects, and then asks for another way to prove oneself; packages with PARSEC, GSSAPI or LDAP
/// need a server newer than any that the tests have, or a domain. Gives its port, and what each client has sent.
fn server_that_asks_for(plugin: &'static str) -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sent, received) = channel();
    std::thread::spawn(move || {
        // For as long as somebody wants to know.
        for client in listener.incoming() {
            if sent.send(greet(client.unwrap(), plugin)).is_err() {
                break;
            }
        }
    });
    (port, received)
}

fn greet(mut client: TcpStream, plugin: &str) -> Vec<u8> {
    let mut greeting = b"\x0a11.8.2-MariaDB\0\x01\0\0\0".to_vec();
    // Eight of twenty bytes of a challenge; what it can do, in halves: protocol 4.1, ways to prove oneself, several statements.
    greeting.extend(b"abcdefgh\0\x07\xa2\x2d\x02\0\x0b\0\x15\0\0\0\0\0\0\0\0\0\0");
    greeting.extend(b"ijklmnopqrst\0mysql_native_password\0");
    let asks = [b"\xfe", plugin.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat();
    let mut sent = Vec::new();
    packet(&mut client, 0, &greeting);
    let mut head = [0; 4];
    if client.read_exact(&mut head).is_ok() {
        let mut login = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8)];
        client.read_exact(&mut login).unwrap();
        sent.extend(login);
        packet(&mut client, head[3] + 1, &asks);
        // Whatever it answers, until it gives up.
        let _ = client.read_to_end(&mut sent);
    }
    sent
}

fn packet(client: &mut TcpStream, number: u8, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).unwrap();
    // A client that has gone already is told by what it has sent.
    let _ = client.write_all(&[&[length, 0, 0, number], bytes].concat());
}

fn refused(machine: &Machine) -> Run {
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(1).stderr.contains(HINT), "{run:#?}");
    assert!(!run.said().contains(PASSWORD), "{run:#?}");
    assert!(machine.json(&["list"], 0)["snapshots"].as_array().unwrap().is_empty());
    run
}

fn machine(port: u16) -> Machine {
    let machine = Machine::new();
    let file = machine.path("password");
    std::fs::write(&file, PASSWORD).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let machine = machine.configured(&format!(
        "[mysql.ellis]\ndatabases = [\"ellis\"]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"windlass\"\npassword_file = \"{}\"\n",
        file.display()
    ));
    machine.run(&["init"]).expect(0);
    machine
}

#[test]
fn an_account_that_proves_itself_in_an_unknown_way_is_told_what_to_do_and_its_password_is_not_sent() {
    for plugin in [
        "parsec",
        "auth_gssapi_client",
        "client_ed25519",
        "dialog",
        "mysql_clear_password",
        "authentication_ldap_sasl_client",
        "authentication_kerberos_client",
    ] {
        let (port, received) = server_that_asks_for(plugin);
        let run = refused(&machine(port));
        let sent = received.recv().unwrap();
        assert!(sent.windows(8).any(|window| window == b"windlass"), "{plugin}: nobody came: {run:#?}");
        assert!(!sent.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()), "{plugin}");
    }
}

#[test]
fn an_account_whose_password_is_the_systems_is_told_what_to_do_and_its_password_is_not_sent() {
    for option in ["--pam-use-cleartext-plugin=OFF", "--pam-use-cleartext-plugin=ON"] {
        let server = MariaDb::start(&["--plugin-load-add=auth_pam_v1", option]);
        let base = server.database();
        let account = server.account("VIA pam", &format!("GRANT ALL ON {base}.* TO ACCOUNT"));
        let machine = Machine::new();
        let configuration = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
        let machine = machine.configured(&configuration);
        machine.run(&["init"]).expect(0);
        refused(&machine);
    }
}

#[test]
fn a_password_that_mysql_8_has_not_cached_is_taken_over_the_socket() {
    let server = Make::Mysql80.running();
    let base = server.database();
    let account = server.account("WITH caching_sha2_password BY SECRET", &format!("GRANT ALL ON {base}.* TO ACCOUNT"));
    server.sql(&format!("{} TO {account}@'%'", Make::Mysql80.right_to_see_routines()));
    let machine = Machine::new();
    let file = machine.path("password");
    std::fs::write(&file, PASSWORD).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let machine = machine.configured(&format!(
        "[mysql.ellis]\ndatabases = [\"{base}\"]\nsocket = \"{}\"\nuser = \"{account}\"\npassword_file = \"{}\"\n",
        server.socket.display(),
        file.display()
    ));
    machine.run(&["init"]).expect(0);
    server.sql("FLUSH PRIVILEGES");
    machine.run(&["snapshot", "ellis", "--dry-run"]).expect(0);
    std::fs::write(&file, "another").unwrap();
    server.sql("FLUSH PRIVILEGES");
    let wrong = machine.run(&["snapshot", "ellis", "--dry-run"]);
    assert!(wrong.expect(1).stderr.contains("the password is wrong"), "{wrong:#?}");
}
