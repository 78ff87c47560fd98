//! A progress bar on a terminal, and nothing anywhere else.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::sys::meter::{Meter, Reading};

/// How often the bar is drawn: smooth enough for the eye, and nothing to the machine.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// A bar that follows a meter until this value is dropped.
pub(super) struct Progress {
    output: Arc<Output>,
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to show what the meter says, where somebody is looking.
    pub(super) fn show(output: &Arc<Output>, meter: &Arc<Meter>) -> Self {
        if !output.interactive {
            return Self { output: Arc::clone(output), running: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        output.set_bar(Some(bar.clone()));
        let (stop, stopped) = channel();
        let meter = Arc::clone(meter);
        let draw = move || {
            let mut shown = None;
            while stopped.recv_timeout(DRAW_EVERY) == Err(RecvTimeoutError::Timeout) {
                draw(&bar, meter.read(), &mut shown);
            }
            bar.finish_and_clear();
        };
        // Without a thread there is no bar, and the work goes on all the same.
        let thread = std::thread::Builder::new().name("progress".into()).spawn(draw).ok();
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

/// Draws a reading; `shown` is the phase, and whether its total is known, that the bar was set up for.
fn draw(bar: &ProgressBar, reading: Reading, shown: &mut Option<(&'static str, bool)>) {
    let form = (reading.phase, reading.total > 0);
    if *shown != Some(form) {
        // Rate and time left are those of the phase.
        bar.reset();
        bar.set_style(style(form.1));
        bar.set_message(reading.phase);
        *shown = Some(form);
    }
    if form.1 {
        bar.set_length(reading.total.max(reading.bytes));
    }
    bar.set_position(reading.bytes);
    bar.tick();
}

fn style(total: bool) -> ProgressStyle {
    let template = match total {
        true => "{msg:<10} {bar:30} {percent:>3} % of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        false => "{msg:<10} {spinner} {binary_bytes}, {binary_bytes_per_sec}, {elapsed}",
    };
    ProgressStyle::with_template(template).expect("the template is constant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_follows_its_meter_from_phase_to_phase() {
        let (bar, mut shown) = (ProgressBar::hidden(), None);
        let reading = |phase, total, bytes| Reading { phase, total, bytes, files: 0, travelled: 0 };
        draw(&bar, reading("copying", 0, 5), &mut shown);
        assert_eq!((bar.position(), bar.message()), (5, "copying".into()));
        draw(&bar, reading("packing", 100, 10), &mut shown);
        assert_eq!((bar.position(), bar.length(), bar.message()), (10, Some(100), "packing".into()));
        // A file that grew while it was read.
        draw(&bar, reading("packing", 100, 120), &mut shown);
        assert_eq!((bar.position(), bar.length()), (120, Some(120)));
    }
}
