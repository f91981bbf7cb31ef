//! The small pieces by the clock: codec, frame, a step of the kernel, timers. On a machine that does other things beside it the counts of
//! `instructions` say more.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use durable::codec::frame;
use durable_benches::codec::{self, PLACE, STORE};
use durable_benches::kernel::{Alone, Asks};

fn codec(criterion: &mut Criterion) {
    let (step, mut names, mut bytes) = (codec::step(2), codec::names(), Vec::new());
    criterion.bench_function("codec/encode a step", |bench| {
        bench.iter(|| {
            bytes.clear();
            codec::encode(black_box(&step), &mut names, &mut bytes);
            bytes.len()
        });
    });
    criterion.bench_function("codec/decode a step", |bench| {
        bench.iter(|| codec::decode(black_box(&bytes), &mut names));
    });
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for steps in [1, 16, 256] {
        let mut frame = codec::frame_of(steps);
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group
            .bench_function(BenchmarkId::new("seal", steps), |bench| bench.iter(|| codec::seal(black_box(&mut frame))));
        group.bench_function(BenchmarkId::new("check", steps), |bench| {
            bench.iter(|| frame::decode(black_box(&frame), STORE, PLACE).is_ok());
        });
    }
    group.finish();
}

fn kernel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kernel");
    for runs in [1, 256, 100_000] {
        let mut alone = Alone::new(runs, Asks::Activities);
        group.bench_function(BenchmarkId::new("a step, of so many open runs", runs), |bench| {
            bench.iter(|| alone.step());
        });
    }
    group.finish();
}

fn timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    for armed in [1, 1_000, 100_000] {
        let mut alone = Alone::new(armed, Asks::Timers(Duration::from_secs(1)));
        group.bench_function(BenchmarkId::new("one fires and is armed again, of", armed), |bench| {
            bench.iter(|| alone.fire());
        });
    }
    group.bench_function("1,000 runs start and arm one", |bench| {
        bench.iter_batched(
            || (),
            |()| Alone::new(1_000, Asks::Timers(Duration::from_secs(1))),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(pieces, codec, frames, kernel, timers);
criterion_main!(pieces);
