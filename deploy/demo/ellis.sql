-- Rows for the demo, and what the account of Windlass may do besides all that there is to do in `ellis`. MariaDB runs it at its first start.
-- docs/OPERATIONS.md has the least rights. These are for restores too, which load beside the live database and exchange both.
GRANT ALL PRIVILEGES ON `ellis\_windlass\_%`.* TO 'windlass'@'%';
GRANT SELECT ON mysql.* TO 'windlass'@'%';
GRANT PROCESS, RELOAD, SET USER ON *.* TO 'windlass'@'%';

CREATE TABLE numbers (number VARCHAR(20) PRIMARY KEY, owner VARCHAR(64) NOT NULL, since DATE NOT NULL);
INSERT INTO numbers
SELECT CONCAT('+4930', LPAD(seq, 7, '0')), CONCAT('user', seq MOD 997, '@example.com'), DATE '2026-01-01' + INTERVAL seq MOD 300 DAY
FROM seq_1_to_20000;
CREATE VIEW owners AS SELECT owner, COUNT(*) AS numbers FROM numbers GROUP BY owner;
