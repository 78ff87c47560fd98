//! No secret leaves the configuration: not by output, error, log, process list, or what is written anywhere.

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use windlass::repository::Repository;
use windlass::sys::environment::FixedEnvironment;

use crate::support::program::{Machine, Run};
use crate::support::servers::{ACCESS_KEY, Make, REGION, SECRET_KEY, Server};
use crate::support::tools;
use crate::support::tree::noise;

/// A secret that no server takes.
const WRONG: &str = "hunter2-is-not-the-secret";

/// Watches what every user of the machine can see of all processes, until it is dropped.
struct ProcessList<'a> {
    ends: &'a AtomicBool,
}

impl Drop for ProcessList<'_> {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}

/// Command lines of all processes that hold one of the secrets; how often the program itself was seen is counted.
fn watch_process_list(ends: &AtomicBool, sightings: &AtomicU64) -> Vec<String> {
    let mut found = Vec::new();
    while !ends.load(Ordering::SeqCst) {
        for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let Ok(line) = fs::read(process.path().join("cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains("windlass.toml") {
                sightings.fetch_add(1, Ordering::SeqCst);
            }
            if [SECRET_KEY, WRONG].iter().any(|secret| line.contains(secret)) {
                found.push(line);
            }
        }
    }
    found
}

fn configure(machine: &Machine, server: &Server, bucket: &str, keys: &str) {
    let repository = format!(
        "url = \"s3://{bucket}/some/prefix\"\nendpoint = \"{}\"\nregion = \"{REGION}\"\nallow_http = true\n{keys}",
        server.endpoint
    );
    machine.configure(&repository, "");
}

fn run(machine: &Machine, arguments: &[&str]) -> Run {
    let mut command = machine.command(arguments);
    command.env("A_SECRET", SECRET_KEY);
    crate::support::program::finish(command.spawn().unwrap())
}

/// Every command, in words, at length and as JSON.
fn say_everything(machine: &Machine, said: &mut Vec<Run>) {
    let to = machine.path("to");
    for how in [&[][..], &["-v"], &["--json"], &["--json", "-v"]] {
        for command in [
            &["init"][..],
            &["backup", "tree"],
            &["list"],
            &["show", "tree/latest", "--files"],
            &["status"],
            &["verify", "--full"],
            &["fetch", "tree/latest", "--to", to.to_str().unwrap()],
            &["restore", "tree", "--from", "repository", "--yes"],
            &["config", "show"],
            &["config", "check"],
        ] {
            said.push(run(machine, &[how, command].concat()));
        }
        let _ = fs::remove_dir_all(&to);
    }
}

#[test]
fn no_secret_is_in_any_output_error_log_process_list_or_object() {
    let server = Server::running(Make::Versitygw, false);
    let bucket = server.bucket();
    let machine = Machine::new();
    machine.write("a", noise(1, 200_000));
    let file = machine.path("key");
    fs::write(&file, format!("{SECRET_KEY}\n")).unwrap();
    let (file, access) = (file.display(), format!("access_key_id = \"{ACCESS_KEY}\""));
    let ways = [
        // Right ones, in all three places that a secret may stand in.
        format!("{access}\nsecret_access_key = \"{SECRET_KEY}\""),
        format!("{access}\nsecret_access_key_file = \"{file}\""),
        format!("{access}\nsecret_access_key_env = \"A_SECRET\""),
        // One that the server refuses, and ones that no configuration takes.
        format!("{access}\nsecret_access_key = \"{WRONG}\""),
        format!("{access}\nsecret_acess_key = \"{SECRET_KEY}\""),
        format!("{access}\nsecret_access_key = [\"{SECRET_KEY}\"]"),
        format!("{access}\nsecret_access_key = \"{SECRET_KEY}"),
        format!("{access}\nsecret_access_key = \"{SECRET_KEY}\"\nsecret_access_key_env = \"A_SECRET\""),
    ];
    let (ends, sightings) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut said = Vec::new();
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_process_list(&ends, &sightings));
        let list = ProcessList { ends: &ends };
        for (n, keys) in ways.iter().enumerate() {
            configure(&machine, server, &bucket, keys);
            let before = said.len();
            say_everything(&machine, &mut said);
            let worked = said[before..].iter().filter(|run| run.code == Some(0)).count();
            assert!(if n < 3 { worked == said.len() - before } else { worked < said.len() - before }, "{n}: {:#?}", &said[before..]);
        }
        drop(list);
        watcher.join().unwrap()
    });
    assert!(sightings.into_inner() > 100, "the program was not seen in the process list, which proves nothing");
    assert!(seen.is_empty(), "{seen:?}");
    for run in said {
        assert!(![SECRET_KEY, WRONG].iter().any(|secret| run.said().contains(secret)), "{run:#?}");
    }
    fs::remove_file(machine.path("key")).unwrap();
    fs::remove_file(machine.path("windlass.toml")).unwrap();
    nothing_written_holds_a_secret(&machine, &Repository::open(&server.settings(&bucket), &FixedEnvironment::default(), tools()).unwrap());
}

/// All files of the machine, and all objects, decoded where they are compressed.
fn nothing_written_holds_a_secret(machine: &Machine, repository: &Repository) {
    let mut looked = 0;
    let mut look = |name: &str, bytes: &[u8]| {
        looked += 1;
        let plain = if name.ends_with(".zst") { decoded(bytes) } else { bytes.to_vec() };
        for secret in [SECRET_KEY, WRONG] {
            assert!(!plain.windows(secret.len()).any(|window| window == secret.as_bytes()), "{name}");
        }
    };
    let mut folders = vec![machine.temp.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = if is_compressed(&path) { format!("{}.zst", path.display()) } else { path.display().to_string() };
                look(&name, &fs::read(path).unwrap());
            }
        }
    }
    let mut keys = Vec::new();
    repository
        .list("", &mut |object| {
            keys.push(object.key);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(keys.len() > 5);
    keys.iter().for_each(|key| look(key, &repository.get(key, 32 << 20).unwrap()));
    assert!(looked > 20, "{looked}");
}

/// Whether a file begins as zstd does, whatever its name.
fn is_compressed(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).unwrap().read_exact(&mut magic).is_ok() && magic == [0x28, 0xb5, 0x2f, 0xfd]
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut zstd = Command::new("zstd");
    let mut zstd = zstd.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the tests need the program zstd");
    let mut into = zstd.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut into, bytes).unwrap());
        let output = zstd.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    })
}
