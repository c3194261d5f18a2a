//! konnectivity's agents in virtual time, over a pool: 200 nodes, each with an agent that redials once a second until it
//! holds a session to every server, and closes at once what leads to a server that it holds already.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt::Write as _;

use super::*;

const AGENTS: usize = 200;
const SERVERS: usize = 5;
/// Milliseconds from a dial to the next one, give or take a tenth, and until an agent knows whom it has reached.
const REDIAL: u64 = 1_000;
const ANSWER: u64 = 20;
/// Dials after which an agent counts as one that never gets there.
const MOST: u32 = 60;

#[derive(Default)]
struct Agent {
    sessions: BTreeMap<usize, Leased>,
    /// Sessions that are dead for the agent, and alive for all that the balancer knows.
    lost: Vec<Leased>,
    dials: u32,
}

struct World {
    pool: Arc<Pool>,
    agents: Vec<Agent>,
    serving: [bool; SERVERS],
    /// Servers that the agents have been told of.
    wanted: [bool; SERVERS],
    now: u64,
    chance: fastrand::Rng,
    /// Duplicates that are about to be closed, in order of time.
    closing: VecDeque<(u64, Leased)>,
}

/// Dials that each agent needed who missed a server at first; [`MOST`] if it went on missing one.
struct Outcome {
    dials: Vec<u32>,
}

impl World {
    fn new(method: Balance, weights: [u16; SERVERS]) -> Self {
        let pool = watched(backend(method, &weights.map(|weight| Spec { weight, ..PLAIN })));
        Self {
            pool,
            agents: (0..AGENTS).map(|_| Agent::default()).collect(),
            serving: [false; SERVERS],
            wanted: [false; SERVERS],
            now: 0,
            chance: fastrand::Rng::with_seed(7),
            closing: VecDeque::new(),
        }
    }

    fn serve(&mut self, servers: [bool; SERVERS]) {
        (self.serving, self.wanted) = (servers, servers);
        for (server, serves) in servers.into_iter().enumerate() {
            probe(&self.pool, server + 1, if serves { Readiness::Ready } else { REFUSED });
        }
    }

    /// Lets all agents dial until each has what it needs, or for so many milliseconds.
    fn run(&mut self, most: u64) -> Outcome {
        let needy: Vec<usize> = (0..AGENTS).filter(|&agent| self.misses(agent)).collect();
        self.agents.iter_mut().for_each(|agent| agent.dials = 0);
        let end = self.now + most;
        let mut due: BinaryHeap<_> =
            needy.iter().map(|&agent| std::cmp::Reverse((self.now + self.chance.u64(0..REDIAL), agent))).collect();
        while let Some(std::cmp::Reverse((at, agent))) = due.pop()
            && at < end
        {
            self.now = at;
            while self.closing.front().is_some_and(|(when, _)| *when <= at) {
                self.closing.pop_front();
            }
            self.dial(agent);
            if self.misses(agent) && self.agents[agent].dials < MOST {
                due.push(std::cmp::Reverse((at + self.chance.u64(REDIAL * 9 / 10..REDIAL * 11 / 10), agent)));
            }
        }
        self.now = end;
        self.closing.clear();
        Outcome { dials: needy.into_iter().map(|agent| self.agents[agent].dials).collect() }
    }

    fn misses(&self, agent: usize) -> bool {
        (0..SERVERS).any(|server| self.wanted[server] && !self.agents[agent].sessions.contains_key(&server))
    }

    fn dial(&mut self, number: usize) {
        let source = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number as u32));
        let agent = &mut self.agents[number];
        agent.dials += 1;
        let Lease::Leased(mut leased) = self.pool.lease(source, &Tried::new()) else { return };
        leased.connected(Duration::ZERO);
        let server = leased.server.spec().id.0 as usize - 1;
        assert!(self.serving[server], "only who serves is given");
        match agent.sessions.entry(server) {
            Entry::Occupied(_) => self.closing.push_back((self.now + ANSWER, leased)),
            Entry::Vacant(missing) => {
                missing.insert(leased);
            }
        }
    }

    /// A server dies, and its kernel closes all connections.
    fn kill(&mut self, server: usize) {
        self.serving[server] = false;
        probe(&self.pool, server + 1, REFUSED);
        for agent in &mut self.agents {
            agent.sessions.remove(&server);
            agent.lost.retain(|leased| leased.server.spec().id.0 as usize != server + 1);
        }
    }

    /// Some agents lose their sessions to a server without a FIN, as when a firewall forgets them.
    fn lose(&mut self, agents: std::ops::Range<usize>, server: usize) {
        for agent in &mut self.agents[agents] {
            agent.lost.extend(agent.sessions.remove(&server));
        }
    }

    /// All that happens to them, and what each part of it cost.
    fn story(&mut self) -> Vec<(&'static str, usize, Outcome)> {
        const LONG: u64 = 2 * MOST as u64 * REDIAL;
        let mut chapters = Vec::new();
        self.serve([true, true, true, false, false]);
        chapters.push(("three servers, all agents start", 3, self.run(LONG)));
        self.serve([true; SERVERS]);
        chapters.push(("two more servers", 5, self.run(LONG)));
        self.kill(0);
        // The agents know of five servers until somebody tells them otherwise, and go on dialling.
        self.run(15 * REDIAL);
        self.serve([true; SERVERS]);
        chapters.push(("one is killed and comes back", 5, self.run(LONG)));
        self.lose(0..100, 1);
        chapters.push(("half of the agents lose one session unseen", 5, self.run(LONG)));
        for server in 0..SERVERS {
            self.lose(100..140, server);
        }
        chapters.push(("40 nodes lose power and come back", 5, self.run(LONG)));
        self.kill(3);
        self.kill(4);
        self.serve([true, true, true, false, false]);
        // As k0s does when the number of controllers changes.
        self.agents.iter_mut().for_each(|agent| agent.sessions.clear());
        chapters.push(("three servers again, all agents restart", 3, self.run(LONG)));
        chapters
    }
}

impl Outcome {
    fn is_within(&self, dials: usize) -> bool {
        self.dials.iter().all(|needed| *needed as usize <= dials)
    }

    fn never(&self) -> usize {
        self.dials.iter().filter(|dials| **dials == MOST).count()
    }

    /// The median and the most, and how many never got there.
    fn text(&self) -> String {
        let mut sorted = self.dials.clone();
        sorted.sort_unstable();
        let Some(most) = sorted.last() else { return "–".to_owned() };
        match self.never() {
            0 => format!("{}, at most {most}", sorted[sorted.len() / 2]),
            never => format!("**{never} of {} never**", sorted.len()),
        }
    }
}

/// The table of docs/konnectivity.md: `cargo test --lib agents -- --nocapture` prints it.
#[test]
#[expect(clippy::print_stdout, reason = "the table is what people run it for")]
fn every_agent_reaches_every_server_within_as_many_dials_as_there_are_servers() {
    const EQUAL: [u16; SERVERS] = [1; SERVERS];
    let methods = [
        ("spread", Balance::Spread, EQUAL),
        ("leastconn", Balance::LeastConn, EQUAL),
        ("roundrobin", Balance::RoundRobin, EQUAL),
        ("leastconn, one of weight 2", Balance::LeastConn, [2, 1, 1, 1, 1]),
        ("source", Balance::Source, EQUAL),
    ];
    let stories: Vec<_> = methods.iter().map(|(_, method, weights)| World::new(*method, *weights).story()).collect();
    let mut table = String::from("| what happens | servers |");
    methods.iter().for_each(|(name, ..)| write!(table, " {name} |").unwrap());
    table += &format!("\n|---|---|{}\n", "---|".repeat(methods.len()));
    for (place, (what, servers, _)) in stories[0].iter().enumerate() {
        write!(table, "| {what} | {servers} |").unwrap();
        stories.iter().for_each(|story| write!(table, " {} |", story[place].2.text()).unwrap());
        table += "\n";
    }
    println!("{table}");

    for (what, servers, outcome) in &stories[0] {
        assert!(!outcome.dials.is_empty() && outcome.is_within(*servers), "{what}: {:?}", outcome.dials);
    }
    // What the others don't do is why there is such a method: the simulation must be able to tell.
    let fails =
        |story: &[(&str, usize, Outcome)]| story.iter().any(|(_, servers, outcome)| !outcome.is_within(*servers));
    assert!(stories[1..].iter().all(|story| fails(story)), "{table}");
    assert!(stories[1].iter().any(|(_, _, outcome)| outcome.never() > 0), "{table}");
}
