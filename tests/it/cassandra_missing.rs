//! What a real Cassandra node lacks of the schema of a snapshot: found, and made again with its ids.

use windlass::source::Error;
use windlass::source::cassandra::missing::{Comparison, Definitions, Part, Standing, make};
use windlass::source::cassandra::{Looked, NodeConfig, Settings, look_at_some};
use windlass::sys::stop::Stop;

use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::Version;

/// A keyspace with everything in it, as it was.
struct Was {
    server: &'static Cassandra,
    settings: Settings,
    name: String,
    before: Looked,
}

impl Was {
    fn new(version: Version) -> Self {
        let server = Cassandra::running(version);
        let name = format!("Was_{}", server.name());
        server.fill(&name);
        let settings = Settings::new(vec![name.clone()], server.config_file());
        let before = look(&settings, &name);
        Self { server, settings, name, before }
    }

    fn look(&self) -> Looked {
        look(&self.settings, &self.name)
    }

    fn run(&self, statement: &str) {
        self.server.cql().run(&statement.replace("KEYSPACE.", &format!("{}.", quoted(&self.name))));
    }

    fn compare(&self, part: &Part) -> Comparison {
        let live = Definitions::read(&self.look().ddl).unwrap();
        Comparison::of(&Definitions::read(&self.before.ddl).unwrap(), &live, part).unwrap()
    }

    fn missing(&self) -> Vec<String> {
        self.compare(&Part::All).missing().map(|one| one.told().replace(&self.name, "k")).collect()
    }

    fn make(&self, part: &Part) -> Result<Vec<String>, Error> {
        let config = NodeConfig::read(&self.settings.config_file)?;
        make(&self.settings, &config, &self.compare(part), &Stop::new(), &mut |_| {})
    }

    /// Makes all that is missing; then the keyspace is what it was, and nothing is missing any more.
    fn comes_back(&self) {
        assert_eq!(self.make(&Part::All).unwrap(), Vec::<String>::new());
        let after = self.look();
        assert_eq!(after.ddl, self.before.ddl);
        assert_eq!(after.schema, self.before.schema);
        let compared = self.compare(&Part::All);
        assert!(compared.compared.iter().all(|one| one.standing == Standing::Equal), "{compared:?}");
    }
}

fn look(settings: &Settings, name: &str) -> Looked {
    look_at_some(settings, &NodeConfig::read(&settings.config_file).unwrap(), &[name.to_owned()], &Stop::new()).unwrap()
}

fn is_made_again(version: Version) {
    let was = Was::new(version);
    assert_eq!(was.missing(), Vec::<String>::new());

    was.run(&format!("DROP KEYSPACE {}", quoted(&was.name)));
    let gone = was.look();
    assert!(gone.ddl.is_empty() && gone.facts.tokens == was.before.facts.tokens);
    let missing = was.missing();
    assert_eq!(missing[..3], ["keyspace k", "type k.address", "type k.Person"]);
    assert!(missing.contains(&"view k.users_by_email".to_owned()) && missing.contains(&"aggregate k.total(int)".to_owned()), "{missing:?}");
    was.comes_back();

    // A run that is killed leaves any beginning of the statements.
    was.run(&format!("DROP KEYSPACE {}", quoted(&was.name)));
    let all: Vec<String> = was.compare(&Part::All).missing().flat_map(|one| one.statements.clone()).collect();
    let drops: Vec<usize> = (0..all.len()).filter(|at| all[*at].contains(" DROP ")).collect();
    assert_eq!(drops.len(), 2, "{all:?}");
    let cql = was.server.cql();
    all[..=drops[0]].iter().for_each(|statement| cql.run(statement.trim_end_matches(';')));
    assert_eq!(was.missing()[0], "table k.dropped");
    was.comes_back();

    for gone in ["DROP MATERIALIZED VIEW KEYSPACE.users_by_email", "DROP INDEX KEYSPACE.users_by_tag", "DROP TABLE KEYSPACE.impi"] {
        was.run(gone);
    }
    assert_eq!(was.missing(), ["table k.impi", "index k.users_by_tag", "view k.users_by_email"]);
    was.comes_back();
}

#[test]
fn what_is_missing_of_version_4_1_is_made_again() {
    is_made_again(Version::V41);
}

#[test]
fn what_is_missing_of_version_5_0_is_made_again() {
    is_made_again(Version::V50);
}

#[test]
fn what_differs_on_a_node_is_told_and_left_as_it_is() {
    let was = Was::new(Version::V41);
    for change in [
        "ALTER TABLE KEYSPACE.scalars ADD new text",
        "ALTER TABLE KEYSPACE.scalars DROP t",
        "ALTER TABLE KEYSPACE.wide WITH gc_grace_seconds = 100",
        "ALTER TYPE KEYSPACE.address ADD more text",
        "DROP TABLE KEYSPACE.empty",
        "CREATE TABLE KEYSPACE.empty (id int PRIMARY KEY, v int)",
        "CREATE TABLE KEYSPACE.another (id int PRIMARY KEY)",
    ] {
        was.run(change);
    }
    let before = was.look();
    let compared = was.compare(&Part::All);
    let differing: Vec<String> = compared
        .differing()
        .map(|(one, differences)| {
            let whats: Vec<&str> = differences.iter().map(|difference| difference.what.as_str()).collect();
            format!("{}: {}", one.told().replace(&was.name, "k"), whats.join("; "))
        })
        .collect();
    assert_eq!(
        differing,
        [
            "type k.address: the field `more` was added since then",
            "table k.empty: the column `v` has the type int and had text; it was made anew since then, with another id",
            "table k.scalars: the column `t` was dropped since then: what it held does not come back; the column `new` was added since then",
            "table k.wide: gc_grace_seconds is 100 and was 7200",
        ]
    );
    let unreadable = compared.unreadable().unwrap();
    assert_eq!(unreadable, format!("table {}.empty: the column `v` has the type int and had text", was.name));
    assert_eq!(compared.only_live().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["another"]);
    assert_eq!(was.make(&Part::All).unwrap(), Vec::<String>::new());
    assert_eq!(was.look().ddl, before.ddl);
}

#[test]
fn one_table_is_made_with_what_belongs_to_it_alone() {
    let was = Was::new(Version::V50);
    was.run(&format!("DROP KEYSPACE {}", quoted(&was.name)));
    was.make(&Part::Table(was.name.clone(), "collections".into())).unwrap();
    assert_eq!(was.server.cql().tables(&was.name), ["collections"]);
    was.make(&Part::Table(was.name.clone(), "users".into())).unwrap();
    assert_eq!(was.server.cql().tables(&was.name), ["collections", "users", "users_by_email"]);
    was.comes_back();
}

#[test]
fn a_statement_that_the_node_refuses_is_told() {
    let was = Was::new(Version::V41);
    was.run("DROP TABLE KEYSPACE.impi");
    let text = was.before.ddl[0].1.replace("COMPACT STORAGE", "caching = {'keys': 'SOME'} AND COMPACT STORAGE");
    let recorded = Definitions::read(&[(was.name.clone(), text)]).unwrap();
    let live = Definitions::read(&was.look().ddl).unwrap();
    let compared = Comparison::of(&recorded, &live, &Part::All).unwrap();
    let config = NodeConfig::read(&was.settings.config_file).unwrap();
    let error = make(&was.settings, &config, &compared, &Stop::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("cannot make what is missing on the Cassandra at ") && error.contains(".impi (") && error.contains("caching"),
        "{error}"
    );
}
