use std::fs;
use std::time::Duration;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn config(folder: &std::path::Path) -> NodeConfig {
    let path = |below: &str| folder.join(below).display().to_string();
    let text = format!(
        "partitioner: Murmur3Partitioner\ndata_file_directories: [{}, {}]\ncommitlog_directory: {}\nhints_directory: {}\ncdc_raw_directory: {}\n",
        path("data"),
        path("data2"),
        path("commitlog"),
        path("hints"),
        path("cdc_raw")
    );
    fs::write(path("cassandra.yaml"), text).unwrap();
    NodeConfig::read(path("cassandra.yaml").as_ref()).unwrap()
}

#[test]
fn what_lies_aside_of_a_commit_log_is_no_sign_of_a_node_that_has_run() {
    let temp = tempfile::tempdir().unwrap();
    let path = |below: &str| temp.path().join(below);
    let config = config(temp.path());
    assert!(!has_ever_run(&config).unwrap(), "directories that are not there hold nothing");
    fs::create_dir_all(path("data")).unwrap();
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

#[test]
fn rows_and_writes_that_only_another_node_can_have_left_are_found() {
    let temp = tempfile::tempdir().unwrap();
    let path = |below: &str| temp.path().join(below);
    let config = config(temp.path());
    assert_eq!(remains(&config, None).unwrap(), None);
    // What a first start that was broken off has made, and what is ours.
    fs::create_dir_all(path(&format!("data/system/local-{ID}"))).unwrap();
    fs::create_dir_all(path("data/lost+found")).unwrap();
    fs::create_dir_all(path(&format!("data/.windlass/t-{ID}"))).unwrap();
    fs::write(path(&format!("data/.windlass/t-{ID}/nb-1-big-Data.db")), "").unwrap();
    fs::create_dir_all(path("commitlog/.windlass-undo")).unwrap();
    assert_eq!(remains(&config, None).unwrap(), None);
    for file in [
        &format!("data2/homestead/impi-{ID}/nb-1-big-Data.db"),
        "commitlog/CommitLog-7-1.log",
        "hints/a-1-2.hints",
        "cdc_raw/CommitLog-7-1.log",
    ] {
        fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        fs::write(path(file), "").unwrap();
        assert_eq!(remains(&config, None).unwrap(), Some(path(file)));
        fs::remove_file(path(file)).unwrap();
    }
}

#[test]
fn a_commit_log_that_a_first_start_has_left_is_its_own_and_an_older_one_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let path = |below: &str| temp.path().join(below);
    let config = config(temp.path());
    fs::create_dir_all(path("commitlog")).unwrap();
    fs::write(path("commitlog/CommitLog-8-1.log"), "").unwrap();
    let came = fs::metadata(path("commitlog/CommitLog-8-1.log")).unwrap().modified().unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(remains(&config, Some(came - second)).unwrap(), None);
    assert_eq!(remains(&config, Some(came + second)).unwrap(), Some(path("commitlog/CommitLog-8-1.log")));
    // Hints and rows are none of a start that has failed.
    fs::create_dir_all(path("hints")).unwrap();
    fs::write(path("hints/a-1-2.hints"), "").unwrap();
    assert_eq!(remains(&config, Some(came - second)).unwrap(), Some(path("hints/a-1-2.hints")));
}
