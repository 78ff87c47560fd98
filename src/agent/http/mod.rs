//! What the agent answers over HTTP: metrics, health, how things stand, and a run for whoever holds the token.
//!
//! One thread with a small asynchronous runtime of its own ([`server`]) answers from the [board](super::board) and never asks the loop or the disk,
//! so an answer comes whatever a backup does. How things stand takes reading both tiers; [`survey`] does so on a second thread, and keeps the
//! last answer. [`metrics`] are made anew for each scrape.

mod answers;
pub mod metrics;
mod server;
mod survey;

use std::net::SocketAddr;
use std::sync::Arc;

use super::board::Board;
use super::run;
use crate::ops::Context;
use crate::sys::secret::Secret;

use self::server::Server;

/// Where the agent answers, and to whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address and the port.
    pub listen: SocketAddr,
    /// What whoever asks for a run must present; without it nobody can.
    pub token: Option<Secret>,
}

/// Begins to answer, as far as that is wanted, until what is given back is dropped. What keeps it from that is told, and keeps no backup from being
/// made.
pub(super) fn start(ctx: &Context, board: &Arc<Board>, settings: &run::Settings) -> Option<Server> {
    let http = settings.http.as_ref()?;
    let survey = survey::start(ctx, board, &settings.schedules);
    let server = survey.and_then(|survey| Server::start(ctx, board, http, survey));
    server.map_err(|cause| ctx.warn(None, format!("nothing is answered over HTTP: no thread can be started for it: {cause}"))).ok()
}
