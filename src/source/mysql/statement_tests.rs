use super::*;

fn of(text: &str) -> Statement {
    Statement::of(text.as_bytes(), Mode::default())
}

fn create(kind: ObjectKind, name: &str, wrapped: bool) -> Statement {
    Statement::Create { kind, name: name.into(), wrapped }
}

#[test]
fn what_the_dump_programs_write_is_known() {
    use ObjectKind::*;
    assert_eq!(of("CREATE TABLE `a``b c` (\n `id` int"), create(Table, "a`b c", false));
    assert_eq!(of("CREATE SEQUENCE `s` start with 5"), create(Sequence, "s", false));
    assert_eq!(
        of(
            "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`ro``ot`@`localhost` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select"
        ),
        create(View, "v", true)
    );
    assert_eq!(of("/*!50001 CREATE VIEW `v` AS SELECT\n NULL AS `id`*/;"), Statement::Other);
    assert_eq!(
        of("/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER tr BEFORE INSERT"),
        create(Trigger, "tr", true)
    );
    assert_eq!(of("/*!50003 CREATE*/ /*!50003 TRIGGER IF NOT EXISTS `x`.`t r` BEFORE INSERT"), create(Trigger, "t r", true));
    assert_eq!(of("/*!50106 CREATE*/ /*!50117 DEFINER=a@b*/ /*!50106 EVENT `ev` ON SCHEDULE"), create(Event, "ev", true));
    assert_eq!(of("CREATE DEFINER=`root`@`%` FUNCTION `f`(x INT) RETURNS"), create(Function, "f", false));
    assert_eq!(of("CREATE DEFINER=`r1` AGGREGATE FUNCTION `f`(x INT)"), create(Function, "f", false));
    assert_eq!(of("CREATE DEFINER=CURRENT_USER PROCEDURE `p`()"), create(Procedure, "p", false));
    assert_eq!(of("CREATE DEFINER=`a`@`b` PACKAGE BODY `k` AS"), create(PackageBody, "k", false));
    assert_eq!(of("CREATE DEFINER=`a`@`b` PACKAGE `k` AS"), create(Package, "k", false));
    assert_eq!(of("INSERT INTO `t` VALUES ('CREATE TABLE `x`')"), Statement::Other);
    assert_eq!(of("CREATE TABLE `unended"), Statement::Other);
}

#[test]
fn databases_are_known_and_where_their_name_stands() {
    assert_eq!(of("USE `a b`;"), Statement::Use("a b".into()));
    assert_eq!(of("CREATE DATABASE /*!32312 IF NOT EXISTS*/ `ellis` /*!40100 DEFAULT"), Statement::CreateDatabase("ellis".into()));
    let text = "ALTER DATABASE `ellis` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;";
    let Statement::AlterDatabase(name, at) = of(text) else { panic!() };
    assert_eq!((name.as_str(), &text[at]), ("ellis", "`ellis`"));
}

#[test]
fn modes_and_the_end_are_known() {
    let both = Mode { ansi_quotes: true, no_backslash_escapes: true };
    assert_eq!(of("/*!50003 SET sql_mode              = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES' */ ;"), Statement::Mode(both));
    assert_eq!(of("/*!50003 SET sql_mode              = @saved_sql_mode */ ;"), Statement::Mode(Mode::default()));
    assert_eq!(of("/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;"), Statement::Other);
    assert_eq!(of("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;"), Statement::Mode(Mode::default()));
    assert_eq!(of("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"), Statement::End);
    for other in [
        "/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;",
        "/*!40103 SET TIME_ZONE='+00:00' */;",
        "/*!50106 SET TIME_ZONE= @save_time_zone */ ;",
    ] {
        assert_eq!(of(other), Statement::Other, "{other}");
    }
}

#[test]
fn double_quotes_are_names_where_the_mode_says_so() {
    let mode = Mode { ansi_quotes: true, no_backslash_escapes: false };
    let head = b"/*!50003 CREATE*/ /*!50003 TRIGGER \"t\"\"r\\\" BEFORE";
    assert_eq!(Statement::of(head, mode), create(ObjectKind::Trigger, "t\"r\\", true));
}
