//! What is started is a workflow's call.
use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

fn start(runtime: &durable::Runtime) {
    let _ = runtime.start(fetch(1));
}

fn main() {}
