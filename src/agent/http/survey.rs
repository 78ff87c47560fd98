//! How things stand in both tiers, read on a thread of its own: a bucket that is away keeps whoever asks for it from an answer for some seconds,
//! and nobody else.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::watch;

use super::super::board::{Board, Standing};
use super::super::next_run;
use super::super::schedule::Schedule;
use crate::format::names::SourceName;
use crate::ops::document::Document;
use crate::ops::error::chain;
use crate::ops::status::{self, Outcome};
use crate::ops::{Context, Error};
use crate::sys::clock::Clock;
use crate::sys::meter::Meter;

/// How old an answer may be that is given again: several who ask at once cost the bucket two listings, not two each.
const CACHED: Duration = Duration::from_secs(5);

/// How long somebody waits for an answer: a bucket that does not answer is given up by then.
const DEADLINE: Duration = Duration::from_secs(25);

/// How often it is looked without being asked, for metrics: 24 times two listings a day.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// How long the loop takes at most to leave what it does.
const PAUSE: Duration = Duration::from_secs(2);

/// How soon after a step of the agent it is looked anew.
const TICK: Duration = Duration::from_secs(5);

/// How things stood.
#[derive(Debug)]
pub(super) struct Survey {
    /// When it was known, on the clock that is never set.
    at: Duration,
    /// The outcome and its document, or why there is none.
    pub(super) found: Result<(Outcome, String), String>,
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Surveyor {
    asks: SyncSender<()>,
    latest: watch::Receiver<Option<Arc<Survey>>>,
    clock: Arc<dyn Clock>,
}

/// Begins to look. The thread ends once nobody can ask it any more; it is not waited for, because a disk that hangs may hold it.
pub(super) fn start(ctx: &Context, board: &Arc<Board>, schedules: &[(SourceName, Schedule)]) -> io::Result<Surveyor> {
    // What it does is no progress of the agent's, and what it meets stands in its answer.
    let beside = ctx.beside(Arc::new(Meter::default()), Arc::new(|_| ()));
    let (asks, asked) = sync_channel(1);
    let (tell, latest) = watch::channel(None);
    let thread = Thread { ctx: beside, board: Arc::clone(board), schedules: schedules.to_vec(), tell };
    std::thread::Builder::new().name("status".into()).spawn(move || thread.run(&asked))?;
    Ok(Surveyor { asks, latest, clock: Arc::clone(&ctx.clock) })
}

impl Surveyor {
    /// The last answer, however old; `None` before the first one.
    pub(super) fn latest(&self) -> Option<Arc<Survey>> {
        self.latest.borrow().clone()
    }

    /// An answer of now; `None` when there is none in time.
    pub(super) async fn ask(&self) -> Option<Arc<Survey>> {
        let now = self.clock.monotonic();
        if let Some(survey) = self.latest().filter(|survey| now.saturating_sub(survey.at) < CACHED) {
            return Some(survey);
        }
        // Where it does not fit, somebody else has just asked the same.
        let _ = self.asks.try_send(());
        let mut latest = self.latest.clone();
        let fresh = latest.wait_for(|survey| survey.as_ref().is_some_and(|survey| survey.at >= now));
        tokio::time::timeout(DEADLINE, fresh).await.ok()?.ok()?.clone()
    }
}

struct Thread {
    ctx: Context,
    board: Arc<Board>,
    schedules: Vec<(SourceName, Schedule)>,
    tell: watch::Sender<Option<Arc<Survey>>>,
}

impl Thread {
    fn run(self, asked: &Receiver<()>) {
        // When it was looked last, and how many steps had ended then.
        let mut looked: Option<(Duration, u64)> = None;
        loop {
            match asked.recv_timeout(TICK) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) if self.is_due(looked) => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let ended = self.board.facts().ended();
            let found = self.look_in_peace().map_err(|error| chain(&error));
            let at = self.ctx.clock.monotonic();
            looked = Some((at, ended));
            self.tell.send_replace(Some(Arc::new(Survey { at, found })));
            // Whoever has asked meanwhile is answered by this.
            while asked.try_recv().is_ok() {}
        }
    }

    /// Whether something may have changed, while there is the time to look.
    fn is_due(&self, looked: Option<(Duration, u64)>) -> bool {
        let facts = self.board.facts();
        let is_old = |at: Duration| self.ctx.clock.monotonic().saturating_sub(at) >= LOOK_EVERY;
        facts.standing == Standing::Ready && facts.doing.is_none() && looked.is_none_or(|(at, ended)| ended != facts.ended() || is_old(at))
    }

    /// Looks, and once more where what the loop does was just left for a snapshot: that ends requests of the repository, and these with them.
    fn look_in_peace(&self) -> Result<(Outcome, String), Error> {
        match self.look() {
            Err(error) if error.is_stopped() && self.ctx.stop.signal().is_none() => {
                self.ctx.clock.sleep(PAUSE);
                self.look()
            }
            found => found,
        }
    }

    fn look(&self) -> Result<(Outcome, String), Error> {
        let mut outcome = status::run(&self.ctx)?;
        next_run::tell(&mut outcome, &self.schedules);
        let mut document = serde_json::to_string(&Document::new("status", &outcome)).expect("an outcome is plain JSON");
        document.push('\n');
        Ok((outcome, document))
    }
}
