//! The commands about keys, and identity files as people and `age-keygen` write them, with the real program.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::program::{Machine, Run};

/// An encrypted machine that has backed up once; its identity is in `windlass.key`, and not in the configuration.
fn encrypted() -> (Machine, String) {
    let machine = Machine::new();
    let key = machine.path("windlass.key");
    let line = machine.run(&["-q", "key", "new", "--output", key.to_str().unwrap()]).stdout.trim().to_owned();
    configure(&machine, &line);
    machine.write("a", b"the bytes");
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "tree"]).expect(0);
    (machine, line)
}

fn configure(machine: &Machine, lines: &str) {
    machine.configure(&format!("url = \"file://{}\"\n{lines}", machine.path("bucket").display()), "");
}

fn fetch(machine: &Machine, arguments: &[&str]) -> Run {
    for folder in ["fetched", "local/tree"] {
        // The local copy would need no identity.
        let _ = fs::remove_dir_all(machine.path(folder));
    }
    let to = machine.path("fetched");
    machine.run(&[arguments, &["fetch", "tree/latest", "--to", to.to_str().unwrap()]].concat())
}

/// The program with this text on its standard input.
fn with_input(machine: &Machine, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = machine.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

fn recipient(line: &str) -> &str {
    line.split('"').nth(1).unwrap()
}

#[test]
fn a_new_identity_is_its_owners_alone_and_never_replaces_a_file() {
    let machine = Machine::new();
    let key = machine.path("windlass.key");
    let path = key.to_str().unwrap();
    let run = machine.run(&["key", "new", "--output", path]);
    run.expect(0);
    let text = fs::read_to_string(&key).unwrap();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    assert_eq!(run.stdout, format!("encrypt_to = [\"{recipient}\"]\n"));
    assert!(!run.stdout.contains("SECRET") && !run.stderr.contains("SECRET"));
    machine.run(&["key", "new", "--output", path]).expect(1);
    assert_eq!(fs::read_to_string(&key).unwrap(), text, "the identity that was there is untouched");
    let made = machine.json(&["key", "new", "--output", machine.path("second.key").to_str().unwrap()], 0);
    assert!(made["recipient"].as_str().unwrap().starts_with("age1"));
    machine.run(&["--json", "key", "new"]).expect(2);
    assert!(machine.run(&["key", "new"]).stdout.contains("AGE-SECRET-KEY-1"));
}

#[test]
fn key_check_proves_the_identity_and_names_who_else_can_open() {
    let (machine, line) = encrypted();
    let key = machine.path("windlass.key");
    let key = key.to_str().unwrap();
    let run = machine.run(&["--identity-file", key, "key", "check"]);
    run.expect(0);
    assert!(run.stdout.contains(&format!("opens with {}", recipient(&line))), "{}", run.stdout);
    let without = machine.run(&["key", "check"]);
    without.expect(2);
    assert!(without.stderr.contains("--identity-file"), "{}", without.stderr);
    let other = machine.path("other.key");
    machine.run(&["key", "new", "-o", other.to_str().unwrap()]).expect(0);
    let wrong = machine.run(&["--identity-file", other.to_str().unwrap(), "key", "check"]);
    wrong.expect(2);
    assert!(wrong.stdout.contains("does not open") && wrong.stdout.contains(recipient(&line)), "{}", wrong.stdout);
    let rows = machine.json(&["--identity-file", key, "key", "check"], 0);
    assert_eq!(rows["snapshots"][0]["opened_by"][0], recipient(&line));
}

#[test]
fn an_identity_comes_from_a_file_from_standard_input_or_from_the_configuration() {
    let (machine, line) = encrypted();
    let refused = fetch(&machine, &[]);
    refused.expect(2);
    assert!(refused.stderr.contains(recipient(&line)) && refused.stderr.contains("--identity-file"), "{}", refused.stderr);
    assert!(!machine.path("fetched").exists());
    let key = machine.path("windlass.key");
    fetch(&machine, &["--identity-file", key.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(machine.path("fetched/a")).unwrap(), b"the bytes");
    let to = machine.path("by-input");
    let arguments = ["--identity-file", "-", "fetch", "tree/latest", "--to", to.to_str().unwrap()];
    with_input(&machine, &arguments, &fs::read(&key).unwrap()).expect(0);
    assert_eq!(fs::read(to.join("a")).unwrap(), b"the bytes");
    // No configuration at all, as on a fresh machine.
    let url = format!("file://{}", machine.path("bucket").display());
    let to = machine.path("bare");
    let mut bare = Command::new(env!("CARGO_BIN_EXE_windlass"));
    bare.args(["--repository", &url, "--identity-file", key.to_str().unwrap(), "fetch", "--node", "node-1", "tree/latest", "--to"])
        .arg(&to);
    Run::of(bare.output().unwrap()).expect(0);
    assert_eq!(fs::read(to.join("a")).unwrap(), b"the bytes");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    configure(&machine, &format!("{line}\nidentity_file = \"{}\"", key.display()));
    let open = fetch(&machine, &[]);
    open.expect(0);
    assert!(open.stderr.contains("can be read by others"), "{}", open.stderr);
    let shown = machine.run(&["config", "show"]);
    assert!(shown.stdout.contains(recipient(&line)) && !shown.stdout.contains("SECRET"), "{}", shown.stdout);
}

#[test]
fn a_protected_identity_opens_with_the_passphrase_of_the_configuration() {
    let machine = Machine::new();
    let (key, passphrase) = (machine.path("windlass.key"), machine.path("passphrase"));
    fs::write(&passphrase, "correct horse battery\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let new = machine.run(&["-q", "key", "new", "--passphrase-file", passphrase.to_str().unwrap(), "-o", key.to_str().unwrap()]);
    new.expect(0);
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    let configured = |how: &str| configure(&machine, &format!("{}\nidentity_file = \"{}\"\n{how}", new.stdout, key.display()));
    configured("");
    machine.write("a", b"the bytes");
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "tree"]).expect(0);
    // The tests have no terminal.
    let nobody = fetch(&machine, &[]);
    nobody.expect(2);
    assert!(nobody.stderr.contains("identity_passphrase_file"), "{}", nobody.stderr);
    configured("identity_passphrase = \"wrong\"");
    let wrong = fetch(&machine, &[]);
    wrong.expect(2);
    assert!(wrong.stderr.contains("passphrase is not the one"), "{}", wrong.stderr);
    configured(&format!("identity_passphrase_file = \"{}\"", passphrase.display()));
    fetch(&machine, &[]).expect(0);
    assert_eq!(fs::read(machine.path("fetched/a")).unwrap(), b"the bytes");
}

#[test]
fn the_file_that_made_a_protected_identity_opens_it_whatever_follows_its_first_line() {
    let machine = Machine::new();
    let (key, passphrase) = (machine.path("windlass.key"), machine.path("passphrase"));
    fs::write(&passphrase, "correct horse battery\r\nof the office\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o644)).unwrap();
    let make =
        |to: &Path| machine.run(&["-q", "key", "new", "--passphrase-file", passphrase.to_str().unwrap(), "-o", to.to_str().unwrap()]);
    let new = make(&key);
    new.expect(0);
    assert!(new.stderr.contains("can be read by every user"), "{}", new.stderr);
    let with = format!("{}\nidentity_file = \"{}\"\nidentity_passphrase_file = \"{}\"", new.stdout, key.display(), passphrase.display());
    configure(&machine, &with);
    machine.write("a", b"the bytes");
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "tree"]).expect(0);
    fetch(&machine, &[]).expect(0);
    // What is wrong with the passphrase is said by whatever would have needed it.
    configure(&machine, &format!("{}\nidentity_file = \"{}\"\nidentity_passphrase = \"wrong\"", new.stdout, key.display()));
    let show = machine.run(&["show", "tree/latest"]);
    show.expect(2);
    assert!(show.stderr.contains("passphrase is not the one"), "{}", show.stderr);
    fs::write(&passphrase, "x".repeat(1 << 20)).unwrap();
    let refused = make(&machine.path("second.key"));
    assert!(refused.code != Some(0) && refused.stderr.contains("too long"), "{refused:?}");
    assert!(!machine.path("second.key").exists());
}

#[test]
fn a_passphrase_that_cannot_be_had_stops_only_what_has_to_open_something() {
    let machine = Machine::new();
    let (key, passphrase) = (machine.path("windlass.key"), machine.path("passphrase"));
    fs::write(&passphrase, "correct horse battery\n").unwrap();
    let new = machine.run(&["-q", "key", "new", "--passphrase-file", passphrase.to_str().unwrap(), "-o", key.to_str().unwrap()]);
    let with = format!("{}\nidentity_file = \"{}\"\nidentity_passphrase_file = \"{}\"", new.stdout, key.display(), passphrase.display());
    configure(&machine, &with);
    machine.write("a", b"the bytes");
    fs::remove_file(&passphrase).unwrap();
    for command in [&["init"][..], &["backup", "tree"], &["list"], &["status"], &["verify", "--quick"]] {
        machine.run(command).expect(0);
    }
    // It may as well be that of an identity which is named on the command line alone.
    configure(&machine, &format!("{}\nidentity_passphrase = \"correct horse battery\"", new.stdout));
    machine.run(&["--identity-file", key.to_str().unwrap(), "key", "check"]).expect(0);
    configure(&machine, &with);
    let check = machine.run(&["config", "check"]);
    assert!(check.expect(0).stderr.contains("identity_passphrase_file") && check.stderr.contains("cannot be read"), "{check:#?}");
    let fetch = fetch(&machine, &[]);
    assert!(fetch.expect(2).stderr.contains("identity_passphrase_file") && fetch.stderr.contains("cannot be read"), "{fetch:#?}");
}

#[test]
fn verify_with_an_identity_that_opens_nothing_says_so_however_quiet_it_is() {
    let (machine, _) = encrypted();
    let other = machine.path("other.key");
    machine.run(&["-q", "key", "new", "--output", other.to_str().unwrap()]).expect(0);
    let verify = machine.run(&["-q", "--identity-file", other.to_str().unwrap(), "verify", "--full"]);
    assert!(verify.expect(0).stderr.contains("sealed to recipients whose identities are not in the identity file"), "{verify:#?}");
    let right = machine.run(&["-q", "--identity-file", machine.path("windlass.key").to_str().unwrap(), "verify", "--full"]);
    assert_eq!(right.expect(0).stderr, "");
}

#[test]
fn a_new_identity_needs_no_hard_links_and_is_whole_or_not_there() {
    let machine = Machine::new();
    let key = machine.path("windlass.key");
    let new = ["key", "new", "-o", key.to_str().unwrap()];
    // As on a memory stick with a file system of old.
    machine.under_strace(&["-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM"], &new).expect(0);
    assert!(fs::read_to_string(&key).unwrap().contains("AGE-SECRET-KEY-1"));
    fs::remove_file(&key).unwrap();
    for call in ["fsync", "write"] {
        // Only what is written to this file fails, not what is said.
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=ENOSPC"));
        let run = machine.under_strace(&["-P", key.to_str().unwrap(), "-e", &trace, "-e", &inject], &new);
        assert!(run.code != Some(0) && !key.exists(), "{call}: {run:?}");
    }
}

#[test]
fn key_check_names_a_newest_snapshot_that_damage_hides() {
    let (machine, _) = encrypted();
    let key = machine.path("windlass.key");
    let check = ["--identity-file", key.to_str().unwrap(), "key", "check"];
    let heads = || -> Vec<_> {
        let folder = fs::read_dir(machine.path("bucket/node-1/manifests/tree")).unwrap().map(|entry| entry.unwrap().path());
        let mut heads: Vec<_> = folder.filter(|path| path.to_str().unwrap().ends_with(".1.json")).collect();
        heads.sort();
        heads
    };
    let first = heads();
    machine.write("a", b"later bytes");
    machine.run(&["backup", "tree"]).expect(0);
    let newest = heads().into_iter().find(|head| !first.contains(head)).unwrap();
    fs::write(&newest, b"{}").unwrap();
    fs::remove_dir_all(machine.path("local/.windlass/heads")).unwrap();
    let rows = machine.json(&check, 4);
    let rows = rows["snapshots"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["problem"]), (2, &serde_json::Value::Null), "{rows:?}");
    let name = newest.file_name().unwrap().to_str().unwrap();
    assert!(rows[1]["problem"].as_str().unwrap().contains(name) && name.starts_with(rows[1]["id"].as_str().unwrap()), "{rows:?}");
    // A source that nothing else is known of.
    fs::write(&first[0], b"{}").unwrap();
    let run = machine.run(&check);
    run.expect(4);
    assert!(run.stdout.contains(name), "{run:?}");
}

#[test]
fn without_the_identity_verify_says_which_level_it_reached_and_why() {
    let (machine, _) = encrypted();
    let run = machine.run(&["verify", "--full"]);
    run.expect(0);
    assert!(run.stdout.contains("level stored") && run.stderr.contains("no identity"), "{}{}", run.stdout, run.stderr);
    let verified = machine.json(&["verify", "--full"], 0);
    assert_eq!(verified["checked"]["level"], "stored");
    machine.run(&["list"]).expect(0);
    machine.run(&["status"]).expect(0);
    // What is local comes back without a key.
    machine.write("a", b"lost");
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    assert_eq!(fs::read(machine.path("tree/a")).unwrap(), b"the bytes");
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused_before_anything_is_done() {
    let machine = Machine::initialised();
    for (lines, says) in [
        ("encrypt_to = []", "names nobody"),
        ("encrypt_to = [\"age1pq1xyz\"]", "post-quantum"),
        ("encrypt_to = [\"ssh-ed25519 AAAA\"]", "SSH keys are not supported"),
        ("encrypt_to = [\"AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\"]", "secret identity"),
    ] {
        configure(&machine, lines);
        let run = machine.run(&["backup", "tree"]);
        run.expect(2);
        assert!(run.stderr.contains(says) && !run.stderr.contains("GQ9778"), "{}", run.stderr);
    }
    configure(&machine, "encrypt_to = [\"age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa\"]");
    let run = machine.run(&["ship", "tree"]);
    run.expect(2);
    assert!(run.stderr.contains("the repository is not encrypted"), "{}", run.stderr);
}
