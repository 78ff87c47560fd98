use super::super::settings::Engine;
use super::*;

fn read(text: &str) -> Result<NodeConfig, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cassandra.yaml");
    std::fs::write(&path, text).unwrap();
    NodeConfig::read(&path)
}

/// What is wrong with a file, without its own path.
fn wrong(text: &str) -> String {
    let error = read(text).unwrap_err().to_string();
    error.split_once("cassandra.yaml").unwrap_or_else(|| panic!("{error}")).1.to_owned()
}

const SMALLEST: &str = "partitioner: Murmur3Partitioner\n";

#[test]
fn what_is_not_written_is_what_cassandra_assumes() {
    let config = read(SMALLEST).unwrap();
    assert_eq!(config.data_directories, [Path::new("/var/lib/cassandra/data")]);
    assert_eq!(config.commitlog_directory, Path::new("/var/lib/cassandra/commitlog"));
    assert_eq!(config.hints_directory, Path::new("/var/lib/cassandra/hints"));
    assert_eq!(config.saved_caches_directory, Path::new("/var/lib/cassandra/saved_caches"));
    assert_eq!(config.cdc_raw_directory, Path::new("/var/lib/cassandra/cdc_raw"));
    assert_eq!(
        (config.cluster_name.as_str(), config.partitioner.as_str()),
        ("Test Cluster", "org.apache.cassandra.dht.Murmur3Partitioner")
    );
    assert_eq!((config.native_transport_port, config.storage_port, config.client_encryption), (9042, 7000, false));
    assert_eq!((config.num_tokens, config.local_system_data_directory, config.initial_tokens), (None, None, vec![]));
    let assumed = ["commitlog_directory", "hints_directory", "saved_caches_directory", "cdc_raw_directory", "data_file_directories"];
    assert_eq!(config.assumed, assumed);
}

#[test]
fn scylladb_assumes_other_folders_and_another_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scylla.yaml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut settings = Settings::new(vec!["k".into()], path.clone());
        settings.engine = Engine::Scylla { api: ("127.0.0.1".into(), 10_000) };
        NodeConfig::of(&settings).unwrap()
    };
    let config = read("cluster_name: 'x'\n");
    assert_eq!(config.data_directories, [Path::new("/var/lib/scylla/data")]);
    assert_eq!(config.cql_address(false).unwrap(), ("localhost".to_owned(), 9042));
    assert_eq!(config.partitioner, MURMUR3);
    let config = read("workdir: /srv/scylla\nrpc_address: 10.0.0.1\nnative_transport_port: 9043\n");
    assert_eq!(config.data_directories, [Path::new("/srv/scylla/data")]);
    assert_eq!(config.cql_address(false).unwrap(), ("10.0.0.1".to_owned(), 9043));
    assert_eq!(read("data_file_directories:\n  - /d1\nworkdir: /srv\n").data_directories, [Path::new("/d1")]);
}

#[test]
fn what_is_written_is_read_in_the_forms_that_cassandra_takes() {
    let text = "\
cluster_name: 'Clear Water: 1'
num_tokens: 16
initial_token: -9223372036854775808, 5
partitioner: org.apache.cassandra.dht.RandomPartitioner
data_file_directories:
    - /disk one/data   # the first
    - \"/disk2/data\"
local_system_data_file_directory: /ssd/system
commitlog_directory: /a
hints_directory: /b
saved_caches_directory: /c
cdc_raw_directory: /d
listen_address:
rpc_address: 10.0.0.7
native_transport_port: 9142
storage_port: \"7100\"
endpoint_snitch: SimpleSnitch
commitlog_sync_period: 10000ms
seed_provider:
    - class_name: org.apache.cassandra.locator.SimpleSeedProvider
      parameters:
          - seeds: \"127.0.0.1:7000\"
client_encryption_options:
    enabled: on
    keystore: conf/.keystore
";
    let config = read(text).unwrap();
    assert_eq!(config.data_directories, [Path::new("/disk one/data"), Path::new("/disk2/data")]);
    let all: Vec<&Path> = config.all_data_directories().collect();
    assert_eq!(all, [Path::new("/disk one/data"), Path::new("/disk2/data"), Path::new("/ssd/system")]);
    assert_eq!((config.cluster_name.as_str(), config.num_tokens), ("Clear Water: 1", Some(16)));
    assert_eq!(config.initial_tokens, ["-9223372036854775808", "5"]);
    assert_eq!(config.partitioner, "org.apache.cassandra.dht.RandomPartitioner");
    assert_eq!((config.listen_address.as_deref(), config.endpoint_snitch.as_deref()), (None, Some("SimpleSnitch")));
    assert_eq!((config.storage_port, config.client_encryption, config.assumed.is_empty()), (7100, true, true));
    assert_eq!(config.cql_address(false).unwrap(), ("10.0.0.7".to_owned(), 9142));
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts_as_for_the_server() {
    let config = read(&format!("{SMALLEST}cluster_name: a\ncluster_name: b\n")).unwrap();
    assert_eq!(config.cluster_name, "b");
}

#[test]
fn a_single_number_is_a_token_and_a_name_of_digits_a_name() {
    let config = read(&format!("{SMALLEST}initial_token: 0\ncluster_name: 7\nnum_tokens:\n")).unwrap();
    assert_eq!((config.initial_tokens, config.cluster_name, config.num_tokens), (vec!["0".to_owned()], "7".to_owned(), None));
}

#[test]
fn cql_is_asked_where_a_client_on_the_node_finds_it() {
    let address = |lines: &str, encrypted| read(&format!("{SMALLEST}{lines}")).unwrap().cql_address(encrypted);
    assert_eq!(address("rpc_address: 0.0.0.0\n", false).unwrap(), ("127.0.0.1".to_owned(), 9042));
    assert_eq!(address("rpc_address: '::'\nnative_transport_port_ssl: 9142\n", true).unwrap(), ("::1".to_owned(), 9142));
    assert_eq!(address("", false).unwrap(), (host_name(), 9042));
    assert!(address("rpc_interface: eth0\n", false).unwrap_err().to_string().contains("`cql = \"HOST:PORT\"`"));
}

#[test]
fn a_mistake_is_told_with_its_line_and_key() {
    for (lines, wanted) in [
        ("\n\nnative_transport_port: many\n", ", line 4: `native_transport_port` is `many`, which is no port"),
        ("storage_port: 70000\n", ", line 2: `storage_port` is `70000`"),
        ("data_file_directories:\n  - /a\n  - data\n", ", line 4: `data_file_directories` is `data`, which depends on where"),
        ("data_file_directories: ['']\n", ", line 2: `data_file_directories` names no folder"),
        ("client_encryption_options:\n  enabled: maybe\n", ", line 3: `client_encryption_options: enabled` is `maybe`"),
        ("data_file_directories: /a\n", ", line 2: it cannot be read"),
        ("hints_directory: [/a]\n", ", line 2: it cannot be read"),
    ] {
        let told = wrong(&format!("{SMALLEST}{lines}"));
        assert!(told.starts_with(wanted), "{lines}: {told}");
    }
    assert!(wrong("cluster_name: x\n").starts_with(": `partitioner` is missing"));
    assert!(wrong("").starts_with(": "), "an empty file is no configuration");
}

#[test]
fn what_is_no_yaml_is_refused_without_repeating_it() {
    let text = format!("{SMALLEST}client_encryption_options:\n  keystore_password: hunter2\n bad\n  keystore: [hunter2\n");
    let told = wrong(&text);
    assert!(told.starts_with(", line ") && !told.contains("hunter2"), "{told}");
    let huge = format!("{SMALLEST}# {}\n", "x".repeat(usize::try_from(SIZE_MAX).unwrap()));
    assert!(wrong(&huge).contains("is this the configuration of a node?"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = NodeConfig::read(Path::new("/nonexistent/cassandra.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "read /nonexistent/cassandra.yaml");
}
