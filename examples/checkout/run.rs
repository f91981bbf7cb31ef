//! One order in one process: the store is opened, the order is started or found, and followed to its end.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use durable::runtime::What;
use durable::{LookupError, Run, RunError, Runtime, SignalError};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::args::{Answer, OrderArgs};
use crate::client::Outside;
use crate::hooks::{CancelRequest, Hooks, Step, crash};
use crate::service;
use crate::shop::{self, APPROVAL, Approval, CheckoutError, Order, checkout};

/// Files in the directory.
pub const STORE: &str = "shop";
pub const LEDGER: &str = "ledger.jsonl";

const ENDED_OTHERWISE: u8 = 3;
const STOPPED: u8 = 130;

type Sale = Run<String, CheckoutError>;

/// Opens the store, and waits until the order has ended.
pub async fn go_on(args: &OrderArgs) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(&args.dir).with_context(|| format!("--dir {}", args.dir.display()))?;
    let outside = match args.service {
        Some(address) => address,
        None => service::start(&args.dir.join(LEDGER)).await.context("the world outside")?,
    };
    let (hooks, cancels) = Hooks::of(&args.order, args.crash_at, args.cancel_at);
    let runtime = Runtime::builder(args.dir.join(STORE))
        .register(shop::all())
        .state(Outside::at(outside, hooks.clone()))
        .open()
        .await?;
    let sale = find_or_start(&runtime, args).await?;
    hooks.told();
    answer(&sale, args.answer).await?;
    let code = tokio::select! {
        code = follow(&sale, args, cancels) => code?,
        _ = tokio::signal::ctrl_c() => {
            tracing::info!("stopped; started again it goes on");
            ExitCode::from(STOPPED)
        }
    };
    runtime.shutdown().await?;
    Ok(code)
}

/// What is known of the order counts, not what is said of it now.
async fn find_or_start(runtime: &Runtime, args: &OrderArgs) -> anyhow::Result<Sale> {
    match runtime.run(checkout, &args.order).await {
        Err(LookupError::NotFound { .. }) => {
            tracing::info!("{}  is new", args.order);
            Ok(runtime.start(checkout(order(args))).id(&args.order).await?)
        }
        Ok(run) => {
            tracing::info!("{}  goes on: {}", args.order, standing(&run).await?);
            Ok(run)
        }
        Err(error) => Err(error.into()),
    }
}

fn order(args: &OrderArgs) -> Order {
    Order {
        id: args.order.clone(),
        items: vec!["lamp".to_owned(), "desk".to_owned()],
        card: args.card,
        address: "Ada, 1 Analytical Row".to_owned(),
        approval_within: args.within,
    }
}

/// Where the order stands, in words.
async fn standing(sale: &Sale) -> anyhow::Result<String> {
    let described = sale.describe().await?;
    let waits: Vec<String> = described.waits_for.iter().map(ToString::to_string).collect();
    Ok(if waits.is_empty() { described.status.to_string() } else { format!("waits for {}", waits.join(", ")) })
}

/// Approves or declines; said twice it counts once.
async fn answer(sale: &Sale, answer: Option<Answer>) -> anyhow::Result<()> {
    let Some(answer) = answer else { return Ok(()) };
    let approval = Approval { yes: answer == Answer::Approve };
    match sale.signal_once(APPROVAL, approval, "the answer").await {
        Ok(()) | Err(SignalError::Closed) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn follow(
    sale: &Sale,
    args: &OrderArgs,
    mut cancels: UnboundedReceiver<CancelRequest>,
) -> anyhow::Result<ExitCode> {
    let mut ended = std::pin::pin!(sale.result_or_blocked());
    let mut approval = std::pin::pin!(waits_for_approval(sale));
    let mut at_approval = [args.crash_at, args.cancel_at].contains(&Some(Step::Approval));
    loop {
        tokio::select! {
            ended = &mut ended => return told(args, ended.context("the order is blocked")?),
            Some(done) = cancels.recv() => {
                cancel(sale).await?;
                let _ = done.send(());
            }
            waits = &mut approval, if at_approval => {
                waits?;
                at_approval = false;
                if args.crash_at == Some(Step::Approval) {
                    crash("the order waits for its approval");
                }
                cancel(sale).await?;
            }
        }
    }
}

/// Returns when the order waits for its approval, as far as that is on disk.
async fn waits_for_approval(sale: &Sale) -> anyhow::Result<()> {
    loop {
        let waits = sale.describe().await?.waits_for;
        if waits.iter().any(|waits| matches!(&waits.what, What::Signal { name } if name == APPROVAL.name())) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn cancel(sale: &Sale) -> anyhow::Result<()> {
    tracing::info!("{}  is cancelled", sale.id());
    match sale.cancel("the customer changed their mind").await {
        Ok(()) | Err(SignalError::Closed) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn told(args: &OrderArgs, ended: Result<String, RunError<CheckoutError>>) -> anyhow::Result<ExitCode> {
    let order = &args.order;
    match ended {
        Ok(receipt) => {
            tracing::info!("{order}  is done, paid by {receipt}");
            Ok(ExitCode::SUCCESS)
        }
        Err(RunError::Failed(error)) => {
            tracing::info!("{order}  ended, and is undone: {error}");
            Ok(ExitCode::from(ENDED_OTHERWISE))
        }
        Err(RunError::Cancelled) => {
            tracing::info!("{order}  ended, and is undone: cancelled");
            Ok(ExitCode::from(ENDED_OTHERWISE))
        }
        Err(error) => Err(error.into()),
    }
}
