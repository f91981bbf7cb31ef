//! Draws the curves of `docs/performance/` from the lines that the benchmarks print with `--json`.
//!
//! ```text
//! cargo run --release -p durable-benches --bin curves -- --to docs/performance --from lines.json
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use durable_benches::Outcome;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use plotters::prelude::*;
use serde_json::Value;

#[derive(Default)]
struct Options {
    from: PathBuf,
    to: PathBuf,
}

impl Flags for Options {
    const HELP: &'static str = "\
Draws the scaling curves as SVG.

Usage: curves --from FILE --to DIR

  --from FILE  lines of JSON, of any benchmarks
  --to DIR     where the pictures go; a curve with fewer than two points is not drawn";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "from" => self.from = args::word(parser)?.into(),
            "to" => self.to = args::word(parser)?.into(),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

/// A picture: which rows are in it, and what of them.
struct Picture {
    file: &'static str,
    title: &'static str,
    /// The rows that have these words.
    rows: &'static [(&'static str, &'static str)],
    x: (&'static str, &'static str),
    y: &'static str,
    lines: &'static [Line],
}

/// A line of a picture: its name, and the figure, times another one if there is one.
struct Line(&'static str, &'static str, Option<&'static str>);

const PICTURES: [Picture; 7] = [
    Picture {
        file: "steps.svg",
        title: "Durable steps per second, and the bare log's records of the same bytes and batches",
        rows: &[("bench", "steps"), ("kind", "activity")],
        x: ("runs", "runs at once"),
        y: "per second",
        lines: &[
            Line("durable", "steps_per_second", None),
            Line("bare log", "steps_per_second", Some("ratio_to_bare_log")),
        ],
    },
    Picture {
        file: "cpu.svg",
        title: "Processor time of a step",
        rows: &[("bench", "steps"), ("kind", "activity")],
        x: ("runs", "runs at once"),
        y: "us",
        lines: &[Line("CPU", "cpu_us_per_step", None)],
    },
    Picture {
        file: "starts.svg",
        title: "Runs started and finished per second, and the bare log for the same bytes and batches",
        rows: &[("bench", "starts")],
        x: ("at_once", "under way at once"),
        y: "per second",
        lines: &[
            Line("durable", "runs_per_second", None),
            Line("bare log", "runs_per_second", Some("ratio_to_bare_log")),
        ],
    },
    Picture {
        file: "latency.svg",
        title: "Time of a step under steady load",
        rows: &[("bench", "latency"), ("load", "steady")],
        x: ("percent", "percent of the highest load"),
        y: "us",
        lines: &[Line("p50", "p50_us", None), Line("p99", "p99_us", None), Line("p99.9", "p99_9_us", None)],
    },
    Picture {
        file: "fan_in.svg",
        title: "Signals per second to one run, and the bare log for the same bytes and batches",
        rows: &[("bench", "signals"), ("what", "fan-in")],
        x: ("senders", "senders at once"),
        y: "per second",
        lines: &[Line("durable", "per_second", None), Line("bare log", "per_second", Some("ratio_to_bare_log"))],
    },
    Picture {
        file: "fan_out.svg",
        title: "Activities per second of one run that awaits them together",
        rows: &[("bench", "fan_out")],
        x: ("width", "activities at once"),
        y: "per second",
        lines: &[
            Line("durable", "activities_per_second", None),
            Line("bare log", "activities_per_second", Some("ratio_to_bare_log")),
        ],
    },
    Picture {
        file: "replay.svg",
        title: "Events replayed per second, from memory",
        rows: &[("bench", "replay"), ("what", "from memory")],
        x: ("payload", "bytes of a step's result"),
        y: "per second",
        lines: &[Line("replayed", "events_per_second", None)],
    },
];

/// The points of a line, by x. Of several rows with one x the median is taken.
type Points = Vec<(f64, f64)>;

fn main() -> Outcome<()> {
    let (options, _) = args::read::<Options>();
    let text = std::fs::read_to_string(&options.from)?;
    let rows: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    std::fs::create_dir_all(&options.to)?;
    for picture in PICTURES {
        let lines: Vec<(&str, Points)> =
            picture.lines.iter().map(|line| (line.0, points(&rows, &picture, line))).collect();
        if lines.iter().all(|(_, points)| points.len() > 1) {
            draw(&options.to.join(picture.file), &picture, &lines)?;
            println!("{}", options.to.join(picture.file).display());
        }
    }
    Ok(())
}

fn points(rows: &[Value], picture: &Picture, line: &Line) -> Points {
    let of_picture = rows.iter().filter(|row| picture.rows.iter().all(|(name, word)| row[*name] == *word));
    let mut by_x: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for row in of_picture {
        let times = line.2.map_or(Some(1.0), |name| row[name].as_f64());
        if let (Some(x), Some(y), Some(times)) = (row[picture.x.0].as_u64(), row[line.1].as_f64(), times) {
            by_x.entry(x).or_default().push(y * times);
        }
    }
    by_x.into_iter().map(|(x, ys)| (x as f64, median(ys))).collect()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

fn draw(path: &Path, picture: &Picture, lines: &[(&str, Points)]) -> Outcome<()> {
    let all = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let (xs, ys) = (around(all().map(|(x, _)| x)), around(all().map(|(_, y)| y)));
    let root = SVGBackend::new(path, (760, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(picture.title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d((xs.0..xs.1).log_scale(), (ys.0..ys.1).log_scale())?;
    let number = |number: &f64| if *number < 10.0 { format!("{number:.1}") } else { format!("{number:.0}") };
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(picture.x.1).y_desc(picture.y).x_label_formatter(&number).y_label_formatter(&number).draw()?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?;
        drawn.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE).border_style(BLACK).draw()?;
    Ok(root.present()?)
}

/// A range with some room on both sides.
fn around(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    (low / 1.5, high * 1.5)
}
