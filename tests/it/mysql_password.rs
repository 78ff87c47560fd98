//! The password of a server is seen by nobody while the vendor's programs run, and is in nothing that is kept.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::program::{Machine, Run};
use crate::support::servers::mariadb::{MariaDb, PASSWORD};
use crate::support::watched::watched;

/// A machine whose account has a password that no other test uses: those of others are in the environment of what they start.
fn machine(server: &MariaDb, base: &str, rights: &str) -> (Machine, String) {
    let secret = format!("{PASSWORD} of {base}");
    server.load(
        Some(base),
        b"CREATE TABLE big (id INT PRIMARY KEY, pad TEXT); INSERT INTO big SELECT seq, REPEAT(MD5(seq), 64) FROM seq_1_to_20000;",
    );
    let account = server.account("BY SECRET", &rights.replace("BASE", base));
    let quoted = secret.replace('\\', "\\\\").replace('\'', "''");
    server.sql(&format!("ALTER USER {account}@'%' IDENTIFIED BY '{quoted}'"));
    let machine = Machine::new();
    let configuration = server.over_tcp("ellis", &[base], &account, machine.temp.path());
    fs::write(machine.path("password"), &secret).unwrap();
    let machine = machine.configured(&configuration);
    machine.run(&["init"]).expect(0);
    (machine, secret)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

fn is_kept_nowhere(machine: &Machine, secret: &str) {
    for file in ["local", "bucket"].into_iter().flat_map(|folder| files_below(&machine.path(folder))) {
        let bytes = fs::read(&file).unwrap();
        // As it is, and as an option file writes it.
        let written = secret.replace('\\', "\\\\").replace('"', "\\\"");
        for text in [secret, &written] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{}", file.display());
        }
    }
}

/// A restore whose password is in a variable: nobody has that but the program itself.
fn by_a_variable(machine: &Machine, secret: &str) {
    let configuration = fs::read_to_string(machine.path("windlass.toml")).unwrap();
    let file = format!("password_file = \"{}\"", machine.path("password").display());
    assert!(configuration.contains(&file), "{configuration}");
    fs::write(machine.path("windlass.toml"), configuration.replace(&file, "password_env = \"ELLIS_PASSWORD\"")).unwrap();
    let watched = watched(&["mariadb --defaults-file=", "mariadb-dump --defaults-file="], secret, || {
        let run = Run::of(machine.command(&["restore", "ellis", "--yes"]).env("ELLIS_PASSWORD", secret).output().unwrap());
        assert!(!run.expect(0).said().contains(secret));
    });
    assert!(watched.seen.iter().all(|seen| *seen > 0), "its programs were never seen, which proves nothing");
    let own = format!("{} environ: ", fs::canonicalize(env!("CARGO_BIN_EXE_windlass")).unwrap().display());
    let (own, others): (Vec<_>, Vec<_>) = watched.found.iter().partition(|found| found.starts_with(&own));
    assert!(!own.is_empty(), "its own was never seen, which proves nothing");
    assert_eq!(others, Vec::<&String>::new());
}

#[test]
fn the_password_is_on_no_command_line_in_no_environment_and_in_nothing_that_is_kept_of_a_backup() {
    let server = MariaDb::running();
    let base = server.database();
    let rights = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON BASE.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT;";
    let (machine, secret) = machine(server, &base, rights);
    let watched = watched(&["mariadb-dump --defaults-file="], &secret, || {
        for _ in 0..3 {
            let run = machine.run(&["-v", "backup", "ellis"]);
            assert!(!run.expect(0).said().contains(&secret));
        }
    });
    assert!(watched.seen[0] > 0, "the dump program was never seen, which proves nothing");
    assert_eq!(watched.found, Vec::<String>::new());
    is_kept_nowhere(&machine, &secret);
}

#[test]
fn the_password_is_on_no_command_line_in_no_environment_and_in_nothing_that_is_kept_of_a_restore_and_its_undo() {
    let server = MariaDb::running();
    let base = server.database();
    let rights = "GRANT ALL ON BASE.* TO ACCOUNT; GRANT ALL ON `BASE\\_windlass\\_%`.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT;";
    let (machine, secret) = machine(server, &base, rights);
    machine.run(&["backup", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.sql(&format!("DELETE FROM {base}.big WHERE id > 10"));
    let watched = watched(&["mariadb --defaults-file="], &secret, || {
        for arguments in [&["-v", "restore", "ellis", "--yes"][..], &["-v", "restore", "ellis", "--undo", "--yes"]].repeat(2) {
            let run = machine.run(arguments);
            assert!(!run.expect(0).said().contains(&secret));
        }
        // One that fails in the middle, with what its client says.
        let configuration = fs::read_to_string(machine.path("windlass.toml")).unwrap();
        let failing = machine.client("head -c 9000000 | mariadb \"$@\"; exit 7");
        fs::write(machine.path("windlass.toml"), configuration.clone() + &failing).unwrap();
        let run = machine.run(&["-v", "restore", "ellis", "--yes"]);
        assert!(!run.expect(1).said().contains(&secret), "{run:#?}");
        is_kept_nowhere(&machine, &secret);
        fs::write(machine.path("windlass.toml"), configuration).unwrap();
    });
    assert!(watched.seen[0] > 0, "the client was never seen, which proves nothing");
    assert_eq!(watched.found, Vec::<String>::new());
    by_a_variable(&machine, &secret);
    assert_eq!(server.everything(&base), old);
    is_kept_nowhere(&machine, &secret);
}
