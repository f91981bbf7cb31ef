//! Options are checked while they compile.
use durable::prelude::*;

#[activity(retries = 3)]
async fn unknown() -> Result<u8, String> {
    Ok(1)
}

#[workflow(retry = fixed("1s"))]
async fn not_a_workflows() -> Result<u8, String> {
    Ok(unknown().await.map_err(|e| e.to_string())?)
}

#[activity(start_to_close = "30 seconds")]
async fn bad_duration() -> Result<u8, String> {
    Ok(1)
}

#[activity(retry = exponential("1s", 2.0).max_atempts(3))]
async fn typo_in_a_method() -> Result<u8, String> {
    Ok(1)
}

#[activity(retry = exponential("1s", 0.5))]
async fn shrinking() -> Result<u8, String> {
    Ok(1)
}

#[activity(at_most_once, at_most_once)]
async fn twice() -> Result<u8, String> {
    Ok(1)
}

#[activity(schedule_to_close)]
async fn no_value() -> Result<u8, String> {
    Ok(1)
}

#[activity(name = "a", at_most_once, name = "b")]
async fn two_names() -> Result<u8, String> {
    Ok(1)
}

#[workflow(error = failure, error = typed)]
async fn two_ways() -> Result<u8, String> {
    Ok(1)
}

#[activity(start_to_closed = "1s")]
async fn nearly() -> Result<u8, String> {
    Ok(1)
}

#[activity(timeout = "1s")]
async fn a_workflows() -> Result<u8, String> {
    Ok(1)
}

#[workflow(something = 1)]
async fn like_none() -> Result<u8, String> {
    Ok(1)
}

fn main() {}
