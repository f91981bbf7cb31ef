//! Arguments and results have types with a name.
use durable::prelude::*;

#[activity]
async fn shown(value: impl ToString) -> Result<String, String> {
    Ok(value.to_string())
}

#[activity]
async fn opaque() -> Result<impl ToString, String> {
    Ok(1)
}

fn main() {
    let _ = shown(1);
}
