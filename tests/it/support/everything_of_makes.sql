-- What every make of server has, and what one has that the others pass over: /*!80013 … */ is for MySQL 8.0.13 and later alone, because MariaDB
-- leaves the numbers from 50700 to 99999 to MySQL; /*M!100203 … */ is for MariaDB. Loaded by the client with --comments.
SET sql_mode = 'NO_ENGINE_SUBSTITUTION';

CREATE TABLE kinds (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  tiny TINYINT, big BIGINT UNSIGNED, exact DECIMAL(65, 30), rough DOUBLE, single FLOAT,
  flags BIT(17), one BIT(1), choice ENUM('a', 'it''s', 'c;d'), many SET('x', 'y', 'z'),
  day DATE, moment DATETIME(6), stamp TIMESTAMP(6) NULL, hour TIME(3), year_ YEAR,
  fixed CHAR(20), bytes BINARY(16), var VARBINARY(300), blob_ LONGBLOB, text_ LONGTEXT,
  latin VARCHAR(100) CHARACTER SET latin1, utf VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
  document JSON, place POINT, shape GEOMETRY,
  doubled BIGINT GENERATED ALWAYS AS (tiny * 2) VIRTUAL, kept VARCHAR(50) GENERATED ALWAYS AS (CONCAT(latin, '!')) STORED
) COMMENT = 'it''s "quoted" `so` -- Current Database: `x` ; \\ end';
INSERT INTO kinds (tiny, big, exact, rough, single, flags, one, choice, many, day, moment, stamp, hour, year_, fixed, bytes, var, blob_, text_, latin, utf, document, place, shape) VALUES
  (1, 18446744073709551615, 12345678901234567890.123456789012345678901234567890, 1.7976931348623157e308, 0.1, b'10000000000000001', b'1', 'it''s', 'x,z',
   '0000-00-00', '9999-12-31 23:59:59.999999', '2026-11-23 02:00:00.000001', '-838:59:59.000', 2155, ' lead', X'00FF27225C0A0D1A', X'00', X'00010203',
   'line\nline\r\n\t\\ ''quote'' "double" `tick` ;; -- Current Database: `x`\n-- Current Database: `x`\nUSE `x`;\nDELIMITER //\n', 'é¿', '日本語 𝒳 🦀',
   '{"a": [1, "it''s"]}', ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO kinds (blob_) SELECT REPEAT(X'00FF0A275C', 200000);
ALTER TABLE kinds AUTO_INCREMENT = 5000;

-- Names that would end a careless quote.
CREATE TABLE `od``d "x" 'y'.z; -- a` (`c``1` INT, `c"2;` INT, `c 3` INT, KEY `k``;` (`c``1`));
INSERT INTO `od``d "x" 'y'.z; -- a` VALUES (1, 2, 3);
CREATE TABLE `select` (`from` INT, `日本` INT);

CREATE TABLE no_key (a INT, b TEXT); INSERT INTO no_key VALUES (2, 'b'), (1, 'a'), (2, 'b'), (NULL, NULL);
CREATE TABLE two_keys (a INT, b VARCHAR(10), PRIMARY KEY (b, a)); INSERT INTO two_keys VALUES (2, 'b'), (1, 'c'), (3, 'a');
CREATE TABLE words (id INT PRIMARY KEY, body TEXT, FULLTEXT KEY ft (body)); INSERT INTO words VALUES (1, 'some words to find');
CREATE TABLE places (id INT PRIMARY KEY, at POINT NOT NULL /*!80003 SRID 4326 */, SPATIAL KEY sp (at));
INSERT INTO places VALUES (1, ST_GeomFromText('POINT(3 4)' /*!80003 , 4326 */));
CREATE TABLE a_child (id INT PRIMARY KEY, parent INT, self INT, KEY (parent), CONSTRAINT own FOREIGN KEY (self) REFERENCES a_child (id));
CREATE TABLE z_parent (id INT PRIMARY KEY, child INT, KEY (child));
INSERT INTO a_child VALUES (2, 1, NULL), (1, 1, 2);
INSERT INTO z_parent VALUES (1, 2);
ALTER TABLE a_child ADD CONSTRAINT up FOREIGN KEY (parent) REFERENCES z_parent (id) ON DELETE CASCADE;
ALTER TABLE z_parent ADD CONSTRAINT down FOREIGN KEY (child) REFERENCES a_child (id);
CREATE TABLE parts (id INT, day DATE, note TEXT, PRIMARY KEY (id, day)) PARTITION BY RANGE (YEAR(day)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION p0 VALUES LESS THAN (2020), PARTITION `p``1` VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, '2019-01-01', 'old'), (2, '2026-01-01', 'new');
CREATE TABLE nothing (id INT PRIMARY KEY);
CREATE TABLE my_isam (id INT AUTO_INCREMENT PRIMARY KEY, t TEXT, FULLTEXT KEY (t)) ENGINE = MyISAM CHECKSUM = 1; INSERT INTO my_isam (t) VALUES ('x'), ('y');
CREATE TABLE in_memory (id INT) ENGINE = MEMORY; INSERT INTO in_memory VALUES (1), (2);
CREATE TABLE in_csv (id INT NOT NULL) ENGINE = CSV; INSERT INTO in_csv VALUES (1), (2);

-- MySQL's own.
/*!80023 CREATE TABLE of_mysql (
  id INT PRIMARY KEY, sum_ INT, name VARCHAR(60) COLLATE utf8mb4_0900_ai_ci DEFAULT (CONCAT('a', 'b')), hidden INT INVISIBLE DEFAULT 7,
  tags JSON, KEY falling (sum_ DESC, name), KEY of_function ((sum_ + 1)), KEY unseen (sum_) INVISIBLE,
  KEY members ((CAST(tags->'$' AS UNSIGNED ARRAY))), CONSTRAINT `named ``check``` CHECK (sum_ < 100), CHECK (sum_ > -5) NOT ENFORCED
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_0900_as_cs */;
/*!80023 INSERT INTO of_mysql (id, sum_, name, hidden, tags) VALUES (1, 2, 'x', 8, '[1, 2]'), (2, NULL, 'ü', 9, NULL) */;
/*!80023 CREATE VIEW windowed AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
  SELECT i, ROW_NUMBER() OVER (ORDER BY i DESC) AS r FROM n */;

-- MariaDB's own.
/*M!100203 CREATE TABLE of_mariadb (id INT PRIMARY KEY, name VARCHAR(60) DEFAULT CONCAT('a', 'b'), CONSTRAINT `named ``check``` CHECK (id < 100)) */;
/*M!100203 INSERT INTO of_mariadb (id) VALUES (1), (2) */;
/*M!101100 CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3 */;
/*M!101100 CREATE TABLE from_sequence (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), t TEXT, uid UUID, net INET6, hidden INT INVISIBLE DEFAULT 7) */;
/*M!101100 INSERT INTO from_sequence (t, uid, net) VALUES ('a', '123e4567-e89b-12d3-a456-426655440000', '2001:db8::1') */;
/*M!110400 CREATE TABLE of_new_mariadb (id INT PRIMARY KEY, name VARCHAR(60) COLLATE utf8mb4_uca1400_nopad_as_cs) COLLATE utf8mb4_uca1400_ai_ci */;
/*M!110400 INSERT INTO of_new_mariadb VALUES (1, 'ü') */;

CREATE VIEW v_first AS SELECT id, tiny AS `ti``ny`, 'it''s ; /* no comment */ -- neither' AS text FROM kinds;
CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW a_on_v AS SELECT id, `ti``ny` FROM v_first WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW `on ``two` AS SELECT a.id FROM a_on_v a JOIN parts USING (id);

DELIMITER //
CREATE FUNCTION later(x INT) RETURNS INT DETERMINISTIC COMMENT 'it''s; a -- function' RETURN x + 1//
CREATE PROCEDURE `p ``odd`(IN a INT, OUT b TEXT)
  MODIFIES SQL DATA SQL SECURITY INVOKER
BEGIN -- Current Database: `x`
  /* it's ;; a
-- Current Database: `x`
     trap */
  DECLARE c TEXT DEFAULT ';;'; # it's another
  SET b = CONCAT(c, "//", '\\', '''', "it's");
  SELECT 1; SELECT '
DELIMITER ;
-- Current Database: `x`
USE `x`;
';
END//
CREATE TRIGGER first_one BEFORE INSERT ON no_key FOR EACH ROW /* it's ;; one */ BEGIN /*
two */ SET NEW.b = CONCAT(NEW.b, ';;', "-- x"); -- don't ;;
END//
CREATE DEFINER = 'gone'@'nowhere' TRIGGER `sec``ond` BEFORE INSERT ON no_key FOR EACH ROW FOLLOWS first_one SET NEW.a = NEW.a + 1//
CREATE TRIGGER after_one AFTER DELETE ON two_keys FOR EACH ROW INSERT INTO no_key VALUES (OLD.a, '*/')//
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'it''s' DO
BEGIN /* a comment ; with 'one quote */ DELETE FROM no_key WHERE b = '*/;'; -- that's all
END//
CREATE EVENT `on``ce` ON SCHEDULE AT '2035-01-01 00:00:00' DO SELECT "once"//
SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'//
CREATE PROCEDURE quoted_otherwise() BEGIN SELECT '\', "id" FROM "parts" WHERE note <> '\'; SELECT ';;'; END//
DELIMITER ;
SET sql_mode = '';
CREATE VIEW by_function AS SELECT later(id) AS l FROM parts;
