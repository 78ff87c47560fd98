//! What servers of a release have, where makes and versions differ in what is asked of them.

/// A make and version of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Release {
    is_mariadb: bool,
    /// The three numbers of the version; those that it does not tell are 0.
    numbers: [u32; 3],
}

impl Release {
    /// From what the server calls its version: `10.11.19-MariaDB-log`, `8.0.31`.
    pub(super) fn of(version: &str) -> Self {
        let mut numbers = [0; 3];
        for (number, text) in numbers.iter_mut().zip(version.split(|c: char| !c.is_ascii_digit())) {
            *number = text.parse().unwrap_or(0);
        }
        Self { is_mariadb: version.to_lowercase().contains("mariadb"), numbers }
    }

    /// Whether a comment that begins with this number after its `!` is passed over. MariaDB leaves the numbers from 50700 to 99999 to MySQL, to
    /// which every comment with `M!` is one like others.
    pub(super) fn passes_over(self, number: u32, is_mariadbs: bool) -> bool {
        let [major, minor, patch] = self.numbers;
        let is_later = number > major * 10_000 + minor * 100 + patch;
        match (self.is_mariadb, is_mariadbs) {
            (true, true) => is_later,
            (true, false) => is_later || (50_700..100_000).contains(&number),
            (false, true) => true,
            (false, false) => is_later,
        }
    }

    /// Whether `CHECK` in a table means something.
    pub(super) fn keeps_checks(self) -> bool {
        self.numbers >= if self.is_mariadb { [10, 2, 1] } else { [8, 0, 16] }
    }

    /// Whether an index can be descending.
    pub(super) fn keeps_descending(self) -> bool {
        self.numbers >= if self.is_mariadb { [10, 8, 1] } else { [8, 0, 0] }
    }

    /// Whether its time ends in 2106, else in 2038: MariaDB's on machines of 64 bits.
    pub(super) fn ends_late(self) -> bool {
        self.is_mariadb && self.numbers >= [11, 5, 0]
    }

    /// Whether a table whose files lie where `DATA DIRECTORY` says keeps them when it is moved to another database.
    pub(super) fn moves_directories(self) -> bool {
        !self.is_mariadb && self.numbers >= [8, 0, 0]
    }

    /// Whether JSON is no type of its own.
    pub(super) fn has_json_as_text(self) -> bool {
        self.is_mariadb
    }

    /// Whether the rights of active roles are told only when they are asked for: MySQL has roles since 8.0.
    pub(super) fn asks_for_roles(self) -> bool {
        !self.is_mariadb && self.numbers >= [8, 0, 0]
    }

    /// The question for the accounts and roles that were given one of those that another question asks for; none where there are no roles.
    pub(super) fn holders_of_roles(self, roles: &str) -> Option<String> {
        if self.is_mariadb {
            Some(format!("SELECT e.user, e.host FROM mysql.roles_mapping AS e JOIN ({roles}) AS r ON r.host = '' AND e.role = r.user"))
        } else if self.asks_for_roles() {
            let same = "e.from_user = r.user AND e.from_host = r.host";
            Some(format!("SELECT e.to_user, e.to_host FROM mysql.role_edges AS e JOIN ({roles}) AS r ON {same}"))
        } else {
            None
        }
    }

    /// Whether whoever may read the table `mysql.proc` sees routines; MySQL has no such table since 8.0.
    pub(super) fn has_proc(self) -> bool {
        self.is_mariadb || self.numbers < [8, 0, 0]
    }

    /// The table of `information_schema` with all foreign keys of InnoDB: MySQL has renamed it in 8.0.
    pub(super) fn keys_of_innodb(self) -> &'static str {
        if self.has_proc() { "INNODB_SYS_FOREIGN" } else { "INNODB_FOREIGN" }
    }

    /// The table of `information_schema` with all tables of InnoDB, renamed likewise.
    pub(super) fn tables_of_innodb(self) -> &'static str {
        if self.has_proc() { "INNODB_SYS_TABLES" } else { "INNODB_TABLES" }
    }

    /// Whether SQL knows the character set that names of files are in: MySQL keeps it to itself.
    pub(super) fn decodes_file_names(self) -> bool {
        self.is_mariadb
    }

    /// Whether the password's hash is no part of the grants, but of the statement that makes the account: MySQL since 5.7.
    pub(super) fn has_hashes_apart(self) -> bool {
        !self.is_mariadb && self.numbers >= [5, 7, 0]
    }

    /// Whether a hash with bytes that are no text is written in hexadecimal when that is asked for.
    pub(super) fn has_hashes_as_hex(self) -> bool {
        !self.is_mariadb && self.numbers >= [8, 0, 17]
    }

    /// The right to make things in the name of others.
    pub(super) fn right_to_define(self) -> &'static str {
        match (self.is_mariadb, self.numbers) {
            (true, numbers) if numbers >= [10, 5, 2] => "SET USER",
            (false, numbers) if numbers >= [8, 2, 0] => "SET_ANY_DEFINER",
            (false, numbers) if numbers >= [8, 0, 0] => "SET_USER_ID",
            _ => "SUPER",
        }
    }

    /// Whether making things in the name of an account that has `SYSTEM_USER` takes that right too.
    pub(super) fn has_system_user(self) -> bool {
        !self.is_mariadb && self.numbers >= [8, 0, 16]
    }

    /// The statement that lets an account see all routines, but for its `TO`.
    pub(super) fn grant_for_routines(self) -> &'static str {
        if self.has_proc() {
            "GRANT SELECT ON mysql.proc"
        } else if self.numbers >= [8, 0, 20] {
            "GRANT SHOW_ROUTINE ON *.*"
        } else {
            "GRANT SELECT ON *.*"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_its_own_right_to_see_routines() {
        for (version, grant, roles) in [
            ("10.11.19-MariaDB-0+deb12u1-log", "GRANT SELECT ON mysql.proc", false),
            ("11.4.5-MariaDB-log", "GRANT SELECT ON mysql.proc", false),
            ("5.7.22-log", "GRANT SELECT ON mysql.proc", false),
            ("8.0.15", "GRANT SELECT ON *.*", true),
            ("8.0.31-0ubuntu0.22.04.1", "GRANT SHOW_ROUTINE ON *.*", true),
            ("9.1.0-commercial", "GRANT SHOW_ROUTINE ON *.*", true),
        ] {
            let release = Release::of(version);
            assert_eq!((release.grant_for_routines(), release.asks_for_roles()), (grant, roles), "{version}");
        }
    }
}
