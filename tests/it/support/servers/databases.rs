//! Database servers of other makes and versions than Debian's, from `tests/servers/install`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::kept::{Kept, in_cache};
use super::mariadb::{MANY_TABLES, MariaDb, certificates, places, user};

/// A make of database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// MySQL 8.0.31.
    Mysql80,
    /// MySQL 5.7.22, whose TLS is older than any that is spoken today.
    Mysql57,
    /// MariaDB 11.4.5, newer than Debian's.
    Mariadb114,
    /// MariaDB 10.2.11, much older; its TLS as that of MySQL 5.7.
    Mariadb102,
}

static RUNNING: [OnceLock<MariaDb>; 4] = [const { OnceLock::new() }; 4];

impl Make {
    /// The server of this make that tests share, started if it is not running yet. Nobody waits for the start of another make.
    ///
    /// # Panics
    /// When its program is not there (with the command that gets it), or it does not start.
    pub fn running(self) -> &'static MariaDb {
        RUNNING[self as usize].get_or_init(|| self.start(&[]))
    }

    /// A server of the test's own, with more options.
    pub fn start(self, options: &[&str]) -> MariaDb {
        MariaDb::of(Kept::start(self.folder(), &[0], &|folder, [port, _]| self.command(folder, port, options)))
    }

    /// Its version.
    pub fn version(self) -> &'static str {
        self.folder().split_once('-').unwrap().1
    }

    /// `mariadb` or `mysql`.
    pub fn flavour(self) -> &'static str {
        self.folder().split_once('-').unwrap().0
    }

    /// Whether it speaks TLS as it is spoken today.
    pub fn speaks_tls(self) -> bool {
        matches!(self, Self::Mysql80 | Self::Mariadb114)
    }

    /// The statement that an account without the right to see routines is told.
    pub fn right_to_see_routines(self) -> &'static str {
        if self == Self::Mysql80 { "GRANT SHOW_ROUTINE ON *.*" } else { "GRANT SELECT ON mysql.proc" }
    }

    /// Its own dump program; the packages of MySQL have none.
    pub fn dump(self) -> Option<PathBuf> {
        match self {
            Self::Mysql80 | Self::Mysql57 => None,
            Self::Mariadb114 => Some(self.program("bin/mariadb-dump")),
            Self::Mariadb102 => Some(self.program("bin/mysqldump")),
        }
    }

    /// How its own client is called; the packages of MySQL have none.
    pub fn client(self) -> Option<Vec<String>> {
        let path = |path: &str| self.program(path).display().to_string();
        match self {
            Self::Mysql80 | Self::Mysql57 => None,
            Self::Mariadb114 => Some(vec![path("bin/mariadb")]),
            // Its libncurses is too old for Debian, whose own one does for a client that nobody types into.
            Self::Mariadb102 => {
                let libraries = path("libs/libncurses.so.5").replace("/libncurses.so.5", "");
                Some(vec!["env".into(), format!("LD_LIBRARY_PATH={libraries}"), path("bin/mysql")])
            }
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Mysql80 => "mysql-8.0.31",
            Self::Mysql57 => "mysql-5.7.22",
            Self::Mariadb114 => "mariadb-11.4.5",
            Self::Mariadb102 => "mariadb-10.2.11",
        }
    }

    fn program(self, path: &str) -> PathBuf {
        in_cache(&Path::new(self.folder()).join(path))
    }

    /// How it is started, once its own tables are there.
    fn command(self, folder: &Path, port: u16, options: &[&str]) -> Command {
        let server = self.program(if self == Self::Mariadb114 { "bin/mariadbd" } else { "bin/mysqld" });
        let base = format!("--basedir={}", in_cache(Path::new(self.folder())).display());
        let mut install = match self {
            Self::Mysql80 | Self::Mysql57 => Command::new(&server),
            Self::Mariadb114 => Command::new(self.program("scripts/mariadb-install-db")),
            Self::Mariadb102 => Command::new(self.program("scripts/mysql_install_db")),
        };
        install.args(["--no-defaults", &base]).args(user()).arg(format!("--datadir={}", folder.join("data").display()));
        install.args(match self {
            Self::Mysql80 | Self::Mysql57 => &["--initialize-insecure"][..],
            Self::Mariadb114 => &["--auth-root-authentication-method=normal", "--skip-test-db"],
            Self::Mariadb102 => &[],
        });
        let installed = install.output().unwrap_or_else(|error| panic!("{install:?} cannot be started: {error}"));
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&[installed.stdout, installed.stderr].concat()));
        let mut command = Command::new(server);
        command.args(["--no-defaults", &base]).args(user()).args(places(folder, port));
        command.args(if self.speaks_tls() { certificates(folder) } else { vec!["--skip-ssl".into()] });
        if self == Self::Mysql80 {
            command.arg("--mysqlx=OFF");
        }
        command
            .args(["--log-bin=log", "--server-id=1", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF", MANY_TABLES])
            .args(options);
        command
    }
}
