//! konnectivity's agents over loopback: 200 of them, each with an address of its own, redial until each holds a session to
//! every server, and close at once what leads to one that they hold already. In virtual time the same stands in the
//! pool's tests; docs/konnectivity.md has both tables.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Server, connect_from};
use crate::harness::{ports, raise_descriptor_limit};

const AGENTS: u8 = 200;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Agents that dial at the same time.
const AT_ONCE: usize = 8;
/// Dials after which an agent counts as one that never gets there.
const MOST: usize = 30;

struct Agent {
    address: Ipv4Addr,
    sessions: Vec<(u8, TcpStream)>,
    /// Connections that stand for evenkeel and its server, and that the agent knows nothing of any more.
    lost: Vec<(u8, TcpStream)>,
    dials: usize,
}

impl Agent {
    fn misses(&self, servers: usize) -> bool {
        self.sessions.len() < servers
    }

    /// Dials, learns whom it has reached, and keeps the session if it has none there.
    fn dial(&mut self, front: SocketAddr) {
        self.dials += 1;
        let mut stream = connect_from(self.address, front);
        let mut name = [0];
        if stream.read_exact(&mut name).is_ok() && self.sessions.iter().all(|(held, _)| *held != name[0]) {
            self.sessions.push((name[0], stream));
        }
    }
}

struct Scene {
    app: App,
    addresses: [SocketAddr; 5],
    servers: [Option<Server>; 5],
    agents: Vec<Agent>,
}

impl Scene {
    /// Five servers are configured, and none is there.
    fn set(balance: &str) -> Self {
        let addresses = NAMES.map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free())));
        let check = "check = { type = \"tcp\", interval = \"100ms\", rise = 1, fall = 2 }";
        let config = Config::to(&addresses).backend(&format!("balance = \"{balance}\"\n{check}"));
        let app = App::start(&config.process("workers = 2\nshutdown_grace = \"0s\""));
        let agent =
            |last| Agent { address: Ipv4Addr::new(127, 77, 0, last), sessions: Vec::new(), lost: Vec::new(), dials: 0 };
        Self { app, addresses, servers: [const { None }; 5], agents: (1..=AGENTS).map(agent).collect() }
    }

    /// Starts servers, each of which says who it is, and waits until they are known to be there, and all others not to be.
    fn serve(&mut self, servers: std::ops::Range<usize>) {
        for server in servers {
            let listener = TcpListener::bind(self.addresses[server]).unwrap();
            self.servers[server] = Some(Server::start(listener, move |stream| {
                let _ = (&stream).write_all(NAMES[server].as_bytes());
                let _ = std::io::copy(&mut &stream, &mut std::io::sink());
                let _ = stream.shutdown(Shutdown::Write);
            }));
        }
        for (name, server) in NAMES.iter().zip(&self.servers) {
            self.app.server_is(name, if server.is_some() { "ready" } else { "down" });
        }
    }

    /// Kills a server; its kernel closes its connections, and the agents see it.
    fn kill(&mut self, server: usize) {
        self.servers[server] = None;
        for agent in &mut self.agents {
            for list in [&mut agent.sessions, &mut agent.lost] {
                list.retain(|(name, _)| *name != NAMES[server].as_bytes()[0]);
            }
        }
    }

    /// Has all agents dial until each has what it needs; the dials of those who missed a server.
    fn run(&mut self) -> Vec<usize> {
        let (front, servers) = (self.app.front(), self.servers.iter().flatten().count());
        let needy: Vec<bool> = self.agents.iter().map(|agent| agent.misses(servers)).collect();
        self.agents.iter_mut().for_each(|agent| agent.dials = 0);
        std::thread::scope(|scope| {
            for agents in self.agents.chunks_mut(usize::from(AGENTS) / AT_ONCE) {
                scope.spawn(move || {
                    let still = |agent: &&mut Agent| agent.misses(servers) && agent.dials < MOST;
                    while agents.iter_mut().filter(still).map(|agent| agent.dial(front)).count() > 0 {}
                });
            }
        });
        self.settles();
        self.agents.iter().zip(needy).filter(|(_, needy)| *needy).map(|(agent, _)| agent.dials).collect()
    }

    /// Waits until evenkeel counts what the agents hold, and what they hold no more without its knowledge.
    fn settles(&self) {
        let held = self.agents.iter().map(|agent| agent.sessions.len() + agent.lost.len()).sum::<usize>();
        self.app.has_sessions(held as u64);
    }

    /// All that happens to the agents, and what each part of it cost.
    fn story(mut self) -> Vec<(&'static str, usize, Vec<usize>)> {
        let mut chapters = Vec::new();
        self.serve(0..3);
        chapters.push(("three servers, all agents start", 3, self.run()));
        self.serve(3..5);
        chapters.push(("two more servers", 5, self.run()));
        self.kill(0);
        // Before anybody has noticed: refused dials go on to other servers, and must leave nothing behind.
        let front = self.app.front();
        self.agents.iter_mut().for_each(|agent| agent.dial(front));
        self.settles();
        self.app.server_is(NAMES[0], "down");
        self.serve(0..1);
        chapters.push(("one is killed and comes back", 5, self.run()));
        for agent in &mut self.agents[..100] {
            let lost = agent.sessions.extract_if(.., |(name, _)| *name == b'b');
            agent.lost.extend(lost);
        }
        chapters.push(("half of the agents lose one session unseen", 5, self.run()));
        self.agents[100..140].iter_mut().for_each(|agent| agent.lost.append(&mut agent.sessions));
        chapters.push(("40 nodes lose power and come back", 5, self.run()));
        self.kill(3);
        self.kill(4);
        self.agents.iter_mut().for_each(|agent| agent.sessions.clear());
        self.settles();
        self.serve(0..0);
        chapters.push(("three servers again, all agents restart", 3, self.run()));
        chapters
    }
}

fn text(dials: &[usize]) -> String {
    let mut sorted = dials.to_vec();
    sorted.sort_unstable();
    let never = dials.iter().filter(|dials| **dials == MOST).count();
    match (sorted.last(), never) {
        (None, _) => "–".to_owned(),
        (Some(most), 0) => format!("{}, at most {most}", sorted[sorted.len() / 2]),
        (Some(_), never) => format!("**{never} of {} never**", dials.len()),
    }
}

/// Whether all have reached every server within as many dials as there are servers.
fn is_within(dials: &[usize], servers: usize) -> bool {
    dials.iter().all(|needed| *needed <= servers)
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what people run it for")]
fn every_agent_reaches_every_server_within_as_many_dials_as_there_are_servers() {
    raise_descriptor_limit();
    for (what, servers, dials) in Scene::set("spread").story() {
        println!("| {what} | {servers} | {} |", text(&dials));
        assert!(!dials.is_empty() && is_within(&dials, servers), "{what}: {dials:?}");
    }
}

/// Why there is `spread`; and what shows that the test above could fail.
#[test]
#[expect(clippy::print_stdout, reason = "the table is what people run it for")]
fn with_other_methods_they_dial_longer_or_for_ever() {
    raise_descriptor_limit();
    let stories = ["leastconn", "roundrobin"].map(|balance| Scene::set(balance).story());
    let mut table = String::from("| what happens | servers | leastconn | roundrobin |\n|---|---|---|---|\n");
    for (place, (what, servers, _)) in stories[0].iter().enumerate() {
        write!(table, "| {what} | {servers} |").unwrap();
        stories.iter().for_each(|story| write!(table, " {} |", text(&story[place].2)).unwrap());
        table += "\n";
    }
    println!("{table}");
    for story in &stories {
        assert!(!story.iter().all(|(_, servers, dials)| is_within(dials, *servers)), "{table}");
    }
}
