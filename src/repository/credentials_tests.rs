//! One fetch for all, early renewal, and the old credential as long as it is valid.

use std::collections::VecDeque;

use super::*;
use crate::sys::clock::FixedClock;

/// Gives what a test wrote down, one after the other, each after a moment; then nothing.
#[derive(Debug, Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Option<i64>>>>,
    asked: Arc<Mutex<usize>>,
}

impl Script {
    /// `Some` = a credential that lives so many seconds from the beginning of time, `None` = a failure.
    fn of(answers: impl IntoIterator<Item = Option<i64>>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() }
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl Origin for Script {
    async fn fetch(&self) -> Result<Fetched, NoCredential> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = self.answers.lock().unwrap().pop_front().flatten();
        let ends = answer.map(|seconds| Timestamp::from_second(seconds).unwrap());
        let ends = ends.ok_or_else(|| NoCredential { text: format!("failure {number}"), passing: true })?;
        let credential = AwsCredential { key_id: format!("key {number}"), secret_key: "secret".into(), token: None };
        Ok(Fetched { credential, ends: Some(ends) })
    }
}

fn at_zero(script: &Script) -> (Keeper, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH));
    (Keeper::new(script.clone(), Arc::clone(&clock) as _), clock)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

async fn fifty(keeper: &Keeper) -> Vec<Result<String, String>> {
    let calls: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let keeper = keeper.clone();
                async move { keeper.get().await }
            })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().map(|credential| credential.key_id.clone()).map_err(|none| none.text));
    }
    answers
}

/// The key that is given now, after what runs in the background has had time to end.
async fn key(keeper: &Keeper) -> Result<String, String> {
    let given = keeper.get().await.map(|credential| credential.key_id.clone()).map_err(|none| none.text);
    drop(keeper.0.turn.lock().await);
    given
}

#[test]
fn fifty_callers_make_one_fetch_and_share_its_failure() {
    run(async {
        let script = Script::of([None, Some(3600)]);
        let (keeper, _) = at_zero(&script);
        let answers = fifty(&keeper).await;
        assert!(answers.iter().all(|answer| *answer == Err("failure 1".into())), "{answers:?}");
        assert_eq!(script.asked(), 1, "a failure is shared too");
        let answers = fifty(&keeper).await;
        assert!(answers.iter().all(|answer| *answer == Ok("key 2".into())), "{answers:?}");
        assert_eq!(script.asked(), 2, "and it is not remembered beyond those who waited");
    });
}

#[test]
fn a_credential_is_renewed_early_while_the_old_one_is_given() {
    run(async {
        let script = Script::of([Some(3600), Some(7200)]);
        let (keeper, clock) = at_zero(&script);
        assert_eq!(key(&keeper).await, Ok("key 1".into()));
        clock.advance(Duration::from_secs(3600 - 301));
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 1));
        clock.advance(Duration::from_secs(1));
        let answers = fifty(&keeper).await;
        assert!(answers.iter().all(|answer| *answer == Ok("key 1".into())), "nobody waits for the renewal: {answers:?}");
        drop(keeper.0.turn.lock().await);
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 2".into()), 2));
    });
}

#[test]
fn the_old_credential_is_given_until_its_end_when_it_cannot_be_renewed() {
    run(async {
        let script = Script::of([Some(600), None, None, None, Some(9000)]);
        let (keeper, clock) = at_zero(&script);
        assert_eq!(key(&keeper).await, Ok("key 1".into()));
        clock.advance(Duration::from_secs(300));
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 2));
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 2), "there is a pause after a failure");
        clock.advance(PAUSE);
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 3));
        clock.advance(Duration::from_secs(290));
        assert_eq!((key(&keeper).await, script.asked()), (Err("failure 4".into()), 4), "it has ended");
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 5".into()), 5));
    });
}

#[test]
fn a_short_life_is_renewed_at_half_of_it_and_an_ended_one_is_refused() {
    run(async {
        let script = Script::of([Some(100), Some(200), Some(-1)]);
        let (keeper, clock) = at_zero(&script);
        key(&keeper).await.unwrap();
        clock.advance(Duration::from_secs(49));
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 1));
        clock.advance(Duration::from_secs(1));
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 2));
        clock.advance(Duration::from_secs(500));
        let ended = key(&keeper).await.unwrap_err();
        assert!(ended.contains("no longer valid"), "{ended}");
    });
}

#[test]
fn a_caller_that_gives_up_does_not_take_the_fetch_along() {
    run(async {
        let script = Script::of([Some(3600)]);
        let (keeper, _) = at_zero(&script);
        assert!(tokio::time::timeout(Duration::from_millis(1), keeper.get()).await.is_err());
        assert_eq!((key(&keeper).await, script.asked()), (Ok("key 1".into()), 1));
    });
}

#[test]
fn a_credential_without_an_end_is_asked_for_again_now_and_then() {
    let credential = AwsCredential { key_id: "key".into(), secret_key: "secret".into(), token: None };
    let held = Held::of(Fetched { credential, ends: None }, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((held.renew, held.ends), (Timestamp::UNIX_EPOCH + UNDATED, None));
}
