//! The engine's seams as a test holds them: time that passes when told to, randomness from a seed, tasks that run when
//! polled. Nothing here reads the real world.

mod clock;
mod entropy;
mod spawn;

pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use spawn::{InlineSpawn, TokioSpawn};
