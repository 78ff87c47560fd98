//! Somebody between a client and a server's socket, who lets everything through and does something once a certain text has come by.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::thread::Scope;
use std::time::Duration;

/// How often a listener looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub struct Between<'a> {
    /// Where clients are to connect to.
    pub socket: PathBuf,
    listener: UnixListener,
    server: PathBuf,
    text: String,
    is_late: bool,
    once: Once,
    act: &'a (dyn Fn() + Sync),
    over: AtomicBool,
}

impl<'a> Between<'a> {
    /// Listens at a new socket. `act` is called when a client has sent `text` and the server has been given it, the first time only.
    pub fn start(server: &Path, socket: &Path, text: &str, act: &'a (dyn Fn() + Sync)) -> Self {
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (server, text) = (server.to_owned(), text.to_owned());
        Self { socket: socket.to_owned(), listener, server, text, is_late: false, once: Once::new(), act, over: AtomicBool::new(false) }
    }

    /// `act` is called when the server has answered to that text, and before the client has the answer.
    pub fn once_answered(self) -> Self {
        Self { is_late: true, ..self }
    }

    /// Serves until the work is done; it must have come to act then.
    pub fn serve<'s, T>(&'s self, scope: &'s Scope<'s, '_>, work: impl FnOnce() -> T) -> T {
        scope.spawn(move || {
            while !self.over.load(Ordering::SeqCst) {
                match self.listener.accept() {
                    Ok((client, _)) => self.connect(scope, &client),
                    Err(_) => std::thread::sleep(LOOK_EVERY),
                }
            }
        });
        let done = work();
        self.over.store(true, Ordering::SeqCst);
        assert!(self.once.is_completed(), "nobody has sent {}", self.text);
        done
    }

    fn connect<'s>(&'s self, scope: &'s Scope<'s, '_>, client: &UnixStream) {
        client.set_nonblocking(false).unwrap();
        // A server that is down refuses, and so the client's connection ends.
        let Ok(server) = UnixStream::connect(&self.server) else { return };
        let is_sent = Arc::new(AtomicBool::new(false));
        for (mut from, mut to, is_watched) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap(), true),
            (server.try_clone().unwrap(), client.try_clone().unwrap(), false),
        ] {
            let is_sent = is_sent.clone();
            scope.spawn(move || {
                let mut buffer = [0; 64 << 10];
                while let Ok(read @ 1..) = from.read(&mut buffer) {
                    if is_watched && buffer[..read].windows(self.text.len()).any(|window| window == self.text.as_bytes()) {
                        is_sent.store(true, Ordering::SeqCst);
                    }
                    if self.is_late && !is_watched && is_sent.load(Ordering::SeqCst) {
                        self.once.call_once(self.act);
                    }
                    if to.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                    if !self.is_late && is_watched && is_sent.load(Ordering::SeqCst) {
                        self.once.call_once(self.act);
                    }
                }
                let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
            });
        }
    }
}
