//! What a statement of a dump does to a database, told from its beginning.

use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::ObjectKind;
use crate::source::mysql::tokens::{Placed, Token, Tokens};

/// How programs begin what stands in for a view until all tables are there; of a table they write no definition this way.
const OF_VIEWS: &[u8] = b"/*!50001";

/// A name, with that of its database if it stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The name of the database, and where in the statement it lies, with its quotes.
    pub(super) database: Option<Placed>,
    pub(super) name: String,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Something of the session: its settings, its transaction.
    Session,
    /// Makes, drops or enters the database of this name.
    Database(String),
    /// Changes the database: its name and where it lies; none where the database in use is meant.
    AlterDatabase(Option<Placed>),
    /// Makes, fills, changes or drops a table or a sequence.
    Table { name: Name, makes: Option<ObjectKind> },
    /// Puts rows into a table; may be of any length.
    Rows(Name),
    /// Makes a view, trigger, event or routine.
    Define { kind: ObjectKind, name: Name, on: Option<Name>, wrapped: bool },
    /// Makes what stands in for a view, which may be a table.
    StandIn { name: Name, is_table: bool },
    /// Drops a view, or what stands in for it.
    DropView(Name),
    /// Drops a trigger, event or routine.
    Prepare(Name),
    /// Locks or unlocks tables.
    Lock,
    /// Concerns the server and not the database. Tells what it is.
    Server(&'static str),
    /// Nothing that dump programs write.
    Unknown,
}

impl Act {
    /// What the statement does that begins with these bytes.
    pub(super) fn of(head: &[u8], mode: Mode) -> Self {
        let mut tokens = Tokens::new(head, mode);
        let Some(first) = tokens.word() else { return Self::Unknown };
        let act = match first.as_str() {
            "SET" => Some(set(tokens)),
            "INSERT" | "REPLACE" => rows(&mut tokens),
            "CREATE" => create(head, &mut tokens),
            "DROP" => drop_of(head, &mut tokens),
            "ALTER" => alter(&mut tokens),
            "USE" => tokens.name().map(|(name, _)| Self::Database(name)),
            "LOCK" | "UNLOCK" => Some(Self::Lock),
            "COMMIT" | "BEGIN" => Some(Self::Session),
            "START" => match tokens.word().as_deref() {
                Some("TRANSACTION") => Some(Self::Session),
                _ => Some(Self::Server("replication")),
            },
            "SELECT" | "DO" => select(&mut tokens),
            // Histograms, from MySQL 8.
            "ANALYZE" => {
                tokens.pass(&["TABLE"]);
                table(&mut tokens, None)
            }
            "CHANGE" | "STOP" | "RESET" => Some(Self::Server("replication")),
            "PREPARE" | "EXECUTE" | "DEALLOCATE" => Some(Self::Server("the engine RocksDB")),
            "GRANT" | "REVOKE" => Some(Self::Server("accounts")),
            "FLUSH" | "PURGE" | "INSTALL" | "UNINSTALL" => Some(Self::Server("the server itself")),
            _ => None,
        };
        act.unwrap_or(Self::Unknown)
    }

    /// Whether what begins so may be longer than memory, because rows follow.
    pub(super) fn is_of_rows(head: &[u8], mode: Mode) -> bool {
        matches!(Tokens::new(head, mode).word().as_deref(), Some("INSERT" | "REPLACE"))
    }
}

fn set(mut tokens: Tokens<'_>) -> Act {
    let mut is_first = true;
    while let Some(token) = tokens.next() {
        if let Token::Word(word, _) = token {
            match word.as_str() {
                "GTID_PURGED" | "@@GTID_PURGED" | "GTID_SLAVE_POS" => return Act::Server("GTID_PURGED"),
                "SQL_LOG_BIN" | "@@SQL_LOG_BIN" | "@MYSQLDUMP_TEMP_LOG_BIN" => return Act::Server("SQL_LOG_BIN"),
                "GLOBAL" | "@@GLOBAL" | "PERSIST" | "@@PERSIST" | "PERSIST_ONLY" if is_first => {
                    // What is set tells more than where.
                    let mut rest = tokens;
                    while let Some(token) = rest.next() {
                        if matches!(token, Token::Word(ref word, _) if word.starts_with("GTID")) {
                            return Act::Server("GTID_PURGED");
                        }
                    }
                    return Act::Server("the server's settings");
                }
                "PASSWORD" | "ROLE" | "DEFAULT" if is_first => return Act::Server("accounts"),
                "STATEMENT" if is_first => return Act::Unknown,
                _ if word.contains("ROCKSDB") => return Act::Server("the engine RocksDB"),
                _ => {}
            }
        }
        is_first = false;
    }
    Act::Session
}

fn name(tokens: &mut Tokens<'_>) -> Option<Name> {
    let (database, name) = tokens.qualified()?;
    Some(Name { database, name })
}

fn table(tokens: &mut Tokens<'_>, makes: Option<ObjectKind>) -> Option<Act> {
    Some(Act::Table { name: name(tokens)?, makes })
}

fn rows(tokens: &mut Tokens<'_>) -> Option<Act> {
    while let Some("LOW_PRIORITY" | "DELAYED" | "HIGH_PRIORITY" | "IGNORE" | "INTO") = tokens.peek_word().as_deref() {
        tokens.next();
    }
    Some(Act::Rows(name(tokens)?))
}

/// `SELECT SETVAL(…)` of a sequence, or what Percona's programs ask about RocksDB.
fn select(tokens: &mut Tokens<'_>) -> Option<Act> {
    if tokens.peek_word().as_deref() == Some("SETVAL") {
        tokens.next();
        return if tokens.takes(b'(') { table(tokens, None) } else { None };
    }
    while let Some(token) = tokens.next() {
        if matches!(token, Token::Word(word, _) if word.starts_with("@ROCKSDB")) {
            return Some(Act::Server("the engine RocksDB"));
        }
    }
    None
}

fn create(head: &[u8], tokens: &mut Tokens<'_>) -> Option<Act> {
    let (made, is_final) = tokens.made()?;
    let kind = match made.as_str() {
        "DATABASE" | "SCHEMA" => return tokens.named().map(Act::Database),
        "USER" | "ROLE" => return Some(Act::Server("accounts")),
        "SERVER" | "TABLESPACE" | "LOGFILE" | "UNDO" => return Some(Act::Server("the server itself")),
        made => ObjectKind::ALL.into_iter().find(|kind| kind.words() == made)?,
    };
    tokens.pass(&["IF", "NOT", "EXISTS"]);
    match kind {
        ObjectKind::Table if head.starts_with(OF_VIEWS) => Some(Act::StandIn { name: name(tokens)?, is_table: true }),
        ObjectKind::View if !is_final => Some(Act::StandIn { name: name(tokens)?, is_table: false }),
        ObjectKind::Table | ObjectKind::Sequence => table(tokens, Some(kind)),
        _ => {
            let name = name(tokens)?;
            let on = if kind == ObjectKind::Trigger { Some(table_of_trigger(tokens)?) } else { None };
            Some(Act::Define { kind, name, on, wrapped: head.starts_with(b"/*") })
        }
    }
}

/// The table after `BEFORE INSERT ON`, or such words.
fn table_of_trigger(tokens: &mut Tokens<'_>) -> Option<Name> {
    while tokens.word()? != "ON" {}
    name(tokens)
}

/// Whether a function says how it uses data, between what it returns and its body.
pub(super) fn declares_use(statement: &[u8], mode: Mode) -> bool {
    let mut tokens = Tokens::new(statement, mode);
    let (mut is_after_returns, mut before) = (false, String::new());
    while let Some(token) = tokens.next() {
        let Token::Word(word, _) = token else { continue };
        match word.as_str() {
            "RETURNS" => is_after_returns = true,
            "BEGIN" | "RETURN" if is_after_returns => return false,
            "DETERMINISTIC" if is_after_returns && before != "NOT" => return true,
            "SQL" if is_after_returns && matches!(before.as_str(), "NO" | "READS") => return true,
            _ => {}
        }
        before = word;
    }
    false
}

fn drop_of(head: &[u8], tokens: &mut Tokens<'_>) -> Option<Act> {
    let mut word = tokens.word()?;
    if word == "TEMPORARY" {
        word = tokens.word()?;
    }
    if word == "PACKAGE" {
        tokens.pass(&["BODY"]);
    }
    tokens.pass(&["IF", "EXISTS"]);
    match word.as_str() {
        "TABLE" if head.starts_with(OF_VIEWS) => name(tokens).map(Act::DropView),
        "TABLE" | "SEQUENCE" => table(tokens, None),
        "VIEW" => name(tokens).map(Act::DropView),
        "TRIGGER" | "EVENT" | "FUNCTION" | "PROCEDURE" | "PACKAGE" => name(tokens).map(Act::Prepare),
        "DATABASE" | "SCHEMA" => tokens.name().map(|(name, _)| Act::Database(name)),
        "USER" | "ROLE" => Some(Act::Server("accounts")),
        "SERVER" | "TABLESPACE" | "LOGFILE" | "UNDO" => Some(Act::Server("the server itself")),
        _ => None,
    }
}

fn alter(tokens: &mut Tokens<'_>) -> Option<Act> {
    match tokens.word()?.as_str() {
        "TABLE" | "SEQUENCE" => {
            tokens.pass(&["IF", "EXISTS"]);
            table(tokens, None)
        }
        "DATABASE" | "SCHEMA" => {
            let named = match tokens.name()? {
                (name, Some(at)) => Some((name, at)),
                // What our own dumps, which name no database, have there.
                (word, None) if word.eq_ignore_ascii_case("CHARACTER") => None,
                (name, None) => Some((name, tokens.place())),
            };
            Some(Act::AlterDatabase(named))
        }
        "USER" | "ROLE" => Some(Act::Server("accounts")),
        "SERVER" | "TABLESPACE" | "LOGFILE" | "UNDO" | "INSTANCE" => Some(Act::Server("the server itself")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Act {
        Act::of(text.as_bytes(), Mode::default())
    }

    fn plain(name: &str) -> Name {
        Name { database: None, name: name.into() }
    }

    fn of_table(name: &str, makes: Option<ObjectKind>) -> Act {
        Act::Table { name: plain(name), makes }
    }

    #[test]
    fn what_concerns_tables_is_told_from_what_stands_in_for_views() {
        assert_eq!(of("DROP TABLE IF EXISTS `t`;"), of_table("t", None));
        assert_eq!(of("CREATE TABLE `t` (\n `a` int)"), of_table("t", Some(ObjectKind::Table)));
        assert_eq!(of("CREATE TABLE IF NOT EXISTS t (a int)"), of_table("t", Some(ObjectKind::Table)));
        assert_eq!(of("CREATE SEQUENCE `s` start with 5"), of_table("s", Some(ObjectKind::Sequence)));
        assert_eq!(of("DROP SEQUENCE IF EXISTS `s`"), of_table("s", None));
        for text in ["SELECT SETVAL(`s`, 35, 0);", "DO SETVAL(`s`, 35, 0)"] {
            assert_eq!(of(text), of_table("s", None));
        }
        assert_eq!(of("/*!40000 ALTER TABLE `t` DISABLE KEYS */;"), of_table("t", None));
        assert_eq!(of("/*!80002 ANALYZE TABLE `t` UPDATE HISTOGRAM ON `a` WITH 100 BUCKETS */;"), of_table("t", None));
        for text in ["INSERT INTO `t` VALUES (1)", "INSERT  IGNORE INTO t (a) VALUES", "REPLACE INTO `t` VALUES"] {
            assert_eq!(of(text), Act::Rows(plain("t")));
        }
        let stand_in = |is_table| Act::StandIn { name: plain("v"), is_table };
        assert_eq!(of("/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `a` */;"), stand_in(false));
        assert_eq!(of("/*!50001 CREATE TABLE `v` (\n `a` tinyint NOT NULL\n) ENGINE=MyISAM */;"), stand_in(true));
        for text in ["/*!50001 DROP TABLE IF EXISTS `v`*/;", "/*!50001 DROP TABLE `v`*/;", "/*!50001 DROP VIEW IF EXISTS `v`*/;"] {
            assert_eq!(of(text), Act::DropView(plain("v")), "{text}");
        }
        for text in [
            "/*!50003 DROP PROCEDURE IF EXISTS `p` */;;",
            "/*!50106 DROP EVENT IF EXISTS `e` */;",
            "DROP TRIGGER /*!50032 IF EXISTS */ `x`.`t`;",
            "DROP PACKAGE BODY IF EXISTS k",
        ] {
            assert!(matches!(of(text), Act::Prepare(_)), "{text}");
        }
    }

    #[test]
    fn definitions_are_known_with_the_table_of_a_trigger() {
        let define = |kind, name: Name, on, wrapped| Act::Define { kind, name, on, wrapped };
        assert_eq!(
            of("/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER tr BEFORE INSERT ON `t x` FOR EACH ROW SET @a=1 */;;"),
            define(ObjectKind::Trigger, plain("tr"), Some(plain("t x")), true)
        );
        let Act::Define { name, on: Some(on), .. } = of("CREATE DEFINER=a@b TRIGGER `x`.`tr` AFTER DELETE ON x.t FOR EACH ROW") else {
            panic!()
        };
        assert_eq!((name.database, name.name.as_str()), (Some(("x".into(), 27..30)), "tr"));
        assert_eq!((on.database.unwrap().0.as_str(), on.name.as_str()), ("x", "t"));
        assert_eq!(
            of(
                "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`r`@`h` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */"
            ),
            define(ObjectKind::View, plain("v"), None, true)
        );
        assert_eq!(of("CREATE DEFINER=`a`@`b` PACKAGE BODY `k` AS"), define(ObjectKind::PackageBody, plain("k"), None, false));
        assert_eq!(of("CREATE DEFINER=`a`@`b` AGGREGATE FUNCTION `f`(x"), define(ObjectKind::Function, plain("f"), None, false));
    }

    #[test]
    fn a_function_says_how_it_uses_data_or_does_not() {
        for (text, wanted) in [
            ("CREATE FUNCTION `f`() RETURNS int(11)\n    DETERMINISTIC\nRETURN 1", true),
            ("CREATE FUNCTION `f`() RETURNS int(11)\n    READS SQL DATA\n    SQL SECURITY INVOKER\nRETURN 1", true),
            ("CREATE FUNCTION f(x int) RETURNS text CHARSET utf8mb4 NO SQL BEGIN RETURN 1; END", true),
            ("CREATE FUNCTION `deterministic`() RETURNS int\n    NOT DETERMINISTIC\n    COMMENT 'NO SQL'\nRETURN 1", false),
            ("CREATE FUNCTION f() RETURNS int MODIFIES SQL DATA BEGIN SELECT deterministic; END", false),
        ] {
            assert_eq!(declares_use(text.as_bytes(), Mode::default()), wanted, "{text}");
        }
    }

    #[test]
    fn what_concerns_the_server_or_the_session_is_told_apart() {
        for (text, what) in [
            ("SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3E11:1-5';", "GTID_PURGED"),
            ("SET GLOBAL gtid_slave_pos='0-1-5';", "GTID_PURGED"),
            ("SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;", "SQL_LOG_BIN"),
            ("SET @@SESSION.SQL_LOG_BIN= 0;", "SQL_LOG_BIN"),
            ("SET GLOBAL max_connections=1", "the server's settings"),
            ("CHANGE MASTER TO MASTER_LOG_FILE='x'", "replication"),
            ("CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='x'", "replication"),
            ("/*!50717 PREPARE s FROM @rocksdb_enable_bulk_load */;", "the engine RocksDB"),
            ("/*!50717 SELECT COUNT(*) INTO @rocksdb_has_p_s_session_variables FROM x */;", "the engine RocksDB"),
            ("CREATE USER `a`@`b` IDENTIFIED VIA x", "accounts"),
        ] {
            assert_eq!(of(text), Act::Server(what), "{text}");
        }
        for text in
            ["/*!40101 SET NAMES utf8 */;", "SET autocommit=0", "commit;", "START TRANSACTION", "/*!40103 SET TIME_ZONE='+00:00' */;"]
        {
            assert_eq!(of(text), Act::Session, "{text}");
        }
        for text in
            ["USE `a b`", "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a b` /*!80016 DEFAULT", "/*!40000 DROP DATABASE IF EXISTS `a b`*/;"]
        {
            assert_eq!(of(text), Act::Database("a b".into()), "{text}");
        }
        assert_eq!(of("ALTER DATABASE `x` CHARACTER SET latin1"), Act::AlterDatabase(Some(("x".into(), 15..18))));
        assert_eq!(of("ALTER DATABASE  CHARACTER SET latin1"), Act::AlterDatabase(None));
        assert_eq!(of("LOCK TABLES `t` WRITE"), Act::Lock);
        for text in
            ["DELETE FROM t", "CALL p()", "LOAD DATA INFILE 'x' INTO TABLE t", "SET STATEMENT a=1 FOR DROP TABLE t", "", "TRUNCATE t"]
        {
            assert_eq!(of(text), Act::Unknown, "{text}");
        }
    }
}
