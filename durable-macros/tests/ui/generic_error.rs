//! A generic error says how it comes back.
use durable::prelude::*;
use durable::prelude::{Deserialize, Serialize};

trait Source: Send + 'static {
    type Error: Serialize + for<'de> Deserialize<'de> + Send + 'static;
}

#[activity(name = "unsaid")]
async fn unsaid<S: Source>() -> Result<u8, S::Error> {
    Ok(1)
}

#[activity(name = "not_retryable", error = typed)]
async fn not_retryable<S: Source>() -> Result<u8, S::Error> {
    Ok(1)
}

#[activity(error = something)]
async fn said_wrongly<S: Source>() -> Result<u8, String> {
    Ok(1)
}

fn main() {}
