//! The command line. It only reads it; whether an order makes sense is asked when it is made.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::hooks::Step;
use crate::service::Card;

/// What `--help` prints.
pub const HELP: &str = "\
A shop that sells, against a bank that fails, hangs, declines and answers twice, in a process that crashes.

Usage: checkout [--dir DIR]                    the whole story: four orders, five crashes, under a minute
       checkout --order ID [--dir DIR] [..]    one order: started again it goes on, whatever happened meanwhile

  --order ID         which order. What is said by `--card` and `--within` counts when it is new
  --card CARD        good; flaky: the first request is answered 503, the second charges the card and is not answered; silent: is
                     charged and never answered; declined. `good` unless this is given
  --within SECONDS   how long somebody has to approve the order; 60 unless this is given
  --approve          approves it
  --decline          does not
  --crash-at STEP    aborts the process when STEP has had its effect outside and that is not recorded yet
  --cancel-at STEP   cancels the order when STEP begins
  --dir DIR          where everything is kept: the store of the shop, and the ledger of the world outside. `checkout.durable` unless
                     this is given; the story takes a temporary one
  --service ADDRESS  the world outside, if it is there already; the story has one for all its orders

An order that is not answered waits. Stop it, and start it again with `--approve` or `--decline`: one process at a time has the store.

STEP is one of reserve, charge, approval, ship, and of those that undo: recall, refund, refund_order, release.

Exit code: 0 the order is done; 3 it ended otherwise, and is undone; 2 wrong arguments; 130 stopped by Ctrl-C; 1 anything else. After
130, 1 and a crash start it again, and it goes on.";

/// What was asked for.
#[derive(Debug)]
pub enum Asked {
    /// The story, here.
    Story(Option<PathBuf>),
    /// One order.
    Order(Box<OrderArgs>),
}

/// What one order is started with.
#[derive(Debug)]
pub struct OrderArgs {
    pub order: String,
    pub dir: PathBuf,
    pub service: Option<SocketAddr>,
    pub card: Card,
    pub within: Duration,
    pub answer: Option<Answer>,
    pub crash_at: Option<Step>,
    pub cancel_at: Option<Step>,
}

/// What is said to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Approve,
    Decline,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum NoArgs {
    /// Help was asked for.
    Help,
    /// They are wrong, in this way.
    Wrong(String),
}

/// As they were written.
#[derive(Default)]
struct Written {
    order: Option<String>,
    card: Option<String>,
    within: Option<String>,
    crash_at: Option<String>,
    cancel_at: Option<String>,
    dir: Option<String>,
    service: Option<String>,
    answer: Option<Answer>,
}

impl Asked {
    /// Reads the arguments behind the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, NoArgs> {
        let written = Written::read(args)?;
        match written.order {
            Some(_) => written.order().map(|order| Asked::Order(Box::new(order))),
            None if written.is_story() => Ok(Asked::Story(written.dir.map(PathBuf::from))),
            None => Err(NoArgs::Wrong("`--order ID` is missing".to_owned())),
        }
    }
}

impl Written {
    fn read(args: impl IntoIterator<Item = OsString>) -> Result<Written, NoArgs> {
        let mut args = args.into_iter().map(text);
        let mut written = Written::default();
        while let Some(name) = args.next().transpose()? {
            let slot = match name.as_str() {
                "--help" | "-h" => return Err(NoArgs::Help),
                "--approve" => {
                    written.answer(Answer::Approve)?;
                    continue;
                }
                "--decline" => {
                    written.answer(Answer::Decline)?;
                    continue;
                }
                "--order" => &mut written.order,
                "--card" => &mut written.card,
                "--within" => &mut written.within,
                "--crash-at" => &mut written.crash_at,
                "--cancel-at" => &mut written.cancel_at,
                "--dir" => &mut written.dir,
                "--service" => &mut written.service,
                _ => return Err(NoArgs::Wrong(format!("unknown argument `{name}`"))),
            };
            let value = args.next().ok_or_else(|| NoArgs::Wrong(format!("`{name}` needs a value")))??;
            if slot.replace(value).is_some() {
                return Err(NoArgs::Wrong(format!("`{name}` is given twice")));
            }
        }
        Ok(written)
    }

    fn answer(&mut self, answer: Answer) -> Result<(), NoArgs> {
        match self.answer.replace(answer) {
            None => Ok(()),
            Some(_) => Err(NoArgs::Wrong("an order is answered once".to_owned())),
        }
    }

    /// Whether nothing is said that belongs to one order.
    fn is_story(&self) -> bool {
        let of_an_order = [&self.card, &self.within, &self.crash_at, &self.cancel_at, &self.service];
        of_an_order.into_iter().all(Option::is_none) && self.answer.is_none()
    }

    fn order(self) -> Result<OrderArgs, NoArgs> {
        Ok(OrderArgs {
            order: self.order.filter(|id| !id.is_empty()).ok_or_else(|| wrong("--order", "a name"))?,
            dir: self.dir.map_or_else(|| PathBuf::from("checkout.durable"), PathBuf::from),
            service: self
                .service
                .map(|text| parsed("--service", "an address, as 127.0.0.1:8080", &text))
                .transpose()?,
            card: self.card.map_or(Ok(Card::Good), |name| card(&name))?,
            within: self.within.map_or(Ok(60), |text| parsed("--within", "seconds", &text)).map(Duration::from_secs)?,
            answer: self.answer,
            crash_at: self.crash_at.map(|name| step("--crash-at", &name)).transpose()?,
            cancel_at: self.cancel_at.map(|name| step("--cancel-at", &name)).transpose()?,
        })
    }
}

fn text(arg: OsString) -> Result<String, NoArgs> {
    arg.into_string().map_err(|arg| NoArgs::Wrong(format!("{arg:?} is no UTF-8")))
}

fn parsed<T: FromStr>(name: &str, what: &str, text: &str) -> Result<T, NoArgs> {
    text.parse().map_err(|_| wrong(name, what))
}

fn card(name: &str) -> Result<Card, NoArgs> {
    let all = [("good", Card::Good), ("flaky", Card::Flaky), ("silent", Card::Silent), ("declined", Card::Declined)];
    let found = all.into_iter().find(|(of, _)| *of == name).map(|(_, card)| card);
    found.ok_or_else(|| wrong("--card", "good, flaky, silent or declined"))
}

fn step(argument: &str, name: &str) -> Result<Step, NoArgs> {
    Step::named(name).ok_or_else(|| wrong(argument, "a step; `--help` lists them"))
}

fn wrong(name: &str, what: &str) -> NoArgs {
    NoArgs::Wrong(format!("`{name}` takes {what}"))
}
