use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::source::mysql::object::ObjectKind;

/// Keeps each file in memory.
#[derive(Default)]
struct Files(BTreeMap<usize, Vec<u8>>);

impl Sink for Files {
    type Error = Error;

    fn write(&mut self, database: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.entry(database).or_default().extend_from_slice(bytes);
        Ok(())
    }
}

type Split = (Vec<String>, Seen, Vec<Object>);

fn split(databases: &[&str], text: &str, sizes: &mut dyn Iterator<Item = usize>) -> Result<Split, Error> {
    let databases: Vec<String> = databases.iter().map(|name| (*name).to_owned()).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::default();
    let mut splitter = Splitter::new(&databases, &mut files, LIMIT, folder.path());
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(sizes.next().unwrap_or(1)));
        splitter.push(piece)?;
        rest = after;
    }
    let (seen, found) = splitter.finish()?;
    let mut sorted = found.sorted().unwrap();
    let mut objects = Vec::new();
    while let Some(key) = sorted.next().unwrap() {
        objects.push(Object::of_key(key));
    }
    let files = files.0.into_values().map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    Ok((files, seen, objects))
}

/// Bytes of a statement of several rows.
const LIMIT: u64 = 4096;

const DUMP: &str = "/*M!999999\\- enable the sandbox mode */ 
-- MariaDB dump
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
-- CHANGE MASTER TO MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=4501;

--
-- Current Database: `a`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET latin1 */;

USE `a`;
CREATE TABLE `t` (`x` text COMMENT '
-- Current Database: `b`
');
INSERT INTO `t` VALUES ('
-- Current Database: `b`
USE `b`;');
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER tr BEFORE INSERT ON t FOR EACH ROW /* c */ BEGIN END 
*/;;
DELIMITER ;
ALTER DATABASE `a` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;

--
-- Current Database: `b``c`
--

CREATE DATABASE `b``c`;

USE `b``c`;

--
-- Current Database: `a`
--

USE `a`;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`r`@`h` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select 1 */;

-- SET GLOBAL gtid_slave_pos='0-1-21';
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

-- Dump completed
";

/// Without the line of the sandbox mode, at which clients from before it stop.
const HEADER: &str = "-- MariaDB dump
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
-- (in the facts of the snapshot)
";

const FOOTER: &str = "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n-- Dump completed\n";

#[test]
fn each_database_has_its_file_which_names_it_in_comments_only() {
    let (files, seen, objects) = split(&["a", "b`c"], DUMP, &mut std::iter::repeat(11)).unwrap();
    assert!(files.iter().all(|file| file.starts_with(HEADER)), "{files:#?}");
    assert!(files[1].ends_with(&format!("-- USE `b``c`;\n{FOOTER}")), "{}", files[1]);
    assert!(files[0].contains("-- CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET latin1 */;\n"));
    assert!(files[0].contains("CREATE DEFINER=`r`@`h` TRIGGER tr BEFORE INSERT ON t FOR EACH ROW /* c */ BEGIN END \n;;\nDELIMITER ;\n"));
    assert!(files[0].contains("ALTER DATABASE  CHARACTER SET latin1"));
    assert!(files[0].contains("VALUES ('\n-- Current Database: `b`\nUSE `b`;');"));
    assert_eq!(files[0].matches("-- Current Database: `a`").count(), 2);
    assert!(!files[0].contains("b``c") && !files[1].contains("INSERT"));
    let position = Some(("bin.000001".to_owned(), 4501));
    let longest = seen.longest;
    assert_eq!(seen, Seen { is_complete: true, longest, position, gtid: Some("0-1-21".into()) });
    assert!(longest > 100);
    let object = |kind, name: &str| Object { database: 0, kind, name: name.into() };
    assert_eq!(objects, [object(ObjectKind::Table, "t"), object(ObjectKind::View, "v"), object(ObjectKind::Trigger, "tr")]);
}

#[test]
fn a_dump_that_ends_early_is_not_complete_wherever_it_ends() {
    for end in 0..DUMP.len() - "\n".len() - "-- Dump completed".len() {
        if let Ok((_, seen, _)) = split(&["a", "b`c"], &DUMP[..end], &mut std::iter::repeat(500)) {
            assert!(!seen.is_complete, "{:?}", &DUMP[..end]);
        }
    }
    let (_, seen, _) = split(&["a", "b`c"], &format!("{DUMP}x"), &mut std::iter::repeat(500)).unwrap();
    assert!(!seen.is_complete, "something came after the closing line");
}

#[test]
fn a_database_that_was_not_asked_for_is_refused() {
    assert!(matches!(split(&["a"], DUMP, &mut std::iter::repeat(50)), Err(Error::Dump { .. })));
    let astray = DUMP.replace("USE `b``c`", "USE `a`");
    assert!(matches!(split(&["a", "b`c"], &astray, &mut std::iter::repeat(50)), Err(Error::Dump { .. })));
}

#[test]
fn a_stream_that_is_no_dump_does_not_fill_memory() {
    let text = "SELECT 1;\n".repeat(FRAME_MAX / 5);
    assert!(matches!(split(&["a"], &text, &mut std::iter::repeat(5000)), Err(Error::Dump { .. })));
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_the_bytes_come(sizes in proptest::collection::vec(1usize..300, 1..20)) {
        let whole = split(&["a", "b`c"], DUMP, &mut std::iter::repeat(usize::MAX)).unwrap();
        prop_assert_eq!(split(&["a", "b`c"], DUMP, &mut sizes.into_iter().cycle()).unwrap(), whole);
    }
}

#[test]
fn views_that_check_what_is_written_come_twice_and_the_first_time_without_it() {
    let check = "\n/*!50002 WITH CASCADED CHECK OPTION */";
    let dump = |option: &str| DUMP.replace("VIEW `v` AS select 1 */;", &format!("VIEW `v` AS select 1 */{option};"));
    for long in [String::new(), "/**/".repeat(5000)] {
        let dump = dump(check).replace("select 1", &format!("select 1{long}"));
        let (files, seen, objects) = split(&["a", "b`c"], &dump, &mut std::iter::repeat(13)).unwrap();
        assert!(seen.is_complete);
        assert_eq!(objects.len(), 3);
        let (first, second) = files[0].split_once("-- Once more").unwrap();
        assert!(first.contains(&format!("VIEW `v` AS select 1{long} */\n;")) && !first.contains("CHECK OPTION"), "{first}");
        assert!(second.contains(&format!("VIEW `v` AS select 1{long} */{check};")), "{second}");
        assert!(!files[1].contains("Once more"));
    }
    let (files, ..) = split(&["a", "b`c"], DUMP, &mut std::iter::repeat(13)).unwrap();
    assert!(!files[0].contains("Once more"));
}

/// A dump of one table with these statements of rows.
fn dump_of(statements: &[String]) -> String {
    let inserts = format!("{}\n", statements.join("\n"));
    DUMP.replace("INSERT INTO `t` VALUES ('\n-- Current Database: `b`\nUSE `b`;');\n", &inserts)
}

/// Rows of all statements of a file, in order, and the lengths of the statements.
fn rows_of(file: &str) -> (Vec<String>, Vec<usize>) {
    let (mut rows, mut lengths) = (Vec::new(), Vec::new());
    for part in file.split("INSERT INTO `t` VALUES\n").skip(1) {
        let end = part.find(");\n").unwrap() + 2;
        lengths.push("INSERT INTO `t` VALUES\n".len() + end);
        rows.extend(part[..end - 1].split(",\n").map(str::to_owned));
    }
    (rows, lengths)
}

proptest! {
    #[test]
    fn rows_stay_the_same_in_the_same_order_in_statements_within_the_limit(
        lengths in proptest::collection::vec(proptest::collection::vec(prop_oneof![9 => 1usize..300, 1 => 1usize..20_000], 1..40), 1..8),
        newline in any::<bool>(),
        sizes in proptest::collection::vec(1usize..700, 1..20),
    ) {
        let mut number = 0;
        let statements: Vec<Vec<String>> = lengths.iter().map(|lengths| {
            lengths.iter().map(|length| { number += 1; format!("({number},'{}')", "x".repeat(*length)) }).collect()
        }).collect();
        let between = if newline { ",\n" } else { "," };
        let written: Vec<String> = statements.iter().map(|rows| format!("INSERT INTO `t` VALUES\n{};", rows.join(between))).collect();
        let (files, seen, _) = split(&["a", "b`c"], &dump_of(&written), &mut sizes.into_iter().cycle()).unwrap();
        prop_assert!(seen.is_complete);
        let (rows, lengths) = rows_of(&files[0]);
        prop_assert_eq!(rows.concat(), statements.concat().concat());
        let longest = statements.iter().flatten().map(String::len).max().unwrap_or(0) + "INSERT INTO `t` VALUES\n;".len();
        prop_assert!(lengths.iter().all(|length| *length <= (LIMIT as usize).max(longest)), "{:?}", lengths);
        prop_assert!(seen.longest as usize >= *lengths.iter().max().unwrap());
        prop_assert!(files[0].contains(");\nDELIMITER ;;\n"), "{}", &files[0]);
    }
}
