//! A wire between a client and a server on which a bit turns over: a proxy on loopback that damages what it was told to, once each time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The wire; it goes with the test process.
pub struct Flipping {
    /// The endpoint on this side of it.
    pub endpoint: String,
    left: Arc<AtomicUsize>,
}

impl Flipping {
    /// A wire to an endpoint without TLS. The bit is one of the first place of a request that holds these bytes.
    pub fn before(endpoint: &str, bytes: &'static [u8]) -> Self {
        let rest = endpoint.strip_prefix("http://").expect("what is encrypted cannot be damaged unseen");
        let server = rest.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let left = Arc::new(AtomicUsize::new(0));
        let (endpoint, count) = (endpoint.replace(&server, &here), Arc::clone(&left));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&server).unwrap();
                let (back, forth, count) = (server.try_clone().unwrap(), client.try_clone().unwrap(), Arc::clone(&count));
                thread::spawn(move || carry(client, server, |chunk| flip(chunk, bytes, &count)));
                thread::spawn(move || carry(back, forth, |_| {}));
            }
        });
        Self { endpoint, left }
    }

    /// Damages the next so many requests that hold the bytes.
    pub fn flip(&self, requests: usize) {
        self.left.store(requests, Ordering::SeqCst);
    }

    /// How many are still to be damaged.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut change: impl FnMut(&mut [u8])) {
    let mut buffer = [0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        change(&mut buffer[..read]);
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(Shutdown::Write);
}

fn flip(chunk: &mut [u8], bytes: &[u8], left: &AtomicUsize) {
    let Some(at) = chunk.windows(bytes.len()).position(|window| window == bytes) else { return };
    if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        chunk[at] ^= 1;
    }
}
