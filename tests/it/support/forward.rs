//! Another address that leads to a server of Cassandra, as a container's or a firewall's does; and somebody on the way who kills a client.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

/// Statements that change something.
const CHANGES: [&str; 7] = ["ALTER ", "CREATE ", "DELETE ", "DROP ", "INSERT ", "TRUNCATE ", "UPDATE "];

/// Where the text of a statement begins in a request (`native_protocol_v4.spec`, 2 and 4.1.4): a header of nine bytes and a length of four.
const TEXT: usize = 13;

/// What says in the header that a request is a statement, and where.
const OPCODE: (usize, u8) = (4, 7);

/// Leads to the server, and lets everything through.
pub fn forward(server: SocketAddr) -> SocketAddr {
    Forward::to(server).address
}

/// Leads to a server, and kills a client as soon as the server has done what it asked for and before it knows.
pub struct Forward {
    pub address: SocketAddr,
    aim: Arc<Mutex<Aim>>,
}

#[derive(Default)]
struct Aim {
    /// How many more changes of the client are let through; without one it is not to be killed.
    left: Option<usize>,
    client: Option<Pid>,
    struck: Option<String>,
}

impl Forward {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let forward = Self { address: listener.local_addr().unwrap(), aim: Arc::default() };
        let aim = forward.aim.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                connect(near.unwrap(), TcpStream::connect(server).unwrap(), &aim);
            }
        });
        forward
    }

    /// Kills the client that is started when so many of its changes have come through and the next one is made. It gives the statement, if there was
    /// one.
    pub fn kills(&self, after: usize, start: impl FnOnce() -> Child, finish: impl FnOnce(Child)) -> Option<String> {
        *self.aim.lock().unwrap() = Aim { left: Some(after), ..Aim::default() };
        let child = start();
        self.aim.lock().unwrap().client = Some(Pid::from_child(&child));
        finish(child);
        std::mem::take(&mut *self.aim.lock().unwrap()).struck
    }
}

/// The statement of a request, if it changes something.
fn change(request: &[u8]) -> Option<String> {
    let text = request.get(TEXT..).filter(|_| request[OPCODE.0] == OPCODE.1)?;
    CHANGES.iter().any(|change| text.starts_with(change.as_bytes())).then(|| String::from_utf8_lossy(text).into_owned())
}

/// A side that ends the connection ends both ways; how it ended is the matter of those at the ends.
fn connect(near: TcpStream, far: TcpStream, aim: &Arc<Mutex<Aim>>) {
    let is_next = Arc::new(AtomicBool::new(false));
    let (back, forth) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    for (mut from, mut to, is_request) in [(near, forth, true), (far, back, false)] {
        let (aim, is_next) = (aim.clone(), is_next.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 64 << 10];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                let bytes = &buffer[..read];
                if is_request && let Some(text) = change(bytes) {
                    is_next.store(aim.lock().unwrap().is_hit_by(text), Ordering::SeqCst);
                } else if !is_request && is_next.swap(false, Ordering::SeqCst) {
                    let client = aim.lock().unwrap().client.expect("it is a client that was started here");
                    kill_process(client, Signal::KILL).unwrap();
                }
                if to.write_all(bytes).is_err() {
                    break;
                }
            }
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

impl Aim {
    fn is_hit_by(&mut self, text: String) -> bool {
        let Some(left) = self.left else { return false };
        self.left = left.checked_sub(1);
        if left == 0 {
            self.struck = Some(text);
        }
        left == 0
    }
}
