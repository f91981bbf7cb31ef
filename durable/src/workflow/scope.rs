//! Cancellation scopes: `catch_cancel`, `scope`, `shield`. A scope drops what is in it when it is cut, at a journaled point, and undoes
//! what was done in it. Which one is cut, and whether a shield holds that off, the machine says.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use pin_project::{pin_project, pinned_drop};

use super::context::{RunContext, current_run};
use super::undo::undo;
use crate::error::Cancelled;
use crate::kernel::id::ScopeNo;
use crate::kernel::scope::{Catches, ShieldNo, Within};

/// Runs `future` in a scope in which a cancel of the run ends: what is in it is dropped and undone, newest first, and the code goes on
/// with [`Cancelled`].
///
/// A run is cancelled once: after that the code may clean up and return what it has, and a second cancel is recorded and ignored. Of
/// scopes in each other the innermost catches. A run timeout is caught by none.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # #[activity]
/// # async fn page(n: u32) -> Result<u32, String> { Ok(n) }
/// /// Gives as many pages as there was time for.
/// #[workflow]
/// async fn crawl(pages: u32) -> durable::Result<Vec<u32>> {
///     let mut done = Vec::new();
///     let all = durable::catch_cancel(async {
///         for n in 0..pages {
///             done.push(page(n).await?);
///         }
///         Ok::<_, durable::Error>(())
///     });
///     match all.await {
///         Ok(crawled) => crawled?,
///         Err(durable::Cancelled) => {} // what is there is good
///     }
///     Ok(done)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(crawl(2).run_direct().await.unwrap(), [0, 1]);
/// # }
/// ```
///
/// # Panics
/// Awaiting it outside a workflow run.
///
/// # Journal
/// `ScopeOpened` at its first poll, `ScopeClosed` when it is done, with what it undoes between them.
///
/// # Cancellation
/// Dropped, it leaves what was registered in it to the scope around it.
pub fn catch_cancel<F: Future>(future: F) -> CatchCancel<F> {
    CatchCancel { enclosed: Enclosed::new(future) }
}

/// Runs `future`, which gives a `Result`, in a scope of its own: if it ends `Err`, or is cancelled by its
/// [`handle`](Scope::handle), what was done in it is undone, newest first, before it returns. If it ends `Ok`, what was registered in
/// it is left to the scope around it.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # #[activity]
/// # async fn book(what: String) -> Result<u32, String> { if what == "car" { Err("none left".to_owned()) } else { Ok(7) } }
/// # #[activity]
/// # async fn release(booking: u32) -> Result<(), String> { Ok(()) }
/// /// A car if there is one; the trip goes on without.
/// #[workflow]
/// async fn trip() -> durable::Result<bool> {
///     book("flight".to_owned()).undo(release).await?;
///     let extras = durable::scope(async {
///         book("hotel".to_owned()).undo(release).await?;
///         book("car".to_owned()).retry(durable::retry::never()).undo(release).await
///     });
///     Ok(extras.await.is_ok()) // the hotel is released again, the flight stands
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(trip().run_direct().await.unwrap(), false);
/// # }
/// ```
///
/// # Panics
/// Awaiting it outside a workflow run.
///
/// # Journal
/// `ScopeOpened` at its first poll, `ScopeClosed` when it is done, with what it undoes between them.
///
/// # Cancellation
/// Dropped, it leaves what was registered in it to the scope around it.
pub fn scope<F, T, E>(future: F) -> Scope<F, E>
where
    F: Future<Output = Result<T, E>>,
{
    Scope { enclosed: Enclosed::new(future), cancelled: None }
}

/// Runs `future` so that no cancel cuts it: the scope that is cancelled goes on until this is done, and is cut then. A run timeout waits
/// too. Code that drops it, the loser of a `select!`, drops it all the same.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # #[activity]
/// # async fn transfer() -> Result<u32, String> { Ok(1) }
/// # #[activity]
/// # async fn book_it(id: u32) -> Result<(), String> { Ok(()) }
/// #[workflow]
/// async fn pay() -> durable::Result<()> {
///     durable::shield(async {
///         let id = transfer().await?;
///         book_it(id).await // also when the run is cancelled between the two
///     })
///     .await?;
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// pay().run_direct().await.unwrap();
/// # }
/// ```
///
/// # Panics
/// Awaiting it outside a workflow run.
///
/// # Journal
/// Records nothing.
pub fn shield<F: Future>(future: F) -> Shield<F> {
    Shield { future: Some(future), held: None }
}

/// A scope that catches a cancel; made by [`catch_cancel`].
#[pin_project]
#[must_use = "a scope does nothing until it is awaited"]
pub struct CatchCancel<F: Future> {
    #[pin]
    enclosed: Enclosed<F>,
}

/// A scope that undoes what was done in it when it fails; made by [`scope`].
#[pin_project]
#[must_use = "a scope does nothing until it is awaited"]
pub struct Scope<F: Future, E> {
    #[pin]
    enclosed: Enclosed<F>,
    /// What it gives when its handle cancels it; there is one if there is a handle.
    cancelled: Option<fn() -> E>,
}

/// Code that no cancel cuts; made by [`shield`].
#[pin_project(PinnedDrop)]
#[must_use = "a shield does nothing until it is awaited"]
pub struct Shield<F> {
    #[pin]
    future: Option<F>,
    held: Option<(Arc<RunContext>, ShieldNo)>,
}

/// Cancels one scope, from anywhere in its run. A handle is a name: dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct ScopeHandle {
    shared: Arc<Mutex<Shared>>,
}

/// What a scope and its handles share.
#[derive(Debug, Default)]
struct Shared {
    run: Weak<RunContext>,
    scope: Option<ScopeNo>,
    cancelled: bool,
}

impl<F: Future> CatchCancel<F> {
    /// A handle that cancels this scope alone.
    pub fn handle(&self) -> ScopeHandle {
        self.enclosed.handle.clone()
    }
}

impl<F: Future, E: From<Cancelled>> Scope<F, E> {
    /// A handle that cancels this scope alone. The scope then gives the error that is made of [`Cancelled`].
    pub fn handle(&mut self) -> ScopeHandle {
        self.cancelled = Some(|| E::from(Cancelled));
        self.enclosed.handle.clone()
    }
}

impl ScopeHandle {
    /// Cancels the scope: what is in it is dropped and undone. Does nothing if the scope has ended. One that was not awaited yet ends
    /// as soon as it is.
    ///
    /// # Panics
    /// Outside the scope's run.
    #[track_caller]
    pub fn cancel(&self) {
        let mut shared = self.lock();
        shared.cancelled = true;
        let (run, scope) = (shared.run.upgrade(), shared.scope);
        drop(shared);
        let (Some(run), Some(scope)) = (run, scope) else { return };
        if run.is_closed() {
            return;
        }
        assert!(
            run.is_current(),
            "a scope is cancelled outside its run: its handle works in the workflow's own body; cancel a run from outside with \
             `Run::cancel`"
        );
        run.machine(|machine| machine.cut_scope(scope));
        run.wake_scope(scope);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future in a scope.
#[pin_project(PinnedDrop)]
struct Enclosed<F: Future> {
    #[pin]
    future: Option<F>,
    handle: ScopeHandle,
    stage: Stage<F::Output>,
}

enum Stage<T> {
    /// Not polled yet.
    New,
    Runs(Arc<RunContext>, Within),
    /// What was done in it is being undone; then it gives this.
    Undoes(Arc<RunContext>, ScopeNo, Result<T, Cancelled>),
    Done,
}

impl<F: Future> Enclosed<F> {
    fn new(future: F) -> Enclosed<F> {
        Enclosed { future: Some(future), handle: ScopeHandle { shared: Arc::default() }, stage: Stage::New }
    }

    /// Polls what is in the scope; `fails` says of which outcomes it undoes.
    fn poll_in(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        catches: Catches,
        fails: fn(&F::Output) -> bool,
    ) -> Poll<Result<F::Output, Cancelled>> {
        let run = current_run().unwrap_or_else(|| {
            panic!("a scope is awaited outside a workflow run: it works only in a workflow's own body")
        });
        if let Stage::New = self.stage {
            self.as_mut().open(&run, catches);
        }
        if let Stage::Runs(opened, within) = &self.stage {
            let within = *within;
            assert!(Arc::ptr_eq(opened, &run), "a scope is awaited in another run than the one that opened it");
            let Some(ended) = self.as_mut().poll_running(cx, &run, within) else {
                run.wait_in_scope(within.scope, cx);
                return Poll::Pending;
            };
            *self.as_mut().project().stage = match ended {
                Ok(output) if !fails(&output) => {
                    run.close_scope(within.scope);
                    *self.project().stage = Stage::Done;
                    return Poll::Ready(Ok(output));
                }
                failed => {
                    run.machine(|machine| machine.begin_undo(within.scope));
                    run.add_undoer(Box::pin(undo(Arc::clone(&run), within.scope)));
                    Stage::Undoes(Arc::clone(&run), within.scope, failed)
                }
            };
        }
        self.poll_undoing(cx)
    }

    fn open(self: Pin<&mut Self>, run: &Arc<RunContext>, catches: Catches) {
        let this = self.project();
        let scope = run.open_scope(catches);
        *this.stage = Stage::Runs(Arc::clone(run), Within { scope, ..run.here() });
        let mut shared = this.handle.lock();
        shared.run = Arc::downgrade(run);
        shared.scope = Some(scope);
        if shared.cancelled {
            run.machine(|machine| machine.cut_scope(scope));
        }
    }

    /// How what is in the scope ended, if it did. It is looked at before and after whether the scope is to be cut: a shield in it may
    /// have ended just now.
    fn poll_running(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        run: &Arc<RunContext>,
        within: Within,
    ) -> Option<Result<F::Output, Cancelled>> {
        let mut this = self.project();
        let is_cut = || run.machine(|machine| machine.is_cut(within.scope));
        if !is_cut() {
            let future = this.future.as_mut().as_pin_mut().expect("because it is there until the scope ends");
            if let Poll::Ready(output) = run.within(within, || future.poll(cx)) {
                this.future.set(None);
                return Some(Ok(output));
            }
            if !is_cut() {
                return None;
            }
        }
        run.enter_drops(|| this.future.set(None));
        Some(Err(Cancelled))
    }

    fn poll_undoing(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Cancelled>> {
        let this = self.project();
        if let Stage::Undoes(run, scope, _) = &*this.stage
            && run.machine(|machine| machine.is_scope_open(*scope))
        {
            run.wait_in_scope(*scope, cx);
            return Poll::Pending;
        }
        match std::mem::replace(this.stage, Stage::Done) {
            Stage::Undoes(_, _, ended) => Poll::Ready(ended),
            Stage::New | Stage::Runs(..) | Stage::Done => {
                panic!("a scope was polled again after it had given its result")
            }
        }
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for Enclosed<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        // What is in it goes first: the scopes in it close before it does. One that undoes closes by itself.
        this.future.set(None);
        if let Stage::Runs(run, within) = &*this.stage {
            run.close_scope(within.scope);
        }
    }
}

impl<F: Future> Future for CatchCancel<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().enclosed.poll_in(cx, Catches::Run, |_| false)
    }
}

impl<F, T, E> Future for Scope<F, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let ended = ready!(this.enclosed.poll_in(cx, Catches::Handle, Result::is_err));
        Poll::Ready(ended.unwrap_or_else(|Cancelled| {
            let cancelled = this.cancelled.expect("because only its handle cancels a scope, and taking one sets this");
            Err(cancelled())
        }))
    }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let run = current_run().unwrap_or_else(|| {
            panic!("a shield is awaited outside a workflow run: it works only in a workflow's own body")
        });
        let within = run.here();
        this.held.get_or_insert_with(|| {
            let shield = run.machine(|machine| machine.shield(within));
            (Arc::clone(&run), shield)
        });
        // The scope in which it was polled first may have ended since.
        let inside = Within { shielded: true, ..within };
        let future =
            this.future.as_mut().as_pin_mut().expect("because a shield is not polled after it has given its result");
        let output = ready!(run.within(inside, || future.poll(cx)));
        this.future.set(None);
        release(this.held);
        Poll::Ready(output)
    }
}

fn release(held: &mut Option<(Arc<RunContext>, ShieldNo)>) {
    if let Some((run, shield)) = held.take() {
        run.unshield(shield);
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Shield<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.future.set(None);
        release(this.held);
    }
}

impl<F: Future> fmt::Debug for CatchCancel<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchCancel").finish_non_exhaustive()
    }
}

impl<F: Future, E> fmt::Debug for Scope<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Shield<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").finish_non_exhaustive()
    }
}
