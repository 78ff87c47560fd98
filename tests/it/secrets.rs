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

/// A secret that no server takes and that opens no identity.
const WRONG: &str = "hunter2-is-not-the-secret";

/// The passphrase of an identity.
const PASSPHRASE: &str = "correct-horse-battery-staple";

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
fn watch_process_list(secrets: &[&str], ends: &AtomicBool, sightings: &AtomicU64) -> Vec<String> {
    let mut found = Vec::new();
    while !ends.load(Ordering::SeqCst) {
        for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let Ok(line) = fs::read(process.path().join("cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains("windlass.toml") {
                sightings.fetch_add(1, Ordering::SeqCst);
            }
            if secrets.iter().any(|secret| line.contains(secret)) {
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
    command.env("A_SECRET", SECRET_KEY).env("A_PASSPHRASE", PASSPHRASE);
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
    let secrets = [SECRET_KEY, WRONG];
    nobody_sees(&secrets, 100, |said| {
        for (n, keys) in ways.iter().enumerate() {
            configure(&machine, server, &bucket, keys);
            let before = said.len();
            say_everything(&machine, said);
            let worked = said[before..].iter().filter(|run| run.code == Some(0)).count();
            assert!(if n < 3 { worked == said.len() - before } else { worked < said.len() - before }, "{n}: {:#?}", &said[before..]);
        }
    });
    fs::remove_file(machine.path("key")).unwrap();
    fs::remove_file(machine.path("windlass.toml")).unwrap();
    let repository = Repository::open(&server.settings(&bucket), &FixedEnvironment::default(), tools()).unwrap();
    nothing_written_holds_a_secret(&machine, &repository, &secrets);
}

/// Whether the secrets are neither in what these runs say nor in the process list meanwhile, where the program must be seen so often.
fn nobody_sees(secrets: &[&str], sightings_min: u64, work: impl FnOnce(&mut Vec<Run>)) {
    let (ends, sightings) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut said = Vec::new();
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_process_list(secrets, &ends, &sightings));
        let list = ProcessList { ends: &ends };
        work(&mut said);
        drop(list);
        watcher.join().unwrap()
    });
    assert!(sightings.into_inner() > sightings_min, "the program was not seen in the process list, which proves nothing");
    assert!(seen.is_empty(), "{seen:?}");
    for run in said {
        assert!(!secrets.iter().any(|secret| run.said().contains(secret)), "{run:#?}");
    }
}

/// Makes an identity that the passphrase protects, beside the plain one that is there; gives the line with the recipients of both.
fn encrypted(machine: &Machine, said: &mut Vec<Run>) -> String {
    fs::write(machine.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    let [passphrase, plain, protected] = ["passphrase", "plain.key", "protected.key"].map(|name| machine.path(name).display().to_string());
    // The second finds the file of the first.
    for code in [0, 1] {
        let made = machine.run(&["-v", "key", "new", "-o", &protected, "--passphrase-file", &passphrase]);
        made.expect(code);
        said.push(made);
    }
    let text = fs::read_to_string(plain).unwrap();
    let first = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let second = said[0].stdout.split('"').nth(1).unwrap();
    format!("encrypt_to = [\"{first}\", \"{second}\"]")
}

#[test]
fn no_identity_or_passphrase_is_in_any_output_error_log_process_list_or_object() {
    let machine = Machine::new();
    machine.write("a", noise(1, 200_000));
    machine.run(&["key", "new", "-o", machine.path("plain.key").to_str().unwrap()]).expect(0);
    let identity = fs::read_to_string(machine.path("plain.key")).unwrap();
    let identity = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    let secrets = [identity, PASSPHRASE, WRONG];
    let url = format!("file://{}", machine.path("bucket").display());
    nobody_sees(&secrets, 50, |said| {
        let to = encrypted(&machine, said);
        let [plain, protected, passphrase] =
            ["plain.key", "protected.key", "passphrase"].map(|name| machine.path(name).display().to_string());
        let configure = |lines: &str| machine.configure(&format!("url = \"{url}\"\n{lines}"), "");
        configure(&format!("{to}\nidentity_file = \"{plain}\""));
        say_everything(&machine, said);
        let unlike: Vec<&Run> = said.iter().skip(2).filter(|run| run.code != Some(0)).collect();
        assert!(unlike.is_empty(), "{unlike:#?}");
        // Opening a protected identity takes a second of work by design, so these are fewer runs.
        let protected = format!("{to}\nidentity_file = \"{protected}\"");
        for (lines, works) in [
            (format!("{protected}\nidentity_passphrase = \"{PASSPHRASE}\""), true),
            (format!("{protected}\nidentity_passphrase_file = \"{passphrase}\""), true),
            (format!("{protected}\nidentity_passphrase_env = \"A_PASSPHRASE\""), true),
            (format!("{protected}\nidentity_passphrase = \"{WRONG}\""), false),
            // Nobody can be asked.
            (protected.clone(), false),
            // The one file in place of the other.
            (format!("{to}\nidentity_file = \"{passphrase}\""), false),
            (format!("{protected}\nidentity_passphrase_file = \"{plain}\""), false),
            (format!("encrypt_to = [\"{identity}\"]"), false),
            (format!("encrypt_to = \"{identity}\""), false),
            (format!("{to}\nidentity_file = \"{identity}\""), false),
            (format!("{to}\nidentity_passphrase = [\"{PASSPHRASE}\"]"), false),
            (format!("{to}\nidentity_pasphrase = \"{PASSPHRASE}\""), false),
            (format!("{to}\nidentity_passphrase = \"{PASSPHRASE}"), false),
        ] {
            configure(&lines);
            for how in ["-v", "--json"] {
                let check = run(&machine, &[how, "key", "check"]);
                assert_eq!(check.code == Some(0), works, "{check:#?}");
                said.push(check);
                said.push(run(&machine, &[how, "config", "show"]));
                said.push(run(&machine, &[how, "backup", "tree"]));
            }
            let _ = fs::remove_dir_all(machine.path("to"));
            said.push(run(&machine, &["-v", "fetch", "tree/latest", "--from", "repository", "--to", machine.path("to").to_str().unwrap()]));
        }
    });
    for file in ["plain.key", "protected.key", "passphrase", "windlass.toml"] {
        fs::remove_file(machine.path(file)).unwrap();
    }
    let settings = windlass::repository::Settings::new(&url);
    nothing_written_holds_a_secret(&machine, &Repository::open(&settings, &FixedEnvironment::default(), tools()).unwrap(), &secrets);
}

/// All files of the machine, and all objects, decoded where they are compressed.
fn nothing_written_holds_a_secret(machine: &Machine, repository: &Repository, secrets: &[&str]) {
    let mut looked = 0;
    let mut look = |name: &str, bytes: &[u8]| {
        looked += 1;
        let plain = if name.ends_with(".zst") { decoded(bytes) } else { bytes.to_vec() };
        for secret in secrets {
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
