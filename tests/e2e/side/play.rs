//! Plays a script to a load balancer, and notes what is seen.

use std::collections::HashMap;
use std::net::Ipv4Addr;
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
use crate::watch::{self, Ends, Page, Side, Watch};

/// What is noted of one that ends instead of listening.
pub const DOES_NOT_START: &str = "it doesn't start";

/// The script's whole course with one of them.
pub fn play(configuration: &str, script: &Script, kind: Kind) -> Transcript {
    let certificates = Certificates::of(script.tls_names());
    let site = Site::new(script);
    let sessions = Arc::new(Sessions::default());
    let server = |setting: &crate::script::Setting| {
        let mut server = Server::new(&setting.name, setting.address, &certificates.server, &sessions);
        if let Some(mood) = &setting.mood {
            act(&mut server, mood, &site, &certificates);
        }
        if !setting.away {
            server.listen(&site.world);
        }
        (setting.name.clone(), server)
    };
    let servers = script.servers.iter().map(server).collect();
    let balancer = Balancer::start(&kind, configuration, script, &site, &certificates);
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
            self.note(0, DOES_NOT_START.to_owned());
            return self.end(0);
        }
        for step in &script.steps {
            let shown = self.step(step);
            self.read_log(step.line);
            match shown {
                Ok(lines) => lines.into_iter().for_each(|line| self.note(step.line, line)),
                Err(Unmet(why)) => {
                    self.transcript.unmet = true;
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
        let connected = match act {
            ClientAct::Connect { to, from } => Some(Client::connect(name, *from, *to, &self.site.world)),
            ClientAct::ConnectToFile(path) => Some(Client::connect_to_file(name, &self.balancer.path(path))),
            _ => None,
        };
        if let Some(connected) = connected {
            return Ok(match connected {
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
            ClientAct::Try => client.ask().map_or("is turned away".to_owned(), |name| format!("is served by {name}")),
            ClientAct::AskOverTls(server_name) => answer(client.ask_over_tls(server_name, &self.certificates.client)),
            ClientAct::Talk(talk) => client.talk(talk),
            ClientAct::Connect { .. } | ClientAct::ConnectToFile(_) => unreachable!("dealt with above"),
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
            PeerAct::DialledFrom => match conversation.stream.peer_addr() {
                Ok(address) => format!("was dialled from {}", address.ip()),
                Err(error) => format!("is dialled no more: {}", error.kind()),
            },
        })
    }

    fn server(&mut self, name: &str, act: &ServerAct) {
        let server = self.servers.get_mut(name).expect("only servers of the scene act");
        self::act(server, act, &self.site, &self.certificates);
    }

    fn balancer(&mut self, act: &BalancerAct) -> Result<Vec<String>, Unmet> {
        Ok(match act {
            BalancerAct::WaitForLog(texts) => return self.wait_for_log(texts).map(|()| Vec::new()),
            BalancerAct::WaitForEither(texts) => return self.wait_for_either(texts).map(|()| Vec::new()),
            BalancerAct::Watch(watch) => return self.watch(watch).map(|seen| vec![seen]),
            BalancerAct::WaitForStat { row, column, value } => {
                return self.wait_for_stat(row, column, value).map(|()| Vec::new());
            }
            BalancerAct::Runtime(command) => {
                let answer = self.balancer.runtime(command);
                match command.as_str() {
                    show if show.starts_with("show stat") && !show.ends_with("typed") && !show.ends_with("json") => {
                        alike::csv(&answer)
                    }
                    show if show.starts_with("show servers state") => lines(&alike::servers_state(&answer)),
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

    fn wait_for_either(&mut self, texts: &[String]) -> Result<(), Unmet> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.read_log(0);
            let unread = &self.transcript.log[self.passed..];
            if let Some(at) = unread.iter().position(|line| texts.iter().any(|text| line.text.contains(text))) {
                self.passed += at + 1;
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Unmet("no such line".to_owned()));
            }
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// What is seen of it.
    fn watch(&self, watch: &Watch) -> Result<String, Unmet> {
        let answer = |page: &Page| self.balancer.http(&self.site, page.to, &page.path, page.login.as_deref());
        Ok(match watch {
            Watch::Cell { row, column } => {
                let cells = alike::csv(&self.balancer.runtime("show stat"));
                let begin = format!("{row} {column}=");
                cells.into_iter().find(|cell| cell.starts_with(&begin)).unwrap_or_else(|| format!("no {row} {column}"))
            }
            Watch::Figure(name) => watch::figure(&self.balancer.runtime("show info"), name),
            Watch::File(path) => format!("{path} is {}", watch::file(&self.balancer.path(path))),
            Watch::Status(page) => format!("{} answers {}", page.path, watch::status(&answer(page))),
            Watch::Field { name, page } => format!("{} has {name}: {}", page.path, watch::field(&answer(page), name)),
            Watch::Says { text, page } => format!("{} says {text:?}: {}", page.path, answer(page).contains(text)),
            Watch::Version(page) => format!("{} tells a version: {}", page.path, watch::has_version(&answer(page))),
            Watch::Form { text, page: Page { path, to, login } } => {
                let answer = self.balancer.form(&self.site, *to, path, login.as_deref(), text);
                format!("{} leads to {}", watch::status(&answer), watch::field(&answer, "location"))
            }
            Watch::Backlog(port) => format!("{port}: {}", watch::backlog(self.site.balancer.name(), *port)),
            Watch::Socket { of, options } => watch::socket(self.balancer.pid(), self.ends(of)?, options),
        })
    }

    /// Which socket of the load balancer is meant.
    fn ends(&self, side: &Side) -> Result<Ends, Unmet> {
        let client = |name: &str| {
            let address = self.clients.get(name).and_then(Client::address);
            address.ok_or_else(|| Unmet("it isn't connected".to_owned()))
        };
        Ok(match side {
            Side::Listener(port) => Ends { own: Some((Ipv4Addr::UNSPECIFIED, *port).into()), peer: None },
            Side::Client(name) => Ends { own: None, peer: Some(client(name)?) },
            Side::Server(name) => {
                let conversation =
                    self.sessions.of(name).ok_or_else(|| Unmet("no server has heard of it".to_owned()))?;
                let stream = &conversation.stream;
                Ends { own: stream.peer_addr().ok(), peer: stream.local_addr().ok() }
            }
        })
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

fn act(server: &mut Server, act: &ServerAct, site: &Site, certificates: &Certificates) {
    match act {
        ServerAct::Refuse => server.refuse(),
        ServerAct::Die => server.die(),
        ServerAct::Listen => server.listen(&site.world),
        ServerAct::Silent => server.be_silent(),
        ServerAct::Answer(status) => server.answer(*status),
        ServerAct::Hold => server.hold(),
        ServerAct::Vanish => site.vanish(server.address.ip()),
        ServerAct::Return => site.appear(server.address.ip()),
        ServerAct::Say { text, to } => server.say(text, to.as_deref()),
        ServerAct::Want(demand) => match certificates.demanding(demand) {
            Some(tls) => server.speak(tls),
            None => server.want_header(),
        },
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
