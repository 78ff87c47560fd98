//! Where a kill is tried out: between any two steps that change something on the disk.

#[cfg(test)]
thread_local! {
    static LEFT: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

/// A point where a kill would hurt most. Tests strike here; otherwise it is nothing.
#[inline]
pub(in crate::source) fn point() {
    #[cfg(test)]
    LEFT.with(|left| match left.get() {
        Some(0) => std::panic::panic_any(Killed),
        Some(more) => left.set(Some(more - 1)),
        None => {}
    });
}

/// What a test's kill unwinds with.
#[cfg(test)]
pub(in crate::source) struct Killed;

/// Runs `action` and kills it at its `after`th point. `None` when it was killed.
#[cfg(test)]
pub(in crate::source) fn strike<T>(after: u32, action: impl FnOnce() -> T) -> Option<T> {
    LEFT.with(|left| left.set(Some(after)));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
    LEFT.with(|left| left.set(None));
    match outcome {
        Ok(value) => Some(value),
        Err(panic) if panic.is::<Killed>() => None,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
