use std::path::Path;

use super::*;
use crate::config::{Config, Machine, Mistakes, show};
use crate::ops::spec::SourceKind;
use crate::sys::environment::FixedEnvironment;

fn parse(keys: &str) -> Result<Config, Mistakes> {
    let text = format!("[repository]\nurl = \"file:///srv/backups\"\n[mysql.ellis]\n{keys}\n");
    let environment = FixedEnvironment([("SECRET".to_owned(), "hunter2".to_owned())].into());
    let machine = Machine { host_name: "node-7".into(), cores: 3 };
    Config::parse(&text, Path::new("/etc/w.toml"), true, &machine, &environment)
}

fn settings(config: &Config) -> &MysqlSettings {
    match &config.sources[0].kind {
        SourceKind::Mysql(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn mistakes(keys: &str) -> String {
    parse(keys).expect_err("this configuration has mistakes").to_string()
}

#[test]
fn defaults_are_as_documented() {
    let config = parse("databases = [\"ellis\"]").unwrap();
    let settings = settings(&config);
    assert!(settings.address.is_none() && settings.user.is_none() && settings.password.is_none() && settings.ca_file.is_none());
    assert!(settings.order_by_primary && settings.lock_tables && !settings.accounts);
    assert_eq!(settings.lock_wait.as_secs(), 600);
    assert_eq!((settings.place().as_str(), config.warnings.len()), ("/run/mysqld/mysqld.sock", 0));
    let shown = show::Shown::of(&config).to_toml();
    assert!(
        shown.contains("[mysql.ellis]") && shown.contains("socket = \"/run/mysqld/mysqld.sock\"") && !shown.contains("path ="),
        "{shown}"
    );
}

#[test]
fn a_server_is_at_a_socket_or_at_a_host() {
    let of = |keys: &str| settings(&parse(&format!("databases = [\"a\"]\n{keys}")).unwrap()).address.clone().unwrap().to_string();
    assert_eq!(of("socket = \"/s\""), "/s");
    assert_eq!(of("host = \"localhost\""), "localhost:3306");
    assert_eq!(of("port = 3307"), "127.0.0.1:3307");
    assert_eq!(of("host = \"::1\"\nport = 1"), "[::1]:1");
    let both = mistakes("databases = [\"a\"]\nsocket = \"/s\"\nhost = \"h\"\ntls = true\nca_file = \"/ca\"");
    assert!(
        both.contains("mysql.ellis.host: the server is reached either by its socket (mysql.ellis.socket) or by host and port"),
        "{both}"
    );
    assert!(both.contains("mysql.ellis.tls: this goes with `host`"), "{both}");
}

#[test]
fn each_mistake_is_told_with_its_key() {
    for (keys, says) in [
        ("user = \"a\"", "mysql.ellis.databases: this is missing"),
        ("databases = []", "mysql.ellis.databases: a source has from 1 to 100 databases"),
        ("databases = [\"a\", \"a\"]", "`a` is named twice"),
        ("databases = [\"mysql\"]", "`accounts = true` keeps its accounts"),
        ("databases = [\"\"]", "is no name of a database"),
        ("databases = [\"a_windlass_new\"]", "`a_windlass_new`: names like that are those which restores give"),
        ("databases = [\"a\"]\nport = 0", "mysql.ellis.port: this must be a number from 1 to 65535"),
        ("databases = [\"a\"]\npath = \"/a\"", "mysql.ellis.path: there is no such key"),
        ("databases = [\"a\"]\ndump = []", "mysql.ellis.dump: this must be a program"),
        ("databases = [\"a\"]\nhost = \"h\"\ntls = true", "mysql.ellis.tls: this needs `ca_file`"),
        (
            "databases = [\"a\"]\nhost = \"h\"\ntls = false\nca_file = \"/ca\"",
            "mysql.ellis.ca_file: this goes with `mysql.ellis.tls = true`",
        ),
        ("databases = [\"a\"]\npassword_env = \"NOT_SET\"", "mysql.ellis.password_env: the environment variable NOT_SET is not set"),
        ("databases = [\"a\"]\nuser = \"\"", "mysql.ellis.user: the account of nobody"),
    ] {
        let found = mistakes(keys);
        assert!(found.contains(says), "{keys}: {found}");
    }
}

#[test]
fn a_database_of_one_server_belongs_to_one_source() {
    let both = |one: &str, other: &str| {
        let text = |keys: &str, names: &str| format!("databases = [{names}]\n{keys}\n");
        parse(&format!("{}[mysql.other]\n{}", text(one, "\"a\", \"b\""), text(other, "\"c\", \"b\""))).err().map(|found| found.to_string())
    };
    for (one, other) in [
        ("", ""),
        ("", "socket = \"/run/mysqld/mysqld.sock\""),
        ("host = \"localhost\"", "port = 3306"),
        ("host = \"DB.example.com\"\nca_file = \"/ca\"", "host = \"db.example.com\"\nca_file = \"/ca\""),
        ("defaults_file = \"/my.cnf\"", "defaults_file = \"/my.cnf\""),
    ] {
        let found = both(one, other).unwrap_or_else(|| panic!("{one} {other}"));
        assert!(found.contains("mysql.other.databases: `b` of ") && found.contains("belongs to the source `ellis` already"), "{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
    for (one, other) in [("", "port = 3306"), ("port = 3306", "port = 3307"), ("", "socket = \"/s\""), ("", "defaults_file = \"/my.cnf\"")]
    {
        assert_eq!(both(one, other), None, "{one} {other}");
    }
}

#[test]
fn a_password_is_found_and_never_shown_and_one_that_all_can_read_is_told() {
    let config = parse("databases = [\"a\"]\npassword_env = \"SECRET\"").unwrap();
    assert_eq!(settings(&config).password.as_ref().unwrap().expose(), "hunter2");
    let shown = format!("{} {config:?}", show::Shown::of(&config).to_toml());
    assert!(shown.contains("password = \"(secret)\"") && !shown.contains("hunter2"), "{shown}");
    let open = parse("databases = [\"a\"]\npassword = \"hunter2\"").unwrap();
    assert!(open.warnings.iter().any(|warning| warning.contains("holds a secret and can be read by every user")), "{:?}", open.warnings);
}

#[test]
fn what_goes_over_a_network_in_plain_is_told() {
    let warnings = |keys: &str| parse(&format!("databases = [\"a\"]\n{keys}")).unwrap().warnings.len();
    assert_eq!((warnings("host = \"db.example.com\""), warnings("host = \"127.0.0.1\"")), (1, 0));
    assert_eq!(warnings("host = \"db.example.com\"\nca_file = \"/ca\""), 0);
}
