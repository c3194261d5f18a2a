//! A script: what happens around a load balancer, one line after the other.
//!
//! ```text
//! # The scene, before the load balancer starts:
//! balancer 10.0.0.5                   an address of its host, beside 192.0.2.1
//! server cp1 at 10.0.0.11:6443        a server that listens; servers may share a host
//! server cp2 at 10.0.0.12:6443 away   one that doesn't yet
//! server cp3 at 10.0.0.13:6443 ACT    one that behaves so from the beginning; the last line of a name counts
//! authority /etc/haproxy/ca.crt       a file with the authority of the servers' certificates
//! identity /etc/haproxy/lb.pem        one with a certificate of that authority and its key, for the load balancer
//! certificate api.example             a name that the servers' certificates are good for
//! awaits 9000                         a port that shows that it has started; else all that the steps name
//! environment NAME=VALUE              for the load balancer
//! arguments -W                        words for its command line
//!
//! # Clients: any name that is no server's.
//! c1 connects to 6443                 or to 10.0.0.5:6443; `… from 10.9.0.1` for another address than 192.0.2.2
//! c1 connects to /run/x.sock          a unix socket
//! c1 asks                             says its name, and is told the server's
//! c1 tries                            the same, and however it is turned away is one and the same
//! c1 asks over TLS for api.example    the same within TLS, with this server name
//! c1 sends "text\r\n"                 servers send back what they are sent
//! c1 hears "text"
//! c1 finishes                         sends FIN
//! c1 closes                           sends FIN and wants no more
//! c1 resets
//! c1 sees the end                     waits for FIN or RST, and notes which
//!
//! # The server's end of a session, once its client has asked:
//! c1's server sends "text", hears "text", finishes, closes, resets, sees the end
//! c1's server was told the client     the PROXY header that it got
//! c1's server was dialled from where  the address of the load balancer that it sees
//!
//! # Servers:
//! cp1 refuses                         nobody listens there any more; its sessions go on
//! cp1 dies                            the same, and its sessions end
//! cp1 listens                         again
//! cp1 is silent                       accepts, and says nothing: neither TLS nor HTTP
//! cp1 answers 503                     with this status if it is asked by HTTP; speaks again
//! cp1 holds                           doesn't answer a FIN with its own
//! cp1 says "up\n"                     to whoever connects, and ends
//! cp1 says "pong" to "ping"           to whoever has said that, and waits for the end
//! cp1 wants a header                  ends at once what doesn't begin with the PROXY protocol
//! cp1 wants a certificate             of its authority, over TLS 1.2
//! cp1 wants the protocol h2           by ALPN, from whoever offers any
//! cp1 wants the name api.example      by SNI
//! cp1 vanishes                        its address is gone: nobody answers
//! cp1 returns
//!
//! # The load balancer:
//! wait for log "text"                 a line behind the one that was waited for last
//! wait for log "one" "other"          one with each text, in whatever order: the lines up to the last are noted sorted
//! wait for either "one" "other"       one with any of them
//! wait for stat be/cp1 status UP      a cell of `show stat`, over the first `stats socket` of the file
//! runtime show stat                   an answer of the runtime API, noted; `show stat` cell by cell
//! csv /;csv at 9000                   the same of a stats page
//! http /healthz at 8080               an answer, noted; `… as user:password`
//! signal USR1
//! ends                                waits for its end, and notes the exit status
//! ```
//!
//! [`watch`](crate::watch) has what else of it can be looked at.
//!
//! Everything is noted in the order of the lines. A wait that isn't met is noted, and ends the script. Nothing waits for a
//! time to pass.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::process::Signal;

use crate::watch::{self, Watch};

/// The balancer's own address, and that of clients.
pub const BALANCER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

#[derive(Debug, Default)]
pub struct Script {
    pub balancers: Vec<Ipv4Addr>,
    pub servers: Vec<Setting>,
    pub authority: Option<String>,
    pub identity: Option<String>,
    /// Names of the servers' certificates beside those that are asked for.
    pub names: Vec<String>,
    pub awaited: Vec<u16>,
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    pub steps: Vec<Step>,
}

/// A server of the scene.
#[derive(Debug)]
pub struct Setting {
    pub name: String,
    pub address: SocketAddr,
    pub away: bool,
    /// How it behaves from the beginning.
    pub mood: Option<ServerAct>,
}

/// One line that is played.
#[derive(Debug)]
pub struct Step {
    /// Its number in the file, from 1.
    pub line: usize,
    pub text: String,
    pub act: Act,
}

#[derive(Debug)]
pub enum Act {
    Client(String, ClientAct),
    /// The server's end of a client's session.
    Peer(String, PeerAct),
    Server(String, ServerAct),
    Balancer(BalancerAct),
}

#[derive(Debug)]
pub enum ClientAct {
    Connect { to: SocketAddr, from: Ipv4Addr },
    ConnectToFile(String),
    Ask,
    Try,
    AskOverTls(String),
    Talk(Talk),
}

#[derive(Debug)]
pub enum PeerAct {
    Talk(Talk),
    /// The PROXY header.
    Told,
    /// Whom it is dialled from.
    DialledFrom,
}

/// What either end of a session may do.
#[derive(Debug)]
pub enum Talk {
    Send(String),
    Hear(String),
    Finish,
    Close,
    Reset,
    SeeTheEnd,
}

#[derive(Debug)]
pub enum ServerAct {
    Refuse,
    Die,
    Listen,
    Silent,
    Answer(u16),
    Hold,
    Vanish,
    Return,
    Say { text: String, to: Option<String> },
    Want(Demand),
}

/// What a server wants of whoever connects.
#[derive(Debug, Clone)]
pub enum Demand {
    Header,
    Certificate,
    Protocol(String),
    Name(String),
}

#[derive(Debug)]
pub enum BalancerAct {
    WaitForLog(Vec<String>),
    WaitForEither(Vec<String>),
    WaitForStat { row: String, column: String, value: String },
    Runtime(String),
    Csv { path: String, to: SocketAddr },
    Http { path: String, to: SocketAddr, login: Option<String> },
    Signal(Signal),
    End,
    Watch(Watch),
}

impl Script {
    pub fn read(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line).map_err(|mistake| format!("line {number}: {mistake}"))?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            script.take(number, line.trim(), &words).map_err(|mistake| format!("line {number}: {mistake}"))?;
        }
        if script.steps.is_empty() { Err("nothing happens".to_owned()) } else { Ok(script) }
    }

    fn take(&mut self, line: usize, text: &str, words: &[&str]) -> Result<(), String> {
        match words {
            [] => {}
            ["balancer", address] => self.balancers.push(value(address)?),
            ["server", name, "at", address, rest @ ..] => {
                let away = matches!(rest, ["away"]);
                let mood = if away || rest.is_empty() { None } else { Some(server_act(rest)?) };
                self.servers.retain(|server| server.name != *name);
                self.servers.push(Setting { name: (*name).to_owned(), address: value(address)?, away, mood });
            }
            ["authority", file] => self.authority = Some((*file).to_owned()),
            ["identity", file] => self.identity = Some((*file).to_owned()),
            ["certificate", name] => self.names.push((*name).to_owned()),
            ["awaits", port] => self.awaited.push(value(port)?),
            ["environment", assignment] => {
                let (name, content) = assignment.split_once('=').ok_or("NAME=VALUE is wanted")?;
                self.environment.push((name.to_owned(), content.to_owned()));
            }
            ["arguments", words @ ..] => self.arguments.extend(words.iter().map(|word| (*word).to_owned())),
            _ => self.steps.push(Step { line, text: text.to_owned(), act: self.act(words)? }),
        }
        Ok(())
    }

    fn act(&self, words: &[&str]) -> Result<Act, String> {
        if let Some(act) = balancer_act(words)? {
            return Ok(Act::Balancer(act));
        }
        let [name, rest @ ..] = words else { return Err("an empty line".to_owned()) };
        if self.servers.iter().any(|server| server.name == *name) {
            return Ok(Act::Server((*name).to_owned(), server_act(rest)?));
        }
        match (name.strip_suffix("'s"), rest) {
            (Some(client), ["server", rest @ ..]) => Ok(Act::Peer(client.to_owned(), peer_act(rest)?)),
            _ => Ok(Act::Client((*name).to_owned(), client_act(rest)?)),
        }
    }

    /// Names that the servers' certificates are good for: those that clients ask for within TLS, and others.
    pub fn tls_names(&self) -> Vec<String> {
        let name = |step: &Step| match &step.act {
            Act::Client(_, ClientAct::AskOverTls(name)) => Some(name.clone()),
            _ => None,
        };
        self.steps.iter().filter_map(name).chain(self.names.iter().cloned()).collect()
    }

    /// Ports at which the balancer is to listen.
    pub fn ports(&self) -> Vec<u16> {
        if !self.awaited.is_empty() {
            return self.awaited.clone();
        }
        let port = |step: &Step| match &step.act {
            Act::Client(_, ClientAct::Connect { to, .. })
            | Act::Balancer(BalancerAct::Csv { to, .. } | BalancerAct::Http { to, .. }) => Some(to.port()),
            _ => None,
        };
        self.steps.iter().filter_map(port).collect()
    }
}

fn balancer_act(words: &[&str]) -> Result<Option<BalancerAct>, String> {
    let owned = |word: &&str| (*word).to_owned();
    Ok(Some(match words {
        ["wait", "for", "log", texts @ ..] if !texts.is_empty() => {
            BalancerAct::WaitForLog(texts.iter().map(owned).collect())
        }
        ["wait", "for", "either", texts @ ..] if !texts.is_empty() => {
            BalancerAct::WaitForEither(texts.iter().map(owned).collect())
        }
        ["wait", "for", "stat", row, column, value] => {
            BalancerAct::WaitForStat { row: owned(row), column: owned(column), value: owned(value) }
        }
        ["runtime", command @ ..] => BalancerAct::Runtime(command.join(" ")),
        ["csv", path, "at", to] => BalancerAct::Csv { path: owned(path), to: target(to)? },
        ["http", path, "at", to] => BalancerAct::Http { path: owned(path), to: target(to)?, login: None },
        ["http", path, "at", to, "as", login] => {
            BalancerAct::Http { path: owned(path), to: target(to)?, login: Some(owned(login)) }
        }
        ["signal", name] => BalancerAct::Signal(signal(name)?),
        ["ends"] => BalancerAct::End,
        words => return Ok(watch::read(words)?.map(BalancerAct::Watch)),
    }))
}

fn client_act(words: &[&str]) -> Result<ClientAct, String> {
    Ok(match words {
        ["connects", "to", path] if path.starts_with('/') => ClientAct::ConnectToFile((*path).to_owned()),
        ["connects", "to", to] => ClientAct::Connect { to: target(to)?, from: CLIENTS },
        ["connects", "to", to, "from", from] => ClientAct::Connect { to: target(to)?, from: value(from)? },
        ["asks"] => ClientAct::Ask,
        ["tries"] => ClientAct::Try,
        ["asks", "over", "TLS", "for", name] => ClientAct::AskOverTls((*name).to_owned()),
        talk => ClientAct::Talk(self::talk(talk)?),
    })
}

fn peer_act(words: &[&str]) -> Result<PeerAct, String> {
    Ok(match words {
        ["was", "told", "the", "client"] => PeerAct::Told,
        ["was", "dialled", "from", "where"] => PeerAct::DialledFrom,
        talk => PeerAct::Talk(self::talk(talk)?),
    })
}

fn talk(words: &[&str]) -> Result<Talk, String> {
    Ok(match words {
        ["sends", text] => Talk::Send((*text).to_owned()),
        ["hears", text] => Talk::Hear((*text).to_owned()),
        ["finishes"] => Talk::Finish,
        ["closes"] => Talk::Close,
        ["resets"] => Talk::Reset,
        ["sees", "the", "end"] => Talk::SeeTheEnd,
        _ => return Err(format!("nobody knows what it is to {:?}", words.join(" "))),
    })
}

fn server_act(words: &[&str]) -> Result<ServerAct, String> {
    Ok(match words {
        ["refuses"] => ServerAct::Refuse,
        ["dies"] => ServerAct::Die,
        ["listens"] => ServerAct::Listen,
        ["is", "silent"] => ServerAct::Silent,
        ["answers", status] => ServerAct::Answer(value(status)?),
        ["holds"] => ServerAct::Hold,
        ["vanishes"] => ServerAct::Vanish,
        ["returns"] => ServerAct::Return,
        ["says", text] => ServerAct::Say { text: (*text).to_owned(), to: None },
        ["says", text, "to", question] => ServerAct::Say { text: (*text).to_owned(), to: Some((*question).to_owned()) },
        ["wants", "a", "header"] => ServerAct::Want(Demand::Header),
        ["wants", "a", "certificate"] => ServerAct::Want(Demand::Certificate),
        ["wants", "the", "protocol", protocol] => ServerAct::Want(Demand::Protocol((*protocol).to_owned())),
        ["wants", "the", "name", name] => ServerAct::Want(Demand::Name((*name).to_owned())),
        _ => return Err(format!("a server can't {:?}", words.join(" "))),
    })
}

/// A port of the balancer's own address, or an address with a port.
pub fn target(word: &str) -> Result<SocketAddr, String> {
    match word.parse::<u16>() {
        Ok(port) => Ok((BALANCER, port).into()),
        Err(_) => value(word),
    }
}

fn value<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not what is wanted here"))
}

fn signal(name: &str) -> Result<Signal, String> {
    Ok(match name {
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "HUP" => Signal::HUP,
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        _ => return Err(format!("no signal of this language: {name}")),
    })
}

/// The words of a line; those in quotation marks may hold blanks, `\r`, `\n`, `\"` and `\\`. `#` begins a comment.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let word;
        (word, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_word(quoted)?,
            None => {
                let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                (word.to_owned(), rest)
            }
        };
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

fn quoted_word(text: &str) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((word, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, 'r')) => word.push('\r'),
                Some((_, other @ ('"' | '\\'))) => word.push(other),
                _ => return Err("a backslash stands before n, r, \" or another one".to_owned()),
            },
            other => word.push(other),
        }
    }
    Err("a quotation mark is missing".to_owned())
}
