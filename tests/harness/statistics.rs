//! A small site with a bit of everything that HAProxy's statistics tell of, the same for HAProxy and for evenkeel: its
//! configuration, what its clients do, and what the statistics say then.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::peers::{Peer, Server, connect, refusing};
use super::wait::until;
use super::{http, ports, tls};

/// Where HAProxy's own are kept; `tests/e2e/statistics.rs` makes them again.
pub const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/haproxy-3.2");

/// The servers of the site, and the addresses that its proxies listen on.
pub struct Scene {
    echo: Server,
    tls: Server,
    gone: SocketAddr,
    pub api: SocketAddr,
    pub plain: SocketAddr,
    pub nobody: SocketAddr,
    pub both: SocketAddr,
    pub stats: SocketAddr,
    pub monitor: SocketAddr,
}

/// Sessions that have not ended when the statistics are read.
pub struct Held(#[expect(dead_code, reason = "they are open until it is dropped")] Vec<TcpStream>);

/// What the statistics say: each value by the names of its proxy, its line and its column.
pub type Table = BTreeMap<(String, String), BTreeMap<String, String>>;

impl Scene {
    pub fn set() -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        Self {
            echo: Server::echo(),
            tls: Server::tls(&tls::server("backup")),
            gone: refusing(),
            api: address(),
            plain: address(),
            nobody: address(),
            both: address(),
            stats: address(),
            monitor: address(),
        }
    }

    /// The site's haproxy.cfg.
    pub fn config(&self) -> String {
        let Self { gone, api, plain, nobody, both, stats, monitor, .. } = self;
        let (echo, tls) = (self.echo.address(), self.tls.address());
        format!(
            "\
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout check 1s
    maxconn 3000
    default-server inter 200ms
frontend api
    bind {api}
    default_backend api_backend
frontend plain
    bind {plain}
    default_backend plain_backend
frontend nobody
    bind {nobody}
    default_backend nobody_backend
backend api_backend
    balance leastconn
    server one {echo} check
    server gone {gone} check
    server off {gone} check disabled
    server spare {tls} check check-ssl verify none backup maxconn 10
backend plain_backend
    balance roundrobin
    server plain {echo} weight 3
backend nobody_backend
    server gone {gone} check rise 4
listen both
    bind {both}
    server one {echo} check fall 5
listen stats
    bind {stats}
    mode http
    stats enable
    stats uri /
frontend monitor
    bind {monitor}
    mode http
    monitor-uri /healthz
    http-request use-service prometheus-exporter if {{ path /metrics }}
"
        )
    }

    /// Waits until all checks have told what they will.
    pub fn settle(&self) {
        let settled = [
            ("api_backend", "one", "UP"),
            ("api_backend", "gone", "DOWN"),
            ("api_backend", "off", "MAINT"),
            ("api_backend", "spare", "UP"),
            ("nobody_backend", "gone", "DOWN"),
            ("both", "one", "UP"),
        ];
        until("all checks have told", || {
            let table = self.table()?;
            let is = |(proxy, line, status): &(&str, &str, &str)| cell(&table, proxy, line, "status") == *status;
            settled.iter().all(is).then_some(())
        });
    }

    /// What the clients do: sessions that end, two that don't, and one that nobody can have.
    pub fn play(&self) -> Held {
        (0..6).for_each(|_| talk(self.api));
        talk(self.plain);
        talk(self.both);
        let mut turned_away = connect(self.nobody);
        turned_away.sees_fin();
        // They say nothing: HAProxy counts the bytes of a session at its end.
        let held = vec![connect(self.api), connect(self.api)];
        until("all sessions are counted", || {
            let table = self.table()?;
            let has = |proxy, column, count: &str| cell(&table, proxy, "FRONTEND", column) == count;
            let ended =
                ["plain", "nobody", "both"].iter().all(|proxy| has(proxy, "stot", "1") && has(proxy, "scur", "0"));
            (ended && has("api", "stot", "8") && has("api", "scur", "2")).then_some(())
        });
        Held(held)
    }

    /// The statistics as CSV.
    pub fn csv(&self) -> String {
        http::get(self.stats, "/;csv;norefresh").expect("the statistics").body
    }

    fn table(&self) -> Option<Table> {
        http::get(self.stats, "/;csv").map(|answer| table(&answer.body))
    }
}

/// A session that has its text sent back, and ends as it should.
fn talk(address: SocketAddr) {
    const TEXT: &str = "twenty bytes of text";
    let mut client = connect(address);
    client.say(TEXT);
    client.hears(TEXT);
    client.sends_fin();
    client.sees_fin();
}

/// Reads the CSV up to the columns of HAProxy's modules; no value of the scene has a comma in it.
pub fn table(csv: &str) -> Table {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let own = names.iter().position(|name| *name == "-").unwrap_or(names.len());
    let lines = lines.filter(|line| !line.is_empty()).map(|line| {
        let values: Vec<&str> = line.split(',').collect();
        let values = names[..own].iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned()));
        let values: BTreeMap<_, _> = values.collect();
        ((values["pxname"].clone(), values["svname"].clone()), values)
    });
    lines.collect()
}

pub fn cell<'a>(table: &'a Table, proxy: &str, line: &str, column: &str) -> &'a str {
    table.get(&(proxy.to_owned(), line.to_owned())).and_then(|line| line.get(column)).map_or("", String::as_str)
}
