//! The shop's partners in memory: a warehouse, a bank and a carrier, with a ledger of what they did. A request is a letter: it is on
//! its way, then it is done, then it is answered, and whoever wrote it may be gone at each of these moments. One key makes one effect;
//! two keys make two, also of an undoing. It outlives the processes of the shop.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use durable_testkit::SimDisk;
use serde::Serialize;

use crate::checkout::client::{Answering, Outside};
use crate::checkout::hooks::Hooks;
use crate::checkout::service::{Hold, KEY, Named, Nothing};

const CENTS: u64 = 8400;

/// How the bank behaves when it is asked for money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charging {
    Takes,
    /// It takes it, and does not answer the first request.
    SilentOnce,
    /// It takes it, and answers no request.
    Silent,
    Declines,
}

/// How the bank behaves when it is asked to give money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refunding {
    Refunds,
    /// Each request fails.
    Fails,
    /// It says that it did, and did not: a mistake that a check has to find.
    Pretends,
}

/// What becomes of a letter that is on its way when its sender dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    Lost,
    /// It arrives when all is over.
    Late,
}

/// How the partners behave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    pub(super) charging: Charging,
    pub(super) refunding: Refunding,
    pub(super) post: Post,
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// The activity of this name had its effect.
    Made(&'static str),
    Undone(&'static str),
}

/// Clones are the same partners.
#[derive(Debug, Clone)]
pub(super) struct Partners(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    habits: Habits,
    lines: Vec<Line>,
    /// What a request under this key was answered.
    answers: BTreeMap<String, Answer>,
    /// The key of each request, by path.
    requests: BTreeMap<String, Vec<String>>,
    /// No charge is made any more.
    is_closed: bool,
    on_their_way: BTreeMap<u64, Letter>,
    letters: u64,
    /// What became of letters, and how many operations the disk had done then.
    history: Vec<(u64, String)>,
    disk: SimDisk,
}

#[derive(Debug)]
struct Letter {
    path: String,
    key: String,
}

type Answer = (StatusCode, Bytes);

impl Partners {
    pub(super) fn new(habits: Habits, disk: SimDisk) -> Partners {
        Partners(Arc::new(Mutex::new(Book {
            habits,
            lines: Vec::new(),
            answers: BTreeMap::new(),
            requests: BTreeMap::new(),
            is_closed: false,
            on_their_way: BTreeMap::new(),
            letters: 0,
            history: Vec::new(),
            disk,
        })))
    }

    /// The shop's line to them.
    pub(super) fn line(&self) -> Outside {
        let partners = self.clone();
        let send = move |request: Request<Body>| -> Answering {
            let partners = partners.clone();
            Box::pin(async move { partners.ask(request).await })
        };
        let (hooks, _) = Hooks::of("", None, None);
        hooks.told();
        Outside::over(send, hooks)
    }

    async fn ask(&self, request: Request<Body>) -> anyhow::Result<Answer> {
        let (head, body) = request.into_parts();
        let _read = to_bytes(body, usize::MAX).await?;
        let key = head.headers[KEY].to_str()?.to_owned();
        let letter = self.book().post(Letter { path: head.uri.path().to_owned(), key });
        tokio::task::yield_now().await;
        let answer = self.book().arrives(letter);
        tokio::task::yield_now().await;
        self.book().note("an answer");
        match answer {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    }

    /// What is still on its way arrives, or is lost.
    pub(super) fn all_arrive(&self) {
        let mut book = self.book();
        let letters: Vec<u64> = book.on_their_way.keys().copied().collect();
        if book.habits.post == Post::Late {
            letters.into_iter().for_each(|letter| drop(book.arrives(letter)));
        }
    }

    /// What was done and undone, in this order.
    pub(super) fn ledger(&self) -> Vec<Line> {
        self.book().lines.clone()
    }

    /// How often anything happened to a letter.
    pub(super) fn moves(&self) -> usize {
        self.book().history.len()
    }

    /// What happened to letters, and how many operations the disk had done then.
    pub(super) fn history(&self) -> Vec<(u64, String)> {
        self.book().history.clone()
    }

    /// The keys of all requests to this path.
    pub(super) fn keys(&self, path: &str) -> Vec<String> {
        self.book().requests_for(path).to_vec()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn note(&mut self, what: &str) {
        self.history.push((self.disk.performed(), what.to_owned()));
    }

    fn post(&mut self, letter: Letter) -> u64 {
        self.letters += 1;
        self.note(&letter.path);
        self.on_their_way.insert(self.letters, letter);
        self.letters
    }

    /// Does what a letter asks for; none if nobody answers.
    fn arrives(&mut self, letter: u64) -> Option<Answer> {
        let Letter { path, key } = self.on_their_way.remove(&letter)?;
        self.note("it arrives");
        self.requests.entry(path.clone()).or_default().push(key.clone());
        let answer = match self.answers.get(&key) {
            Some(known) => known.clone(),
            None => self.act(&path, &key),
        };
        let is_silent = match self.habits.charging {
            Charging::Silent => true,
            Charging::SilentOnce => self.requests_for("/charges").len() == 1,
            Charging::Takes | Charging::Declines => false,
        };
        (path != "/charges" || !is_silent).then_some(answer)
    }

    fn requests_for(&self, path: &str) -> &[String] {
        self.requests.get(path).map_or(&[], Vec::as_slice)
    }

    fn act(&mut self, path: &str, key: &str) -> Answer {
        let is_refund = path.ends_with("/refund") || path.ends_with("/refund-order");
        let answer = match path {
            "/holds" => self.make("reserve", &Hold { id: "hold-1".to_owned(), total: CENTS }),
            "/charges" if self.habits.charging == Charging::Declines => refuse(StatusCode::PAYMENT_REQUIRED),
            "/charges" if self.is_closed => refuse(StatusCode::GONE),
            "/charges" => self.make("charge", &Named { id: "charge-1".to_owned() }),
            "/parcels" => self.make("ship", &Named { id: "parcel-1".to_owned() }),
            _ if is_refund && self.habits.refunding == Refunding::Fails => refuse(StatusCode::SERVICE_UNAVAILABLE),
            _ if is_refund && self.habits.refunding == Refunding::Pretends => say(&Nothing {}),
            "/holds/hold-1/release" => self.undo("reserve"),
            "/charges/charge-1/refund" => self.undo("charge"),
            "/charges/refund-order" => self.refund_order(),
            "/parcels/parcel-1/recall" => self.undo("ship"),
            _ => refuse(StatusCode::NOT_FOUND),
        };
        if answer.0.is_success() {
            self.answers.insert(key.to_owned(), answer.clone());
        }
        answer
    }

    fn make(&mut self, effect: &'static str, answer: &impl Serialize) -> Answer {
        self.lines.push(Line::Made(effect));
        say(answer)
    }

    fn undo(&mut self, effect: &'static str) -> Answer {
        self.lines.push(Line::Undone(effect));
        say(&Nothing {})
    }

    fn refund_order(&mut self) -> Answer {
        self.is_closed = true;
        let (made, undone) = (Line::Made("charge"), Line::Undone("charge"));
        if self.lines.contains(&made) && !self.lines.contains(&undone) {
            self.lines.push(undone);
        }
        say(&Nothing {})
    }
}

fn say(answer: &impl Serialize) -> Answer {
    (StatusCode::OK, serde_json::to_vec(answer).unwrap().into())
}

fn refuse(status: StatusCode) -> Answer {
    (status, Bytes::from_static(b"no"))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Made(effect) => write!(f, "{effect}"),
            Line::Undone(effect) => write!(f, "{effect} undone"),
        }
    }
}
