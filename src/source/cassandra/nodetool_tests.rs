use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::sys::secret::Secret;

/// A stand-in for `nodetool`: a shell script that is not named as a program to start, so that writing it and starting it cannot meet.
struct StandIn {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl StandIn {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodetool");
        fs::write(&path, script).unwrap();
        let mut settings = Settings::new(vec!["ks".into()], "/etc/cassandra.yaml".into());
        settings.jmx.nodetool = vec!["sh".into(), path.to_str().unwrap().into()];
        Self { folder, settings }
    }

    fn run_within(&self, silence: Duration) -> Result<String, Error> {
        Nodetool::new(&self.settings, self.folder.path(), &Stop::default()).run("ask", &["info".into()], silence)
    }

    fn run(&self) -> Result<String, Error> {
        self.run_within(Duration::from_secs(60))
    }

    fn why(&self) -> String {
        self.run().unwrap_err().to_string()
    }
}

#[test]
fn the_words_are_prefix_address_command_and_then_keyspaces_after_a_double_dash() {
    let mut tool = StandIn::new("for word; do echo \"$word\"; done\n");
    tool.settings.jmx.host = Some("10.0.0.7".into());
    tool.settings.jmx.port = 7300;
    let stop = Stop::default();
    let nodetool = Nodetool::new(&tool.settings, tool.folder.path(), &stop);
    let command = tagged("snapshot", "20261123T000000123Z", &["ks".into(), "-x".into()]);
    let answer = nodetool.run("ask", &command, Duration::from_secs(60)).unwrap();
    let words: Vec<&str> = answer.lines().collect();
    assert_eq!(words, ["-h", "10.0.0.7", "-p", "7300", "snapshot", "-t", "20261123T000000123Z", "--", "ks", "-x"]);
}

#[test]
fn a_write_timeout_is_told_in_milliseconds_or_not_at_all() {
    let timeout = |script| {
        let tool = StandIn::new(script);
        Nodetool::new(&tool.settings, tool.folder.path(), &Stop::default()).write_timeout()
    };
    assert_eq!(timeout("echo 'Current timeout for type write: 2500 ms'\n").unwrap(), Duration::from_millis(2500));
    assert!(timeout("echo 'Current timeout for type write: long'\n").unwrap_err().to_string().contains("does not tell it"));
}

#[test]
fn a_password_goes_through_a_file_that_is_its_owners_alone_and_gone_afterwards() {
    let mut tool = StandIn::new("echo \"$@\"\nstat -c %a \"$6\"\ncat \"$6\"\n");
    tool.settings.jmx.user = Some("windlass".into());
    tool.settings.jmx.password = Some(Secret::new("hunter2"));
    let answer = tool.run().unwrap();
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].starts_with("-p 7199 -u windlass -pwf /") && lines[0].ends_with(" info") && !lines[0].contains("hunter2"), "{answer}");
    assert_eq!(lines[1..], ["600", "windlass hunter2"]);
    assert!(!tool.folder.path().join(PASSWORD_FILE).exists());
    fs::write(tool.folder.path().join("nodetool"), "exit 1\n").unwrap();
    assert!(tool.run().is_err());
    assert!(!tool.folder.path().join(PASSWORD_FILE).exists(), "also after a failure");
}

#[test]
fn a_login_that_nodetool_would_cut_or_ask_for_is_refused() {
    for (user, password) in [("a b", Some("c")), ("a", Some("b c")), ("a", Some("")), ("a", None)] {
        let mut tool = StandIn::new("exit 0\n");
        tool.settings.jmx.user = Some(user.into());
        tool.settings.jmx.password = password.map(Secret::new);
        assert!(tool.why().starts_with("cannot ask ks of the Cassandra of /etc/cassandra.yaml: "), "{user} {password:?}");
    }
}

#[test]
fn a_dead_node_is_told_with_what_to_do() {
    let said = "nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused'.";
    let tool = StandIn::new(&format!("cat >&2 <<'END'\n{said}\nEND\nexit 1\n"));
    let wanted =
        "Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused'. (exit code 1 of nodetool): is Cassandra running";
    assert!(tool.why().contains(wanted), "{}", tool.why());
}

#[test]
fn a_password_that_is_wrong_is_told_with_where_it_stands() {
    let tool = StandIn::new("echo 'error: Authentication failed! Invalid username or password' >&2; exit 2\n");
    assert!(tool.why().ends_with(": see `jmx`, its user and its password"), "{}", tool.why());
    let tool = StandIn::new("echo 'error: Invalid username or password' >&2; exit 2\n");
    assert!(tool.why().ends_with(": see `jmx`, its user and its password"), "{}", tool.why());
}

#[test]
fn an_unknown_keyspace_is_told_without_the_stack_trace() {
    let said = "Picked up JAVA_TOOL_OPTIONS: x\\nerror: Keyspace nope does not exist\\n-- StackTrace --\\njava.io.IOException: Keyspace nope does not exist\\n\\tat org.apache.x(Y.java:1)\\n";
    let tool = StandIn::new(&format!("printf '{said}' >&2\nexit 2\n"));
    assert!(tool.why().ends_with(": Keyspace nope does not exist (exit code 2 of nodetool)"), "{}", tool.why());
}

#[test]
fn a_failure_without_words_and_one_by_a_signal_are_failures() {
    assert!(StandIn::new("exit 3\n").why().ends_with(": nodetool ended with exit code 3 and said nothing"));
    assert!(StandIn::new("kill -9 $$\n").why().contains("a signal"));
    assert!(StandIn::new("echo Something is wrong >&2; exit 1\n").why().contains("Something is wrong (exit code 1"));
}

#[test]
fn an_error_that_ends_with_exit_code_0_is_an_error() {
    for stream in ["1", "2"] {
        let tool = StandIn::new(&format!("echo 'error: Snapshot T already exists.' >&{stream}\nexit 0\n"));
        assert!(tool.why().contains("Snapshot T already exists. (exit code 0 of nodetool): another run took it"), "{}", tool.why());
    }
    let fine = StandIn::new("echo 'WARNING: A terminally deprecated method' >&2\necho 'Snapshot directory: T'\n");
    assert_eq!(fine.run().unwrap(), "Snapshot directory: T\n");
}

/// What it says when another table is dropped while it asks: 4.1 and 5.0.
const VANISHED: [&str; 2] = [
    "error: org.apache.cassandra.db:type=ColumnFamilies,keyspace=other,columnfamily=gone",
    "Exception in thread \"main\" java.lang.IllegalArgumentException: Server is not initialized yet, cannot run nodetool.",
];

/// Says so up to so often.
fn vanishing(said: &str, times: usize) -> StandIn {
    let tool = StandIn::new("");
    let asked = tool.folder.path().join("asked").display().to_string();
    let script = format!(
        "echo >> {asked}\nif [ $(wc -l < {asked}) -le {times} ]; then echo 'ID : half'; echo '{said}' >&2; exit 2; fi\necho 'ID : 5d7a'\n"
    );
    fs::write(tool.folder.path().join("nodetool"), script).unwrap();
    tool
}

#[test]
fn a_question_is_asked_again_where_a_table_of_others_is_dropped_meanwhile() {
    let stop = Stop::default();
    for said in VANISHED {
        let tool = vanishing(said, ASKED_MAX - 1);
        assert_eq!(Nodetool::new(&tool.settings, tool.folder.path(), &stop).host_id().unwrap(), "5d7a");
        let tool = vanishing(said, ASKED_MAX);
        let why = Nodetool::new(&tool.settings, tool.folder.path(), &stop).host_id().unwrap_err().to_string();
        assert!(why.contains(said.trim_start_matches("error: ")), "{why}");
        // What changes something is asked once.
        let tool = vanishing(said, 1);
        assert!(Nodetool::new(&tool.settings, tool.folder.path(), &stop).clear("T", &["ks".into()]).is_err());
    }
}

#[test]
fn a_program_that_hangs_is_ended_and_named() {
    let tool = StandIn::new("echo begun; sleep 600\n");
    let why = tool.run_within(Duration::from_millis(300)).unwrap_err().to_string();
    assert!(why.contains("was ended: it has given nothing for") && why.contains("system.log"), "{why}");
}

#[test]
fn a_program_that_is_not_there_is_told_with_the_line_to_write() {
    let mut tool = StandIn::new("");
    tool.settings.jmx.nodetool = vec!["/nonexistent/nodetool".into()];
    assert!(tool.why().ends_with("write where it lies, as `nodetool = [\"/path/to/nodetool\"]`"), "{}", tool.why());
}

#[test]
fn what_it_says_is_kept_up_to_a_bound() {
    let tool = StandIn::new("i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done\n");
    assert_eq!(tool.run().unwrap().len(), ANSWER_MAX);
    let loud = StandIn::new("printf 'error: '; i=0; while [ $i -lt 200 ]; do printf 0123456789; i=$((i+1)); done; exit 1\n");
    assert!(loud.why().len() < 600);
}

#[test]
fn a_run_that_is_stopped_ends_the_program() {
    let tool = StandIn::new("echo begun; sleep 600\n");
    let stop = Stop::default();
    stop.request(15);
    let nodetool = Nodetool::new(&tool.settings, tool.folder.path(), &stop);
    let stopped = nodetool.snapshot("T", &["ks".into()]);
    assert!(matches!(stopped, Err(Error::System(sys::Error::Stopped(_)) | Error::Stopped(_))), "{stopped:?}");
}

#[test]
fn the_password_is_not_world_readable_for_an_instant() {
    let folder = tempfile::tempdir().unwrap();
    let mut jmx = StandIn::new("").settings.jmx;
    jmx.user = Some("u".into());
    jmx.password = Some(Secret::new("p"));
    let Ok(Some(file)) = PasswordFile::create(&jmx, folder.path()) else { panic!("it can be written") };
    assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn tables_whose_names_no_command_can_hold_are_in_a_snapshot_of_their_keyspaces() {
    let tool = StandIn::new("echo \"$@\" >\"$0.words\"\n");
    let stop = Stop::default();
    let nodetool = Nodetool::new(&tool.settings, tool.folder.path(), &stop);
    let words = || fs::read_to_string(tool.folder.path().join("nodetool.words")).unwrap();
    nodetool.snapshot_tables("T", &[("ks", "a"), ("ks", "b")]).unwrap();
    assert!(words().ends_with("snapshot -t T -kt ks.a,ks.b\n"), "{}", words());
    let names: Vec<String> = (0..3000).map(|at| format!("table_{at:042}")).collect();
    let mut tables: Vec<(&str, &str)> = names.iter().map(|name| ("ks", name.as_str())).collect();
    tables.push(("other", "t"));
    nodetool.snapshot_tables("T", &tables).unwrap();
    assert!(words().ends_with("snapshot -t T -- ks other\n"), "{}", words());
}

#[test]
fn the_id_of_the_node_is_asked_for_over_jmx() {
    let id = |script: &str| {
        let tool = StandIn::new(script);
        Nodetool::new(&tool.settings, tool.folder.path(), &Stop::default()).host_id()
    };
    let said = "ID                     : 5d7a11f0-0000-4000-8000-000000000001\nGossip active          : true\nRack                   : ID";
    assert_eq!(id(&format!("cat <<'END'\n{said}\nEND\n")).unwrap(), "5d7a11f0-0000-4000-8000-000000000001");
    assert!(id("echo 'Gossip active : true'\n").unwrap_err().to_string().contains("does not tell it"));
}
