//! A progress bar on a terminal, and nothing anywhere else.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::human;
use super::output::Output;
use crate::sys::clock::Clock;
use crate::sys::meter::{Meter, Reading};

/// How often the bar is drawn: smooth enough for the eye, and nothing to the machine.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// A phase that is younger has no rate yet that would mean anything.
const RATE_AFTER: Duration = Duration::from_millis(400);

/// A bar that follows a meter until this value is dropped.
pub(super) struct Progress {
    output: Arc<Output>,
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to show what the meter says, where somebody is looking.
    pub(super) fn show(output: &Arc<Output>, meter: &Arc<Meter>, clock: &Arc<dyn Clock>) -> Self {
        if !output.interactive {
            return Self { output: Arc::clone(output), running: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style(false));
        output.set_bar(Some(bar.clone()));
        let (stop, stopped) = channel();
        let (meter, clock) = (Arc::clone(meter), Arc::clone(clock));
        let follow = move || {
            let mut display = Display { bar, phase: None };
            while stopped.recv_timeout(DRAW_EVERY) == Err(RecvTimeoutError::Timeout) {
                display.draw(meter.read(), clock.monotonic());
            }
            display.bar.finish_and_clear();
        };
        // Without a thread there is no bar, and the work goes on all the same.
        let thread = std::thread::Builder::new().name("progress".into()).spawn(follow).ok();
        Self { output: Arc::clone(output), running: thread.map(|thread| (stop, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            let _ = thread.join();
            self.output.set_bar(None);
        }
    }
}

/// What is on the screen.
struct Display {
    bar: ProgressBar,
    /// The phase that is shown, whether its total is known, and when it began.
    phase: Option<(&'static str, bool, Duration)>,
}

impl Display {
    fn draw(&mut self, reading: Reading, now: Duration) {
        let total = reading.total > 0;
        let began = match self.phase {
            Some((phase, knew, began)) if phase == reading.phase => {
                if knew != total {
                    self.bar.set_style(style(total));
                }
                began
            }
            _ => {
                self.bar.set_style(style(total));
                now
            }
        };
        self.phase = Some((reading.phase, total, began));
        if total {
            self.bar.set_length(reading.total.max(reading.bytes));
        }
        self.bar.set_position(reading.bytes);
        self.bar.set_prefix(reading.phase);
        self.bar.set_message(text(reading, now.saturating_sub(began)));
        self.bar.tick();
    }
}

/// What is said beside the bar: how much, how fast, how long still. With the bar it fits into 80 columns.
fn text(reading: Reading, elapsed: Duration) -> String {
    if reading.total == 0 && reading.bytes == 0 {
        return String::new();
    }
    let mut text = human::bytes(reading.bytes);
    if reading.total > 0 {
        text.push_str(&format!(" of {}", human::bytes(reading.total.max(reading.bytes))));
    }
    if elapsed >= RATE_AFTER {
        let rate = reading.bytes as f64 / elapsed.as_secs_f64();
        text.push_str(&format!(", {}/s", human::bytes(rate as u64)));
        let left = reading.total.saturating_sub(reading.bytes);
        if left > 0 && rate >= 1.0 {
            text.push_str(&format!(", {} left", human::duration(Duration::from_secs_f64((left as f64 / rate).ceil()))));
        }
    }
    text
}

fn style(total: bool) -> ProgressStyle {
    let template = if total { "{prefix:<10} {bar:14} {percent:>3} %  {msg}" } else { "{prefix:<10} {spinner} {msg}" };
    ProgressStyle::with_template(template).expect("the template is constant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(phase: &'static str, total: u64, bytes: u64) -> Reading {
        Reading { phase, total, bytes, files: 0, travelled: 0, retries: 0 }
    }

    #[test]
    fn a_bar_follows_its_meter_from_phase_to_phase() {
        let mut display = Display { bar: ProgressBar::hidden(), phase: None };
        display.draw(reading("copying", 0, 5), Duration::from_secs(1));
        assert_eq!((display.bar.position(), display.bar.message()), (5, "5 B".into()));
        display.draw(reading("packing", 100, 10), Duration::from_secs(2));
        assert_eq!((display.bar.position(), display.bar.length(), display.bar.prefix()), (10, Some(100), "packing".into()));
        // A file that grew while it was read.
        display.draw(reading("packing", 100, 120), Duration::from_secs(3));
        assert_eq!(
            (display.bar.position(), display.bar.length(), display.bar.message()),
            (120, Some(120), "120 B of 120 B, 120 B/s".into())
        );
    }

    #[test]
    fn rate_and_time_left_are_those_of_the_phase() {
        let some = reading("packing", 30 << 20, 10 << 20);
        assert_eq!(text(some, Duration::from_millis(100)), "10.0 MiB of 30.0 MiB");
        assert_eq!(text(some, Duration::from_secs(5)), "10.0 MiB of 30.0 MiB, 2.0 MiB/s, 10 s left");
        assert_eq!(text(reading("packing", 30, 0), Duration::from_secs(5)), "0 B of 30 B, 0 B/s");
        assert_eq!(text(reading("planning", 0, 0), Duration::from_secs(5)), "");
    }
}
