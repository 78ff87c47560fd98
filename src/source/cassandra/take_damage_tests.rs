//! Snapshots that are not whole: each is an error that says what is missing.

use super::*;

#[test]
fn a_component_that_is_listed_and_not_there_is_missed() {
    for component in ["Filter.db", "CompressionInfo.db", "Digest.crc32", "Summary.db"] {
        let node = Node::simple();
        fs::remove_file(node.made(0, "ks/users").join(format!("nb-1-big-{component}"))).unwrap();
        let why = node.why();
        assert!(why.contains(&format!("has no {component}, though its TOC.txt lists it")), "{why}");
    }
}

#[test]
fn an_sstable_without_what_its_format_needs_is_missed_whatever_its_list_says() {
    for (name, components, lacks) in [
        ("nb-1-big", &["Data.db", "Index.db", "TOC.txt"][..], "Statistics.db"),
        ("nb-1-big", &["Data.db", "Statistics.db", "TOC.txt"][..], "Index.db"),
        ("da-3h5r_1lxh_0dae82olptsc52z4nx-bti", &["Data.db", "Partitions.db", "Statistics.db", "TOC.txt"][..], "Rows.db"),
        ("zz-1-new", &["Data.db", "TOC.txt"][..], "Statistics.db"),
    ] {
        let mut node = Node::new(1);
        node.table("ks", "users");
        node.sstable(0, "ks/users", "", name, components);
        node.finish("ks/users");
        let why = node.why();
        assert!(why.contains(&format!("{name} in ")) && why.ends_with(&format!("has no {lacks}")), "{why}");
    }
}

#[test]
fn components_without_rows_are_missed() {
    let node = Node::simple();
    fs::remove_file(node.made(0, "ks/users").join("nb-1-big-Data.db")).unwrap();
    node.write_manifest("ks/users", |_| {});
    assert!(node.why().ends_with("has no Data.db"));
}

#[test]
fn an_sstable_without_a_list_of_its_components_or_with_a_broken_one_is_refused() {
    let node = Node::simple();
    let toc = node.made(0, "ks/users").join("nb-1-big-TOC.txt");
    for (text, wanted) in
        [(&b""[..], "does not list Data.db"), (b"Index.db\n", "does not list Data.db"), (b"Data.db\n\xff\n", "that is none")]
    {
        fs::write(&toc, text).unwrap();
        let why = node.why();
        assert!(why.ends_with(wanted), "{why}");
        clear_up(&node);
    }
    fs::write(&toc, vec![b'\n'; 70 << 10]).unwrap();
    assert!(node.why().ends_with("that is none"));
    clear_up(&node);
    fs::remove_file(&toc).unwrap();
    assert!(node.why().contains("has no TOC.txt"));
}

/// What the next try of a test finds: an empty copy, and no snapshot.
fn clear_up(node: &Node) {
    node.clear().unwrap();
    fs::remove_dir_all(node.path("copy")).unwrap();
    fs::create_dir(node.path("copy")).unwrap();
}

#[test]
fn rows_that_the_manifest_lists_and_that_are_not_there_are_missed() {
    for name in ["nb-0-big-Data.db", "nb-9-big-Data.db", ".by_name/nb-1-big-Data.db"] {
        let node = Node::simple();
        node.write_manifest("ks/users", |files| files.push(name.into()));
        let why = node.why();
        assert!(why.starts_with(&format!("manifest.json lists {name}, and it is not in /")), "{why}");
    }
}

#[test]
fn rows_that_the_manifest_does_not_list_are_not_taken_for_the_snapshots() {
    let node = Node::simple();
    node.write_manifest("ks/users", Vec::clear);
    assert!(node.why().ends_with("/nb-1-big-Data.db is there, and manifest.json does not list it"));
}

#[test]
fn a_snapshot_without_its_documents_is_not_finished() {
    let node = Node::simple();
    fs::remove_file(node.made(0, "ks/users").join("schema.cql")).unwrap();
    assert!(node.why().starts_with("there is no schema.cql in /"));
    let node = Node::simple();
    fs::remove_file(node.made(0, "ks/users").join("manifest.json")).unwrap();
    assert!(node.why().starts_with("there is no manifest.json in /"));
    let node = Node::simple();
    fs::write(node.made(0, "ks/users").join("manifest.json"), "{\"files\":[").unwrap();
    assert!(node.why().contains("manifest.json cannot be read: "));
}

#[test]
fn the_servers_own_keyspaces_need_no_statements() {
    let mut node = Node::new(1);
    node.table("system_auth", "roles");
    node.sstable(0, "system_auth/roles", "", "nb-1-big", &BIG);
    node.finish("system_auth/roles");
    fs::remove_file(node.made(0, "system_auth/roles").join("schema.cql")).unwrap();
    assert_eq!(node.take().unwrap().tables[0].sstables, 1);
}

#[test]
fn statements_that_differ_between_data_directories_are_an_error() {
    let mut node = Node::new(2);
    node.table("ks", "users");
    node.sstable(0, "ks/users", "", "nb-1-big", &BIG);
    node.sstable(1, "ks/users", "", "nb-2-big", &BIG);
    node.finish("ks/users");
    fs::write(node.made(1, "ks/users").join("schema.cql"), "other\n").unwrap();
    assert!(node.why().ends_with("schema.cql differ"));
}

#[test]
fn one_name_in_two_data_directories_is_an_error() {
    for components in [&BIG[..], &["Filter.db"][..]] {
        let mut node = Node::new(2);
        node.table("ks", "users");
        node.sstable(0, "ks/users", "", "nb-1-big", &BIG);
        node.sstable(1, "ks/users", "", "nb-1-big", components);
        node.finish("ks/users");
        let why = node.why();
        assert!(why.starts_with("the SSTable nb-1-big lies in /") && why.contains("/data0/") && why.contains("/data1/"), "{why}");
    }
    let mut node = Node::new(2);
    node.table("ks", "users");
    for root in 0..2 {
        fs::create_dir_all(node.made(root, "ks/users")).unwrap();
        fs::write(node.made(root, "ks/users").join("strange"), "").unwrap();
    }
    node.finish("ks/users");
    assert!(node.why().starts_with("strange of "), "also for a file that nobody knows");
}

#[test]
fn a_table_without_a_snapshot_is_missed() {
    let mut node = Node::simple();
    node.table("ks", "lines");
    let why = node.why();
    assert!(why.starts_with("the server has the table ks.lines, and no snapshot of it lies in /") && why.contains("system.log"), "{why}");
}

#[test]
fn a_nodetool_that_does_nothing_and_ends_well_is_found_out() {
    let node = Node::simple();
    fs::write(node.path("nodetool"), format!("echo ID: {HOST_ID}\n")).unwrap();
    assert!(node.why().contains("no snapshot of it lies in"));
}

#[test]
fn a_nodetool_of_another_node_is_told_to_do_nothing() {
    let node = Node::simple();
    let of_another = fs::read_to_string(node.path("nodetool")).unwrap().replace(HOST_ID, "another");
    fs::write(node.path("nodetool"), of_another).unwrap();
    let why = node.take().unwrap_err().to_string();
    assert!(why.contains(&format!("leads to the node {HOST_ID}, and nodetool (`jmx`) to another: ")), "{why}");
    assert_eq!(node.asked(), "-p 7199 info\n");
}

#[test]
fn a_snapshot_of_a_table_that_the_schema_does_not_have_is_an_error() {
    let node = Node::simple();
    let stranger = node.path(&format!("made0/ks/users-{}/snapshots/{TAG}", "9".repeat(32)));
    fs::create_dir_all(&stranger).unwrap();
    let why = node.why();
    assert!(why.contains("/data0/ks/users-999") && why.ends_with("of a table that the schema does not have"), "{why}");
}

#[test]
fn an_empty_snapshot_of_a_table_with_rows_is_an_error_and_one_of_an_emptied_table_is_not() {
    let node = Node::simple();
    for name in names(&node.made(0, "ks/users")).iter().filter(|name| name.starts_with("nb-")) {
        fs::remove_file(node.made(0, "ks/users").join(name)).unwrap();
    }
    // The manifest is younger than the rows.
    std::thread::sleep(std::time::Duration::from_millis(20));
    node.write_manifest("ks/users", |_| {});
    assert!(node.why().ends_with("nb-1-big-Data.db is older than the snapshot, which has no file of this table"));
    clear_up(&node);
    // What `nodetool` does here beside the snapshot stands for a TRUNCATE, and for rows that came after it.
    let script = fs::read_to_string(node.path("nodetool")).unwrap();
    let live = node.live(0, "ks/users");
    let emptied = format!("{script}rm -f {0}/nb-1-*\nsleep 0.05\necho > {0}/nb-2-big-Data.db\n", live.display());
    fs::write(node.path("nodetool"), emptied).unwrap();
    assert_eq!(node.take().unwrap().tables[0].sstables, 0);
}

#[test]
fn a_configuration_that_names_another_nodes_directories_is_told_before_anything_is_asked() {
    let node = Node::simple();
    fs::create_dir(node.path("elsewhere")).unwrap();
    let yaml = format!("partitioner: Murmur3Partitioner\ndata_file_directories: [{}]\n", node.path("elsewhere").display());
    fs::write(&node.settings.config_file, yaml).unwrap();
    let why = node.why();
    assert!(why.starts_with("the server has a table ks.users, and no folder users-00000000000000000000000000000001 in /"), "{why}");
    assert!(why.contains("/cassandra.yaml") && why.ends_with("give the configuration that the server was started with"), "{why}");
    fs::remove_dir(node.path("elsewhere")).unwrap();
    let error = node.take().unwrap_err();
    assert!(matches!(error, Error::NodeConfig { .. }) && error.to_string().contains("elsewhere of its data directories is not there"));
    assert_eq!(node.asked(), "");
}

#[test]
fn a_schema_that_changes_meanwhile_makes_it_a_snapshot_of_no_one_schema() {
    let node = Node::simple();
    let mut with_more = Node::simple();
    with_more.table("ks", "lines");
    let mut with_index = node.schema.clone();
    with_index.keyspaces[0].tables[0].indexes.push("by_name".into());
    let nothing = Schema { keyspaces: vec![Keyspace { name: "ks".into(), tables: Vec::new() }] };
    for (after, wanted) in
        [(with_more.schema, "ks.lines was made"), (with_index, "ks.users was changed"), (nothing, "ks.users was dropped")]
    {
        let moved = node.take_before(&Looked { schema: after, ..node.looked() });
        assert!(matches!(&moved, Err(Error::Moved { what }) if what == wanted), "{moved:?}");
        clear_up(&node);
    }
    let mut with_column = node.looked();
    with_column.ddl[0].1 = "CREATE KEYSPACE ks;\nALTER TABLE ks.users ADD later int;\n".into();
    let moved = node.take_before(&with_column);
    assert!(matches!(&moved, Err(Error::Moved { what }) if what == "a definition of the keyspace ks was changed"), "{moved:?}");
    clear_up(&node);
    node.take().unwrap();
}

#[test]
fn parts_of_an_index_may_be_missing_and_are_told_once_for_a_table() {
    let node = Node::simple();
    let components: Vec<&str> = BIG.into_iter().chain(["SAI+aa+i+CompressedVectors.db", "SI_by_name.db"]).collect();
    for name in ["nb-2-big", "nb-3-big"] {
        node.sstable(0, "ks/users", "", name, &components);
        for component in ["SAI+aa+GroupComplete.db", "SAI+aa+i+CompressedVectors.db", "SI_by_name.db"] {
            fs::remove_file(node.made(0, "ks/users").join(format!("{name}-{component}"))).unwrap();
        }
        // Listed, and never there.
        fs::remove_file(node.live(0, "ks/users").join(format!("{name}-SAI+aa+i+CompressedVectors.db"))).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    node.finish("ks/users");
    // Made after the snapshot.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(node.live(0, "ks/users").join("nb-3-big-SI_by_name.db"), "later").unwrap();
    let taken = node.take().unwrap();
    let problem = &taken.problems[..];
    assert_eq!((problem.len(), problem[0].kind, taken.tables[0].sstables), (1, Problem::INDEX_INCOMPLETE, 3));
    assert!(problem[0].path.to_escaped().ends_with("/nb-2-big-SAI+aa+GroupComplete.db"), "{problem:?}");
    assert!(problem[0].detail.ends_with("as are 2 more of this table"), "{problem:?}");
}

#[test]
fn a_file_that_nobody_knows_is_in_the_copy_and_told_and_other_things_are_refused() {
    let node = Node::simple();
    fs::write(node.made(0, "ks/users").join("later.json"), "new").unwrap();
    let taken = node.take().unwrap();
    assert_eq!((taken.problems.len(), taken.problems[0].kind), (1, Problem::UNKNOWN_FILE));
    let below = node.live(0, "ks/users").strip_prefix(node.path("data0")).unwrap().join("later.json");
    assert_eq!(fs::read(node.path("copy").join(below)).unwrap(), b"new");
    for act in [
        (|made: &Path| fs::create_dir(made.join("folder"))) as fn(&Path) -> std::io::Result<()>,
        |made| std::os::unix::fs::symlink("/etc/passwd", made.join("nb-7-big-Data.db")),
        |made| fs::create_dir_all(made.join(".index/.index")),
    ] {
        let node = Node::simple();
        act(&node.made(0, "ks/users")).unwrap();
        assert!(node.why().ends_with("is nothing that a snapshot of Cassandra is known to hold"));
    }
}

#[test]
fn a_keyspace_whose_statements_are_not_known_and_names_that_are_paths_are_refused() {
    let mut node = Node::simple();
    node.ddl.clear();
    assert_eq!(node.why(), "the server has not told how the keyspace ks is made");
    let mut node = Node::simple();
    node.schema.keyspaces[0].name = "..".into();
    assert!(matches!(node.take(), Err(Error::Refused { .. })));
}

#[test]
fn a_dead_node_is_an_error_and_a_run_that_is_stopped_ends() {
    let node = Node::simple();
    fs::write(node.path("nodetool"), "echo \"nodetool: Failed to connect to '127.0.0.1:7199'\" >&2; exit 1\n").unwrap();
    let error = node.take().unwrap_err().to_string();
    assert!(
        error.starts_with("cannot ask over JMX for the id of ks of the Cassandra of /") && error.contains("is Cassandra running"),
        "{error}"
    );
    let stopped = Node::simple().with_job(|job| {
        job.stop.request(15);
        let node = Node::simple();
        take(job, &node.looked(), &node.path("copy"), None, &mut || Ok(node.looked()))
    });
    assert!(stopped.is_err());
}
