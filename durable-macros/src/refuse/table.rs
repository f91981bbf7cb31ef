//! What is refused in a workflow's body, by its path, and what to write instead. It is data: nothing here looks at code.

/// What belongs together, and is allowed together by `#[workflow(allow(..))]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Clock,
    Sleep,
    Spawn,
    Random,
    Env,
    Io,
    Select,
}

/// The families, by the names under which they are allowed.
pub(crate) fn families() -> [(&'static str, Family); 7] {
    [
        ("clock", Family::Clock),
        ("sleep", Family::Sleep),
        ("spawn", Family::Spawn),
        ("random", Family::Random),
        ("env", Family::Env),
        ("io", Family::Io),
        ("select", Family::Select),
    ]
}

impl Family {
    pub(super) fn name(self) -> &'static str {
        families().into_iter().find(|(_, family)| *family == self).map_or("", |(name, _)| name)
    }
}

/// Paths that are refused for one reason.
pub(super) struct Rule {
    pub(super) family: Family,
    /// What is wrong with it.
    pub(super) why: &'static str,
    /// What to do.
    pub(super) instead: &'static str,
    /// A path that ends in `*` stands for each function below it.
    paths: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        family: Family::Clock,
        why: "reads a clock, which says something else at replay",
        instead: "write `durable::now()`, the time of the newest event that the run has seen",
        paths: &[
            "Instant::now",
            "SystemTime::now",
            "Utc::now",
            "Local::now",
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "tokio::time::Instant::now",
            "chrono::Utc::now",
            "chrono::Local::now",
            "chrono::offset::Utc::now",
            "chrono::offset::Local::now",
            "time::OffsetDateTime::now_utc",
            "time::OffsetDateTime::now_local",
            "jiff::Timestamp::now",
            "jiff::Zoned::now",
        ],
    },
    Rule {
        family: Family::Sleep,
        why: "is a timer that no journal holds",
        instead: "write `durable::sleep(..)`, which survives a crash",
        paths: &["tokio::time::sleep", "time::sleep", "async_std::task::sleep", "futures_timer::Delay::new"],
    },
    Rule {
        family: Family::Sleep,
        why: "is a timer that no journal holds",
        instead: "write `durable::sleep_until(..)`, which takes a `SystemTime` and survives a crash",
        paths: &["tokio::time::sleep_until"],
    },
    Rule {
        family: Family::Sleep,
        why: "is a timer that no journal holds",
        instead: "write `durable::timeout(..)`, which survives a crash",
        paths: &["tokio::time::timeout", "tokio::time::timeout_at", "time::timeout"],
    },
    Rule {
        family: Family::Sleep,
        why: "is a timer that no journal holds",
        instead: "write a loop with `durable::sleep(..)`, which survives a crash",
        paths: &["tokio::time::interval", "tokio::time::interval_at"],
    },
    Rule {
        family: Family::Sleep,
        why: "holds up every run that is polled on this thread",
        instead: "write `durable::sleep(..).await`",
        paths: &["std::thread::sleep", "thread::sleep"],
    },
    Rule {
        family: Family::Spawn,
        why: "begins a task that is no part of the run: no journal holds what it does",
        instead: "write `durable::spawn(..)` for a branch of the run, an activity or a step for work outside it",
        paths: &[
            "tokio::spawn",
            "tokio::task::spawn",
            "task::spawn",
            "tokio::task::spawn_local",
            "async_std::task::spawn",
            "smol::spawn",
        ],
    },
    Rule {
        family: Family::Spawn,
        why: "begins tasks that are no part of the run: no journal holds what they do",
        instead: "write `durable::JoinSet::new()`",
        paths: &["tokio::task::JoinSet::new"],
    },
    Rule {
        family: Family::Spawn,
        why: "begins work on a thread that is no part of the run: no journal holds what it does",
        instead: "move the work into an activity (a plain `fn` may block its thread) or a step",
        paths: &[
            "tokio::task::spawn_blocking",
            "task::spawn_blocking",
            "std::thread::spawn",
            "thread::spawn",
            "rayon::spawn",
        ],
    },
    Rule {
        family: Family::Random,
        why: "draws at random, something else at replay",
        instead: "write `durable::random()`, or draw in a step what leaves the process",
        paths: &[
            "rand::random",
            "rand::random_bool",
            "rand::random_iter",
            "rand::random_range",
            "rand::random_ratio",
            "rand::fill",
            "rand::make_rng",
            "rand::rng",
            "rand::thread_rng",
            "rand::rngs::OsRng",
            "rand::rngs::ThreadRng::default",
            "rand::rngs::StdRng::from_entropy",
            "rand::rngs::StdRng::from_os_rng",
            "rand::rngs::SmallRng::from_entropy",
            "rand::rngs::SmallRng::from_os_rng",
            "fastrand::*",
            "getrandom::*",
        ],
    },
    Rule {
        family: Family::Random,
        why: "draws at random, something else at replay",
        instead: "write `durable::uuid()`, or draw in a step what leaves the process",
        paths: &["uuid::Uuid::new_v4", "uuid::Uuid::now_v7", "Uuid::new_v4", "Uuid::now_v7"],
    },
    Rule {
        family: Family::Env,
        why: "reads the environment of this process, where a replay may find another one",
        instead: "give it to the workflow as an argument, or read it in an activity or a step",
        paths: &[
            "env::var",
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
            "std::env::args",
            "std::env::args_os",
            "std::env::current_dir",
            "std::env::current_exe",
            "std::env::temp_dir",
        ],
    },
    Rule {
        family: Family::Io,
        why: "touches what is outside the run: no journal holds what it found or did",
        instead: "move it into an activity or a step, whose result is recorded",
        paths: &[
            "std::fs::*",
            "tokio::fs::*",
            "std::net::TcpListener::*",
            "std::net::TcpStream::*",
            "std::net::UdpSocket::*",
            "std::process::Command::*",
            "tokio::net::*",
            "tokio::process::*",
            "reqwest::get",
        ],
    },
];

const SELECT: Rule = Rule {
    family: Family::Select,
    why: "takes a branch at random, another one at replay",
    instead: "write the bare `select!`, which is the library's in a workflow and tries the branches in the order that is \
              written",
    paths: &["tokio::select", "futures::select", "futures_util::select"],
};

/// The rule that refuses this path to a function.
pub(super) fn of_function(path: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.paths.iter().any(|refused| is_below(path, refused)))
}

/// The rule that refuses this path to a macro.
pub(super) fn of_macro(path: &str) -> Option<&'static Rule> {
    SELECT.paths.contains(&path).then_some(&SELECT)
}

fn is_below(path: &str, refused: &str) -> bool {
    let Some(above) = refused.strip_suffix('*') else { return path == refused };
    let last = path.rsplit("::").next().unwrap_or_default();
    path.starts_with(above) && last.starts_with(|first: char| first.is_ascii_lowercase())
}
