//! What a panic said, and where. The text is in what was caught; the place only the process's hook is told, so the kit asks it, and lets
//! whoever was asked before print what it prints.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static NEWEST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic {
    text: String,
    /// File, line and column, where that is known.
    place: Option<String>,
}

impl Panic {
    /// Of what was caught on this thread just now.
    pub(crate) fn of(caught: &(dyn Any + Send)) -> Panic {
        Panic::said(text_of(caught))
    }

    /// Of a panic on this thread just now of which the text is known, or its beginning.
    pub(crate) fn said(text: &str) -> Panic {
        // One that was resumed, as from another thread, passes by the hook: the newest is another one then.
        let newest = NEWEST.take().filter(|newest| newest.text.starts_with(text));
        newest.unwrap_or_else(|| Panic { text: text.to_owned(), place: None })
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.place.iter().try_for_each(|place| write!(f, "\n  at {place}"))
    }
}

/// The text of what was caught.
pub(crate) fn text_of(caught: &(dyn Any + Send)) -> &str {
    let text = caught.downcast_ref::<&str>().copied().or_else(|| caught.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text")
}

/// From now on the places of panics are known.
pub(crate) fn note_places() {
    static ONCE: Once = Once::new();
    // A thread that panics may not touch the hook.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            let panic = Panic { text: text_of(info.payload()).to_owned(), place };
            // The thread may be at its end.
            let _ = NEWEST.try_with(|newest| newest.replace(Some(panic)));
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::*;

    fn caught(f: impl FnOnce()) -> Panic {
        Panic::of(&*catch_unwind(AssertUnwindSafe(f)).unwrap_err())
    }

    #[test]
    fn a_panic_has_its_place_and_one_that_is_resumed_has_none() {
        note_places();
        let (one, two) = (caught(|| panic!("one")), caught(|| panic!("{}", 2)));
        assert!(one.to_string().starts_with("one\n  at ") && one.to_string().contains("panics.rs:"), "{one}");
        assert_eq!(two.text, "2");
        let _ = catch_unwind(|| panic!("another"));
        assert_eq!(caught(|| resume_unwind(Box::new("resumed"))).to_string(), "resumed");
        assert_eq!(caught(|| resume_unwind(Box::new(7))).to_string(), "a panic without a text");
    }
}
