//! Events, entries and tables of every kind, with every field free.

use std::sync::Arc;

use durable::kernel::event::*;
use durable::kernel::id::*;
use durable::kernel::tables::*;
use durable::kernel::trace::TraceContext;
use durable::kernel::undo::{UndoState, Undoable, Undos};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        4 => vec(any::<char>(), 0..8).prop_map(|chars| chars.into_iter().collect::<String>().into()),
        1 => Just(Text::from("x".repeat(300).as_str())),
    ]
}

/// A name out of few, so that names come again.
fn name() -> impl Strategy<Value = Text> {
    prop_oneof![prop::sample::select(vec!["charge", "refund", "ship", ""]).prop_map(Text::from), text()]
}

fn shape() -> impl Strategy<Value = Digest> {
    prop_oneof![prop::sample::select(vec![1, 2, 3]).prop_map(Digest), any::<u64>().prop_map(Digest)]
}

fn value() -> impl Strategy<Value = Digest> {
    any::<u64>().prop_map(Digest)
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 100..400)].prop_map(Payload::from)
}

pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>(), 1_700_000_000_000_000..1_700_000_100_000_000i64, Just(i64::MAX)].prop_map(Timestamp)
}

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![0..20u32, any::<u32>()].prop_map(Seq)
}

fn attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![0..5u32, any::<u32>()].prop_map(Attempt)
}

fn scope() -> impl Strategy<Value = ScopeNo> {
    any::<u32>().prop_map(ScopeNo)
}

fn run_no() -> impl Strategy<Value = RunNo> {
    any::<u64>().prop_map(RunNo)
}

fn event_no() -> impl Strategy<Value = EventNo> {
    any::<u64>().prop_map(EventNo)
}

fn run_id() -> impl Strategy<Value = RunId> {
    any::<[u8; 16]>().prop_map(RunId)
}

fn end() -> impl Strategy<Value = End> {
    prop::sample::select(vec![
        End::Completed,
        End::Failed,
        End::Cancelled,
        End::TimedOut,
        End::Terminated,
        End::CompensationFailed,
        End::NotStarted,
    ])
}

fn close() -> impl Strategy<Value = ClosePolicy> {
    prop::sample::select(vec![ClosePolicy::Cancel, ClosePolicy::Terminate, ClosePolicy::Abandon])
}

fn which() -> impl Strategy<Value = Which> {
    prop::sample::select(vec![Which::StartToClose, Which::ScheduleToClose, Which::ScheduleToStart, Which::Heartbeat])
}

fn sender() -> impl Strategy<Value = Sender> {
    prop_oneof![
        Just(Sender::Anonymous),
        text().prop_map(Sender::Message),
        (run_id(), seq()).prop_map(|(run, seq)| Sender::Run(run, seq)),
    ]
}

fn cause() -> impl Strategy<Value = AttemptCause> {
    prop_oneof![
        (payload(), text()).prop_map(|(error, text)| AttemptCause::Error { error, text }),
        Just(AttemptCause::TimedOut),
        text().prop_map(AttemptCause::Panicked),
        Just(AttemptCause::Interrupted),
    ]
}

fn failure() -> impl Strategy<Value = CallFailure> {
    let one = prop_oneof![
        (payload(), text()).prop_map(|(error, text)| CallFailure::App { error, text }),
        which().prop_map(CallFailure::TimedOut),
        Just(CallFailure::Cancelled),
        Just(CallFailure::Interrupted),
        text().prop_map(CallFailure::Panicked),
    ];
    (option::of(attempt()), one).prop_map(|(attempts, last)| match attempts {
        Some(attempts) => CallFailure::Exhausted { attempts, last: Box::new(last) },
        None => last,
    })
}

fn binding() -> impl Strategy<Value = Binding> {
    (any::<bool>(), any::<bool>(), text(), option::of(time())).prop_map(|(at_most_once, by_token, queue, deadline)| {
        Binding { at_most_once, by_token, queue: Some(queue).filter(|queue| !queue.is_empty()), deadline }
    })
}

fn undo() -> impl Strategy<Value = UndoBits> {
    any::<(bool, bool, bool)>().prop_map(|(undo, unknown, waits)| UndoBits { undo, unknown, waits })
}

fn call() -> impl Strategy<Value = Entry> {
    (seq(), name(), value(), shape(), binding(), undo(), option::of(seq()), option::of(payload())).prop_map(
        |(seq, name, value, shape, binding, undo, undoes, input)| {
            Entry::ActivityScheduled(Arc::new(ActivityScheduled {
                seq,
                name,
                value,
                shape,
                binding,
                undo,
                undoes,
                input,
            }))
        },
    )
}

fn child() -> impl Strategy<Value = Entry> {
    (seq(), name(), run_no(), text(), value(), shape(), close()).prop_map(
        |(seq, workflow, child, id, value, shape, close)| {
            Entry::ChildScheduled(Box::new(ChildScheduled { seq, workflow, child, id, value, shape, close }))
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        call(),
        child(),
        (seq(), time()).prop_map(|(seq, due)| Entry::TimerStarted { seq, due }),
        (seq(), name()).prop_map(|(seq, name)| Entry::SignalAwaited { seq, name }),
        (seq(), text(), name(), value()).prop_map(|(seq, to, name, value)| Entry::SignalSent { seq, to, name, value }),
        (seq(), name(), scope()).prop_map(|(seq, name, scope)| Entry::CompensationRegistered { seq, name, scope }),
        (scope(), scope()).prop_map(|(scope, parent)| Entry::ScopeOpened { scope, parent }),
        scope().prop_map(|scope| Entry::ScopeClosed { scope }),
        seq().prop_map(|seq| Entry::CommandDropped { seq }),
        seq().prop_map(|seq| Entry::SignalTaken { seq }),
    ]
}

fn trace() -> BoxedStrategy<TraceContext> {
    let bytes = any::<(u128, u64, u8)>().prop_map(|(trace, parent, flags)| {
        let mut bytes = [flags; TraceContext::LEN];
        let parts = trace.to_be_bytes().into_iter().chain(parent.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        TraceContext::of_bytes(bytes)
    });
    bytes.boxed()
}

fn started() -> BoxedStrategy<Event> {
    let who = (run_id(), text(), text(), text(), any::<u32>(), text(), any::<u16>());
    let what = (payload(), value(), shape(), vec((text(), payload()), 0..3), vec((text(), payload()), 0..3));
    let how =
        (option::of(time()), option::of((run_no(), seq())), any::<[u8; 16]>(), any::<[u8; 16]>(), option::of(trace()));
    (who.boxed(), what.boxed(), how.boxed(), text(), any::<i32>(), text())
        .prop_map(|(who, what, how, queue, priority, message)| {
            let (run, namespace, id, workflow, version, build, semantics) = who;
            let (input, value, shape, headers, attributes) = what;
            let (deadline, parent, seed, salt, trace) = how;
            Event::RunStarted(Box::new(RunStarted {
                run,
                namespace,
                id,
                workflow,
                version,
                input,
                value,
                shape,
                trace,
                headers,
                build,
                semantics,
                deadline,
                attributes,
                parent,
                seed,
                salt,
                queue,
                priority,
                message,
            }))
        })
        .boxed()
}

fn ended() -> impl Strategy<Value = Event> {
    (end(), end(), payload(), undone(), text(), text()).prop_map(|(how, body, result, undone, actor, reason)| {
        Event::RunEnded(Box::new(RunEnded { how, body, result, undone, actor, reason }))
    })
}

fn undone() -> impl Strategy<Value = Undone> {
    let calls = || vec((seq(), name()).prop_map(|(seq, name)| UndoneCall { seq, name }), 0..4);
    (calls(), calls(), calls()).prop_map(|(undone, not_undone, unknown)| Undone { undone, not_undone, unknown })
}

fn attempts() -> impl Strategy<Value = Event> {
    prop_oneof![
        (seq(), attempt()).prop_map(|(seq, attempt)| Event::AttemptStarted { seq, attempt }),
        (seq(), attempt()).prop_map(|(seq, attempt)| Event::AttemptParked { seq, attempt }),
        (seq(), attempt(), time(), cause(), time(), any::<bool>()).prop_map(
            |(seq, attempt, began, cause, due, maybe)| Event::AttemptFailed { seq, attempt, began, cause, due, maybe }
        ),
        (seq(), attempt(), time(), payload()).prop_map(|(seq, attempt, began, result)| Event::ActivityCompleted {
            seq,
            attempt,
            began,
            result
        }),
        (seq(), attempt(), time(), failure(), any::<bool>()).prop_map(|(seq, attempt, began, error, maybe)| {
            Event::ActivityFailed { seq, attempt, began, error, maybe }
        }),
    ]
}

fn facts() -> impl Strategy<Value = Event> {
    prop_oneof![
        (seq(), time()).prop_map(|(seq, at)| Event::TimerFired { seq, at }),
        (text(), payload(), sender()).prop_map(|(name, payload, sender)| Event::SignalReceived {
            name,
            payload,
            sender
        }),
        (seq(), end(), end(), payload(), undone()).prop_map(|(seq, how, body, result, undone)| Event::ChildEnded {
            seq,
            how,
            body,
            result,
            undone
        }),
        (scope(), text(), text(), text()).prop_map(|(scope, actor, reason, message)| Event::CancelRequested {
            scope,
            actor,
            reason,
            message
        }),
        time().prop_map(|at| Event::RunTimedOut { at }),
        (end(), payload()).prop_map(|(cause, result)| Event::CompensationStarted { cause, result }),
    ]
}

fn builds() -> impl Strategy<Value = Event> {
    prop_oneof![
        text().prop_map(|build| Event::BuildChanged { build }),
        (text(), text()).prop_map(|(build, reason)| Event::RunBlocked { build, reason }),
        (text(), text()).prop_map(|(build, reason)| Event::RunUnblocked { build, reason }),
        (text(), any::<u32>(), text()).prop_map(|(build, pid, host)| Event::Opened { build, pid, host }),
        Just(Event::Closed),
        (any::<u32>(), any::<u32>(), payload()).prop_map(|(part, of, tables)| Event::Checkpoint { part, of, tables }),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => started(),
        3 => (event_no(), vec(entry(), 0..6)).prop_map(|(of, entries)| Event::Turn { of, entries: entries.into() }),
        3 => attempts(),
        3 => facts(),
        1 => ended(),
        2 => builds(),
    ]
}

fn state() -> impl Strategy<Value = AttemptState> {
    prop_oneof![
        Just(AttemptState::Scheduled),
        attempt().prop_map(AttemptState::Started),
        (attempt(), time(), text())
            .prop_map(|(attempt, due, cause)| AttemptState::Failed(FailedAttempt { attempt, due, cause }.into())),
        attempt().prop_map(AttemptState::Parked),
    ]
}

fn waiting() -> impl Strategy<Value = Waiting> {
    let what = prop_oneof![
        (name(), binding(), undo(), state(), any::<bool>()).prop_map(|(name, binding, undo, state, maybe)| {
            (WaitingFor::Activity { call: CallKind { name, binding, undo }.into(), state }, maybe)
        }),
        time().prop_map(|due| (WaitingFor::Timer { due }, false)),
        name().prop_map(|name| (WaitingFor::Signal { name }, false)),
        (run_no(), text(), close())
            .prop_map(|(child, id, close)| (WaitingFor::Child(WaitingChild { child, id, close }.into()), false)),
    ];
    (seq(), time(), what).prop_map(|(seq, since, (what, maybe))| Waiting { seq, since, what, maybe })
}

fn all_waiting() -> impl Strategy<Value = Vec<Waiting>> {
    vec(waiting(), 0..4).prop_map(|mut all| {
        all.sort_by_key(|waiting| waiting.seq);
        all
    })
}

fn undos() -> impl Strategy<Value = Undos> {
    let state = prop::sample::select(vec![
        UndoState::Open,
        UndoState::Stands,
        UndoState::Unknown,
        UndoState::Undone,
        UndoState::NotUndone,
    ]);
    let call = (seq(), name(), undo(), state, any::<bool>(), option::of(seq()))
        .prop_map(|(seq, name, bits, state, dropped, by)| Undoable { seq, name, bits, state, dropped, by });
    vec(call, 0..4).prop_map(|calls| {
        let mut undos = Undos::default();
        calls.into_iter().for_each(|call| undos.push_back(call));
        undos
    })
}

fn run_entry() -> BoxedStrategy<RunEntry> {
    let who = (run_id(), name(), text(), name(), any::<u32>(), name(), any::<[u8; 16]>());
    let when = (time(), option::of(time()), event_no(), vec(event_no(), 0..3));
    let blocked = (text(), text(), time()).prop_map(|(build, reason, since)| Blocked { build, reason, since });
    let undoing = (option::of(end()), undos(), option::of(trace()));
    let rest = (option::of((run_no(), seq())), any::<u32>(), option::of(blocked), any::<bool>(), undoing);
    (who.boxed(), when.boxed(), value(), shape(), all_waiting(), vec(waiting(), 0..3), rest.boxed())
        .prop_map(|(who, when, value, shape, waiting, dropped, rest)| {
            let (run, namespace, id, workflow, version, build, salt) = who;
            let (started, deadline, next, unturned) = when;
            let (parent, signals, blocked, cancelling, (undoing, undos, trace)) = rest;
            RunEntry {
                run,
                kind: RunKind { namespace, workflow, version, build }.into(),
                id,
                value,
                shape,
                salt,
                started,
                next,
                unturned: unturned.into(),
                waiting: waiting.into(),
                rare: RareParts { trace, parent, deadline, dropped, signals, blocked, cancelling, undoing, undos }
                    .into(),
            }
        })
        .boxed()
}

pub(super) fn tables() -> impl Strategy<Value = Tables> {
    (run_no(), btree_map(run_no(), run_entry().prop_map(Box::new), 0..5)).prop_map(|(next_run, open)| {
        let mut ids = Ids::default();
        open.iter().for_each(|(no, run)| ids.insert(&run.kind.namespace, &run.id, *no));
        Tables { next_run, open: open.into_iter().collect(), ids, kinds: Kinds::default() }
    })
}
