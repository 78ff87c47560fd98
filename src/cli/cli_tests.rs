use super::output::tests::papers;
use super::*;
use crate::sys::clock::SystemClock;
use crate::sys::environment::FixedEnvironment;
use crate::sys::meter::Meter;
use crate::sys::random::SystemRandom;
use std::path::Path;

/// Runs a command line in an environment of its own; gives the code, the data and what was said beside it.
fn windlass(arguments: &[&str], environment: &[(&str, &str)]) -> (u8, String, String) {
    let cli = match Cli::try_parse_from(std::iter::once("windlass").chain(arguments.iter().copied())) {
        Ok(cli) => cli,
        Err(error) => return (if error.use_stderr() { 2 } else { 0 }, String::new(), error.to_string()),
    };
    let (output, data, aside) = papers(cli.globals.json, Verbosity::Normal);
    let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let program = Program {
        globals: cli.globals,
        output: Arc::new(output),
        environment: Arc::new(FixedEnvironment(variables)),
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SystemRandom),
        stop: Stop::new(),
        meter: Arc::new(Meter::default()),
    };
    let exit = run(&cli.command, &program);
    (exit.code(), data.text(), aside.text())
}

/// A configuration in a folder, with a repository that does not exist yet.
fn configure(folder: &Path, more: &str) -> String {
    let file = folder.join("windlass.toml");
    std::fs::create_dir_all(folder.join("source")).unwrap();
    let text = format!(
        "[node]\nname = \"n\"\n[local]\ndir = \"{0}/local\"\n[repository]\nurl = \"file://{0}/repository\"\n{more}\n[directory.config]\npath = \"{0}/source\"\n",
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn the_definition_is_consistent() {
    definition().debug_assert();
}

#[test]
fn the_commands_are_those_of_the_documentation() {
    let names: Vec<String> = definition().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let expected = [
        "init",
        "snapshot",
        "ship",
        "backup",
        "list",
        "show",
        "fetch",
        "cat",
        "diff",
        "restore",
        "verify",
        "heal",
        "status",
        "agent",
        "forget",
        "pin",
        "unpin",
        "prune",
        "stats",
        "key",
        "config",
        "demo",
        "completions",
        "man",
    ];
    assert_eq!(names, expected);
    for command in definition().get_subcommands() {
        assert!(command.get_about().is_some(), "{} says what it does", command.get_name());
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {} says what it is", command.get_name(), argument.get_id());
        }
    }
}

#[test]
fn what_changes_something_can_be_tried_without_changing_it() {
    for name in ["init", "snapshot", "ship", "backup", "fetch", "restore", "forget", "prune"] {
        let definition = definition();
        let command = definition.find_subcommand(name).unwrap();
        assert!(command.get_arguments().any(|argument| argument.get_long() == Some("dry-run")), "{name}");
    }
}

#[test]
fn wrong_command_lines_exit_2() {
    for arguments in [
        &["snapshot"][..],
        &["snapshot", "--all", "a"],
        &["verify", "--quick", "--full"],
        &["restore", "a", "--undo", "--from", "local"],
        &["fetch", "a/latest"],
        &["cat", "a/latest", "../x"],
        &["list", "--endpoint", "http://h"],
        &["list", "-q", "-v"],
        &["show", "Nonsense"],
        &["backup", "a", "--wait=soon"],
        &["backup", "a", "--repository", "file:///x"],
        &["heal"],
    ] {
        assert_eq!(windlass(arguments, &[]).0, 2, "{arguments:?}");
    }
}

#[test]
fn waiting_has_a_default_and_takes_a_time() {
    let wait = |arguments: &[&str]| match Cli::try_parse_from([&["windlass", "backup", "a"], arguments].concat()).unwrap().command {
        Command::Backup(backup) => backup.wait.wait.map(|wait| wait.as_secs()),
        _ => unreachable!(),
    };
    assert_eq!((wait(&[]), wait(&["--wait"]), wait(&["--wait=10m"])), (None, Some(86_400), Some(600)));
}

#[test]
fn the_configuration_is_found_by_its_variable_and_missing_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = configure(folder.path(), "");
    let (code, data, _) = windlass(&["config", "check"], &[("WINDLASS_CONFIG", &file)]);
    assert_eq!((code, data.contains("no mistakes; node n, 1 source")), (0, true), "{data}");
    let (code, _, aside) = windlass(&["status", "--config", "/none/w.toml"], &[]);
    assert_eq!(code, 2);
    assert!(aside.contains("there is no configuration file /none/w.toml") && aside.contains("windlass config example"), "{aside}");
}

#[test]
fn all_mistakes_are_named_by_check_and_by_every_other_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = configure(folder.path(), "endpoint = 3\nregion = 4\nallow_http = \"no\"");
    let (code, data, _) = windlass(&["config", "check", "--config", &file], &[]);
    assert_eq!((code, data.lines().count()), (2, 3), "{data}");
    let (code, data, aside) = windlass(&["list", "--config", &file], &[]);
    assert_eq!((code, data.as_str()), (2, ""));
    assert!(["endpoint", "region", "allow_http"].iter().all(|key| aside.contains(&format!("repository.{key}: "))), "{aside}");
    let (_, data, _) = windlass(&["config", "check", "--json", "--config", &file], &[]);
    let json: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!((&json["schema"], &json["mistakes"][2]["line"]), (&"windlass.config-check/1".into(), &9.into()));
}

#[test]
fn no_secret_is_in_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = "access_key_id = \"hunter1\"\nsecret_access_key_env = \"KEY\"\nsession_token = \"hunter3\"\n";
    let file = configure(folder.path(), secrets);
    let commands = [
        &["config", "show"][..],
        &["config", "check"],
        &["config", "show", "--json"],
        &["list", "-v"],
        &["status"],
        &["init"],
        &["backup", "config", "--json"],
        &["verify"],
    ];
    for command in commands {
        let arguments = [command, &["--config", &file]].concat();
        let (_, data, aside) = windlass(&arguments, &[("KEY", "hunter2")]);
        assert!(!format!("{data}{aside}").contains("hunter"), "{command:?}: {data}{aside}");
    }
}

#[test]
fn an_unknown_source_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = configure(folder.path(), "");
    let (code, _, aside) = windlass(&["snapshot", "ellis", "--config", &file], &[]);
    assert_eq!((code, aside.contains("there is no source `ellis`; the configuration has: config")), (6, true), "{aside}");
}

#[test]
fn what_is_printed_for_shells_and_readers_of_manuals_is_there() {
    let (code, script, _) = windlass(&["completions", "bash"], &[]);
    assert!(code == 0 && script.contains("_windlass"));
    let (code, page, _) = windlass(&["man"], &[]);
    assert!(code == 0 && page.contains(".TH windlass 1"));
    let folder = tempfile::tempdir().unwrap();
    let (code, ..) = windlass(&["man", "--to", folder.path().to_str().unwrap()], &[]);
    assert!(code == 0 && folder.path().join("windlass-restore.1").exists() && folder.path().join("windlass-config-check.1").exists());
    let (code, example, _) = windlass(&["config", "example"], &[]);
    assert_eq!((code, example.as_str()), (0, crate::config::EXAMPLE));
}
