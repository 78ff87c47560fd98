//! SIGHUP: somebody asks for the configuration to be read again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the configuration is to be read again. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Reload(Arc<AtomicBool>);

impl Reload {
    /// A flag that nobody has set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that SIGHUP sets, which until now would have ended the process.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn on_signal() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let reload = Self::new();
        let flag = reload.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut hangup = {
            let _inside = runtime.enter();
            signal(SignalKind::hangup())?
        };
        std::thread::Builder::new().name("reload".into()).spawn(move || {
            runtime.block_on(async {
                while hangup.recv().await.is_some() {
                    flag.request();
                }
            });
        })?;
        Ok(reload)
    }

    /// Asks for it, as the signal would.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has asked since it was last done.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The same, and it is about to be done: whoever asks from now on asks again.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_done_once_and_can_be_asked_for_again() {
        let reload = Reload::new();
        assert!(!reload.take());
        reload.clone().request();
        reload.request();
        assert!(reload.is_asked() && reload.take() && !reload.is_asked() && !reload.take());
        reload.request();
        assert!(reload.take());
    }
}
