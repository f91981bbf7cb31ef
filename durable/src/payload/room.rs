//! Room to write a value in, used again by the next one on the same thread: most values are short-lived bytes on the way to a payload or to
//! a digest. Who needs room while somebody above has it, as a value that writes another one, gets some of his own.

use std::cell::Cell;

/// How much room is there at first.
const ROOM: usize = 256;

/// More is not kept: a value of megabytes is rare.
const KEPT_MAX: usize = 64 << 10;

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Room in which nothing stands.
#[inline]
pub(super) fn take() -> Vec<u8> {
    let mut room = KEPT.take();
    room.reserve(ROOM);
    room
}

/// For the next one.
#[inline]
pub(super) fn give_back(mut room: Vec<u8>) {
    if room.capacity() <= KEPT_MAX {
        room.clear();
        KEPT.set(room);
    }
}
