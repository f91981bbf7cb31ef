//! A shop whose orders survive whatever happens: `cargo run --release --example checkout` tells the whole story, with a bank that
//! fails, hangs, declines and answers twice, and a shop that crashes five times. `--help` says how to let it happen by hand.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program has the real disk and the real clock"
)]
#![allow(unreachable_pub, reason = "in a program `pub` says: for the other files")]

mod args;
mod client;
mod hooks;
mod run;
mod service;
mod shop;
mod story;
mod tell;

use std::process::ExitCode;

use crate::args::{Asked, HELP, NoArgs};

const WRONG_ARGUMENTS: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let asked = match Asked::parse(std::env::args_os().skip(1)) {
        Ok(asked) => asked,
        Err(NoArgs::Help) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(NoArgs::Wrong(what)) => {
            eprintln!("error: {what}; `--help` says what there is");
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    let code = match asked {
        Asked::Story(dir) => story::tell(dir).await,
        Asked::Order(args) => {
            tell::begin();
            run::go_on(&args).await
        }
    };
    code.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
