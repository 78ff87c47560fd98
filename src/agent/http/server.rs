//! The thread that answers: one small runtime, with a limit on everything that somebody else decides.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{interval, sleep, timeout};

use super::super::board::Board;
use super::Settings;
use super::answers::{self, Knows};
use super::survey::Surveyor;
use crate::ops::Context;
use crate::ops::event::Event;
use crate::sys::clock::Clock;

/// Most connections at once: a monitoring system has one, and so many cost less than a megabyte. What comes beyond them waits.
const CONNECTIONS: usize = 32;

/// How long the head of a request may take to come.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may last, which serves one request: what takes longest is the answer of a bucket that is away.
const CONNECTION_FOR: Duration = Duration::from_secs(60);

/// Most bytes of the head of a request, and of what waits to be sent.
const HEAD_MAX: usize = 16 << 10;

/// How long answers that are being given may still take when the agent stops.
const GRACE: Duration = Duration::from_millis(500);

/// How soon a port that is taken is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// How often it is told that the port is taken.
const TOLD_EVERY: Duration = Duration::from_secs(3600);

/// How soon a connection is taken again after none could be, because the process has too many files open.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// How often the agent's pulse is felt.
const PULSE_EVERY: Duration = Duration::from_secs(15);

/// Answers until it is dropped.
#[derive(Debug)]
pub(in crate::agent) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where it answers, and whom it tells when it cannot.
struct Place {
    listen: SocketAddr,
    clock: Arc<dyn Clock>,
    tell: Arc<dyn Fn(Event) + Send + Sync>,
}

impl Server {
    /// Begins to answer.
    pub(super) fn start(ctx: &Context, board: &Arc<Board>, settings: &Settings, survey: Surveyor) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let knows = Arc::new(Knows::new(ctx, board, settings.token.clone(), survey));
        let place = Place { listen: settings.listen, clock: Arc::clone(&ctx.clock), tell: Arc::clone(&ctx.events) };
        let answer = move || {
            runtime.block_on(async {
                let router = answers::router(Arc::clone(&knows));
                let seats = Arc::new(Semaphore::new(CONNECTIONS));
                tokio::select! {
                    _ = stopped => {}
                    () = feel(&knows) => {}
                    () = serve(&place, &router, &seats) => {}
                }
                // The port is free now; those who are being answered get the rest.
                let _ = timeout(GRACE, seats.acquire_many(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX))).await;
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(answer)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nothing on that thread waits for a disk or a bucket, so it ends within its grace.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Feels the agent's pulse for as long as it is asked about, also while nobody asks.
async fn feel(knows: &Knows) {
    let mut ticks = interval(PULSE_EVERY);
    loop {
        ticks.tick().await;
        knows.still_for();
    }
}

/// Takes one connection after the other. A port that is taken is told and tried again: the agent is there for backups.
async fn serve(place: &Place, router: &Router, seats: &Arc<Semaphore>) {
    let listener = listen(place).await;
    loop {
        let Ok(seat) = Arc::clone(seats).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            // How a connection ends that somebody breaks off is nothing to tell.
            let _ = timeout(CONNECTION_FOR, converse(stream, router)).await;
            drop(seat);
        });
    }
}

async fn listen(place: &Place) -> TcpListener {
    let mut tell_at = place.clock.monotonic();
    loop {
        let cause = match TcpListener::bind(place.listen).await {
            Ok(listener) => return listener,
            Err(cause) => cause,
        };
        if place.clock.monotonic() >= tell_at {
            tell_at += TOLD_EVERY;
            let message = format!(
                "nothing is answered over HTTP: {} cannot be listened on ({cause}); backups go on and it is tried again every {} s; `listen` in \
                 [agent] names another address, or \"off\"",
                place.listen,
                TRY_AGAIN.as_secs()
            );
            (place.tell)(Event::Warning { source: None, message });
        }
        sleep(TRY_AGAIN).await;
    }
}

/// One request and its answer.
async fn converse(stream: TcpStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}
