//! Makes a case that fails small: one thing after the other is taken out of it, as long as it still fails.

use super::case::{Case, Conduct, Life, Room};
use super::program::{Ask, Node, Program};
use crate::disk::Personality;

/// The smallest case that was found within so many plays, of which `fails` still holds.
pub fn shrink(case: &Case, plays_max: usize, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let (mut smallest, mut plays) = (case.clone(), 0);
    'again: loop {
        for candidate in smaller(&smallest) {
            if plays == plays_max {
                return smallest;
            }
            plays += 1;
            if fails(&candidate) {
                smallest = candidate;
                continue 'again;
            }
        }
        return smallest;
    }
}

/// Cases that are a little smaller, what is likely to matter least first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut other = case.clone();
        change(&mut other);
        if other != *case {
            found.push(other);
        }
    };
    for slot in (1..case.slots.len()).rev() {
        add(&|case| _ = case.slots.remove(slot));
    }
    (0..case.blows.len()).for_each(|blow| add(&|case| _ = case.blows.remove(blow)));
    for (slot, lives) in case.slots.iter().enumerate() {
        for life in (0..lives.len()).rev() {
            add(&|case| _ = case.slots[slot].remove(life));
            add(&|case| calm(&mut case.slots[slot][life]));
            add(&|case| case.slots[slot][life].death = None);
        }
    }
    for (client, deeds) in case.clients.iter().enumerate() {
        (0..deeds.len()).for_each(|deed| add(&|case| _ = case.clients[client].remove(deed)));
    }
    for (root, of) in case.programs.iter().enumerate() {
        add(&|case| case.programs[root].limit_ms = None);
        for program in smaller_programs(&of.program) {
            add(&|case| case.programs[root].program = program.clone());
        }
    }
    add(&|case| {
        case.conduct = Conduct {
            puts_away: false,
            room: Room::Large,
            attempts: 1000,
            drivers: None,
            lag: (0, 0),
            sole_lock: case.conduct.sole_lock,
            file_system: case.conduct.file_system,
        }
    });
    add(&|case| case.conduct.lag = (0, 0));
    add(&|case| case.conduct.file_system = Personality::Hostile);
    add(&|case| case.conduct.puts_away = false);
    add(&|case| case.conduct.drivers = None);
    found
}

fn calm(life: &mut Life) {
    life.faults.clear();
    life.stops.clear();
    life.after_ms = 0;
}

fn smaller_programs(program: &Program) -> Vec<Program> {
    let of = |nodes| Program { nodes, fails: program.fails };
    let mut found: Vec<Program> = smaller_lists(&program.nodes).into_iter().map(of).collect();
    if program.fails {
        found.push(Program { nodes: program.nodes.clone(), fails: false });
    }
    found
}

fn smaller_lists(nodes: &[Node]) -> Vec<Vec<Node>> {
    let mut found = Vec::new();
    for place in (0..nodes.len()).rev() {
        let mut without = nodes.to_vec();
        without.remove(place);
        found.push(without);
    }
    for (place, node) in nodes.iter().enumerate() {
        for parts in smaller_nodes(node) {
            let mut other = nodes.to_vec();
            other.splice(place..=place, parts);
            found.push(other);
        }
    }
    found
}

/// What may stand in the place of a node.
fn smaller_nodes(node: &Node) -> Vec<Vec<Node>> {
    let one = |node: &Node| vec![vec![node.clone()]];
    let lists = |nodes: &[Node], of: &dyn Fn(Vec<Node>) -> Node| {
        let smaller = smaller_lists(nodes).into_iter().map(|nodes| vec![of(nodes)]);
        std::iter::once(nodes.to_vec()).chain(smaller).collect::<Vec<_>>()
    };
    match node {
        Node::Call(ask) | Node::Once(ask) | Node::Step(ask) if ask.within_ms.is_some() => {
            let unhurried = Ask { within_ms: None, ..*ask };
            let of = match node {
                Node::Once(_) => Node::Once,
                Node::Step(_) => Node::Step,
                _ => Node::Call,
            };
            vec![vec![of(unhurried)]]
        }
        Node::Seq(nodes) | Node::All(nodes) | Node::Set(nodes, _) | Node::Unordered(nodes, _) => {
            lists(nodes, &|nodes| Node::All(nodes))
        }
        Node::Select(nodes) => lists(nodes, &Node::Select),
        Node::Catch(nodes) => lists(nodes, &Node::Catch),
        Node::Scope(nodes, fails) => lists(nodes, &|nodes| Node::Scope(nodes, *fails)),
        Node::Child(program) => {
            let smaller = smaller_programs(program).into_iter().map(|program| vec![Node::Child(program)]);
            std::iter::once(program.nodes.clone()).chain(smaller).collect()
        }
        Node::Join(x, y) | Node::TryJoin(x, y) | Node::Spawn(x, y) | Node::Drop(x, y) | Node::CutScope(x, y) => {
            vec![vec![(**x).clone()], vec![(**y).clone()]]
        }
        Node::Timeout(_, node) | Node::Detach(node) | Node::Shield(node) => one(node),
        Node::Call(_)
        | Node::Block(_)
        | Node::Once(_)
        | Node::Step(_)
        | Node::Sleep(_)
        | Node::Receive(_)
        | Node::Burst(..)
        | Node::Look
        | Node::Undo(..)
        | Node::UndoBoth(..)
        | Node::Compensate(_) => Vec::new(),
    }
}
