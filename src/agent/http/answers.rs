//! Which answer belongs to which request.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::super::board::{Board, Facts, NotRun};
use super::super::health::{HANGS_AFTER, Pulse, not_ready};
use super::metrics::{Format, Scrape, text};
use super::survey::Surveyor;
use crate::format::digest::Digest;
use crate::format::names::SourceName;
use crate::ops::Context;
use crate::sys::clock::Clock;
use crate::sys::meter::Meter;
use crate::sys::secret::Secret;

/// Most bytes of what comes with a request: none of them needs any, and some programs send `{}`.
const BODY_MAX: usize = 1024;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What answers are made of.
pub(super) struct Knows {
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
    board: Arc<Board>,
    pulse: Mutex<Pulse>,
    survey: Surveyor,
    objectives: BTreeMap<SourceName, Duration>,
    token: Option<Secret>,
}

impl Knows {
    pub(super) fn new(ctx: &Context, board: &Arc<Board>, token: Option<Secret>, survey: Surveyor) -> Self {
        Self {
            clock: Arc::clone(&ctx.clock),
            meter: Arc::clone(&ctx.meter),
            board: Arc::clone(board),
            pulse: Mutex::new(Pulse::new(ctx.clock.monotonic())),
            survey,
            objectives: ctx.sources.iter().map(|spec| (spec.name.clone(), spec.objective)).collect(),
            token,
        }
    }

    /// What stands on the board, and for how long nothing has moved.
    pub(super) fn still_for(&self) -> (Facts, Duration) {
        let facts = self.board.facts();
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        let still = pulse.look(&facts, self.meter.read(), self.clock.monotonic());
        (facts, still)
    }
}

/// All paths.
pub(super) fn router(knows: Arc<Knows>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/status", get(status))
        .route("/api/run/{source}", post(run))
        .fallback(nothing_there)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(knows)
}

/// An answer that nobody keeps, and that a browser takes for nothing but what it is.
fn answer(status: StatusCode, kind: &'static str, body: impl Into<String>) -> Response {
    let mut response = (status, body.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn refusal(status: StatusCode, why: impl Display) -> Response {
    answer(status, JSON, format!("{}\n", json!({ "error": why.to_string() })))
}

async fn metrics(State(knows): State<Arc<Knows>>, headers: HeaderMap) -> Response {
    let (facts, still) = knows.still_for();
    let survey = knows.survey.latest();
    let scrape = Scrape {
        facts,
        still,
        reading: knows.meter.read(),
        monotonic: knows.clock.monotonic(),
        objectives: knows.objectives.clone(),
        outcome: survey.as_ref().and_then(|survey| Some(survey.found.as_ref().ok()?.0.clone())),
        is_ready: false,
    };
    let scrape = Scrape { is_ready: not_ready(&scrape.facts, knows.clock.now()).is_none(), ..scrape };
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::wanted(accepted);
    answer(StatusCode::OK, format.content_type(), text(scrape, format))
}

async fn healthz(State(knows): State<Arc<Knows>>) -> Response {
    let (facts, still) = knows.still_for();
    let doing = facts.doing.map_or_else(|| "nothing goes on".to_owned(), |doing| doing.to_string());
    if still < HANGS_AFTER {
        return answer(StatusCode::OK, TEXT, format!("alive: {doing}\n"));
    }
    let why = format!("hangs: nothing has moved for {} min; {doing}\n", still.as_secs() / 60);
    answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, why)
}

async fn readyz(State(knows): State<Arc<Knows>>) -> Response {
    match not_ready(&knows.board.facts(), knows.clock.now()) {
        None => answer(StatusCode::OK, TEXT, "ready\n"),
        Some(why) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n")),
    }
}

async fn status(State(knows): State<Arc<Knows>>) -> Response {
    let Some(survey) = knows.survey.ask().await else {
        let why = "neither the disk of local copies nor the repository has answered in time; `windlass status` on the node waits longer";
        return refusal(StatusCode::GATEWAY_TIMEOUT, why);
    };
    match &survey.found {
        Ok((_, document)) => answer(StatusCode::OK, JSON, document.clone()),
        Err(why) => refusal(StatusCode::INTERNAL_SERVER_ERROR, why),
    }
}

async fn run(State(knows): State<Arc<Knows>>, Path(source): Path<String>, headers: HeaderMap, _body: Bytes) -> Response {
    if let Some(refused) = refused(knows.token.as_ref(), &headers) {
        return refused;
    }
    if let Some(why) = not_ready(&knows.board.facts(), knows.clock.now()) {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, NotRun::NotReady(why));
    }
    match knows.board.ask(&source) {
        Ok(source) => answer(StatusCode::ACCEPTED, JSON, format!("{}\n", json!({ "source": source, "asked": true }))),
        Err(why @ NotRun::Unknown { .. }) => refusal(StatusCode::NOT_FOUND, why),
        Err(why @ (NotRun::Asked(_) | NotRun::Running { .. })) => refusal(StatusCode::CONFLICT, why),
        Err(why @ NotRun::NotReady(_)) => refusal(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Why somebody may not ask for anything. Digests are compared, so that how long that takes tells neither the token nor its length.
fn refused(token: Option<&Secret>, headers: &HeaderMap) -> Option<Response> {
    let Some(token) = token else {
        let why = "this agent has no token, so nobody may ask it for a run: write `token_file = \"/etc/windlass/agent.token\"` below [agent] in its \
                   configuration, with a token of your own in that file (`openssl rand -hex 32`), and reload it";
        return Some(refusal(StatusCode::FORBIDDEN, why));
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, given) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| given.trim())
    });
    let digest = |text: &str| *Digest::of(text.as_bytes()).as_bytes();
    if given.is_some_and(|given| verify_slices_are_equal(&digest(given), &digest(token.expose())).is_ok()) {
        return None;
    }
    let why = "this takes the header `Authorization: Bearer TOKEN` with the token of [agent] in the configuration of this node";
    let mut response = refusal(StatusCode::UNAUTHORIZED, why);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"windlass\""));
    Some(response)
}

async fn nothing_there(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(80).collect();
    let why = format!("there is no {path} here; there are /metrics, /healthz, /readyz, /api/status and, with POST, /api/run/SOURCE");
    refusal(StatusCode::NOT_FOUND, why)
}
