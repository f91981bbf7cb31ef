//! What is allowed in a workflow is named.
use durable::prelude::*;

#[workflow(allow)]
async fn nothing() -> Result<u64, String> {
    Ok(std::time::Instant::now().elapsed().as_secs())
}

#[workflow(allow(clok))]
async fn misspelt() -> Result<u64, String> {
    Ok(std::time::Instant::now().elapsed().as_secs())
}

#[workflow(allow(random))]
async fn another() -> Result<u64, String> {
    Ok(std::time::Instant::now().elapsed().as_secs())
}

#[activity(allow(clock))]
async fn an_activity() -> Result<u64, String> {
    Ok(std::time::Instant::now().elapsed().as_secs())
}

fn main() {}
