use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;

use super::super::pump;
use super::*;
use crate::source::mysql::release::Release;
use crate::source::mysql::settings::Settings;

/// A server as MariaDB 10.11 is, without what came with 10.10.
fn mariadb() -> Known {
    let collations = ["utf8mb4_general_ci", "utf8mb4_unicode_520_nopad_ci", "utf8mb4_bin", "utf8mb4_nopad_bin", "latin1_swedish_ci"];
    Known {
        release: Release::of("10.11.6-MariaDB"),
        collations: collations.into_iter().map(str::to_owned).collect(),
        lacking_modes: ["TIME_TRUNCATE_FRACTIONAL".to_owned()].into(),
        ..Known::default()
    }
}

/// How a text is loaded.
#[derive(Clone)]
struct Case<'a> {
    part: Part,
    table: Option<&'a str>,
    database: &'a str,
    without_events: bool,
    definers: BTreeMap<String, String>,
    kept: Option<&'a Kept>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
struct Out {
    /// What the client was given, without what sets up its session, marks of rows, and the last line.
    text: String,
    found: Vec<Object>,
    definers: Vec<String>,
    notes: Vec<String>,
    is_complete: bool,
}

/// Gives pieces of these sizes, again and again.
struct Pieces<'t>(&'t [u8], Vec<usize>, usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.2 += 1;
        let wanted = self.1[self.2 % self.1.len()].min(buffer.len());
        self.0.read(&mut buffer[..wanted])
    }
}

impl Case<'_> {
    fn run(&self, text: &[u8], sizes: Vec<usize>) -> Result<Out, Error> {
        let (settings, work) = (Settings::new(vec!["ellis".into()]), tempfile::tempdir().unwrap());
        let loading = Loading {
            first: None,
            kept: self.kept,
            settings: &settings,
            database: self.database,
            original: "ellis",
            part: self.part,
            table: self.table,
            defaults: None,
            without_events: self.without_events,
            sql_mode: None,
            definers: &self.definers,
            folder: work.path(),
            work: work.path(),
        };
        let mut lexer = Lexer::without_rows();
        let mut filter = Filter::new(&loading, mariadb(), &mut lexer);
        let mut given = Vec::new();
        let taken = pump(&mut Pieces(text, sizes, 0), &mut lexer, &mut filter, &mut |_, out| {
            given.append(out);
            Ok(true)
        })?;
        assert!(taken);
        let seen = filter.seen();
        let (mut sorted, mut found) = (seen.found.sorted().unwrap(), Vec::new());
        while let Some(key) = sorted.next().unwrap() {
            found.push(Object::of_key(key));
        }
        let given = String::from_utf8_lossy(&given).into_owned();
        let text = given.strip_prefix(&format!("USE {};\n{SET_UP}\n", quoted(self.database))).unwrap();
        // What has the client say whose rows come is looked at by itself.
        let text = text[..text.rfind("COMMIT ").unwrap()].split_inclusive('\n').filter(|line| !is_of_rows(line)).collect();
        Ok(Out { text, found, definers: seen.definers.into_iter().collect(), notes: seen.notes, is_complete: seen.is_complete })
    }
}

/// What is put before the rows of a table.
fn is_of_rows(line: &str) -> bool {
    line.starts_with("SELECT 'windlass") || line.contains("ALLOW_INVALID_DATES")
}

fn case(part: Part) -> Case<'static> {
    Case { part, table: None, database: "beside", without_events: false, definers: BTreeMap::new(), kept: None }
}

fn of(part: Part, text: &str) -> Out {
    case(part).run(text.as_bytes(), vec![1 << 20]).unwrap()
}

fn refused(text: &str) -> (u64, String, String) {
    match case(Part::Tables).run(text.as_bytes(), vec![1 << 20]) {
        Err(Error::Load { line, head, why }) => (line, head, why),
        other => panic!("{other:?}"),
    }
}

/// A dump of an old node, with all that those have.
const OLD: &str = "-- MySQL dump 10.13  Distrib 5.5.62, for debian-linux-gnu (x86_64)
/*!40101 SET NAMES utf8 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;

--
-- Temporary table structure for view `v`
--

DROP TABLE IF EXISTS `v`;
/*!50001 DROP VIEW IF EXISTS `v`*/;
SET @saved_cs_client     = @@character_set_client;
/*!50001 CREATE TABLE `v` (
  `a` tinyint NOT NULL
) ENGINE=MyISAM */;
SET character_set_client = @saved_cs_client;

--
-- Table structure for table `t`
--

DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (
  `a` int(11) NOT NULL COMMENT '; DROP TABLE `x`;',
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;

LOCK TABLES `t` WRITE;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
INSERT INTO `t` VALUES (1,'a;\\nUSE `b`;
USE `b`;'),(2,'b');
/*!40000 ALTER TABLE `t` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER \"tr\" BEFORE INSERT ON t FOR EACH ROW BEGIN /* ;; */ SET @a=1; END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;

--
-- Final view structure for view `v`
--

/*!50001 DROP TABLE IF EXISTS `v`*/;
/*!50001 DROP VIEW IF EXISTS `v`*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select `t`.`a` AS `a` from `t` */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;

-- Dump completed on 2016-01-01  2:00:00
";

#[test]
fn an_old_dump_is_parted_into_tables_and_definitions() {
    let tables = of(Part::Tables, OLD);
    let wanted = "/*!40101 SET NAMES utf8 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,NO_DIR_IN_CREATE' */;
DROP TABLE IF EXISTS `v`;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = @saved_cs_client;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (
  `a` int(11) NOT NULL COMMENT '; DROP TABLE `x`;',
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
INSERT INTO `t` VALUES (1,'a;\\nUSE `b`;
USE `b`;'),(2,'b');
/*!40000 ALTER TABLE `t` ENABLE KEYS */;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
";
    assert_eq!(tables.text, wanted);
    assert_eq!(tables.found, [object(ObjectKind::Table, "t")]);
    assert!(tables.is_complete && tables.notes.is_empty() && !tables.definers.is_empty());
    let forms = of(Part::Forms, OLD);
    let wanted = "/*!40101 SET NAMES utf8 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,NO_DIR_IN_CREATE' */;
SET @saved_cs_client     = @@character_set_client;
CREATE VIEW `v` AS SELECT 1 AS `windlass~stand-in`, 1 AS `a` ;
SET character_set_client = @saved_cs_client;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` TRIGGER \"tr\" BEFORE INSERT ON t FOR EACH ROW BEGIN /* ;; */ SET @a=1; END ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
";
    assert_eq!(forms.text, wanted);
    assert_eq!(forms.found, [object(ObjectKind::Trigger, "tr")]);
    assert_eq!(forms.definers, ["root@localhost"]);
    let views = of(Part::Views, OLD);
    let wanted = "/*!40101 SET NAMES utf8 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,NO_DIR_IN_CREATE' */;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = @saved_cs_client;
/*!50003 SET sql_mode              = 'ANSI_QUOTES' */ ;
DELIMITER ;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50001 CREATE OR REPLACE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select `t`.`a` AS `a` from `t` */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
";
    assert_eq!(views.text, wanted);
    assert_eq!(views.found, [object(ObjectKind::View, "v")]);
}

#[test]
fn views_that_check_are_made_without_it_first_and_events_can_stay_behind() {
    let view = |name: &str, check: &str| {
        format!(
            "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`r`@`h` */\n/*!50001 VIEW `{name}` AS select 1 AS `1` */{check};\n"
        )
    };
    let check = "\n/*!50002 WITH LOCAL CHECK OPTION */";
    let event = "/*!50106 CREATE*/ /*!50117 DEFINER=`r`@`h`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1 */;\n";
    let text = [event.to_owned(), view("v", check), view("w", "")].concat();
    let wanted = |views: &str| views.replace("CREATE ", "CREATE OR REPLACE ");
    let views = of(Part::Views, &text);
    assert_eq!(views.text, wanted(&[view("v", "\n"), view("w", "")].concat()));
    let checks = of(Part::Checks, &text);
    assert_eq!((checks.text, checks.found), (wanted(&view("v", check)), vec![object(ObjectKind::View, "v")]));
    assert_eq!(of(Part::All, &text).found.len(), 3);
    assert_eq!(of(Part::Forms, &text).found, [object(ObjectKind::Event, "e")]);
    let forms = Case { without_events: true, ..case(Part::Forms) }.run(text.as_bytes(), vec![9]).unwrap();
    assert_eq!((forms.text.as_str(), forms.found.len()), ("", 0));
    assert_eq!(forms.notes, ["1 event was left out of `beside`: in a copy they would do once more what those of `ellis` do"]);
    assert_eq!(Case { without_events: true, ..case(Part::Views) }.run(text.as_bytes(), vec![9]).unwrap().notes, Vec::<String>::new());
}

fn object(kind: ObjectKind, name: &str) -> Object {
    Object { database: 0, kind, name: name.into() }
}

#[test]
fn what_names_the_database_is_left_out_or_names_the_new_one() {
    let text = "/*!40000 DROP DATABASE IF EXISTS `ellis`*/;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `ellis` /*!40100 DEFAULT CHARACTER SET latin1 */;
USE `ellis`;
CREATE TABLE `ellis`.`t` (`a` int DEFAULT nextval(`ellis`.`s`), `ellis` text COMMENT '`ellis`.`x`', CONSTRAINT c FOREIGN KEY (a) REFERENCES `ellis`.`p` (a), FOREIGN KEY (b) REFERENCES `other`.`p` (b));
INSERT INTO `ellis`.`t` VALUES (1,'`ellis`.`x`');
ALTER DATABASE `ellis` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;
CREATE DEFINER=`a`@`b` TRIGGER ellis.`tr` BEFORE INSERT ON `ellis`.t FOR EACH ROW INSERT INTO ellis.log VALUES (1);
";
    let all = of(Part::All, text);
    let wanted = "CREATE TABLE `beside`.`t` (`a` int DEFAULT nextval(`beside`.`s`), `ellis` text COMMENT '`ellis`.`x`', CONSTRAINT c FOREIGN KEY (a) REFERENCES `beside`.`p` (a), FOREIGN KEY (b) REFERENCES `other`.`p` (b));
INSERT INTO `beside`.`t` VALUES (1,'`ellis`.`x`');
ALTER DATABASE `beside` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;
CREATE DEFINER=`a`@`b` TRIGGER `beside`.`tr` BEFORE INSERT ON `beside`.t FOR EACH ROW INSERT INTO ellis.log VALUES (1);
";
    assert_eq!(all.text, wanted);
    assert_eq!(all.notes.len(), 2);
    assert_eq!(all.notes[1], "the trigger `tr` names the database `ellis` and goes on using that one");
    assert!(!all.is_complete);
}

#[test]
fn a_view_whose_text_names_the_database_names_the_new_one() {
    let view = |text: &str| {
        format!("/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`ellis`@`h` */\n/*!50001 VIEW `ellis` AS {text} */;\n")
    };
    let text =
        "select `ellis`.`t`.`a` AS `a`,`ellis`.`b` AS `b`,`ellis`.`f`(`ellis`.`c`) AS `f`,`other`.`t`.`a` AS `x` from `t` join `ellis`";
    let wanted =
        "select `beside`.`t`.`a` AS `a`,`ellis`.`b` AS `b`,`beside`.`f`(`ellis`.`c`) AS `f`,`other`.`t`.`a` AS `x` from `t` join `ellis`";
    assert_eq!(of(Part::All, &view(text)).text, view(wanted).replace("CREATE ", "CREATE OR REPLACE "));
}

#[test]
fn what_is_about_another_database_is_refused_with_its_line() {
    for text in [
        "CREATE DATABASE `homer`;",
        "USE `homer`;",
        "DROP DATABASE `homer`;",
        "INSERT INTO `homer`.`t` VALUES ('x');",
        "CREATE TABLE homer.t (a int);",
        "DROP TABLE IF EXISTS `homer`.`t`;",
        "DROP TRIGGER IF EXISTS `homer`.`t`;",
        "ALTER DATABASE `homer` CHARACTER SET latin1;",
    ] {
        let (line, head, why) = refused(&format!("-- a\nSET a=1;\n\n{text}\n"));
        assert_eq!(line, 4, "{text}");
        assert!(text.starts_with(head.trim_end_matches(" …")) && !head.contains("'x'"), "{head}");
        assert!(why.contains("`homer`"), "{why}");
    }
    assert!(refused("DELETE FROM `t`;").2.contains("run it by hand"));
}

#[test]
fn definers_are_mapped_and_told_however_they_are_written() {
    let text = "CREATE DEFINER=`old`@`%` PROCEDURE `p`() SELECT 1;
CREATE DEFINER='old'@'%' FUNCTION `f`() RETURNS int RETURN 1;
CREATE DEFINER=stays@localhost EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT definer;
CREATE DEFINER=`some_role` PROCEDURE `q`() SELECT 1;
CREATE DEFINER=CURRENT_USER PROCEDURE `r`() SELECT 1;
CREATE PROCEDURE `s`() SELECT definer = `old`@`%`;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`old`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select 1 AS `1` */;
";
    let definers = [("old@%", "new`er@10.0.0.1"), ("some_role", "me@h")].map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    let out = Case { definers, ..case(Part::All) }.run(text.as_bytes(), vec![9]).unwrap();
    let wanted = text
        .replace("DEFINER=`old`@`%`", "DEFINER=`new``er`@`10.0.0.1`")
        .replace("'old'@'%'", "`new``er`@`10.0.0.1`")
        .replace("`some_role`", "`me`@`h`")
        .replace("CREATE ALGORITHM", "CREATE OR REPLACE ALGORITHM");
    assert_eq!(out.text, wanted);
    assert_eq!(out.definers, ["me@h", "new`er@10.0.0.1", "stays@localhost"]);
}

#[test]
fn one_table_comes_alone_with_its_triggers() {
    let text = "SET a=1;
CREATE SEQUENCE `s`;
DO SETVAL(`s`, 3, 0);
CREATE TABLE `a` (`x` int);
INSERT INTO `a` VALUES (1);
CREATE TABLE `b` (`x` int DEFAULT nextval(`ellis`.`s`));
INSERT INTO `b` VALUES (1);
CREATE TRIGGER `ta` BEFORE INSERT ON `a` FOR EACH ROW SET @b=1;
CREATE TRIGGER `tb` BEFORE INSERT ON b FOR EACH ROW SET @b=1;
/*!50001 CREATE VIEW `v` AS SELECT 1 AS `a` */;
/*!50003 DROP PROCEDURE IF EXISTS `b` */;
CREATE PROCEDURE `b`() SELECT 1;
";
    let only = |part| Case { table: Some("b"), ..case(part) }.run(text.as_bytes(), vec![30]).unwrap();
    let tables = only(Part::Tables);
    assert_eq!(tables.text, "SET a=1;\nCREATE TABLE `b` (`x` int DEFAULT nextval(`ellis`.`s`));\nINSERT INTO `b` VALUES (1);\n");
    assert_eq!(tables.found, [object(ObjectKind::Table, "b")]);
    let definitions = only(Part::Forms);
    assert_eq!(definitions.text, "SET a=1;\nCREATE TRIGGER `tb` BEFORE INSERT ON b FOR EACH ROW SET @b=1;\n");
    assert_eq!(definitions.found, [object(ObjectKind::Trigger, "tb")]);
}

#[test]
fn what_is_there_already_is_neither_made_nor_dropped() {
    let text = "/*!50001 CREATE VIEW `new` AS SELECT 1 AS `a` */;
/*!50001 CREATE VIEW `old` AS SELECT 1 AS `a` */;
/*!50001 CREATE VIEW `half` AS SELECT 1 AS `a` */;
CREATE TRIGGER `ta` BEFORE INSERT ON `t` FOR EACH ROW SET @b=1;
CREATE TRIGGER `tb` BEFORE INSERT ON `t` FOR EACH ROW SET @b=1;
/*!50003 DROP PROCEDURE IF EXISTS `old` */;
CREATE PROCEDURE `old`() SELECT 1;
CREATE FUNCTION `old`() RETURNS INT DETERMINISTIC RETURN 1;
CREATE DEFINER=`r`@`h` VIEW `new` AS select 2 AS `a`;
CREATE DEFINER=`r`@`h` VIEW `old` AS select 2 AS `a`;
CREATE DEFINER=`r`@`h` VIEW `half` AS select 2 AS `a`;
";
    let there = [(ObjectKind::View, "old"), (ObjectKind::View, "half"), (ObjectKind::Trigger, "tb"), (ObjectKind::Procedure, "old")];
    let kept = Kept { there: there.map(|(kind, name)| object(kind, name).key()).into(), again: ["half".to_owned()].into() };
    let kept = |part| Case { kept: Some(&kept), ..case(part) }.run(text.as_bytes(), vec![30]).unwrap().text;
    assert_eq!(
        kept(Part::Forms),
        "/*!50001 CREATE VIEW `new` AS SELECT 1 AS `windlass~stand-in`, 1 AS `a` */;
CREATE TRIGGER `ta` BEFORE INSERT ON `t` FOR EACH ROW SET @b=1;
CREATE FUNCTION `old`() RETURNS INT DETERMINISTIC RETURN 1;
"
    );
    let view = |name: &str| format!("CREATE OR REPLACE DEFINER=`r`@`h` VIEW `{name}` AS select 2 AS `a`;\n");
    assert_eq!(kept(Part::Views), view("new") + &view("half"));
}

#[test]
fn what_another_vendor_or_release_writes_is_turned_and_told() {
    let text = "/*!999999\\- enable the sandbox mode */ 
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3E11FA47:1-5';
CHANGE MASTER TO MASTER_LOG_FILE='x', MASTER_LOG_POS=4;
CREATE TABLE `t` (`a` text COLLATE utf8mb4_0900_ai_ci COMMENT 'COLLATE utf8mb4_0900_ai_ci', `h` int /*!80023 INVISIBLE */) COLLATE=utf8mb4_0900_bin;
/*!50003 SET sql_mode = 'ANSI_QUOTES,TIME_TRUNCATE_FRACTIONAL' */ ;
/*!50003 SET collation_connection  = utf8mb4_0900_ai_ci */ ;
SET collation_connection = @saved;
";
    let out = of(Part::Tables, text);
    let wanted = "CREATE TABLE `t` (`a` text COLLATE utf8mb4_unicode_520_nopad_ci COMMENT 'COLLATE utf8mb4_0900_ai_ci', `h` int /*!80023 INVISIBLE */) COLLATE=utf8mb4_nopad_bin;
/*!50003 SET sql_mode = 'ANSI_QUOTES' */ ;
/*!50003 SET collation_connection  = utf8mb4_unicode_520_nopad_ci */ ;
SET collation_connection = @saved;
";
    assert_eq!(out.text, wanted);
    let notes = [
        "what concerns SQL_LOG_BIN was left out: it is no part of a database",
        "what concerns GTID_PURGED was left out: it is no part of a database",
        "what concerns replication was left out: it is no part of a database",
        "the server does not know the collation utf8mb4_0900_ai_ci: utf8mb4_unicode_520_nopad_ci is used for it",
        "the server does not know the collation utf8mb4_0900_bin: utf8mb4_nopad_bin is used for it",
        "the server passes over `/*!80023 INVISIBLE */`, which is for others (`t`)",
        "the server does not know the sql_mode TIME_TRUNCATE_FRACTIONAL: it is left out",
    ];
    assert_eq!(out.notes, notes);
    let (line, _, why) = refused("CREATE TABLE `t` (\n`a` text COLLATE gb18030_chinese_ci);");
    assert!(line == 1 && why.contains("gb18030_chinese_ci"), "{why}");
}

#[test]
fn a_file_that_ends_within_a_statement_is_refused_and_one_without_its_last_line_is_told() {
    for text in ["SET a=1;\nINSERT INTO `t` VALUES (1)", "SET a=1;\nCREATE TABLE t (a", "SET a=1;\nINSERT INTO t VALUES ('"] {
        let (line, head, why) = refused(text);
        assert_eq!((line, why.as_str()), (2, "the file ends in the middle of this statement: it is not whole"));
        assert!(!head.is_empty());
    }
    let long = format!("SET a=1;\nINSERT INTO `t` VALUES (1),{}", "(2),".repeat(5000));
    assert_eq!(refused(&long).0, 2);
    for (text, is_complete) in [
        ("SET a=1;\n-- Dump completed on 2016-01-01  2:00:00\n", true),
        ("SET a=1;\n-- Dump completed\n\n", true),
        ("SET a=1;\n", false),
        ("-- Dump completed\nSET a=1;\n", false),
        ("-- Dump completed\n-- more\n", false),
        ("SET a=1;\n/* not ended", false),
        ("", false),
    ] {
        assert_eq!(of(Part::All, text).is_complete, is_complete, "{text}");
    }
}

#[test]
fn rows_are_committed_now_and_then_and_never_held() {
    let row = format!("({}),", "x".repeat(1 << 20));
    let text = format!("INSERT INTO `t` VALUES {}(1);\n", row.repeat(5)).repeat(5);
    let out = of(Part::Tables, &text);
    let commits: Vec<usize> = out.text.match_indices("\nCOMMIT ;\n").map(|(at, _)| at >> 20).collect();
    assert_eq!(commits, [10, 20]);
    let skipped = of(Part::Forms, &text);
    assert_eq!(skipped.text, "");
}

#[test]
fn a_statement_of_any_length_without_rows_is_not_held() {
    let text = format!("SET a=1;\nCREATE TABLE `t` (a int COMMENT '{}');", "x".repeat(HELD_MAX));
    let (line, head, why) = refused(&text);
    assert!(line == 2 && head.starts_with("CREATE TABLE `t`") && why.contains("longer than"), "{why}");
}

/// What else may stand in a dump: what is read otherwise than it looks.
const PIECES: [&str; 9] = [
    "INSERT INTO `t` VALUES ('a;b\\';','`ellis`.'),\n(2,\"DELIMITER ;;\");\n",
    "/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */;\nINSERT INTO `t` VALUES ('\\');\n/*!50003 SET sql_mode = '' */;\n",
    "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN SELECT ';'; -- don't ;;\n /* ;; */ END ;;\nDELIMITER ;\n",
    "CREATE TABLE `a` (`b` text COLLATE utf8mb4_0900_ai_ci, c int DEFAULT nextval(`ellis`.`s`));\n",
    "-- a comment; it's\n",
    "/* another ' one */ # and; a third\n",
    "REPLACE INTO t VALUES (1) /* ; */;",
    "\n\n",
    "/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a='*/' */;\n",
];

proptest! {
    #[test]
    fn it_comes_to_the_same_in_pieces_of_any_size(
        picked in proptest::collection::vec(0..PIECES.len(), 0..12),
        sizes in proptest::collection::vec(1usize..100, 1..10),
        part in proptest::sample::select(vec![Part::Tables, Part::Forms, Part::Views, Part::Checks, Part::All]),
    ) {
        let text: String = picked.into_iter().map(|at| PIECES[at]).chain([OLD]).collect();
        let whole = case(part).run(text.as_bytes(), vec![1 << 20]).unwrap();
        prop_assert_eq!(case(part).run(text.as_bytes(), sizes).unwrap(), whole);
    }

    #[test]
    fn bytes_that_are_no_dump_never_end_in_a_panic(bytes: Vec<u8>) {
        let _ = case(Part::All).run(&bytes, vec![7]).map(|_| ());
    }
}
