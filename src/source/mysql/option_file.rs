//! Option files of the vendor's programs: reading the one that an operator keeps, and writing the one that a program is given.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::settings::{Address, PORT, SOCKET, Settings};
use crate::source::Error;
use crate::sys;
use crate::sys::secret::Secret;

/// Groups that hold for every client.
const GROUPS: [&str; 3] = ["client", "client-server", "client-mariadb"];

/// Most bytes of an option file: what people write by hand is far shorter.
const SIZE_MAX: u64 = 256 << 10;

/// How a server is reached: settings and option file together.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) address: Address,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) ca_file: Option<PathBuf>,
}

impl Login {
    /// What is said in the settings, and what is not from their option file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Refused`] when the option file cannot be used.
    pub(super) fn of(settings: &Settings) -> Result<Self, Error> {
        let mut options = match &settings.defaults_file {
            Some(path) => read(path)?,
            None => BTreeMap::new(),
        };
        let address = match &settings.address {
            Some(address) => address.clone(),
            None => address(&options, settings)?,
        };
        let ca_file = settings.ca_file.clone().or_else(|| options.remove("ssl-ca").map(PathBuf::from));
        let ca_file = match (settings.tls, &settings.defaults_file) {
            (Some(true), Some(file)) if ca_file.is_none() => {
                return Err(Error::Refused { why: format!("{} has no ssl-ca, which tls = true needs", file.display()) });
            }
            (Some(false), _) => None,
            _ => ca_file,
        };
        Ok(Self {
            address,
            user: settings.user.clone().or_else(|| options.remove("user")).unwrap_or_else(own_name),
            password: settings.password.clone().or_else(|| options.remove("password").map(Secret::new)),
            ca_file,
        })
    }

    /// The server and the account, for a person.
    pub(super) fn told(&self) -> String {
        format!("the server at {} as `{}`", self.address, self.user)
    }

    /// The text of an option file for this login.
    pub(super) fn option_file(&self, is_mariadb: bool) -> String {
        let mut text = String::from("[client]\n");
        let mut line = |key: &str, value: &str| writeln!(text, "{key}={}", written(value)).expect("a text takes all");
        match &self.address {
            Address::Socket(path) => {
                line("protocol", "socket");
                line("socket", &path.to_string_lossy());
            }
            Address::Tcp { host, port } => {
                line("protocol", "tcp");
                line("host", host);
                line("port", &port.to_string());
            }
        }
        line("user", &self.user);
        // Said also when there is none: without it some programs ask at the terminal.
        line("password", self.password.as_ref().map_or("", Secret::expose));
        match (self.tls(), is_mariadb) {
            (Some(ca_file), true) => {
                line("ssl-ca", &ca_file.to_string_lossy());
                text.push_str("ssl-verify-server-cert\n");
            }
            (Some(ca_file), false) => {
                line("ssl-ca", &ca_file.to_string_lossy());
                line("ssl-mode", "VERIFY_IDENTITY");
            }
            (None, true) => text.push_str("skip-ssl\n"),
            (None, false) => line("ssl-mode", "DISABLED"),
        }
        text
    }

    /// The certificate that the server's must come from; `None` where nothing is encrypted: what goes through a socket stays on the machine.
    pub(super) fn tls(&self) -> Option<&Path> {
        match self.address {
            Address::Socket(_) => None,
            Address::Tcp { .. } => self.ca_file.as_deref(),
        }
    }
}

/// The name of the user that this program runs as, which the vendor's programs take for the account too.
fn own_name() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    user.ok().flatten().map_or_else(|| "root".to_owned(), |user| user.name)
}

fn address(options: &BTreeMap<String, String>, settings: &Settings) -> Result<Address, Error> {
    let port = match options.get("port").map(|port| port.parse()) {
        Some(Ok(port)) => port,
        None => PORT,
        Some(Err(_)) => {
            let path = settings.defaults_file.as_deref().unwrap_or(Path::new(""));
            return Err(Error::Refused { why: format!("the port in {} is no port", path.display()) });
        }
    };
    let is_tcp = options.get("protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp"));
    Ok(match (options.get("host"), options.get("socket")) {
        // The vendor's programs take this name for the socket.
        (Some(host), _) if host != "localhost" || is_tcp => Address::Tcp { host: host.clone(), port },
        (None, _) if is_tcp => Address::Tcp { host: "127.0.0.1".into(), port },
        (_, Some(socket)) => Address::Socket(socket.into()),
        _ => Address::Socket(SOCKET.into()),
    })
}

/// The options of the client groups, the last of each name; names with `-` for `_`.
fn read(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(Error::file("read", path))?;
    file.take(SIZE_MAX).read_to_string(&mut text).map_err(Error::file("read", path))?;
    let (mut options, mut is_ours) = (BTreeMap::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_ours = GROUPS.contains(&group.trim());
        } else if line.starts_with('!') {
            let why = format!("{} includes other files, which Windlass does not follow: name the file that has [client]", path.display());
            return Err(Error::Refused { why });
        } else if is_ours && !line.is_empty() && !line.starts_with(['#', ';']) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let name = name.trim().trim_start_matches("loose-").replace('_', "-");
            options.insert(name, value_of(value.trim()));
        }
    }
    Ok(options)
}

/// A value without its quotes, escapes and comment.
fn value_of(written: &str) -> String {
    let quote = written.chars().next().filter(|c| matches!(c, '"' | '\''));
    let mut value = String::new();
    let mut chars = written.chars().skip(usize::from(quote.is_some()));
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some('b') => value.push('\u{8}'),
                Some('s') => value.push(' '),
                Some(c @ ('\\' | '"' | '\'')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            c if Some(c) == quote => return value,
            '#' if quote.is_none() => return value.trim_end().to_owned(),
            c => value.push(c),
        }
    }
    value
}

/// A value in quotes, so that nothing in it means anything to whoever reads the file.
fn written(value: &str) -> String {
    let mut written = String::from("\"");
    for c in value.chars() {
        match c {
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\\' | '"' => written.extend(['\\', c]),
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// An option file that is there while a program needs it, for its owner alone.
#[derive(Debug)]
pub(super) struct OptionFile {
    pub(super) path: PathBuf,
}

impl OptionFile {
    /// Writes it into a folder that nobody else can enter, and that the next run clears after a kill.
    pub(super) fn create(folder: &Path, text: &str) -> Result<Self, Error> {
        let path = folder.join("login.cnf");
        sys::file::write_new_private(&path, text.as_bytes())?;
        Ok(Self { path })
    }
}

impl Drop for OptionFile {
    fn drop(&mut self) {
        // The folder goes too, and the next run looks for it; so a failure here is made good.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(text: &str) -> Result<Login, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.cnf");
        std::fs::write(&path, text).unwrap();
        Login::of(&Settings { defaults_file: Some(path), ..Settings::new(vec!["a".into()]) })
    }

    #[test]
    fn an_operators_option_file_is_read_as_the_vendors_programs_do() {
        let text = "[mysqld]\nport=1\n[client]\nuser = backup # who\npassword='a#b\\\\c\"'\nhost=db.example.com\n[client-mariadb]\nport=3307\nssl_ca=/ca.pem\n";
        let login = login(text).unwrap();
        assert_eq!(login.address.to_string(), "db.example.com:3307");
        assert_eq!((login.user.as_str(), login.password.unwrap().expose()), ("backup", "a#b\\c\""));
        assert_eq!(login.ca_file, Some("/ca.pem".into()));
    }

    #[test]
    fn localhost_is_the_socket_and_an_include_is_refused() {
        assert_eq!(login("[client]\nhost=localhost\nsocket=/s\n").unwrap().address, Address::Socket("/s".into()));
        assert_eq!(login("").unwrap().address, Address::Socket(SOCKET.into()));
        let tcp = login("[client]\nhost=localhost\nprotocol=TCP\nport=7").unwrap().address;
        assert_eq!(tcp, Address::Tcp { host: "localhost".into(), port: 7 });
        assert!(matches!(login("!includedir /etc/mysql\n"), Err(Error::Refused { .. })));
        assert!(matches!(login("[client]\nport=x\n"), Err(Error::Refused { .. })));
    }

    #[test]
    fn what_the_settings_say_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.cnf");
        std::fs::write(&path, "[client]\nuser=a\npassword=b\nsocket=/s\n").unwrap();
        let settings = Settings { user: Some("me".into()), defaults_file: Some(path), ..Settings::new(vec!["a".into()]) };
        let login = Login::of(&settings).unwrap();
        assert_eq!((login.user.as_str(), login.password.unwrap().expose()), ("me", "b"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(password in "[ -~\n\t\r'\"#\\\\é]{0,30}") {
            let address = Address::Socket("/a b#".into());
            let secret = Some(Secret::new(password.clone()));
            let text = Login { address: address.clone(), user: "u#\"".into(), password: secret, ca_file: None }.option_file(true);
            let back = login(&text).unwrap();
            let read = back.password.map(|password| password.expose().to_owned());
            prop_assert_eq!(read, Some(password));
            prop_assert_eq!((back.address, back.user.as_str()), (address, "u#\""));
        }
    }
}
