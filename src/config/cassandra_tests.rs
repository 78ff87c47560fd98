use std::path::Path;

use super::*;
use crate::config::{Config, Machine, Mistakes, show};
use crate::ops::spec::SourceKind;
use crate::sys::environment::FixedEnvironment;

fn parse(keys: &str) -> Result<Config, Mistakes> {
    let text = format!("[repository]\nurl = \"file:///srv/backups\"\n[cassandra.homestead]\n{keys}\n");
    let environment = FixedEnvironment([("SECRET".to_owned(), "hunter2".to_owned())].into());
    let machine = Machine { host_name: "node-7".into(), cores: 3 };
    Config::parse(&text, Path::new("/etc/w.toml"), true, &machine, &environment)
}

fn settings(config: &Config) -> &CassandraSettings {
    match &config.sources[0].kind {
        SourceKind::Cassandra(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn mistakes(keys: &str) -> String {
    parse(keys).expect_err("this configuration has mistakes").to_string()
}

#[test]
fn defaults_are_as_documented() {
    let config = parse("keyspaces = [\"homestead_cache\"]").unwrap();
    let settings = settings(&config);
    assert_eq!(settings.config_file, Path::new("/etc/cassandra/cassandra.yaml"));
    assert!(settings.cql.address.is_none() && settings.cql.user.is_none() && settings.cql.ca_file.is_none() && settings.cql.tls.is_none());
    assert_eq!(
        (settings.jmx.host.as_deref(), settings.jmx.port, settings.jmx.nodetool.as_slice()),
        (None, 7199, &["nodetool".to_owned()][..])
    );
    assert!(settings.stop.is_none() && settings.start.is_none() && settings.jmx.user.is_none());
    assert_eq!(config.sources[0].level, 2);
    let shown = show::Shown::of(&config).to_toml();
    for line in [
        "[cassandra.homestead]",
        "keyspaces = [\"homestead_cache\"]",
        "config_file = \"/etc/cassandra/cassandra.yaml\"",
        "nodetool = [\"nodetool\"]",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("path =") && !shown.contains("stop ="), "{shown}");
    assert!(config.warnings.is_empty() && config.sources[0].kind.path().is_none());
}

#[test]
fn what_is_shown_is_a_configuration_that_means_the_same() {
    let keys = "keyspaces = [\"*\", \"system_auth\"]\nconfig_file = \"/etc/c.yaml\"\ncql = \"[::1]:9142\"\nuser = \"w\"\npassword_env = \"SECRET\"\n\
                ca_file = \"/ca\"\ntls = true\njmx = \"db:7200\"\njmx_user = \"j\"\njmx_password_env = \"SECRET\"\nnodetool = [\"docker\", \"exec\", \
                \"c\", \"nodetool\"]\nstop = [\"a\", \"b\"]\nstart = [\"c\"]";
    let config = parse(keys).unwrap();
    let first = settings(&config);
    assert_eq!(first.cql.address, Some(("::1".to_owned(), 9142)));
    assert_eq!((first.jmx.host.as_deref(), first.jmx.port), (Some("db"), 7200));
    let shown = show::Shown::of(&config).to_toml();
    let again: String = shown.split("[cassandra.homestead]\n").nth(1).unwrap().into();
    let again = parse(&again.replace("(secret)", "hunter2")).unwrap();
    assert_eq!(format!("{first:?}"), format!("{:?}", settings(&again)));
}

#[test]
fn each_mistake_is_told_with_its_key() {
    for (keys, says) in [
        ("user = \"a\"", "cassandra.homestead.keyspaces: this is missing"),
        ("keyspaces = []", "cassandra.homestead.keyspaces: a source has from 1 to 1000 keyspaces"),
        ("keyspaces = [\"a\", \"a\"]", "`a` is named twice"),
        ("keyspaces = [\"a\", \"*\"]", "`*` is every keyspace but Cassandra's own, `a` among them"),
        ("keyspaces = [\"system\"]", "`system` is what Cassandra keeps of this node for itself"),
        ("keyspaces = [\"system_views\"]", "there are no files of it"),
        ("keyspaces = [\"../etc\"]", "is no name of a keyspace"),
        ("keyspaces = [\"a\"]\npath = \"/a\"", "cassandra.homestead.path: there is no such key"),
        ("keyspaces = [\"a\"]\ncql = \"localhost\"", "cassandra.homestead.cql: this must be a host and a port"),
        ("keyspaces = [\"a\"]\ncql = \"::1\"", "cassandra.homestead.cql: this must be a host and a port"),
        ("keyspaces = [\"a\"]\njmx = \"localhost:0\"", "cassandra.homestead.jmx: this must be a host and a port"),
        ("keyspaces = [\"a\"]\njmx = \"a b:1\"", "cassandra.homestead.jmx: this must be a host and a port"),
        ("keyspaces = [\"a\"]\nnodetool = []", "cassandra.homestead.nodetool: this must be a program"),
        ("keyspaces = [\"a\"]\nstop = [\"\"]\nstart = [\"x\"]", "cassandra.homestead.stop: this must be a program"),
        ("keyspaces = [\"a\"]\nstop = [\"x\"]", "cassandra.homestead.stop: this goes with `start`"),
        ("keyspaces = [\"a\"]\nstart = [\"x\"]", "cassandra.homestead.start: this goes with `stop`"),
        ("keyspaces = [\"a\"]\ntls = true", "cassandra.homestead.tls: this needs `ca_file`"),
        (
            "keyspaces = [\"a\"]\ntls = false\nca_file = \"/ca\"",
            "cassandra.homestead.ca_file: this goes with `cassandra.homestead.tls = true`",
        ),
        ("keyspaces = [\"a\"]\nuser = \"u\"", "cassandra.homestead.user: this needs a password"),
        ("keyspaces = [\"a\"]\npassword = \"p\"", "cassandra.homestead.password: this needs a name"),
        ("keyspaces = [\"a\"]\njmx_user = \"u\"", "cassandra.homestead.jmx_user: this needs a password: give `jmx_password_file`"),
        ("keyspaces = [\"a\"]\nuser = \"\"\npassword = \"p\"", "cassandra.homestead.user: the login of nobody"),
        ("keyspaces = [\"a\"]\nuser = \"u\"\npassword_env = \"NOT_SET\"", "the environment variable NOT_SET is not set"),
    ] {
        let found = mistakes(keys);
        assert!(found.contains(says), "{keys}: {found}");
    }
}

#[test]
fn scylladb_is_an_engine_of_its_own_with_an_api_in_place_of_nodetool() {
    let config = parse("engine = \"scylla\"\nkeyspaces = [\"a\"]").unwrap();
    assert_eq!(settings(&config).engine, Engine::Scylla { api: ("127.0.0.1".to_owned(), 10_000) });
    assert_eq!(settings(&config).config_file, Path::new("/etc/scylla/scylla.yaml"));
    let shown = show::Shown::of(&config).to_toml();
    assert!(shown.contains("engine = \"scylla\"") && shown.contains("api = \"http://127.0.0.1:10000\""), "{shown}");
    assert!(!shown.contains("nodetool"), "{shown}");
    let again: String = shown.split("[cassandra.homestead]\n").nth(1).unwrap().into();
    assert_eq!(format!("{:?}", settings(&config)), format!("{:?}", settings(&parse(&again).unwrap())));
    let elsewhere = parse("engine = \"scylla\"\nkeyspaces = [\"a\"]\napi = \"http://[::1]:9/\"").unwrap();
    assert_eq!(settings(&elsewhere).engine, Engine::Scylla { api: ("::1".to_owned(), 9) });
    for key in ["jmx = \"a:1\"", "nodetool = [\"x\"]", "stop = [\"x\"]\nstart = [\"y\"]", "jmx_user = \"j\"\njmx_password_env = \"SECRET\""]
    {
        let found = mistakes(&format!("engine = \"scylla\"\nkeyspaces = [\"a\"]\n{key}"));
        let count = key.lines().count();
        assert_eq!(found.matches("this is for Cassandra: ScyllaDB is told what to do over its `api`").count(), count, "{key}: {found}");
    }
    for (keys, says) in [
        ("engine = \"mongo\"", "cassandra.homestead.engine: this must be \"cassandra\" or \"scylla\""),
        ("api = \"http://a:1\"", "cassandra.homestead.api: this is for `engine = \"scylla\"`"),
        ("engine = \"scylla\"\napi = \"https://a:1\"", "cassandra.homestead.api: this must be a place of plain HTTP"),
        ("engine = \"scylla\"\napi = \"http://a:1/storage\"", "cassandra.homestead.api: this must be a place of plain HTTP"),
        ("engine = \"scylla\"\napi = \"http://a\"", "cassandra.homestead.api: this must be a place of plain HTTP"),
    ] {
        let found = mistakes(&format!("keyspaces = [\"a\"]\n{keys}"));
        assert!(found.contains(says), "{keys}: {found}");
    }
}

#[test]
fn passwords_are_found_and_never_shown_and_those_that_all_can_read_are_told() {
    let keys = "keyspaces = [\"a\"]\nuser = \"u\"\njmx_user = \"j\"\n";
    let config = parse(&format!("{keys}password_env = \"SECRET\"\njmx_password_env = \"SECRET\"")).unwrap();
    assert_eq!(settings(&config).cql.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(settings(&config).jmx.password.as_ref().unwrap().expose(), "hunter2");
    let shown = format!("{} {config:?}", show::Shown::of(&config).to_toml());
    assert!(shown.contains("jmx_password = \"(secret)\"") && !shown.contains("hunter2"), "{shown}");
    let open = parse(&format!("{keys}password_env = \"SECRET\"\njmx_password = \"hunter2\"")).unwrap();
    assert!(open.warnings.iter().any(|warning| warning.contains("holds a secret and can be read by every user")), "{:?}", open.warnings);
}

#[test]
fn what_is_remembered_of_a_source_is_all_that_was_written_but_its_secrets() {
    let login = "user = \"windlass\"\npassword = \"hunter2\"\njmx_user = \"monitor\"\njmx_password_file = \"/etc/windlass/jmx.pw\"";
    let keys = format!("keyspaces = [\"homer\"]\nkeep = 2\n{login}");
    // A file of a secret is not there; what was written is known all the same.
    let text = format!("[repository]\nurl = \"file:///srv/backups\"\n[cassandra.homestead]\n{keys}\n");
    let gather = Gatherer::new(&text);
    let file = crate::config::file::File::read(&text, &gather);
    let expected = serde_json::json!({
        "keyspaces": ["homer"],
        "keep": 2,
        "user": "windlass",
        "jmx_user": "monitor",
        "jmx_password_file": "/etc/windlass/jmx.pw",
    });
    assert_eq!(file.sources[0].all, expected);
    let config = parse("keyspaces = [\"homer\"]\nuser = \"windlass\"\npassword_env = \"SECRET\"").unwrap();
    assert_eq!(config.sources[0].written["password_env"], "SECRET");
    assert!(!config.sources[0].written.to_string().contains("hunter2"));
}

#[test]
fn a_password_on_the_command_line_of_nodetool_is_a_mistake() {
    let text = mistakes("keyspaces = [\"homer\"]\nnodetool = [\"nodetool\", \"-pw\", \"hunter2\"]");
    assert!(text.contains("cassandra.homestead.nodetool") && text.contains("`jmx_password_file`"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    parse("keyspaces = [\"homer\"]\nnodetool = [\"nodetool\", \"--password-file\", \"/etc/jmx.pw\"]").unwrap();
}
