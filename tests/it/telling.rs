//! What the program tells whoever runs it.

use std::fs;

use serde_json::json;

use crate::support::program::{Machine, text};
use crate::support::tree::{flip, noise, picture};

#[test]
fn diff_prints_nothing_before_it_knows_both_snapshots_and_then_says_which() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    machine.write("a", b"22");
    machine.run(&["backup", "tree"]).expect(0);
    for names in [["tree/latest", "tree/2001"], ["tree/2001", "tree/latest"], ["tree/2", "tree/latest"]] {
        let run = machine.run(&["--json", "diff", names[0], names[1]]);
        assert_eq!(run.expect(6).stdout, "");
    }
    let ids: Vec<String> = machine.listed().into_iter().map(|(id, _)| format!("tree/{id}")).collect();
    let document = machine.json(&["diff", &ids[0], "tree/latest"], 0);
    assert_eq!((&document["before"], &document["after"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(document["summary"]["changed"], json!(1));
}
#[test]
fn the_plan_of_a_restore_tells_its_time_in_seconds_alone() {
    let machine = Machine::initialised();
    machine.write("a", noise(1, 3_000_000));
    machine.run(&["backup", "tree"]).expect(0);
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    let plan = &machine.json(&["restore", "tree", "--dry-run"], 0)["plan"];
    assert!(plan["estimate_seconds"].is_u64() && plan.get("estimate").is_none(), "{plan:#}");
}

#[test]
fn backup_of_nothing_says_what_could_be_backed_up() {
    let machine = Machine::new();
    for command in ["backup", "snapshot"] {
        let run = machine.run(&[command]);
        assert!(run.expect(2).stderr.contains("name sources, or say --all for all of them: tree"), "{run:#?}");
    }
}

#[test]
fn a_source_without_a_local_copy_has_nothing_to_ship() {
    let machine = Machine::initialised();
    let named = machine.run(&["ship", "tree"]);
    assert!(named.expect(6).stderr.contains("there is no local copy of `tree` to ship"), "{named:#?}");
    let all = machine.run(&["ship"]);
    assert!(all.expect(0).stderr.contains("there is no local copy of `tree` to ship"), "{all:#?}");
    machine.run(&["backup", "tree"]).expect(0);
    let again = machine.run(&["ship", "tree"]);
    assert!(again.expect(0).stderr.contains("everything is in the repository already"), "{again:#?}");
}
#[test]
fn init_makes_no_repository_for_a_machine_that_cannot_keep_its_identity() {
    let machine = Machine::new();
    // Also root cannot make a folder in a file.
    fs::write(machine.path("local"), b"in the way").unwrap();
    let run = machine.run(&["init"]);
    assert!(run.expect(1).stderr.contains(machine.path("local").to_str().unwrap()), "{run:#?}");
    assert_eq!(fs::read_dir(machine.path("bucket")).unwrap().count(), 0, "{run:#?}");
}

#[test]
fn status_names_a_repository_that_is_gone_once() {
    let machine = Machine::initialised();
    machine.run(&["backup", "tree"]).expect(0);
    fs::rename(machine.path("bucket"), machine.path("gone")).unwrap();
    let status = machine.run(&["status"]);
    let said = &status.expect(7).stdout;
    assert!(said.contains("repository not opened") && said.matches("the repository's folder").count() == 1, "{said}");
    assert!(!said.contains("repository the repository"), "{said}");
}

#[test]
fn status_says_what_mends_a_damaged_copy_and_it_does() {
    let machine = Machine::initialised();
    machine.write("a", noise(1, 3000));
    machine.run(&["backup", "tree"]).expect(0);
    let id = machine.listed().remove(0).0;
    fs::write(machine.path(format!("local/tree/{id}/data/a")), noise(2, 3000)).unwrap();
    let verify = machine.run(&["verify"]);
    assert!(verify.expect(4).stderr.contains("`windlass heal`"), "{verify:#?}");
    let status = machine.run(&["status"]);
    let said = &status.expect(7).stdout;
    assert!(said.contains(&format!("`windlass heal tree/{id}` makes it anew")), "{said}");
    let heal = machine.run(&["heal", &format!("tree/{id}"), "--json"]);
    assert!(heal.expect(0).stdout.contains("\"schema\":\"windlass.heal/1\""), "{heal:#?}");
    machine.run(&["verify"]).expect(0);
    machine.run(&["status"]).expect(0);
    fs::write(machine.path(format!("local/tree/{id}/data/a")), noise(2, 3000)).unwrap();
    let both = machine.run(&["verify", "--heal"]);
    assert!(both.expect(0).stdout.contains("1 file, 2.9 KiB written anew"), "{both:#?}");
    assert!(machine.run(&["heal"]).expect(0).stderr.contains("no damage is known"));
}

#[test]
fn whoever_asks_for_a_node_that_is_not_there_is_told_which_are() {
    let machine = Machine::initialised();
    machine.run(&["backup", "tree"]).expect(0);
    fs::create_dir(machine.path("bucket/lost+found")).unwrap();
    for command in [&["list"][..], &["verify"], &["show", "tree/latest"]] {
        let run = machine.run(&[command, &["--node", "node-2"]].concat());
        assert!(run.expect(6).stderr.contains("knows no node `node-2`; it knows: node-1"), "{run:#?}");
        assert!(!run.stderr.contains("lost+found"));
    }
}
#[test]
fn strangers_at_the_root_of_the_repository_are_named() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    fs::write(machine.path("bucket/foo.txt"), b"x").unwrap();
    for folder in ["Holiday Photos/2026", "node-2", "probe"] {
        fs::create_dir_all(machine.path("bucket").join(folder)).unwrap();
        fs::write(machine.path("bucket").join(folder).join("x"), b"x").unwrap();
    }
    for level in ["--quick", "--full"] {
        let document = machine.json(&["verify", level], 3);
        assert_eq!(document["unexpected"], json!(["Holiday Photos/", "foo.txt"]), "{document:#}");
    }
    // Of a snapshot alone nothing else is asked.
    machine.run(&["verify", "tree/latest"]).expect(0);
}
#[test]
fn quiet_leaves_data_warnings_and_errors_and_nothing_else() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    let to = machine.path("to");
    for command in [
        &["init"][..],
        &["backup", "tree"],
        &["snapshot", "--all"],
        &["ship"],
        &["verify"],
        &["fetch", "tree/latest", "--to", to.to_str().unwrap()],
        &["restore", "tree", "--yes"],
        &["restore", "tree", "--undo", "--yes"],
        &["forget", "tree/latest", "--yes"],
    ] {
        assert_eq!(machine.run(&[&["-q"], command].concat()).expect(0).said(), "", "{command:?}");
    }
    assert_eq!(machine.run(&["-q", "cat", "tree/latest", "a"]).expect(0).stdout, "1");
    for command in
        [&["list"][..], &["status"], &["show", "tree/latest"], &["snapshot", "tree", "--dry-run"], &["restore", "tree", "--dry-run"]]
    {
        let run = machine.run(&[&["-q"], command].concat());
        assert!(!run.expect(0).stdout.is_empty() && run.stderr.is_empty(), "{run:#?}");
    }
    fs::remove_dir_all(machine.path("bucket/node-1/packs")).unwrap();
    let damaged = machine.run(&["-q", "verify", "--quick"]);
    assert!(damaged.expect(4).stdout.contains("it is missing") && damaged.stderr.is_empty(), "{damaged:#?}");
}

#[test]
fn a_copy_that_waits_for_another_shipment_is_partly_done_and_says_who_ships() {
    use std::io::Write;
    let machine = Machine::initialised();
    machine.write("a", b"1");
    let path = machine.path("local/.windlass/locks/@shipping.lock");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut lock = fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    lock.write_all(b"`ship other`, process 4711, since 2026-11-23T02:00:00Z").unwrap();
    let run = machine.run(&["backup", "tree"]);
    assert!(run.expect(3).stderr.contains("`ship other`, process 4711"), "{run:#?}");
    assert!(run.stderr.contains("the next run ships it"), "{run:#?}");
    assert_eq!(machine.listed().len(), 1);
    // Nothing at all was done here.
    machine.run(&["ship", "tree"]).expect(5);
}

#[test]
fn one_copy_that_cannot_be_shipped_does_not_keep_the_others_back() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["snapshot", "tree"]).expect(0);
    machine.write("a", b"22");
    machine.run(&["snapshot", "tree"]).expect(0);
    let ids: Vec<String> = machine.listed().into_iter().map(|(id, _)| id).collect();
    // More facts than a blob holds: this copy can never be shipped.
    let record = machine.path(format!("local/tree/{}/snapshot.json", ids[0]));
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    document["facts"]["much"] = json!("x".repeat(2 << 20));
    fs::write(&record, document.to_string()).unwrap();
    let run = machine.run(&["--json", "ship", "tree"]);
    let document = run.expect(3).document();
    assert_eq!((document["snapshots"].as_array().unwrap().len(), &document["snapshots"][0]["id"]), (1, &json!(ids[1])), "{document:#}");
    assert!(text(&document["failed"][0]["error"]).contains("facts"), "{document:#}");
    assert_eq!(document["failed"][0]["id"], json!(ids[0]));
    let backup = machine.json(&["backup", "tree"], 3);
    assert_eq!((&backup["snapshots"][0]["where"], &backup["not_shipped"][0]["id"]), (&json!("both"), &json!(ids[0])), "{backup:#}");
}
#[test]
fn a_fetch_removes_what_an_earlier_one_to_the_same_folder_has_left() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    let left = machine.path(".to.windlass-partial-0123abcd");
    let foreign = [".to.windlass-partial-notes", ".other.windlass-partial-0123abcd"].map(|name| machine.path(name));
    let busy = machine.path(".to.windlass-partial-76543210");
    for folder in [&left, &busy, &foreign[0], &foreign[1]] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("half"), b"1").unwrap();
    }
    // Another fetch fills this one.
    let held = fs::File::open(&busy).unwrap();
    held.lock().unwrap();
    let to = machine.path("to");
    machine.run(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]).expect(0);
    assert!(!left.exists() && busy.exists() && foreign.iter().all(|folder| folder.exists()));
    assert_eq!(fs::read(to.join("a")).unwrap(), b"1");
    fs::remove_dir_all(&to).unwrap();
    drop(held);
    machine.run(&["fetch", "tree/latest", "--to", to.to_str().unwrap()]).expect(0);
    assert!(!busy.exists());
}
/// Files of the repository below this folder whose names end like this.
fn stored(machine: &Machine, below: &str, end: &str) -> Vec<std::path::PathBuf> {
    let root = machine.path("bucket/node-1").join(below);
    let mut found: Vec<_> = picture(&root).into_keys().filter(|path| path.ends_with(end)).map(|path| root.join(path)).collect();
    found.sort();
    found
}

#[test]
fn what_is_known_to_be_damaged_shows_in_show_and_damaged_manifests_in_list() {
    let machine = Machine::initialised();
    machine.write("a", noise(1, 300_000));
    machine.run(&["backup", "tree"]).expect(0);
    let pack = stored(&machine, "packs", ".tar.zst").remove(0);
    let sound = fs::read(&pack).unwrap();
    flip(&pack);
    machine.run(&["verify"]).expect(4);
    let name = pack.file_name().unwrap().to_str().unwrap();
    let shown = machine.run(&["show", "tree/latest"]);
    assert!(shown.expect(4).stdout.contains(name), "{shown:#?}");
    assert!(machine.json(&["show", "tree/latest"], 4)["known_damage"][0].as_str().unwrap().contains(name));
    fs::write(&pack, sound).unwrap();
    machine.run(&["verify"]).expect(0);
    assert_eq!(machine.json(&["show", "tree/latest"], 0)["known_damage"], json!([]));

    let body = stored(&machine, "manifests", ".body.jsonl").remove(0);
    flip(&body);
    // Its length is right, so only a verification can find it.
    machine.run(&["list"]).expect(0);
    machine.run(&["verify", "--quick"]).expect(4);
    let list = machine.json(&["list"], 4);
    let problems = list["snapshots"][0]["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| text(&problem["kind"]) == "damaged manifest"), "{list:#}");
}

#[test]
fn a_copy_that_goes_without_ever_having_been_shipped_is_named() {
    let machine = Machine::initialised();
    machine.write("a", noise(1, 3000));
    machine.run(&["backup", "tree"]).expect(0);
    fs::rename(machine.path("bucket"), machine.path("gone")).unwrap();
    let runs: Vec<_> = (0..5).map(|_| machine.run(&["backup", "tree"])).collect();
    let warned = |run: &crate::support::program::Run| run.expect(3).stderr.contains("and it was never shipped");
    assert!(!runs[..4].iter().any(warned), "the first one was shipped: {runs:#?}");
    assert!(warned(&runs[4]), "{runs:#?}");
}

#[test]
fn an_undo_whose_files_somebody_took_away_is_not_promised() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    machine.write("b", b"2");
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    assert!(machine.run(&["list"]).expect(0).stdout.contains("puts back what was there before"));
    fs::rename(machine.path(".tree.windlass-undo"), machine.path("taken-away")).unwrap();
    let list = machine.run(&["list"]);
    assert!(list.expect(0).stdout.contains("had set aside is gone from"), "{list:#?}");
    for how in ["--dry-run", "--yes"] {
        let undo = machine.run(&["restore", "tree", "--undo", how]);
        assert!(undo.expect(6).stderr.contains("nothing can be put back"), "{undo:#?}");
    }
    assert!(machine.path("tree/a").exists());
}
