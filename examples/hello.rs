//! Greets a few people, one a second. Kill it while it runs and start it again: it goes on behind the last one it greeted.

use durable::prelude::*;

#[activity]
async fn greet(name: String) -> Result<usize, String> {
    tokio::time::sleep(Duration::from_secs(1)).await; // anything slow: a request, a query, a payment
    println!("hello, {name}");
    Ok(name.len())
}

#[workflow]
async fn greet_all(names: Vec<String>) -> durable::Result<usize> {
    let mut letters = 0;
    for name in names {
        letters += greet(name).await?;
    }
    Ok(letters)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let runtime = durable::Runtime::builder("hello.durable").register((greet_all, greet)).open().await?;
    let names = ["Ada", "Grace", "Barbara", "Radia", "Frances", "Hedy"].map(String::from);
    let run = runtime.start(greet_all(names.into())).id("hello").await?;
    println!("greeted everybody, {} letters; remove hello.durable to begin anew", run.result().await?);
    Ok(runtime.shutdown().await?)
}
