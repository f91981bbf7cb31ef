//! A state is an activity's, not a workflow's.
use durable::prelude::*;

#[workflow]
async fn taken_apart(x: u8, State(pool): State<String>) -> Result<u8, String> {
    Ok(x)
}

#[workflow]
async fn plain_name(pool: State<String>) -> Result<u8, String> {
    Ok(1)
}

fn main() {}
