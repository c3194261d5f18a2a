//! What must hold before a proxy's cost means anything: contents arrive unchanged, and each direction ends by itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::companion::{Load, Servers};
use crate::load::{Connection, Group, Until};
use crate::proxies::Kind;
use crate::wire::{self, Exchange, HEAD, Manner};

/// Longest wait for a byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds a proxy to it, on each of its frontends.
pub fn hold(kind: Kind, load: &mut Load, servers: &mut Servers) -> Result<()> {
    let (right_before, wrong_before) = servers.verified()?;
    let mut bodies = 0;
    for number in 0..wire::PORTS.len() {
        let target = kind.frontend(number);
        bodies += contents(target, load).context("contents")?;
        client_ends_first(target).context("the client ends its half first")?;
        server_ends_first(target).context("the server ends its half first")?;
        bodies += 2;
    }
    // The last body may still be on its way when its sender is done with it.
    for _ in 0..500 {
        let (right, wrong) = servers.verified()?;
        ensure!(wrong == wrong_before, "the servers have read something else than was sent");
        if right == right_before + bodies {
            return Ok(());
        }
        crate::machine::pause(Duration::from_millis(10));
    }
    let (right, _) = servers.verified()?;
    anyhow::bail!("{} of {bodies} bodies have reached the servers", right - right_before)
}

/// Small and large bodies both ways, on connections that stay and on those that don't. Says how many there were.
fn contents(target: SocketAddrV4, load: &mut Load) -> Result<u64> {
    const EACH: u64 = 40;
    let kinds = [(200, 500), (3_000_000, 200), (200, 20_000_000), (5_000_000, 5_000_000)];
    let ways = [Connection::Stays, Connection::ClientCloses, Connection::ServerCloses];
    let mut bodies = 0;
    for (up, down) in kinds {
        for connection in ways {
            let group = Group { target, clients: 8, up, down: (down / 2, down), connection, rate: None, verify: true };
            let first = if connection == Connection::Stays { group.clients as u64 } else { 0 };
            load.open(group)?;
            let seen = load.run(Until::Exchanges(EACH))?;
            ensure!(seen[0].exchanges == EACH, "{} of {EACH} exchanges", seen[0].exchanges);
            load.close()?;
            bodies += EACH + first;
        }
    }
    Ok(bodies)
}

fn client_ends_first(target: SocketAddrV4) -> Result<()> {
    let exchange = Exchange { up: 100_000, down: 8_000_000, manner: Manner::ReplyAfterEnd, verify: true };
    let mut stream = connect(target)?;
    stream.write_all(&exchange.head())?;
    stream.write_all(wire::filler(HEAD as u64, exchange.up - HEAD as u64))?;
    stream.shutdown(Shutdown::Write)?;
    read_reply(&mut stream, exchange)
}

fn server_ends_first(target: SocketAddrV4) -> Result<()> {
    let exchange = Exchange { up: 150_000, down: 50_000, manner: Manner::EndBeforeRest, verify: true };
    let mut stream = connect(target)?;
    stream.write_all(&exchange.head())?;
    read_reply(&mut stream, exchange)?;
    stream.write_all(wire::filler(HEAD as u64, exchange.up - HEAD as u64))?;
    Ok(())
}

fn connect(target: SocketAddrV4) -> Result<TcpStream> {
    let stream = TcpStream::connect(target)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads to the end, which must come after the last byte of the reply.
fn read_reply(stream: &mut TcpStream, exchange: Exchange) -> Result<()> {
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    ensure!(reply.len() as u64 == exchange.down, "{} of {} bytes", reply.len(), exchange.down);
    ensure!(wire::is_filler(0, &reply), "other bytes than were sent");
    Ok(())
}
