//! `evenkeel demo`: the whole thing on one machine, with nothing else installed.
//!
//! Three stand-in controllers on 127.0.0.2, .3 and .4, evenkeel in front of them on 127.0.0.1 and [::1], clients that
//! use it, and every twenty seconds a controller that fails and returns.

mod load;
mod stand_in;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use self::load::{Shape, Tally};
use self::stand_in::{Authority, StandIn};
use super::{Exit, fail, serve_bound, tell_line};
use crate::app::Bound;
use crate::app::listeners::ListenerSource;
use crate::config;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Add this to every port, when one of them is taken
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=50_000))]
    port_offset: u16,
}

/// Name and address of each stand-in.
const CONTROLLERS: [(&str, Ipv4Addr); 3] = [
    ("k0s-ch-sion-1", Ipv4Addr::new(127, 0, 0, 2)),
    ("k0s-at-vie-1", Ipv4Addr::new(127, 0, 0, 3)),
    ("k0s-de-fra-1", Ipv4Addr::new(127, 0, 0, 4)),
];

/// Name and port of each frontend, as the k0s guide has them.
const FRONTENDS: [(&str, u16); 3] = [("kubeAPI", 6443), ("konnectivity", 8132), ("controllerJoinAPI", 9443)];

const STATS_PORT: u16 = 9000;

/// From one failure to the next, and how long one lasts.
const EVERY: Duration = Duration::from_secs(20);
const LASTS: Duration = Duration::from_secs(9);

/// The load on each frontend: light enough to read the page beside it.
const LOAD: Shape = Shape { askers: 6, watchers: 6, pause: Duration::from_millis(1500) };

pub(super) fn run(options: &Options) -> Exit {
    let ports = Ports { offset: options.port_offset, ipv6: has_ipv6() };
    let config = config::parse(&ports.config(), "demo").expect("the demo's configuration is tested");
    let bound = match Bound::new(config, ListenerSource::bind()) {
        Ok(bound) => bound,
        Err(error) => {
            tell_line("hint: `evenkeel demo --port-offset 10000` moves all ports of the demo");
            return fail(&error);
        }
    };
    let (started, starting) = channel();
    let world = thread::Builder::new().name("demo".into()).spawn(move || surround(ports, &started));
    if let Err(error) = world {
        return fail(&error);
    }
    match starting.recv() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return fail(error.as_ref()),
        Err(error) => return fail(&error),
    }
    say(&ports.invitation());
    let exit = serve_bound(bound);
    say("The demo has ended.");
    exit
}

/// A line to stdout. The demo goes on without a reader: the page and the ports are still there.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Where everything is.
#[derive(Debug, Clone, Copy)]
struct Ports {
    offset: u16,
    ipv6: bool,
}

impl Ports {
    fn at(self, port: u16) -> u16 {
        // The largest port and the largest offset stay within 16 bits.
        port + self.offset
    }

    /// Listen addresses of evenkeel for a port. A wildcard would collide with the stand-ins.
    fn listen(self, port: u16) -> Vec<SocketAddr> {
        let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, self.at(port)))];
        if self.ipv6 {
            addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, self.at(port))));
        }
        addresses
    }

    fn config(self) -> String {
        let quoted = |addresses: Vec<SocketAddr>| {
            addresses.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!(
            "[log]\nlevel = \"warn\"\n[process]\nshutdown_grace = \"1s\"\n[limits]\nmax_sessions = 4000\n\
             [defaults]\nbalance = \"leastconn\"\ncheck = {{ type = \"tls\", verify = \"none\" }}\n\
             [stats]\nlisten = [{}]\n",
            quoted(self.listen(STATS_PORT))
        );
        for (name, port) in FRONTENDS {
            let server = |(name, ip): &(&str, Ipv4Addr)| {
                format!("  {{ name = \"{name}\", address = \"{ip}:{}\" }},\n", self.at(port))
            };
            let servers: String = CONTROLLERS.iter().map(server).collect();
            let listen = quoted(self.listen(port));
            text += &format!(
                "[[frontend]]\nname = \"{name}\"\nlisten = [{listen}]\nbackend = \"{name}_backend\"\n\
                 [[backend]]\nname = \"{name}_backend\"\nservers = [\n{servers}]\n"
            );
        }
        text
    }

    fn invitation(self) -> String {
        let (page, api) = (self.at(STATS_PORT), self.at(FRONTENDS[0].1));
        format!(
            "evenkeel stands in front of three stand-in controllers.\n\n\
             \x20 open   http://127.0.0.1:{page}/                 the page\n\
             \x20 try    curl -k https://127.0.0.1:{api}/    again and again: another controller answers\n\
             \x20 try    curl http://127.0.0.1:{page}/metrics\n\n\
             Every {} seconds one controller fails and returns. Ctrl-C ends the demo.\n",
            EVERY.as_secs()
        )
    }
}

fn has_ipv6() -> bool {
    std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// What goes wrong before the demo can begin.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Everything around evenkeel, on a thread of its own, until the process ends.
fn surround(ports: Ports, started: &Sender<Result<(), Failure>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let mut controllers = match controllers(ports) {
            Ok(controllers) => controllers,
            Err(error) => return drop(started.send(Err(error))),
        };
        let _ = started.send(Ok(()));
        let tally = Arc::new(Tally::default());
        let addresses: Vec<_> = FRONTENDS.iter().flat_map(|(_, port)| ports.listen(*port)).collect();
        tokio::join!(load::run(&addresses, LOAD, fastrand::Rng::new(), &tally), fail_in_turn(&mut controllers, &tally));
    });
}

/// A controller: its three ports fail together.
struct Controller {
    name: &'static str,
    ports: Vec<StandIn>,
}

fn controllers(ports: Ports) -> Result<Vec<Controller>, Failure> {
    let authority = Authority::new()?;
    let controller = |&(name, ip): &(&'static str, Ipv4Addr)| {
        let tls = authority.controller(IpAddr::V4(ip))?;
        let stand_in = |&(_, port): &(&str, u16)| {
            StandIn::start(name, SocketAddr::from((ip, ports.at(port))), Arc::clone(&tls)).map_err(Failure::from)
        };
        Ok(Controller { name, ports: FRONTENDS.iter().map(stand_in).collect::<Result<_, _>>()? })
    };
    CONTROLLERS.iter().map(controller).collect()
}

async fn fail_in_turn(controllers: &mut [Controller], tally: &Tally) {
    let count = controllers.len();
    for turn in (0..count).cycle() {
        sleep(EVERY - LASTS).await;
        let controller = &mut controllers[turn];
        say(&format!("demo: {} fails now: its three ports refuse, its connections are reset", controller.name));
        controller.ports.iter_mut().for_each(StandIn::fail);
        sleep(LASTS).await;
        for port in &mut controller.ports {
            if let Err(error) = port.recover().await {
                say(&format!("demo: {} can't return: {error}", controller.name));
            }
        }
        say(&format!(
            "demo: {} is back; {} requests answered so far, {} connections cut",
            controller.name,
            tally.answered.load(Relaxed),
            tally.cut.load(Relaxed)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_s_configuration_has_no_mistakes() {
        for (offset, ipv6) in [(0, true), (50_000, false)] {
            let config = config::parse(&Ports { offset, ipv6 }.config(), "demo").unwrap();
            assert_eq!((config.frontends.len(), config.hosts.len()), (3, 3));
        }
    }
}
