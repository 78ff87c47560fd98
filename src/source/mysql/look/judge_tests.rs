use std::time::Duration;

use super::super::Session;
use super::super::allowed::Allowed;
use super::*;
use crate::source::mysql::definers::Accounts;
use crate::source::mysql::facts::{DatabaseFacts, TableFacts};

/// A server on which nothing is in the way, and nothing is worth a word.
fn present() -> Present {
    Present {
        server: "the server at /s as `windlass`".into(),
        version: "10.11.6-MariaDB-log".into(),
        is_mariadb: true,
        databases: vec![PresentDatabase { name: "ellis".into(), exists: true, ..PresentDatabase::default() }],
        sessions: Vec::new(),
        more_sessions: 0,
        sees_sessions: true,
        free_bytes: Some(10 << 30),
        packet_limit: 16 << 20,
        lower_case_table_names: "0".into(),
        is_read_only: false,
        allowed: Allowed {
            account: "windlass@localhost".into(),
            may_define: true,
            to_define: "GRANT SET USER ON *.* TO 'windlass'@'localhost'".into(),
            may_create_functions: true,
            trusts_creators: true,
            sees_all_databases: true,
            ..Allowed::default()
        },
        accounts: Some(Accounts::of(&["root@localhost", "windlass@localhost"])),
    }
}

fn facts(tables: &[&str]) -> Facts {
    let table = |name: &&str| TableFacts { name: (*name).into(), engine: "InnoDB".into(), rows: 1, checksum: None };
    Facts {
        server: "/s".into(),
        version: "10.11.6-MariaDB".into(),
        flavour: "mariadb".into(),
        dump: String::new(),
        sql_mode: String::new(),
        character_set: "utf8mb4".into(),
        collation: "utf8mb4_general_ci".into(),
        time_zone: "SYSTEM".into(),
        system_time_zone: "UTC".into(),
        lower_case_table_names: "0".into(),
        max_allowed_packet: 16 << 20,
        longest_statement: 1 << 20,
        binary_log: None,
        data_bytes: 1 << 20,
        databases: vec![DatabaseFacts {
            name: "ellis".into(),
            file: "ellis/db_backup.sql".into(),
            character_set: "utf8mb4".into(),
            collation: "utf8mb4_general_ci".into(),
            data_bytes: 1 << 20,
            table_count: tables.len() as u64,
            tables: tables.iter().map(table).collect(),
            references: Vec::new(),
        }],
        accounts: None,
        more_accounts: 0,
        definers: vec!["root@localhost".into()],
        triggers_and_functions: 0,
        undeclared_functions: 0,
    }
}

fn refused(present: &Present, facts: &Facts) -> String {
    present.judge(Some(facts), &BTreeMap::new()).unwrap_err().to_string()
}

fn warned(present: &Present, facts: &Facts) -> String {
    present.judge(Some(facts), &BTreeMap::new()).unwrap().join("\n")
}

#[test]
fn where_all_is_well_nothing_is_said() {
    assert_eq!(warned(&present(), &facts(&["a", "B"])), "");
    assert_eq!(present().judge(None, &BTreeMap::new()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_packet_limit_below_the_longest_statement_is_refused_with_the_statement_that_raises_it() {
    let mut facts = facts(&[]);
    facts.longest_statement = (16 << 20) - 100;
    assert_eq!(warned(&present(), &facts), "");
    facts.longest_statement = 16 << 20;
    let why = refused(&present(), &facts);
    assert!(why.contains("SET GLOBAL max_allowed_packet = 17825792") && why.ends_with("nothing was changed"), "{why}");
    facts.longest_statement = (1 << 30) - 10;
    assert!(refused(&present(), &facts).contains("max_allowed_packet = 1073741824"));
    assert_eq!(warned(&Present { packet_limit: 1 << 30, ..present() }, &facts), "");
    facts.longest_statement = 1 << 30;
    assert!(refused(&Present { packet_limit: 1 << 30, ..present() }, &facts).contains("no server takes more"));
}

#[test]
fn names_that_would_collide_or_change_are_refused_and_others_are_not() {
    let on = |here: &str| Present { lower_case_table_names: here.into(), ..present() };
    assert!(refused(&on("1"), &facts(&["users", "Users"])).contains("`ellis`.`Users` would be `users`"));
    assert!(refused(&on("2"), &facts(&["users", "Users"])).contains("`ellis`.`Users` and `users` would be one"));
    assert_eq!(warned(&on("1"), &facts(&["users", "numbers"])), "");
    assert_eq!(warned(&on("2"), &facts(&["Users", "numbers"])), "");
    let many = Facts { databases: vec![DatabaseFacts { table_count: 2000, ..facts(&["a"]).databases[0].clone() }], ..facts(&[]) };
    assert!(warned(&on("1"), &many).contains("beyond the first 1,000"));
    assert!(warned(&present(), &Facts { lower_case_table_names: "1".into(), ..facts(&["a"]) }).contains("in another case"));
}

#[test]
fn lacking_rights_are_refused_together_and_only_warned_of_where_roles_may_give_them() {
    let mut present = present();
    present.is_read_only = true;
    present.allowed.lacking = vec!["GRANT DROP ON `ellis`.* TO 'w'@'%'".into()];
    present.allowed.lacking_beside = vec!["GRANT DROP ON `ellis\\_windlass\\_%`.* TO 'w'@'%'".into()];
    let why = refused(&present, &facts(&[]));
    assert!(
        why.contains("read_only = 0") && why.contains("ON `ellis`.*") && why.contains("; GRANT DROP ON `ellis\\_windlass\\_%`.*"),
        "{why}"
    );
    present.is_read_only = false;
    present.allowed.is_unclear = true;
    assert!(warned(&present, &facts(&[])).contains("by roles"));
    present.allowed.may_create_functions = false;
    assert!(!warned(&present, &facts(&[])).contains("binary log"), "there is none in the dump");
    let creating = Facts { triggers_and_functions: 2, ..facts(&[]) };
    assert!(warned(&present, &creating).contains("log_bin_trust_function_creators = 1"));
    present.allowed.is_unclear = false;
    present.allowed.lacking.clear();
    present.allowed.lacking_beside.clear();
    assert!(refused(&present, &creating).contains("it may make none of 2 triggers and functions: SET GLOBAL"));
    assert!(present.judge(None, &BTreeMap::new()).unwrap().join("").contains("log_bin_trust_function_creators = 1"));
    // What no account may do is refused whatever its rights are.
    present.allowed.is_unclear = true;
    present.allowed.trusts_creators = false;
    let undeclared = Facts { triggers_and_functions: 1, undeclared_functions: 1, ..facts(&[]) };
    assert!(refused(&present, &undeclared).contains("of which there are 1: SET GLOBAL"));
}

#[test]
fn a_new_database_must_not_be_there_and_is_loaded_beside_too() {
    let mut present = present();
    present.allowed.lacking_beside = vec!["GRANT DROP ON `ellis\\_windlass\\_%`.* TO 'w'@'%'".into()];
    let why = present.judge_new(None, &BTreeMap::new()).unwrap_err().to_string();
    assert!(why.contains("there is a database `ellis`: choose another name") && why.contains("GRANT DROP"), "{why}");
    present.databases[0].exists = false;
    present.allowed.lacking_beside.clear();
    assert_eq!(present.judge_new(None, &BTreeMap::new()).unwrap(), Vec::<String>::new());
}

#[test]
fn definers_that_are_no_account_are_named_unless_they_are_mapped_to_one_that_is() {
    let facts = Facts { definers: vec!["a@%".into(), "gone@%".into(), "root@localhost".into()], ..facts(&[]) };
    let mapped = |to: &[(&str, &str)], present: &Present| {
        let definers = to.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        present.judge(Some(&facts), &definers).unwrap().join("\n")
    };
    assert!(mapped(&[], &present()).contains("no account here: a@%, gone@%; "));
    assert!(mapped(&[("a@%", "root@LOCALHOST")], &present()).contains("no account here: gone@%; "));
    assert!(mapped(&[("a@%", "other@%"), ("gone@%", "root@localhost")], &present()).contains("no account here: other@%; "));
    let unknown = Present { accounts: None, ..present() };
    assert!(mapped(&[], &unknown).contains("may not read mysql.user"));
    let mut weak = present();
    weak.allowed.may_define = false;
    let to_itself = ["a@%", "gone@%", "root@localhost"].map(|from| (from, "windlass@LOCALHOST"));
    assert_eq!(mapped(&to_itself, &weak), "");
    assert!(refused(&weak, &Facts { definers: vec!["root@localhost".into(), "role".into()], ..facts.clone() }).contains(
        "`windlass@localhost` may not make things in the name of root@localhost: GRANT SET USER ON *.* TO 'windlass'@'localhost', or map these to it"
    ));
}

#[test]
fn sessions_ties_triggers_and_versions_are_told() {
    let mut present = present();
    present.sessions =
        vec![Session { user: "app".into(), host: "h".into(), database: "ellis".into(), count: 3, longest: Duration::from_secs(90) }];
    present.more_sessions = 2;
    present.databases[0].triggers = 4;
    present.databases[0].referring = vec!["`other`.`t`".into(), "`both`.`t`".into()];
    present.databases.push(PresentDatabase { name: "both".into(), ..PresentDatabase::default() });
    present.sees_sessions = false;
    let told = warned(&present, &facts(&[]));
    for part in [
        "5 sessions are connected: 3 of app@h to `ellis`, at work for 90 s;",
        "point into `ellis`: `other`.`t`; they",
        "tables of `ellis` have 4 triggers",
        "no PROCESS right",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
    let of = |version: &str, flavour: &str| Facts { version: version.into(), flavour: flavour.into(), ..facts(&[]) };
    let version = |facts: &Facts| warned(&self::present(), facts);
    assert!(version(&of("11.4.2-MariaDB", "mariadb")).contains("is older (10.11.6-MariaDB-log)"));
    assert_eq!(version(&of("10.5.9-MariaDB", "mariadb")), "");
    assert!(version(&of("8.0.36", "mysql")).contains("the dump is of MySQL 8.0.36, the server is MariaDB"));
}

#[test]
fn room_that_is_too_little_is_told_where_it_is_known() {
    let of = |free_bytes| Present { free_bytes, ..present() };
    let told = of(Some(3 << 20)).tell_room((3 << 20) + 1).unwrap();
    assert!(told.contains("has 3 MiB free, and what comes takes about 4 MiB"), "{told}");
    assert_eq!((of(Some(3 << 20)).tell_room(3 << 20), of(None).tell_room(u64::MAX)), (None, None));
}

#[test]
fn facts_of_older_snapshots_have_no_definers() {
    let mut json = serde_json::to_value(facts(&["a"])).unwrap();
    json.as_object_mut().unwrap().remove("definers");
    json["databases"][0].as_object_mut().unwrap().remove("references");
    let facts = serde_json::from_value::<Facts>(json).unwrap();
    assert!(facts.definers.is_empty() && facts.databases[0].references.is_empty());
}
