//! MySQL sources on servers of other makes and versions than Debian's: what is taken comes back exactly on a server of the same make.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::program::{Machine, text};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Everything that can be in a database of such a server.
const EVERYTHING: &str = include_str!("support/everything_of_makes.sql");

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

/// What stands in a configuration for another dump program than the one that is found.
fn with_dump(configuration: &str, dump: Option<&Path>) -> String {
    dump.map_or_else(|| configuration.to_owned(), |dump| format!("{configuration}dump = [\"{}\"]\n", dump.display()))
}

/// The facts of the newest snapshot of the source `ellis`.
fn facts(machine: &Machine) -> Value {
    let id = text(&machine.json(&["show", "ellis/latest"], 0)["id"]);
    let record = fs::read_to_string(machine.path(format!("local/ellis/{id}/snapshot.json"))).unwrap();
    serde_json::from_str::<Value>(&record).unwrap()["facts"].clone()
}

/// Loads the newest dump of a database into a new one.
fn loaded(machine: &Machine, server: &MariaDb, base: &str) -> String {
    let to = machine.path("fetched");
    machine.run(&["fetch", "ellis/latest", "--to", to.to_str().unwrap()]).expect(0);
    let of = facts(machine)["databases"][0].clone();
    let name = server.name();
    server.sql(&format!("CREATE DATABASE {name} CHARACTER SET {} COLLATE {}", text(&of["character_set"]), text(&of["collation"])));
    server.load(Some(&name), &fs::read(to.join(base).join("db_backup.sql")).unwrap());
    name
}

/// A dump of everything is loaded by the plain client, and nothing differs; a second dump of the same is stored once.
fn comes_back(make: Make, dump: Option<&Path>) {
    let server = make.running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&with_dump(&server.configuration("ellis", &[&base]), dump));
    machine.run(&["backup", "ellis"]).expect(0);
    let facts = facts(&machine);
    assert_eq!(facts["flavour"], make.flavour());
    assert!(text(&facts["version"]).starts_with(make.version()), "{facts:#}");
    let copy = loaded(&machine, server, &base);
    assert_eq!(server.everything(&copy), server.everything(&base));
    assert!(server.everything(&base).len() > 30, "the fixture holds something");
    let second = machine.json(&["backup", "ellis"], 0);
    let row = &second["snapshots"][0];
    assert!(row["added_bytes"].as_u64().unwrap() * 50 < row["bytes"].as_u64().unwrap(), "{second:#}");
    machine.run(&["verify", "--full"]).expect(0);
}

#[test]
fn everything_comes_back_on_mysql_8() {
    comes_back(Make::Mysql80, None);
}

#[test]
fn everything_comes_back_on_mysql_5_7() {
    comes_back(Make::Mysql57, None);
}

#[test]
fn everything_comes_back_on_a_newer_mariadb() {
    comes_back(Make::Mariadb114, None);
}

#[test]
fn everything_comes_back_on_a_newer_mariadb_by_its_own_dump_program() {
    comes_back(Make::Mariadb114, Make::Mariadb114.dump().as_deref());
}

#[test]
fn everything_comes_back_on_an_old_mariadb() {
    comes_back(Make::Mariadb102, None);
}

#[test]
fn everything_comes_back_on_an_old_mariadb_by_its_own_dump_program() {
    comes_back(Make::Mariadb102, Make::Mariadb102.dump().as_deref());
}
