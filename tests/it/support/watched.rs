//! Looks at the command lines and environments of all processes while something is done.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What was seen meanwhile.
#[derive(Debug)]
pub struct Watched {
    /// How often each of the command lines was seen that were waited for.
    pub seen: Vec<u64>,
    /// Command lines and environments that held the secret, each after its program and which of the two it is.
    pub found: Vec<String>,
}

/// Does the work, and looks all the while for command lines with one of these texts, and for whatever shows the secret.
pub fn watched(texts: &[&str], secret: &str, work: impl FnOnce()) -> Watched {
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(texts, secret, &ends));
        let ender = Ender(&ends);
        work();
        drop(ender);
        watcher.join().unwrap()
    })
}

/// Ends the watch, also when the work fails.
struct Ender<'a>(&'a AtomicBool);

impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn watch(texts: &[&str], secret: &str, ends: &AtomicBool) -> Watched {
    let mut watched = Watched { seen: vec![0; texts.len()], found: Vec::new() };
    while !ends.load(Ordering::SeqCst) {
        for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            // Before the rest: a program that was just begun has the environment of the one that begins it.
            let program = std::fs::read_link(process.path().join("exe")).unwrap_or_default();
            for name in ["cmdline", "environ"] {
                let mut text = Vec::new();
                let Ok(_) = File::open(process.path().join(name)).and_then(|mut file| file.read_to_end(&mut text)) else { continue };
                let text = String::from_utf8_lossy(&text).replace('\0', " ");
                for (seen, wanted) in watched.seen.iter_mut().zip(texts) {
                    *seen += u64::from(name == "cmdline" && text.contains(wanted));
                }
                if text.contains(secret) {
                    watched.found.push(format!("{} {name}: {text}", program.display()));
                }
            }
        }
        // Programs live ten times as long, and the processors are not only for who looks.
        std::thread::sleep(Duration::from_millis(2));
    }
    watched
}
