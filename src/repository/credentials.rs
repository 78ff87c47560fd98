//! The credential that requests are signed with: held, renewed before it ends, and fetched by one caller for all.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::OwnedMutexGuard;

use crate::sys::clock::Clock;

/// How long before its end a credential is renewed: time for several tries, also by a service that is down for a while. One that lives
/// shorter than twice this is renewed when half of its life is over.
const EARLY: Duration = Duration::from_secs(300);

/// After this time a credential without an end is asked for again: its file, or what its program prints, may have been changed.
const UNDATED: Duration = Duration::from_secs(900);

/// The pause between tries to renew a credential that is still valid: each request would ask again otherwise.
const PAUSE: Duration = Duration::from_secs(10);

/// Longest time for one walk through all places that may have a credential: a program that is asked may ask a service in turn.
const FETCH: Duration = Duration::from_secs(60);

/// A credential as its origin gave it.
pub(super) struct Fetched<C = AwsCredential> {
    pub(super) credential: C,
    /// When it is no longer valid; `None` = it does not say.
    pub(super) ends: Option<Timestamp>,
}

/// Where a credential comes from. Each call asks anew.
#[async_trait]
pub(super) trait Origin<C = AwsCredential>: fmt::Debug + Send + Sync + 'static {
    async fn fetch(&self) -> Result<Fetched<C>, NoCredential>;
}

/// No credential could be had; the places that were asked for one, not the store, are to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoCredential {
    /// What each place gave. Holds no secret.
    pub(super) text: String,
    /// Whether asking again may go better: a place did not answer, rather than that no place has one.
    pub(super) passing: bool,
}

impl fmt::Display for NoCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NoCredential {}

impl From<NoCredential> for object_store::Error {
    fn from(none: NoCredential) -> Self {
        Self::Generic { store: "credentials", source: Box::new(none) }
    }
}

/// Holds the credential of an origin. Clones share it.
pub(super) struct Keeper<C = AwsCredential>(Arc<Shared<C>>);

impl<C> fmt::Debug for Keeper<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("origin", &self.0.origin).finish_non_exhaustive()
    }
}

impl<C> Clone for Keeper<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<C> {
    origin: Box<dyn Origin<C>>,
    clock: Arc<dyn Clock>,
    state: Mutex<State<C>>,
    /// Held by the one who fetches.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct State<C> {
    held: Option<Held<C>>,
    /// How many fetches have failed, and what the last of them gave.
    failures: u64,
    last: Option<NoCredential>,
}

struct Held<C> {
    credential: Arc<C>,
    renew: Timestamp,
    ends: Option<Timestamp>,
}

/// What is at hand at one moment.
enum Look<C> {
    /// Nothing needs to be done.
    Fresh(Arc<C>),
    /// Still valid; it is time to ask for the next.
    Ageing(Arc<C>),
    /// Nothing that is valid; so many fetches have failed.
    Nothing(u64),
}

impl<C: Send + Sync + 'static> Keeper<C> {
    pub(super) fn new(origin: impl Origin<C>, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State { held: None, failures: 0, last: None });
        Self(Arc::new(Shared { origin: Box::new(origin), clock, state, turn: Arc::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Look<C> {
        let now = self.0.clock.now();
        let state = self.state();
        match &state.held {
            Some(held) if held.ends.is_some_and(|ends| ends <= now) => Look::Nothing(state.failures),
            Some(held) if held.renew <= now => Look::Ageing(Arc::clone(&held.credential)),
            Some(held) => Look::Fresh(Arc::clone(&held.credential)),
            None => Look::Nothing(state.failures),
        }
    }

    /// A valid credential. Waits for a fetch only when there is none.
    pub(super) async fn get(&self) -> Result<Arc<C>, NoCredential> {
        let failures = match self.look() {
            Look::Fresh(credential) => return Ok(credential),
            Look::Ageing(credential) => {
                if let Ok(turn) = Arc::clone(&self.0.turn).try_lock_owned() {
                    tokio::spawn(self.clone().renew(turn));
                }
                return Ok(credential);
            }
            Look::Nothing(failures) => failures,
        };
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        match self.look() {
            Look::Fresh(credential) | Look::Ageing(credential) => return Ok(credential),
            // The fetch that was waited for failed. Asking once more for each of those who waited would only be the same again.
            Look::Nothing(now) if now != failures => return Err(self.state().last.clone().unwrap_or_else(lost)),
            Look::Nothing(_) => {}
        }
        // On a task of its own, so that a caller whose time runs out does not take the answer along.
        tokio::spawn(self.clone().renew(turn)).await.unwrap_or_else(|_| Err(lost()))
    }

    async fn renew(self, turn: OwnedMutexGuard<()>) -> Result<Arc<C>, NoCredential> {
        // It may have been renewed between the look and the turn.
        if let Look::Fresh(credential) = self.look() {
            return Ok(credential);
        }
        let fetched = match tokio::time::timeout(FETCH, self.0.origin.fetch()).await {
            Ok(fetched) => fetched,
            Err(_) => {
                let text = format!("the places that may have a credential gave no answer within {} seconds", FETCH.as_secs());
                Err(NoCredential { text, passing: true })
            }
        };
        let now = self.0.clock.now();
        let mut state = self.state();
        let held = fetched.and_then(|fetched| Held::of(fetched, now));
        let outcome = match held {
            Ok(held) => {
                let credential = Arc::clone(&held.credential);
                state.held = Some(held);
                Ok(credential)
            }
            Err(none) => {
                state.failures += 1;
                state.last = Some(none.clone());
                if let Some(held) = &mut state.held {
                    held.renew = now + PAUSE;
                }
                Err(none)
            }
        };
        drop(state);
        drop(turn);
        outcome
    }
}

/// The task that fetched has broken off.
fn lost() -> NoCredential {
    NoCredential { text: "the fetch of a credential broke off".into(), passing: true }
}

impl<C> Held<C> {
    fn of(fetched: Fetched<C>, now: Timestamp) -> Result<Self, NoCredential> {
        let renew = match fetched.ends {
            None => now + UNDATED,
            Some(ends) => {
                let life = Duration::try_from(ends.duration_since(now)).unwrap_or_default();
                if life.is_zero() {
                    let text = "the credential that was given is no longer valid: check this machine's clock, or log in again".into();
                    return Err(NoCredential { text, passing: true });
                }
                now + life.saturating_sub(EARLY).max(life / 2)
            }
        };
        Ok(Self { credential: Arc::new(fetched.credential), renew, ends: fetched.ends })
    }
}

#[async_trait]
impl<C: Send + Sync + 'static> CredentialProvider for Keeper<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        Ok(self.get().await?)
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
