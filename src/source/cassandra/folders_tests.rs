use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn what_lies_aside_of_a_commit_log_is_no_sign_of_a_node_that_has_run() {
    let temp = tempfile::tempdir().unwrap();
    let path = |below: &str| temp.path().join(below);
    fs::create_dir_all(path("data")).unwrap();
    let text = format!(
        "partitioner: Murmur3Partitioner\ndata_file_directories: [{}]\ncommitlog_directory: {}\n",
        path("data").display(),
        path("commitlog").display()
    );
    fs::write(path("cassandra.yaml"), text).unwrap();
    let config = NodeConfig::read(&path("cassandra.yaml")).unwrap();
    assert!(!has_ever_run(&config).unwrap());
    fs::create_dir_all(path("commitlog/.windlass-undo/homestead")).unwrap();
    fs::write(path("commitlog/notes.txt"), "").unwrap();
    fs::create_dir_all(path(&format!("data/system/local-{ID}"))).unwrap();
    assert!(!has_ever_run(&config).unwrap(), "nothing of it is the node's");
    fs::write(path("commitlog/CommitLog-7-1.log"), "").unwrap();
    assert!(has_ever_run(&config).unwrap(), "what it knows of itself is in its commit log still");
    fs::remove_file(path("commitlog/CommitLog-7-1.log")).unwrap();
    fs::write(path(&format!("data/system/local-{ID}/nb-1-big-Data.db")), "").unwrap();
    assert!(has_ever_run(&config).unwrap());
    fs::remove_dir_all(path("data/system")).unwrap();
    fs::write(path("commitlog/CommitLog-7-1.log"), "").unwrap();
    assert!(!has_ever_run(&config).unwrap(), "without tables it is somebody else's commit log");
}
