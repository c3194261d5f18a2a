//! Plays a script to a load balancer, and notes what is seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::alike;
use crate::balancer::{Balancer, Kind};
use crate::certificates::Certificates;
use crate::client::{Client, converse};
use crate::harness::wait::PATIENCE;
use crate::script::{Act, BalancerAct, ClientAct, PeerAct, Script, ServerAct, Step, Talk};
use crate::server::{Server, Sessions};
use crate::site::Site;
use crate::transcript::{Note, Transcript};

/// The script's whole course with one of them.
pub fn play(configuration: &str, script: &Script, kind: Kind) -> Transcript {
    let certificates = Certificates::of(script.tls_names());
    let site = Site::new(script);
    let sessions = Arc::new(Sessions::default());
    let server = |setting: &crate::script::Setting| {
        let mut server = Server::new(&setting.name, setting.address, &certificates.server, &sessions);
        if !setting.away {
            server.listen(&site.world);
        }
        (setting.name.clone(), server)
    };
    let servers = script.servers.iter().map(server).collect();
    let balancer = Balancer::start(&kind, configuration, script, &site, &certificates.authority_pem);
    let transcript = Transcript { name: kind.name(), ..Transcript::default() };
    let stage =
        Stage { site, certificates, sessions, servers, clients: HashMap::new(), balancer, transcript, passed: 0 };
    stage.run(script)
}

struct Stage {
    site: Site,
    certificates: Certificates,
    sessions: Arc<Sessions>,
    servers: HashMap<String, Server>,
    clients: HashMap<String, Client>,
    balancer: Balancer,
    transcript: Transcript,
    /// Lines of the log that were waited for, and those before them.
    passed: usize,
}

/// A wait that wasn't met: the script ends there.
struct Unmet(String);

impl Stage {
    fn run(mut self, script: &Script) -> Transcript {
        if !self.balancer.runs() {
            self.note(0, "it doesn't start".to_owned());
            return self.end(0);
        }
        for step in &script.steps {
            let shown = self.step(step);
            self.read_log(step.line);
            match shown {
                Ok(lines) => lines.into_iter().for_each(|line| self.note(step.line, line)),
                Err(Unmet(why)) => {
                    self.note(step.line, format!("{}: {why}", step.text));
                    return self.end(step.line);
                }
            }
        }
        self.end(script.steps.last().map_or(0, |step| step.line))
    }

    /// What was noted, with the last lines of a log that ends here.
    fn end(mut self, line: usize) -> Transcript {
        self.balancer.signal(rustix::process::Signal::TERM);
        self.balancer.ended();
        self.read_log(line);
        // Receivers have their lines in order; what lies between two of them is chance.
        self.transcript.log.sort_by_key(|note| alike::facility(&note.text));
        self.transcript.printed = self.balancer.printed();
        self.transcript
    }

    fn step(&mut self, step: &Step) -> Result<Vec<String>, Unmet> {
        match &step.act {
            Act::Client(name, act) => self.client(name, act).map(|shown| vec![format!("{name} {shown}")]),
            Act::Peer(name, act) => self.peer(name, act).map(|shown| vec![format!("{name}'s server {shown}")]),
            Act::Server(name, act) => {
                self.server(name, act);
                Ok(vec![step.text.clone()])
            }
            Act::Balancer(act) => self.balancer(act),
        }
    }

    fn client(&mut self, name: &str, act: &ClientAct) -> Result<String, Unmet> {
        if let ClientAct::Connect { to, from } = act {
            return Ok(match Client::connect(name, *from, *to, &self.site.world) {
                Ok(client) => {
                    self.clients.insert(name.to_owned(), client);
                    "connects".to_owned()
                }
                Err(error) => error,
            });
        }
        let client = self.clients.get_mut(name).ok_or_else(|| Unmet("it isn't connected".to_owned()))?;
        let shown = match act {
            ClientAct::Ask => answer(client.ask()),
            ClientAct::AskOverTls(server_name) => answer(client.ask_over_tls(server_name, &self.certificates.client)),
            ClientAct::Talk(talk) => client.talk(talk),
            ClientAct::Connect { .. } => unreachable!("dealt with above"),
        };
        if matches!(act, ClientAct::Talk(Talk::Close)) {
            self.clients.remove(name);
        }
        Ok(shown)
    }

    fn peer(&mut self, client: &str, act: &PeerAct) -> Result<String, Unmet> {
        let conversation = self.sessions.of(client).ok_or_else(|| Unmet("no server has heard of it".to_owned()))?;
        Ok(match act {
            PeerAct::Talk(talk) => converse(&conversation, talk),
            PeerAct::Told => {
                let header = conversation.header.as_deref().map_or("nothing".to_owned(), alike::proxy_header);
                format!("was told {header}")
            }
        })
    }

    fn server(&mut self, name: &str, act: &ServerAct) {
        let server = self.servers.get_mut(name).expect("only servers of the scene act");
        match act {
            ServerAct::Refuse => server.refuse(),
            ServerAct::Die => server.die(),
            ServerAct::Listen => server.listen(&self.site.world),
            ServerAct::Silent => server.be_silent(),
            ServerAct::Answer(status) => server.answer(*status),
            ServerAct::Hold => server.hold(),
            ServerAct::Vanish => self.site.vanish(server.address.ip()),
            ServerAct::Return => self.site.appear(server.address.ip()),
        }
    }

    fn balancer(&mut self, act: &BalancerAct) -> Result<Vec<String>, Unmet> {
        Ok(match act {
            BalancerAct::WaitForLog(texts) => return self.wait_for_log(texts).map(|()| Vec::new()),
            BalancerAct::WaitForStat { row, column, value } => {
                return self.wait_for_stat(row, column, value).map(|()| Vec::new());
            }
            BalancerAct::Runtime(command) => {
                let answer = self.balancer.runtime(command);
                match command.as_str() {
                    "show stat" => alike::csv(&answer),
                    "show servers state" => lines(&alike::servers_state(&answer)),
                    _ => lines(&alike::text(&answer)),
                }
            }
            BalancerAct::Csv { path, to } => alike::csv(&self.balancer.http(&self.site, *to, path, None)),
            BalancerAct::Http { path, to, login } => {
                lines(&alike::text(&self.balancer.http(&self.site, *to, path, login.as_deref())))
            }
            BalancerAct::Signal(signal) => {
                self.balancer.signal(*signal);
                Vec::new()
            }
            BalancerAct::End => match self.balancer.ended() {
                Some(status) => vec![format!("ends: {status}")],
                None => return Err(Unmet("it goes on running".to_owned())),
            },
        })
    }

    fn wait_for_log(&mut self, texts: &[String]) -> Result<(), Unmet> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.read_log(0);
            let unread = &mut self.transcript.log[self.passed..];
            if let Some(passed) = passed(unread, texts) {
                if texts.len() > 1 {
                    unread[..passed].sort_by(|one, other| one.text.cmp(&other.text));
                }
                self.passed += passed;
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Unmet("no such line".to_owned()));
            }
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn wait_for_stat(&mut self, row: &str, column: &str, value: &str) -> Result<(), Unmet> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = alike::cell(&self.balancer.runtime("show stat"), row, column);
            if found.as_deref() == Some(value) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Unmet(format!("it is {found:?}")));
            }
            thread::park_timeout(Duration::from_millis(15));
        }
    }

    fn note(&mut self, line: usize, text: String) {
        self.transcript.steps.push(Note { line, text });
    }

    fn read_log(&mut self, line: usize) {
        let arrived = self.balancer.receivers.arrived();
        let lines = arrived.iter().map(|text| Note { line, text: alike::log_line(text) });
        self.transcript.log.extend(lines);
    }
}

/// How many lines there are up to the last of those that were waited for: a different one for each text.
fn passed(lines: &[Note], texts: &[String]) -> Option<usize> {
    let mut found = Vec::new();
    for text in texts {
        let at = (0..lines.len()).find(|at| !found.contains(at) && lines[*at].text.contains(text))?;
        found.push(at);
    }
    found.into_iter().max().map(|last| last + 1)
}

fn answer(answer: Result<String, String>) -> String {
    match answer {
        Ok(name) => format!("is served by {name}"),
        Err(end) => format!("asks, and sees {end}"),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}
