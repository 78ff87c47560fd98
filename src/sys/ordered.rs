//! Parallel work whose results come in the order of the jobs, with a bound on what is in flight.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, mpsc};

/// Runs jobs on `threads` threads, each with a `W` of its own (buffers, contexts).
///
/// `next` makes jobs and `take` receives results, both on the caller's thread, results in the order of their jobs.
/// At most `in_flight` jobs exist between the two at any time; that is what bounds memory.
/// Each thread is joined before this returns, also after an error; then jobs that were not begun are dropped.
///
/// # Errors
/// The first error of `next` or `take`.
///
/// # Panics
/// When `work` panics.
pub fn run<J: Send, R: Send, W, E>(
    threads: usize,
    in_flight: usize,
    next: &mut dyn FnMut() -> Result<Option<J>, E>,
    worker: &(dyn Fn() -> W + Sync),
    work: &(dyn Fn(&mut W, J) -> R + Sync),
    take: &mut dyn FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let in_flight = in_flight.max(threads) as u64;
    let (give_job, jobs) = mpsc::sync_channel::<(u64, J)>(usize::try_from(in_flight).unwrap_or(usize::MAX));
    let (give_result, results) = mpsc::channel::<(u64, std::thread::Result<R>)>();
    let jobs = Mutex::new(Some(jobs));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (jobs, give_result) = (&jobs, give_result.clone());
            scope.spawn(move || {
                let mut own = worker();
                while let Some((number, job)) = receive(jobs) {
                    // A panic is passed on, or the caller would wait for a result that never comes.
                    let result = catch_unwind(AssertUnwindSafe(|| work(&mut own, job)));
                    let panicked = result.is_err();
                    if give_result.send((number, result)).is_err() || panicked {
                        break;
                    }
                }
            });
        }
        drop(give_result);
        let outcome = drive(in_flight, next, take, give_job, &results);
        // Without the receiver, jobs that nobody has begun are dropped and the threads end.
        jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome
    })
}

fn receive<J>(jobs: &Mutex<Option<mpsc::Receiver<J>>>) -> Option<J> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.recv().ok()
}

fn drive<J, R, E>(
    in_flight: u64,
    next: &mut dyn FnMut() -> Result<Option<J>, E>,
    take: &mut dyn FnMut(R) -> Result<(), E>,
    give_job: mpsc::SyncSender<(u64, J)>,
    results: &mpsc::Receiver<(u64, std::thread::Result<R>)>,
) -> Result<(), E> {
    let (mut made, mut taken) = (0, 0);
    let mut give_job = Some(give_job);
    let mut early: BTreeMap<u64, R> = BTreeMap::new();
    loop {
        while made - taken < in_flight
            && let Some(give) = &give_job
        {
            match next()? {
                Some(job) => {
                    // When every thread has panicked nobody takes the job; the loop below then meets the panic.
                    let _ = give.send((made, job));
                    made += 1;
                }
                // Closing the queue lets the threads end once it is empty.
                None => give_job = None,
            }
        }
        if made == taken {
            return Ok(());
        }
        let (number, result) = results.recv().expect("threads live while there are jobs");
        early.insert(number, result.unwrap_or_else(|panic| resume_unwind(panic)));
        while let Some(result) = early.remove(&taken) {
            taken += 1;
            take(result)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_no_more_than_allowed_are_in_flight() {
        let (flying, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (mut made, mut seen) = (0, Vec::new());
        run::<u64, u64, (), ()>(
            4,
            6,
            &mut || {
                most.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                made += 1;
                Ok((made <= 300).then_some(made))
            },
            &|| (),
            &|(), n| {
                std::thread::yield_now();
                n * 2
            },
            &mut |n| {
                flying.fetch_sub(1, Ordering::SeqCst);
                seen.push(n);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, (1..=300).map(|n| n * 2).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 7);
    }

    #[test]
    #[should_panic(expected = "job 7")]
    fn a_panic_in_a_thread_reaches_the_caller() {
        let mut made = 0;
        let mut next = || {
            made += 1;
            Ok::<_, ()>(Some(made))
        };
        let _ = run::<u64, u64, (), ()>(2, 4, &mut next, &|| (), &|(), n| if n == 7 { panic!("job {n}") } else { n }, &mut |_| Ok(()));
    }

    #[test]
    fn an_error_ends_all_threads() {
        let mut made = 0;
        let outcome = run::<u64, u64, (), &str>(
            2,
            8,
            &mut || {
                made += 1;
                Ok(Some(made))
            },
            &|| (),
            &|(), n| n,
            &mut |n| if n == 50 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(outcome, Err("enough"));
    }
}
