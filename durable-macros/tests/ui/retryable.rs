//! What derive(Retryable) understands.
use durable::Retryable;

#[derive(Retryable)]
enum Words {
    #[retry(always)]
    Always,
    Fine,
}

#[derive(Retryable)]
enum Fields {
    #[retry(transparent)]
    Two(u8, u8),
}

#[derive(Retryable)]
enum Waits {
    #[retry(after = "soon")]
    Soon,
    #[retry(after = number)]
    Number { number: u8 },
}

#[derive(Retryable)]
enum Inner {
    #[retry(transparent)]
    Unknown(std::io::Error),
}

fn main() {}
