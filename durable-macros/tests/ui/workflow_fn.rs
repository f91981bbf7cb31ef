//! What asks for a workflow's function takes no activity and no call.
use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

async fn plain(x: u8) -> Result<u8, String> {
    Ok(x)
}

fn takes<M, F: durable::WorkflowFn<M>>(_: F) {}

fn main() {
    takes(fetch);
    takes(plain);
}
