//! The program as a script sees it: exit codes, documents, and what it leaves alone.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::program::{Machine, Run, text};
use crate::support::tree::{Picture, assert_same, flip, noise, picture};

/// The fields of a snapshot in every document.
const SNAPSHOT: [&str; 11] = ["id", "node", "source", "kind", "time", "where", "files", "bytes", "stored_bytes", "added_bytes", "problems"];

fn backed_up() -> Machine {
    let machine = Machine::initialised();
    machine.write("a", noise(1, 300_000));
    machine.write("b/c", b"small");
    machine.run(&["backup", "tree"]).expect(0);
    machine
}

/// The pack that holds everything of [`backed_up`].
fn a_pack(machine: &Machine) -> std::path::PathBuf {
    let shard = fs::read_dir(machine.path("bucket/node-1/packs")).unwrap().next().unwrap().unwrap().path();
    fs::read_dir(shard).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn what_is_done_exits_0() {
    let machine = Machine::new();
    machine.write("a", b"1");
    for command in [
        &["init"][..],
        &["init"],
        &["backup", "--all"],
        &["snapshot", "tree"],
        &["ship"],
        &["list"],
        &["list", "tree"],
        &["show", "tree/latest", "--files"],
        &["status"],
        &["verify"],
        &["verify", "--full"],
        &["cat", "tree/latest", "a"],
        &["diff", "tree/latest", "tree/latest"],
        &["restore", "tree", "--yes"],
        &["restore", "tree", "--undo", "--yes"],
        &["pin", "tree/latest", "--why", "w"],
        &["unpin", "tree/latest"],
        &["prune", "--yes"],
        &["stats"],
        &["forget", "tree/latest", "--local", "--yes"],
        &["config", "check"],
        &["config", "show"],
        &["config", "example"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ] {
        machine.run(command).expect(0);
    }
    let to = machine.path("to");
    machine.run(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(to.join("a")).unwrap(), b"1");
}

#[test]
fn what_failed_and_changed_nothing_exits_1() {
    let machine = backed_up();
    fs::rename(machine.path("tree"), machine.path("elsewhere")).unwrap();
    let run = machine.run(&["backup", "tree"]);
    run.expect(1);
    assert!(run.stderr.contains(machine.path("tree").to_str().unwrap()), "{run:#?}");
    assert_eq!(machine.listed().len(), 1);
    // A folder that holds something is never fetched into.
    machine.run(&["fetch", "tree/latest", "--to", machine.path("elsewhere").to_str().unwrap()]).expect(1);
    // Nor does a folder with other things in it become a repository.
    let other = Machine::new();
    fs::write(other.path("bucket/letters.txt"), b"x").unwrap();
    other.run(&["init"]).expect(1);
    assert!(!other.path("bucket/windlass.json").exists());
}

#[test]
fn a_wrong_command_line_or_configuration_exits_2() {
    let machine = backed_up();
    for command in [&[][..], &["haul"], &["backup"], &["backup", "--all", "tree"], &["list", "--no-such"], &["fetch", "tree/latest"]] {
        machine.run(command).expect(2);
    }
    machine.run(&["show", "../../etc/passwd"]).expect(2);
    machine.run(&["cat", "tree/latest", "../a"]).expect(2);
    machine.configure("url = \"ftp://nowhere\"", "[colour]\nred = 1\n");
    for command in [&["backup", "tree"][..], &["list"], &["config", "check"]] {
        let run = machine.run(command);
        run.expect(2);
        assert!(run.said().contains("url") && run.said().contains("colour"), "{run:#?}");
    }
    fs::remove_file(machine.path("windlass.toml")).unwrap();
    machine.run(&["list"]).expect(2);
}

#[test]
fn a_copy_that_could_not_be_shipped_exits_3_and_is_there() {
    let machine = backed_up();
    fs::rename(machine.path("bucket"), machine.path("gone")).unwrap();
    let run = machine.run(&["--json", "backup", "tree"]);
    run.expect(3);
    let document = run.document();
    assert_eq!((&document["snapshots"][0]["where"], &document["not_shipped"][0]["source"]), (&json!("local"), &json!("tree")));
    fs::rename(machine.path("gone"), machine.path("bucket")).unwrap();
    let shipped = machine.json(&["ship"], 0);
    assert_eq!(shipped["snapshots"][0]["id"], document["snapshots"][0]["id"]);
    assert!(machine.listed().iter().all(|(_, place)| place == "both"));
}

#[test]
fn of_several_sources_one_that_fails_makes_it_partly_done() {
    let machine = Machine::new();
    let machine = machine.configured("[directory.gone]\npath = \"/nonexistent/windlass\"\n");
    machine.run(&["init"]).expect(0);
    let document = machine.json(&["backup", "--all"], 3);
    assert_eq!((&document["snapshots"][0]["source"], &document["failed"][0]["source"]), (&json!("tree"), &json!("gone")));
}

#[test]
fn damage_exits_4_and_names_the_object() {
    let machine = backed_up();
    let pack = a_pack(&machine);
    flip(&pack);
    let name = pack.file_name().unwrap().to_str().unwrap();
    let to = machine.path("to");
    // Nothing near that could stand in for the damaged bytes.
    fs::rename(machine.path("local/tree"), machine.path("away")).unwrap();
    let run = machine.run(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]);
    run.expect(4);
    assert!(run.stderr.contains(name) && run.stderr.contains("not given: `a`") && !to.join("a").exists(), "{run:#?}");
    assert_eq!(fs::read(to.join("b/c")).unwrap(), b"small", "what is whole is given");
    fs::remove_dir_all(&to).unwrap();
    let document = machine.json(&["fetch", "tree/latest", "--to", to.to_str().unwrap()], 4);
    assert_eq!((&document["lost"][0]["path"], &document["lost_files"], &document["files"]), (&json!("a"), &json!(1), &json!(1)));
    fs::remove_dir_all(&to).unwrap();
    let document = machine.json(&["verify", "--full"], 4);
    assert!(document["damage"].as_array().unwrap().iter().any(|damage| text(&damage["object"]).contains(name)), "{document:#}");
    // The damage is known now, so the next backup stores the bytes anew.
    machine.run(&["backup", "tree"]).expect(0);
    fs::rename(machine.path("local/tree"), machine.path("away too")).unwrap();
    machine.run(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(to.join("a")).unwrap(), noise(1, 300_000));
}

#[test]
fn damage_that_was_got_around_exits_4_from_every_command_that_hands_out_bytes() {
    let machine = Machine::initialised();
    let content = crate::support::odd::text(300_000);
    machine.write("a", &content);
    machine.run(&["backup", "tree"]).expect(0);
    let copy = fs::read_dir(machine.path("local/tree")).unwrap().next().unwrap().unwrap().path();
    flip(&copy.join("data/a"));
    fs::write(machine.path("tree/a"), b"changed since").unwrap();
    let to = machine.path("to");
    let commands =
        [&["cat", "tree/latest", "a"][..], &["fetch", "tree/latest", "--to", to.to_str().unwrap()], &["restore", "tree", "--yes"]];
    for command in commands {
        let run = machine.run(command);
        run.expect(4);
        assert!(run.stderr.contains("data/a") && run.stderr.contains("from elsewhere"), "{run:#?}");
    }
    for place in ["to/a", "tree/a"] {
        assert_eq!(fs::read(machine.path(place)).unwrap(), content, "{place}");
    }
}

#[test]
fn damage_is_told_once_and_its_object_named_once() {
    let machine = backed_up();
    let manifests = machine.path("bucket/node-1/manifests/tree");
    let head = fs::read_dir(&manifests).unwrap().map(|entry| entry.unwrap().path());
    let head = head.into_iter().find(|path| path.to_str().unwrap().ends_with(".1.json")).unwrap();
    fs::write(&head, b"{").unwrap();
    let name = head.file_name().unwrap().to_str().unwrap();
    machine.run(&["verify"]).expect(4);
    let list = machine.run(&["list"]);
    list.expect(4);
    let status = machine.run(&["status"]);
    status.expect(7);
    assert_eq!((list.stderr.matches(name).count(), status.stdout.matches(name).count()), (1, 1), "{list:#?} {status:#?}");
    assert!(list.stderr.contains("it cannot be read: not the expected JSON"), "{list:#?}");
}

#[test]
fn a_source_that_is_not_configured_is_named_with_those_that_are() {
    let run = backed_up().run(&["restore", "nobody", "--yes"]);
    run.expect(6);
    assert!(run.stderr.contains("there is no source `nobody`; the configuration has: tree"), "{run:#?}");
}

#[test]
fn what_is_not_there_exits_6() {
    let machine = backed_up();
    let to = machine.path("to");
    for command in [
        &["backup", "nobody"][..],
        &["show", "tree/2001"],
        &["fetch", "tree/20010101T000000000Z", "--to", to.to_str().unwrap()],
        &["cat", "tree/latest", "no/such"],
        &["restore", "tree/2001", "--yes"],
        &["restore", "tree", "--undo", "--yes"],
        &["forget", "tree/2001", "--yes"],
        &["pin", "tree/2001"],
        &["prune", "nobody", "--yes"],
        &["stats", "nobody"],
        &["list", "nobody"],
    ] {
        machine.run(command).expect(6);
    }
    Machine::new().run(&["verify"]).expect(6);
    let ship = Machine::new().run(&["ship", "tree"]);
    assert!(ship.expect(1).stderr.contains("run `windlass init`"), "{ship:#?}");
}

#[test]
fn what_is_late_or_was_never_taken_makes_status_exit_7() {
    let machine = Machine::initialised();
    let status = machine.json(&["status"], 7);
    assert!(status["free_bytes"].as_u64().unwrap() > 0, "{status:#}");
    assert_eq!((&status["healthy"], &status["sources"][0]["late"]), (&json!(false), &json!(true)));
    machine.run(&["backup", "tree"]).expect(0);
    assert_eq!(machine.json(&["status"], 0)["healthy"], json!(true));
    let machine = machine.configured("objective = \"1s\"\n");
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert_eq!(machine.json(&["status"], 7)["sources"][0]["late"], json!(true));
}

#[test]
fn every_document_has_its_schema_and_every_snapshot_its_fields() {
    let machine = backed_up();
    let to = machine.path("to");
    let documents = [
        ("list", &["list"][..]),
        ("snapshot", &["snapshot", "tree"]),
        ("ship", &["ship"]),
        ("backup", &["backup", "tree"]),
        ("show", &["show", "tree/latest"]),
        ("status", &["status"]),
        ("status-cluster", &["status", "--cluster"]),
        ("verify", &["verify", "--full"]),
        ("diff", &["diff", "tree/latest", "tree/latest"]),
        ("fetch", &["fetch", "tree/latest", "--to", to.to_str().unwrap()]),
        ("init", &["init"]),
        ("restore", &["restore", "tree", "--yes"]),
        ("restore", &["restore", "tree", "--undo", "--yes"]),
        ("pin", &["pin", "tree/latest", "--why", "w"]),
        ("unpin", &["unpin", "tree/latest"]),
        ("prune", &["prune", "--yes"]),
        ("stats", &["stats"]),
        ("forget", &["forget", "tree/latest", "--yes"]),
        ("config", &["config", "show"]),
    ];
    for (name, command) in documents {
        let run = machine.run(&[&["--json"], command].concat());
        run.expect(0);
        let document = run.document();
        assert_eq!(document["schema"], json!(format!("windlass.{name}/1")));
        run.events();
        for row in document.get("snapshots").and_then(Value::as_array).into_iter().flatten() {
            has_the_fields_of_a_snapshot(row);
        }
        match name {
            "show" => has_the_fields_of_a_snapshot(&document),
            "verify" => {
                let checked = &document["checked"];
                assert!(checked["objects"].is_u64() && checked["bytes"].is_u64() && checked["level"].is_string(), "{document:#}");
                assert_eq!(document["damage"], json!([]));
            }
            _ => {}
        }
    }
}

fn has_the_fields_of_a_snapshot(row: &Value) {
    let fields: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(SNAPSHOT.iter().all(|field| fields.contains(field)), "{row:#}");
    assert!(text(&row["time"]).parse::<jiff::Timestamp>().is_ok());
    assert!(matches!(row["where"].as_str(), Some("local" | "shipped" | "both")), "{row:#}");
}

#[test]
fn errors_are_one_event_with_their_exit_code() {
    let machine = backed_up();
    for (command, code) in [(&["show", "tree/2001"][..], 6), (&["restore", "tree"], 2), (&["backup", "nobody"], 6)] {
        let run = machine.run(&[&["--json"], command].concat());
        run.expect(code);
        let errors: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "error").collect();
        assert_eq!((errors.len(), &errors[0]["exit_code"]), (1, &json!(code)), "{run:#?}");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn an_unreachable_repository_leaves_everything_local_working() {
    let machine = backed_up();
    // Nothing listens on port 1.
    machine.configure("url = \"s3://bucket/some\"\nendpoint = \"http://127.0.0.1:1\"\nallow_http = true\nregion = \"here\"", "");
    let list = machine.json(&["list"], 3);
    assert_eq!((list["snapshots"].as_array().unwrap().len(), &list["snapshots"][0]["where"]), (1, &json!("local")));
    assert!(list["unreachable"].is_string());
    machine.run(&["snapshot", "tree"]).expect(0);
    let to = machine.path("to");
    machine.run(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]).expect(0);
    machine.write("a", b"changed");
    machine.run(&["restore", "tree", "--from", "local", "--yes"]).expect(0);
    assert_eq!(fs::read(machine.path("tree/a")).unwrap(), noise(1, 300_000));
    machine.run(&["restore", "tree", "--undo", "--yes"]).expect(0);
    assert_eq!(fs::read(machine.path("tree/a")).unwrap(), b"changed");
    // What is local was proven and the repository was not.
    let verified = machine.json(&["verify"], 3);
    assert!(verified["unreachable"].is_string() && verified["local_copies"] == json!(2), "{verified:#}");
}

/// All that a machine has, but for locks, which every run takes.
fn everything(machine: &Machine) -> Picture {
    let mut picture = picture(machine.temp.path());
    picture.retain(|path, _| !path.starts_with("local/.windlass/locks"));
    picture
}

#[test]
fn without_a_terminal_nothing_is_destroyed_unless_it_was_confirmed() {
    let machine = backed_up();
    machine.write("a", b"changed since");
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    let before = everything(&machine);
    for command in [&["restore", "tree"][..], &["restore", "tree", "--undo"], &["forget", "tree/latest", "--local"], &["prune"]] {
        let run = machine.run(command);
        run.expect(2);
        assert!(run.stderr.contains("--yes"), "{run:#?}");
        assert_same(&before, &everything(&machine));
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let machine = backed_up();
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    machine.write("a", b"changed since");
    machine.run(&["snapshot", "tree"]).expect(0);
    let before = everything(&machine);
    let to = machine.path("to");
    for command in [
        &["init"][..],
        &["snapshot", "tree"],
        &["ship"],
        &["backup", "--all"],
        &["fetch", "tree/latest", "--to", to.to_str().unwrap()],
        &["restore", "tree"],
        &["restore", "tree", "--from", "repository"],
        &["restore", "tree", "--undo"],
        &["forget", "tree/latest"],
        &["prune"],
    ] {
        machine.run(&[command, &["--dry-run"]].concat()).expect(0);
        assert_same(&before, &everything(&machine));
    }
    let fresh = Machine::new();
    fresh.run(&["init", "--dry-run"]).expect(0);
    assert_eq!(fs::read_dir(fresh.path("bucket")).unwrap().count(), 0);
}

#[test]
fn data_goes_to_standard_output_and_nothing_is_painted_without_a_terminal() {
    let machine = backed_up();
    let cat = machine.run(&["-v", "cat", "tree/latest", "b/c"]);
    assert_eq!(cat.expect(0).stdout, "small");
    let runs: [Run; 3] = [machine.run(&["-v", "backup", "tree"]), machine.run(&["list"]), machine.run(&["verify", "--full"])];
    for run in runs {
        assert!(!run.expect(0).said().contains(['\u{1b}', '\r']), "{run:#?}");
    }
    assert_eq!(machine.run(&["-q", "backup", "tree"]).expect(0).stderr, "");
}
