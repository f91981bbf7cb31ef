//! Draws a case from a seed: first which classes of things are in it at all, then the things. Most seeds have few classes, because what
//! is left out makes room for what is in.

use super::case::{
    After, Blow, Case, Conduct, Death, Deed, DiskFault, Hit, Kind, Leaves, Life, Moment, Planned, Room, Root,
};
use super::program::{Ask, Build, How, Node, Program, Tries};
use crate::disk::{Personality, errno};
use crate::rng::Rng;

/// How deep statements stand in one another.
const DEPTH: u8 = 3;

/// What a case has in it.
#[derive(Debug, Clone, Copy)]
struct Classes {
    /// Every call succeeds in the end, nothing races: the end must be that of a play without faults.
    tame: bool,
    signals: bool,
    children: bool,
    undo: bool,
    meddling: bool,
    kills: bool,
    power: bool,
    shutdowns: bool,
    recovery: bool,
    stops: bool,
    rivals: bool,
    deploys: bool,
    changes: bool,
    /// Deploys that panic, and are taken back.
    breaks: bool,
    /// Deploys that give their calls a field more.
    widens: bool,
    disk: bool,
    full: bool,
    clock: bool,
    lag: bool,
}

impl Classes {
    fn draw(rng: &mut Rng) -> Classes {
        let tame = rng.percent(35);
        let mut on = |percent: u64| rng.percent(percent);
        let changes = on(6);
        Classes {
            tame,
            signals: on(40),
            children: !changes && on(30),
            undo: !tame && on(40),
            meddling: !tame && on(30),
            kills: on(60),
            power: on(45),
            shutdowns: on(25),
            recovery: on(30),
            stops: on(12),
            rivals: on(12),
            deploys: changes || on(15),
            changes,
            breaks: on(10),
            widens: on(8),
            disk: on(18),
            full: on(7),
            clock: on(12),
            lag: on(15),
        }
    }
}

impl Case {
    /// The case of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Case {
        let mut rng = Rng::new(seed ^ 0x7014_7012_E5EE_D000);
        let classes = Classes::draw(&mut rng);
        let mut programs = Vec::new();
        for _ in 0..[1, 1, 2, 3][rng.index(4)] {
            let rare = Rng::new(seed ^ 0x0DD5_0000_7014_7012 ^ programs.len() as u64);
            programs.push(Author { rng: rng.split(), rare, classes, site: 0, names: 0 }.root());
        }
        let horizon_ms = [2_000, 10_000, 60_000, 300_000][rng.index(4)];
        let clients = clients(&mut rng.split(), &classes, programs.len(), horizon_ms);
        let slots = slots(&mut rng.split(), &classes, horizon_ms);
        let blows = blows(&mut rng.split(), &classes, horizon_ms);
        let conduct = Conduct {
            puts_away: rng.percent(30),
            room: [Room::Large, Room::Large, Room::Small, Room::Tight][rng.index(4)],
            attempts: if rng.percent(20) { 1 + rng.below(3) as u16 } else { 1000 },
            lag: if classes.lag { (5 + rng.below(60) as u8, [50, 2_000, 60_000][rng.index(3)]) } else { (0, 0) },
            drivers: None,
            sole_lock: false,
            file_system: Personality::Hostile,
        };
        let mut case = Case { seed, conduct, programs, clients, slots, blows };
        case.add_rare(horizon_ms);
        case.add_disks();
        case.add_drivers();
        case
    }
}

/// What few seeds have: constellations that the classes above give too seldom. It has its own numbers, so that the rest of a seed's
/// case is what it would be without.
impl Case {
    fn add_rare(&mut self, horizon_ms: u32) {
        let mut rng = Rng::new(self.seed ^ 0x4A4E_0000_7014_7012);
        match rng.index(40) {
            0 | 1 => self.take_over(&mut rng, horizon_ms),
            2 | 3 => self.fill_often(&mut rng, horizon_ms),
            4 | 5 => self.ask_often(&mut rng, horizon_ms),
            6 | 7 => self.close_often(&mut rng, horizon_ms),
            8 | 9 => self.set_back(&mut rng, horizon_ms),
            10..=12 => self.take_back(&mut rng, horizon_ms),
            _ => {}
        }
    }

    /// Of some the runs have several drivers.
    fn add_drivers(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0xD21E_0000_7014_7012);
        if rng.percent(40) {
            self.conduct.drivers = Some(rng.below(3) as u8);
        }
    }

    /// What the disk is like, and faults of it that few have: for those that the classes gave faults, and some of the others.
    fn add_disks(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0xD15C_0000_7014_7012);
        if rng.percent(25) {
            self.conduct.file_system = Personality::ALL[rng.index(Personality::ALL.len())];
        }
        if !rng.percent(7) {
            return;
        }
        for life in self.slots.iter_mut().flatten() {
            if rng.percent(50) {
                life.faults.push(rare_fault(&mut rng));
            }
        }
    }

    /// A process is stopped, somebody removes the lock file, and another one opens the store before it goes on.
    fn take_over(&mut self, rng: &mut Rng, horizon_ms: u32) {
        self.conduct.sole_lock = true;
        self.conduct.lag = (30 + rng.below(60) as u8, [2_000, 20_000][rng.index(2)]);
        let plain = Life {
            after_ms: 0,
            build: Build::First,
            lasts_ms: 2 * horizon_ms,
            death: None,
            faults: Vec::new(),
            stops: Vec::new(),
        };
        self.slots = vec![vec![Life { after_ms: 0, ..plain.clone() }]];
        self.blows.clear();
        for _ in 0..1 + rng.below(3) {
            let at_ms = rng.below(horizon_ms.into()) as u32;
            let span = 1_000 + rng.below(60_000) as u32;
            let owner = rng.index(self.slots.len());
            self.slots[owner][0].stops.push((at_ms, span));
            self.blows.push(Blow { at_ms: at_ms + 1 + rng.below(500) as u32, what: Hit::Unlock });
            self.slots.push(vec![Life { after_ms: at_ms + 500 + rng.below(span.into()) as u32, ..plain.clone() }]);
        }
        self.blows.sort_by_key(|blow| blow.at_ms);
    }

    /// The disk is full again and again, where parts of the log are small.
    fn fill_often(&mut self, rng: &mut Rng, horizon_ms: u32) {
        self.conduct.room = [Room::Small, Room::Tight][rng.index(2)];
        self.slots.iter_mut().flatten().for_each(|life| life.faults.clear());
        for _ in 0..4 + rng.below(8) {
            let (left, span) = (rng.below(9_000) as u32, 500 + rng.below(20_000) as u32);
            self.blows.push(Blow { at_ms: rng.below(horizon_ms.into()) as u32, what: Hit::Full(left, span) });
        }
        self.blows.sort_by_key(|blow| blow.at_ms);
    }

    /// Somebody asks all the time how runs are, on a slow disk, and the power goes with an answer.
    fn ask_often(&mut self, rng: &mut Rng, horizon_ms: u32) {
        self.conduct.lag = (50 + rng.below(40) as u8, [50, 1_000][rng.index(2)]);
        for program in 0..self.programs.len() as u8 {
            for deed in [Deed::Describe(program), Deed::Start(program)] {
                let step = 50 + rng.below(400) as u32;
                let times = (1..).map(|nth| nth * step).take_while(|at| *at < horizon_ms).take(60);
                self.clients.push(times.map(|at_ms| Planned { at_ms, deed }).collect());
            }
        }
        for life in self.slots.iter_mut().flatten().filter(|life| life.death.is_none()) {
            let at = if rng.percent(60) { Moment::End(1) } else { Moment::Answer(1 + rng.below(40) as u32) };
            life.death = Some(Death { at, leaves: Leaves::Nothing, power: Some(rng.next_u64()) });
        }
    }

    /// The wall clock is set back while one process lives and nothing else goes wrong.
    fn set_back(&mut self, rng: &mut Rng, horizon_ms: u32) {
        self.conduct = Conduct { puts_away: false, lag: (0, 0), ..self.conduct };
        // Longer than any sleep: who sleeps is still awake when it is over.
        let lasts_ms = 2 * horizon_ms + 4_000_000;
        let (faults, stops) = (Vec::new(), Vec::new());
        self.slots = vec![vec![Life { after_ms: 0, build: Build::First, lasts_ms, death: None, faults, stops }]];
        self.blows.clear();
        for _ in 0..1 + rng.below(4) {
            let what = Hit::Clock([-5, -60, -600, -259_200][rng.index(4)]);
            self.blows.push(Blow { at_ms: rng.below(horizon_ms.into()) as u32, what });
        }
        self.blows.sort_by_key(|blow| blow.at_ms);
    }

    /// A build that panics is deployed while runs are under way, fails for a while, and is taken back.
    fn take_back(&mut self, rng: &mut Rng, horizon_ms: u32) {
        let life = |build, lasts_ms, death| Life {
            after_ms: 0,
            build,
            lasts_ms,
            death,
            faults: Vec::new(),
            stops: Vec::new(),
        };
        let mut lives = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let at = Moment::Attempt(1 + rng.below(4) as u32);
            let death = rng.percent(60).then_some(Death { at, leaves: Leaves::All, power: None });
            lives.push(life(Build::First, 1 + rng.below(u64::from(horizon_ms) / 4) as u32, death));
            lives.push(life(Build::Broken, 1 + rng.below(2 * u64::from(horizon_ms)) as u32, None));
        }
        self.slots = vec![lives];
        self.blows.retain(|blow| matches!(blow.what, Hit::Power(_)));
    }

    /// One clean shutdown after the other, with attempts in flight, and few lives that end otherwise.
    fn close_often(&mut self, rng: &mut Rng, horizon_ms: u32) {
        let lives = 2 + rng.below(6) as u32;
        self.slots.truncate(1);
        for _ in 0..lives {
            let lasts_ms = 1 + rng.below((2 * horizon_ms / lives).into()) as u32;
            let death = Death { at: Moment::ShutDown(lasts_ms / 2), leaves: Leaves::Nothing, power: None };
            let death = rng.percent(80).then_some(death);
            let (faults, stops) = (Vec::new(), Vec::new());
            self.slots[0].insert(0, Life { after_ms: 0, build: Build::First, lasts_ms, death, faults, stops });
        }
    }
}

/// Writes a program.
struct Author {
    rng: Rng,
    /// For what few statements have.
    rare: Rng,
    classes: Classes,
    site: u16,
    /// How many names of signals are used already, where none may be used twice.
    names: u8,
}

impl Author {
    fn root(mut self) -> Root {
        let statements = 3 + self.rng.below(5);
        let program = self.program(statements, DEPTH);
        let timed = !self.classes.tame && self.rng.percent(8);
        Root { program, limit_ms: timed.then(|| 1_000 + self.rng.below(120_000) as u32) }
    }

    fn program(&mut self, statements: u64, depth: u8) -> Program {
        let mut nodes = Vec::new();
        if self.classes.changes {
            let ask = self.ask();
            nodes.push(Node::Call(Ask { tries: Tries::Forever, how: How::Error, ..ask }));
            // Without the first call another kind of thing comes first: two calls whose inputs have other shapes are one that was
            // changed, to a build that differs.
            nodes.push(Node::Step(self.ask()));
        }
        nodes.extend((0..statements).map(|_| self.node(depth)));
        Program { nodes, fails: self.rng.percent(if self.classes.undo { 40 } else { 10 }) }
    }

    fn ask(&mut self) -> Ask {
        self.site += 1;
        let rng = &mut self.rng;
        let takes_ms = [0, 0, 1, 100, 3_000, 40_000][rng.index(6)];
        let fails = [0, 0, 0, 1, 2, 4][rng.index(6)];
        if self.classes.tame {
            let how = [How::Error, How::Panic, How::Hang][rng.index(3)];
            let takes_ms = takes_ms.min(3_000);
            let tries = Tries::Forever;
            return Ask { site: self.site, takes_ms, fails, how, tries, within_ms: None, of: 0, more: None };
        }
        let how = [How::Error, How::Error, How::Panic, How::Hang, How::Final][rng.index(5)];
        let tries = if rng.percent(50) { Tries::Forever } else { Tries::AtMost(1 + rng.below(4) as u8) };
        // What always runs into its limit would never end.
        let takes_ms = if how == How::Hang { takes_ms.min(3_000) } else { takes_ms };
        // Of two equal calls one that is taken away is not missed.
        let site = if rng.percent(20) && !self.classes.changes { 1 } else { self.site };
        Ask { site, takes_ms, fails, how, tries, within_ms: self.within(), of: 0, more: None }
    }

    /// How long a whole call may take; most may take for ever.
    fn within(&mut self) -> Option<u32> {
        self.rare.percent(12).then(|| [300, 3_000, 30_000, 120_000][self.rare.index(4)])
    }

    fn sleep(&mut self) -> u32 {
        [0, 1, 500, 5_000, 60_000, 3_600_000][self.rng.index(6)]
    }

    fn some(&mut self, depth: u8) -> Vec<Node> {
        (0..1 + self.rng.below(3)).map(|_| self.node(depth - 1)).collect()
    }

    fn boxed(&mut self, depth: u8) -> Box<Node> {
        Box::new(self.node(depth - 1))
    }

    fn node(&mut self, depth: u8) -> Node {
        if depth == 0 || self.rng.percent(45) {
            return self.leaf();
        }
        if self.classes.tame { self.tame(depth) } else { self.wild(depth) }
    }

    fn leaf(&mut self) -> Node {
        let Classes { tame, signals, undo, .. } = self.classes;
        match self.rng.index(12) {
            0 => Node::Sleep(self.sleep()),
            1 | 2 if signals => self.receive(),
            3 if undo => Node::Undo(self.ask(), self.undo_ask()),
            4 if undo => Node::UndoBoth(self.ask(), self.undo_ask()),
            5 if undo => Node::Compensate(self.undo_ask()),
            6 if !tame => Node::Once(self.ask()),
            7 if !tame => Node::Look,
            8 => Node::Block(Ask { how: How::Error, ..self.ask() }),
            9 => Node::Step(self.ask()),
            _ => Node::Call(self.ask()),
        }
    }

    fn undo_ask(&mut self) -> Ask {
        let ask = self.ask();
        let how = if ask.how == How::Final && self.rng.percent(70) { How::Error } else { ask.how };
        Ask { takes_ms: ask.takes_ms.min(3_000), how, ..ask }
    }

    fn receive(&mut self) -> Node {
        if self.classes.tame {
            // Who of two that wait at once gets a signal is a race.
            if self.names >= 4 {
                return Node::Call(self.ask());
            }
            self.names += 1;
            return Node::Receive(self.names - 1);
        }
        let name = self.rng.below(4) as u8;
        if self.rng.percent(20) { Node::Burst(name, 2 + self.rng.below(4) as u8) } else { Node::Receive(name) }
    }

    fn tame(&mut self, depth: u8) -> Node {
        match self.rng.index(8) {
            0 => Node::Seq(self.some(depth)),
            1 => Node::Join(self.boxed(depth), self.boxed(depth)),
            2 | 3 => Node::All(self.some(depth)),
            4 => Node::Spawn(self.boxed(depth), self.boxed(depth)),
            5 if self.classes.children => Node::Child(self.child(depth)),
            6 => Node::Catch(self.some(depth)),
            _ => Node::Shield(self.boxed(depth)),
        }
    }

    /// A child has signals of its own.
    fn child(&mut self, depth: u8) -> Program {
        let names = std::mem::replace(&mut self.names, 0);
        let statements = 1 + self.rng.below(3);
        let program = self.program(statements, depth - 1);
        self.names = names;
        program
    }

    fn wild(&mut self, depth: u8) -> Node {
        match self.rng.index(17) {
            0 => Node::Seq(self.some(depth)),
            1 => Node::Join(self.boxed(depth), self.boxed(depth)),
            2 => Node::TryJoin(self.boxed(depth), self.boxed(depth)),
            3 => Node::All(self.some(depth)),
            4 if !self.classes.widens => Node::Unordered(self.some(depth), self.ask()),
            5 | 6 => Node::Select(self.some(depth)),
            7 => Node::Timeout(self.sleep(), self.boxed(depth)),
            8 => Node::Spawn(self.boxed(depth), self.boxed(depth)),
            9 => Node::Detach(self.boxed(depth)),
            10 => Node::Set(self.some(depth), self.rng.below(3) as u8),
            11 | 12 if self.classes.children => Node::Child(self.child(depth)),
            13 => Node::Drop(self.boxed(depth), self.boxed(depth)),
            14 if self.classes.undo => Node::Scope(self.some(depth), self.rng.percent(50)),
            15 => Node::Catch(self.some(depth)),
            16 if self.classes.undo => Node::CutScope(self.boxed(depth), self.boxed(depth)),
            _ => Node::Shield(self.boxed(depth)),
        }
    }
}

fn clients(rng: &mut Rng, classes: &Classes, programs: usize, horizon_ms: u32) -> Vec<Vec<Planned>> {
    let mut clients = Vec::new();
    for program in 0..programs as u8 {
        let at_ms = if rng.percent(60) { 0 } else { rng.below(u64::from(horizon_ms) / 4 + 1) as u32 };
        let mut deeds = vec![Planned { at_ms, deed: Deed::Start(program) }];
        if rng.percent(15) {
            deeds.push(Planned { at_ms: rng.below(horizon_ms.into()) as u32, deed: Deed::Start(program) });
        }
        clients.push(deeds);
    }
    if classes.signals || classes.meddling {
        for _ in 0..1 + rng.below(3) {
            clients.push(client(rng, classes, programs, horizon_ms));
        }
    }
    clients
}

fn client(rng: &mut Rng, classes: &Classes, programs: usize, horizon_ms: u32) -> Vec<Planned> {
    let count = 1 + rng.below(8);
    let mut times: Vec<u32> = (0..count).map(|_| rng.below(horizon_ms.into()) as u32).collect();
    times.sort_unstable();
    let deed = |at_ms| {
        let program = rng.below(programs as u64) as u8;
        let deed = match rng.index(10) {
            0 if classes.meddling => Deed::Cancel(program),
            1 if classes.meddling && rng.percent(30) => Deed::Terminate(program),
            2 => Deed::Describe(program),
            3 => Deed::List,
            _ if classes.signals => Deed::Signal(program, rng.below(4) as u8, rng.percent(50)),
            _ => Deed::Describe(program),
        };
        Planned { at_ms, deed }
    };
    times.into_iter().map(deed).collect()
}

fn slots(rng: &mut Rng, classes: &Classes, horizon_ms: u32) -> Vec<Vec<Life>> {
    let lives = [1, 2, 3, 4, 6, 10][rng.index(6)];
    let mut slots = vec![(0..lives).map(|_| life(rng, classes, horizon_ms / lives)).collect()];
    if classes.rivals {
        for _ in 0..1 + rng.below(3) {
            let lives = 1 + rng.below(3) as u32;
            slots.push((0..lives).map(|_| life(rng, classes, horizon_ms / lives)).collect());
        }
    }
    slots
}

fn life(rng: &mut Rng, classes: &Classes, about_ms: u32) -> Life {
    let lasts_ms = 1 + rng.below(2 * u64::from(about_ms)) as u32;
    let build = match rng.index(4) {
        _ if classes.breaks && rng.percent(35) => Build::Broken,
        _ if classes.widens && rng.percent(50) => Build::Widened,
        _ if !classes.deploys => Build::First,
        0 if classes.changes => Build::Inserted,
        1 if classes.changes => Build::Removed,
        2 if classes.changes => Build::Renamed,
        3 => Build::Second,
        _ => Build::First,
    };
    let stops = classes.stops && rng.percent(50);
    Life {
        after_ms: if rng.percent(70) { 0 } else { rng.below(u64::from(about_ms) / 2 + 1) as u32 },
        build,
        lasts_ms,
        death: death(rng, classes, lasts_ms),
        faults: disk_faults(rng, classes),
        stops: if stops { vec![(rng.below(lasts_ms.into()) as u32, 1 + rng.below(60_000) as u32)] } else { Vec::new() },
    }
}

fn death(rng: &mut Rng, classes: &Classes, lasts_ms: u32) -> Option<Death> {
    if classes.shutdowns && rng.percent(35) {
        let at = Moment::ShutDown(rng.below(lasts_ms.into()) as u32);
        return Some(Death { at, leaves: Leaves::Nothing, power: None });
    }
    if !(classes.kills || classes.power) {
        return None;
    }
    let early = classes.recovery && rng.percent(60);
    let at = match rng.index(8) {
        0 | 1 => Moment::Poll(1 + rng.below(if early { 40 } else { 600 }) as u32),
        2..=4 => Moment::Operation(1 + rng.below(if early { 40 } else { 160 }) as u32),
        5 if !early => Moment::Answer(1 + rng.below(5) as u32),
        6 if !early => Moment::End(1 + rng.below(2) as u32),
        _ => Moment::Attempt(1 + rng.below(8) as u32),
    };
    let leaves = match rng.index(3) {
        0 => Leaves::Nothing,
        1 => Leaves::All,
        _ => Leaves::Part(rng.next_u64()),
    };
    let power = classes.power && (!classes.kills || rng.percent(60));
    Some(Death { at, leaves, power: power.then(|| rng.next_u64()) })
}

fn disk_faults(rng: &mut Rng, classes: &Classes) -> Vec<DiskFault> {
    if !classes.disk || rng.percent(40) {
        return Vec::new();
    }
    (0..1 + rng.below(2)).map(|_| disk_fault(rng)).collect()
}

fn disk_fault(rng: &mut Rng) -> DiskFault {
    let number = 1 + rng.below(30) as u32;
    match rng.index(6) {
        0 | 1 => DiskFault::Sync(number, if rng.percent(50) { After::New } else { After::Old }, rng.next_u64()),
        2 => DiskFault::Fails(Kind::Write, number, errno::EIO),
        3 => {
            let kind = [Kind::Open, Kind::Create, Kind::Read, Kind::SyncDir, Kind::Remove][rng.index(5)];
            let why = match kind {
                Kind::Open | Kind::Create if rng.percent(50) => errno::EMFILE,
                _ => errno::EIO,
            };
            DiskFault::Fails(kind, 1 + rng.below(8) as u32, why)
        }
        _ => DiskFault::Short(number, rng.below(600) as u32),
    }
}

/// One that few disks have: an operation that takes minutes, a kind of operation that fails once, or from then on.
fn rare_fault(rng: &mut Rng) -> DiskFault {
    let kinds = [
        Kind::Open,
        Kind::Create,
        Kind::Write,
        Kind::Read,
        Kind::SyncData,
        Kind::SyncDir,
        Kind::Remove,
        Kind::Link,
        Kind::Rename,
        Kind::List,
        Kind::Lock,
        Kind::SetLen,
        Kind::Len,
    ];
    let kind = kinds[rng.index(kinds.len())];
    let why = [errno::EIO, errno::EROFS, errno::EMFILE, errno::EPERM][rng.index(4)];
    match rng.index(4) {
        0 => DiskFault::FailsFrom(kind, 1 + rng.below(20) as u32, why),
        1 => DiskFault::Fails(kind, 1 + rng.below(5) as u32, why),
        _ => DiskFault::Slow(1 + rng.below(60) as u32, 1 + rng.below(600_000) as u32),
    }
}

fn blows(rng: &mut Rng, classes: &Classes, horizon_ms: u32) -> Vec<Blow> {
    let mut blows = Vec::new();
    let mut add = |rng: &mut Rng, what| blows.push(Blow { at_ms: rng.below(horizon_ms.into()) as u32, what });
    if classes.power {
        for _ in 0..rng.below(3) {
            let seed = rng.next_u64();
            add(rng, Hit::Power(seed));
        }
    }
    if classes.rivals {
        for _ in 0..rng.below(4) {
            add(rng, Hit::Unlock);
        }
    }
    if classes.clock {
        for _ in 0..1 + rng.below(3) {
            let by = [-7_200, 7_200, -259_200, 259_200, -5, 5][rng.index(6)];
            add(rng, Hit::Clock(by));
        }
    }
    if classes.full {
        for _ in 0..1 + rng.below(2) {
            let (left, span) = (rng.below(20_000) as u32, 1 + rng.below(30_000) as u32);
            add(rng, Hit::Full(left, span));
        }
    }
    blows.sort_by_key(|blow| blow.at_ms);
    blows
}

impl Program {
    /// Whether its end is a function of what it asks for alone.
    pub(super) fn is_tame(&self) -> bool {
        self.nodes.iter().all(Node::is_tame)
    }
}

impl Node {
    fn is_tame(&self) -> bool {
        let ask_is_tame = |ask: &Ask| ask.tries == Tries::Forever && ask.how != How::Final && ask.within_ms.is_none();
        match self {
            Node::Call(ask) | Node::Block(ask) | Node::Step(ask) => ask_is_tame(ask),
            Node::Sleep(_) | Node::Receive(_) => true,
            Node::Seq(nodes) | Node::All(nodes) | Node::Catch(nodes) => nodes.iter().all(Node::is_tame),
            Node::Join(x, y) | Node::Spawn(x, y) => x.is_tame() && y.is_tame(),
            Node::Shield(node) => node.is_tame(),
            Node::Child(program) => program.is_tame(),
            Node::Once(_)
            | Node::Burst(..)
            | Node::Look
            | Node::TryJoin(..)
            | Node::Unordered(..)
            | Node::Select(_)
            | Node::Timeout(..)
            | Node::Detach(_)
            | Node::Set(..)
            | Node::Drop(..)
            | Node::Undo(..)
            | Node::UndoBoth(..)
            | Node::Compensate(_)
            | Node::Scope(..)
            | Node::CutScope(..) => false,
        }
    }
}
