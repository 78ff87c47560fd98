//! Where the agent answers over HTTP, as it was written.

use std::net::{Ipv4Addr, SocketAddr};

use super::mistake::Gatherer;
use super::secret::WrittenSecret;
use super::section::{Section, Written};
use crate::agent::http::Settings;
use crate::sys::environment::Environment;
use crate::sys::secret::Secret;

/// What stands for an agent that answers nobody.
pub(super) const OFF: &str = "off";

/// Where it answers when nothing else is said: on this machine alone. The port lies outside 9100 to 9999, which the exporters of Prometheus have
/// among themselves, below those that systems give to clients, and is that of no database here (3306, 5432, 7000 to 7199, 9042, 10000).
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7463);

/// Fewest characters of a token: whoever reaches the port may try as many as he likes.
const TOKEN_MIN: usize = 16;

/// The keys of it in `[agent]`.
#[derive(Debug)]
pub(super) struct Http {
    listen: Option<Written<String>>,
    pub(super) token: Option<WrittenSecret>,
}

impl Http {
    pub(super) fn read(section: &Section<'_, '_>, gather: &Gatherer<'_>) -> Self {
        Self { listen: section.text("listen"), token: WrittenSecret::read(section, gather, ["token", "token_file", "token_env"]) }
    }

    /// What is meant; `None` = it answers nobody.
    pub(super) fn resolve(&self, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<Settings> {
        let token = self.token.as_ref().and_then(|written| token(written, environment, gather));
        let listen = match &self.listen {
            Some(written) if written.value == OFF => return None,
            Some(written) => listen(written, gather)?,
            None => DEFAULT,
        };
        Some(Settings { listen, token })
    }
}

fn listen(written: &Written<String>, gather: &Gatherer<'_>) -> Option<SocketAddr> {
    let Ok(listen) = written.value.parse::<SocketAddr>() else {
        let message =
            format!("give an address of this machine and a port, such as \"{DEFAULT}\" or \"[::1]:{}\", or \"{OFF}\"", DEFAULT.port());
        gather.mistake(written.at, &written.key, message);
        return None;
    };
    if listen.port() == 0 {
        gather.mistake(written.at, &written.key, "give a port: with 0 it would be another one at each start");
    }
    if !listen.ip().is_loopback() {
        gather.warning(format!(
            "{}: whoever reaches {listen} reads metrics and status, and the token travels as it is: there is no TLS; let a firewall choose who does",
            written.key
        ));
    }
    Some(listen)
}

fn token(written: &WrittenSecret, environment: &dyn Environment, gather: &Gatherer<'_>) -> Option<Secret> {
    let token = written.look_up(environment, gather)?;
    let (at, key) = written.place();
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        gather.mistake(at, key, "a token travels in a header: give letters, digits and signs of ASCII without spaces");
    } else if token.expose().len() < TOKEN_MIN {
        gather.mistake(
            at,
            key,
            format!("this can be guessed: give at least {TOKEN_MIN} characters, such as those of `openssl rand -hex 32`"),
        );
    }
    Some(token)
}
