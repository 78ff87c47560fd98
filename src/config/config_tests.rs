use super::*;
use crate::ops::spec::SourceKind;
use crate::sys::environment::FixedEnvironment;
use std::time::Duration;

fn machine() -> Machine {
    Machine { host_name: "node-7".into(), cores: 3 }
}

fn parse(text: &str) -> Result<Config, Mistakes> {
    let environment = FixedEnvironment([("SECRET".to_owned(), "hunter2".to_owned())].into());
    Config::parse(text, Path::new("/etc/w.toml"), true, &machine(), &environment)
}

fn mistakes(text: &str) -> String {
    parse(text).expect_err("this configuration has mistakes").to_string()
}

const SMALL: &str = "[repository]\nurl = \"file:///srv/backups\"\n";

#[test]
fn ten_mistakes_in_one_file_give_ten_lines_with_place_key_and_remedy() {
    let text = r#"[node]
name = "Ellis 1"
[local]
dir = "var/lib"
keep = 0
undo_for = "7 days"
[repository]
url = "https://example.com"
upload_limit = "fast"
allow_htp = true
encrypt_to = ["age1xyz"]
[directory.a]
path = "/a"
exclude = "*.tmp"
[sqlite.a]
path = "/b.db"
"#;
    let text = mistakes(text);
    let expected = [
        "/etc/w.toml:2:8: node.name: ",
        "/etc/w.toml:4:7: local.dir: the path is relative: write it from / on, because the program may be started anywhere",
        "/etc/w.toml:5:8: local.keep: this must be a number from 1 to 100000",
        "/etc/w.toml:6:12: local.undo_for: a duration is a whole number with s, m, h, d or w, such as \"26h\" or \"7d\"",
        "/etc/w.toml:8:7: repository.url: this is no repository URL: write s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or file:///folder",
        "/etc/w.toml:9:16: repository.upload_limit: a rate is a whole number with",
        "/etc/w.toml:10:1: repository.allow_htp: there is no such key: did you mean `allow_http`?",
        "/etc/w.toml:11:14: repository.encrypt_to: this is no whole recipient: a letter is missing or wrong",
        "/etc/w.toml:14:11: directory.a.exclude: this must be a list of texts, such as [\"*.tmp\"]; it is a text",
        "/etc/w.toml:15:9: sqlite.a: the name is taken by [directory.a]: names are unique across kinds",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\nshould begin with\n{expected}");
    }
}

#[test]
fn text_that_is_not_toml_does_not_hide_other_mistakes() {
    let text = mistakes("[local]\nkeep = = 3\ntight = \"yes\"\n[repository]\nurl = s3://b\n");
    assert!(text.contains("w.toml:2:8: this is not TOML"), "{text}");
    assert!(text.contains("w.toml:3:9: local.tight: this must be true or false; it is a text"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("/etc/w.toml:5:")), "{text}");
    let twice = mistakes("[local]\nkeep = 3\nkeep = 4\n[repository]\nurl = \"s3://b\"\n");
    assert!(twice.starts_with("/etc/w.toml:3:1: this is not TOML: duplicate key"), "{twice}");
}

#[test]
fn defaults_are_as_documented() {
    let config = parse(&format!("{SMALL}[directory.a]\npath = \"/a/\"\n")).unwrap();
    assert_eq!((config.node.as_str(), config.threads, config.memory), ("node-7", 3, 128 << 20));
    assert_eq!((config.local.dir.to_str(), config.local.tight), (Some("/var/lib/windlass"), false));
    assert_eq!(config.local.undo_for, Duration::from_secs(7 * 86_400));
    let source = &config.sources[0];
    assert_eq!((source.keep, source.level, source.objective), (4, 3, Duration::from_secs(26 * 3_600)));
    assert!(matches!(&source.kind, SourceKind::Directory { path, exclude, cross_filesystems: false }
        if path == Path::new("/a") && exclude.is_empty()));
    assert!(config.retention.is_none() && config.warnings.is_empty());
}

#[test]
fn a_source_takes_the_number_of_copies_of_the_node_unless_it_has_its_own() {
    let config = parse(&format!("{SMALL}[local]\nkeep = 6\n[sqlite.a]\npath = \"/a\"\n[sqlite.b]\npath = \"/b\"\nkeep = 2\n")).unwrap();
    assert_eq!(config.sources.iter().map(|source| source.keep).collect::<Vec<_>>(), [6, 2]);
}

#[test]
fn a_host_name_that_does_not_fit_gives_the_lines_to_add() {
    let machine = Machine { host_name: "Ellis_1 (old)".into(), ..machine() };
    let error = Config::parse(SMALL, Path::new("/w"), false, &machine, &FixedEnvironment::default()).unwrap_err();
    assert!(error.to_string().contains("[node]\nname = \"ellis_1--old-\""), "{error}");
    assert_eq!((resolve::fitting("-"), resolve::fitting("Ä")), ("node-1".to_owned(), "node-1".to_owned()));
}

#[test]
fn what_comes_with_later_versions_is_named() {
    let text = mistakes(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\ngroup = \"x\"\n"));
    assert!(text.contains("sqlite.a.group: this version"), "{text}");
}

#[test]
fn a_source_is_due_when_it_says_or_agent_says_or_at_midnight() {
    let agent = "[agent]\nschedule = [\"03:00\", \"15:00\"]\njitter = \"5m\"\ntime_zone = \"Europe/Berlin\"\n";
    let sources = "[sqlite.a]\npath = \"/a\"\n[sqlite.b]\npath = \"/b\"\nschedule = \"never\"\ntime_zone = \"UTC\"\n";
    let shown = |text: &str| -> Vec<(String, Vec<String>, Option<String>, u64)> {
        let config = parse(text).unwrap();
        let show = |(name, timetable): &(SourceName, Timetable)| {
            let patterns = timetable.patterns.iter().map(ToString::to_string).collect();
            let zone = timetable.zone.as_ref().map(|zone| zone.iana_name().unwrap().to_owned());
            (name.to_string(), patterns, zone, timetable.jitter.as_secs())
        };
        config.timetables.iter().map(show).collect()
    };
    let twice = vec!["03:00".to_owned(), "15:00".to_owned()];
    assert_eq!(
        shown(&format!("{SMALL}{agent}{sources}")),
        [("a".into(), twice, Some("Europe/Berlin".into()), 300), ("b".into(), Vec::new(), Some("UTC".into()), 300)]
    );
    assert_eq!(shown(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\n")), [("a".into(), vec!["00:00".to_owned()], None, 0)]);
    let warned = |schedule: &str, objective: &str| {
        let config = parse(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\nschedule = {schedule}\nobjective = {objective:?}\n")).unwrap();
        config.warnings.join("\n")
    };
    let weekly = warned("\"30 2 * * sun\"", "26h");
    assert!(weekly.contains("sqlite.a: its schedule leaves up to 1w between two runs, and with an objective of 26h"), "{weekly}");
    let by_a_timer = parse(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\nobjective = \"7h\"\n")).unwrap();
    assert_eq!(by_a_timer.warnings, [""; 0]);
    for (schedule, objective) in [("\"30 2 * * sun\"", "8d"), ("[\"03:00\", \"15:00\"]", "13h"), ("\"never\"", "26h")] {
        assert_eq!(warned(schedule, objective), "", "{schedule}");
    }
    for (line, because) in
        [("schedule = []", "write \"never\""), ("schedule = 3", "a text in quotes, or a list"), ("jitter = \"13h\"", "12h")]
    {
        let text = mistakes(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\n{line}\n"));
        assert!(text.contains(because), "{line}: {text}");
    }
}

#[test]
fn secrets_are_found_in_all_three_places_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let places = [
        "secret_access_key = \"hunter2\"".to_owned(),
        format!("secret_access_key_file = {file:?}"),
        "secret_access_key_env = \"SECRET\"".into(),
    ];
    for place in places {
        let config = parse(&format!("[repository]\nurl = \"s3://b\"\naccess_key_id = \"me\"\n{place}\n")).unwrap();
        assert_eq!(config.repository.secret_access_key.as_ref().unwrap().expose(), "hunter2");
        let shown = show::Shown::of(&config);
        let all = format!("{config:?} {shown:?} {} {}", shown.to_toml(), serde_json::to_string(&shown).unwrap());
        assert!(!all.contains("hunter2") && all.contains("secret_access_key = \"(secret)\""), "{all}");
        // The file, or the text, is open to everybody.
        assert_eq!(config.warnings.len(), usize::from(!place.contains("_env")), "{:?}", config.warnings);
    }
}

#[test]
fn any_secret_in_a_text_that_is_open_to_everybody_is_warned_of_and_a_key_id_is_none() {
    let folder = "[repository]\nurl = \"file:///b\"\nidentity_file = \"/k\"\nidentity_passphrase = \"hunter2\"\n";
    assert_eq!(parse(folder).unwrap().warnings.len(), 1);
    let bucket = "[repository]\nurl = \"s3://b\"\naccess_key_id = \"me\"\nsecret_access_key_env = \"SECRET\"\n";
    assert!(parse(bucket).unwrap().warnings.is_empty());
}

#[test]
fn a_secret_in_place_of_the_name_of_its_variable_is_not_shown() {
    for written in ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AGE-SECRET-KEY-1QQQQ", "HUNTER2"] {
        let found = mistakes(&format!("[repository]\nurl = \"s3://b\"\naccess_key_id = \"me\"\nsecret_access_key_env = \"{written}\"\n"));
        assert!(found.contains("name of an environment variable") && !found.contains(written), "{found}");
    }
    let found = mistakes("[repository]\nurl = \"s3://b\"\naccess_key_id = \"me\"\nsecret_access_key_env = \"NO_SUCH_SECRET\"\n");
    assert!(found.contains("NO_SUCH_SECRET is not set"), "{found}");
}

#[test]
fn a_secret_is_the_first_line_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let text = format!("[repository]\nurl = \"file:///b\"\nidentity_file = \"/k\"\nidentity_passphrase_file = {file:?}\n");
    let passphrase = |text: &str| parse(text).unwrap().encryption.identity_passphrase.unwrap();
    for written in ["hunter2", "hunter2\n", "hunter2\r\n", "hunter2\nwhat it is for\n"] {
        std::fs::write(&file, written).unwrap();
        assert_eq!(passphrase(&text).unwrap().expose(), "hunter2", "{written:?}");
    }
    std::fs::write(&file, "\nhunter2\n").unwrap();
    assert!(passphrase(&text).unwrap_err().contains("the secret is empty"));
    std::fs::write(&file, "x".repeat(1 << 20)).unwrap();
    assert!(passphrase(&text).unwrap_err().contains("too long"));
}

#[test]
fn mistakes_with_secrets_do_not_show_them() {
    let text = mistakes(
        "[repository]\nurl = \"s3://KEY:hunter2@b\"\nendpoint = \"https://me:hunter2@h\"\naccess_key_id = [\"hunter2\"]\n\
         secret_acess_key = \"hunter2\"\nsecret_access_key_env = \"NOT_SET\"\nsession_token = hunter2\nsession_token_file = \"/none\"\n",
    );
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("the environment variable NOT_SET is not set"), "{text}");
    let twice =
        mistakes("[repository]\nurl = \"s3://b\"\naccess_key_id = \"a\"\nsecret_access_key = \"x\"\nsecret_access_key_env = \"SECRET\"\n");
    assert!(
        twice.contains(":5:25: repository.secret_access_key_env: this secret is already given by `repository.secret_access_key`"),
        "{twice}"
    );
    let alone = mistakes("[repository]\nurl = \"s3://b\"\nsecret_access_key = \"x\"\n");
    assert!(alone.contains("this goes with access_key_id"), "{alone}");
}

#[test]
fn a_source_that_would_hold_its_own_copies_is_refused_unless_they_are_left_out() {
    let with = |exclude: &str| format!("{SMALL}[directory.all]\npath = \"/\"\nexclude = [{exclude}]\n");
    let text = mistakes(&with(""));
    assert!(text.contains("exclude = [\"/var/lib/windlass\"]") && text.contains("exclude = [\"/srv/backups\"]"), "{text}");
    parse(&with("\"/var/lib/windlass\", \"backups\"")).unwrap();
    assert!(mistakes(&with("\"/var/lib/windlass/sub\", \"/srv\"")).contains("the folder of the local copies"));
    assert!(mistakes(&format!("{SMALL}[sqlite.a]\npath = \"/srv/backups/a.db\"\n")).contains("lies inside the folder of the repository"));
    assert!(mistakes(&format!("{SMALL}[local]\ndir = \"/srv/backups/local\"\n")).contains("must not share a folder"));
}

#[test]
fn what_can_never_work_is_a_mistake() {
    assert!(mistakes("").contains(":1:1: repository.url: this is missing"));
    assert!(mistakes("[repository]\nurl = \"file://srv\"\n").contains("three slashes"));
    assert!(mistakes("[repository]\nurl = \"s3://b\"\nendpoint = \"http://h:1\"\n").contains("allow_http = true"));
    assert!(mistakes(&format!("{SMALL}[retention]\nlast = 0\n")).contains("keeps no snapshot at all"));
    assert!(mistakes(&format!("{SMALL}[limits]\nmemory = \"8MiB\"\n")).contains("at least 64MiB"));
    assert!(mistakes(&format!("{SMALL}[directory]\npath = \"/a\"\n")).contains("write [directory.NAME]"));
    assert!(mistakes(&format!("{SMALL}[directory.a]\n")).contains("directory.a.path: this is missing"));
    assert!(mistakes(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\nexclude = []\n")).contains("sqlite.a.exclude: there is no such key"));
    assert!(
        mistakes(&format!("{SMALL}[directory.a]\npath = \"/a\"\nexclude = [\"[\", \"!x\"]\n"))
            .contains("the exclude pattern `!x` cannot be used")
    );
    assert!(mistakes(&format!("local = 3\n{SMALL}")).contains("this must be a table, written [local]"));
    assert!(mistakes(&format!("{SMALL}[sqlite.a]\npath = \"/a\"\nobjective = \"0s\"\n")).contains("never that young"));
}

#[test]
fn the_example_loads_as_it_is() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.node.as_str(), "ellis-1");
    assert_eq!(config.sources.len(), 4);
}

/// The example with every key in force that goes with this URL. What is told and what is a key looks alike but for the `=` or the `[`.
fn uncommented(url: &str, secret_file: &Path) -> String {
    let scheme = url.split(':').next().unwrap();
    let lines = EXAMPLE.lines().filter_map(|line| {
        let rest = match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') => rest,
            Some(rest) if rest.split(" = ").next().is_some_and(|key| rest.contains(" = ") && !key.contains(' ')) => rest,
            _ => line,
        };
        let key = rest.split(" = ").next().unwrap().trim_end_matches("_file").trim_end_matches("_env");
        // Of the two credentials of Azure a configuration has one, and of the two ways to a server too, and to tell it something.
        let goes = crate::repository::foreign_key(key, scheme).is_none() && !matches!(key, "sas_token" | "socket" | "api");
        goes.then(|| rest.to_owned())
    });
    let text = lines.collect::<Vec<_>>().join("\n").replace("s3://backups/clearwater", url);
    let files = ["/etc/windlass/ellis.pw", "/etc/windlass/cassandra.pw", "/etc/windlass/jmx.pw"];
    let text = files.iter().fold(text, |text, file| text.replace(file, "/etc/windlass/secret"));
    text.replace("/etc/windlass/secret", secret_file.to_str().unwrap()).replace("WINDLASS_SESSION_TOKEN", "SECRET")
}

#[test]
fn the_example_holds_every_key_and_loads_with_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hunter2-and-a-few-more").unwrap();
    let text = uncommented("s3://backups/clearwater", &file);
    let config = parse(&text).unwrap();
    assert!(config.retention.is_some() && config.repository.ca_file.is_some() && config.repository.session_token.is_some());
    let azure = parse(&uncommented("az://backups/clearwater", &file)).unwrap().repository;
    assert!(azure.account.is_some() && azure.account_key.is_some() && azure.endpoint.is_some() && azure.region.is_none());
    let google = parse(&uncommented("gs://backups/clearwater", &file)).unwrap().repository;
    assert!(google.service_account.is_some() && google.keeping.storage_class.is_some() && google.keeping.sse.is_none());
    // Every key that the reader asks for is in the example: asked for by giving each table a key that it does not know.
    for table in [
        "node",
        "local",
        "repository",
        "limits",
        "retention",
        "agent",
        "directory.config",
        "mysql.ellis",
        "cassandra.homestead",
        "sqlite.billing",
    ] {
        let broken = text.replace(&format!("[{table}]"), &format!("[{table}]\nzzzzzzzz = 1"));
        let error = mistakes(&broken);
        let known = error.lines().find_map(|line| line.split_once("known are ")).expect("an unknown key names the known ones").1;
        for key in known.split(", ") {
            let base = key.trim_end_matches("_file").trim_end_matches("_env");
            let names = [key, base, &format!("{base}_file"), &format!("{base}_env")].map(|key| format!("\n{key} = "));
            let there = names.iter().any(|line| text.contains(line) || EXAMPLE.contains(&line.replace('\n', "\n# ")));
            assert!(there, "[{table}] {key} is not in the example");
        }
    }
}

#[test]
fn what_goes_with_another_url_is_a_mistake_and_beside_a_folder_a_warning() {
    for (url, line, says) in [
        ("az://c", "storage_class = \"COLD\"", "storage_class: storage_class goes with s3:// and gs://, and the url begins with az://"),
        ("az://c", "secret_access_key_env = \"SECRET\"\naccess_key_id = \"a\"", "secret_access_key_env: secret_access_key goes with s3://"),
        ("gs://b", "tags = { a = \"b\" }", "tags: tags goes with s3://"),
        ("gs://b", "account = \"a\"", "account: account goes with az://"),
        ("s3://b", "account = \"a\"", "account: account goes with az://, and the url begins with s3://"),
        ("s3://b", "service_account = \"hunter2\"", "service_account: service_account goes with gs://"),
        ("az://c", "account = \"a\"\naccount_key = \"hunter2\"\nsas_token_env = \"SECRET\"", "sas_token_env: account_key is set too"),
        ("az://c", "", "repository.account: this is missing: az:// needs the name of the storage account"),
    ] {
        let found = mistakes(&format!("[repository]\nurl = \"{url}\"\n{line}\n"));
        assert!(found.contains(says) && !found.contains("hunter2"), "{url} {line}: {found}");
    }
    let beside = parse(&SMALL.replace("[repository]\n", "[repository]\naccount = \"a\"\nsse = \"AES256\"\n")).unwrap();
    assert!(beside.warnings.iter().any(|warning| warning.starts_with("account, sse: this is for buckets")), "{:?}", beside.warnings);
}

#[test]
fn the_key_of_a_service_account_is_all_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, "{\n  \"private_key\": \"hunter2\"\n}\n").unwrap();
    let config = parse(&format!("[repository]\nurl = \"gs://b/p\"\nservice_account_file = {file:?}\n")).unwrap();
    assert_eq!(config.repository.service_account.as_ref().unwrap().expose(), "{\n  \"private_key\": \"hunter2\"\n}\n");
    let shown = show::Shown::of(&config).to_toml();
    assert!(shown.contains("service_account = \"(secret)\"") && !shown.contains("hunter2") && !shown.contains("request_payer"), "{shown}");
}

#[test]
fn what_a_bucket_cannot_keep_is_told() {
    for (line, says) in [
        ("storage_class = \"DEEP_ARCHIVE\"", "cannot be read for hours"),
        ("storage_class = \"standard\"", "STANDARD_IA"),
        ("sse = \"aes\"", "AES256"),
        ("sse = \"AES256\"\nsse_kms_key_id = \"key\"", "goes with sse"),
        ("tags = { a = 1 }", "texts by name"),
        ("tags = { \"\" = \"x\" }", "10 tags"),
        ("tags = { a = \"x & y\" }", "letters, digits"),
        ("upload_limit = \"1KiB/s\"", "at least 8KiB/s"),
    ] {
        let text = SMALL.replace("[repository]\n", &format!("[repository]\n{line}\n"));
        let found = mistakes(&text);
        assert!(found.contains(says), "{line}: {found}");
    }
}

#[test]
fn what_is_shown_is_a_configuration_that_says_the_same() {
    let text = format!(
        "{SMALL}[retention]\ndaily = 3\nwithin = \"30d\"\n[directory.a]\npath = \"/a\"\nexclude = [\"*.tmp\"]\n[sqlite.b]\npath = \"/b\"\n"
    );
    let shown = show::Shown::of(&parse(&text).unwrap()).to_toml();
    let again = parse(&shown).unwrap();
    assert_eq!(show::Shown::of(&again).to_toml(), shown);
    assert!(shown.contains("memory = \"128MiB\"") && shown.contains("exclude = [\"*.tmp\"]"), "{shown}");
}
